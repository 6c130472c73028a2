"""From a dual and the peaks under it to a network of few neurons, and whether it is the only one."""

import numpy as np
from jaxtyping import Float
from scipy.optimize import linprog, nnls

from jaxflow.minnorm.dual_function import Peak
from jaxflow.minnorm.polish import boundary_projection, signed_points

NOTHING = 1e-7
"""Share of the norm below which a linear programme is taken to have found no neuron."""

SOMETHING = 1e-5
"""Share of the norm above which it is taken to have found one."""


def peak_responses(points, peaks: list[Peak]) -> Float[np.ndarray, "p q"]:
    """s_i max(⟨w_i, x_k⟩, 0) for each point (row) and peak (column), exactly zero on boundaries."""
    return np.stack([signed_points(points, peak) @ peak.direction for peak in peaks], axis=1)


def extreme_network(
    points, labels, peaks: list[Peak], norms
) -> tuple[Float[np.ndarray, "m r"], list[Peak]]:
    """Neurons v_i, s_i v_i = a_i w_i, at some of the peaks, with independent responses, that fit.

    All peaks touch the dual constraint, so that every non-negative combination of their responses
    that fits the labels has the same norm; non-negative least squares finds one with linearly
    independent responses, at most as many as points. A last correction within the cells, the
    smallest that fits, removes the rounding of the directions.
    """
    columns = peak_responses(points, peaks)
    try:
        chosen, misfit = nnls(columns, labels)
    except RuntimeError:
        chosen, misfit = norms, 0.0
    if misfit > 1e-9:
        chosen = norms
    used = np.flatnonzero(chosen > 0)
    peaks = [peaks[i] for i in used]
    neurons = np.stack([chosen[i] * p.direction for i, p in zip(used, peaks, strict=True)])
    return _fitted(points, labels, neurons, peaks), peaks


def _fitted(points, labels, neurons, peaks: list[Peak]) -> Float[np.ndarray, "m r"]:
    """Correct the neurons by the smallest change within their cells that fits the labels."""
    maps = [signed_points(points, p) @ boundary_projection(points, p) for p in peaks]
    inverse = np.linalg.pinv(np.concatenate(maps, axis=1), rcond=1e-12)
    for _ in range(3):
        fitted = sum(a @ v for a, v in zip(maps, neurons, strict=True))
        change = (inverse @ (labels - fitted)).reshape(neurons.shape)
        neurons = neurons + change
    return np.stack([boundary_projection(points, p) @ v for p, v in zip(peaks, neurons, strict=True)])


def is_unique(points, labels, used: list[Peak], touching: list[Peak]) -> bool | None:
    """Whether the neurons in use are the only measure that attains the minimum.

    By complementary slackness every minimiser lives on the directions in which the dual function
    touches one (`touching`, all of them). With independent responses there is one solution;
    otherwise a linear programme looks for one with norm elsewhere than at the neurons in use,
    whose own responses are independent.
    """
    columns = peak_responses(points, touching)
    if np.linalg.matrix_rank(columns, tol=1e-9) == columns.shape[1]:
        return True
    elsewhere = np.array([not _is_among(peak, used) for peak in touching], dtype=float)
    found = linprog(-elsewhere, A_eq=columns, b_eq=labels, bounds=(0, None), method="highs-ds")
    if found.status != 0:
        return None
    share = float(elsewhere @ found.x) / float(np.sum(found.x))
    return True if share < NOTHING else False if share > SOMETHING else None


def _is_among(peak: Peak, others: list[Peak]) -> bool:
    return any(
        peak.sign == other.sign and np.linalg.norm(peak.direction - other.direction) < 1e-6
        for other in others
    )


def cheapest_combination(points, labels, directions) -> tuple[list[Peak], Float[np.ndarray, " m"]]:
    """Least-norm network with neurons in the given directions only, by linear programming.

        minimise Σ_j |c_j|   subject to   Σ_j c_j max(⟨w_j, x_k⟩, 0) = y_k

    It stands in where polishing fails; the minimum can only be lower.
    """
    reach = directions @ points.T
    both = np.concatenate([np.maximum(reach, 0.0), -np.maximum(reach, 0.0)]).T
    found = linprog(
        np.ones(both.shape[1]), A_eq=both, b_eq=labels, bounds=(0, None), method="highs-ds"
    )
    used = np.flatnonzero(found.x > 0)
    peaks = []
    for column in used:
        j, sign = column % len(directions), 1 if column < len(directions) else -1
        active, boundary = reach[j] > 0, np.abs(reach[j]) < 1e-12
        peaks.append(Peak(directions[j], sign, 1.0, active, boundary))
    return peaks, found.x[used]
