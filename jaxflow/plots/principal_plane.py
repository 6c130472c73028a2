"""Neurons in the plane of the final network's two leading principal directions, at several times.

As Figures 6 and 7 of arXiv 2206.00939: each neuron is a point in polar coordinates, the angle that
of w_j in the plane and the radius the square root of |a_j| ‖projection of w_j‖.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxflow.flow.trajectory import Trajectory
from jaxflow.plots.trajectory import NEGATIVE, POSITIVE


def draw_principal_plane(
    run: Trajectory, times: list[float], path: str | Path | None = None
) -> Figure:
    """Draw the neurons at the save times nearest to `times`, and the loss with these marked.

    Raises:
        ValueError: no times.
    """
    if not len(times):
        raise ValueError(f"times: got {times!r}, wanted at least one time to draw")
    indices = [int(np.argmin(np.abs(np.asarray(run.ts) - time))) for time in times]
    columns = (len(indices) + 1) // 2
    figure = Figure(figsize=(3.1 * columns, 9.2), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, columns)
    plane, share = principal_plane(run)
    for place, index in enumerate(indices):
        axes = figure.add_subplot(grid[place // columns, place % columns], projection="polar")
        draw_neurons(axes, run, index, plane)
        axes.set_title(f"{'abcdefghij'[place]}) t = {float(run.ts[index]):.4g}", fontsize=10)
    draw_marked_loss(figure.add_subplot(grid[2, :]), run, indices)
    figure.suptitle(
        f"{run.a.shape[1]} neurons in the two leading principal directions of the final network "
        f"({share:.1%} of its squared weights)\nblue dots: a > 0, orange squares: a < 0; "
        "radius relative to the largest at that time",
        fontsize=11,
    )
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def principal_plane(run: Trajectory) -> tuple[np.ndarray, float]:
    """Orthonormal rows of the plane, (2, d), and their share of Σ_j a_j² ‖w_j‖² at the end."""
    weights = np.asarray(run.final.w) * np.asarray(run.final.a)[:, None]
    _, values, directions = np.linalg.svd(weights, full_matrices=False)
    return directions[:2], float(np.sum(values[:2] ** 2) / np.sum(values**2))


def explained_variance(run: Trajectory) -> np.ndarray:
    """Share of Σ_j a_j² ‖w_j‖² in each principal direction of the final network, decreasing."""
    weights = np.asarray(run.final.w) * np.asarray(run.final.a)[:, None]
    values = np.linalg.svd(weights, compute_uv=False)
    return values**2 / np.sum(values**2)


def draw_neurons(axes: Axes, run: Trajectory, index: int, plane: np.ndarray) -> None:
    """One point a neuron, the radius relative to the largest at that time."""
    network = run.network(index)
    w = np.asarray(network.w_mantissa) @ plane.T
    shift = np.asarray(network.exponent) - int(np.max(network.exponent))
    a = np.asarray(network.a_mantissa)
    radius = np.ldexp(np.sqrt(np.abs(a) * np.linalg.norm(w, axis=1)), shift)
    radius = radius / radius.max()
    angle = np.arctan2(w[:, 1], w[:, 0])
    for chosen, colour, marker in ((a > 0, POSITIVE, "o"), (a < 0, NEGATIVE, "s")):
        axes.scatter(angle[chosen], radius[chosen], s=14, color=colour, marker=marker, alpha=0.6)
    axes.set_ylim(0, 1.08)
    axes.set_yticks([0.5, 1.0], ["", ""])
    axes.set_xticks(np.radians([0, 90, 180, 270]))
    axes.tick_params(labelsize=7)


def draw_marked_loss(axes: Axes, run: Trajectory, indices: list[int]) -> None:
    """The loss, with the times of the other panels."""
    t, loss = np.asarray(run.ts), np.asarray(run.loss)
    axes.plot(t, loss, color="black", lw=1.5)
    for place, index in enumerate(indices):
        axes.plot(t[index], loss[index], "o", color="0.35", ms=5, clip_on=False, zorder=3)
        shift = -9 if t[index] > 0.98 * t[-1] else 4
        axes.annotate(
            "abcdefghij"[place], (t[index], loss[index]), (shift, 5), textcoords="offset points"
        )
    axes.set(xlabel="time t", ylabel="loss", xlim=(t[0], t[-1]), ylim=(0, 1.12 * np.nanmax(loss)))
