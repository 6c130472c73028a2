"""The flow while the residual is frozen, neuron by neuron, with the bound that says for how long.

As long as the outputs change by a negligible amount, every neuron rotates on its own between its
own changes of mode (see `rotation`). This holds in the early phase and, for orthogonal inputs, at
every later plateau alike.

Error bound. Let h move by at most dev(T) within the time T. Then every force is wrong by at most
max‖x‖² dev(T)/n, and every log norm and direction by T times that. With a frozen residual ‖z_j‖² is
a convex function of time, also across changes of mode, because ⟨w_j, D_j⟩ is continuous there.
Hence dev(T) is at most the sum over neurons of (‖z_j(0)‖² + ‖z_j(T)‖²)/2, and also of
‖z_j(0)‖² (exp(2 G_j T) − 1)/2, where G_j is the initial ‖D_j‖ for orthogonal inputs, whose forces
only lose terms, and ‖X‖_op ‖r‖/n ≥ ‖D_j‖ for any inputs.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import Modes, along_boundaries, driving_force
from jaxflow.flow.coordinates import Balance, State, log_norms
from jaxflow.flow.field import log_scale_field
from jaxflow.flow.flight import Flight, due_times, simultaneous
from jaxflow.flow.log import DeathTable, EventBuffer
from jaxflow.flow.problem import Problem
from jaxflow.flow.rotation import Rotation, rotation
from jaxflow.flow.switching import die, settle
from jaxflow.network import LOG2

NEWTON_STEPS = 8


def frozen_flow(
    problem: Problem,
    modes: Modes,
    state: State,
    log: DeathTable | EventBuffer,
    balance: Balance,
    r: Float[Array, " n"],
    start: Float[Array, ""],
    stop: Float[Array, ""],
    tolerance: Float[Array, ""],
) -> tuple[Float[Array, ""], Flight]:
    """Follow every neuron in closed form until `stop` or until the bound reaches the tolerance.

    `r` is the residual to freeze, with zeros for fitted data. Returns the time reached and the
    neurons there; nothing moves where not even a short time is allowed.
    """
    limit = _Limit(problem, modes, state, r, start, tolerance)

    def plan(flight: Flight):
        force = driving_force(problem, flight.modes, r)
        spin = rotation(
            flight.state, force, balance, partial(along_boundaries, problem, flight.modes)
        )
        due = due_times(problem, flight.modes, spin)
        return spin, due, jnp.minimum(limit.reachable(flight, spin), stop)

    def anyone_due(carry):
        flight, _, due, end = carry
        return jnp.any(flight.clock + jnp.min(due, axis=-1) < end)

    def advance(carry):
        flight, spin, due, end = carry
        tau = jnp.min(due, axis=-1)
        moving = flight.clock + tau < end
        moved = spin.at(log_norms(flight.state), jnp.where(moving, tau, 0.0))
        flight = _change_modes(problem, flight, r, moving, tau, moved, due)
        return flight, *plan(flight)

    flight = Flight(jnp.full(state.shape[0], start), state, modes, log)
    flight, spin, _, end = jax.lax.while_loop(anyone_due, advance, (flight, *plan(flight)))
    arrived = spin.at(log_norms(flight.state), jnp.maximum(end - flight.clock, 0.0))
    return end, Flight(jnp.full_like(flight.clock, end), arrived, flight.modes, flight.log)


def allows(
    problem: Problem,
    modes: Modes,
    state: State,
    r: Float[Array, " n"],
    duration: Float[Array, ""],
    tolerance: Float[Array, ""],
) -> Bool[Array, ""]:
    """Whether the residual may be frozen for at least `duration` (orthogonal inputs)."""
    rate = jnp.linalg.norm(driving_force(problem, modes, r), axis=-1)
    weight = 0.5 * jnp.exp(2 * log_norms(state))
    moved = jnp.sum(weight * jnp.expm1(jnp.minimum(2 * rate * duration, 700.0)))
    reach = jnp.max(problem.span.norms()) ** 2 / problem.n
    return reach * duration * moved <= tolerance


class _Limit:
    """How long the residual may stay frozen, by the bound above, in logarithms."""

    def __init__(self, problem, modes, state, r, start, tolerance):
        self.log_weight = 2 * log_norms(state) - LOG2
        if modes.slide is None:
            self.top_rate = jnp.linalg.norm(driving_force(problem, modes, r), axis=-1)
        else:
            self.top_rate = problem.span.operator_norm() * jnp.linalg.norm(r) / problem.n
        self.log_reach = 2 * jnp.log(jnp.max(problem.span.norms())) - jnp.log(problem.n)
        self.start, self.log_tolerance = start, jnp.log(tolerance)

    def bound(self, flight: Flight, spin: Rotation, end):
        """log of (time · force error) at `end`, and its rate of growth."""
        span = end - self.start
        now = 2 * spin.log_norm_at(log_norms(flight.state), end - flight.clock) - LOG2
        moved = jnp.logaddexp(self.log_weight, now)
        linear = self.log_weight + _log_expm1(2 * self.top_rate * span)
        moved = jnp.minimum(moved, linear)
        total = logsumexp(moved)
        share = jnp.exp(moved - jnp.where(jnp.isfinite(total), total, 0.0))
        return self.log_reach + jnp.log(span) + total, 1 / span + 2 * jnp.sum(share * spin.rate)

    def reachable(self, flight: Flight, spin: Rotation) -> Float[Array, ""]:
        """The time up to which the bound allows, by Newton's method on its logarithm."""
        top = jnp.maximum(jnp.max(spin.rate), 1e-300)
        room = self.log_tolerance - self.log_reach - logsumexp(self.log_weight) + jnp.log(top)
        guess = self.start + jnp.clip(0.5 * room, 1e-3, None) / top

        def newton(_, end):
            bound, rate = self.bound(flight, spin, end)
            change = (self.log_tolerance - bound) / rate
            change = jnp.where(jnp.isfinite(change), change, 0.0)
            return self.start + jnp.maximum(end - self.start + change, 0.2 * (end - self.start))

        end = jax.lax.fori_loop(0, NEWTON_STEPS, newton, guess)
        within = self.bound(flight, spin, end)[0] <= self.log_tolerance + LOG2
        return jnp.where(within, end, self.start)


def _change_modes(problem, flight: Flight, r, moving, tau, moved: State, due) -> Flight:
    """Carry out the event of every moving neuron at its own time."""
    clock = jnp.where(moving, flight.clock + tau, flight.clock)
    hit = moving[:, None] & jnp.isfinite(due) & simultaneous(problem, moved, tau, due)
    moved = jnp.where(moving[:, None], moved, flight.state)
    if flight.modes.slide is None:
        state, modes, log = die(flight.modes, flight.log, moved, clock, hit)
    else:
        velocity = log_scale_field(driving_force(problem, flight.modes, r), moved)
        never, still = jnp.zeros_like(hit), jnp.zeros_like(r)
        state, modes, log = settle(
            problem, flight.modes, flight.log, moved, velocity, clock, r, still, hit, never
        )
    return Flight(clock, state, modes, log)


def _log_expm1(x):
    """log(exp(x) − 1) without overflow."""
    return jnp.where(x > 30, x, jnp.log(jnp.expm1(jnp.minimum(x, 30.0))))
