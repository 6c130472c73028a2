"""Lipschitz constant of a network's function: exact for few effective neurons, else bounds.

The gradient of h is Σ_{j ∈ S} a_j w_j on the cell where exactly the neurons S are active, so the
Lipschitz constant is the largest norm of these vectors over the cells that exist.
"""

from dataclasses import dataclass
from math import comb

import numpy as np
from scipy.optimize import linprog

from jaxflow.network import ReluNetwork

PARALLEL = 1e-9
"""Sine below which two neurons of one sign count as parallel."""
ROUNDING = 1e-12
"""Relative gap between the bounds up to which they count as exact."""
MOST_CELLS = 1 << 12
"""Largest number of cells that is enumerated where all sign patterns exist."""
SUMMED = 32
"""Largest number of neurons whose sums of two are tried for a lower bound."""
MOST_PROGRAMMES = 500
"""Largest number of cells that is searched for by linear programmes."""


@dataclass(frozen=True)
class LipschitzBounds:
    """lower ≤ Lipschitz constant ≤ upper, equal up to rounding when `exact`."""

    lower: float
    upper: float
    exact: bool


def lipschitz_constant(network: ReluNetwork, *, bias: bool = False) -> LipschitzBounds:
    """Lipschitz constant of h for the Euclidean norm.

    Parallel neurons of one sign are merged first: on the cells between their boundaries the
    gradient lies between its values on both sides, so the maximum is not changed; merging neurons
    that are only nearly parallel widens the bounds accordingly.

    Args:
        network: any network.
        bias: whether the last input is the constant 1; then the constant is with respect to the
            other inputs, on that hyperplane.
    """
    w, slopes, blur = _effective_neurons(network)
    if not len(w):
        return LipschitzBounds(0.0, 0.0, True)
    gradients = slopes[:, :-1] if bias else slopes
    cells = _cells(w, bias)
    if cells is None:
        values = _gradient_norms(_cells_at(_directions(w, bias), w), gradients)
        return LipschitzBounds(float(np.max(values)), _any_subset(gradients) + blur, False)
    largest = float(np.max(_gradient_norms(cells, gradients)))
    return LipschitzBounds(max(largest - blur, 0.0), largest + blur, blur <= ROUNDING * largest)


def _effective_neurons(network: ReluNetwork):
    """Unit directions, gradients a_j w_j of merged neurons, and the error that merging makes."""
    w, a = np.asarray(network.w), np.asarray(network.a)
    norms = np.linalg.norm(w, axis=1)
    sizes = np.abs(a) * norms
    alive = np.argsort(-sizes)[: np.count_nonzero(sizes)]
    units, slopes = np.zeros((0, network.dim)), np.zeros((0, network.dim))
    signs, blur = np.zeros(0), 0.0
    for j in alive:
        direction, sign = w[j] / norms[j], np.sign(a[j])
        sines = np.where(signs == sign, np.linalg.norm(units - direction, axis=1), np.inf)
        nearest = int(np.argmin(sines)) if sines.size else -1
        if nearest >= 0 and sines[nearest] < PARALLEL:
            slopes[nearest] += a[j] * w[j]
            blur += float(sizes[j] * sines[nearest])
        else:
            units, slopes = np.vstack([units, direction]), np.vstack([slopes, a[j] * w[j]])
            signs = np.append(signs, sign)
    return units, slopes, blur


def _cells(w: np.ndarray, bias: bool) -> np.ndarray | None:
    """Activation patterns (cells, neurons) of all cells, or None where they are too many."""
    count, dim = w.shape
    if dim == 2:
        return _cells_at(_sector_middles(w, bias), w)
    rows = np.vstack([w, np.eye(dim)[-1:]]) if bias else w
    if 2.0**count <= MOST_CELLS and np.linalg.matrix_rank(rows) == len(rows):
        return (np.arange(2**count)[:, None] >> np.arange(count)) % 2 == 1
    possible = 2 * sum(comb(count - 1, i) for i in range(dim))
    return _cells_by_growth(w, bias) if possible <= MOST_PROGRAMMES else None


def _cells_at(points: np.ndarray, w: np.ndarray) -> np.ndarray:
    return points @ w.T > 0


def _gradient_norms(cells: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    return np.linalg.norm(cells.astype(float) @ gradients, axis=1)


def _sector_middles(w: np.ndarray, bias: bool) -> np.ndarray:
    """One point in each sector of the plane, above the axis x_2 = 0 with a bias."""
    boundaries = np.arctan2(w[:, 0], -w[:, 1])
    boundaries = np.append(boundaries, 0.0) if bias else boundaries
    turns = np.unique(np.mod(np.concatenate([boundaries, boundaries + np.pi]), 2 * np.pi))
    middles = (turns + np.append(turns[1:], turns[0] + 2 * np.pi)) / 2
    points = np.stack([np.cos(middles), np.sin(middles)], axis=1)
    return points[points[:, 1] > 0] if bias else points


def _cells_by_growth(w: np.ndarray, bias: bool) -> np.ndarray:
    """Add one neuron after the other, keeping the sign patterns that some input realises."""
    cells = np.zeros((1, 0), bool)
    for count in range(1, len(w) + 1):
        grown = [np.append(cell, side) for cell in cells for side in (False, True)]
        cells = [cell for cell in grown if _exists(cell, w[:count], bias)]
    return np.array(cells)


def _exists(cell: np.ndarray, w: np.ndarray, bias: bool) -> bool:
    """Whether some x has ⟨w_j, x⟩ ≥ 1 on the active and ≤ −1 on the inactive neurons."""
    rows = np.where(cell, -1.0, 1.0)[:, None] * w
    rows = np.vstack([rows, -np.eye(w.shape[1])[-1:]]) if bias else rows
    solution = linprog(
        np.zeros(w.shape[1]), A_ub=rows, b_ub=-np.ones(len(rows)), bounds=(None, None)
    )
    return solution.status == 0


def _directions(w: np.ndarray, bias: bool) -> np.ndarray:
    """Inputs at which to look for a lower bound: every neuron, both ways, and sums of two."""
    pairs = w[:SUMMED, None] + w[None, :SUMMED]
    points = np.concatenate([w, -w, pairs.reshape(-1, w.shape[1])])
    return np.where(points[:, -1:] < 0, -points, points) if bias else points


def _any_subset(gradients: np.ndarray) -> float:
    """Upper bound over all subsets, ‖Σ_S g_j‖² ≤ Σ_ij max(⟨g_i, g_j⟩, 0)."""
    return float(np.sqrt(np.sum(np.maximum(gradients @ gradients.T, 0.0))))
