"""Log-scale coordinates in which every neuron has relative accuracy, however small it is.

The part of neuron j that moves, its output weight and its coordinates in the span of the data, is
(a_j, p_j) = exp(ρ_j) (η_j, ω_j) with ‖(η_j, ω_j)‖ = 1. With D_j = 1/n Σ_k α_jk r_k x_k the flow is

    dρ_j/dt = g_j,   dη_j/dt = ⟨ω_j, D_j⟩ − g_j η_j,   dω_j/dt = η_j D_j − g_j ω_j,

g_j = 2 η_j ⟨ω_j, D_j⟩. A state is one array of shape (q + 2, m), rows ρ, η, ω, neurons along the
fastest axis, as all arrays over neurons here: sums over coordinates and data then run across rows
and loops over neurons are contiguous. The invariant
a_j² − ‖p_j‖² becomes η_j² − ‖ω_j‖² = c_j exp(−2 ρ_j).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.flow.rows import sum_of_rows

State = Float[Array, "q+2 m"]
UNROLLED = 12
"""Terms of a compensated sum that are added up in one pass over the neurons."""


def log_norms(state: State) -> Float[Array, " m"]:
    """ρ_j = log ‖(a_j, p_j)‖."""
    return state[..., 0, :]


def output_parts(state: State) -> Float[Array, " m"]:
    """η_j, the output weight of the normalised neuron."""
    return state[..., 1, :]


def hidden_parts(state: State) -> Float[Array, "q m"]:
    """ω_j, the span coordinates of the normalised neuron."""
    return state[..., 2:, :]


def directions(state: State) -> Float[Array, "q+1 m"]:
    """(η_j, ω_j), the normalised neuron."""
    return state[..., 1:, :]


def assemble(rho, eta, omega) -> State:
    """The state array of given rows."""
    return jnp.concatenate([rho[..., None, :], eta[..., None, :], omega], axis=-2)


class Parts(eqx.Module):
    """A state by its parts, which the stages of a step compute one by one."""

    rho: Float[Array, " m"]
    eta: Float[Array, " m"]
    omega: Float[Array, "q m"]

    @classmethod
    def of(cls, state: State) -> "Parts":
        """The parts of a state."""
        return cls(log_norms(state), output_parts(state), hidden_parts(state))

    @property
    def state(self) -> State:
        """The state of these parts."""
        return assemble(self.rho, self.eta, self.omega)


class Balance(eqx.Module):
    """The conserved a_j² − ‖p_j‖² = exp(2 ρ_ref) κ_ref of every neuron, in log-scale form."""

    kappa: Float[Array, " m"]
    rho: Float[Array, " m"]

    def of(self, rho: Float[Array, " m"]) -> Float[Array, " m"]:
        """η² − ‖ω‖² that a neuron of log norm ρ must have."""
        return self.kappa * jnp.exp(jnp.clip(-2 * (rho - self.rho), None, 700.0))


def balance_of(
    a: Float[Array, " m"], p: Float[Array, "q m"], norm: Float[Array, " m"], rho: Float[Array, " m"]
) -> Balance:
    """The invariant of neurons (a_j, p_j) of length `norm`, whose logarithm to scale is ρ_j.

    It is computed to about 30 digits: in a neuron that shrinks by 1e-5 before it grows, a rounding
    of 1e-16 in it would become one of 1e-6 in the direction.
    """
    norm = jnp.where(norm > 0, norm, 1.0)
    rows = jnp.concatenate([a[None], p])
    sign = jnp.where(jnp.arange(rows.shape[0]) == 0, 1.0, -1.0)
    return Balance(signed_sum_of_squares(rows, sign) / norm**2, rho)


def signed_sum_of_squares(
    values: Float[Array, "q m"], sign: Float[Array, " q"]
) -> Float[Array, " m"]:
    """Σ_i sign_i values_i² with the error of twice the working precision.

    Each square is split into exact products of short factors, which are added with Neumaier's
    compensation.
    """
    short = jax.lax.reduce_precision(values, exponent_bits=11, mantissa_bits=23)
    rest = values - short
    sign = sign[:, None]
    terms = jnp.concatenate([sign * short**2, sign * (2 * short * rest), sign * rest**2])

    def add(carry, term):
        total, error = carry
        new = total + term
        bigger = jnp.abs(total) >= jnp.abs(term)
        lost = jnp.where(bigger, (total - new) + term, (term - new) + total)
        return (new, error + lost), None

    zero = jnp.zeros(values.shape[1])
    (total, error), _ = jax.lax.scan(add, (zero, zero), terms, unroll=UNROLLED)
    return total + error


def restore_invariants(state: State, balance: Balance) -> State:
    """Project on ‖(η, ω)‖ = 1 and η² − ‖ω‖² = κ(ρ), one Newton step of least length.

    With f the excess of η² − ‖ω‖², the gradient on the sphere has the squared length 4(1 − κ²) and
    that along ρ the squared length 4κ², so that the step is f/4 times the gradient for every κ. The
    state is within the integrator's error of both constraints, so that one step restores them to
    the square of that error; zeros stay zero and parallel neurons stay parallel.
    """
    rho, eta, omega = log_norms(state), output_parts(state), hidden_parts(state)
    squared = sum_of_rows(omega**2)
    total = eta**2 + squared
    norm = jnp.where(total > 0, jnp.sqrt(total), 1.0)
    kappa = (eta**2 - squared) / norm**2
    half = 0.5 * jnp.clip(kappa - balance.of(rho), -0.5, 0.5)
    eta = eta / norm * (1 - half * (1 - kappa))
    omega = omega * ((1 + half * (1 + kappa)) / norm)[..., None, :]
    return assemble(rho - half * kappa, eta, omega)
