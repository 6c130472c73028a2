"""The picture of a run's phases: alignment, loss between its saddles, sizes, convergence."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxflow.analysis import Phases
from jaxflow.plots.canvas import MEASURED, PREDICTED, new_figure, save

SMALLEST_ANGLE = 1e-16
MOST_NEURONS = 12
"""Angles of more neurons are not drawn."""


def draw_phases(report: Phases, path: str | Path | None = None) -> Figure:
    """Draw the report of `jaxflow.analysis.phases`, and save it if a path is given."""
    figure = new_figure(11, 7.2)
    (loss, angles), (sizes, rates) = figure.subplots(2, 2)
    draw_loss(loss, report)
    draw_alignment(angles, report)
    draw_sizes(sizes, report)
    draw_convergence(rates, report)
    return save(figure, path)


def draw_loss(axes: Axes, report: Phases) -> None:
    """Loss, with the plateaus and exit times predicted, and the Morse index on each plateau."""
    run = report.run
    axes.plot(run.ts, run.loss, color=MEASURED, lw=2, label="flow")
    top = float(run.loss[0])
    style = dict(color=PREDICTED, ls="--", lw=1.2)
    for number, plateau in enumerate(report.plateaus):
        axes.axhline(plateau.loss, **style, label=None if number else "predicted plateaus, exits")
        late = float(run.ts[-1]) if np.isinf(plateau.time_out) else plateau.time_out
        axes.text(
            (plateau.time_in + late) / 2,
            plateau.loss + 0.02 * top,
            f"index {plateau.morse_index}",
            ha="center",
            fontsize=8.5,
        )
    for time in report.timeline.exit_times:
        axes.axvline(time, **style)
    axes.set(xlabel="time t", ylabel="loss", ylim=(-0.04 * top, 1.12 * top))
    axes.set_title("Saddles: plateaus, exit times and Morse indices", fontsize=11)
    axes.legend(loc="upper right", fontsize=8.5, framealpha=0.95)


def draw_alignment(axes: Axes, report: Phases) -> None:
    """Angle of neurons to their limit direction, measured and predicted."""
    found = report.alignment
    moving = np.flatnonzero(np.isfinite(found.measured))[:MOST_NEURONS]
    for count, j in enumerate(moving):
        labels = (None, None) if count else ("flow", "closed form")
        measured = np.maximum(found.angles[:, j], SMALLEST_ANGLE)
        predicted = np.maximum(found.predicted_angles[:, j], SMALLEST_ANGLE)
        axes.plot(found.ts, measured, color=MEASURED, lw=2.2, alpha=0.6, label=labels[0])
        axes.plot(found.ts, predicted, color=PREDICTED, lw=1, ls="--", label=labels[1])
    axes.plot(
        found.measured[moving], np.full(moving.size, found.wanted), "o", color="0.1", ms=4,
        label=f"{found.wanted:g} rad reached",
    )  # fmt: skip
    axes.set(xlabel="time t", ylabel="angle [rad]", yscale="log")
    latest = np.max(found.measured[moving], initial=0.0)
    axes.set(ylim=(found.wanted / 30, 4), xlim=(0, 1.6 * latest or None))
    axes.set_title("Alignment with the limit direction, first phase", fontsize=11)
    axes.legend(loc="lower right", fontsize=8.5, framealpha=0.95)


def draw_sizes(axes: Axes, report: Phases) -> None:
    """Sizes of all neurons, which decide when each saddle is left."""
    run = report.run
    axes.plot(run.ts, np.asarray(run.log_norms) / np.log(10), color=MEASURED, lw=0.7, alpha=0.6)
    for time in report.timeline.exit_times:
        axes.axvline(time, color=PREDICTED, ls="--", lw=1.2)
    axes.set(xlabel="time t", ylabel=r"$\log_{10}$ size of each neuron")
    axes.set_title("Growth between the saddles; dashed: predicted exits", fontsize=11)


def draw_convergence(axes: Axes, report: Phases) -> None:
    """Local Polyak–Łojasiewicz constant along the run and its asymptote."""
    found = report.convergence
    axes.plot(found.ts, found.constant, color=MEASURED, lw=2, label=r"$\|\nabla L\|^2/(2L)$")
    for number, rate in enumerate(found.rates):
        label = None if number else r"eigenvalues of $K/n$ at the end"
        axes.axhline(rate, color=PREDICTED, ls="--", lw=1.2, label=label)
    axes.set(xlabel="time t", ylabel="local PL constant")
    axes.set_title("Convergence rate: zero at every saddle", fontsize=11)
    axes.legend(loc="center left", fontsize=8.5, framealpha=0.95)
