"""Evidence that the limit t → ∞ is known from the state at one time (orthogonal inputs).

Let C be the data seen by some neuron and r_C their residuals. Let J be neurons whose active pairs
stay active while every log norm and direction moves by at most δ, i.e. ω_jk > δ. With
μ = min_{k ∈ C} ‖x_k‖² Σ_{j ∈ J active at k} a_j², taken at its least after such movements,
‖r_C(t)‖ ≤ ‖r_C(0)‖ exp(−μ t/n), and every neuron moves by at most max‖x‖ ‖r_C(0)‖/μ. If that is at
most δ, the assumption was true and the limit exists, fits C exactly, and is that close. Data seen
by nobody stay so: dead pairs are dead for good.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.coordinates import State, hidden_parts, log_norms, output_parts
from jaxflow.flow.field import Problem, residual

MOVEMENT = 1e-6
"""The δ that is assumed and then verified."""


class Evidence(eqx.Module):
    """What is known of the limit.

    Attributes:
        movement: bound on how far every log norm and direction still moves; inf if unknown.
        fitted: whether all data are fitted in the limit, those with residual zero included.
        residual: ‖r‖ over the data that are seen by some neuron, relative to ‖y‖.
    """

    movement: Float[Array, ""]
    fitted: Bool[Array, ""]
    residual: Float[Array, ""]

    @property
    def certified(self) -> Bool[Array, ""]:
        """Whether the limit exists for certain, within `movement`."""
        return self.movement <= MOVEMENT


def evidence(problem: Problem, active: Bool[Array, "m n"], state: State) -> Evidence:
    """Bound the way that is left to the limit, from the state at one time."""
    r = residual(problem, active, state)
    norms = problem.span.norms()
    magnitude = jnp.linalg.norm(problem.y)
    rounding = 1e-14 * jnp.max(jnp.abs(problem.y))
    moving = active & (output_parts(state) != 0)[:, None]
    seen = jnp.any(moving, axis=0)
    left = jnp.where(seen, r, 0.0)

    steady = jnp.all(~active | (hidden_parts(state) > MOVEMENT), axis=-1)
    size = jnp.maximum(jnp.abs(output_parts(state)) - MOVEMENT, 0.0)
    kernel = jnp.exp(2 * (log_norms(state) - MOVEMENT)) * size**2
    per_datum = norms**2 * jnp.sum(
        jnp.where(active & steady[:, None], kernel[:, None], 0.0), axis=0
    )
    mu = jnp.min(jnp.where(seen, per_datum, jnp.inf))
    gap = jnp.linalg.norm(left)
    movement = jnp.where(gap > 0, jnp.max(norms) * gap / jnp.where(mu > 0, mu, 1e-300), 0.0)
    fitted = jnp.all(seen | (jnp.abs(r) <= rounding))
    return Evidence(movement, fitted, gap / jnp.where(magnitude > 0, magnitude, 1.0))
