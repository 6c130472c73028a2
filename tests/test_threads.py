"""Other threads compute as the one that asks does."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from jaxflow.threads import Threads, _with_precision, as_here

FLOAT64_FOR_ONE_THREAD = """
import jax, jaxflow
from jaxflow.threads import _with_precision
assert not jax.config.jax_enable_x64
with _with_precision(True):
    toy, keys = jaxflow.datasets.toy(), jax.random.split(jax.random.key(0), 3)
    runs = jaxflow.ensemble(toy, keys, width=8, scale=1e-6, bias=True)
assert runs.loss.dtype == "float64" and len(runs) == 3, runs
assert set(runs.counts()) <= {"interpolated", "stationary"}, runs
"""


def dtype_and_device(_=None):
    there = jnp.asarray(np.ones(2))
    return there.dtype, jax.config.jax_default_device


def test_precision_and_device_come_along():
    device = jax.devices()[0]
    with Threads(2) as pool, ThreadPoolExecutor(1) as usual:
        with _with_precision(False), jax.default_device(device):
            assert list(pool.map(dtype_and_device, range(4))) == [(np.float32, device)] * 4
            assert usual.submit(dtype_and_device).result() == (np.float64, None)
            carried = as_here(dtype_and_device)
        assert usual.submit(carried).result() == (np.float32, device)
        assert usual.submit(dtype_and_device).result() == (np.float64, None)
        assert pool.submit(dtype_and_device).result() == (np.float64, None)


def test_an_ensemble_where_float64_is_on_for_one_thread():
    command = [sys.executable, "-c", FLOAT64_FOR_ONE_THREAD]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
