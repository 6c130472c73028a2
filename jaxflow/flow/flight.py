"""Neurons on clocks of their own, and when each of them changes its modes next."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import Modes
from jaxflow.flow.coordinates import State, hidden_parts
from jaxflow.flow.log import DeathTable, EventBuffer
from jaxflow.flow.problem import Problem
from jaxflow.flow.rotation import Rotation
from jaxflow.flow.rows import largest_of_rows

SOON = 1.001
"""Changes up to this many times the time of the first one may be the same event."""
TOGETHER = 1e-14
"""Preactivations of a normalised neuron this small at its event are zero, too."""


class Flight(eqx.Module):
    """Neurons on their own clocks: each has done its changes of mode up to its time."""

    clock: Float[Array, " m"]
    state: State
    modes: Modes
    log: DeathTable | EventBuffer


class Due(eqx.Module):
    """When each pair of a neuron that rotates changes its mode, and the neuron's first change.

    Attributes:
        factor: v = exp(−Gτ) at the change of each pair, which tells which comes first; 0 for never.
        first: the largest of them for each neuron.
        least: the smallest that may belong to the same event.
        time: the time τ of the neuron's first change; inf for never.
    """

    factor: Float[Array, "n m"]
    first: Float[Array, " m"]
    least: Float[Array, " m"]
    time: Float[Array, " m"]

    def together(self, problem: Problem, moved: State) -> Bool[Array, "n m"]:
        """Pairs that change at the neuron's first change: that one, and others zero there, too."""
        u = problem.span.preactivations(hidden_parts(moved)) / problem.span.norms()[:, None]
        same = (self.factor >= self.least) & (jnp.abs(u) <= TOGETHER)
        return (self.factor > 0) & ((self.factor >= self.first) | same)


def due(problem: Problem, modes: Modes, spin: Rotation) -> Due:
    """The next change of each pair. While sliding, α is constant."""
    if modes.slide is None:
        v = jnp.where(modes.active, spin.zero_factors(problem.span, jnp.ones(())), 0.0)
    else:
        v = spin.zero_factors(problem.span, jnp.where(modes.active, 1.0, -1.0))
        fixed = modes.slide.free | modes.slide.resting | ~problem.boundaries.is_leader[:, None]
        v = jnp.where(fixed, 0.0, v)
    v = jax.lax.optimization_barrier(v)
    first = largest_of_rows(v)
    time = spin.time_of(first)
    least = jnp.exp(-SOON * jnp.where(first > 0, spin.rate * time, jnp.inf))
    return Due(v, first, least, time)
