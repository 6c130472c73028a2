"""jaxflow itself: one trajectory alone, and many seeds together."""

import os
import time

import jax
import numpy as np

import jaxflow
from comparison.problems import Problem

NAME = "jaxflow"
LADDER = (1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13)


def prepare(problem: Problem, rtol: float, limit: float):
    """Compile by a first call, and return the call."""
    del limit

    def run():
        flow = jaxflow.gradient_flow(problem.network, problem.dataset, problem.ts, rtol=rtol)
        return np.asarray(flow.outputs)

    run()
    return run


def seeds_per_second(problem: Problem, rtol: float, seeds: int, repeats: int) -> dict:
    """Throughput of `jaxflow.ensemble` on all cores, its first call apart."""
    keys = jax.random.split(jax.random.key(2), seeds)
    options = dict(width=problem.a.size, scale=problem.scale, bias=problem.bias)

    def run():
        many = jaxflow.ensemble(problem.dataset, keys, horizon=problem.end, rtol=rtol, **options)
        return jax.block_until_ready(many.loss)

    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    median = float(np.median(times[1:]))
    return {"seeds": seeds, "seeds_per_s": seeds / median, "setup_s": times[0] - median,
            "threads": os.cpu_count()}  # fmt: skip
