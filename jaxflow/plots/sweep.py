"""The picture of a sweep: how often runs end in which way, against the scale."""

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MOST_LINES = 8
"""More combinations of data and width than this are drawn as a map."""
MARKERS = "osD^vP*X"
PANELS = (("interpolated", "Zero loss"), ("stationary", "At rest at positive loss"))


def draw_sweep(table: xr.Dataset, path: str | Path) -> None:
    """Draw the table of a `SweepReport` to a PNG file: lines with intervals, or a map of shares."""
    rows = [
        (str(family), int(width)) for family in table.family.values for width in table.width.values
    ]
    as_map = len(rows) > MOST_LINES
    height = 2.2 + 0.26 * len(rows) if as_map else 4.4
    figure = Figure(figsize=(11, min(max(height, 4.4), 40)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (status, title) in zip(figure.subplots(1, 2), PANELS, strict=True):
        if as_map:
            draw_map(axes, table.sel(status=status), rows)
        else:
            draw_lines(axes, table.sel(status=status), rows)
        axes.set_title(title, fontsize=11)
    done, planned = table.attrs["done"], table.attrs["planned"]
    figure.suptitle(f"{done:,} of {planned:,} runs, failed ones included", fontsize=10)
    figure.savefig(path, dpi=150)


def draw_lines(axes: Axes, table: xr.Dataset, rows: list[tuple[str, int]]) -> None:
    """Shares with their binomial intervals, a line for each combination of data and width."""
    place = np.arange(table.sizes["scale"])
    for number, (family, width) in enumerate(rows):
        at = table.sel(family=family, width=width)
        share = at.share.values
        below, above = share - at.low.values, at.high.values - share
        grey = str(0.75 * number / max(len(rows) - 1, 1))
        colour = grey if len(rows) > 4 else COLOURS[number]
        shift = 0.06 * (number - (len(rows) - 1) / 2)
        axes.errorbar(
            place + shift, share, np.maximum([below, above], 0), color=colour, lw=1.5, capsize=3,
            marker=MARKERS[number], ms=6, mec="white", label=f"{family}, width {width}",
        )  # fmt: skip
    _label_scales(axes, table)
    axes.set(ylabel="share of runs", ylim=(-0.03, 1.03))
    axes.legend(fontsize=8.5, framealpha=0.9)


COLOURS = ("#1b4f8a", "#e08a1e", "#4d9a6a", "#b5a5d6")


def draw_map(axes: Axes, table: xr.Dataset, rows: list[tuple[str, int]]) -> None:
    """Shares as shades, a row for each combination of data and width."""
    shares = table.share.transpose("family", "width", "scale").values
    image = axes.imshow(shares.reshape(len(rows), -1), vmin=0, vmax=1, cmap="viridis",
                        aspect="auto", interpolation="nearest")  # fmt: skip
    axes.set_yticks(range(len(rows)), [f"{family}, {width}" for family, width in rows], fontsize=8)
    axes.set_ylabel("data, width")
    _label_scales(axes, table)
    axes.figure.colorbar(image, ax=axes, label="share of runs")


def _label_scales(axes: Axes, table: xr.Dataset) -> None:
    labels = [str(label) for label in table.scale.values]
    step = -(-len(labels) // 10)
    axes.set_xticks(range(0, len(labels), step), labels[::step])
    axes.set_xlabel("initialisation scale λ")
