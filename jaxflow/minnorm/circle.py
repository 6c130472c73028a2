"""Inputs that span a plane: all cells of the arrangement, by sorting directions around a circle."""

import numpy as np
from jaxtyping import Bool, Float

from jaxflow.minnorm.branching import TIE, SphereMaximum
from jaxflow.minnorm.dual_function import climb, distinct, dual_values


def walls(points: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, "q 2"]:
    """The 2p unit vectors with ⟨w, x_k⟩ = 0 for some k, counterclockwise."""
    quarter_turn = points @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    both = np.concatenate([quarter_turn, -quarter_turn])
    return both[np.argsort(np.arctan2(both[:, 1], both[:, 0]))]


def plane_cells(points: Float[np.ndarray, "p 2"]) -> Bool[np.ndarray, "q p"]:
    """Activation pattern of every cell between consecutive walls, as its middle direction has it.

    A wall that occurs twice (two opposite points) leaves a cell without interior between its
    copies; its pattern is that of the wall itself up to rounding, and harmless.
    """
    edge = walls(points)
    return (edge + np.roll(edge, -1, axis=0)) @ points.T > 0


def circle_maximum(
    points: Float[np.ndarray, "p 2"], beta: Float[np.ndarray, " p"]
) -> SphereMaximum:
    """Maximum over the unit circle of |g(w)|, g(w) = Σ_k β_k max(⟨w, x_k⟩, 0), cell by cell.

    In a cell with pattern S, g(w) = ⟨w, c⟩ with c = Σ_{k ∈ S} β_k x_k: the maximum is ‖c‖ where c
    lies in the cell, and at one of its two walls otherwise.
    """
    edge = walls(points)
    gradient = (plane_cells(points) * beta) @ points
    at_edge = dual_values(points, beta, edge)
    gram, candidates, bound = points @ points.T, [], 0.0
    for sign in (1, -1):
        c = sign * gradient
        inside = (_cross(edge, c) >= 0) & (_cross(c, np.roll(edge, -1, axis=0)) >= 0)
        bound = max(bound, np.max(np.linalg.norm(c, axis=1), where=inside, initial=0.0))
        bound = max(bound, float(np.max(sign * at_edge)))
        candidates += [(sign, w) for w in c[inside]]
        candidates += [(sign, w) for w, value in zip(edge, sign * at_edge, strict=True) if value > 0]
    good = [(s, w) for s, w in candidates if _value(points, s * beta, w) >= bound * (1 - 1e-6)]
    peaks = [climb(points, gram, beta, sign, w) for sign, w in good]
    rounding = (len(points) + 4) * np.finfo(float).eps * float(np.sum(np.abs(beta)))
    high = [p for p in peaks if p is not None and p.value >= bound * (1 - TIE)]
    return SphereMaximum(bound + rounding, bound, distinct(high), True)


def _cross(a, b):
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _value(points, weight, w) -> float:
    return float(np.maximum(points @ w, 0.0) @ weight / max(np.linalg.norm(w), 1e-300))
