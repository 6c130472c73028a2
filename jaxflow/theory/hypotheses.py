"""The hypotheses under which the closed forms for orthogonal inputs hold, checked at the door."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from jaxflow.dataset import Dataset, require_orthogonal
from jaxflow.network import ReluNetwork
from jaxflow.validation import is_traced

BALANCE_ROUNDING = 1e-12
"""A neuron counts as |a_j| ≥ ‖w_j‖ when it misses it by at most this factor, relative to ‖w_j‖."""


def require_dominant_outputs(network: ReluNetwork, purpose: str) -> ReluNetwork:
    """Return the network after checking |a_j| ≥ ‖w_j‖ for every neuron.

    Then no output weight ever changes sign (arXiv 2206.00939, section 2). The returned network must
    be used, so that the check of traced weights is not dropped by the compiler.

    Raises:
        ValueError: for the first neuron that violates it.
    """
    norms = jnp.linalg.norm(network.w_mantissa, axis=-1)
    violated = jnp.abs(network.a_mantissa) < norms * (1 - BALANCE_ROUNDING)
    if is_traced(violated):
        message = f"network: {purpose} needs |a_j| ≥ ‖w_j‖ for every neuron"
        mantissa = eqx.error_if(network.a_mantissa, violated, message)
        return eqx.tree_at(lambda net: net.a_mantissa, network, mantissa)
    if np.any(violated):
        j = int(np.flatnonzero(np.asarray(violated))[0])
        ratio = float(jnp.abs(network.a_mantissa[j]) / norms[j])
        raise ValueError(
            f"network: {purpose} needs |a_j| ≥ ‖w_j‖ for every neuron, got |a_j|/‖w_j‖ = "
            f"{ratio:.17g} at neuron {j}, wanted at least 1; jaxflow.init.balanced gives such "
            f"networks"
        )
    return network


def require_balanced(network: ReluNetwork, purpose: str) -> None:
    """Raise unless |a_j| = ‖w_j‖ for every neuron, up to rounding.

    Raises:
        ValueError: for the first neuron that violates it.
    """
    size = np.abs(np.asarray(network.a_mantissa))
    norms = np.linalg.norm(np.asarray(network.w_mantissa), axis=1)
    wrong = np.flatnonzero(np.abs(size - norms) > BALANCE_ROUNDING * norms)
    if wrong.size:
        j = int(wrong[0])
        raise ValueError(
            f"network: {purpose} needs |a_j| = ‖w_j‖ for every neuron, got |a_j| = {size[j]:.17g} "
            f"and ‖w_j‖ = {norms[j]:.17g} at neuron {j} (up to a common power of two); "
            f"jaxflow.init.balanced gives balanced networks"
        )


def require_setting(network: ReluNetwork, dataset: Dataset, purpose: str) -> ReluNetwork:
    """Check orthogonal inputs, matching dimensions and |a_j| ≥ ‖w_j‖, and return the network.

    Raises:
        ValueError: when one of them fails, with what was found.
    """
    require_orthogonal(dataset, purpose)
    require_same_dimension(network, dataset)
    return require_dominant_outputs(network, purpose)


def require_same_dimension(network: ReluNetwork, dataset: Dataset) -> None:
    """Raise unless network and inputs have the same dimension d.

    Raises:
        ValueError: naming both dimensions.
    """
    if network.dim != dataset.dim:
        raise ValueError(
            f"network: got hidden weights of dimension {network.dim}, wanted {dataset.dim} as the "
            f"inputs of {dataset.name!r} have; a bias counts as one input coordinate"
        )


def initial_activity(network: ReluNetwork, dataset: Dataset) -> Bool[Array, "m n"]:
    """Which neurons are active at which data, ⟨w_j, x_k⟩ > 0."""
    return (network.w_mantissa @ dataset.x.T) > 0
