/* Eight numbers, which are one vector of the widest processors. */

#ifndef EIGHT_H
#define EIGHT_H

#include <stdint.h>

enum { WIDE = 8 };

typedef double Vec __attribute__((vector_size(WIDE * sizeof(double))));
typedef int64_t Choice __attribute__((vector_size(WIDE * sizeof(double))));

/* -log of a size whose square is zero. */
static const double VANISHED = 1e4;

#endif
