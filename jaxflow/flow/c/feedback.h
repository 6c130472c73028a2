/* The early phase of some neurons on orthogonal inputs: see `feedback.py`. */

#ifndef FEEDBACK_H
#define FEEDBACK_H

#include "eight.h"

/* Terms of the series in time, nodes of Gauss's formula. */
enum { TERMS = 12, NODES = 7 };

/* Numbers of neurons, along the last axis of all arrays: of n data and m neurons. Where they end is
   only asked for with the feedback. */
typedef struct {
    int64_t n, m;
    const double *state;
    const uint8_t *active;
    const double *kappa, *reference, *deaths;
    double *end_state;
    uint8_t *end_active;
    double *end_deaths;
} Neurons;

/* What all of them are told: the forces of data, when the piece starts and ends, and either the
   points at which outputs are asked for, half of them, on [-1, 1] from the last on, or the series of
   the feedback, and nodes and weights of Gauss's formula. */
typedef struct {
    const double *force;
    double start, end;
    const double *points;
    const double *series, *nodes, *weights;
} Piece;

/* A pair of eight neurons and a datum: its coordinate, the direction of the force, what is across
   it, when it dies, whether it is active or about to die, and what is of passing use. */
typedef struct {
    Vec omega, direction, constant, death;
    Choice active, dying;
    Vec factor, falling, rising, slope, outputs[TERMS];
} Pair;

#endif
