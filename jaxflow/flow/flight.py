"""Neurons on clocks of their own, and when each of them changes its modes next."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import Modes
from jaxflow.flow.coordinates import State, hidden_parts
from jaxflow.flow.log import DeathTable, EventBuffer
from jaxflow.flow.problem import Problem
from jaxflow.flow.rotation import Rotation

TOGETHER = 1e-14
"""Preactivations of a normalised neuron this small at its event are zero, too."""


class Flight(eqx.Module):
    """Neurons on their own clocks: each has done its changes of mode up to its time."""

    clock: Float[Array, " m"]
    state: State
    modes: Modes
    log: DeathTable | EventBuffer


def due_times(problem: Problem, modes: Modes, spin: Rotation) -> Float[Array, "n m"]:
    """Time until each pair changes its mode. While sliding, α is constant."""
    if modes.slide is None:
        return jnp.where(modes.active, spin.zero_times(problem.span, jnp.ones(())), jnp.inf)
    times = spin.zero_times(problem.span, jnp.where(modes.active, 1.0, -1.0))
    fixed = modes.slide.free | modes.slide.resting | ~problem.boundaries.is_leader[:, None]
    return jnp.where(fixed, jnp.inf, times)


def simultaneous(
    problem: Problem, moved: State, tau: Float[Array, " m"], due: Float[Array, "n m"]
) -> Bool[Array, "n m"]:
    """Pairs that change at the neuron's event: the first, and others that are zero there, too."""
    u = problem.span.preactivations(hidden_parts(moved)) / problem.span.norms()[:, None]
    return (due <= tau) | ((jnp.abs(u) <= TOGETHER) & (due <= 1.001 * tau))
