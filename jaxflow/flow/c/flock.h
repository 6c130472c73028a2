/* A run on orthogonal inputs as its rounds need it: neurons in blocks of eight, which are one vector
   of the widest processors, and entries for pairs of a block and a datum. */

#ifndef FLOCK_H
#define FLOCK_H

#include "eight.h"

enum { MOST_STAGES = 16 };

/* Eight neurons: sizes, what is conserved, where they start and end, and of every stage the factors
   of their slopes. `norm` and `off` are of passing use. */
typedef struct {
    Vec rho, size, kappa, reference;
    Vec start, end, amplitude;
    Vec a[MOST_STAGES], pull[MOST_STAGES];
    Vec norm, off;
} Block;

/* Their coordinates along a datum that some of them see. */
typedef struct {
    Vec sees, start, end;
    Block *block;
} Entry;

/* A datum: its entries, its residual, and of every stage the force. */
typedef struct {
    Entry *first, *end;
    double norm, y, residual;
    double push[MOST_STAGES];
} Datum;

/* The neurons of a run that see something, those that see the same next to each other. */
typedef struct {
    int n, blocks, decoupled;
    Block *block;
    Datum *datum;
    Entry *entry;
} Flock;

/* An explicit Runge-Kutta method whose last stage is the slope at the end. Row i has the weights of
   the stages before stage i + 1, the last row those of the error: `terms` of them from `first` on,
   before and after which all are zero. */
typedef struct {
    int stages;
    int first[MOST_STAGES], terms[MOST_STAGES];
    double weights[MOST_STAGES][MOST_STAGES];
} Method;

/* What a run is told: tolerances of steps, of frozen residuals and of the last approach; how small
   residuals are on a plateau; the norm of the labels; the last time; how many steps make a round,
   and how many are left. */
typedef struct {
    double rtol, frozen, approach, plateau, labels, horizon;
    int turns;
    int64_t left;
} Order;

/* How far it has come. */
typedef struct {
    double t, step;
    int64_t accepted, rejected;
} Clock;

/* Why rounds end; several at once may be why. */
enum { GOES_ON = 0, ASKS = 1, LOUD = 2, STUCK = 4, OVER = 8, NOT_FINITE = 16, STOPS = 32 };

#define EACH_BLOCK(b, flock) \
    for (Block *b = (flock)->block; b < (flock)->block + (flock)->blocks; b++)
#define EACH_DATUM(d, flock) for (Datum *d = (flock)->datum; d < (flock)->datum + (flock)->n; d++)
#define EACH_ENTRY(e, d) for (Entry *e = (d)->first; e < (d)->end; e++)
#define EVERY_ENTRY(e, flock) \
    for (Entry *e = (flock)->entry; e < (flock)->datum[(flock)->n - 1].end; e++)

#endif
