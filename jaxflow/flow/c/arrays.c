/* The module `_compiled`: rounds of many runs whose numbers are in arrays of NumPy, and the functions
   that XLA calls. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "calls.h"
#include "kernels.h"

#include <stdlib.h>
#include <string.h>

/* The arrays in the order in which they are passed; those up to HOW are changed. All are contiguous
   and have an entry for each run, but for WEIGHTS, which are those of the method. */
enum {
    STATE, T, STEP, ACCEPTED, REJECTED, HOW,
    ACTIVE, KAPPA, REFERENCE, NORMS, Y, PLATEAU, LABELS, HORIZON, LEFT, FLIES, WEIGHTS, ARRAYS
};

/* Numbers of one run: a view of the arrays. */
typedef struct {
    int n, m;
    double *state;
    const uint8_t *active;
    const double *kappa, *reference, *norms, *y;
} Run;

/* Where a neuron belongs among the others. */
typedef struct {
    uint64_t pattern;
    int neuron;
} Place;

#define ENTRY(type, of, which, i) (((type *)(of)[which].buf)[i])

/* ---------------------------------------------------------------- neurons into blocks, and back */

static int compare(const void *x, const void *y) {
    const Place *a = x, *b = y;
    if (a->pattern != b->pattern) return a->pattern < b->pattern ? -1 : 1;
    return (a->neuron > b->neuron) - (a->neuron < b->neuron);
}

/* Put the neurons that see something in the order of their patterns, as in a Gray code, in which
   patterns next to each other differ in one datum; how many there are. Of more than 64 data the
   first do not matter for the order. */
static int in_order(const Run *run, Place *places) {
    int seeing = 0;
    for (int j = 0; j < run->m; j++) {
        uint64_t pattern = 0, any = 0;
        for (int k = 0; k < run->n; k++) {
            uint64_t sees = run->active[k * run->m + j];
            any |= sees;
            pattern = pattern << 1 | ((pattern & 1) ^ sees);
        }
        if (any) places[seeing++] = (Place){pattern, j};
    }
    qsort(places, seeing, sizeof(Place), compare);
    return seeing;
}

/* How many data a neuron sees. */
static int seen_by(const Run *run, int j) {
    int seen = 0;
    for (int k = 0; k < run->n; k++) seen += run->active[k * run->m + j];
    return seen;
}

/* Eight neurons, or as many as are left; where there are none, some of no size. */
static void take_block(const Run *run, const Place *places, int left, Block *block) {
    memset(block, 0, sizeof(Block));
    block->rho -= VANISHED;
    for (int i = 0; i < WIDE && i < left; i++) {
        int j = places[i].neuron;
        block->rho[i] = run->state[j];
        block->start[i] = run->state[run->m + j];
        block->kappa[i] = run->kappa[j];
        block->reference[i] = run->reference[j];
    }
}

/* Their coordinates along a datum; whether any of them sees it. */
static int take_entry(const Run *run, const Place *places, int left, int k, Entry *entry) {
    int any = 0;
    entry->sees = entry->start = entry->end = (Vec){0};
    for (int i = 0; i < WIDE && i < left; i++) {
        int j = places[i].neuron;
        if (!run->active[k * run->m + j]) continue;
        entry->sees[i] = any = 1;
        entry->start[i] = run->state[(k + 2) * run->m + j];
    }
    return any;
}

static void gather(const Run *run, Place *places, Flock *flock) {
    int seeing = in_order(run, places);
    Entry *entry = flock->entry;
    flock->blocks = (seeing + WIDE - 1) / WIDE;
    flock->decoupled = 1;
    for (int place = 0; place < seeing; place++)
        if (seen_by(run, places[place].neuron) > 1) flock->decoupled = 0;
    for (int b = 0; b < flock->blocks; b++)
        take_block(run, places + b * WIDE, seeing - b * WIDE, flock->block + b);
    for (int k = 0; k < run->n; k++) {
        Datum *datum = flock->datum + k;
        datum->norm = run->norms[k];
        datum->y = run->y[k];
        datum->first = entry;
        for (int b = 0; b < flock->blocks; b++) {
            entry->block = flock->block + b;
            entry += take_entry(run, places + b * WIDE, seeing - b * WIDE, k, entry);
        }
        datum->end = entry;
    }
}

static void scatter(const Flock *flock, const Place *places, const Run *run) {
    int m = run->m;
    for (int k = 0; k < run->n; k++)
        EACH_ENTRY(e, flock->datum + k) {
            const Place *here = places + (e->block - flock->block) * WIDE;
            for (int i = 0; i < WIDE; i++) {
                if (e->sees[i] == 0) continue;
                int j = here[i].neuron;
                run->state[j] = e->block->rho[i];
                run->state[m + j] = e->block->start[i];
                run->state[(k + 2) * m + j] = e->start[i];
            }
        }
}

/* ------------------------------------------------------------------------------------ many runs */

static void *cut(char **room, size_t bytes) {
    void *here = *room;
    *room += (bytes + 63) / 64 * 64;
    return here;
}

/* Arrays for as large a flock as there may be, cut from a room; how much of it they take. */
static size_t lay_out(int n, int m, char *room, Flock *flock, Place **places) {
    char *start = room;
    size_t blocks = (m + WIDE - 1) / WIDE;
    flock->n = n;
    flock->block = cut(&room, blocks * sizeof(Block));
    flock->datum = cut(&room, n * sizeof(Datum));
    flock->entry = cut(&room, (blocks * n + 1) * sizeof(Entry));
    *places = cut(&room, m * sizeof(Place));
    return room - start;
}

static Run run_of(const Py_buffer *of, int n, int m, Py_ssize_t i) {
    return (Run){
        n,
        m,
        &ENTRY(double, of, STATE, i * (n + 2) * m),
        &ENTRY(const uint8_t, of, ACTIVE, i * n * m),
        &ENTRY(const double, of, KAPPA, i * m),
        &ENTRY(const double, of, REFERENCE, i * m),
        &ENTRY(const double, of, NORMS, i * n),
        &ENTRY(const double, of, Y, i * n),
    };
}

static void fly_one(const Py_buffer *of, const Method *method, Order order, Py_ssize_t i,
                    const Run *run, Place *places, Flock *flock) {
    Clock clock = {ENTRY(double, of, T, i), ENTRY(double, of, STEP, i), 0, 0};
    order.plateau = ENTRY(double, of, PLATEAU, i);
    order.labels = ENTRY(double, of, LABELS, i);
    order.horizon = ENTRY(double, of, HORIZON, i);
    order.left = ENTRY(int64_t, of, LEFT, i);
    gather(run, places, flock);
    ENTRY(int64_t, of, HOW, i) = kernels()->fly(method, &order, flock, &clock);
    scatter(flock, places, run);
    ENTRY(double, of, T, i) = clock.t;
    ENTRY(double, of, STEP, i) = clock.step;
    ENTRY(int64_t, of, ACCEPTED, i) += clock.accepted;
    ENTRY(int64_t, of, REJECTED, i) += clock.rejected;
}

/* Fly all runs that are to fly; zero if there is no memory for that. */
static int fly_all(const Py_buffer *of, const Method *method, Order order) {
    Py_ssize_t runs = of[ACTIVE].shape[0];
    int n = (int)of[ACTIVE].shape[1], m = (int)of[ACTIVE].shape[2];
    Flock flock;
    Place *places;
    void *room = NULL;
    if (posix_memalign(&room, 64, lay_out(n, m, NULL, &flock, &places)) != 0) return 0;
    lay_out(n, m, room, &flock, &places);
    for (Py_ssize_t i = 0; i < runs; i++) {
        if (!ENTRY(uint8_t, of, FLIES, i)) continue;
        Run run = run_of(of, n, m, i);
        fly_one(of, method, order, i, &run, places, &flock);
    }
    free(room);
    return 1;
}

/* ------------------------------------------------------------------------------------ from Python */

/* The method of a square array of weights; zero if it is not an explicit one. */
static int method_of(const Py_buffer *weights, Method *method) {
    int stages = (int)weights->shape[0];
    if (stages < 2 || stages > MOST_STAGES) return 0;
    method->stages = stages;
    for (int row = 0; row < stages; row++) {
        const double *given = (const double *)weights->buf + row * stages;
        int first = 0, last = stages - 1;
        while (first < last && given[first] == 0) first++;
        while (last > first && given[last] == 0) last--;
        if (last > row) return 0;
        method->first[row] = first;
        method->terms[row] = last - first + 1;
        memcpy(method->weights[row], given + first, (last - first + 1) * sizeof(double));
    }
    return 1;
}

/* Whether all arrays have the sizes that those of the weights and of the active pairs tell. */
static int they_fit(const Py_buffer *of) {
    if (of[ACTIVE].ndim != 3 || of[WEIGHTS].ndim != 2) return 0;
    Py_ssize_t runs = of[ACTIVE].shape[0], n = of[ACTIVE].shape[1], m = of[ACTIVE].shape[2];
    Py_ssize_t stages = of[WEIGHTS].shape[0], sizes[ARRAYS];
    for (int i = 0; i < ARRAYS; i++) sizes[i] = 8 * runs;
    sizes[STATE] = 8 * runs * (n + 2) * m;
    sizes[KAPPA] = sizes[REFERENCE] = 8 * runs * m;
    sizes[NORMS] = sizes[Y] = 8 * runs * n;
    sizes[ACTIVE] = runs * n * m;
    sizes[FLIES] = runs;
    sizes[WEIGHTS] = 8 * stages * stages;
    for (int i = 0; i < ARRAYS; i++)
        if (of[i].len != sizes[i]) return 0;
    return 1;
}

static int fly_released(const Py_buffer *of, Order order) {
    Method method;
    int done;
    if (!they_fit(of)) {
        PyErr_SetString(PyExc_ValueError, "arrays: not of the sizes that belong together");
        return 0;
    }
    if (!method_of(&of[WEIGHTS], &method)) {
        PyErr_SetString(PyExc_ValueError, "weights: not those of an explicit method");
        return 0;
    }
    Py_BEGIN_ALLOW_THREADS;
    done = fly_all(of, &method, order);
    Py_END_ALLOW_THREADS;
    if (!done) PyErr_NoMemory();
    return done;
}

static PyObject *fly_arrays(PyObject *Py_UNUSED(self), PyObject *args) {
    PyObject *arrays;
    Order order = {0};
    Py_buffer of[ARRAYS];
    int held = 0, done = 0;
    if (!PyArg_ParseTuple(args, "O!dddi", &PyTuple_Type, &arrays, &order.rtol, &order.frozen,
                          &order.approach, &order.turns))
        return NULL;
    if (PyTuple_GET_SIZE(arrays) != ARRAYS)
        return PyErr_Format(PyExc_ValueError, "got %zd arrays, wanted %d", PyTuple_GET_SIZE(arrays),
                            ARRAYS);
    for (; held < ARRAYS; held++) {
        int flags = PyBUF_C_CONTIGUOUS | (held <= HOW ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(PyTuple_GET_ITEM(arrays, held), &of[held], flags) != 0) break;
    }
    if (held == ARRAYS) done = fly_released(of, order);
    while (held > 0) PyBuffer_Release(&of[--held]);
    if (!done) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"fly", fly_arrays, METH_VARARGS, "Rounds of many runs, see jaxflow.flow.compiled_rounds."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_compiled", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

/* A function for XLA to call, which is handed on in a capsule. */
static int add_call(PyObject *made, const char *name, XlaError *(*function)(XlaCall *)) {
    PyObject *capsule = PyCapsule_New((void *)function, NULL, NULL);
    int failed = capsule == NULL || PyModule_AddObjectRef(made, name, capsule) != 0;
    Py_XDECREF(capsule);
    return failed;
}

PyMODINIT_FUNC PyInit__compiled(void) {
    PyObject *made = PyModule_Create(&module);
    if (made == NULL) return NULL;
    if (PyModule_AddIntMacro(made, MOST_STAGES) != 0 || PyModule_AddIntMacro(made, TERMS) != 0 ||
        PyModule_AddIntMacro(made, NODES) != 0 || PyModule_AddIntMacro(made, TALLIES) != 0 ||
        add_call(made, "frozen_outputs", frozen_outputs_call) != 0 ||
        add_call(made, "follow", follow_call) != 0 ||
        add_call(made, "find_dooms", find_dooms_call) != 0 ||
        add_call(made, "count", count_call) != 0 || add_call(made, "move", move_call) != 0)
        Py_CLEAR(made);
    return made;
}
