"""The second-order cone programme over a list of cells, solved by clarabel."""

from typing import NamedTuple

import clarabel
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

TOLERANCE = 1e-11
"""Asked of the interior-point method; polishing takes over from there."""


class Cells(NamedTuple):
    """Activation patterns with a sign of the output weight, one neuron for each.

    Args:
        active: which points are active.
        sign: +1 or −1.
    """

    active: Bool[np.ndarray, "q p"]
    sign: Int[np.ndarray, " q"]


class ConeSolution(NamedTuple):
    """Neurons v_i = |a_i| w_i of every cell, and the multipliers β of the interpolation."""

    neurons: Float[np.ndarray, "q r"]
    beta: Float[np.ndarray, " p"]


def solve_over_cells(
    points: Float[np.ndarray, "p r"], labels: Float[np.ndarray, " p"], cells: Cells
) -> ConeSolution:
    """Least norm with at most one neuron in each cell, to the accuracy of an interior-point method.

        minimise Σ_i ‖v_i‖   subject to   Σ_i s_i S_i X v_i = y,   (2 S_i − 1) X v_i ≥ 0

    The variables are (τ_i, v_i) in a second-order cone, τ_i ≥ ‖v_i‖.
    """
    p, r = points.shape
    q = len(cells.sign)
    response = np.zeros((p, q, r + 1))
    response[:, :, 1:] = np.einsum("i,ik,kd->kid", cells.sign, cells.active, points)
    outward = np.where(cells.active, -1.0, 1.0)
    inequality = np.zeros((q, p, r + 1))
    inequality[:, :, 1:] = outward[:, :, None] * points
    matrix = sparse.vstack(
        [
            sparse.csc_matrix(response.reshape(p, -1)),
            sparse.block_diag([sparse.coo_matrix(cell) for cell in inequality], format="csc"),
            -sparse.identity(q * (r + 1), format="csc"),
        ],
        format="csc",
    )
    offset = np.concatenate([labels, np.zeros(q * p + q * (r + 1))])
    cost = np.tile(np.eye(1, r + 1)[0], q)
    cones = [clarabel.ZeroConeT(p), clarabel.NonnegativeConeT(q * p)]
    cones += [clarabel.SecondOrderConeT(r + 1)] * q
    quadratic = sparse.csc_matrix((cost.size, cost.size))
    solver = clarabel.DefaultSolver(quadratic, cost, matrix, offset, cones, _settings())
    solution = solver.solve()
    neurons = np.array(solution.x).reshape(q, r + 1)[:, 1:]
    return ConeSolution(neurons, -np.array(solution.z)[:p])


def _settings() -> clarabel.DefaultSettings:
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = TOLERANCE
    return settings
