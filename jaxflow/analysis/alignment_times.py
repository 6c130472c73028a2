"""When each neuron aligns: the angle to its limit direction in the run, and as predicted."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float
from scipy.interpolate import BarycentricInterpolator

from jaxflow.analysis.recovery import networks_of, number_of_saves, saved_at
from jaxflow.flow.trajectory import Trajectory
from jaxflow.theory import Alignment, angle

ANGLE = 0.01
"""Angle in radians at which a neuron counts as aligned."""


@dataclass(frozen=True, eq=False)
class AlignmentTimes:
    """Angles in the early phase and the times at which they become small."""

    wanted: float
    ts: Float[np.ndarray, " T"]
    angles: Float[np.ndarray, "T m"]
    """Measured, NaN for neurons that nothing attracts."""
    predicted_angles: Float[np.ndarray, "T m"]
    measured: Float[np.ndarray, " m"]
    """When the angle passes `wanted` for the last time; NaN for neurons without such a time."""
    predicted: Float[np.ndarray, " m"]

    @property
    def largest_error(self) -> float:
        """Largest |measured − predicted| time."""
        off = np.abs(self.measured - self.predicted)
        return float(np.max(off[np.isfinite(off)], initial=0.0))


def alignment_times(run: Trajectory, prediction: Alignment, before: float) -> AlignmentTimes:
    """Measure the alignment of a run before its first birth.

    The early phase is integrated again with 201 save times or more; the time is that of the inverse
    cubic in log tan φ through four of them, exact to about the fourth power of their distance. A
    neuron that is aligned when its last opposing datum dies is predicted by the angles before that.

    Args:
        run: the trajectory.
        prediction: `theory.alignment` of its early phase.
        before: the time of the first birth; later angles are not those of the early phase.
    """
    reached = np.asarray(prediction.times_to_angle(ANGLE))
    longest = np.max(reached[reached < before], initial=0.0)
    ts = np.linspace(0.0, 1.05 * longest if longest > 0 else before, number_of_saves(run))
    again = saved_at(run, ts)
    directions = np.asarray(prediction.directions)[None]
    angles = np.asarray(angle(networks_of(again).w_mantissa, directions))
    expected = np.asarray(_angles_at(prediction, ts))
    at_change = np.array([_last_passing(ts, one) for one in expected.T])
    waits = reached > np.asarray(prediction.last_change)
    return AlignmentTimes(
        wanted=ANGLE,
        ts=ts,
        angles=angles,
        predicted_angles=expected,
        measured=np.array([_last_passing(ts, one) for one in angles.T]),
        predicted=np.where(waits & (reached < ts[-1]), reached, at_change),
    )


_angles_at = jax.jit(jax.vmap(lambda prediction, time: prediction.angles(time), (None, 0)))


def _last_passing(ts: np.ndarray, angles: np.ndarray) -> float:
    """The last time at which the angle falls below ANGLE, NaN if it never does."""
    above = np.flatnonzero(angles > ANGLE)
    if not above.size or above[-1] == len(ts) - 1:
        return np.nan
    at = above[-1]
    near = slice(max(at - 1, 0), at + 3)
    height = np.log(np.tan(np.clip(angles[near], 1e-300, 1.5)))
    if len(np.unique(height)) < len(height):
        return float(ts[at])
    polynomial = BarycentricInterpolator(height, ts[near] - ts[at])
    return float(ts[at] + polynomial(np.log(np.tan(ANGLE))))
