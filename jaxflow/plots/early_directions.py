"""Directions of the neurons in the early phase, and the extremal directions that attract them."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jaxflow.dataset import Dataset
from jaxflow.network import ReluNetwork
from jaxflow.plots.canvas import MEASURED, PREDICTED, new_figure, save
from jaxflow.theory import early_path, extremal_directions

SAVES = 61


def draw_early_directions(
    network: ReluNetwork, dataset: Dataset, until: float, path: str | Path | None = None
) -> Figure:
    """Draw the angle of every hidden weight in the plane up to a time, and what attracts it.

    Raises:
        ValueError: inputs of another dimension than two; as `early_path`.
    """
    if dataset.dim != 2:
        raise ValueError(f"dataset: got inputs of dimension {dataset.dim}, wanted 2 to draw angles")
    times = np.linspace(0, until, SAVES)[1:]
    weights = [network.w_mantissa]
    weights += [early_path(network, dataset, float(time)).network.w_mantissa for time in times]
    angles = np.degrees(np.arctan2(*np.moveaxis(np.array(weights), 2, 0)[::-1]))
    angles[1:][np.abs(np.diff(angles, axis=0)) > 180] = np.nan
    figure = new_figure(7.6, 4.8)
    axes = figure.subplots()
    extremal = extremal_directions(dataset)
    for sign, colour, line in ((1, MEASURED, "-"), (-1, PREDICTED, "--")):
        own = np.sign(np.asarray(network.a_mantissa)) == sign
        axes.plot(np.append(0, times), angles[:, own], color=colour, lw=1, ls=line, alpha=0.7)
        axes.plot(
            [], [], color=colour, ls=line, label=f"neurons with a {'>' if sign > 0 else '<'} 0"
        )
        for x, y in extremal.directions[extremal.attracts == sign]:
            marker = ">" if sign > 0 else "s"
            axes.plot(until, np.degrees(np.arctan2(y, x)), marker, color=colour, ms=9, mec="black")
    for x, y in extremal.directions[extremal.attracts == 0]:
        axes.plot(until, np.degrees(np.arctan2(y, x)), "x", color="0.4", ms=7)
    axes.plot([], [], ">", color="0.8", mec="black", ms=9, label="attracts a > 0")
    axes.plot([], [], "s", color="0.8", mec="black", ms=8, label="attracts a < 0")
    if np.any(extremal.attracts == 0):
        axes.plot([], [], "x", color="0.4", ms=7, label="unstable")
    axes.plot([], [], " ", label="level lines off a marker:\nno active datum, at rest")
    axes.set(xlabel="time t", ylabel="angle of the hidden weight (degrees)", ylim=(-185, 185))
    axes.set_yticks(np.arange(-180, 181, 90))
    axes.set_title("Early phase: neurons and extremal directions", fontsize=11)
    axes.legend(fontsize=8.5, framealpha=0.95, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return save(figure, path)
