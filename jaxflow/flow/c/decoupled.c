/* The flow of neurons that see a single datum at most, in closed form.

What `decoupled.py` says in JAX, for CPUs, in the same notation, eight neurons at a time. Angles are
times of a rotation under forces of length one, `onward`, the signs of the residuals. */

#include "decoupled.h"
#include "rotation.h"

/* The angle at which the pair of each neuron dies; infinite for never. */
static void find_dooms(const double *onward, const Neurons *neurons, Pair *room, double *doom) {
    Eight eight = {.pair = room};
    for (int64_t first = 0; first < neurons->m; first += WIDE) {
        int count = of_eight(neurons->m - first);
        Vec factor = {0};
        take(neurons, first, count, 0, &eight);
        spin(onward, &eight);
        EACH_PAIR(p, &eight) factor = larger(factor, zero_factor(&eight, p));
        Vec angle = -logarithm(or_one(factor));
        stored(chosen(factor > 0, angle, spread(INFINITY)), doom + first, count);
    }
}

/* Of one datum: neurons, who sees it and their coordinates along it. */
typedef struct {
    const double *rho, *eta, *omega, *doom;
    const uint8_t *active;
} Row;

PART Row row_of(const Neurons *all, const double *doom, int64_t k) {
    const double *omega = all->state + (k + 2) * all->m;
    return (Row){all->state, all->state + all->m, omega, doom, all->active + k * all->m};
}

/* z+ and z- of those that live on, and who dies. */
typedef struct {
    Vec size, plus, minus, doom, product;
    Choice dying;
} Seen;

PART Seen seen_of(const Row *row, double reached, int64_t first, int count) {
    Vec eta = loaded(row->eta + first, count, 0), omega = loaded(row->omega + first, count, 0);
    Vec doom = loaded(row->doom + first, count, INFINITY);
    Choice active = chosen_in(row->active + first, count);
    Vec plus = where(active, eta + omega), minus = where(active, eta - omega);
    Choice dying = active & (doom < reached);
    Vec size = 2 * loaded(row->rho + first, count, -VANISHED);
    return (Seen){size, where(~dying, plus), where(~dying, minus), doom, eta * omega, dying};
}

PART Vec nowhere(void) { return spread(-INFINITY); }

/* The tally of one datum, whose pairs die that are doomed below the angle that is reached. */
PART void count_row(const Row *row, int64_t m, double reached, double *tally, int64_t stride) {
    Vec plus = nowhere(), minus = nowhere(), latest = {0}, dying = {0};
    Vec sum_plus = {0}, sum_minus = {0}, weight = {0};
    for (int64_t first = 0; first < m; first += WIDE) {
        Seen s = seen_of(row, reached, first, of_eight(m - first));
        plus = larger(plus, chosen(s.plus != 0, s.size, nowhere()));
        minus = larger(minus, chosen(s.minus != 0, s.size, nowhere()));
        latest = larger(latest, where(s.dying, s.doom));
        dying += where(s.dying, spread(1));
    }
    double most_plus = largest(plus), most_minus = largest(minus);
    for (int64_t first = 0; first < m; first += WIDE) {
        Seen s = seen_of(row, reached, first, of_eight(m - first));
        Vec by_plus = exponential(chosen(s.plus != 0, s.size - most_plus, nowhere()));
        Vec by_minus = exponential(chosen(s.minus != 0, s.size - most_minus, nowhere()));
        sum_plus += by_plus * s.plus * s.plus;
        sum_minus += by_minus * s.minus * s.minus;
        if (any(s.dying)) weight += where(s.dying, exponential(s.size) * absolute(s.product));
    }
    tally[LARGEST_PLUS * stride] = most_plus;
    tally[SUM_PLUS * stride] = sum(sum_plus)[0];
    tally[LARGEST_MINUS * stride] = most_minus;
    tally[SUM_MINUS * stride] = sum(sum_minus)[0];
    tally[DYING * stride] = sum(dying)[0];
    tally[LATEST * stride] = largest(latest);
    tally[WEIGHT * stride] = sum(weight)[0];
}

/* The tallies of all data: (TALLIES, n) numbers. */
static void count(const double *reached, const Neurons *neurons, const double *doom, double *tally) {
    for (int64_t k = 0; k < neurons->n; k++) {
        Row row = row_of(neurons, doom, k);
        count_row(&row, neurons->m, reached[k], tally + k, neurons->n);
    }
}

/* The time at which datum k, of n, reaches an angle: see `Riccati.time`. */
PART Vec time_at(const double *riccati, int64_t n, int64_t k, Vec angle) {
    const double *of = riccati + k;
    double log_a = of[LOG_A * n], g = of[GROWTH * n], log_ratio = of[LOG_RATIO * n];
    double log_start = of[LOG_START * n], room = g - exp(log_a + log_start);
    Vec straight = (room >= 0 ? 2 : -2) * angle, most = larger(straight, spread(log_ratio));
    Vec log_v = most + logarithm(1 + exponential(-absolute(straight - log_ratio)));
    Vec passed = logarithm(absolute(room / (g - exponential(log_a + log_v))));
    return (log_v - log_start + passed) / (2 * of[KAPPA_OF_DATUM * n] * g);
}

/* All neurons when the data have reached these angles, those that die on the way dead. */
static void move(const double *onward, double start, const double *reached, const double *riccati,
                 const Neurons *neurons, const double *doom, Pair *room) {
    Eight eight = {.pair = room};
    for (int64_t first = 0; first < neurons->m; first += WIDE) {
        int count = of_eight(neurons->m - first);
        Vec own = loaded(doom + first, count, INFINITY), angle = {0}, time = spread(start);
        take(neurons, first, count, start, &eight);
        take_deaths(neurons, first, count, &eight);
        spin(onward, &eight);
        EACH_PAIR(p, &eight) {
            int64_t k = p - room;
            p->dying = p->active & (own < reached[k]);
            angle += where(p->active, smaller(own, spread(reached[k])));
            if (any(p->dying)) time += where(p->dying, time_at(riccati, neurons->n, k, own));
        }
        Place there = moved(&eight, angle);
        EACH_PAIR(p, &eight) p->omega = coordinate(&there, p);
        eight.rho = there.rho;
        eight.eta = there.eta;
        die(&eight, time);
        put(&eight, first, count, neurons);
    }
}
