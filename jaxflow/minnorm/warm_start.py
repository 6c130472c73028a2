"""First cells for the cone programme, from linear programmes over directions.

A linear programme over directions costs a hundredth of a cone programme over cells. It approaches
the minimum slowly, but the cells of its neurons are mostly the right ones.
"""

import numpy as np
from jaxtyping import Float
from scipy.optimize import linprog

from jaxflow.minnorm.cone_programme import Cells
from jaxflow.minnorm.dual_function import Peak, climb, distinct

MAX_ROUNDS = 60
"""Linear programmes at most."""

CLOSE_ENOUGH = 0.02
"""The rounds end when no peak of the dual function is above one by more than this."""

NEARLY_USED = 1e-2
"""Directions under which the dual function is below one by at most this give a cell, too."""

RANDOM_STARTS = 8
"""Random directions from which peaks are sought, beside the directions in use."""


def first_cells(
    points: Float[np.ndarray, "p r"],
    labels: Float[np.ndarray, " p"],
    directions: Float[np.ndarray, "q r"],
) -> Cells:
    """Cells of the neurons of a linear programme, among which some network fits the labels.

        minimise Σ_j |c_j|   subject to   Σ_j c_j max(⟨w_j, x_k⟩, 0) = y_k

    over directions w_j, to which the peaks of its dual function are added in every round.

    Args:
        points, labels: the reduced problem.
        directions: unit vectors whose responses span all labels.
    """
    gram, rng = points @ points.T, np.random.default_rng(0)
    pool = [_at_rest(points, w, sign) for w in directions for sign in (1, -1)]
    for _ in range(MAX_ROUNDS):
        norms, beta = _least_norm(points, labels, pool)
        starts = [(pool[j].sign, pool[j].direction) for j in np.flatnonzero(norms > 0)]
        random = rng.normal(size=(RANDOM_STARTS, points.shape[1]))
        starts += [(sign, w) for w in random for sign in (1, -1)]
        found = [climb(points, gram, beta, sign, w) for sign, w in starts]
        high = [peak for peak in found if peak is not None and peak.value > 1 + CLOSE_ENOUGH]
        if not high:
            break
        pool += distinct(high)
    return _cells(points, beta, pool[: len(norms)], norms)


def _at_rest(points, direction, sign: int) -> Peak:
    reach = points @ direction
    return Peak(direction, sign, 0.0, reach > 0, np.zeros(len(points), dtype=bool))


def _least_norm(points, labels, pool: list[Peak]):
    """Norm of each neuron of the linear programme, and its dual β."""
    signs = np.array([peak.sign for peak in pool])
    reach = points @ np.stack([peak.direction for peak in pool]).T
    columns = signs * np.maximum(reach, 0.0)
    found = linprog(
        np.ones(len(pool)), A_eq=columns, b_eq=labels, bounds=(0, None), method="highs-ds"
    )
    return found.x, found.eqlin.marginals


def _cells(points, beta, pool: list[Peak], norms) -> Cells:
    rows, signs, known = [], [], set()
    for peak, norm in zip(pool, norms, strict=True):
        height = peak.sign * float(np.maximum(points @ peak.direction, 0.0) @ beta)
        cell = (peak.active.tobytes(), peak.sign)
        if (norm > 0 or height > 1 - NEARLY_USED) and cell not in known:
            known.add(cell)
            rows.append(peak.active)
            signs.append(peak.sign)
    return Cells(np.stack(rows), np.array(signs))
