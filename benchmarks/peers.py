"""jaxflow beside heyoka, SciPy, diffrax, SUNDIALS and torchdiffeq, on the same data in one run.

    python benchmarks/peers.py [--out FILE.json] [--plot FILE.png] [--quick] [--high-dimensional]

`pip install ".[bench]"` brings the tools; those that are not installed are named and left out.
Every tool gets the same m (1 + q) unknowns and one core. The error beside a time is
max over times and data of |h − h*| / Σ_j |a_j| max(⟨w_j, x_k⟩, 0), the reference h* being a Taylor
series in extended precision that shares nothing with any tool (where neurons slide, jaxflow's own
strictest run). A tool is listed at the loosest tolerance of its ladder that meets 1e-11, or at its
most accurate one. Compilation and other preparation is told apart. Seeds a second: jaxflow's are
measured, by `jaxflow.ensemble` on all cores at the loosest tolerance at which its own error meets
1e-11, where outputs are above a thousandth of the labels; the others' follow from the time of one
run, as if every core did as well as one alone.
"""

import argparse
import json
import os
import platform

from comparison import PINNED, measure, problems, tools
from comparison.picture import draw
from comparison.table import markdown
from comparison.tools import jaxflow_flow

SEEDS = 1024
"""Seeds of an ensemble."""


def main() -> None:
    """Measure, print the tables, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="JSON file")
    parser.add_argument("--plot", help="PNG file of error against time")
    parser.add_argument("--quick", action="store_true", help="very small problems, to see it work")
    parser.add_argument("--high-dimensional", action="store_true", help="P3 as well; takes minutes")
    parser.add_argument("--limit", type=float, default=6.0, help="seconds allowed to a run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tools", nargs="*", help="names in benchmarks/comparison/tools")
    asked = parser.parse_args()
    results = compare(asked)
    print(markdown(results))
    if asked.out:
        with open(asked.out, "w") as file:
            json.dump(results, file, indent=1)
    if asked.plot:
        draw(results, asked.plot)


def compare(asked) -> dict:
    """All results, ready for JSON."""
    found, missing = tools.installed()
    if asked.tools:
        found = [t for t in found if t.__name__.split(".")[-1] in ("jaxflow_flow", *asked.tools)]
    for module in missing:
        print(f"left out, not installed: {module}")
    results = {"machine": platform.platform(), "cores": os.cpu_count(), "pinned": PINNED,
               "versions": tools.versions(), "missing": missing, "problems": {}}  # fmt: skip
    for problem in problems.chosen(asked.quick, asked.high_dimensional):
        print(f"{problem.name} ...", flush=True)
        results["problems"][problem.name] = one(problem, found, asked)
    return results


def one(problem, found, asked) -> dict:
    """Results of all tools on one problem."""
    truth = measure.reference(problem)
    rows = {}
    for tool in found:
        limit = max(asked.limit, 600.0) if tool is jaxflow_flow else asked.limit
        rows[tool.NAME] = measure.ladder(tool, problem, truth, limit, asked.repeats)
        print(f"  {tool.NAME}: {measure.best(rows[tool.NAME])}", flush=True)
    many = None
    if problem.orthogonal and not asked.quick:
        times = min(asked.repeats, 3)
        many = jaxflow_flow.seeds_together(problem, truth, measure.WANTED, SEEDS, times)
        print(f"  ensemble: {many}", flush=True)
    return {"end": problem.end, "cores": os.cpu_count(), "reference": truth.origin,
            "independent": problem.orthogonal, "tools": rows, "ensemble": many}  # fmt: skip


if __name__ == "__main__":
    main()
