"""What a sweep found, from its folder alone: the table, the picture, and how to go on."""

from __future__ import annotations

import io
import shlex
from dataclasses import dataclass
from pathlib import Path

import xarray as xr
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jaxflow.flow.status import Status
from jaxflow.montecarlo.reading import open_sweep
from jaxflow.montecarlo.store import Store
from jaxflow.montecarlo.tally import LEVEL, tally
from jaxflow.plots.sweep import draw_sweep

WIDTH = 118
LISTED = 40
"""Rows printed; the rest is in the table that `SweepReport.table` holds."""
FAILED = [status.name for status in Status if status.failed]


@dataclass(frozen=True)
class SweepReport:
    """Counts of a sweep, of a size that does not grow with the number of runs.

    Attributes:
        path: the folder of the results.
        table: counts, shares and intervals with axes family, width, scale and status.
        interrupted: whether the work was ended by Ctrl-C.
    """

    path: Path
    table: xr.Dataset
    interrupted: bool = False

    @classmethod
    def of(cls, path: str | Path, interrupted: bool = False) -> SweepReport:
        """The report on a folder.

        Raises:
            ValueError: no sweep there, or a damaged chunk.
        """
        return cls(Path(path), tally(Store.open(path)).as_dataset(), interrupted)

    @property
    def done(self) -> int:
        """Number of runs in the folder."""
        return self.table.attrs["done"]

    @property
    def planned(self) -> int:
        """Number of runs that the specification declares."""
        return self.table.attrs["planned"]

    @property
    def complete(self) -> bool:
        """Whether every run is done; failed runs count as done."""
        return self.done == self.planned

    @property
    def exit_status(self) -> int:
        """0 if complete, 1 if not."""
        return 0 if self.complete else 1

    def counts(self) -> dict[str, int]:
        """Number of runs for each status that occurred."""
        totals = self.table["count"].sum(("family", "width", "scale"))
        return {str(word.values): int(n) for word, n in zip(totals.status, totals, strict=True)
                if n}  # fmt: skip

    def open(self) -> xr.Dataset:
        """All results as labelled arrays, as `jaxflow.open_sweep`."""
        return open_sweep(self.path)

    def draw(self, path: str | Path) -> Path:
        """Draw the shares of runs against the scale to a PNG file."""
        draw_sweep(self.table, path)
        return Path(path)

    def __str__(self) -> str:
        text = io.StringIO()
        console = Console(file=text, width=WIDTH, highlight=False)
        console.print(_table(self.table))
        console.print(_ending(self), end="", soft_wrap=True)
        return text.getvalue()


def _table(table: xr.Dataset) -> Table:
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("\ndata", "\nwidth", "scale\nλ", "\nruns"):
        shown.add_column(heading, justify="left" if "data" in heading else "right", no_wrap=True)
    for heading in ("inter-\npolated", "stationary,\nloss > 0", "failed or\nmoving"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("variation norm\nmean ± deviation", justify="right", no_wrap=True)
    rows = table.stack(row=("family", "width", "scale"))
    for index in range(min(rows.sizes["row"], LISTED)):
        shown.add_row(*_row(rows.isel(row=index)))
    if rows.sizes["row"] > LISTED:
        shown.caption = f"and {rows.sizes['row'] - LISTED} more rows, in SweepReport.table"
    return shown


def _row(at: xr.Dataset) -> list[str]:
    norm, deviation = float(at.norm_mean), float(at.norm_deviation)
    names = (at[name].item() for name in ("family", "width", "scale"))
    return [
        *map(str, names),
        str(int(at.runs)),
        _share(at.sel(status="interpolated")),
        _share(at.sel(status="stationary")),
        str(int(at["count"].sel(status=["moving", *FAILED]).sum())),
        f"{norm:.6g} ± {deviation:.2g}" if norm == norm else "–",
    ]


def _share(at: xr.Dataset) -> str:
    if int(at.runs) == 0:
        return "–"
    share, low, high = (float(at[name]) for name in ("share", "low", "high"))
    return f"{share:.3f} [{low:.3f}, {high:.3f}]"


def _ending(report: SweepReport) -> str:
    counts = ", ".join(f"{n} {word.replace('_', ' ')}" for word, n in report.counts().items())
    lines = [
        f"Shares of all runs, failed ones included, with {LEVEL:.0%} binomial intervals.",
        f"{report.done} of {report.planned} runs are done: {counts or 'none'}.",
    ]
    if report.interrupted:
        lines.append("Interrupted; the same command goes on where it stopped.")
    path = shlex.quote(str(report.path))
    lines.append(f'Read them with jaxflow.open_sweep("{report.path}"), integrate one again with')
    lines.append(f"  jaxflow replay {path} --run NUMBER")
    return "\n".join(lines)
