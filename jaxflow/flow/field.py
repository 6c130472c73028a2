"""The exact vector field of the flow while every activation mode stays as it is."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import Modes, margins, sliding_force
from jaxflow.flow.coordinates import (
    Parts,
    State,
    assemble,
    hidden_parts,
    log_norms,
    output_parts,
)
from jaxflow.flow.problem import Problem

ROUNDING = 1e-15
"""Residuals this small beside the labels are rounding."""


def outputs(problem: Problem, modes: Modes, state: State) -> Float[Array, " n"]:
    """h(x_k) = Σ_j exp(2 ρ_j) η_j max(⟨ω_j, x_k⟩, 0); tiny neurons underflow harmlessly."""
    amplitude = jnp.exp(2 * log_norms(state)) * output_parts(state)
    u = problem.span.preactivations(hidden_parts(state))
    return jnp.where(modes.active, u, 0.0) @ amplitude


def residual(problem: Problem, modes: Modes, state: State) -> Float[Array, " n"]:
    """r_k = y_k − h(x_k), cleaned of rounding on general inputs."""
    r = problem.y - outputs(problem, modes, state)
    return r if modes.slide is None else _without_rounding(problem, state, r)


def seen_residual(problem: Problem, modes: Modes, state: State) -> Float[Array, " n"]:
    """r, with zeros for the data that nobody sees."""
    seen = jnp.any(modes.active, axis=1)
    return jnp.where(seen, residual(problem, modes, state), 0.0)


def _without_rounding(problem: Problem, state: State, r: Float[Array, " n"]):
    """Residuals, zero where they are nothing but rounding.

    On general inputs neurons rest near boundaries on a long plateau, and the rounding of a fitted
    datum would push them to and fro.
    """
    return jnp.where(jnp.abs(r) <= ROUNDING * problem.largest_label(state), 0.0, r)


def log_scale_field(force: Float[Array, "q m"], state: State) -> State:
    """The flow's right-hand side in log-scale coordinates, given the forces D_j."""
    eta, omega = output_parts(state), hidden_parts(state)
    pull = jnp.sum(omega * force, axis=0)
    growth = 2 * eta * pull
    return assemble(growth, pull - growth * eta, eta * force - growth * omega)


def vector_field(problem: Problem, modes: Modes, state: State) -> State:
    """dρ/dt, dη/dt, dω/dt of all neurons with the modes held fixed."""
    return field_of_parts(problem, modes)(Parts.of(state)).state


def field_of_parts(problem: Problem, modes: Modes) -> Callable[[Parts], Parts]:
    """`vector_field` of a state by its parts."""
    if modes.slide is None:
        return _orthogonal_field(problem, modes)
    return _general_field(problem, modes)


def _orthogonal_field(problem: Problem, modes: Modes) -> Callable[[Parts], Parts]:
    """Orthogonal inputs: products are elementwise, and coordinates of inactive pairs are zero."""
    norms, active = problem.span.norms(), modes.active

    def field(z: Parts) -> Parts:
        outputs = norms * (z.omega @ (jnp.exp(2 * z.rho) * z.eta))
        force = (problem.y - outputs) * norms / problem.n
        pull = force @ z.omega
        growth = 2 * z.eta * pull
        turn = jnp.where(active, z.eta * force[:, None], 0.0) - growth * z.omega
        return Parts(growth, pull - growth * z.eta, turn)

    return field


def _general_field(problem: Problem, modes: Modes) -> Callable[[Parts], Parts]:
    """Any inputs: forces of pairs that slide follow the residual."""
    active = modes.active

    def field(z: Parts) -> Parts:
        u = jnp.where(active, problem.span.rows @ z.omega, 0.0)
        outputs = u @ (jnp.exp(2 * z.rho) * z.eta)
        r = _without_rounding(problem, z.state, problem.y - outputs)
        force = sliding_force(problem, modes.slide, r)
        return slope_of_parts(z, force)[0]

    return field


def slope_of_parts(z: Parts, force: Float[Array, "q m"]) -> tuple[Parts, Float[Array, " m"]]:
    """`log_scale_field` of a state by its parts, and the pulls ⟨ω_j, D_j⟩."""
    pull = jnp.sum(z.omega * force, axis=0)
    growth = 2 * z.eta * pull
    return Parts(growth, pull - growth * z.eta, z.eta * force - growth * z.omega), pull


def margins_and_slopes(
    problem: Problem,
    modes: Modes,
    state: State,
    r: Float[Array, " n"],
    velocity: State,
    rate: Float[Array, " n"],
) -> tuple[Float[Array, "p m"], Float[Array, "p m"]]:
    """The margins at a state with residuals r, and their derivative along a velocity and dr/dt."""

    def margins_at(state, r):
        return margins(problem, modes, state, r)

    return jax.jvp(margins_at, (state, r), (velocity, rate))


def residual_and_rate(
    problem: Problem, modes: Modes, state: State, velocity: State
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """r and dr/dt along a velocity, zero where r is nothing but rounding."""
    return jax.jvp(lambda s: residual(problem, modes, s), (state,), (velocity,))


def output_rate(
    problem: Problem, modes: Modes, state: State, velocity: State
) -> Float[Array, " n"]:
    """dh/dt along a velocity."""
    return jax.jvp(lambda s: outputs(problem, modes, s), (state,), (velocity,))[1]


def tangent_kernel(
    problem: Problem, modes: Modes, state: State, counted: Bool[Array, " m"] | None = None
) -> Float[Array, "n n"]:
    """K_kl = Σ_j ⟨∂h(x_k)/∂(a_j, w_j), ∂h(x_l)/∂(a_j, w_j)⟩, over the neurons that are `counted`.

    K_kl = Σ_j 1[active at k and l] (⟨w_j, x_k⟩⟨w_j, x_l⟩ + a_j² ⟨x_k, x_l⟩).
    """
    weight = jnp.exp(2 * log_norms(state))
    weight = weight if counted is None else jnp.where(counted, weight, 0.0)
    active = modes.active.astype(state.dtype)
    u = active * problem.span.preactivations(hidden_parts(state))
    by_hidden = (active * (weight * output_parts(state) ** 2)) @ active.T
    return (u * weight) @ u.T + problem.span.gram() * by_hidden
