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
    lies in the cell, and at one of its two walls otherwise. The sums are taken in extended
    precision where the platform has it, so that the rounding that `bound` allows for is mostly that
    of the points themselves.
    """
    edge, long = walls(points), points.astype(np.longdouble)
    gradient = (plane_cells(points) * beta) @ long
    at_edge = dual_values(long, beta, edge)
    candidates, bound = [], 0.0
    for sign in (1, -1):
        c = sign * gradient
        inside = (
            (_cross(edge, c) >= 0) & (_cross(c, np.roll(edge, -1, axis=0)) >= 0) & c.any(axis=1)
        )
        bound = max(bound, np.max(np.sqrt(np.sum(c[inside] ** 2, axis=1)), initial=0.0))
        bound = max(bound, np.max(sign * at_edge))
        starts = np.concatenate([c[inside].astype(float), edge[sign * at_edge > 0]])
        candidates += [(sign, w / np.linalg.norm(w)) for w in starts]
    floor = float(bound) * (1 - 1e-6)
    good = [(s, w) for s, w in candidates if s * dual_values(points, beta, w) >= floor]
    climbed = [climb(points, points @ points.T, beta, sign, w) for sign, w in good]
    high = [p for p in climbed if p is not None and p.value >= float(bound) * (1 - TIE)]
    size = float(np.sum(np.abs(beta)))
    unit = 6 * np.finfo(float).eps + len(points) * float(np.finfo(np.longdouble).eps)
    return SphereMaximum(float(bound) + unit * size, float(bound), distinct(high), True)


def _cross(a, b):
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
