/* Rounds of steps of a run on orthogonal inputs in which no pair changes its mode.

What `quiet.py` says in JAX, for CPUs, in the same notation. A round is some steps of an explicit
Runge-Kutta method, in which neurons are measured in units of their size at its start,

    h_k = |x_k| sum_j s_j a_j p_jk,   R_k = |x_k| (y_k - h_k)/n,   s_j = exp(2 rho_j),
    da_j/dt = sum_k p_jk R_k,   dp_jk/dt = a_j R_k,

and at whose end the invariants are restored. Of every stage only the factors of the slopes are
kept: a_j, R_k times the step (the push on a pair), and da_j/dt times the step (the pull).

Three things make it fast. Only entries are computed: pairs of a block of eight neurons and a datum
that some of them see. A run takes steps of its own for as long as it can, without waiting for
others. And all of its numbers stay in the nearest cache. */

#include "arithmetic.h"
#include "flock.h"

#include <float.h>
#include <string.h>

/* Step-size control, as in attempt.py. */
static const double SAFETY = 0.9, LEAST = 0.2, MOST = 5.0, BROKEN = 0.1, SURELY = 0.95;

/* ---------------------------------------------------------------------------------- weighted sums */

/* sum_l weights_l x_l, with a number of terms that the compiler knows; in two halves, which do not
   wait for each other. */
PART Vec mixed(const int terms, const double *weights, const Vec *x) {
    Vec even = {0}, odd = {0};
#pragma GCC unroll 16
    for (int l = 0; l < terms - 1; l += 2) {
        even += weights[l] * x[l];
        odd += weights[l + 1] * x[l + 1];
    }
    if (terms % 2) even += weights[terms - 1] * x[terms - 1];
    return even + odd;
}

/* The same with any number of terms. */
PART Vec summed(int terms, const double *weights, const Vec *x) {
    Vec total = {0};
    for (int l = 0; l < terms; l++) total += weights[l] * x[l];
    return total;
}

PART void weigh(int terms, const double *weights, const double *x, double *weighed) {
    for (int l = 0; l < terms; l++) weighed[l] = weights[l] * x[l];
}

/* ---------------------------------------------------------------------------------------- a step */

/* One stage: z = start + the slopes before, weighted; its outputs, forces, and pulls. */
PART void stage(const int terms, const Method *method, Flock *flock, int own, double length) {
    const int row = own > 0 ? own - 1 : 0, first = method->first[row];
    double weights[MOST_STAGES], pushes[MOST_STAGES];
    memcpy(weights, method->weights[row], terms * sizeof(double));
    EACH_BLOCK(b, flock) {
        b->end = b->a[own] = b->start + mixed(terms, weights, b->pull + first);
        b->amplitude = b->size * b->end;
        b->pull[own] = (Vec){0};
    }
    EACH_DATUM(d, flock) {
        Vec output = {0};
        weigh(terms, weights, d->push + first, pushes);
        EACH_ENTRY(e, d) {
            e->end = e->start + e->sees * mixed(terms, pushes, e->block->a + first);
            output += e->block->amplitude * e->end;
        }
        Vec force = length * d->norm / flock->n * (d->y - d->norm * sum(output));
        d->push[own] = force[0];
        EACH_ENTRY(e, d) e->block->pull[own] += force * e->end;
    }
}

PART void step(const Method *method, Flock *flock, double length) {
    stage(0, method, flock, 0, length);
    for (int own = 1; own < method->stages; own++) {
        switch (method->terms[own - 1]) {
#define CASE(terms) \
    case terms: stage(terms, method, flock, own, length); break;
            CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
            CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14) CASE(15)
#undef CASE
        }
    }
}

/* The largest error beside the norms of neurons at the end of a step, in tolerances. */
PART double error(const Method *method, Flock *flock, double rtol) {
    const int last = method->stages - 1, first = method->first[last], terms = method->terms[last];
    const double *weights = method->weights[last];
    Vec sound = {0}, worst = {0};
    EACH_BLOCK(b, flock) {
        b->off = absolute(summed(terms, weights, b->pull + first));
        b->norm = b->end * b->end;
        sound += b->off;
    }
    EACH_DATUM(d, flock) {
        double pushes[MOST_STAGES];
        weigh(terms, weights, d->push + first, pushes);
        EACH_ENTRY(e, d) {
            Vec off = absolute(e->sees * summed(terms, pushes, e->block->a + first));
            e->block->off = larger(e->block->off, off);
            e->block->norm += e->end * e->end;
            sound += off;
        }
    }
    EACH_BLOCK(b, flock) {
        sound += b->norm;
        b->norm = root(or_one(b->norm));
        worst = larger(worst, b->off / b->norm);
    }
    return isfinite(sum(sound)[0]) ? largest(worst) / rtol : INFINITY;
}

/* Whether the cubic of a margin may be below zero by more than the tolerance: see crossing.py. */
PART int may_cross(const Method *method, Flock *flock, double rtol) {
    const int last = method->stages - 1;
    Vec lowest = {0};
    EACH_DATUM(d, flock) {
        double at_start = d->push[0] / 3, at_end = d->push[last] / 3;
        EACH_ENTRY(e, d) {
            Vec after = e->start + at_start * e->block->a[0];
            Vec before = e->end - at_end * e->block->a[last];
            Vec least = smaller(smaller(after, before), e->end) + rtol * e->block->norm;
            lowest = smaller(lowest, e->sees * least);
        }
    }
    return largest(-lowest) > 0;
}

/* ------------------------------------------------------------------------------------- a round */

/* Start from where the step has led; coordinates that are not told from zero are zero. */
PART void go_on(Flock *flock) {
    EACH_BLOCK(b, flock) b->start = b->end;
    EVERY_ENTRY(e, flock) e->start = not_below_zero(e->end);
}

/* Try a step, and take it if its error is in tolerance and no margin may cross zero. */
PART int turn(const Method *method, const Order *order, Flock *flock, Clock *clock) {
    double left = order->horizon - clock->t, length = fmin(clock->step, left);
    step(method, flock, length);
    double off = error(method, flock, order->rtol);
    double factor = SAFETY * pow(fmax(off, 1e-10), -1.0 / 8);
    if (!(off <= 1)) {
        double shrink = isfinite(off) ? fmax(factor, LEAST) : BROKEN;
        clock->rejected++;
        clock->step = length * fmin(shrink, SURELY);
        return length <= 4 * DBL_EPSILON * clock->t ? STUCK : GOES_ON;
    }
    if (may_cross(method, flock, order->rtol)) return LOUD;
    int cut = length >= left;
    double longer = length * fmin(fmax(factor, LEAST), MOST);
    clock->accepted++;
    clock->step = cut ? fmax(longer, clock->step) : longer;
    clock->t = cut ? order->horizon : clock->t + length;
    go_on(flock);
    return GOES_ON;
}

/* eta^2 - |omega|^2 that neurons of these sizes must have. */
PART Vec balance_of(const Block *b) {
    Vec grown = smaller(-2 * (b->rho - b->reference), spread(700)), kappa = b->kappa;
    for (int i = 0; i < WIDE; i++) kappa[i] = kappa[i] != 0 ? kappa[i] * exp(grown[i]) : 0;
    return kappa;
}

/* Neurons in units of their own sizes, with the invariants that they must have: see
   `restore_invariants` in coordinates.py. */
PART void tidy(Flock *flock) {
    EACH_BLOCK(b, flock) b->off = (Vec){0};
    EVERY_ENTRY(e, flock) e->block->off += e->start * e->start;
    EACH_BLOCK(b, flock) {
        Vec a = b->start, squared = b->off, total = or_one(a * a + squared);
        Vec norm = root(total), kappa = (a * a - squared) / total;
        b->rho += each(log, norm);
        Vec excess = kappa - balance_of(b);
        Vec half = 0.5 * smaller(larger(excess, spread(-0.5)), spread(0.5));
        b->start = a / norm * (1 - half * (1 - kappa));
        b->off = (1 + half * (1 + kappa)) / norm;
        b->rho -= half * kappa;
        b->size = each(exp, 2 * b->rho);
    }
    EVERY_ENTRY(e, flock) e->start = not_below_zero(e->start * e->block->off);
}

/* Outputs and residuals; whether every datum is as good as fitted or still at its label: see
   `is_plateau` in legs.py. */
PART int is_plateau(const Order *order, Flock *flock) {
    int plateau = 1;
    EACH_DATUM(d, flock) {
        Vec output = {0};
        EACH_ENTRY(e, d) output += e->block->size * e->block->start * e->start;
        double h = d->norm * sum(output)[0];
        d->residual = d->y - h;
        plateau &= fmin(fabs(d->residual), fabs(h)) <= order->plateau;
    }
    return plateau;
}

PART double longest_input(const Flock *flock) {
    double reach = 0;
    EACH_DATUM(d, flock) reach = fmax(reach, d->norm);
    return reach;
}

/* Whether the bound on what it costs to freeze the residuals may allow it, to first order in the
   time: see `allows` in frozen.py. */
PART int may_freeze(const Order *order, Flock *flock, double step) {
    double reach = longest_input(flock), time = order->turns * step;
    Vec moved = {0};
    EACH_BLOCK(b, flock) b->off = (Vec){0};
    EACH_DATUM(d, flock) {
        double force = d->residual * d->norm / flock->n;
        if (fabs(d->residual) <= order->rtol * (d->y == 0 ? order->labels : fabs(d->y))) continue;
        EACH_ENTRY(e, d) e->block->off += e->sees * force * force;
    }
    EACH_BLOCK(b, flock) moved += b->size * root(b->off) * time;
    return reach * reach / flock->n * time * sum(moved)[0] <= order->frozen;
}

/* Whether the run may be over, or the bound of the last approach may allow it: see approach.py.

   With lambda_i the eigenvalues of K/n, rho_i the parts of r along its axes, and q = r'Kr/n,
   sum_i |rho_i|/lambda_i is at least |r|^3/q, the least eigenvalue is at most q/|r|^2, and the
   largest one at least the mean of those of the data that are seen. Where the bound leaves out axes
   on which next to nothing moves it may allow more than this; then steps go on. */
PART int may_arrive(const Order *order, Flock *flock) {
    double reach = longest_input(flock), squared = 0, seen = 0;
    Vec form = {0}, trace = {0}, sizes = {0};
    EACH_BLOCK(b, flock) b->off = b->norm = b->amplitude = (Vec){0};
    EACH_DATUM(d, flock) {
        if (d->first == d->end) continue;
        double weighed = d->residual * d->norm;
        squared += d->residual * d->residual;
        seen++;
        EACH_ENTRY(e, d) {
            e->block->off += weighed * e->start;
            e->block->norm += e->sees * weighed * weighed;
            e->block->amplitude += e->sees * d->norm * d->norm;
            trace += e->block->size * d->norm * d->norm * e->start * e->start;
        }
    }
    double r = sqrt(squared);
    if (r <= order->rtol * order->labels) return 1;
    if (!(r <= sqrt(order->approach) * order->labels)) return 0;
    EACH_BLOCK(b, flock) {
        Vec by_output = b->size * b->start * b->start;
        form += b->size * b->off * b->off + by_output * b->norm;
        trace += by_output * b->amplitude;
        sizes += b->size;
    }
    double q = sum(form)[0] / flock->n, most = sum(trace)[0] / flock->n / seen, least = q / squared;
    double size = reach * reach / flock->n * sum(sizes)[0];
    double theta = 2 * reach / flock->n * r * squared / q;
    double change = 2 * theta * sqrt(size * most);
    return theta * (change / least + theta / 2) <= order->approach;
}

/* Whether it has to be asked if a closed form serves or the run is over. */
PART int has_to_ask(const Order *order, Flock *flock, const Clock *clock) {
    if (flock->decoupled) return 1;
    if (!is_plateau(order, flock)) return 0;
    return may_freeze(order, flock, clock->step) || may_arrive(order, flock);
}

PART int is_finite(const Flock *flock) {
    Vec total = {0};
    EACH_BLOCK(b, flock) total += b->rho + b->start;
    EVERY_ENTRY(e, flock) total += e->start;
    return isfinite(sum(total)[0]);
}

PART int is_over(const Order *order, const Clock *clock) {
    return clock->accepted + clock->rejected >= order->left;
}

PART int one_round(const Method *method, const Order *order, Flock *flock, Clock *clock) {
    int how = GOES_ON;
    for (int i = 0; i < order->turns && how == GOES_ON; i++) {
        if (clock->t >= order->horizon || is_over(order, clock)) break;
        how = turn(method, order, flock, clock);
    }
    tidy(flock);
    if (how == GOES_ON && is_over(order, clock)) how = OVER;
    if (!is_finite(flock)) how = NOT_FINITE;
    if (clock->t >= order->horizon) how |= STOPS;
    return has_to_ask(order, flock, clock) ? how | ASKS : how;
}

static int fly(const Method *method, const Order *order, Flock *flock, Clock *clock) {
    EACH_BLOCK(b, flock) b->size = each(exp, 2 * b->rho);
    for (;;) {
        int how = one_round(method, order, flock, clock);
        if (how != GOES_ON) return how;
    }
}
