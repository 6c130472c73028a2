"""Extremal directions: where hidden weights can point at the end of the early phase, any inputs.

With the residual frozen at the labels, directions ω of neurons of sign s follow the spherical flow
of s G(ω), G(ω) = 1/n Σ_k y_k max(⟨ω, x_k⟩, 0). Its stationary points are the extremal directions.
In the activation cell S they are ±D_S, D_S = 1/n Σ_{k ∈ S} y_k x_k, where that lies in the cell; on
the common boundary of the data B they are ±D, with D the projection of D_S on the complement of
span{x_k : k ∈ B}, where D = D_S + 1/n Σ_{k ∈ B} α_k y_k x_k for some α ∈ [0, 1]^B.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxflow.dataset import Dataset

MOST_DATA = 12
"""All 3^n choices of active, inactive and boundary data are tried, so n is limited."""
ON_BOUNDARY = 1e-10
"""Cosine below which a direction counts as lying on the boundary of a datum."""


@dataclass(frozen=True, eq=False)
class ExtremalDirections:
    """All extremal directions of a data set, the largest ‖D‖ first."""

    directions: Float[np.ndarray, "E d"]
    """Unit vectors."""
    rates: Float[np.ndarray, " E"]
    """⟨ω, D⟩ = ±‖D‖: a neuron of sign s in that direction grows at the rate s ⟨ω, D⟩."""
    active: Bool[np.ndarray, "E n"]
    boundary: Bool[np.ndarray, "E n"]
    attracts: Int[np.ndarray, " E"]
    """The sign of a_j of the neurons drawn to it, 0 if it is stable for neither sign."""

    def __repr__(self) -> str:
        words = {1: "attracts a > 0", -1: "attracts a < 0", 0: "unstable"}
        rows = (
            f"  {np.array2string(w, precision=6)}: rate {rate:.6g}, {words[int(sign)]}, active at "
            f"{np.flatnonzero(on).tolist()}, on the boundary of {np.flatnonzero(edge).tolist()}"
            for w, rate, on, edge, sign in zip(
                self.directions, self.rates, self.active, self.boundary, self.attracts, strict=True
            )
        )
        return "\n".join([f"ExtremalDirections: {self.rates.size}", *rows])


def extremal_directions(dataset: Dataset) -> ExtremalDirections:
    """Enumerate the extremal directions of a small data set with arbitrary inputs.

    A direction attracts all neurons of sign s near it when it is a strict local maximum of s G:
    every datum of B pushes back, s y_k < 0, and it is s D/‖D‖, or the data of B leave only one
    line (then neurons with direction −s D/‖D‖ stay there and decay). With orthogonal inputs a
    missing datum of the neuron's own sign is on the boundary with α_k = 0 and attracts from the
    inactive side only: it counts as unstable. Boundary sets of linearly dependent inputs are not
    searched; directions with D = 0 do not count.

    Raises:
        ValueError: more than 12 data.

    Source: Maennel, Bousquet, Gelly, arXiv 1803.08367, section 3.
    """
    if dataset.n > MOST_DATA:
        raise ValueError(
            f"dataset: got {dataset.n} data, wanted at most {MOST_DATA}: the enumeration tries 3^n "
            f"activation patterns; for orthogonal inputs use frozen_residual, which needs none"
        )
    x, y = np.asarray(dataset.x), np.asarray(dataset.y)
    found = [
        extremal
        for size in range(min(dataset.dim, dataset.n + 1))
        for boundary in combinations(range(dataset.n), size)
        for extremal in _on_boundary(x, y, list(boundary))
    ]
    found.sort(key=lambda extremal: -abs(extremal[1]))
    columns = list(zip(*found, strict=True)) if found else [[], [], [], [], []]
    shapes = (-1, dataset.dim), (-1,), (-1, dataset.n), (-1, dataset.n), (-1,)
    types = float, float, bool, bool, int
    return ExtremalDirections(
        *(
            np.array(column, kind).reshape(shape)
            for column, kind, shape in zip(columns, types, shapes, strict=True)
        )
    )


def _on_boundary(x, y, boundary: list[int]):
    """Extremal directions with exactly these data on their boundary."""
    n = len(y)
    if boundary and np.linalg.matrix_rank(x[boundary]) < len(boundary):
        return
    others = [k for k in range(n) if k not in boundary]
    patterns = _all_patterns(len(others))
    forces = patterns @ (x[others] * y[others, None]) / n
    pull = forces @ np.linalg.pinv(x[boundary]) if boundary else np.zeros((len(forces), 0))
    projected = forces - pull @ x[boundary]
    sizes = np.linalg.norm(projected, axis=1)
    alpha_fits = _within_unit_interval(-n * pull, y[boundary])
    candidates = (sizes > ON_BOUNDARY * np.linalg.norm(forces, axis=1)) & alpha_fits
    for index in np.flatnonzero(candidates):
        for sign in (1, -1):
            direction = sign * projected[index] / sizes[index]
            cosine = x[others] @ direction / np.linalg.norm(x[others], axis=1)
            if np.all(np.abs(cosine) > ON_BOUNDARY) and np.all((cosine > 0) == patterns[index]):
                active, edge = np.zeros(n, bool), np.zeros(n, bool)
                active[others], edge[boundary] = patterns[index], True
                only_line = len(boundary) == x.shape[1] - 1
                attracts = _attracted_sign(sign, y[boundary], only_line)
                yield direction, sign * sizes[index], active, edge, attracts


def _attracted_sign(sign: int, labels: np.ndarray, only_line: bool) -> int:
    """Sign of the neurons for which the direction sign · D/‖D‖ is a strict local maximum of s G."""
    if np.all(sign * labels < 0):
        return sign
    return -sign if only_line and np.all(-sign * labels < 0) else 0


def _all_patterns(count: int) -> Bool[np.ndarray, "patterns count"]:
    return (np.arange(2**count)[:, None] >> np.arange(count)) % 2 == 1


def _within_unit_interval(weighted, y) -> Bool[np.ndarray, " patterns"]:
    """Whether α_k y_k = weighted_k has solutions 0 ≤ α_k ≤ 1 for all k, up to rounding."""
    slack = ON_BOUNDARY * np.max(np.abs(y), initial=0.0)
    return np.all(
        (weighted >= np.minimum(y, 0) - slack) & (weighted <= np.maximum(y, 0) + slack), 1
    )
