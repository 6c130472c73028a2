"""Newton's method on the optimality conditions of the neurons that are in use, in float64.

With the activation pattern S_i, the boundary set B_i and the sign s_i of every neuron fixed, the
unknowns are β and the norms c_i. The direction of neuron i is the one in which the dual function
is highest,

    w_i(β) = p_i/‖p_i‖,   p_i = Π_i Xᵀ S_i s_i β,   Π_i the projection on {w : ⟨w, x_k⟩ = 0, k ∈ B_i},

and the conditions are Σ_i c_i s_i S_i X w_i(β) = y (interpolation) and ‖p_i(β)‖ = 1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxflow.minnorm.dual_function import Peak, climb, distinct

MAX_STEPS = 30
"""Newton steps at most; quadratic convergence needs about five."""

CUTOFF = 1e-12
"""Singular values below this, relative to the largest, belong to freedom of c or β, not to data."""

UNUSED = 1e-6
"""A neuron with less than this share of the total norm is not in use."""

NOT_A_PEAK = 1e-4
"""Nor is one under which the dual function stays below one by more than this."""


class Polished(NamedTuple):
    """Neurons c_i w_i with signs, and the dual β that supports them.

    Args:
        peaks: direction, sign, pattern and boundary set of each neuron.
        norms: c_i, which may be negative if the set of neurons in use is not the right one.
        beta: the dual.
        error: largest violation of the optimality conditions.
    """

    peaks: list[Peak]
    norms: Float[np.ndarray, " q"]
    beta: Float[np.ndarray, " p"]
    error: float


def polish(points, labels, beta, peaks: list[Peak], norms) -> Polished:
    """Polish, let the peaks follow β, drop neurons with negative norm, until nothing changes."""
    gram = points @ points.T
    for _ in range(12):
        current = _newton(points, labels, beta, peaks, norms)
        if not np.all(np.isfinite(current.beta)) or current.error > 1e-3:
            return current
        negative = current.norms < -1e-11 * np.sum(np.abs(current.norms))
        if negative.any():
            worst = int(np.argmin(current.norms))
            peaks = [peak for i, peak in enumerate(peaks) if i != worst]
            norms = np.delete(norms, worst)
            continue
        followed = [climb(points, gram, current.beta, p.sign, p.direction) for p in current.peaks]
        if any(new is None for new in followed) or _same_cells(followed, current.peaks):
            return current
        peaks, norms, beta = _merged(followed, current.norms, current.beta)
    return current


def _newton(points, labels, beta, peaks: list[Peak], norms) -> Polished:
    pieces = [(signed_points(points, peak), boundary_projection(points, peak)) for peak in peaks]
    best = Polished(peaks, norms, beta, np.inf)
    for _ in range(MAX_STEPS):
        p = np.stack([projection @ (a.T @ beta) for a, projection in pieces])
        length = np.linalg.norm(p, axis=1)
        w = p / length[:, None]
        columns = np.stack([a @ u for (a, _), u in zip(pieces, w, strict=True)], axis=1)
        defect = np.concatenate([labels - columns @ norms, 1 - length])
        error = float(np.max(np.abs(defect)))
        if not error < best.error:
            break
        moved = [peak._replace(direction=u) for peak, u in zip(peaks, w, strict=True)]
        best = Polished(moved, norms, beta, error)
        step = np.linalg.lstsq(_jacobian(pieces, w, length, columns, norms), defect, rcond=CUTOFF)[0]
        beta, norms = beta + step[: len(beta)], norms + step[len(beta) :]
    return best


def signed_points(points, peak: Peak) -> Float[np.ndarray, "p r"]:
    """s S X, with the rows of the boundary set zero as well."""
    return peak.sign * (peak.active & ~peak.boundary)[:, None] * points


def boundary_projection(points, peak: Peak) -> Float[np.ndarray, "r r"]:
    """Projection on the directions orthogonal to the boundary set."""
    rank_space = points[peak.boundary]
    identity = np.eye(points.shape[1])
    if not len(rank_space):
        return identity
    _, singular, rows = np.linalg.svd(rank_space, full_matrices=False)
    rows = rows[singular > 1e-12]
    return identity - rows.T @ rows


def _jacobian(pieces, w, length, columns, norms) -> Float[np.ndarray, "m m"]:
    """Derivative of (Σ c_i s_i S_i X w_i, ‖p_i‖) by (β, c); it is symmetric."""
    p, q = columns.shape
    matrix = np.zeros((p + q, p + q))
    for (a, projection), u, norm, c in zip(pieces, w, length, norms, strict=True):
        matrix[:p, :p] += (c / norm) * a @ (projection - np.outer(u, u)) @ a.T
    matrix[:p, p:], matrix[p:, :p] = columns, columns.T
    return matrix


def _same_cells(first: list[Peak], second: list[Peak]) -> bool:
    return all(
        np.array_equal(a.active & ~a.boundary, b.active & ~b.boundary)
        and np.array_equal(a.boundary, b.boundary)
        for a, b in zip(first, second, strict=True)
    )


def _merged(peaks: list[Peak], norms, beta):
    """Peaks that have met count as one neuron with the sum of their norms."""
    kept = distinct(peaks)
    total = np.zeros(len(kept))
    for peak, norm in zip(peaks, norms, strict=True):
        distance = [
            np.linalg.norm(peak.direction - other.direction) + 2 * (peak.sign != other.sign)
            for other in kept
        ]
        total[int(np.argmin(distance))] += norm
    return kept, total, beta


def neurons_in_use(points, solution, cells) -> tuple[list[Peak], Float[np.ndarray, " q"]]:
    """The peaks under the neurons of the cone programme, and the norms gathered on each."""
    gram = points @ points.T
    size = np.linalg.norm(solution.neurons, axis=1)
    peaks, norms = [], []
    for i in np.flatnonzero(size > UNUSED * size.sum()):
        peak = climb(points, gram, solution.beta, int(cells.sign[i]), solution.neurons[i])
        if peak is not None and peak.value > 1 - NOT_A_PEAK:
            peaks.append(peak)
            norms.append(size[i])
    kept, total, _ = _merged(peaks, np.array(norms), solution.beta)
    return kept, total
