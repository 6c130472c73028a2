"""The maximum of the dual function over the whole sphere, certified by branch and bound.

The cells of the arrangement of hyperplanes ⟨w, x_k⟩ = 0 are the leaves of a tree that decides, one
datum after the other, on which side w lies. Only data with β_k > 0 need a decision: the others
leave the function concave (see `dual_function`). A node bounds all cells below it at once.
"""

import heapq
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxflow.minnorm.box import shortest_combination
from jaxflow.minnorm.dual_function import Peak, climb, distinct, peak_from_coefficients

TIE = 1e-9
"""Peaks lower than the highest by at most this, relatively, are all found and returned."""

WORTH_CLIMBING = 0.8
"""Inner nodes whose direction reaches this share of the best value are climbed from."""

EMPTY = 1e-14
"""A cell that no unit vector enters by more than this has no interior."""


class SphereMaximum(NamedTuple):
    """Maximum of |g| over the unit sphere.

    Args:
        bound: rigorous upper bound, rounding included.
        value: the highest value found.
        peaks: where it was found, ties within `TIE` included, all of them if `complete`.
        complete: whether the whole sphere was searched, so that `bound` equals `value` to rounding.
    """

    bound: float
    value: float
    peaks: list[Peak]
    complete: bool


class _Node(NamedTuple):
    low: Float[np.ndarray, " p"]
    high: Float[np.ndarray, " p"]
    open: Bool[np.ndarray, " p"]
    start: Float[np.ndarray, " p"]


def sphere_maximum(
    points: Float[np.ndarray, "p r"],
    beta: Float[np.ndarray, " p"],
    known: list[Peak],
    node_limit: int,
    enough: float = np.inf,
) -> SphereMaximum:
    """Maximum over unit w of |Σ_k β_k max(⟨w, x_k⟩, 0)|, both signs in one search.

    Args:
        points: unit vectors that span R^r.
        beta: coefficients, any real numbers.
        known: peaks of an earlier search, from which this one climbs first.
        node_limit: nodes to visit at most, beside the two roots; beyond, the bound is that of the
            nodes left.
        enough: stop as soon as a value above this is found.
    """
    search = _Search(points, beta, known)
    heap, count, visited = [], 0, 0
    for sign in (1, -1):
        heapq.heappush(heap, (-np.inf, count := count + 1, sign, search.root(sign)))
    while heap and visited < max(node_limit, 2) and search.best <= enough:
        parent_bound, _, sign, node = heapq.heappop(heap)
        if -parent_bound < search.best * (1 - TIE):
            search.closed(-parent_bound)
            break
        visited += 1
        bound, branch = search.visit(sign, node)
        if branch is None:
            search.closed(bound)
            continue
        for child in search.children(node, branch, sign):
            heapq.heappush(heap, (-min(bound, -parent_bound), count := count + 1, sign, child))
    left = max((-entry[0] for entry in heap), default=0.0)
    complete = left < search.best * (1 - TIE)
    return search.result(left, complete)


class _Search:
    """What all nodes share: the points, the best value so far, the peaks, the closed bound."""

    def __init__(self, points, beta, known: list[Peak]):
        self.points, self.beta = points, beta
        self.gram = points @ points.T
        self.peaks: list[Peak] = []
        self.best, self.largest_closed = 0.0, 0.0
        self.may_be_empty = points.shape[0] > points.shape[1]
        for peak in known:
            self.record(climb(points, self.gram, beta, peak.sign, peak.direction))

    def record(self, peak: Peak | None) -> None:
        if peak is not None and peak.value >= self.best * (1 - TIE):
            self.peaks.append(peak)
            self.best = max(self.best, peak.value)

    def closed(self, bound: float) -> None:
        self.largest_closed = max(self.largest_closed, bound)

    def root(self, sign: int) -> _Node:
        weight = sign * self.beta
        undecided = weight > 0
        low = np.where(undecided, 0.5 * weight, np.minimum(weight, 0.0))
        high = np.where(undecided, 0.5 * weight, 0.0)
        return _Node(low, high, undecided, 0.5 * weight)

    def visit(self, sign: int, node: _Node) -> tuple[float, int | None]:
        """Upper bound of the node, and the datum to decide next unless the node is done.

        On the undecided data max(u, 0) is replaced by (u + 1)/2, or their sum by its largest
        length: ‖r + Σ ±β_k x_k/2‖² ≤ ‖r‖² + Σ |β_k ⟨r, x_k⟩| + Σ |β_k β_l ⟨x_k, x_l⟩|/4.
        """
        weight = sign * self.beta
        t = shortest_combination(self.gram, node.low, node.high, node.start)
        node.start[:] = t
        r = self.points.T @ t
        norm = float(np.linalg.norm(r))
        reach = self.points @ r
        half = np.where(node.open, 0.5 * weight, 0.0)
        secant = norm + float(half.sum())
        square = norm**2 + 2 * float(half @ np.abs(reach)) + float(half @ np.abs(self.gram) @ half)
        rounding = sum(self.points.shape) * np.finfo(float).eps * float(np.sum(np.abs(t)) + 1)
        bound = min(secant, float(np.sqrt(square))) + rounding
        if bound < self.best * (1 - TIE):
            return bound, None
        if not node.open.any():
            self.record(peak_from_coefficients(self.points, self.beta, sign, t))
            return bound, None
        if float(np.maximum(reach, 0.0) @ weight) > WORTH_CLIMBING * self.best * norm:
            self.record(climb(self.points, self.gram, self.beta, sign, r))
        doubt = half * (1 - np.abs(reach) / max(norm, 1e-300))
        return bound, int(np.argmax(np.where(node.open, doubt, -1.0)))

    def children(self, node: _Node, k: int, sign: int) -> list[_Node]:
        """The node with datum k on the active side, and with it on the other; empty cells out."""
        weight = sign * self.beta[k]
        sides = []
        for low, high in ((weight, np.inf), (-np.inf, 0.0)):
            if self.may_be_empty and self.is_empty(node, k, 1.0 if high > 0 else -1.0, sign):
                continue
            child = _Node(node.low.copy(), node.high.copy(), node.open.copy(), node.start.copy())
            child.low[k], child.high[k], child.open[k] = low, high, False
            sides.append(child)
        return sides

    def is_empty(self, node: _Node, k: int, side: float, sign: int) -> bool:
        """Whether no w of the node's cone has side · ⟨w, x_k⟩ > 0: a problem of the same form."""
        decided = ~node.open & (sign * self.beta > 0)
        low = np.where(decided & np.isinf(node.low), -np.inf, 0.0)
        high = np.where(decided & np.isinf(node.high), np.inf, 0.0)
        low[k] = high[k] = side
        t = shortest_combination(self.gram, low, high)
        return float(np.linalg.norm(self.points.T @ t)) <= EMPTY * float(np.sum(np.abs(t)))

    def result(self, left: float, complete: bool) -> SphereMaximum:
        rounding = sum(self.points.shape) * np.finfo(float).eps * float(np.sum(np.abs(self.beta)))
        bound = max(self.best, self.largest_closed, left) + rounding
        high = [p for p in self.peaks if p.value >= self.best * (1 - TIE)]
        return SphereMaximum(bound, self.best, distinct(high), complete)
