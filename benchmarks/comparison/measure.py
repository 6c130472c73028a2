"""Times and errors of one tool on one problem, over its ladder of tolerances."""

import time

import numpy as np

import jaxflow
from comparison.masked import NotFinished
from comparison.one_core import one_core
from comparison.problems import Problem
from comparison.taylor import Reference, taylor_reference

WANTED = 1e-11
"""Error at which tools are compared."""
SHORT, ENOUGH = 2.0, 0.5
"""Seconds: shorter runs are repeated, and together they take at least so long."""


def reference(problem: Problem) -> Reference:
    """The reference: Taylor series on orthogonal inputs, and jaxflow's strictest run on others."""
    if problem.orthogonal:
        return taylor_reference(problem)
    options = {"rtol": 1e-14, "closed_form": False, "max_steps": 10**7, "max_events": 100_000}
    run = jaxflow.gradient_flow(problem.network, problem.dataset, problem.ts, **options)
    parts = np.maximum(np.asarray(run.w) @ np.asarray(problem.dataset.x).T, 0)
    sizes = np.einsum("tm,tmn->tn", np.abs(run.a), parts)
    origin = "jaxflow, rtol = 1e-14, no closed forms"
    return Reference(np.asarray(run.outputs), sizes, origin)


def ladder(tool, problem: Problem, truth: Reference, limit: float, repeats: int) -> list[dict]:
    """One row for each tolerance; the rest are left out after a run that does not finish."""
    rows = []
    for rtol in tool.LADDER:
        row = measure(tool, problem, truth, rtol, limit, repeats)
        rows.append(row)
        if row["error"] is None:
            break
    return rows


def measure(tool, problem: Problem, truth: Reference, rtol, limit: float, repeats: int) -> dict:
    """Seconds of preparation; median seconds of a run on one core, and its error."""
    started = time.perf_counter()
    run = tool.prepare(problem, rtol, limit)
    setup = time.perf_counter() - started
    row = {"rtol": rtol, "setup_s": setup, "time_s": None, "error": None, "reached": None}
    with one_core():
        return row | _timed(run, truth, repeats)


def _timed(run, truth: Reference, repeats: int) -> dict:
    """Median seconds and error, or how far it came before its time was up."""
    times = []
    try:
        while not times or (times[0] < SHORT and (len(times) < repeats or sum(times) < ENOUGH)):
            started = time.perf_counter()
            outputs = run()
            times.append(time.perf_counter() - started)
    except NotFinished as stop:
        return {"reached": float(stop.args[0]), "time_s": time.perf_counter() - started}
    return {"time_s": float(np.median(times)), "error": truth.error(outputs)}


def best(rows: list[dict]) -> dict:
    """The loosest tolerance that meets the wanted error, else the most accurate, else the last."""
    finished = [row for row in rows if row["error"] is not None]
    good = [row for row in finished if row["error"] <= WANTED]
    if good:
        return good[0]
    return min(finished, key=lambda row: row["error"]) if finished else rows[-1]
