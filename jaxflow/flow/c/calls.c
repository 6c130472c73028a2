/* Functions of XLA programs, whose arrays have a leading axis or more where there are many runs. */

#include "calls.h"

#include "kernels.h"

#include <stdlib.h>

/* The arrays of each call in the order in which they are given: first those of `neurons_of`. */
enum { STATE, ACTIVE, KAPPA, REFERENCE, FORCE, NEURONS_ARRAYS };
enum { SPAN = NEURONS_ARRAYS, POINTS, OUTPUTS_ARRAYS };
enum { DEATHS = NEURONS_ARRAYS, FOLLOW_SPAN, SERIES, GAUSS, FOLLOW_ARRAYS };
enum { DOOM = NEURONS_ARRAYS, REACHED, COUNT_ARRAYS };
enum { MOVE_DOOM = DEATHS + 1, MOVE_REACHED, RICCATI, START, MOVE_ARRAYS };
/* What is found is one array, or the neurons at the end. */
enum { END_STATE, END_ACTIVE, END_DEATHS, END_ARRAYS };

/* How many runs there are, of how many data and neurons. */
typedef struct {
    int64_t runs, n, m;
} Sizes;

/* What is known of a function: how many arrays it is given, the sizes of those that are not of
   `neurons_of`, how many it finds and of which size the first is, and what it does for a run. */
typedef struct {
    int given, found;
    int64_t (*size)(int which, Sizes sizes);
    int64_t (*found_size)(Sizes sizes);
    void (*one)(const XlaCall *call, Sizes sizes, int64_t run, Pair *room);
} Function;

/* Fill in what is asked for, if that is why XLA calls. */
static int is_question(const XlaCall *call) {
    const XlaExtension *asked = call->extension;
    if (asked == NULL || asked->type != ASKS_WHAT_IT_IS) return 0;
    XlaMetadata *metadata = ((const XlaQuestion *)asked)->metadata;
    int newest = call->api == NULL ? OLDEST_VERSION : call->api->version.minor;
    metadata->version.major = 0;
    metadata->version.minor = newest < NEWEST_VERSION ? newest : NEWEST_VERSION;
    metadata->traits = 0;
    return 1;
}

static XlaError *complaint(const XlaCall *call, int code, const char *message) {
    XlaComplaint said = {sizeof(XlaComplaint), NULL, message, code};
    return call->api->complain(&said);
}

static int64_t size_of(const XlaArray *array) {
    int64_t size = 1;
    for (int64_t i = 0; i < array->rank; i++) size *= array->dims[i];
    return size;
}

static Sizes sizes_of(const XlaCall *call) {
    const XlaArray *active = call->given.arrays[ACTIVE];
    if (active->rank < 2 || size_of(active) == 0) return (Sizes){0};
    int64_t n = active->dims[active->rank - 2], m = active->dims[active->rank - 1];
    return (Sizes){size_of(active) / (n * m), n, m};
}

/* Whether an array has so many numbers for each run. */
static int has(const XlaArray *array, int dtype, int64_t runs, int64_t each) {
    return array->dtype == dtype && size_of(array) == runs * each;
}

/* Whether the arrays of all calls have the sizes that belong together. */
static int neurons_fit(XlaArray **given, Sizes s) {
    return has(given[STATE], FLOAT64, s.runs, (s.n + 2) * s.m) &&
           has(given[ACTIVE], TRUTH, s.runs, s.n * s.m) &&
           has(given[KAPPA], FLOAT64, s.runs, s.m) && has(given[REFERENCE], FLOAT64, s.runs, s.m) &&
           has(given[FORCE], FLOAT64, s.runs, s.n);
}

static int end_fits(XlaArray **found, Sizes s) {
    return has(found[END_STATE], FLOAT64, s.runs, (s.n + 2) * s.m) &&
           has(found[END_ACTIVE], TRUTH, s.runs, s.n * s.m) &&
           has(found[END_DEATHS], FLOAT64, s.runs, s.n * s.m);
}

static int they_fit(const XlaCall *call, const Function *function, Sizes s) {
    XlaArray **given = call->given.arrays, **found = call->found.arrays;
    if (!neurons_fit(given, s)) return 0;
    for (int which = NEURONS_ARRAYS; which < function->given; which++)
        if (!has(given[which], FLOAT64, s.runs, function->size(which, s))) return 0;
    if (function->found == END_ARRAYS) return end_fits(found, s);
    return has(found[0], FLOAT64, s.runs, function->found_size(s));
}

static const double *numbers(const XlaArray *array, int64_t run, int64_t each) {
    return (const double *)array->data + run * each;
}

static double *room_in(const XlaArray *array, int64_t run, int64_t each) {
    return (double *)array->data + run * each;
}

static Neurons neurons_of(const XlaCall *call, Sizes s, int64_t run) {
    XlaArray **given = call->given.arrays;
    return (Neurons){
        .n = s.n,
        .m = s.m,
        .state = numbers(given[STATE], run, (s.n + 2) * s.m),
        .active = (const uint8_t *)given[ACTIVE]->data + run * s.n * s.m,
        .kappa = numbers(given[KAPPA], run, s.m),
        .reference = numbers(given[REFERENCE], run, s.m),
    };
}

/* Neurons that go somewhere. */
static Neurons travellers_of(const XlaCall *call, Sizes s, int64_t run) {
    XlaArray **found = call->found.arrays;
    Neurons neurons = neurons_of(call, s, run);
    neurons.deaths = numbers(call->given.arrays[DEATHS], run, s.n * s.m);
    neurons.end_state = room_in(found[END_STATE], run, (s.n + 2) * s.m);
    neurons.end_active = (uint8_t *)found[END_ACTIVE]->data + run * s.n * s.m;
    neurons.end_deaths = room_in(found[END_DEATHS], run, s.n * s.m);
    return neurons;
}

static Piece piece_of(const XlaCall *call, Sizes s, int64_t run, int span_at) {
    XlaArray **given = call->given.arrays;
    const double *span = numbers(given[span_at], run, 2);
    return (Piece){.force = numbers(given[FORCE], run, s.n), .start = span[0], .end = span[1]};
}

/* Do it for all runs, with room for the pairs of eight neurons. */
static XlaError *for_all(XlaCall *call, const Function *function) {
    if (is_question(call)) return NULL;
    void *room = NULL;
    int complete = call->given.size == function->given && call->found.size == function->found;
    Sizes s = complete ? sizes_of(call) : (Sizes){0};
    if (s.runs == 0 || !they_fit(call, function, s))
        return complaint(call, INVALID_ARGUMENT, "arrays not of the sizes that belong together");
    if (posix_memalign(&room, 64, (size_t)s.n * sizeof(Pair)) != 0)
        return complaint(call, RESOURCE_EXHAUSTED, "no memory for pairs");
    for (int64_t run = 0; run < s.runs; run++) function->one(call, s, run, room);
    free(room);
    return NULL;
}

/* ------------------------------------------------------------------------------- the early phase */

static int64_t size_for_outputs(int which, Sizes s) {
    (void)s;
    return which == SPAN ? 2 : TERMS / 2;
}

static int64_t size_of_outputs(Sizes s) { return s.n * TERMS; }

static void find_outputs(const XlaCall *call, Sizes s, int64_t run, Pair *room) {
    Neurons neurons = neurons_of(call, s, run);
    Piece piece = piece_of(call, s, run, SPAN);
    piece.points = numbers(call->given.arrays[POINTS], run, TERMS / 2);
    double *outputs = room_in(call->found.arrays[0], run, s.n * TERMS);
    kernels()->frozen_outputs(&piece, &neurons, room, outputs);
}

XlaError *frozen_outputs_call(XlaCall *call) {
    static const Function function = {
        OUTPUTS_ARRAYS, 1, size_for_outputs, size_of_outputs, find_outputs,
    };
    return for_all(call, &function);
}

static int64_t size_for_follow(int which, Sizes s) {
    const int64_t sizes[] = {s.n * s.m, 2, TERMS * s.n, 2 * NODES};
    return sizes[which - DEATHS];
}

static void follow_neurons(const XlaCall *call, Sizes s, int64_t run, Pair *room) {
    XlaArray **given = call->given.arrays;
    Neurons neurons = travellers_of(call, s, run);
    Piece piece = piece_of(call, s, run, FOLLOW_SPAN);
    piece.series = numbers(given[SERIES], run, TERMS * s.n);
    piece.nodes = numbers(given[GAUSS], run, 2 * NODES);
    piece.weights = piece.nodes + NODES;
    kernels()->follow(&piece, &neurons, room);
}

XlaError *follow_call(XlaCall *call) {
    static const Function function = {
        FOLLOW_ARRAYS, END_ARRAYS, size_for_follow, NULL, follow_neurons,
    };
    return for_all(call, &function);
}

/* ----------------------------------------------------------------- neurons of a single datum each */

static int64_t size_of_dooms(Sizes s) { return s.m; }

static void find_dooms_of(const XlaCall *call, Sizes s, int64_t run, Pair *room) {
    Neurons neurons = neurons_of(call, s, run);
    const double *onward = numbers(call->given.arrays[FORCE], run, s.n);
    kernels()->find_dooms(onward, &neurons, room, room_in(call->found.arrays[0], run, s.m));
}

XlaError *find_dooms_call(XlaCall *call) {
    static const Function function = {NEURONS_ARRAYS, 1, NULL, size_of_dooms, find_dooms_of};
    return for_all(call, &function);
}

static int64_t size_for_count(int which, Sizes s) { return which == DOOM ? s.m : s.n; }

static int64_t size_of_tally(Sizes s) { return TALLIES * s.n; }

static void count_of(const XlaCall *call, Sizes s, int64_t run, Pair *room) {
    (void)room;
    XlaArray **given = call->given.arrays;
    Neurons neurons = neurons_of(call, s, run);
    const double *doom = numbers(given[DOOM], run, s.m), *reached = numbers(given[REACHED], run, s.n);
    double *tally = room_in(call->found.arrays[0], run, TALLIES * s.n);
    kernels()->count(reached, &neurons, doom, tally);
}

XlaError *count_call(XlaCall *call) {
    static const Function function = {COUNT_ARRAYS, 1, size_for_count, size_of_tally, count_of};
    return for_all(call, &function);
}

static int64_t size_for_move(int which, Sizes s) {
    const int64_t sizes[] = {s.n * s.m, s.m, s.n, COEFFICIENTS * s.n, 1};
    return sizes[which - DEATHS];
}

static void move_neurons(const XlaCall *call, Sizes s, int64_t run, Pair *room) {
    XlaArray **given = call->given.arrays;
    Neurons neurons = travellers_of(call, s, run);
    const double *onward = numbers(given[FORCE], run, s.n);
    const double *doom = numbers(given[MOVE_DOOM], run, s.m);
    const double *reached = numbers(given[MOVE_REACHED], run, s.n);
    const double *riccati = numbers(given[RICCATI], run, COEFFICIENTS * s.n);
    double start = *numbers(given[START], run, 1);
    kernels()->move(onward, start, reached, riccati, &neurons, doom, room);
}

XlaError *move_call(XlaCall *call) {
    static const Function function = {MOVE_ARRAYS, END_ARRAYS, size_for_move, NULL, move_neurons};
    return for_all(call, &function);
}
