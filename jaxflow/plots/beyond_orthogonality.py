"""The picture of runs beyond orthogonal inputs: shares that fit, excess of the norm, sliding."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxflow.plots.canvas import new_figure, save

STYLES = (("#e08a1e", "s"), ("#1b4f8a", "o"), ("0.35", "^"), ("#5aa0d8", "D"), ("0.65", "v"))
"""Colour and marker of each scale."""
GAP = 0.7
"""Room between the cosines and the dimensions, in places."""


def draw_beyond_orthogonality(study, path: str | Path | None = None) -> Figure:
    """Draw a `jaxflow.experiments.BeyondOrthogonality`; save to `path` if given."""
    figure = new_figure(13.0, 4.3)
    left, middle, right = figure.subplots(1, 3)
    draw_shares(left, study)
    draw_excess(middle, study)
    draw_sliding(right, study)
    return save(figure, path)


def draw_shares(axes: Axes, study) -> None:
    """Shares that fit the labels with 95 % intervals, and those certified to converge."""
    draw_series(axes, study, study.fitted, "fit, λ = ")

    def certified(i: int, s: int) -> tuple[float, float, float]:
        return (study.certified(i, s)[0],) * 3

    draw_series(axes, study, certified, "certified, λ = ", open_marks=True)
    axes.set(ylabel="share of runs", ylim=(-0.03, 1.05))
    axes.set_title("Runs that fit (95 % intervals), certified limits", fontsize=11)
    axes.legend(fontsize=8, loc="lower left", framealpha=0.95)


def draw_excess(axes: Axes, study) -> None:
    """Median excess of the norm over the certified minimum, with quartiles."""

    def quartiles(i: int, s: int) -> tuple[float, float, float]:
        lower, median, upper = study.excess_quartiles(i, s)
        return median, lower, upper

    draw_series(axes, study, quartiles, "λ = ")
    axes.set(ylabel=r"$(V - V^*)/V^*$", yscale="log")
    axes.set_title("Excess over the minimum norm, quartiles", fontsize=11)
    axes.legend(fontsize=8, loc="lower right")


def draw_sliding(axes: Axes, study) -> None:
    """Mean shares of the pairs that slid and that slide at the end, with standard errors."""

    def with_error(share):
        def found(i: int, s: int) -> tuple[float, float, float]:
            mean, error = share(i, s)
            return mean, mean - error, mean + error

        return found

    draw_series(axes, study, with_error(study.mean_slid), "at some time, λ = ")
    draw_series(axes, study, with_error(study.mean_sliding), "at the end, λ = ", open_marks=True)
    axes.set(
        ylabel="share of pairs (neuron, datum)", ylim=(0, 1.4 * np.nanmax(study.slid.mean(axis=2)))
    )
    axes.set_title("Pairs that slide, standard errors", fontsize=11)
    axes.legend(fontsize=8, loc="upper left", ncols=2)


def draw_series(axes: Axes, study, values, word: str, open_marks: bool = False) -> None:
    """One line for each scale and kind of inputs: centre, lower and upper end in each place."""
    at, kinds = places(study)
    for s, scale in enumerate(study.scales):
        colour, marker = STYLES[s % len(STYLES)]
        centre, low, high = np.array([values(i, s) for i in range(len(at))]).T
        shift = 0.14 * (s - (len(study.scales) - 1) / 2)
        for kind in dict.fromkeys(kinds):
            here = kinds == kind
            bars = np.array([centre - low, high - centre])[:, here]
            axes.errorbar(
                at[here] + shift, centre[here], yerr=bars,
                color=colour, marker=marker, ms=5, capsize=2, lw=1.2, ls=":" if open_marks else "-",
                mfc="white" if open_marks else colour,
                label=f"{word}{scale}" if kind == kinds[0] else None,
            )  # fmt: skip
    name_places(axes, study, at, kinds)


def places(study) -> tuple[np.ndarray, np.ndarray]:
    """Where each family of inputs stands on the axis, and its kind."""
    kinds = np.array([family.kind for family in study.inputs])
    return np.arange(len(kinds)) + GAP * (kinds == "dimension"), kinds


def name_places(axes: Axes, study, at: np.ndarray, kinds: np.ndarray) -> None:
    """Names below the axis, and a line between cosines and dimensions."""
    axes.set_xticks(at, [f"{family.value:g}" for family in study.inputs], fontsize=8, rotation=30)
    words = {"cosine": "cosines ±ε", "dimension": "dimension d'"}
    axes.set_xlabel("   |   ".join(words[kind] for kind in dict.fromkeys(kinds)))
    if len(set(kinds)) == 2:
        axes.axvline(at[kinds == "dimension"].min() - (1 + GAP) / 2, color="0.7", lw=0.8)
