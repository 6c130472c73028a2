"""Newton's method on the optimality conditions of the neurons that are in use, in float64.

With the activation pattern S_i, the boundary set B_i and the sign s_i of every neuron fixed, the
unknowns are β and the norms c_i. The direction of neuron i is the one in which the dual function
is highest,

    w_i(β) = p_i/‖p_i‖,   p_i = Π_i Xᵀ S_i s_i β,

where Π_i projects on {w : ⟨w, x_k⟩ = 0, k ∈ B_i},
and the conditions are Σ_i c_i s_i S_i X w_i(β) = y (interpolation) and ‖p_i(β)‖ = 1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls

from jaxflow.minnorm.cone_programme import Cells, ConeSolution
from jaxflow.minnorm.dual_function import Peak, boundary_projection, climb, distinct

MAX_STEPS = 30
"""Newton steps at most; quadratic convergence needs about five."""

CUTOFF = 1e-12
"""Singular values below this, relative to the largest, belong to freedom of c or β, not to data."""

MAX_REVISIONS = 12
"""Times that cells are revised after Newton's method at most."""

NOT_A_PEAK = 1e-4
"""A neuron under which the dual function stays below one by more than this is not in use."""


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
    for _ in range(MAX_REVISIONS):
        current = _newton(points, labels, beta, peaks, norms)
        if not np.isfinite(current.error) or current.error > 1e-3:
            break
        if np.any(_most_negative(current.norms)):
            share = non_negative_norms(points, labels, current.peaks)
            if share is not None:
                current = _newton(points, labels, current.beta, current.peaks, share)
        followed = [climb(points, gram, current.beta, p.sign, p.direction) for p in current.peaks]
        lost = np.array([new is None or new.value < 1 - NOT_A_PEAK for new in followed])
        lost |= _most_negative(current.norms)
        if not lost.any() and _same_cells(followed, current.peaks):
            break
        if lost.all():
            break
        kept = [new for new, gone in zip(followed, lost, strict=True) if not gone]
        peaks, norms = merged(kept, current.norms[~lost])
        beta = current.beta
    return current._replace(error=max(current.error, _outside_of_cells(points, current)))


def peak_responses(points, peaks: list[Peak]) -> Float[np.ndarray, "p q"]:
    """s_i max(⟨w_i, x_k⟩, 0) for each point (row) and peak (column), exactly zero on boundaries."""
    return np.stack([signed_points(points, peak) @ peak.direction for peak in peaks], axis=1)


def non_negative_norms(points, labels, peaks: list[Peak]) -> Float[np.ndarray, " q"] | None:
    """Norms c ≥ 0 of neurons at the peaks that fit the labels, nothing if there are none.

    Those returned belong to linearly independent responses; with dependent ones the c of Newton's
    method is one of many, and may have negative entries where others do not.
    """
    try:
        norms, misfit = nnls(peak_responses(points, peaks), labels)
    except RuntimeError:
        return None
    return norms if misfit <= 1e-9 * max(1.0, float(np.max(norms))) else None


def _most_negative(norms) -> np.ndarray:
    """Marks the most negative norm, unless all are non-negative to rounding."""
    return (norms < -1e-11 * np.sum(np.abs(norms))) & (norms == np.min(norms))


def _outside_of_cells(points, polished: Polished) -> float:
    """Change of the outputs if neurons act as their directions say, not their patterns.

    The largest, relative to the largest norm of a neuron, as the other errors.
    """
    change = np.zeros(len(points))
    for peak, norm in zip(polished.peaks, polished.norms, strict=True):
        reach = points @ peak.direction
        assumed = np.where(peak.active & ~peak.boundary, reach, 0.0)
        change += np.abs(norm * (np.maximum(reach, 0.0) - assumed))
    return float(np.max(change) / max(1.0, np.max(np.abs(polished.norms))))


def _newton(points, labels, beta, peaks: list[Peak], norms) -> Polished:
    pieces = [(signed_points(points, peak), boundary_projection(points, peak)) for peak in peaks]
    best = Polished(peaks, norms, beta, np.inf)
    for _ in range(MAX_STEPS):
        p = np.stack([projection @ (a.T @ beta) for a, projection in pieces])
        length = np.linalg.norm(p, axis=1)
        if not length.all():  # a boundary set that leaves a neuron nowhere to go
            break
        w = p / length[:, None]
        columns = np.stack([a @ u for (a, _), u in zip(pieces, w, strict=True)], axis=1)
        defect = np.concatenate([labels - columns @ norms, 1 - length])
        size = max(1.0, float(np.max(np.abs(norms))))
        defect[: len(labels)] /= size
        error = float(np.max(np.abs(defect)))
        if not error < best.error:
            break
        moved = [peak._replace(direction=u) for peak, u in zip(peaks, w, strict=True)]
        best = Polished(moved, norms, beta, error)
        jacobian = _jacobian(pieces, w, length, columns, norms / size)
        step = np.linalg.lstsq(jacobian, defect, rcond=CUTOFF)[0]
        beta, norms = beta + step[: len(beta)], norms + size * step[len(beta) :]
    return best


def signed_points(points, peak: Peak) -> Float[np.ndarray, "p r"]:
    """s S X, with the rows of the boundary set zero as well."""
    return peak.sign * (peak.active & ~peak.boundary)[:, None] * points


def _jacobian(pieces, w, length, columns, norms) -> Float[np.ndarray, "m m"]:
    """Symmetric derivative of (Σ c_i s_i S_i X w_i, ‖p_i‖) by (β, c), c in units of the largest."""
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


def merged(
    peaks: list[Peak], norms, closest: float = 1e-7
) -> tuple[list[Peak], Float[np.ndarray, " q"]]:
    """Peaks that have met count as one neuron with the sum of their norms."""
    kept = distinct(peaks, closest)
    total = np.zeros(len(kept))
    for peak, norm in zip(peaks, norms, strict=True):
        distance = [
            np.linalg.norm(peak.direction - other.direction) + 2 * (peak.sign != other.sign)
            for other in kept
        ]
        total[int(np.argmin(distance))] += norm
    return kept, total


def neurons_in_use(
    points, solution: ConeSolution, cells: Cells, share: float, below: float
) -> tuple[list[Peak], Float[np.ndarray, " q"]]:
    """The peaks under the neurons of the cone programme, and the norms gathered on each.

    Args:
        points, solution, cells: the cone programme and its solution.
        share: a neuron in use has at least this share of the total norm,
        below: and its peak is lower than one by at most this.
    """
    gram = points @ points.T
    size = np.linalg.norm(solution.neurons, axis=1)
    peaks, norms = [], []
    for i in np.flatnonzero(size > share * size.sum()):
        peak = climb(points, gram, solution.beta, int(cells.sign[i]), solution.neurons[i])
        if peak is not None and peak.value > 1 - below:
            peaks.append(peak)
            norms.append(size[i])
    return merged(peaks, np.array(norms))


def neurons_as_found(
    points, solution: ConeSolution, cells: Cells, share: float, near: float, same: float
) -> tuple[list[Peak], Float[np.ndarray, " q"]]:
    """The neurons of the cone programme with the cells that it gave them, not the peaks above.

    For inputs so close to each other that the dual function is nearly flat between two peaks and
    the interior-point method's β does not tell them apart.

    Args:
        points, solution, cells: the cone programme and its solution.
        share: a neuron in use has at least this share of the total norm.
        near: a boundary closer than this counts as touched,
        same: and a neuron closer than this as the same.
    """
    size = np.linalg.norm(solution.neurons, axis=1)
    used = np.flatnonzero(size > share * size.sum())
    peaks = []
    for i in used:
        w, sign = solution.neurons[i] / size[i], int(cells.sign[i])
        reach = points @ w
        value = sign * float(np.maximum(reach, 0.0) @ solution.beta)
        peaks.append(Peak(w, sign, value, cells.active[i], np.abs(reach) < near))
    return merged(peaks, size[used], same)
