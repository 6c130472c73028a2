"""The picture of the study of descent: error against the flow, and end, against the step."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

STYLES = (
    dict(color="#1b4f8a", marker="o", ls="-"),
    dict(color="#5aa0d8", marker="s", ls=":"),
    dict(color="#e08a1e", marker="^", ls="-"),
    dict(color="0.25", marker="x", ls="--"),
)
"""Told apart by marker and line in grey."""
SMALLEST = 1e-16
AUTHORS_STEP = 0.002
"""Time of one iteration of the loop that accompanies arXiv 2206.00939."""


def draw_descent_study(study, path: str | Path | None = None) -> Figure:
    """Draw a `jaxflow.experiments.DescentStudy`; save to `path` if given."""
    figure = Figure(figsize=(12.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    draw_errors(left, study)
    draw_series(middle, study, study.losses, "loss at the end", "Loss, at the bottom: below 1e-16")
    draw_series(right, study, np.abs(study.excess), r"$|V/V_{\min} - 1|$ at the end", "")
    right.set_title("Distance from the least variation norm", fontsize=11)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def draw_errors(axes: Axes, study) -> None:
    """Largest error of the outputs, with a line of slope one."""
    label = r"largest $|h - h^*|\,/\,\max|y|$"
    draw_series(axes, study, study.errors, label, "Distance from the flow")
    steps, errors = study.steps, study.errors[0]
    smallest = int(np.argmin(steps))
    guide = errors[smallest] * np.array([1.0, 30.0]) / 2
    axes.plot(steps[smallest] * np.array([1.0, 30.0]), guide, color="0.6", lw=1)
    axes.annotate(
        "slope 1", (steps[smallest] * 8, guide[0] * 8), (6, -10), textcoords="offset points",
        fontsize=8.5, color="0.4",
    )  # fmt: skip
    axes.axvline(AUTHORS_STEP, color="0.7", ls=":", lw=1, zorder=0)
    axes.annotate(
        "loop of the paper", (AUTHORS_STEP, 0.35), (-4, 0), textcoords="offset points", ha="right",
        fontsize=8.5, color="0.4",
    )  # fmt: skip
    axes.legend(fontsize=8.5, framealpha=0.95)


def draw_series(axes: Axes, study, values: np.ndarray, label: str, title: str) -> None:
    """One line a method; values at rounding are drawn at 1e-16."""
    for method, row, style in zip(study.methods, values, STYLES, strict=False):
        axes.plot(study.steps, np.maximum(row, SMALLEST), label=method.name, lw=1.6, ms=5, **style)
    axes.set(xscale="log", yscale="log", xlabel="time of one iteration", ylabel=label)
    axes.set_title(title, fontsize=11)
