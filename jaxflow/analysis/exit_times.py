"""Measured exit times: when the outputs pass a fraction of the labels of a birth.

The progress of a birth with the data S is Σ_{k ∈ S} y_k h(x_k)/Σ_{k ∈ S} y_k². It is found between
two save times, the flow is integrated again with many save times there, twice, and the inverse
cubic through the four nearest ones gives the time. Every save time ends a step of the integrator,
so that no interpolation of its own enters.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import BarycentricInterpolator

from jaxflow.analysis.recovery import number_of_saves, saved_at
from jaxflow.flow.trajectory import Trajectory

REFINEMENTS = 2


def progress(run: Trajectory, births: Bool[np.ndarray, "J n"]) -> Float[np.ndarray, "T J"]:
    """Σ_k y_k h(x_k)/Σ_k y_k² over the data of each birth, at the save times."""
    y = np.asarray(run.launch.problem.y)
    weights = births * y / np.sum(births * y**2, axis=1, keepdims=True)
    return np.asarray(run.outputs) @ weights.T


def exit_times(
    run: Trajectory, births: Bool[np.ndarray, "J n"], fractions: tuple[float, ...] = (0.5,)
) -> Float[np.ndarray, "F J"]:
    """Measure when each birth passes each fraction of its labels; infinite where it never does.

    Args:
        run: a trajectory that begins before the births and ends after them.
        births: the data of each birth, such as `timeline(...).fitted`.
        fractions: between 0 and 1.

    The error in time is that of the flow, plus about 1e-11 of the refinement.
    """
    births, count = np.asarray(births, bool), number_of_saves(run)
    if not len(births):
        return np.zeros((len(fractions), 0))
    for _ in range(REFINEMENTS):
        brackets = _brackets(run.ts, progress(run, births), fractions)
        if not brackets:
            break
        run = saved_at(run, _refined(brackets, count))
    return _interpolated(np.asarray(run.ts), progress(run, births), fractions)


def _brackets(ts, shares, fractions) -> list[tuple[float, float]]:
    """The intervals between save times in which some birth passes some fraction."""
    found = set()
    for at in {_first_above(share, f) for share in shares.T for f in fractions}:
        if 0 < at < len(ts):
            found.add((float(ts[at - 1]), float(ts[at])))
    return sorted(found)


def _first_above(share: np.ndarray, fraction: float) -> int:
    above = share > fraction
    return int(np.argmax(above)) if above.any() else len(share)


def _refined(brackets, count: int) -> Float[np.ndarray, " T"]:
    """So many times spread over the intervals, ends included."""
    pieces, extra = divmod(count, len(brackets))
    shares = [pieces + (i < extra) for i in range(len(brackets))]
    parts = [np.linspace(*ends, share) for ends, share in zip(brackets, shares, strict=True)]
    times = np.unique(np.concatenate(parts))
    beyond = times[-1] + (times[-1] - times[-2]) * np.arange(1, count - len(times) + 1)
    return np.concatenate([times, beyond])


def _interpolated(ts, shares, fractions) -> Float[np.ndarray, "F J"]:
    return np.array([[_passing(ts, share, f) for share in shares.T] for f in fractions])


def _passing(ts, share, fraction: float) -> float:
    at = _first_above(share, fraction)
    if at == len(ts):
        return np.inf
    if at == 0:
        return -np.inf
    near = slice(max(at - 2, 0), at + 2)
    shift = ts[at - 1]
    inside = np.all((share[near] > 0) & (share[near] < 1))
    scale = _log_odds if inside else np.asarray
    polynomial = BarycentricInterpolator(scale(share[near]), ts[near] - shift)
    return float(shift + polynomial(scale(fraction)))


def _log_odds(share):
    """log(s/(1 − s)), in which the birth on a single datum is a straight line."""
    return np.log(share) - np.log1p(-share)
