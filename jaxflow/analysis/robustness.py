"""Robustness of the end point: its Lipschitz constant, and how it changes with the inputs.

The network that the flow ends at and the interpolator of least variation norm are compared, on the
data and on data whose inputs are moved by ε in random directions, each trained or solved anew.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.dataset import Dataset
from jaxflow.flow.gradient_flow import gradient_flow
from jaxflow.minnorm import minimum_variation_norm
from jaxflow.network import ReluNetwork
from jaxflow.theory import LipschitzBounds, lipschitz_constant
from jaxflow.validation import positive_number


@dataclass(frozen=True, eq=False)
class Robustness:
    """Lipschitz constants of the learned function and of the minimum-norm interpolator."""

    flow: LipschitzBounds
    minimum: LipschitzBounds
    size: float
    """ε, the length by which each input is moved."""
    flow_perturbed: Float[np.ndarray, " P"]
    """Upper bounds of the constant after training on each perturbed data set."""
    minimum_perturbed: Float[np.ndarray, " P"]

    @property
    def flow_sensitivity(self) -> float:
        """Largest |change of the constant|/ε of the flow's function."""
        return float(np.max(np.abs(self.flow_perturbed - self.flow.upper)) / self.size)

    @property
    def minimum_sensitivity(self) -> float:
        """The same of the minimum-norm interpolator."""
        return float(np.max(np.abs(self.minimum_perturbed - self.minimum.upper)) / self.size)

    def __repr__(self) -> str:
        exact = "exact" if self.flow.exact and self.minimum.exact else "upper bounds"
        return (
            f"Robustness ({exact}): Lipschitz constant {self.flow.upper:.8g} of the flow's end, "
            f"{self.minimum.upper:.8g} of the minimum-norm interpolator\n"
            f"  inputs moved by {self.size:g}, {self.flow_perturbed.size} times: they change by at "
            f"most {self.flow_sensitivity:.4g} ε and {self.minimum_sensitivity:.4g} ε"
        )


def robustness(
    network: ReluNetwork,
    dataset: Dataset,
    key: Array,
    *,
    size: float = 1e-3,
    perturbations: int = 4,
    bias: bool = False,
) -> Robustness:
    """Train on the data and on perturbed data, and compare with the minimum-norm interpolators.

    Args:
        network: the initialisation, the same for all.
        dataset: the data.
        key: random key of the perturbations.
        size: ε > 0, the length by which each input moves.
        perturbations: number of perturbed data sets.
        bias: whether the last input is the constant 1, which then stays so.

    Raises:
        ValueError: a size that is not positive.
    """
    positive_number("size", size)
    moved = [_moved(dataset, each, size, bias) for each in jax.random.split(key, perturbations)]
    base = Dataset(dataset.x, dataset.y)
    pairs = [_constants(network, data, bias) for data in (base, *moved)]
    return Robustness(
        flow=pairs[0][0],
        minimum=pairs[0][1],
        size=size,
        flow_perturbed=np.array([flow.upper for flow, _ in pairs[1:]]),
        minimum_perturbed=np.array([least.upper for _, least in pairs[1:]]),
    )


def _moved(dataset: Dataset, key: Array, size: float, bias: bool) -> Dataset:
    step = jax.random.normal(key, dataset.x.shape)
    step = step.at[:, -1].set(0.0) if bias else step
    step = step / jnp.linalg.norm(step, axis=1, keepdims=True)
    return Dataset(dataset.x + size * step, dataset.y)


def _constants(network, dataset: Dataset, bias: bool) -> tuple[LipschitzBounds, LipschitzBounds]:
    end = gradient_flow(network, dataset).final
    least = minimum_variation_norm(dataset).network
    return lipschitz_constant(end, bias=bias), lipschitz_constant(least, bias=bias)
