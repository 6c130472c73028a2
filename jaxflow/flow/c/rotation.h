/* Eight neurons at a time, and how they rotate under a constant force. */

#ifndef ROTATION_H
#define ROTATION_H

#include "arithmetic.h"
#include "neurons.h"

#include <string.h>

/* As in rotation.py. */
static const double ON_BOUNDARY = 1e-13;

/* Eight neurons on clocks of their own, and how each of them rotates while its force is constant. */
typedef struct {
    int64_t n;
    Pair *pair;
    Vec rho, eta, clock, kappa, reference;
    Vec rate, growing, decaying;
    Choice flies;
} Eight;

/* A state that may replace that of eight neurons; the coordinates are those of the pairs. */
typedef struct {
    Vec rho, eta, turn, along;
} Place;

#define EACH_PAIR(p, eight) for (Pair *p = (eight)->pair; p < (eight)->pair + (eight)->n; p++)

PART Vec where(Choice chosen_ones, Vec x) { return (Vec)((Choice)x & chosen_ones); }

PART int any(Choice x) {
    int64_t found = 0;
    for (int i = 0; i < WIDE; i++) found |= x[i];
    return found != 0;
}

/* ------------------------------------------------------------------------------ arrays, and back */

PART Vec loaded(const double *x, int count, double otherwise) {
    Vec found = spread(otherwise);
    if (count == WIDE) memcpy(&found, x, sizeof(Vec));
    else for (int i = 0; i < count; i++) found[i] = x[i];
    return found;
}

typedef int8_t Bytes __attribute__((vector_size(WIDE)));

PART Choice chosen_in(const uint8_t *x, int count) {
    Bytes found = {0};
    if (count == WIDE) memcpy(&found, x, sizeof(Bytes));
    else for (int i = 0; i < count; i++) found[i] = x[i];
    return -__builtin_convertvector(found, Choice);
}

PART void stored_choice(Choice x, uint8_t *place, int count) {
    Bytes found = -__builtin_convertvector(x, Bytes);
    if (count == WIDE) memcpy(place, &found, sizeof(Bytes));
    else for (int i = 0; i < count; i++) place[i] = found[i];
}

PART void stored(Vec x, double *place, int count) {
    if (count == WIDE) memcpy(place, &x, sizeof(Vec));
    else for (int i = 0; i < count; i++) place[i] = x[i];
}

/* How many of the neurons that are left are among the next eight. */
PART int of_eight(int64_t left) { return left < WIDE ? (int)left : WIDE; }

/* `count` neurons from the first on; the others of the eight see nothing. */
PART void take(const Neurons *all, int64_t first, int count, double start, Eight *eight) {
    eight->n = all->n;
    eight->rho = loaded(all->state + first, count, -VANISHED);
    eight->eta = loaded(all->state + all->m + first, count, 1);
    eight->kappa = loaded(all->kappa + first, count, 0);
    eight->reference = loaded(all->reference + first, count, -VANISHED);
    eight->clock = spread(start);
    for (int64_t k = 0; k < all->n; k++) {
        Pair *p = eight->pair + k;
        p->omega = loaded(all->state + (k + 2) * all->m + first, count, 0);
        p->active = chosen_in(all->active + k * all->m + first, count);
    }
}

PART void take_deaths(const Neurons *all, int64_t first, int count, Eight *eight) {
    for (int64_t k = 0; k < all->n; k++)
        eight->pair[k].death = loaded(all->deaths + k * all->m + first, count, 0);
}

PART void put(const Eight *eight, int64_t first, int count, const Neurons *all) {
    stored(eight->rho, all->end_state + first, count);
    stored(eight->eta, all->end_state + all->m + first, count);
    for (int64_t k = 0; k < all->n; k++) {
        const Pair *p = eight->pair + k;
        stored(p->omega, all->end_state + (k + 2) * all->m + first, count);
        stored(p->death, all->end_deaths + k * all->m + first, count);
        stored_choice(p->active, all->end_active + k * all->m + first, count);
    }
}

/* -------------------------------------------------------------- rotation under a constant force */

/* How they rotate under forces of so much from each datum that they see: see rotation.py. */
PART void spin(const double *force, Eight *eight) {
    Vec squared = {0}, along = {0}, across = {0};
    EACH_PAIR(p, eight) {
        p->direction = where(p->active, spread(force[p - eight->pair]));
        squared += p->direction * p->direction;
    }
    eight->rate = root(squared);
    Vec rate = chosen(eight->rate == 0, spread(1), eight->rate);
    EACH_PAIR(p, eight) {
        p->direction /= rate;  /* of a single datum exactly one */
        along += p->omega * p->direction;
    }
    EACH_PAIR(p, eight) {
        p->constant = p->omega - along * p->direction;
        across += p->constant * p->constant;
    }
    Vec grown = smaller(-2 * (eight->rho - eight->reference), spread(700));
    Vec product = eight->kappa * exponential(grown) + across;
    Vec plus = eight->eta + along, minus = eight->eta - along;
    Choice shrinks = absolute(plus) < 0.5 * absolute(minus);
    Choice grows = absolute(minus) < 0.5 * absolute(plus);
    Vec other = product / chosen(shrinks, minus, chosen(grows, plus, spread(1)));
    eight->growing = 0.5 * chosen(shrinks, other, plus);
    eight->decaying = 0.5 * chosen(grows, other, minus);
}

/* Largest root of a v^2 + b v + c in (0, 1), and 0 where there is none. */
PART Vec largest_root_below_one(Vec a, Vec b, Vec c) {
    Vec discriminant = b * b - 4 * a * c, rooted = root(not_below_zero(discriminant));
    Vec q = -0.5 * (b + chosen(b < 0, -rooted, rooted));
    Vec first = q / chosen(a == 0, spread(1), a), second = c / chosen(q == 0, spread(1), q);
    first = where((a != 0) & (first > 0) & (first < 1), first);
    second = where((q != 0) & (second > 0) & (second < 1), second);
    return where(discriminant >= 0, larger(first, second));
}

/* v = exp(-G tau) at which each preactivation first becomes zero: see `zero_factors`. */
PART Vec zero_factor(const Eight *eight, const Pair *p) {
    Vec a = -eight->decaying * p->direction, b = p->constant, c = eight->growing * p->direction;
    Choice starts = a + b + c <= ON_BOUNDARY * (absolute(a) + absolute(b) + absolute(c));
    Choice departing = starts & (2 * a + b < 0);
    Vec other = c / chosen(a == 0, spread(1), a);
    other = where((a != 0) & (other > 0) & (other < 1), other);
    Vec v = chosen(departing, other, largest_root_below_one(a, b, c));
    v = chosen(starts & ~departing, spread(1), v);
    return where(p->active & (eight->rate > 0), v);
}

/* Where eight neurons that rotate are after the time tau, in units of their norm there: see `at` in
   rotation.py. */
PART Place moved(const Eight *eight, Vec tau) {
    Vec turned = eight->rate * tau, v = exponential(-turned);
    Vec turn = chosen(eight->growing == 0, spread(1), v), low = eight->decaying * v * turn;
    Vec eta = eight->growing + low, along = eight->growing - low, size = absolute(eta);
    EACH_PAIR(p, eight) size = larger(size, absolute(along * p->direction + turn * p->constant));
    Vec passed = chosen(eight->growing == 0, spread(0), turned);
    passed = chosen(size == 0, -turned, passed);
    eta = chosen(size == 0, eight->decaying, eta);
    along = chosen(size == 0, -eight->decaying, along);
    size = or_one(chosen(size == 0, absolute(eight->decaying), size));
    eta /= size, along /= size, turn /= size;
    Vec squared = eta * eta;
    EACH_PAIR(p, eight) {
        Vec omega = along * p->direction + turn * p->constant;
        squared += omega * omega;
    }
    Vec norm = or_one(root(squared));
    Vec rho = eight->rho + passed + logarithm(size) + logarithm(norm);
    return (Place){rho, eta / norm, turn / norm, along / norm};
}

PART Vec coordinate(const Place *place, const Pair *p) {
    return place->along * p->direction + place->turn * p->constant;
}

/* Pairs that are dying are dead from now on. */
PART void die(Eight *eight, Vec time) {
    EACH_PAIR(p, eight) {
        p->omega = where(~p->dying, p->omega);
        p->active &= ~p->dying;
        p->death = chosen(p->dying, time, p->death);
    }
}

#endif
