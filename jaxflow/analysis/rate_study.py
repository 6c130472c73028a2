"""How the rate of convergence depends on the number of data, on orthogonal inputs.

Near its end the loss falls like exp(−2 μ t), μ the least eigenvalue of K/n at the limit. With norms
and labels in U[1, 2], arXiv 2502.16977 finds slopes of log μ in log n between −1 and −1/2: one
neuron a sign has a² ≈ ‖y/‖x‖‖ ~ sqrt(n) and μ ~ 1/sqrt(n), while a neuron that fits few data has
a² of order one and μ ~ 1/n.
"""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxflow import datasets, init
from jaxflow.theory import jump_process
from jaxflow.validation import positive_integer

NORMS = LABELS = (1.0, 2.0)


@dataclass(frozen=True, eq=False)
class RateStudy:
    """Asymptotic rates of convergence of limits λ → 0."""

    sizes: Float[np.ndarray, " N"]
    rates: Float[np.ndarray, "N draws"]
    """Least eigenvalue of K/n on the data that the limit fits."""
    widths: list[int]

    @property
    def slope(self) -> float:
        """Slope of log μ in log n, by least squares over all draws."""
        return self._fit()[0]

    @property
    def slope_error(self) -> float:
        """Its standard error."""
        return self._fit()[1]

    def _fit(self) -> tuple[float, float]:
        across = np.repeat(np.log(self.sizes), self.rates.shape[1])
        (slope, _), covariance = np.polyfit(across, np.log(self.rates).ravel(), 1, cov=True)
        return float(slope), float(np.sqrt(covariance[0, 0]))

    def __repr__(self) -> str:
        return (
            f"RateStudy: n = {self.sizes.astype(int).tolist()}, widths {self.widths}, slope "
            f"{self.slope:.3f} ± {self.slope_error:.3f} (arXiv 2502.16977: −1 to −1/2)"
        )


def rate_study(sizes: list[int], keys: Array, *, width=lambda n: 10 * n) -> RateStudy:
    """Rates of convergence of the jump process's limits, for several numbers of data.

    Args:
        sizes: numbers n of data, at least two different ones.
        keys: random keys, one draw of data and network for each at every size.
        width: the width as a function of n.

    Raises:
        ValueError: sizes that are not positive integers.

    Source: arXiv 2502.16977, section on orthogonal data.
    """
    sizes = [positive_integer("sizes", n) for n in sizes]
    widths = [width(n) for n in sizes]
    rates = [[_rate(key, n, m) for key in keys] for n, m in zip(sizes, widths, strict=True)]
    return RateStudy(np.array(sizes, float), np.array(rates), widths)


def _rate(key: Array, n: int, width: int) -> float:
    dataset = datasets.random_orthogonal(key, n, n, norms=NORMS, labels=LABELS)
    network = init.balanced(jax.random.fold_in(key, 1), width, n, scale=1.0)
    births = np.asarray(jump_process(network, dataset).fitted)
    norms, y = np.linalg.norm(np.asarray(dataset.x), axis=1), np.asarray(dataset.y)
    return min(_least_rate(norms[data], y[data]) / n for data in births)


def _least_rate(norms, y) -> float:
    """Least eigenvalue of a² diag(‖x_k‖²) + y yᵀ/a², the kernel of a neuron with a u_k = y_k."""
    squared = np.linalg.norm(y / norms)
    return float(np.linalg.eigvalsh(np.diag(squared * norms**2) + np.outer(y, y) / squared)[0])
