"""Which cells the cone programme needs: all in the plane, the violated ones otherwise."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxflow.minnorm.branching import SphereMaximum, sphere_maximum
from jaxflow.minnorm.circle import circle_maximum, plane_cells
from jaxflow.minnorm.cone_programme import Cells, ConeSolution, solve_over_cells
from jaxflow.minnorm.dual_function import Peak, climb, distinct
from jaxflow.minnorm.warm_start import first_cells

VIOLATED = 1e-7
"""A cell is added where the dual function exceeds one by more than this."""

RANDOM_STARTS = 32
"""Random directions from which violated peaks are sought in every round, beside the neurons."""

CROWDED = 3
"""With more cells than this for each datum, those without a neuron are dropped."""

HELD = 1e-7
"""Share of the total norm from which a cell counts as holding a neuron."""

MAX_ROUNDS = 60
"""Rounds of column generation at most."""


class Limits(NamedTuple):
    """How much work a search may do.

    Args:
        nodes: nodes of one branch-and-bound search.
    """

    nodes: int = 20000


def highest_peaks(points, beta, known: list[Peak], limits: Limits, enough=np.inf) -> SphereMaximum:
    """Maximum of the dual function over the sphere, by the method that suits the dimension."""
    if points.shape[1] == 2:
        return circle_maximum(points, beta)
    return sphere_maximum(points, beta, known, limits.nodes, enough)


def generate_columns(
    points: Float[np.ndarray, "p r"],
    labels: Float[np.ndarray, " p"],
    directions: Float[np.ndarray, "q r"],
    limits: Limits,
) -> tuple[ConeSolution, Cells]:
    """Solve the cone programme over enough cells, to the accuracy of the interior-point method.

    In the plane all cells are there from the start. Otherwise a linear programme proposes the
    first, and the cells around every peak of the dual function above one are added until there is
    none. Only the last round asks branch and bound; climbing serves in the others.
    """
    if points.shape[1] == 2:
        cells = _with_both_signs(np.unique(plane_cells(points), axis=0))
        return solve_over_cells(points, labels, cells), cells
    cells = first_cells(points, labels, directions)
    rng = np.random.default_rng(0)
    for _ in range(MAX_ROUNDS):
        solution = solve_over_cells(points, labels, cells)
        new = _violated_cells(points, solution, cells, limits, rng)
        if new is None:
            break
        cells = _joined(_useful(cells, solution, labels), new)
    return solution, cells


def _with_both_signs(patterns) -> Cells:
    signs = np.repeat([1, -1], len(patterns))
    return Cells(np.concatenate([patterns, patterns]), signs)


def _violated_cells(points, solution: ConeSolution, cells, limits, rng) -> Cells | None:
    """Cells around peaks above one that the programme does not have; nothing if there are none.

    Peaks in cells that the programme has already are above one by its own inaccuracy only.
    """
    gram, beta = points @ points.T, solution.beta
    starts = [(s, v) for s, v in zip(cells.sign, solution.neurons, strict=True) if v @ v > 1e-12]
    random = rng.normal(size=(RANDOM_STARTS, points.shape[1]))
    starts += [(s, v) for v in random for s in (1, -1)]
    found = [climb(points, gram, beta, int(s), v) for s, v in starts]
    peaks = distinct([peak for peak in found if peak is not None])
    new = _missing(cells, [peak for peak in peaks if peak.value > 1 + VIOLATED])
    if new is not None:
        return new
    enough = max([1.0] + [peak.value for peak in peaks]) + VIOLATED
    search = highest_peaks(points, beta, peaks, limits, enough)
    return _missing(cells, [peak for peak in search.peaks if peak.value > enough])


def _missing(cells: Cells, peaks: list[Peak]) -> Cells | None:
    """Of each peak, its own cell and those with its boundary all off or all on, if not there."""
    known = {(row.tobytes(), s) for row, s in zip(cells.active, cells.sign.tolist(), strict=True)}
    rows, signs = [], []
    for peak in peaks:
        for active in (peak.active, peak.active & ~peak.boundary, peak.active | peak.boundary):
            if (active.tobytes(), peak.sign) not in known:
                known.add((active.tobytes(), peak.sign))
                rows.append(active)
                signs.append(peak.sign)
    return Cells(np.stack(rows), np.array(signs)) if rows else None


def _useful(cells: Cells, solution: ConeSolution, labels) -> Cells:
    """The cells without those that hold no neuron, once there are many more than data."""
    if len(cells.sign) <= CROWDED * len(labels):
        return cells
    size = np.linalg.norm(solution.neurons, axis=1)
    held = size > HELD * np.sum(size)
    return Cells(cells.active[held], cells.sign[held])


def _joined(first: Cells, second: Cells) -> Cells:
    return Cells(
        np.concatenate([first.active, second.active]), np.concatenate([first.sign, second.sign])
    )
