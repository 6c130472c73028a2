/* Neurons on orthogonal inputs, as they are in arrays and as eight of them are followed. */

#ifndef NEURONS_H
#define NEURONS_H

#include "eight.h"

/* Terms of the series in time of feedback.py. */
enum { TERMS = 12 };

/* Numbers of neurons, along the last axis of all arrays: of n data and m neurons. The end may be in
   the same place as the start. */
typedef struct {
    int64_t n, m;
    const double *state;
    const uint8_t *active;
    const double *kappa, *reference, *deaths;
    double *end_state;
    uint8_t *end_active;
    double *end_deaths;
} Neurons;

/* A pair of eight neurons and a datum: its coordinate, the direction of the force, what is across
   it, when it dies, whether it is active or about to die, and what is of passing use. */
typedef struct {
    Vec omega, direction, constant, death;
    Choice active, dying;
    Vec factor, falling, rising, slope, outputs[TERMS];
} Pair;

#endif
