"""Time and error of the flow: compilation, one run alone, and seeds a second in a batch.

    python benchmarks/flow.py [--seeds 64] [--repeats 5] [--json FILE]

Problems: the toy (m = 60, λ = 1e-6), orthogonal data (n = 10 in R^20, m = 100, three scales), five
points (m = 12, λ = 1e-6, to t = 1000). The error is max over times and data of
|h − h*| / Σ_j |a_j| max(⟨w_j, x_k⟩, 0) against a run at rtol = 1e-13. Times are medians over the
repeats, on the threads that the batch uses; set OMP_NUM_THREADS=1 to pin the linear algebra.
"""

import argparse
import json
import os
import platform
import statistics
import time

import jax
import numpy as np

import jaxflow

jax.config.update("jax_enable_x64", True)


def problems():
    """Name, data set, width, scale, bias and horizon of each problem."""
    toy, five = jaxflow.datasets.toy(), jaxflow.datasets.five_points()
    orthogonal = jaxflow.datasets.random_orthogonal(jax.random.key(0), 10, 20)
    yield "toy", toy, 60, 1e-6, True, 60.0
    for scale in (1e-3, 1e-6, 1e-12):
        yield f"orthogonal λ={scale:g}", orthogonal, 100, scale, False, None
    yield "five points", five, 12, 1e-6, True, 1000.0


def timed(call):
    """Seconds of one call, waited for."""
    started = time.perf_counter()
    result = jax.block_until_ready(call())
    return time.perf_counter() - started, result


def error(run, reference) -> float:
    """Error of the outputs relative to the sum of their parts."""
    w, a = np.asarray(reference.w), np.asarray(reference.a)
    x = np.asarray(reference.launch.problem.span.basis)
    parts = np.maximum(np.einsum("tmd,qd->tmq", w, x), 0)
    if reference.launch.problem.span.orthogonal:
        parts = parts * np.asarray(reference.launch.problem.span.rows)
    else:
        rows = np.asarray(reference.launch.problem.span.rows)
        parts = np.maximum(np.einsum("tmd,qd,nq->tmn", w, x, rows), 0)
    size = np.einsum("tm,tmn->tn", np.abs(a), parts)
    difference = np.abs(np.asarray(run.outputs) - np.asarray(reference.outputs))
    return float(np.max(np.where(size > 0, difference / np.where(size > 0, size, 1), 0)))


def measure(dataset, width, scale, bias, horizon, seeds, repeats) -> dict:
    """All figures of one problem."""
    keys = jax.random.split(jax.random.key(1), seeds)
    network = jaxflow.init.balanced(keys[0], width, dataset.dim, scale=scale, bias=bias)
    end = horizon or float(jaxflow.gradient_flow(network, dataset).end_time)
    ts = np.linspace(0, end, 21)

    def alone(rtol=1e-11):
        return jaxflow.gradient_flow(network, dataset, ts, rtol=rtol)

    def batch():
        options = dict(width=width, scale=scale, bias=bias, horizon=horizon)
        return jaxflow.ensemble(dataset, keys, **options).loss

    first, run = timed(alone)
    single = statistics.median(timed(alone)[0] for _ in range(repeats))
    first_batch, _ = timed(batch)
    together = statistics.median(timed(batch)[0] for _ in range(repeats))
    return {
        "compilation_s": first - single,
        "single_ms": 1e3 * single,
        "error": error(run, alone(1e-13)),
        "steps": int(run.counts.attempted),
        "batch_compilation_s": first_batch - together,
        "seeds_per_s": seeds / together,
    }


def main() -> None:
    """Measure every problem, print a table, and write the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json")
    asked = parser.parse_args()
    print(f"jax {jax.__version__}, {os.cpu_count()} cores, {platform.processor()}")
    print(
        f"{'problem':22}{'compile s':>10}{'single ms':>11}{'error':>10}{'steps':>7}{'seeds/s':>9}"
    )
    results = {}
    for name, *problem in problems():
        row = results[name] = measure(*problem, asked.seeds, asked.repeats)
        print(
            f"{name:22}{row['compilation_s']:10.1f}{row['single_ms']:11.2f}{row['error']:10.1e}"
            f"{row['steps']:7d}{row['seeds_per_s']:9.1f}",
            flush=True,
        )
    if asked.json:
        with open(asked.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
