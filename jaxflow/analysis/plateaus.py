"""The plateaus of a run: when it came, when it left, how near it was to the exact saddle."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Bool, Float

from jaxflow.analysis.recovery import networks_of
from jaxflow.flow.trajectory import Trajectory
from jaxflow.theory import Saddles, distance_to_critical_point

SAVES_NEEDED = 2
"""Save times on a plateau from which growth rates are measured."""


@dataclass(frozen=True, eq=False)
class Plateau:
    """One saddle, as predicted and as visited."""

    fitted: Bool[np.ndarray, " n"]
    """Data fitted there."""
    time_in: float
    """When the last birth before it had fitted all but a hundredth of its labels; 0 at first."""
    time_out: float
    """When the next birth has fitted a hundredth; infinite at the limit."""
    loss: float
    """Loss predicted, 1/(2n) Σ_{k ∉ F} y_k²."""
    loss_measured: float
    """Loss of the run, where it is nearest to the critical point; NaN without a save time there."""
    distance: float
    """Least distance in parameters from the exact critical point, NaN likewise."""
    escape_rates: Float[np.ndarray, " m"]
    """Predicted rate ‖D_j‖ of each neuron's escape, 0 without one."""
    growth: Float[np.ndarray, " m"]
    """d log‖z_j‖/dt of the unborn neurons, measured across the second half of the plateau."""
    morse_index: int
    """Directions of escape, in the activation cell in which the flow arrives."""

    @property
    def rate_error(self) -> float:
        """Largest |measured − predicted| rate of the neurons that escape, NaN if not measured."""
        off = np.abs(self.growth - self.escape_rates)[self.escape_rates > 0]
        return float(np.max(off[np.isfinite(off)])) if np.isfinite(off).any() else np.nan


def visited(run: Trajectory, saddles: Saddles, begin: np.ndarray, end: np.ndarray) -> list[Plateau]:
    """The plateaus of the jump process, as the run visited them.

    Args:
        run: the trajectory.
        saddles: the critical points predicted for it, J + 1 with the limit.
        begin, end: (J,) measured times at which each birth begins and is over.
    """
    arrivals, departures = np.append(0.0, end), np.append(begin, np.inf)
    ts, networks = np.asarray(run.ts), networks_of(run)
    return [
        _plateau(run, networks, saddles, number, arrivals[number], departures[number], ts)
        for number in range(len(arrivals))
    ]


def _plateau(run, networks, saddles: Saddles, number: int, begin, end, ts) -> Plateau:
    inside = np.flatnonzero((ts >= begin) & (ts <= end))
    distances = np.asarray(_distances(networks, saddles.critical_network(number)))[inside]
    nearest = inside[np.argmin(distances)] if inside.size else None
    return Plateau(
        fitted=np.asarray(saddles.fitted[number]),
        time_in=float(begin),
        time_out=float(end),
        loss=float(saddles.losses[number]),
        loss_measured=np.nan if nearest is None else float(run.loss[nearest]),
        distance=float(np.min(distances, initial=np.inf)) if inside.size else np.nan,
        escape_rates=np.asarray(saddles.escape_rates[number]),
        growth=_growth(run, inside, ts),
        morse_index=int(saddles.morse_index[number]),
    )


_distances = jax.jit(jax.vmap(distance_to_critical_point, (0, None)))


def _growth(run: Trajectory, inside: np.ndarray, ts: np.ndarray) -> np.ndarray:
    """Slopes of the log norms across the second half of the plateau, where neurons are aligned."""
    late = inside[len(inside) // 2 :]
    if late.size < SAVES_NEEDED:
        return np.full(run.modes.shape[1], np.nan)
    logs = np.asarray(run.log_norms)[late[[0, -1]]]
    return (logs[1] - logs[0]) / (ts[late[-1]] - ts[late[0]])
