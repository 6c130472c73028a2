"""Directions whose responses span all labels, and what a change of the labels costs."""

import numpy as np
from jaxtyping import Float

TRIES = 8
"""Random points tried on each hyperplane, the one farthest from the other hyperplanes kept."""


def spanning_directions(points: Float[np.ndarray, "p r"]) -> Float[np.ndarray, "q r"]:
    """Unit vectors whose ReLU responses max(⟨w, x_k⟩, 0) span R^p, with a few to spare.

    On each hyperplane ⟨w, x_k⟩ = 0 a point w⁰ is taken, and w⁰ ± δ x_k with no other hyperplane in
    between: the second difference of their responses is zero at all points but ±x_k. The points
    themselves and their opposites tell x_k from −x_k. Random directions fill up what rounding took.
    """
    rng = np.random.default_rng(0)
    rows = [points, -points]
    for point in points:
        rows += _around_hyperplane(points, point, rng)
    directions = np.concatenate(rows)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for _ in range(20):
        if _spans(points, directions):
            break
        more = rng.normal(size=points.shape)
        directions = np.concatenate([directions, more / np.linalg.norm(more, axis=1)[:, None]])
    return directions


def _around_hyperplane(points, point, rng) -> list[Float[np.ndarray, "3 r"]]:
    if points.shape[1] == 1:
        return []
    foot = rng.normal(size=(TRIES, points.shape[1]))
    foot -= np.outer(foot @ point, point)
    foot /= np.linalg.norm(foot, axis=1, keepdims=True)
    cosine = points @ point
    other = 1 - np.abs(cosine) > 1e-14
    room = np.abs(foot @ points[other].T) / np.maximum(np.abs(cosine[other]), 1e-3)
    nearest = np.min(room, axis=1, initial=1.0)
    best = int(np.argmax(nearest))
    step = 0.5 * nearest[best] * point
    triple = np.stack([foot[best] - step, foot[best], foot[best] + step])
    return [triple, -triple]


def responses(points, directions) -> Float[np.ndarray, "p q"]:
    """max(⟨w, x_k⟩, 0) for each point (row) and direction (column)."""
    return np.maximum(points @ directions.T, 0.0)


def _spans(points, directions) -> bool:
    return np.linalg.matrix_rank(responses(points, directions), tol=1e-13) == len(points)


def label_costs(points, directions) -> Float[np.ndarray, " p"]:
    """Upper bound of the least norm of a network that is one at x_k and zero at the other points.

    κ_k = Σ_j |c_jk| with R c_k = e_k, R the responses of the directions; infinite where rounding
    spoils that equation.
    """
    matrix = responses(points, directions)
    inverse = np.linalg.pinv(matrix, rcond=1e-14)
    error = np.max(np.abs(matrix @ inverse - np.eye(len(points))), axis=0)
    return np.where(error < 1e-6, np.sum(np.abs(inverse), axis=0) * (1 + 1e-5), np.inf)
