"""The report of `verify` as text: a table, one row for each scale, and the lists below it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jaxflow.experiments.ends_table import print_ends
from jaxflow.experiments.listing import listing
from jaxflow.experiments.verdict import NEAR_TIE, ROUNDING, Verdict
from jaxflow.flow.status import Status

if TYPE_CHECKING:
    from jaxflow.experiments.verify_report import VerifyReport

WIDTH = 118


def render(report: VerifyReport) -> str:
    """The whole report as text."""
    text = io.StringIO()
    console = Console(file=text, width=WIDTH, highlight=False)
    if report.runs is not None:
        _print_runs(console, report)
    if report.runs is not None and report.ends is not None:
        console.print()
    if report.ends is not None:
        print_ends(console, report)
    return text.getvalue().rstrip("\n")


def _print_runs(console: Console, report: VerifyReport) -> None:
    console.print(_headline(report.runs))
    console.print(_table(report.runs))
    console.print(_legend())
    console.print(listing("Counterexamples", report.counterexamples, "finding"))
    console.print(listing("Undecided runs", report.undecided, "status"))
    console.print(_verdict(report))


def _headline(runs: xr.Dataset) -> str:
    sizes = runs.sizes
    return (
        f"Gradient flow on orthogonal inputs: {sizes['dataset']} data sets × {sizes['seed']} seeds "
        f"× {sizes['scale']} scales, rtol {runs.attrs['rtol']:g}"
    )


def _table(runs: xr.Dataset) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("scale\nλ", no_wrap=True)
    for heading in (
        "\nruns",
        "inter-\npolated",
        "hypoth.\nholds",
        "excess\nmedian",
        "there\nmax",
        "elsewhere\nmedian",
        "\nmax",
        "near\nties",
        "\njudged",
        "|V−J|/J\nmax",
        "unde-\ncided",
        "counter-\nexamples",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for index in range(runs.sizes["scale"]):
        table.add_row(*_row(runs.isel(scale=index)))
    return table


def _row(runs: xr.Dataset) -> list[str]:
    done = runs.verdict.values != Verdict.not_run
    ended = np.isin(runs.status.values, (Status.interpolated, Status.stationary))
    inside, excess = runs.hypothesis.values, runs.excess.values
    judged = runs.verdict.isin([Verdict.agrees, Verdict.counterexample]).values

    def number(verdict: Verdict) -> str:
        return str(int(np.sum(runs.verdict.values == verdict)))

    return [
        str(runs.scale.values),
        str(int(done.sum())),
        str(int(np.sum(runs.status.values == Status.interpolated))),
        str(int(np.sum(inside & done))),
        *_median_and_maximum(excess[inside & ended]),
        *_median_and_maximum(excess[~inside & ended]),
        number(Verdict.near_tie),
        str(int(judged.sum())),
        _median_and_maximum(runs.disagreement.values[judged])[1],
        number(Verdict.undecided),
        number(Verdict.counterexample),
    ]


def _median_and_maximum(values: np.ndarray) -> tuple[str, str]:
    if values.size == 0:
        return "–", "–"
    return _number(np.median(values)), _number(np.max(values))


def _number(value: float) -> str:
    return f"{value:.1e}" if value >= ROUNDING else "< 1e-12"


def _legend() -> str:
    return (
        "interpolated: with a certificate. hypothesis: the theorem's, a neuron of each sign is "
        "active on all data\nof that sign. excess: relative excess of the variation norm V over "
        "its certified minimum, near ties included.\nnear ties: λ^separation > "
        f"{NEAR_TIE:g}, not judged. J: variation norm of the limit of the jump process.\n"
    )


def _verdict(report: VerifyReport) -> str:
    verdicts = report.runs.verdict
    agree = int((verdicts == Verdict.agrees).sum())
    if report.interrupted:
        done = int((verdicts != Verdict.not_run).sum())
        return f"Interrupted: {done} of {verdicts.size} runs were done; {agree} agree."
    if report.counterexamples:
        return f"Contradicted: {len(report.counterexamples)} runs; {agree} agree."
    if report.undecided:
        return f"Not settled: {len(report.undecided)} runs are undecided; {agree} agree."
    return f"Confirmed: all {agree} runs judged end where the theory says."
