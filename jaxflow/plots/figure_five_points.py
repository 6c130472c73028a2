"""Figures 4 and 5: states of training and the loss profile on the five-point example."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxflow.dataset import Dataset
from jaxflow.flow.trajectory import Trajectory
from jaxflow.plots.figure_states import draw_state, legend_of, nearest
from jaxflow.plots.sheet import ITERATION, sheet


def draw_five_points(
    run: Trajectory, dataset: Dataset, times: Sequence[float], *, log_loss: bool
) -> Figure:
    """Panels at the save times nearest to five times, and the loss with these marked.

    Args:
        run: a trajectory on one-dimensional data with a bias.
        dataset: the data.
        times: when to look.
        log_loss: draw the loss on a logarithmic scale, else on a linear one.
    """
    figure = sheet(12.0, 6.8)
    panels = np.ravel(figure.subplots(2, 3))
    indices = [nearest(run, time) for time in times]
    for place, (panel, index) in enumerate(zip(panels, indices, strict=False)):
        twin = draw_state(panel, panel.twinx(), run.network(index), dataset)
        when = f"{'abcde'[place]})  t = {float(run.ts[index]):.4g}"
        panel.set_title(when, fontsize=10, loc="left")
        if place >= 3:
            panel.set_xlabel("x")
        if place % 3 == 0:
            panel.set_ylabel("h(x), data")
        if place == 4 or place % 3 == 2:
            twin.set_ylabel(r"neurons, $s_j\,\|w_j\|$")
    draw_marked_loss(panels[-1], run, indices, log_loss)
    figure.legend(*legend_of(panels[4], twin), loc="outside lower center", ncols=4, fontsize=9)
    return figure


def draw_marked_loss(axes: Axes, run: Trajectory, indices: list[int], log_loss: bool) -> None:
    """The loss, the moments of the panels as lettered dots, iterations of the paper above."""
    t, loss = np.asarray(run.ts), np.asarray(run.loss)
    axes.plot(t, loss, color="black", lw=1.8)
    for place, index in enumerate(indices):
        axes.plot(t[index], loss[index], "o", color="0.4", ms=6, clip_on=False)
        shift = -12 if t[index] > 0.95 * t[-1] else 5
        axes.annotate(
            "abcde"[place], (t[index], loss[index]), (shift, 5), textcoords="offset points",
            fontsize=10,
        )  # fmt: skip
    axes.set(xlabel="time t", ylabel="loss", xlim=(0, t[-1]))
    if log_loss:
        axes.set(yscale="log", ylim=(None, 5 * np.nanmax(loss)))
    else:
        axes.set_ylim(0, 1.12 * np.nanmax(loss))
    axes.set_title(f"loss; {t[-1] / ITERATION:,.0f} iterations of step 0.002", fontsize=10)
