/* The kernels for x86 processors with AVX-512, as they have been made since 2017.

The pragma comes before all code of theirs: GCC takes vectors that a processor does not have to
pieces long before it would make versions of a function. */

#include "kernels.h"

#ifdef HAS_GENERATIONS
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2")
#define VERSION kernels_of_2017
#include "version.c"
#endif
