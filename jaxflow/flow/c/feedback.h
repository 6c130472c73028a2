/* The early phase of some neurons on orthogonal inputs: see `feedback.py`. */

#ifndef FEEDBACK_H
#define FEEDBACK_H

#include "neurons.h"

/* Nodes of Gauss's formula. */
enum { NODES = 7 };

/* What all of them are told: the forces of data, when the piece starts and ends, and either the
   points at which outputs are asked for, half of them, on [-1, 1] from the last on, or the series of
   the feedback, and nodes and weights of Gauss's formula. */
typedef struct {
    const double *force;
    double start, end;
    const double *points;
    const double *series, *nodes, *weights;
} Piece;

#endif
