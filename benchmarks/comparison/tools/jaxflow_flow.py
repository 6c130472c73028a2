"""jaxflow itself: one trajectory alone, and many seeds together."""

import os
import time

import jax
import jax.numpy as jnp
import numpy as np

import jaxflow
from comparison.problems import Problem
from comparison.taylor import Reference

NAME = "jaxflow"
LADDER = (1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13)
OTHERS = 31
"""Runs of an ensemble beside the one whose error is measured."""
VISIBLE = 1e-3
"""Sizes of outputs beside the labels from which on errors of an ensemble are measured."""


def prepare(problem: Problem, rtol: float, limit: float):
    """Compile by a first call, and return the call."""
    del limit

    def run():
        flow = jaxflow.gradient_flow(problem.network, problem.dataset, problem.ts, rtol=rtol)
        return np.asarray(flow.outputs)

    run()
    return run


def seeds_together(problem: Problem, truth: Reference, wanted: float, seeds: int, repeats: int):
    """Throughput of `jaxflow.ensemble` at the loosest tolerance that meets the wanted error."""
    least = VISIBLE * float(np.max(np.abs(problem.y)))
    row = {}
    for rtol in LADDER:
        row = {"rtol": rtol, "error": truth.error(_outputs(problem, rtol), least)}
        if row["error"] <= wanted:
            break
    return row | _seeds_per_second(problem, row["rtol"], seeds, repeats)


def _outputs(problem: Problem, rtol: float) -> np.ndarray:
    """What an ensemble makes of the run that the reference follows: one ensemble for each time.

    They are y − r, of which at small outputs only a few digits are left.
    """
    own = jax.random.key(problem.seed)[None]
    keys = jnp.concatenate([own, jax.random.split(jax.random.key(2), OTHERS)])
    many = [_ensemble(problem, keys, float(t), rtol) for t in problem.ts[1:]]
    later = [problem.y - np.asarray(ends.residual[0]) for ends in many]
    return np.stack([np.zeros_like(problem.y), *later])


def _seeds_per_second(problem: Problem, rtol: float, seeds: int, repeats: int) -> dict:
    """Throughput on all cores, the first call apart."""
    keys = jax.random.split(jax.random.key(2), seeds)
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        jax.block_until_ready(_ensemble(problem, keys, problem.end, rtol).loss)
        times.append(time.perf_counter() - started)
    median = float(np.median(times[1:]))
    return {"seeds": seeds, "seeds_per_s": seeds / median, "setup_s": times[0] - median,
            "threads": os.cpu_count()}  # fmt: skip


def _ensemble(problem: Problem, keys, horizon: float, rtol: float) -> jaxflow.Ensemble:
    options = dict(width=problem.a.size, scale=problem.scale, bias=problem.bias)
    return jaxflow.ensemble(problem.dataset, keys, horizon=horizon, rtol=rtol, **options)
