/* The kernels for any processor, and which version is for the one at hand. */

#include "kernels.h"

#define VERSION kernels_of_any
#include "version.c"

#ifdef HAS_GENERATIONS
const Kernels *kernels(void) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return &kernels_of_any;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &kernels_of_2017;
    return &kernels_of_2013;
}
#else
const Kernels *kernels(void) { return &kernels_of_any; }
#endif
