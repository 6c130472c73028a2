"""The table of the ends on inputs that are not orthogonal, and the lists below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jaxflow.experiments.listing import listing
from jaxflow.experiments.minimality import TOLERANCE, Minimality
from jaxflow.flow.status import Status

if TYPE_CHECKING:
    from jaxflow.experiments.verify_report import VerifyReport

INTERPOLATING = (Minimality.minimal, Minimality.not_minimal, Minimality.open)
VERDICTS = (*INTERPOLATING, Minimality.unfitted, Minimality.below_the_bound)


def print_ends(console: Console, report: VerifyReport) -> None:
    """Print all about the ends on inputs that are not orthogonal."""
    console.print(_headline(report.ends))
    for index in range(report.ends.sizes["dataset"]):
        ends = report.ends.isel(dataset=index)
        console.print(_comparator(ends))
        console.print(_table(ends))
    console.print(_legend())
    console.print(listing("Below the certified bound", report.violations, "minimality"))
    console.print(listing("Runs that broke off", report.broken_off, "status"))
    console.print(_summary(report))


def _headline(ends: xr.Dataset) -> str:
    sizes = ends.sizes
    return (
        f"Ends on inputs that are not orthogonal: {sizes['dataset']} data sets × "
        f"{sizes['seed']} seeds × {sizes['scale']} scales, rtol {ends.attrs['rtol']:g}\n"
    )


def _comparator(ends: xr.Dataset) -> str:
    return (
        f"{ends.dataset.values}: n = {int(ends.n)}, d = {int(ends.dim)}, width {int(ends.width)}; "
        f"minimum variation norm in [{float(ends.lower_bound):.13g}, {float(ends.minimum):.13g}], "
        f"{ends.certificate.values}"
    )


def _table(ends: xr.Dataset) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("scale\nλ", no_wrap=True)
    for heading in (
        "\nruns",
        "inter-\npolated",
        "at\nrest",
        "mov-\ning",
        "broke\noff",
        "resid.\nmax",
        "V\nmedian",
        "excess\nfrom",
        "\nto",
        "mini-\nmal",
        "not\nmin.",
        "\nopen",
        "un-\nfitted",
        "below\nbound",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for scale in range(ends.sizes["scale"]):
        table.add_row(*_row(ends.isel(scale=scale)))
    return table


def _row(ends: xr.Dataset) -> list[str]:
    status, word = ends.status.values, ends.minimality.values
    done = word != Minimality.not_run
    fits = np.isin(word, INTERPOLATING) & np.isfinite(ends.variation_norm.values)
    failed = np.array([Status(int(code)).failed for code in status])
    statuses = (Status.interpolated, Status.stationary, Status.moving)
    return [
        str(ends.scale.values),
        str(int(done.sum())),
        *(str(int(np.sum(status == one))) for one in statuses),
        str(int(np.sum(failed))),
        _reduced(np.max, ends.residual.values[fits | (word == Minimality.unfitted)], ".1e"),
        _reduced(np.median, ends.variation_norm.values[fits], ".8g"),
        _reduced(np.min, ends.excess_lower.values[fits], ".4g"),
        _reduced(np.max, ends.excess_upper.values[fits], ".4g"),
        *(str(int(np.sum(word == verdict))) for verdict in VERDICTS),
    ]


def _reduced(reduce, values: np.ndarray, form: str) -> str:
    return format(float(reduce(values)), form) if values.size else "–"


def _legend() -> str:
    return (
        "interpolated: with a certificate. at rest: all forces vanish. excess: certified interval "
        "of V − V*(h), where V is\nthe variation norm and V*(h) the least one for the same outputs "
        f"h. minimal: at most {TOLERANCE:g} of the minimum.\nnot min.: certainly more. open: the "
        "interval does not tell. unfitted: labels are missed, so that the end is no\ninterpolator; "
        "V and excess are those of the others.\n"
    )


def _summary(report: VerifyReport) -> str:
    words = report.ends.minimality.values
    counts = ", ".join(f"{int(np.sum(words == verdict))} {verdict}" for verdict in VERDICTS)
    ends = f"{words.size} ends on inputs that are not orthogonal"
    if report.interrupted:
        done = int(np.sum(words != Minimality.not_run))
        return f"Interrupted: {done} of {ends} were reached: {counts}."
    return f"Of {ends}: {counts}."
