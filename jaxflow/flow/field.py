"""The exact vector field of the flow while every activation mode stays as it is."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.coordinates import State, assemble, hidden_parts, log_norms, output_parts
from jaxflow.flow.span import Span


class Problem(eqx.Module):
    """What a run is about, in span coordinates: the data and nothing else."""

    span: Span
    y: Float[Array, " n"]

    @property
    def n(self) -> int:
        """Number of data."""
        return self.y.shape[-1]


def outputs(problem: Problem, active: Bool[Array, "m n"], state: State) -> Float[Array, " n"]:
    """h(x_k) = Σ_j exp(2 ρ_j) η_j max(⟨ω_j, x_k⟩, 0); tiny neurons underflow harmlessly."""
    amplitude = jnp.exp(2 * log_norms(state)) * output_parts(state)
    u = problem.span.preactivations(hidden_parts(state))
    return jnp.sum(amplitude[:, None] * jnp.where(active, u, 0.0), axis=0)


def residual(problem: Problem, active: Bool[Array, "m n"], state: State) -> Float[Array, " n"]:
    """r_k = y_k − h(x_k)."""
    return problem.y - outputs(problem, active, state)


def driving_force(
    problem: Problem, active: Bool[Array, "m n"], r: Float[Array, " n"]
) -> Float[Array, "m q"]:
    """D_j = 1/n Σ_k α_jk r_k x_k in span coordinates (arXiv 2206.00939, equation 2)."""
    return problem.span.combine(jnp.where(active, r / problem.n, 0.0))


def log_scale_field(force: Float[Array, "m q"], state: State) -> State:
    """The flow's right-hand side in log-scale coordinates, given the forces D_j."""
    eta, omega = output_parts(state), hidden_parts(state)
    pull = jnp.sum(omega * force, axis=-1)
    growth = 2 * eta * pull
    return assemble(growth, pull - growth * eta, eta[:, None] * force - growth[:, None] * omega)


def vector_field(problem: Problem, active: Bool[Array, "m n"], state: State) -> State:
    """dρ/dt, dη/dt, dω/dt of all neurons with the modes held fixed."""
    force = driving_force(problem, active, residual(problem, active, state))
    return log_scale_field(force, state)
