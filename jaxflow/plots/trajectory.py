"""The picture of one trajectory: loss with its plateaus, sizes, directions and modes of neurons."""

from pathlib import Path

import equinox as eqx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxflow.descent.trajectory import Descent
from jaxflow.flow.trajectory import Trajectory

POSITIVE, NEGATIVE = "#1b4f8a", "#e08a1e"
"""Output weights a > 0 and a < 0: dark and light also in grey."""
MARKERS = {"die": "x", "revive": "^", "slide": "o", "leave_on": ">", "leave_off": "<"}
FLAT = 0.01
"""On a plateau the loss changes by less than this share, for at least `LONG` of the run."""
LONG = 0.08
SMALLEST = -20.0
"""Neurons smaller than exp of this times the largest are drawn faintly in the directions."""


def draw_trajectory(run: Trajectory | Descent, path: str | Path | None = None) -> Figure:
    """Draw loss, sizes, directions and modes of a run against time; save to `path` if given.

    Raises:
        ValueError: a batch of trajectories, or fewer than two save times reached.
    """
    run = _up_to_its_end(run) if isinstance(run, Trajectory) and run.modes.ndim == 3 else run
    if run.modes.ndim != 3 or run.ts.shape[0] < 2:
        raise ValueError(
            f"run: got modes of shape {run.modes.shape}, wanted one trajectory with at least two "
            f"save times: take one of a batch with jax.tree.map(lambda leaf: leaf[i], run)"
        )
    figure = Figure(figsize=(10.5, 7.2), layout="constrained")
    FigureCanvasAgg(figure)
    (loss, size), (direction, mode) = figure.subplots(2, 2, sharex=True)
    draw_loss(loss, run)
    draw_sizes(size, run)
    draw_directions(direction, run)
    draw_modes(mode, run)
    for axes in (direction, mode):
        axes.set(xlabel="time t")
    _, width, n = run.modes.shape
    kind = "flow" if isinstance(run, Trajectory) else f"descent in {run.dtype}"
    figure.suptitle(f"Gradient {kind} of {width} neurons on {n} data: {run.status}")
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _up_to_its_end(run: Trajectory) -> Trajectory:
    """The run without save times that it did not reach because it broke off."""
    reached = ~np.isnan(np.asarray(run.loss))
    parts = run.ts[reached], run.states[reached], run.modes[reached]
    return eqx.tree_at(lambda r: (r.ts, r.states, r.modes), run, parts)


def draw_loss(axes: Axes, run: Trajectory | Descent) -> None:
    """Loss, with plateaus shaded and labelled by their height."""
    t, loss = np.asarray(run.ts), np.asarray(run.loss)
    axes.plot(t, loss, color="black", lw=1.6)
    for start, end in plateaus(t, loss):
        level = float(np.median(loss[(t >= start) & (t <= end)]))
        axes.axvspan(start, end, color="0.9", lw=0)
        axes.annotate(
            f"{level:.3g}", ((start + end) / 2, level), (0, 4), textcoords="offset points",
            ha="center", fontsize=8.5,
        )  # fmt: skip
    axes.set(ylabel="loss", title="Loss; shaded where it is flat", ylim=(0, 1.12 * loss.max()))


def plateaus(t: np.ndarray, loss: np.ndarray) -> list[tuple[float, float]]:
    """Maximal intervals of save times on which the loss changes by less than `FLAT` of its start,
    lasting at least `LONG` of the run, at positive loss."""
    found, first = [], 0
    for index in range(1, t.size + 1):
        leaves = index == t.size or abs(loss[index] - loss[first]) > FLAT * loss[0]
        if leaves:
            lasts = t[index - 1] - t[first] >= LONG * (t[-1] - t[0])
            if lasts and loss[first] > FLAT * loss[0]:
                found.append((float(t[first]), float(t[index - 1])))
            first = index
    return found


def draw_sizes(axes: Axes, run: Trajectory | Descent) -> None:
    """log10 of the size of every neuron, with its changes of mode marked."""
    t = np.asarray(run.ts)
    sizes = np.asarray(run.log_norms) / np.log(10)
    signs = np.sign(np.asarray(run.final.a_mantissa))
    for sign, colour in ((1, POSITIVE), (-1, NEGATIVE)):
        chosen = signs == sign
        if chosen.any():
            axes.plot(t, sizes[:, chosen], color=colour, lw=0.7, alpha=0.6)
            axes.plot([], [], color=colour, label="a > 0" if sign > 0 else "a < 0")
    if isinstance(run, Trajectory):
        mark_events(axes, run, sizes)
    axes.set(ylabel=r"$\log_{10}$ size of each neuron", title="Sizes and changes of mode")
    axes.legend(fontsize=8, ncols=2, framealpha=0.9)


def mark_events(axes: Axes, run: Trajectory, sizes: np.ndarray) -> None:
    """A mark for every change of mode, at the neuron's size, the number of each kind beside."""
    t = np.asarray(run.ts)
    times = np.asarray(run.events.time)
    neurons, kinds = np.asarray(run.events.neuron), run.events.kind
    for kind, marker in MARKERS.items():
        chosen = (kinds == kind) & (times <= t[-1])
        if not chosen.any():
            continue
        found = zip(times[chosen], neurons[chosen], strict=True)
        height = [np.interp(time, t, sizes[:, j]) for time, j in found]
        name = f"{kind.replace('_', ' ')} ({chosen.sum()})"
        axes.scatter(times[chosen], height, marker=marker, s=14, color="0.25", lw=0.8, label=name)


def draw_directions(axes: Axes, run: Trajectory | Descent) -> None:
    """Angle of every hidden weight in the plane of the final network's two leading directions."""
    t, angles = np.asarray(run.ts), plane_angles(run)
    signs = np.sign(np.asarray(run.final.a_mantissa))
    final = np.asarray(run.log_norms)[-1]
    strength = np.where(final > final.max() + SMALLEST / 4, 0.9, 0.25)
    for j in range(angles.shape[1]):
        colour = POSITIVE if signs[j] > 0 else NEGATIVE
        axes.plot(t, angles[:, j], color=colour, lw=0.8, alpha=strength[j])
    axes.set(ylabel="angle (degrees)", title="Directions in the plane of the final network")
    axes.set_yticks(np.arange(-180, 181, 90))


def plane_angles(run: Trajectory | Descent) -> np.ndarray:
    """Angles in degrees, shape (T, m), broken where they jump by more than half a turn."""
    w = _unit_weights(run)
    if w.shape[2] == 1:
        return np.where(w[..., 0] >= 0, 0.0, 180.0)
    final = np.asarray(run.final.w) * np.abs(np.asarray(run.final.a))[:, None]
    plane = np.eye(2) if w.shape[2] == 2 else np.linalg.svd(final)[2][:2]
    angles = np.degrees(np.arctan2(w @ plane[1], w @ plane[0]))
    jumps = np.abs(np.diff(angles, axis=0, prepend=angles[:1])) > 180
    return np.where(jumps, np.nan, angles)


def _unit_weights(run: Trajectory | Descent) -> np.ndarray:
    """w_j up to a positive factor, at any scale."""
    networks = [run.network(index) for index in range(run.ts.shape[0])]
    return np.stack([np.asarray(network.w_mantissa) for network in networks])


def draw_modes(axes: Axes, run: Trajectory | Descent) -> None:
    """Share of pairs of neuron and datum in each mode."""
    t, modes = np.asarray(run.ts), np.asarray(run.modes)
    shares = [np.mean(modes == code, axis=(1, 2)) for code in (1, 2, 0)]
    labels = ["active", "sliding", "inactive"]
    axes.stackplot(t, shares, labels=labels, colors=["0.35", POSITIVE, "0.88"])
    axes.set(ylim=(0, 1), xlim=(t[0], t[-1]), ylabel="share of pairs", title="Activation modes")
    axes.legend(loc="upper right", fontsize=8.5, framealpha=0.9)
