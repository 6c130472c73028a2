/* What there is in a version for each generation of processors. */

#ifndef KERNELS_H
#define KERNELS_H

#include "decoupled.h"
#include "feedback.h"
#include "flock.h"

/* fly: rounds until there is a reason to end, which is told.
   frozen_outputs: h_k/|x_k| at the points, the forces being constant, as (n, TERMS) numbers.
   follow: all neurons at the end of the piece, with the feedback.
   find_dooms: the angle at which the pair of each neuron dies, infinite for never.
   count: (TALLIES, n) numbers, of the pairs that are doomed below the angle that is reached and of
   those that are not.
   move: all neurons when the data have reached these angles. */
typedef struct {
    int (*fly)(const Method *method, const Order *order, Flock *flock, Clock *clock);
    void (*frozen_outputs)(const Piece *, const Neurons *, Pair *room, double *outputs);
    void (*follow)(const Piece *, const Neurons *, Pair *room);
    void (*find_dooms)(const double *onward, const Neurons *, Pair *room, double *doom);
    void (*count)(const double *reached, const Neurons *, const double *doom, double *tally);
    void (*move)(const double *onward, double start, const double *reached, const double *riccati,
                 const Neurons *, const double *doom, Pair *room);
} Kernels;

/* The version for the processor at hand. */
const Kernels *kernels(void);

extern const Kernels kernels_of_any;

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HAS_GENERATIONS 1
extern const Kernels kernels_of_2013, kernels_of_2017;
#endif

#endif
