"""Figure 3: the loss from saddle to saddle, with the predicted exit times."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxflow.analysis import Phases
from jaxflow.plots.sheet import PREDICTED, iterations_on_top, sheet


def draw_loss_profile(report: Phases, leaving: np.ndarray) -> Figure:
    """Draw the loss of a run, its saddles, and when each is predicted to be left.

    Args:
        report: phases of the run.
        leaving: predicted times at which a hundredth of each birth's labels is fitted.
    """
    figure = sheet(8.6, 4.6)
    axes = figure.add_subplot()
    axes.plot(
        report.run.ts, report.run.loss, color="black", lw=2, label="loss of the flow", zorder=3
    )
    mark_saddles(axes, report)
    mark_exits(axes, report, leaving)
    axes.set(xlabel="time t", ylabel="loss", xlim=(0, float(report.run.ts[-1])))
    axes.set_ylim(-0.02 * float(report.run.loss[0]), 1.12 * float(report.run.loss[0]))
    axes.legend(loc="upper right", fontsize=9, framealpha=0.95)
    iterations_on_top(axes)
    return figure


def mark_saddles(axes: Axes, report: Phases) -> None:
    """A level for each critical point of positive loss, with its Morse index."""
    for number, here in enumerate(report.plateaus):
        if here.loss <= 0:
            continue
        label = None if number else "loss of the saddles"
        axes.axhline(here.loss, color="0.55", ls=":", lw=1.4, label=label)
        place = (0.35 if number == 0 else 0.01, here.loss)
        axes.annotate(
            f"saddle {number + 1}, index {here.morse_index}", place, (0, 4), fontsize=9,
            xycoords=("axes fraction", "data"), textcoords="offset points",
        )  # fmt: skip


def mark_exits(axes: Axes, report: Phases, leaving: np.ndarray) -> None:
    """Predicted times: a hundredth fitted (dashed), half fitted (dash-dotted)."""
    for times, style, label in (
        (leaving, "--", "saddle left (1 % fitted), predicted"),
        (report.timeline.exit_times, "-.", "half fitted, predicted"),
    ):
        for number, time in enumerate(times):
            name = None if number else label
            axes.axvline(time, color=PREDICTED, ls=style, lw=1.4, label=name)
