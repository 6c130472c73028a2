"""The picture of `verify`: the excess as λ decreases, and the distance from the jump process."""

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INSIDE, OUTSIDE = "#1b4f8a", "#e08a1e"
"""Within the theorem's hypothesis and outside of it: dark and light also in grey."""
SMALLEST = 1e-12
"""Smaller numbers are drawn at this one."""
SMALLEST_FACTOR = 1e-15


def draw_verification(runs: xr.Dataset, path: str | Path) -> None:
    """Draw the runs of a `VerifyReport` that came to an end to a PNG file."""
    words = runs.verdict.attrs["flag_meanings"].split()
    known = ~runs.verdict.isin([words.index("not_run"), words.index("undecided")])
    runs = runs.assign({name: runs[name].where(known) for name in ("excess", "disagreement")})
    figure = Figure(figsize=(10.5, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    draw_excess(left, runs)
    draw_disagreement(right, runs)
    figure.savefig(path, dpi=160)


def draw_excess(axes: Axes, runs: xr.Dataset) -> None:
    """Relative excess over the minimum variation norm, a thin line for each initialisation."""
    digits = -runs.log_scale.values / np.log(10)
    excess = runs.excess.values.reshape(-1, digits.size)
    inside = runs.hypothesis.values.ravel()
    for chosen, colour, marker, label in (
        (~inside, OUTSIDE, "s", "hypothesis fails"),
        (inside, INSIDE, "o", "hypothesis holds"),
    ):
        if not chosen.any():
            continue
        lines = np.maximum(excess[chosen], SMALLEST).T
        axes.plot(digits, lines, color=colour, lw=0.6, alpha=0.25)
        median = [
            np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in lines
        ]
        axes.plot(digits, median, color=colour, marker=marker, lw=2.5, ms=7, mec="white")
        name = f"{label}: {chosen.sum()} starts, median bold"
        axes.plot([], [], color=colour, marker=marker, lw=2.5, label=name)
    axes.set(xscale="log", yscale="log", ylim=(SMALLEST / 3, 300))
    axes.set_xticks(digits, [f"$10^{{-{d:g}}}$" for d in np.round(digits, 3)])
    axes.minorticks_off()
    axes.set(xlabel="initialisation scale λ  (smaller to the right)")
    axes.set(ylabel=r"$(V - V_{\min})\,/\,V_{\min}$  at the end of the flow")
    axes.set_title("Excess over the certified minimum variation norm", fontsize=11)
    axes.legend(loc="upper right", fontsize=8.5, framealpha=0.9)


def draw_disagreement(axes: Axes, runs: xr.Dataset) -> None:
    """Relative distance from the jump process's norm against λ^separation, with the bounds."""
    factor = np.maximum(runs.near_tie_factor.values, SMALLEST_FACTOR).ravel()
    distance = np.maximum(runs.disagreement.values, SMALLEST).ravel()
    inside = np.broadcast_to(runs.hypothesis.values[..., None], runs.disagreement.shape).ravel()
    near_tie, first, second = (runs.attrs[k] for k in ("near_tie", "first_order", "second_order"))
    axes.axvspan(near_tie, 2, color="0.9", lw=0)
    axes.text(0.04, 1e-11, "near ties,\nnot judged", ha="center", fontsize=8.5, color="0.25")
    for chosen, colour, marker in ((~inside, OUTSIDE, "s"), (inside, INSIDE, "o")):
        style = dict(color=colour, marker=marker, ms=3.2, alpha=0.55, mew=0, ls="")
        axes.plot(factor[chosen], distance[chosen], **style)
    f = np.logspace(np.log10(SMALLEST_FACTOR), np.log10(near_tie), 400)
    floor = 10 * runs.attrs["rtol"]
    axes.plot(
        f,
        first * f + floor,
        color=OUTSIDE,
        lw=1.5,
        ls="--",
        label="bound where the hypothesis fails",
    )
    axes.plot(f, second * f**2 + floor, color=INSIDE, lw=1.5, label="bound where it holds")
    axes.set(xscale="log", yscale="log", ylim=(SMALLEST / 3, 300))
    axes.set_xlim(2, SMALLEST_FACTOR / 2)
    axes.set(xlabel=r"$\lambda^{\min(\mathrm{separation},\,1)}$  (smaller to the right)")
    axes.set(ylabel=r"$|V - V_{\mathrm{jump}}|\,/\,V_{\mathrm{jump}}$")
    axes.set_title("Distance from the limit of the jump process", fontsize=11)
    axes.legend(loc="upper right", fontsize=8.5, framealpha=0.9)
