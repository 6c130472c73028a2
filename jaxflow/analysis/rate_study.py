"""How the rate of convergence depends on the number of data, on orthogonal inputs.

In the end the loss falls like exp(−2 μ t), μ the least eigenvalue of K/n at the limit, with norms
and labels in U[1, 2]. A neuron that fits the data S has a² = ‖(y_k/‖x_k‖)_S‖, and its kernel
a² diag(‖x_k‖²) + y yᵀ/a² has eigenvalues of at least min_S |y_k| ‖x_k‖, and 2 |y_k| ‖x_k‖ where
S = {k}. So 1 ≤ n μ: one neuron a sign (a² ~ sqrt(n)) gives 1/sqrt(n), and neurons that fit few data
give 1/n. With widths of the order of n the last births fit single data, whose least |y_k| ‖x_k‖
falls towards 1 as there are more of them: n μ falls towards 2, and a power fitted to finite n comes
out steeper than −1, although μ ~ 1/n.

arXiv 2502.16977 states the same two orders, for another run: initialisations of order one, width
log n and the rate at which the loss falls when it passes a small level, not its limit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxflow.dataset import Dataset
from jaxflow.theory import jump_process_from_patterns
from jaxflow.validation import positive_integer

NORMS = LABELS = (1.0, 2.0)


@dataclass(frozen=True, eq=False)
class RateStudy:
    """Asymptotic rates of convergence of limits λ → 0."""

    sizes: Float[np.ndarray, " N"]
    rates: Float[np.ndarray, "N draws"]
    """Least eigenvalue of K/n on the data that the limit fits."""
    widths: list[int]
    births: Float[np.ndarray, "N draws"]
    """Number of neurons of the limit."""

    @property
    def slope(self) -> float:
        """Slope of log μ in log n, by least squares over all draws."""
        return self._fit()[0]

    @property
    def slope_error(self) -> float:
        """Its standard error."""
        return self._fit()[1]

    @property
    def scaled(self) -> Float[np.ndarray, " N"]:
        """Geometric mean of n μ for each n: constant where μ ~ 1/n."""
        return self.sizes * np.exp(np.mean(np.log(self.rates), axis=1))

    def _fit(self) -> tuple[float, float]:
        across = np.repeat(np.log(self.sizes), self.rates.shape[1])
        (slope, _), covariance = np.polyfit(across, np.log(self.rates).ravel(), 1, cov=True)
        return float(slope), float(np.sqrt(covariance[0, 0]))

    def __repr__(self) -> str:
        return (
            f"RateStudy: n = {self.sizes.astype(int).tolist()}, widths {self.widths}, slope "
            f"{self.slope:.3f} ± {self.slope_error:.3f}\n  n μ = "
            f"{np.array2string(self.scaled, precision=3)}, births "
            f"{np.array2string(np.mean(self.births, axis=1), precision=3)}"
        )


def rate_study(
    sizes: list[int], keys: Array, *, width: Callable[[int], int] | None = None
) -> RateStudy:
    """Rates of convergence of the jump process's limits, for several numbers of data.

    Args:
        sizes: numbers n of data, at least two different ones.
        keys: random keys, one draw of data and network for each at every size.
        width: the width as a function of n, by default 10 n. A Gaussian hidden weight is active at
            each of orthogonal inputs with probability 1/2, independently, so that patterns are
            drawn and no weights: large n and widths are cheap. A width of 0 stands for the
            hypothesis of the theorem, one neuron a sign that is active at all data.

    Raises:
        ValueError: sizes that are not positive integers.

    Source: arXiv 2502.16977, section on orthogonal data.
    """
    sizes = [positive_integer("sizes", n) for n in sizes]
    widths = [10 * n if width is None else width(n) for n in sizes]
    found = [[_rate(key, n, m) for key in keys] for n, m in zip(sizes, widths, strict=True)]
    rates, births = np.moveaxis(np.array(found, float), 2, 0)
    return RateStudy(np.array(sizes, float), rates, widths, births)


def _rate(key: Array, n: int, width: int) -> tuple[float, int]:
    """Least eigenvalue of K/n over the births of one draw, and their number."""
    key_x, key_w = jax.random.split(key)
    norms, y = _norms_and_labels(key_x, n)
    if width:
        active, signs = jax.random.bernoulli(key_w, 0.5, (2, width, n))
        signs = 2.0 * signs[:, 0] - 1
    else:
        active, signs = np.ones((2, n), bool), np.array([1.0, -1.0])
    data = Dataset(np.diag(norms), y)
    births = np.asarray(jump_process_from_patterns(active, signs, data).fitted)
    return min(_least_rate(norms[data], y[data]) / n for data in births), len(births)


def _norms_and_labels(key: Array, n: int) -> tuple[np.ndarray, np.ndarray]:
    """‖x_k‖ and |y_k| from U[1, 2], with random signs, not all alike."""
    key_norm, key_label, key_sign = jax.random.split(key, 3)
    norms = np.asarray(jax.random.uniform(key_norm, (n,), minval=NORMS[0], maxval=NORMS[1]))
    sizes = np.asarray(jax.random.uniform(key_label, (n,), minval=LABELS[0], maxval=LABELS[1]))
    signs = np.array(jax.random.rademacher(key_sign, (n,), dtype=float))
    if n > 1 and np.all(signs == signs[0]):
        signs[0] = -signs[0]
    return norms, signs * sizes


def _least_rate(norms, y) -> float:
    """Least eigenvalue of a² diag(‖x_k‖²) + y yᵀ/a², the kernel of a neuron with a u_k = y_k."""
    squared = np.linalg.norm(y / norms)
    return float(np.linalg.eigvalsh(np.diag(squared * norms**2) + np.outer(y, y) / squared)[0])
