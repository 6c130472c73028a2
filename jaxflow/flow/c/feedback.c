/* The early phase with the feedback of the outputs on the forces, to first order.

What `feedback.py` says in JAX, for CPUs, in the same notation, eight neurons at a time. Each eight
are followed for as long as one of them changes its mode, while all of their numbers stay in the
nearest cache. */

#include "feedback.h"
#include "rotation.h"

/* As in flight.py. */
static const double SOON = 1.001, TOGETHER = 1e-14;

/* Where each of them goes next: the time it takes, whether a pair dies then, at which factors, and
   until when a point in time belongs to the way. */
typedef struct {
    Vec tau, until, first, least;
    Choice dies;
} Way;

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
        int count = of_eight(neurons->m - first);
        take(neurons, first, count, piece->start, &eight);
        eight.flies = ~(Choice){0};
        while (any(eight.flies)) {
            spin(piece->force, &eight);
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
        int count = of_eight(neurons->m - first);
        take(neurons, first, count, piece->start, &eight);
        take_deaths(neurons, first, count, &eight);
        eight.flies = (Choice){0} - (piece->end > piece->start);
        while (any(eight.flies)) {
            spin(piece->force, &eight);
            find_way(piece, &eight, &way);
            go_with_feedback(piece, &eight, &way);
        }
        bury(piece, &eight);
        put(&eight, first, count, neurons);
    }
}
