/* Arithmetic of eight numbers. */

#ifndef ARITHMETIC_H
#define ARITHMETIC_H

#include "eight.h"

#include <math.h>

#define PART static inline __attribute__((always_inline))
#if defined(__clang__)
#define TURNED(x, ...) __builtin_shufflevector(x, x, __VA_ARGS__)
#else
#define TURNED(x, ...) __builtin_shuffle(x, (Choice){__VA_ARGS__})
#endif

PART Vec spread(double x) { return x - (Vec){0}; }

PART Vec chosen(Choice where, Vec yes, Vec no) {
    return (Vec)(((Choice)yes & where) | ((Choice)no & ~where));
}

PART Vec larger(Vec x, Vec y) { return chosen(x > y, x, y); }

PART Vec smaller(Vec x, Vec y) { return chosen(x < y, x, y); }

PART Vec absolute(Vec x) { return larger(x, -x); }

PART Vec not_below_zero(Vec x) { return larger(x, (Vec){0}); }

/* x, and one where it is not above zero. */
PART Vec or_one(Vec x) { return chosen(x > 0, x, spread(1)); }

/* The sum of the eight numbers, eight times. */
PART Vec sum(Vec x) {
    x += TURNED(x, 4, 5, 6, 7, 0, 1, 2, 3);
    x += TURNED(x, 2, 3, 0, 1, 6, 7, 4, 5);
    return x + TURNED(x, 1, 0, 3, 2, 5, 4, 7, 6);
}

PART double largest(Vec x) {
    double most = x[0];
    for (int i = 1; i < WIDE; i++) most = x[i] > most ? x[i] : most;
    return most;
}

PART Vec each(double (*function)(double), Vec x) {
    Vec y = x;
    for (int i = 0; i < WIDE; i++) y[i] = function(x[i]);
    return y;
}

PART Vec root(Vec x) { return each(sqrt, x); }

/* ------------------------------------------------------------- exponentials and logarithms */

/* The logarithm of two, of which so many digits come first that small multiples of them are exact. */
static const double LOG2_HIGH = 0x1.62e42fefp-1, LOG2_LOW = 0x1.473de6af278edp-34;

/* c[0] + c[1] x + ..., an even number of terms, in two halves, which do not wait for each other. */
PART Vec polynomial(const int terms, const double *c, Vec x) {
    Vec squared = x * x, even = spread(c[terms - 2]), odd = spread(c[terms - 1]);
#pragma GCC unroll 16
    for (int i = terms - 4; i >= 0; i -= 2) {
        even = even * squared + c[i];
        odd = odd * squared + c[i + 1];
    }
    return even + x * odd;
}

/* Two to the power of a number from -1022 to 1023. */
PART Vec power_of_two(Choice exponent) { return (Vec)((exponent + 1023) << 52); }

/* exp(x) to little more than one unit of the last place: 2^k exp(r), k the nearest whole number. */
PART Vec exponential(Vec x) {
    static const double series[] = {
        1 / 2.0, 1 / 6.0, 1 / 24.0, 1 / 120.0, 1 / 720.0, 1 / 5040.0, 1 / 40320.0, 1 / 362880.0,
        1 / 3628800.0, 1 / 39916800.0, 1 / 479001600.0, 1 / 6227020800.0,
    };
    const Vec shift = spread(0x1.8p52);
    x = chosen(x < -746, spread(-746), chosen(x > 710, spread(710), x));
    Vec shifted = x * M_LOG2E + shift, k = shifted - shift;
    Choice exponent = (Choice)shifted - (Choice)shift, half = exponent >> 1;
    Vec r = x - k * LOG2_HIGH - k * LOG2_LOW, found = 1 + (r + r * r * polynomial(12, series, r));
    return found * power_of_two(half) * power_of_two(exponent - half);
}

/* log(x) to one unit of the last place, of numbers above 1e-308, of zero and of infinity: with
   x = 2^k (1 + f) and s = f/(2 + f),
   log(1 + f) = 2 (s + s^3/3 + ...) = f - (f^2/2 - s (f^2/2 + 2 s^2/3 + ...)). */
PART Vec logarithm(Vec x) {
    static const double series[] = {
        2 / 3.0, 2 / 5.0, 2 / 7.0, 2 / 9.0, 2 / 11.0, 2 / 13.0, 2 / 15.0, 2 / 17.0, 2 / 19.0, 2 / 21.0,
    };
    const Choice least = (Choice)spread(M_SQRT1_2);
    Choice exponent = ((Choice)x - least) >> 52;
    Vec shift = spread(0x1.8p52), k = (Vec)((Choice)shift + exponent) - shift;
    Vec f = (Vec)((Choice)x - (exponent << 52)) - 1, s = f / (2 + f), z = s * s;
    Vec half = 0.5 * f * f, rest = z * polynomial(10, series, z);
    Vec found = k * LOG2_HIGH - ((half - (s * (half + rest) + k * LOG2_LOW)) - f);
    return chosen(x == 0, spread(-INFINITY), chosen(x < INFINITY, found, x));
}

#endif
