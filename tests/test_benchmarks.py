"""The comparison with other tools and the cost curves run, and what they compare is right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def run(name: str, folder: Path, *arguments) -> tuple[str, dict]:
    """What a benchmark printed, and its JSON; its picture must not be empty."""
    out, plot = folder / "out.json", folder / "plot.png"
    command = [sys.executable, BENCHMARKS / name, "--quick", "--out", out, "--plot", plot]
    command = [str(part) for part in (*command, "--repeats", 1, *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert plot.stat().st_size > 10_000
    return done.stdout, json.loads(out.read_text())


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    chosen = ("dop853_restarts", "diffrax_tsit5", "heyoka_events", "cvode_roots")
    return run("peers.py", tmp_path_factory.mktemp("peers"), "--tools", *chosen)


def test_every_tool_solves_the_same_problem(compared):
    (problem,) = compared[1]["problems"].values()
    assert problem["independent"] and problem["reference"].startswith("Taylor series")
    least = {
        tool: min(row["error"] for row in rows if row["error"] is not None)
        for tool, rows in problem["tools"].items()
    }
    assert least["jaxflow"] < 1e-12
    assert {"SciPy DOP853, event restarts", "diffrax Tsit5"} <= set(least)
    assert all(error < 1e-6 for error in least.values()), least


def test_a_tighter_tolerance_is_more_accurate(compared):
    (problem,) = compared[1]["problems"].values()
    for tool, rows in problem["tools"].items():
        if tool != "jaxflow":
            assert rows[-1]["error"] < 0.01 * rows[0]["error"], tool


def test_the_table_names_every_tool(compared):
    printed, results = compared
    (problem,) = results["problems"].values()
    for tool in problem["tools"]:
        assert f"| {tool} | " in printed


def test_cost_curves(tmp_path):
    printed, curves = run("curves.py", tmp_path)
    assert curves["scale"]["sizes"] == [1e-6, 1e-300]
    assert all(seconds > 0 for seconds in curves["scale"]["seconds"])
    assert "times as long as 1e-6" in printed
