/* Functions of XLA programs, whose arrays have a leading axis or more where there are many runs. */

#include "calls.h"

#include "kernels.h"

#include <stdlib.h>

/* The arrays in the order in which they are given; OUTPUTS is found, or else END_STATE and so on. */
enum { STATE, ACTIVE, KAPPA, REFERENCE, FORCE, SPAN, POINTS, FROZEN_ARRAYS };
enum { DEATHS = POINTS, SERIES, GAUSS, FOLLOW_ARRAYS };
enum { OUTPUTS, OUTPUTS_ARRAYS };
enum { END_STATE, END_ACTIVE, END_DEATHS, END_ARRAYS };

/* How many runs there are, of how many data and neurons. */
typedef struct {
    int64_t runs, n, m;
} Sizes;

/* Fill in what is asked for, if that is why XLA calls. */
static int is_question(const XlaCall *call) {
    const XlaExtension *asked = call->extension;
    if (asked == NULL || asked->type != ASKS_WHAT_IT_IS) return 0;
    XlaMetadata *metadata = ((const XlaQuestion *)asked)->metadata;
    int newest = call->api->version.minor;
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
    int64_t n = active->dims[active->rank - 2], m = active->dims[active->rank - 1];
    return (Sizes){size_of(active) / (n * m), n, m};
}

/* Whether an array has so many numbers for each run. */
static int has(const XlaArray *array, int dtype, int64_t runs, int64_t each) {
    return array->dtype == dtype && size_of(array) == runs * each;
}

/* Whether the arrays that are given to both functions have the sizes that belong together. */
static int they_fit(const XlaCall *call, Sizes s) {
    XlaArray **given = call->given.arrays;
    return has(given[STATE], FLOAT64, s.runs, (s.n + 2) * s.m) &&
           has(given[ACTIVE], TRUTH, s.runs, s.n * s.m) &&
           has(given[KAPPA], FLOAT64, s.runs, s.m) && has(given[REFERENCE], FLOAT64, s.runs, s.m) &&
           has(given[FORCE], FLOAT64, s.runs, s.n) && has(given[SPAN], FLOAT64, s.runs, 2);
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

static Piece piece_of(const XlaCall *call, Sizes s, int64_t run) {
    XlaArray **given = call->given.arrays;
    const double *span = numbers(given[SPAN], run, 2);
    return (Piece){.force = numbers(given[FORCE], run, s.n), .start = span[0], .end = span[1]};
}

static void find_outputs(const XlaCall *call, Sizes s, int64_t run, Pair *room) {
    Neurons neurons = neurons_of(call, s, run);
    Piece piece = piece_of(call, s, run);
    piece.points = numbers(call->given.arrays[POINTS], run, TERMS / 2);
    double *outputs = room_in(call->found.arrays[OUTPUTS], run, s.n * TERMS);
    kernels()->frozen_outputs(&piece, &neurons, room, outputs);
}

static void follow_neurons(const XlaCall *call, Sizes s, int64_t run, Pair *room) {
    XlaArray **given = call->given.arrays, **found = call->found.arrays;
    Neurons neurons = neurons_of(call, s, run);
    Piece piece = piece_of(call, s, run);
    piece.series = numbers(given[SERIES], run, TERMS * s.n);
    piece.nodes = numbers(given[GAUSS], run, 2 * NODES);
    piece.weights = piece.nodes + NODES;
    neurons.deaths = numbers(given[DEATHS], run, s.n * s.m);
    neurons.end_state = room_in(found[END_STATE], run, (s.n + 2) * s.m);
    neurons.end_active = (uint8_t *)found[END_ACTIVE]->data + run * s.n * s.m;
    neurons.end_deaths = room_in(found[END_DEATHS], run, s.n * s.m);
    kernels()->follow(&piece, &neurons, room);
}

/* Do it for all runs, with room for the pairs of eight neurons. */
static XlaError *for_all(const XlaCall *call, Sizes s,
                         void (*one)(const XlaCall *, Sizes, int64_t, Pair *)) {
    void *room = NULL;
    if (posix_memalign(&room, 64, (size_t)s.n * sizeof(Pair)) != 0)
        return complaint(call, RESOURCE_EXHAUSTED, "no memory for pairs");
    for (int64_t run = 0; run < s.runs; run++) one(call, s, run, room);
    free(room);
    return NULL;
}

XlaError *frozen_outputs_call(XlaCall *call) {
    if (is_question(call)) return NULL;
    XlaArray **given = call->given.arrays;
    int complete = call->given.size == FROZEN_ARRAYS && call->found.size == OUTPUTS_ARRAYS;
    Sizes s = complete ? sizes_of(call) : (Sizes){0};
    if (!complete || !they_fit(call, s) || !has(given[POINTS], FLOAT64, s.runs, TERMS / 2) ||
        !has(call->found.arrays[OUTPUTS], FLOAT64, s.runs, s.n * TERMS))
        return complaint(call, INVALID_ARGUMENT, "arrays not of the sizes that belong together");
    return for_all(call, s, find_outputs);
}

XlaError *follow_call(XlaCall *call) {
    if (is_question(call)) return NULL;
    XlaArray **given = call->given.arrays, **found = call->found.arrays;
    int complete = call->given.size == FOLLOW_ARRAYS && call->found.size == END_ARRAYS;
    Sizes s = complete ? sizes_of(call) : (Sizes){0};
    if (!complete || !they_fit(call, s) || !has(given[DEATHS], FLOAT64, s.runs, s.n * s.m) ||
        !has(given[SERIES], FLOAT64, s.runs, TERMS * s.n) ||
        !has(given[GAUSS], FLOAT64, s.runs, 2 * NODES) ||
        !has(found[END_STATE], FLOAT64, s.runs, (s.n + 2) * s.m) ||
        !has(found[END_ACTIVE], TRUTH, s.runs, s.n * s.m) ||
        !has(found[END_DEATHS], FLOAT64, s.runs, s.n * s.m))
        return complaint(call, INVALID_ARGUMENT, "arrays not of the sizes that belong together");
    return for_all(call, s, follow_neurons);
}
