"""The problems: data, initialisation and save times, as plain arrays that every tool gets."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import numpy as np

import jaxflow

SAVES = 21
"""Equally spaced save times, 0 and the end among them."""
SMALLEST_LOSS = 1e-20
"""Loss at which the runs on random orthogonal inputs end."""


@dataclass(frozen=True)
class Problem:
    """One initialisation on one data set, and when to look at it.

    Attributes:
        name: for tables.
        dataset, network: as jaxflow takes them.
        seed: of the key with which `jaxflow.init.balanced` makes the network.
        scale: λ; absolute tolerances are in units of it.
        bias: whether the last input is the constant 1.
        ts: save times, the first being 0.
        rows: coordinates of the inputs in an orthonormal basis of their span, shape (n, q), q ≤ d.
        a, p: output weights (m,), and coordinates of the hidden weights in that basis (m, q); all
            that moves, so that every tool integrates m (1 + q) unknowns and not m (1 + d).
        orthogonal: whether the inputs are; then `rows` is diagonal and inactive pairs stay so.
    """

    name: str
    dataset: jaxflow.Dataset
    network: jaxflow.ReluNetwork
    seed: int
    scale: float
    bias: bool
    ts: np.ndarray
    rows: np.ndarray
    a: np.ndarray
    p: np.ndarray
    orthogonal: bool

    @property
    def y(self) -> np.ndarray:
        """Labels."""
        return np.asarray(self.dataset.y)

    @property
    def end(self) -> float:
        """Last save time."""
        return float(self.ts[-1])


def toy(width: int = 60, seed: int = 1) -> Problem:
    """P1: two orthogonal points on the line, λ = 1e-6, to t = 60."""
    return _problem("P1 toy", jaxflow.datasets.toy(), width, 1e-6, True, seed, 60.0)


def orthogonal(scale: float, n: int = 10, dim: int = 20, width: int = 100, seed: int = 1):
    """P2: random orthogonal inputs, from scale λ until the loss is 1e-20."""
    data = jaxflow.datasets.random_orthogonal(jax.random.key(0), n, dim)
    return _problem(f"P2 λ={scale:g}", data, width, scale, False, seed)


def high_dimensional() -> Problem:
    """P3: 75 nearly orthogonal Gaussian inputs in R^150, 200 neurons, λ = 1e-20, to t = 400."""
    data = jaxflow.datasets.gaussian_teacher(jax.random.key(0), 75, 150, 6)
    return _problem("P3 high-dimensional", data, 200, 1e-20, False, 1, 400.0)


def five_points(end: float = 1000.0) -> Problem:
    """P4: five points on the line, where neurons slide along activation boundaries."""
    return _problem("P4 five points", jaxflow.datasets.five_points(), 12, 1e-6, True, 1, end)


def chosen(quick: bool, high: bool) -> Iterator[Problem]:
    """The problems in their sizes, or a very small one."""
    if quick:
        yield toy(width=8)
        return
    yield toy()
    for scale in (1e-3, 1e-6, 1e-12):
        yield orthogonal(scale)
    if high:
        yield high_dimensional()
    yield five_points()


def _problem(name, dataset, width, scale, bias, seed, end=None) -> Problem:
    network = jaxflow.init.balanced(
        jax.random.key(seed), width, dataset.dim, scale=scale, bias=bias
    )
    end = _time_of_loss(network, dataset) if end is None else end
    x = np.asarray(dataset.x)
    gram = x @ x.T
    is_orthogonal = np.allclose(gram, np.diag(np.diag(gram)), rtol=0, atol=1e-12 * gram.max())
    if is_orthogonal:
        norms = np.linalg.norm(x, axis=1)
        basis, rows = x / norms[:, None], np.diag(norms)
    else:
        basis = np.linalg.qr(x.T)[0].T
        rows = x @ basis.T
    p = np.asarray(network.w) @ basis.T
    ts = np.linspace(0, end, SAVES)
    a = np.asarray(network.a)
    return Problem(name, dataset, network, seed, scale, bias, ts, rows, a, p, is_orthogonal)


def _time_of_loss(network, dataset) -> float:
    """First of the saved times at which the loss is below the smallest one, or the end."""
    run = jaxflow.gradient_flow(network, dataset)
    small = np.flatnonzero(np.asarray(run.loss) < SMALLEST_LOSS)
    return float(run.ts[small[0]]) if small.size else float(run.end_time)
