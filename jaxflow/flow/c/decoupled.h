/* The flow of neurons that see a single datum at most: see `decoupled.py`. */

#ifndef DECOUPLED_H
#define DECOUPLED_H

#include "neurons.h"

/* What is counted for every datum: log(|x_k|) aside, the largest 2 rho_j of those neurons that have
   a z+, and the sum of exp(2 rho_j) z+^2 over it; the same of z-; of the pairs that die, how many
   there are, the greatest angle, and sum_j |a_j p_jk|. */
enum { LARGEST_PLUS, SUM_PLUS, LARGEST_MINUS, SUM_MINUS, DYING, LATEST, WEIGHT, TALLIES };

/* The equation of every datum: see `Riccati`. */
enum { LOG_A, LOG_B, LABEL, KAPPA_OF_DATUM, GROWTH, LOG_RATIO, LOG_START, COEFFICIENTS };

#endif
