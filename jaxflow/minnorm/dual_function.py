"""The dual function g(w) = Σ_k β_k max(⟨w, x_k⟩, 0) on the sphere, and its local maxima.

Where the signs of ⟨w, x_k⟩ are fixed for all k with β_k > 0, g is concave, and its maximum over the
cone of such w within the unit ball is, by duality,

    min ‖Σ_k t_k x_k‖   over   t_k ≥ β_k  (β_k > 0, x_k on the active side),
                               t_k ≤ 0    (β_k > 0, inactive side),
                               β_k ≤ t_k ≤ 0   (β_k < 0),   t_k = 0   (β_k = 0),

attained at w = Σ t_k x_k / ‖Σ t_k x_k‖. Every t of this box gives an upper bound.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxflow.minnorm.box import shortest_combination


class Peak(NamedTuple):
    """A local maximum of sign · g on the unit sphere.

    Args:
        direction: the unit vector w.
        sign: +1 or −1.
        value: sign · g(w).
        active: points on which a neuron in this direction counts as active.
        boundary: points with ⟨w, x_k⟩ = 0 that hold the maximum in place (0 < t_k/β_k < 1).
    """

    direction: Float[np.ndarray, " r"]
    sign: int
    value: float
    active: Bool[np.ndarray, " p"]
    boundary: Bool[np.ndarray, " p"]


def dual_values(points, beta, directions) -> Float[np.ndarray, " q"]:
    """g(w) = Σ_k β_k max(⟨w, x_k⟩, 0) for each row w of `directions`."""
    return np.maximum(directions @ points.T, 0.0) @ beta


def peak_from_coefficients(points, beta, sign: int, t) -> Peak | None:
    """The peak at w ∝ Σ_k t_k x_k, where t solves the problem of its cell for sign · β.

    The coefficients tell which data are active also where ⟨w, x_k⟩ is zero up to rounding.
    """
    w = points.T @ t
    norm = np.linalg.norm(w)
    if norm <= 1e-12 * max(float(np.sum(np.abs(t))), 1e-300):
        return None
    w = w / norm
    weight = sign * beta
    boundary = (weight < 0) & (t > weight) & (t < 0)
    side = np.where(weight == 0, points @ w > 0, np.abs(t) >= 0.5 * np.abs(weight))
    active = side & ~((weight > 0) & (t < 0))
    value = float(np.maximum(points @ w, 0.0) @ weight)
    return _sharpened(points, weight, Peak(w, sign, value, active, boundary))


def _sharpened(points, weight, peak: Peak) -> Peak:
    """The peak in the direction that its cell gives, Π Xᵀ S s β, where that is higher.

    Coefficients found from the Gram matrix lose the digits that almost equal inputs share.
    """
    p = points.T @ np.where(peak.active & ~peak.boundary, weight, 0.0)
    projection = boundary_projection(points, peak)
    p = projection @ (projection @ p)
    norm = np.linalg.norm(p)
    if norm == 0:
        return peak
    value = float(np.maximum(points @ (p / norm), 0.0) @ weight)
    return peak._replace(direction=p / norm, value=value) if value > peak.value else peak


def boundary_projection(points, peak: Peak) -> Float[np.ndarray, "r r"]:
    """Projection on the directions orthogonal to the boundary set."""
    rank_space = points[peak.boundary]
    identity = np.eye(points.shape[1])
    if not len(rank_space):
        return identity
    _, singular, rows = np.linalg.svd(rank_space, full_matrices=False)
    rows = rows[singular > 1e-12]
    return identity - rows.T @ rows


def climb(points, gram, beta, sign: int, start: Float[np.ndarray, " r"]) -> Peak | None:
    """The local maximum of sign · g reached from a direction.

    The convex part of g is replaced by its tangent and the concave rest is maximised exactly over
    the ball; g never decreases, and the signs on the convex part repeat after finitely many steps.
    """
    weight = sign * beta
    low, high = np.minimum(weight, 0.0), np.zeros_like(weight)
    convex = weight > 0
    active, t = points @ start > 0, None
    for _ in range(100):
        fixed = np.where(active, weight, 0.0)
        low[convex] = high[convex] = fixed[convex]
        t = shortest_combination(gram, low, high, t)
        now_active = points @ (points.T @ t) > 0
        if np.array_equal(now_active[convex], active[convex]):
            break
        active = now_active
    return peak_from_coefficients(points, beta, sign, t)


def distinct(peaks: list[Peak], closest: float = 1e-7) -> list[Peak]:
    """The peaks without repetitions: one for each direction and sign, the highest."""
    kept: list[Peak] = []
    for peak in sorted(peaks, key=lambda p: -p.value):
        known = any(
            other.sign == peak.sign and np.linalg.norm(other.direction - peak.direction) <= closest
            for other in kept
        )
        if not known:
            kept.append(peak)
    return kept
