"""The early phase for arbitrary inputs: each neuron's path under r = y, piece by closed-form piece.

While the network is negligible a neuron feels the labels only. On fixed modes D is constant, and
with G = ‖D‖, e = D/G, p = ⟨w, e⟩ the neuron moves by a hyperbolic rotation,

    a(t) = a cosh Gt + p sinh Gt,   p(t) = p cosh Gt + a sinh Gt,   the rest of w is constant,

so the time at which ⟨w, x_k⟩ vanishes is a root of a quadratic in exp(Gt). There the neuron crosses
where a y_k > 0; where a y_k < 0 the modes on its whole boundary follow from the D of least norm.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import lsq_linear

from jaxflow.dataset import Dataset
from jaxflow.network import LOG2, ReluNetwork
from jaxflow.theory.extremal import ExtremalDirections
from jaxflow.theory.hypotheses import require_balanced, require_same_dimension

INACTIVE, ACTIVE, SLIDING = 0, 1, 2
STILL = 1e-12
"""Relative size below which a velocity or a force counts as zero."""


@dataclass(frozen=True, eq=False)
class EarlyPath:
    """All mode changes of the frozen-residual flow up to a time, and the neurons at that time."""

    times: Float[np.ndarray, " E"]
    neurons: Int[np.ndarray, " E"]
    data: Int[np.ndarray, " E"]
    kinds: list[str]
    """die, revive (across the boundary), slide (on to it), leave_on, leave_off (from it)."""
    modes: Int[np.ndarray, "m n"]
    """0 inactive, 1 active, 2 sliding."""
    rates: Float[np.ndarray, " m"]
    """‖D_j‖ at the end."""
    network: ReluNetwork
    """The network at the end."""

    def attractors(self, extremal: ExtremalDirections, tolerance: float) -> Int[np.ndarray, " m"]:
        """Which extremal direction each neuron has come to within an angle, −1 for none."""
        w = np.asarray(self.network.w_mantissa)
        unit = w / np.linalg.norm(w, axis=1, keepdims=True)
        chords = np.linalg.norm(unit[:, None] - extremal.directions[None], axis=2)
        nearest = np.argmin(chords, axis=1)
        close = chords[np.arange(len(w)), nearest] <= 2 * np.sin(tolerance / 2)
        return np.where(close, nearest, -1)


def early_path(network: ReluNetwork, dataset: Dataset, until: float) -> EarlyPath:
    """Follow every neuron with the residual frozen at the labels, for arbitrary inputs.

    Where the inputs of a boundary set are linearly dependent, D is right, but the modes shown are
    one choice of several. For orthogonal inputs `frozen_residual` does the same without a loop.

    Args:
        network: initialisation, balanced (|a_j| = ‖w_j‖); tiny scales are exact.
        dataset: any inputs.
        until: time up to which to follow; before the first birth the flow agrees up to h/y.

    Raises:
        ValueError: a neuron that is not balanced, dimensions that differ, a time ≤ 0.
    """
    require_same_dimension(network, dataset)
    require_balanced(network, "the early path")
    if not until > 0:
        raise ValueError(f"until: got {until!r}, wanted a positive time")
    x, y = np.asarray(dataset.x), np.asarray(dataset.y)
    starts = zip(np.asarray(network.w_mantissa), np.asarray(network.a_mantissa), strict=True)
    paths = [_Neuron(x, y, w.copy(), float(a)) for w, a in starts]
    for path in paths:
        path.run(until)
    changes = sorted((t, j, k, kind) for j, path in enumerate(paths) for t, k, kind in path.changes)
    return EarlyPath(
        times=np.array([change[0] for change in changes]),
        neurons=np.array([change[1] for change in changes], int),
        data=np.array([change[2] for change in changes], int),
        kinds=[change[3] for change in changes],
        modes=np.array([path.modes for path in paths]),
        rates=np.array([np.linalg.norm(path.force) for path in paths]),
        network=_network(paths, np.asarray(network.exponent)),
    )


def _network(paths, exponent) -> ReluNetwork:
    w, a = np.array([path.w for path in paths]), np.array([path.a for path in paths])
    return ReluNetwork.from_log_norm(w, a, exponent * LOG2 + np.array([path.log for path in paths]))


@dataclass(eq=False)
class _Neuron:
    """One neuron (a, w) exp(log), its modes, and the force D that they give."""

    x: np.ndarray
    y: np.ndarray
    w: np.ndarray
    a: float
    log: float = 0.0
    time: float = 0.0
    changes: list = field(default_factory=list)

    def __post_init__(self):
        self.modes = (self.x @ self.w > 0).astype(int)
        self.force = self._pull(self.modes == ACTIVE)

    def run(self, until: float) -> None:
        """Advance through all mode changes up to the time `until`."""
        while True:
            waits = self._waits()
            first = float(np.min(waits))
            if self.time + first >= until:
                self._move(until - self.time)
                self.time = until
                return
            self._move(first)
            self.time += first
            self._change(np.flatnonzero(waits <= first + STILL))

    def _pull(self, weights: Float[Array, " n"]) -> np.ndarray:
        """1/n Σ_k weights_k y_k x_k."""
        return (weights * self.y) @ self.x / len(self.y)

    def _waits(self) -> np.ndarray:
        """Time to the next zero of every ⟨w, x_k⟩, infinite where there is none."""
        rate = np.linalg.norm(self.force)
        if rate == 0:
            return np.full(len(self.y), np.inf)
        _, _, plus, minus = self._parts(rate)
        slope, pre = self.x @ self.force / rate, self.x @ self.w
        # slope (plus X − minus / X) + rest = 0 with X = exp(G t) > 1
        growing, decaying, rest = slope * plus, slope * minus, pre - slope * (plus - minus)
        root = np.sqrt(np.maximum(rest**2 + 4 * growing * decaying, 0.0))
        larger = -(rest + np.where(rest >= 0, root, -root)) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            candidates = np.stack([larger / growing, -decaying / larger])
        real = rest**2 + 4 * growing * decaying >= 0
        ahead = real & np.isfinite(candidates) & (candidates > 1 + STILL)
        factor = np.min(np.where(ahead, candidates, np.inf), axis=0)
        moving = np.abs(slope) > STILL * np.linalg.norm(self.x, axis=1)
        return np.where((self.modes != SLIDING) & moving, np.log(factor) / rate, np.inf)

    def _parts(self, rate: float):
        """e, the part of w across it, and the growing and decaying (a ± p)/2 along it."""
        e = self.force / rate
        p = self.w @ e
        rest = self.w - p * e
        if np.linalg.norm(rest) < STILL * abs(p):  # balanced and on a line: p = ±a exactly
            rest, p = 0.0 * rest, np.copysign(self.a, p)
        return e, rest, (self.a + p) / 2, (self.a - p) / 2

    def _move(self, span: float) -> None:
        """Rotate by a time span, and keep the size of the numbers in `log`."""
        rate = np.linalg.norm(self.force)
        if rate == 0:
            return
        e, rest, plus, minus = self._parts(rate)
        shrink = np.exp(-rate * span)
        minus = minus * shrink**2
        self.a, self.w = plus + minus, rest * shrink + (plus - minus) * e
        self.log += rate * span
        size = abs(self.a)
        self.a, self.w, self.log = self.a / size, self.w / size, self.log + np.log(size)

    def _change(self, hit: np.ndarray) -> None:
        """Cross the repelling boundaries, then solve the attracting ones for the least norm."""
        before = self.modes.copy()
        crossing = hit[self.a * self.y[hit] >= 0]
        self.modes[crossing] = 1 - self.modes[crossing]
        boundary = np.union1d(hit[self.a * self.y[hit] < 0], np.flatnonzero(before == SLIDING))
        self._settle(boundary.astype(int))
        for k in np.flatnonzero(before != self.modes):
            self.changes.append((self.time, int(k), _kind(before[k], self.modes[k])))

    def _settle(self, boundary: np.ndarray) -> None:
        """Modes on the boundary from D = argmin ‖D_active + 1/n Σ_B α_k y_k x_k‖, 0 ≤ α ≤ 1."""
        self.modes[boundary] = INACTIVE
        base = self._pull(self.modes == ACTIVE)
        self.force = base
        if boundary.size:
            columns = (self.x[boundary] * self.y[boundary, None]).T / len(self.y)
            alpha = lsq_linear(columns, -base, (0.0, 1.0), method="bvls", tol=1e-15).x
            inside = (alpha > STILL) & (alpha < 1 - STILL)
            ends = np.where(alpha > 0.5, ACTIVE, INACTIVE)
            self.modes[boundary] = np.where(inside, SLIDING, ends)
            self.force = self._projected(boundary[inside])
        if np.linalg.norm(self.force) < STILL * np.linalg.norm(self.x, 2) * np.max(np.abs(self.y)):
            self.force = 0.0 * self.force

    def _projected(self, sliding: np.ndarray) -> np.ndarray:
        """The force of the active data, off the span of the sliding ones; w is put there too."""
        force = self._pull(self.modes == ACTIVE)
        if sliding.size:
            frame, _, _ = np.linalg.svd(self.x[sliding].T, full_matrices=False)
            force = force - frame @ (frame.T @ force)
            self.w = self.w - frame @ (frame.T @ self.w)
        return force


def _kind(before: int, after: int) -> str:
    if after == SLIDING:
        return "slide"
    if before == SLIDING:
        return "leave_on" if after == ACTIVE else "leave_off"
    return "revive" if after == ACTIVE else "die"
