/* The early phase with the feedback of the outputs on the forces, to first order.

What `feedback.py` says in JAX, for CPUs, in the same notation, eight neurons at a time. Each eight
are followed for as long as one of them changes its mode, while all of their numbers stay in the
nearest cache. */

#include "arithmetic.h"
#include "feedback.h"

#include <string.h>

/* As in flight.py and rotation.py. */
static const double SOON = 1.001, TOGETHER = 1e-14, ON_BOUNDARY = 1e-13;
/* -log of a size whose square is zero. */
static const double VANISHED = 1e4;

/* Eight neurons on clocks of their own, and how each of them rotates while its force is constant. */
typedef struct {
    int64_t n;
    Pair *pair;
    Vec rho, eta, clock, kappa, reference;
    Vec rate, growing, decaying;
    Choice flies;
} Eight;

/* Where each of them goes next: the time it takes, whether a pair dies then, at which factors, and
   until when a point in time belongs to the way. */
typedef struct {
    Vec tau, until, first, least;
    Choice dies;
} Way;

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

PART void stored(Vec x, double *place, int count) {
    if (count == WIDE) memcpy(place, &x, sizeof(Vec));
    else for (int i = 0; i < count; i++) place[i] = x[i];
}

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
        p->active = (Choice){0};
        for (int i = 0; i < count; i++) p->active[i] = -(int64_t)all->active[k * all->m + first + i];
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
        for (int i = 0; i < count; i++) all->end_active[k * all->m + first + i] = p->active[i] != 0;
    }
}

/* -------------------------------------------------------------- rotation under a constant force */

/* How they rotate: see `rotation` in rotation.py. */
PART void spin(const Piece *piece, Eight *eight) {
    Vec squared = {0}, along = {0}, across = {0};
    EACH_PAIR(p, eight) {
        p->direction = where(p->active, spread(piece->force[p - eight->pair]));
        squared += p->direction * p->direction;
    }
    eight->rate = root(squared);
    Vec shrink = 1 / chosen(eight->rate == 0, spread(1), eight->rate);
    EACH_PAIR(p, eight) {
        p->direction *= shrink;
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

/* To the next death, or to the end. */
PART void find_way(const Piece *piece, Eight *eight, Way *way) {
    way->first = (Vec){0};
    EACH_PAIR(p, eight) {
        p->factor = zero_factor(eight, p);
        way->first = larger(way->first, p->factor);
    }
    Choice ever = way->first > 0;
    Vec log_first = logarithm(or_one(way->first)), left = piece->end - eight->clock;
    Vec soonest = chosen(ever, -log_first / or_one(eight->rate), spread(INFINITY));
    way->least = where(ever, exponential(SOON * log_first));
    way->dies = eight->flies & (soonest < left);
    way->tau = chosen(way->dies, soonest, left);
    way->until = chosen(way->dies, soonest, where(left > 0, spread(INFINITY)));
}

/* Where eight neurons that rotate are after the time tau, and their norm there; what is across the
   force is as much as v times `constant`. */
PART Place moved(const Eight *eight, Vec tau) {
    Vec v = exponential(-eight->rate * tau), low = eight->decaying * v * v;
    Vec eta = eight->growing + low, along = eight->growing - low, squared = eta * eta;
    EACH_PAIR(p, eight) {
        Vec omega = along * p->direction + v * p->constant;
        squared += omega * omega;
    }
    Vec norm = or_one(root(squared));
    Vec rho = eight->rho + eight->rate * tau + logarithm(norm);
    return (Place){rho, eta / norm, v / norm, along / norm};
}

PART Vec coordinate(const Place *place, const Pair *p) {
    return place->along * p->direction + place->turn * p->constant;
}

/* Pairs that die at the end of the way: see `Due.together`. */
PART Choice hit(const Way *way, const Place *frozen, const Pair *p) {
    Choice same = (p->factor >= way->least) & (absolute(coordinate(frozen, p)) <= TOGETHER);
    return way->dies & (p->factor > 0) & ((p->factor >= way->first) | same);
}

/* ---------------------------------------------------------------------- outputs, r = y throughout */

/* Whether points in time belong to the way. */
PART Choice inside(const Eight *eight, const Way *way, Vec time) {
    Vec since = time - eight->clock;
    return eight->flies & (since >= 0) & (since < way->until);
}

/* What a way adds to the outputs at the points: see `_growths` in feedback.py. */
PART void add_outputs(const Piece *piece, Eight *eight, const Way *way) {
    double middle = (piece->start + piece->end) / 2, half = (piece->end - piece->start) / 2;
    Vec ahead = eight->rate * (middle - eight->clock), size = exponential(eight->rho);
    Vec g = exponential(eight->rho + ahead) * eight->growing;
    Vec d = exponential(eight->rho - ahead) * eight->decaying;
    Vec along[TERMS], across[TERMS];
    for (int i = 0, image = TERMS - 1; i < image; i++, image--) {
        double after = piece->points[i] * half;
        Vec up = exponential(after * eight->rate), down = 1 / up;
        Choice later = inside(eight, way, spread(middle + after));
        Choice earlier = inside(eight, way, spread(middle - after));
        along[i] = where(later, g * up * (g * up) - d * down * (d * down));
        across[i] = where(later, size * (g * up + d * down));
        along[image] = where(earlier, g * down * (g * down) - d * up * (d * up));
        across[image] = where(earlier, size * (g * down + d * up));
    }
    EACH_PAIR(p, eight) {
        if (!any(p->active)) continue;
        Vec constant = where(p->active, p->constant);
        for (int i = 0; i < TERMS; i++)
            p->outputs[i] += p->direction * along[i] + constant * across[i];
    }
}

/* Go to the end of the way; who dies there has a coordinate of zero from now on. */
PART void go(const Piece *piece, Eight *eight, const Way *way) {
    Place there = moved(eight, way->tau);
    EACH_PAIR(p, eight) {
        Choice dying = hit(way, &there, p);
        p->omega = where(~dying, coordinate(&there, p));
        p->active &= ~dying;
    }
    eight->rho = there.rho;
    eight->eta = there.eta;
    eight->clock = chosen(way->dies, eight->clock + way->tau, spread(piece->end));
    eight->flies = way->dies;
}

static void frozen_outputs(const Piece *piece, const Neurons *neurons, Pair *room, double *outputs) {
    Eight eight = {.pair = room};
    Way way;
    for (int64_t k = 0; k < neurons->n; k++) memset(room[k].outputs, 0, sizeof(room[k].outputs));
    for (int64_t first = 0; first < neurons->m && piece->end > piece->start; first += WIDE) {
        int count = neurons->m - first < WIDE ? (int)(neurons->m - first) : WIDE;
        take(neurons, first, count, piece->start, &eight);
        eight.flies = ~(Choice){0};
        while (any(eight.flies)) {
            spin(piece, &eight);
            find_way(piece, &eight, &way);
            add_outputs(piece, &eight, &way);
            go(piece, &eight, &way);
        }
    }
    for (int64_t k = 0; k < neurons->n; k++)
        for (int i = 0; i < TERMS; i++) outputs[k * TERMS + i] = sum(room[k].outputs[i])[0];
}

/* -------------------------------------------------------------------------- with the feedback */

/* Nodes of a way, in time scaled to [-1, 1], and their weights alone and with exp(-+G tau). */
typedef struct {
    Vec s[NODES], plain[NODES], falling[NODES], rising[NODES];
} Nodes;

PART void find_nodes(const Piece *piece, const Eight *eight, const Way *way, Nodes *nodes) {
    Vec half = 0.5 * way->tau, x = half * eight->rate, low = exponential(-x), high = 1 / low;
    double scale = 2 / (piece->end - piece->start);
    for (int g = 0; g < NODES; g++) {
        Vec time = eight->clock + half * (1 + piece->nodes[g]);
        nodes->s[g] = scale * (time - piece->start) - 1;
        nodes->plain[g] = half * piece->weights[g];
        nodes->falling[g] = nodes->plain[g] * low;
        nodes->rising[g] = nodes->plain[g] * high;
    }
    for (int g = 0, image = NODES - 1; g < image; g++, image--) {
        Vec down = exponential(piece->nodes[g] * x), up = 1 / down;
        nodes->falling[g] *= up;
        nodes->rising[g] *= down;
        nodes->falling[image] *= down;
        nodes->rising[image] *= up;
    }
}

/* The series of datum k, integrated with the weights; its plain integral. */
PART Vec integrate(const Piece *piece, const Nodes *nodes, int64_t n, int64_t k, Pair *p) {
    Vec value[NODES], plain = {0}, falling = {0}, rising = {0};
    for (int g = 0; g < NODES; g++) value[g] = spread(piece->series[(TERMS - 1) * n + k]);
    for (int i = TERMS - 2; i >= 0; i--)
        for (int g = 0; g < NODES; g++) value[g] = value[g] * nodes->s[g] + piece->series[i * n + k];
    for (int g = 0; g < NODES; g++) {
        plain += nodes->plain[g] * value[g];
        falling += nodes->falling[g] * value[g];
        rising += nodes->rising[g] * value[g];
    }
    p->falling = where(p->active, falling);
    p->rising = where(p->active, rising);
    return plain;
}

/* The rotation whose constants are those at the end of the way: see `_with_feedback`. */
PART void turn_by_feedback(const Piece *piece, Eight *eight, const Way *way) {
    Nodes nodes;
    find_nodes(piece, eight, way, &nodes);
    Vec theta = {0}, along_falling = {0}, along_rising = {0}, growing = {0}, decaying = {0};
    EACH_PAIR(p, eight) {
        if (!any(p->active)) continue;
        theta += p->direction * integrate(piece, &nodes, eight->n, p - eight->pair, p);
        along_falling += p->direction * p->falling;
        along_rising += p->direction * p->rising;
        growing += p->constant * p->falling;
        decaying += p->constant * p->rising;
    }
    Vec back = eight->growing * along_rising + eight->decaying * along_falling;
    EACH_PAIR(p, eight) {
        if (!any(p->active)) continue;
        Vec turned = eight->growing * p->rising + eight->decaying * p->falling;
        p->constant += turned - back * p->direction;
    }
    Vec grown = exponential(theta);
    eight->growing = eight->growing * grown + 0.5 * growing;
    eight->decaying = eight->decaying / grown + 0.5 * decaying;
}

/* What a state does at once while its forces are constant. */
typedef struct {
    Vec growth, eta;
} Slope;

PART Slope slope(const Piece *piece, Eight *eight) {
    Vec pull = {0};
    EACH_PAIR(p, eight) {
        p->slope = eight->eta * where(p->active, spread(piece->force[p - eight->pair]));
        pull += p->omega * where(p->active, spread(piece->force[p - eight->pair]));
    }
    Vec growth = 2 * eight->eta * pull;
    EACH_PAIR(p, eight) p->slope -= growth * p->omega;
    return (Slope){growth, pull - growth * eight->eta};
}

/* Newton's correction of the time of those deaths. */
PART Vec correct(const Piece *piece, Eight *eight) {
    Slope now = slope(piece, eight);
    Vec late = spread(INFINITY);
    EACH_PAIR(p, eight) {
        Choice falls = p->dying & (p->slope < 0);
        Vec own = -p->omega / chosen(falls, p->slope, spread(-1));
        late = chosen(falls & (own < late), own, late);
    }
    late = where(late < INFINITY, late);
    eight->rho += late * now.growth;
    eight->eta += late * now.eta;
    EACH_PAIR(p, eight) p->omega += late * p->slope;
    return late;
}

/* Pairs that are dying are dead from now on. */
PART void die(Eight *eight, Vec time) {
    EACH_PAIR(p, eight) {
        p->omega = where(~p->dying, p->omega);
        p->active &= ~p->dying;
        p->death = chosen(p->dying, time, p->death);
    }
}

/* Go to the end of the way: who dies there is known from the frozen flow, when from this one. */
PART void go_with_feedback(const Piece *piece, Eight *eight, const Way *way) {
    Place frozen = moved(eight, way->tau);
    EACH_PAIR(p, eight) p->dying = p->active & hit(way, &frozen, p);
    turn_by_feedback(piece, eight, way);
    Place there = moved(eight, way->tau);
    EACH_PAIR(p, eight) p->omega = coordinate(&there, p);
    eight->rho = there.rho;
    eight->eta = there.eta;
    Vec time = eight->clock + way->tau + correct(piece, eight);
    die(eight, time);
    eight->clock = chosen(way->dies, time, spread(piece->end));
    eight->flies = way->dies;
}

/* Pairs that died within the error of the frozen flow before the end: see `_overdue`. */
PART void bury(const Piece *piece, Eight *eight) {
    Choice overdue = {0};
    EACH_PAIR(p, eight) {
        p->dying = p->active & (p->omega < 0);
        overdue |= p->dying;
    }
    if (!any(overdue)) return;
    Vec early = {0};
    slope(piece, eight);
    EACH_PAIR(p, eight) {
        Choice falls = p->dying & (p->slope < 0);
        early = larger(early, where(falls, p->omega / chosen(falls, p->slope, spread(-1))));
    }
    die(eight, piece->end - early);
}

static void follow(const Piece *piece, const Neurons *neurons, Pair *room) {
    Eight eight = {.pair = room};
    Way way;
    for (int64_t first = 0; first < neurons->m; first += WIDE) {
        int count = neurons->m - first < WIDE ? (int)(neurons->m - first) : WIDE;
        take(neurons, first, count, piece->start, &eight);
        take_deaths(neurons, first, count, &eight);
        eight.flies = (Choice){0} - (piece->end > piece->start);
        while (any(eight.flies)) {
            spin(piece, &eight);
            find_way(piece, &eight, &way);
            go_with_feedback(piece, &eight, &way);
        }
        bury(piece, &eight);
        put(&eight, first, count, neurons);
    }
}
