"""The tangent kernel, the local Polyak–Łojasiewicz constant, and the rate at which a fit ends."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.dataset import Dataset
from jaxflow.network import ReluNetwork, residual


@jax.jit
def tangent_kernel(network: ReluNetwork, dataset: Dataset) -> Float[Array, "n n"]:
    """K_kl = ⟨∂h(x_k)/∂θ, ∂h(x_l)/∂θ⟩ = Σ_j u⁺_jk u⁺_jl + ⟨x_k, x_l⟩ Σ_j a_j² α_jk α_jl.

    u⁺ = max(u, 0) are the activations, and α_jk = 1 where u_jk > 0, else 0. Outputs move by
    dh/dt = K r/n.
    """
    pre = network.w @ dataset.x.T
    activations = jnp.maximum(pre, 0.0)
    gates = (network.w_mantissa @ dataset.x.T > 0) * network.a[:, None]
    return activations.T @ activations + (dataset.x @ dataset.x.T) * (gates.T @ gates)


@jax.jit
def local_polyak_lojasiewicz(network: ReluNetwork, dataset: Dataset) -> Float[Array, ""]:
    """μ(θ) = ‖∇L‖²/(2L) = rᵀ K r/(n ‖r‖²), the rate with dL/dt = −2 μ L.

    It is zero at every saddle and, near an interpolator, lies between the least and the largest
    eigenvalue of K/n. It is NaN where the loss is exactly zero.

    Source: arXiv 2502.16977, section 3.
    """
    r = residual(network, dataset)
    direction = r / jnp.max(jnp.abs(r))
    kernel = tangent_kernel(network, dataset)
    return direction @ kernel @ direction / (dataset.n * jnp.sum(direction**2))


@jax.jit
def fit_rates(network: ReluNetwork, dataset: Dataset) -> Float[Array, " n"]:
    """Eigenvalues of K/n, increasing: the rates at which residuals decay around an interpolator.

    The first is the asymptote of the local Polyak–Łojasiewicz constant along a flow that converges
    to this network (generic residuals end along its eigenvector). On orthogonal inputs with
    |y|, ‖x‖ of order one it decreases with n between 1/n and 1/sqrt(n) (arXiv 2502.16977).
    """
    return jnp.linalg.eigvalsh(tangent_kernel(network, dataset) / dataset.n)
