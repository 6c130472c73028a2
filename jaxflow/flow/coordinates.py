"""Log-scale coordinates in which every neuron has relative accuracy, however small it is.

The part of neuron j that moves, its output weight and its coordinates in the span of the data, is
(a_j, p_j) = exp(ρ_j) (η_j, ω_j) with ‖(η_j, ω_j)‖ = 1. With D_j = 1/n Σ_k α_jk r_k x_k the flow is

    dρ_j/dt = g_j,   dη_j/dt = ⟨ω_j, D_j⟩ − g_j η_j,   dω_j/dt = η_j D_j − g_j ω_j,

g_j = 2 η_j ⟨ω_j, D_j⟩. A state is one array of shape (m, q + 2) with columns ρ, η, ω. The invariant
a_j² − ‖p_j‖² becomes η_j² − ‖ω_j‖² = c_j exp(−2 ρ_j).
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

State = Float[Array, "m q+2"]


def log_norms(state: State) -> Float[Array, " m"]:
    """ρ_j = log ‖(a_j, p_j)‖."""
    return state[..., 0]


def output_parts(state: State) -> Float[Array, " m"]:
    """η_j, the output weight of the normalised neuron."""
    return state[..., 1]


def hidden_parts(state: State) -> Float[Array, "m q"]:
    """ω_j, the span coordinates of the normalised neuron."""
    return state[..., 2:]


def assemble(rho, eta, omega) -> State:
    """The state array of given columns."""
    return jnp.concatenate([rho[..., None], eta[..., None], omega], axis=-1)


class Balance(eqx.Module):
    """The conserved a_j² − ‖p_j‖² = exp(2 ρ_ref) κ_ref of every neuron, in log-scale form."""

    kappa: Float[Array, " m"]
    rho: Float[Array, " m"]

    def of(self, rho: Float[Array, " m"]) -> Float[Array, " m"]:
        """η² − ‖ω‖² that a neuron of log norm ρ must have."""
        decay = jnp.exp(jnp.clip(-2 * (rho - self.rho), None, 700.0))
        return jnp.clip(self.kappa * decay, -1.0, 1.0)


def balance_of(state: State) -> Balance:
    """The invariant of each neuron, read off a state."""
    eta, omega = output_parts(state), hidden_parts(state)
    return Balance(eta**2 - jnp.sum(omega**2, axis=-1), log_norms(state))


def restore_invariants(state: State, balance: Balance) -> State:
    """Project on ‖(η, ω)‖ = 1 and η² − ‖ω‖² = κ, one Newton step along the gradient.

    The state is within the integrator's error of both, so that one step restores them to the
    square of that error; zeros stay zero and parallel neurons stay parallel.
    """
    rho, eta, omega = log_norms(state), output_parts(state), hidden_parts(state)
    squared = jnp.sum(omega**2, axis=-1)
    total = eta**2 + squared
    norm = jnp.where(total > 0, jnp.sqrt(total), 1.0)
    excess = (eta**2 - squared) / norm**2 - balance.of(rho)
    excess = jnp.clip(excess, -0.5, 0.5)
    eta = eta / norm * (1 - 0.5 * excess)
    omega = omega * ((1 + 0.5 * excess) / norm)[..., None]
    return assemble(rho, eta, omega)
