"""Figure 2: the network at several times of training, on the line with a bias.

Each panel has the data and h(x) on its left axis. On the right axis every neuron stands at its kink
−w_2/w_1 with the height s_j ‖w_j‖, s_j being the sign of a_j.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxflow.dataset import Dataset
from jaxflow.flow.trajectory import Trajectory
from jaxflow.network import ReluNetwork
from jaxflow.plots.sheet import MEASURED, PREDICTED, film, sheet

MARGIN = 1.0
"""How far the pictures go beyond the outermost data, relative to their spread."""
POINTS = 801
NEURONS = ((1, MEASURED, "^", "a > 0"), (-1, PREDICTED, "v", "a < 0"))


def draw_states(run: Trajectory, dataset: Dataset, moments: Sequence[tuple[float, str]]) -> Figure:
    """One panel for each moment, a time and what happens then, at the nearest save time."""
    columns = 3
    rows = -(-len(moments) // columns)
    figure = sheet(3.9 * columns, 2.9 * rows + 0.5)
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
    twins = []
    for place, (panel, (time, what)) in enumerate(zip(panels, moments, strict=False)):
        index = nearest(run, time)
        twins.append(draw_state(panel, panel.twinx(), run.network(index), dataset))
        when = f"{'abcdefghi'[place]})  t = {float(run.ts[index]):.4g}: {what}"
        panel.set_title(when, fontsize=10, loc="left")
        if place >= len(moments) - columns:
            panel.set_xlabel("x")
        if place % columns == 0:
            panel.set_ylabel("h(x), data")
        if place % columns == columns - 1:
            twins[-1].set_ylabel(r"neurons, $s_j\,\|w_j\|$")
    for panel in panels[len(moments) :]:
        panel.set_axis_off()
    figure.legend(*legend_of(panels[0], twins[0]), loc="outside lower center", ncols=4, fontsize=9)
    return figure


def film_states(run: Trajectory, dataset: Dataset, path: Path, frames: int = 120) -> Path:
    """A GIF of one panel through the whole run, with the loss and the time in its title."""
    figure = sheet(5.2, 3.9)
    axes = figure.add_subplot()
    twin = axes.twinx()
    loss, indices = np.asarray(run.loss), spread(run, frames)

    def draw(frame: int) -> None:
        axes.clear()
        twin.clear()
        index = int(indices[frame])
        draw_state(axes, twin, run.network(index), dataset)
        axes.set_title(f"t = {float(run.ts[index]):5.1f}   loss {loss[index]:.3f}", fontsize=11)
        axes.set(xlabel="x", ylabel="h(x), data")
        twin.set_ylabel(r"neurons, $s_j\,\|w_j\|$")

    return film(figure, draw, len(indices), path)


def draw_state(axes: Axes, twin: Axes, network: ReluNetwork, dataset: Dataset) -> Axes:
    """Data, h and neurons of one network; returns the right axis."""
    x, y = np.asarray(dataset.x)[:, 0], np.asarray(dataset.y)
    low, high = x.min() - MARGIN * np.ptp(x) / 2, x.max() + MARGIN * np.ptp(x) / 2
    line = np.linspace(low, high, POINTS)
    h = values(network, line)
    axes.plot(line, h, color="0.15", lw=1.6, label="h(x)", zorder=2)
    axes.plot(x, y, "o", color="black", ms=7, mec="white", label="data", zorder=4)
    reach = 1.25 * max(np.abs(y).max(), np.abs(h[(line >= x.min()) & (line <= x.max())]).max())
    axes.set(xlim=(low, high), ylim=(-reach, reach))
    draw_neurons(twin, network)
    twin.set_zorder(axes.get_zorder() - 1)
    axes.patch.set_visible(False)
    twin.yaxis.set_label_position("right")
    twin.yaxis.tick_right()
    return twin


def values(network: ReluNetwork, line: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
    """h(x) at points of the line, the bias appended."""
    w = np.asarray(network.w)
    return np.maximum(np.outer(line, w[:, 0]) + w[:, 1], 0) @ np.asarray(network.a)


def draw_neurons(axes: Axes, network: ReluNetwork) -> None:
    """Every neuron at its kink, its height the signed size of its hidden weights."""
    kinks, heights = kinks_and_heights(network)
    signs = np.sign(np.asarray(network.a_mantissa))
    for sign, colour, marker, label in NEURONS:
        chosen = signs == sign
        axes.scatter(
            kinks[chosen], heights[chosen], marker=marker, s=26, color=colour, alpha=0.65, lw=0,
            label=label,
        )  # fmt: skip
    reach = 1.25 * np.abs(heights).max() or 1.0
    axes.axhline(0.0, color="0.8", lw=0.8, zorder=0)
    axes.set_ylim(-reach, reach)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))


def kinks_and_heights(
    network: ReluNetwork,
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """−w_2/w_1, infinite where w_1 = 0, and s_j ‖w_j‖."""
    w = np.asarray(network.w_mantissa)
    with np.errstate(divide="ignore", invalid="ignore"):
        kinks = -w[:, 1] / w[:, 0]
    signs = np.sign(np.asarray(network.a_mantissa))
    return kinks, signs * np.linalg.norm(np.asarray(network.w), axis=1)


def nearest(run: Trajectory, time: float) -> int:
    """Index of the save time nearest to a time."""
    return int(np.argmin(np.abs(np.asarray(run.ts) - time)))


def spread(run: Trajectory, frames: int) -> Int[np.ndarray, " f"]:
    """Indices of save times from the first to the last, as many as frames or all if fewer."""
    return np.unique(np.linspace(0, run.ts.shape[0] - 1, frames).round().astype(int))


def legend_of(panel: Axes, twin: Axes) -> tuple[list, list]:
    """Handles and words of the left and the right axis together."""
    left, right = panel.get_legend_handles_labels(), twin.get_legend_handles_labels()
    return left[0] + right[0], left[1] + right[1]
