"""Figure 7: loss, sliding and explained variance of the high-dimensional experiment."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jaxflow.flow.trajectory import Trajectory
from jaxflow.plots.figure_states import spread
from jaxflow.plots.principal_plane import draw_neurons, explained_variance, principal_plane
from jaxflow.plots.sheet import MEASURED, PREDICTED, film, sheet

DIRECTIONS = 10


def draw_high_dimensional(run: Trajectory) -> Figure:
    """The loss, shares of pairs of neuron and datum, and principal directions at the end."""
    figure = sheet(12.0, 3.8)
    loss, pairs, variance = figure.subplots(1, 3)
    t = np.asarray(run.ts)
    loss.plot(t, run.loss, color="black", lw=1.8)
    top = 1.12 * float(np.max(run.loss))
    loss.set(xlabel="time t", ylabel="loss", xlim=(0, t[-1]), ylim=(0, top))
    modes = np.asarray(run.modes)
    for code, colour, style, label in (
        (1, MEASURED, "-", "active"),
        (2, PREDICTED, "--", "sliding on the boundary"),
    ):
        share = np.mean(modes == code, axis=(1, 2))
        pairs.plot(t, share, color=colour, ls=style, lw=1.8, label=label)
    pairs.set(xlabel="time t", ylabel="share of pairs of neuron and datum", xlim=(0, t[-1]))
    pairs.legend(fontsize=9)
    shares = explained_variance(run)[:DIRECTIONS]
    directions = np.arange(1, len(shares) + 1)
    variance.bar(directions, shares, color=MEASURED)
    variance.set_xticks(directions)
    variance.set(xlabel="principal direction of the final network", ylabel="explained variance")
    return figure


def film_principal_plane(run: Trajectory, path: Path, frames: int = 101) -> Path:
    """A GIF of the neurons in the principal plane through the whole run."""
    figure = sheet(4.6, 5.0)
    axes = figure.add_subplot(projection="polar")
    plane, _ = principal_plane(run)
    loss, indices = np.asarray(run.loss), spread(run, frames)

    def draw(frame: int) -> None:
        axes.clear()
        index = int(indices[frame])
        draw_neurons(axes, run, index, plane)
        axes.set_title(f"t = {float(run.ts[index]):.4g}   loss {loss[index]:.3g}", fontsize=11)

    return film(figure, draw, len(indices), path)
