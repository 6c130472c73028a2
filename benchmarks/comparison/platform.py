"""What one platform does: runs alone, ensembles, and wide networks."""

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

import jaxflow
from comparison import cost
from comparison.problems import Problem
from jaxflow.montecarlo.ensemble import WAVES, default_batch
from jaxflow.platform import is_cpu

RTOL = 1e-11
WIDTHS = (10_000, 1_000_000)
MANY = 10**6
"""More runs than are ever under way at the same time."""
COMPARED = 64
"""Runs whose ends are compared between platforms."""


def measured(known: list, quick: bool, repeats: int, ends: Path) -> dict:
    """A row for everything that is measured; `ends` holds those of the first platform."""
    rows = {}
    for name, row in _rows(known, quick, repeats, _Ends(ends)):
        rows[name] = row
        print(f"  {name}: {row['text']}", flush=True)
    return {"device": str(jax.devices()[0].device_kind), "rows": rows}


def _rows(known: list, quick: bool, repeats: int, ends: "_Ends") -> Iterator[tuple[str, dict]]:
    for problem, truth in known:
        yield f"{problem.name}, one run", _alone(problem, truth, repeats)
    for problem, _ in known:
        yield f"{problem.name}, ensemble", _ensemble(problem, repeats, ends)
    for m in () if quick else WIDTHS:
        yield f"toy, {m} neurons", _wide(m, repeats)


def _alone(problem: Problem, truth, repeats: int) -> dict:
    def run():
        flow = jaxflow.gradient_flow(problem.network, problem.dataset, problem.ts, rtol=RTOL)
        return flow.outputs

    outputs, setup, seconds = cost.timed(run, 3 * repeats)
    error = truth.error(np.asarray(outputs))
    text = f"{1e3 * seconds:.3g} ms, error {error:.1e}"
    return {"seconds": seconds, "setup_s": setup, "error": error, "text": text}


def _ensemble(problem: Problem, repeats: int, ends: "_Ends") -> dict:
    width = problem.a.size
    batch = default_batch(problem.dataset, width, MANY)
    runs = 2 * batch * (os.cpu_count() if is_cpu() else WAVES)
    keys = jax.random.split(jax.random.key(2), runs)
    options = dict(width=width, scale=problem.scale, bias=problem.bias, rtol=RTOL)

    def run():
        return jaxflow.ensemble(problem.dataset, keys, horizon=problem.end, **options)

    many, setup, seconds = cost.timed(run, repeats)
    apart = ends.difference(problem.name, np.asarray(many.variation_norm)[:COMPARED])
    text = f"{runs / seconds:,.0f} seeds/s (batch {batch}), ends {apart:.0e}"
    return {"seconds": seconds, "setup_s": setup, "runs": runs, "batch": batch, "ends": apart,
            "status": many.counts(), "memory": _memory(), "text": text}  # fmt: skip


def _wide(m: int, repeats: int) -> dict:
    _, setup, seconds = cost.timed(cost.width(m), repeats)
    text = f"{1e3 * seconds:.3g} ms"
    return {"seconds": seconds, "setup_s": setup, "text": text}


def _memory() -> int | None:
    """Most bytes in use so far, where the platform tells."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


class _Ends:
    """Variation norms at the ends of the first platform's runs, in a file."""

    def __init__(self, path: Path):
        self.path = path

    def difference(self, name: str, norms: np.ndarray) -> float:
        """The largest relative difference from them; zero if these are the first."""
        kept = dict(np.load(self.path)) if self.path.exists() else {}
        first = kept.setdefault(name, norms)
        np.savez(self.path, **kept)
        count = min(first.size, norms.size)
        return float(np.max(np.abs(norms[:count] / first[:count] - 1)))
