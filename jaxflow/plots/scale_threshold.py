"""How small is small: the departure from the limit on the ladder of scales, and λ* of all runs."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxflow.analysis.scale_threshold import DECADES, ScaleThresholds
from jaxflow.plots.canvas import MEASURED, PREDICTED, new_figure, save

SMALLEST = 1e-12
"""Smaller departures are drawn at this one."""


def draw_scale_thresholds(found: ScaleThresholds, path: str | Path | None = None) -> Figure:
    """Draw the ladder of every initialisation and the distribution of λ*."""
    figure = new_figure(10.5, 4.2)
    left, right = figure.subplots(1, 2)
    draw_ladder(left, found)
    draw_distribution(right, found)
    return save(figure, path)


def draw_ladder(axes: Axes, found: ScaleThresholds) -> None:
    """|V − V_0|/V_0 against −log10 λ, one line for each initialisation."""
    lines = np.maximum(found.excess, SMALLEST).T
    axes.plot(DECADES, lines, color=MEASURED, lw=0.8, alpha=0.5)
    axes.plot([], [], color=MEASURED, lw=0.8, label="one initialisation each")
    axes.axhline(found.within, color=PREDICTED, ls="--", lw=1.5, label=f"δ = {found.within:g}")
    axes.set(xscale="log", yscale="log", xlabel=r"$-\log_{10}\lambda$  (smaller λ to the right)")
    axes.set(ylabel=r"$|V - V_0|/V_0$", ylim=(SMALLEST / 3, 3 * np.nanmax(lines)))
    axes.set_title("Departure from the limit λ → 0", fontsize=11)
    axes.legend(fontsize=8.5, loc="upper right", framealpha=0.95)


def draw_distribution(axes: Axes, found: ScaleThresholds) -> None:
    """Share of the initialisations for which a scale is small enough."""
    decades = np.sort(found.decades[np.isfinite(found.decades)])
    share = np.arange(1, decades.size + 1) / found.decades.size
    axes.step(np.append(decades, max(DECADES[3], 1.3 * decades[-1])), np.append(share, share[-1]),
              where="post", color=MEASURED, lw=2)  # fmt: skip
    for quantile in (0.5, 0.9):
        value = found.quantile(quantile)
        if np.isfinite(value):
            axes.plot([value, value], [0, quantile], color="0.5", ls=":", lw=1.2)
            axes.text(value, quantile - 0.06, f" 1e-{value:.3g}", fontsize=8.5, va="top")
    axes.set(xlabel=r"$-\log_{10}\lambda^*$", ylabel="share small enough", ylim=(0, 1.03))
    axes.set_title(f"λ that is enough for δ = {found.within:g}", fontsize=11)
