"""The picture of mild overparametrisation: probability of interpolation, ratio of norms."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxflow.plots.sheet import sheet

STYLES = (("#1b4f8a", "o"), ("#e08a1e", "s"), ("0.35", "^"), ("#5aa0d8", "D"), ("0.65", "v"))
THRESHOLD = 2 / np.log(2)
"""m/log n at which half of the neurons, those of one sign, cover n data with fair coins."""


def draw_overparametrisation(study, path: str | Path | None = None) -> Figure:
    """Draw a `jaxflow.experiments.Overparametrisation`; save to `path` if given."""
    figure = sheet(10.5, 4.2)
    left, right = figure.subplots(1, 2)
    draw_probability(left, study)
    draw_ratio(right, study)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def draw_probability(axes: Axes, study) -> None:
    """Share of interpolating limits with 95 % intervals."""
    for i, n in enumerate(study.sizes):
        colour, marker = STYLES[i % len(STYLES)]
        found = np.array([study.probability(i, j) for j in range(len(study.widths[i]))]).T
        bars = np.abs(found[1:] - found[0])
        axes.errorbar(
            np.array(study.widths[i]) / np.log(n), found[0], yerr=bars, color=colour, marker=marker,
            lw=1.3, ms=5, capsize=2.5, label=f"n = {n}",
        )  # fmt: skip
    axes.axvline(THRESHOLD, color="0.6", ls="--", lw=1, label="2/log 2")
    axes.set(xlabel="m / log n", ylabel="probability", ylim=(-0.03, 1.03))
    axes.set_title("Limits λ → 0 that interpolate, 95 % intervals", fontsize=11)
    axes.legend(fontsize=9)


def draw_ratio(axes: Axes, study) -> None:
    """Mean ratio of squared norms with standard errors."""
    for i, n in enumerate(study.sizes):
        colour, marker = STYLES[i % len(STYLES)]
        means, errors = np.array([study.mean_ratio(i, j) for j in range(len(study.widths[i]))]).T
        axes.errorbar(
            np.array(study.widths[i]) / np.log(n), means, yerr=errors, color=colour, marker=marker,
            lw=1.3, ms=5, capsize=2.5,
        )  # fmt: skip
    axes.axhline(1 + np.sqrt(2), color="0.6", ls="--", lw=1, label="1 + √2")
    axes.legend(fontsize=9)
    axes.set(xlabel="m / log n", ylabel="squared norm over the least one")
    axes.set_title("Norm of the interpolating limits", fontsize=11)
