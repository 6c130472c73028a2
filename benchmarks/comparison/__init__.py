"""jaxflow beside the tools that one would use otherwise, on the same problems.

Importing this first pins the linear algebra of every tool to one thread and gives JAX float64, and
the CPU unless it is told otherwise; `jaxflow.ensemble` alone uses all cores, by threads of its own.
"""

import os

PINNED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "JAX_ENABLE_X64": "1",
}
os.environ.update(PINNED)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
