"""Shared by all tests: float64, and what keeps compilation from taking most of the time.

Programs are kept on disk, for both workers and for processes started by tests; and they are all
compiled in the quick way that `jaxflow.compilation` keeps for small ones, where jaxlib has it. (The
usual way is that of any newer jaxlib, and of `test_compilation`.) LLVM optimises them
only in files that ask for programs as a user has them, see `optimised`, and in processes that tests
start.
"""

import atexit
import gc
import os
import shutil
import tempfile
import warnings
from importlib.metadata import version

KEPT = "JAX_COMPILATION_CACHE_DIR"
if KEPT not in os.environ:  # processes started from here, and by the tests, find it set
    os.environ[KEPT] = tempfile.mkdtemp(prefix="programs-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    atexit.register(shutil.rmtree, os.environ[KEPT], ignore_errors=True)

QUICK = "--xla_cpu_use_fusion_emitters=false"
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):  # what newer ones do not know
    os.environ["XLA_FLAGS"] = f"{QUICK} {os.environ.get('XLA_FLAGS', '')}".strip()

import jax  # noqa: E402
import pytest  # noqa: E402

from jaxflow.programs import make_room  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)
gc.set_threshold(50_000, 20, 100)  # programs that are kept have millions of objects to go through


@pytest.fixture(autouse=True)
def room_for_programs():
    """Compiled programs are forgotten before the process runs out of memory maps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        make_room()


@pytest.fixture(scope="module")
def optimised():
    """Programs of one file as a user has them; none that was compiled before serves here, or later.

    For files in which last digits matter: a neuron that shrinks before it grows makes much of the
    rounding of its start.
    """
    jax.clear_caches()
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.clear_caches()
    jax.config.update("jax_disable_most_optimizations", True)
