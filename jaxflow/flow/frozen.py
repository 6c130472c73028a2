"""The flow while the residual is frozen, neuron by neuron, with the bound that says for how long.

As long as the outputs change by a negligible amount, every neuron rotates on its own between its
own changes of mode (see `rotation`). This holds in the early phase and, for orthogonal inputs, at
every later plateau alike.

Error bound. Let h move by at most dev(T) within the time T. Then every force is wrong by at most
max‖x‖² dev(T)/n, and every log norm and direction by T times that. With a frozen residual ‖z_j‖² is
a convex function of time, also across changes of mode, because ⟨w_j, D_j⟩ is continuous there.
Hence dev(T) is at most the sum over neurons of (‖z_j(0)‖² + ‖z_j(T)‖²)/2, and also of
‖z_j(0)‖² (exp(2 G_j T) − 1)/2 ≤ ‖z_j(0)‖² G_j T exp(2 G_j T), where G_j is the initial ‖D_j‖ for
orthogonal inputs, whose forces only lose terms, and ‖X‖_op ‖r‖/n ≥ ‖D_j‖ for any inputs.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import Modes, along_boundaries, driving_force
from jaxflow.flow.bounded_span import bounded_span
from jaxflow.flow.branching import tree_where
from jaxflow.flow.coordinates import Balance, State, log_norms
from jaxflow.flow.field import log_scale_field
from jaxflow.flow.flight import Flight, due
from jaxflow.flow.log import DeathTable, EventBuffer
from jaxflow.flow.problem import Problem
from jaxflow.flow.rotation import Rotation, rotation
from jaxflow.flow.rows import norm_over_rows
from jaxflow.flow.switching import die, settle
from jaxflow.network import LOG2

NOBODY = -1e300
"""Logarithm of a size that counts as zero."""
SLACK = 1.0
"""By how much the logarithm of the bound may end up above that of the tolerance, because an event
moved it: where it is more, nothing is flown."""


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

    def on_the_way(carry):
        return ~carry[2]

    def leg(carry):
        flight, *_ = carry
        force = driving_force(problem, flight.modes, r)
        cleaned = partial(along_boundaries, problem, flight.modes)
        spin = rotation(flight.state, force, balance, cleaned)
        next_change = due(problem, flight.modes, spin)
        end = jnp.minimum(limit.reachable(flight, spin), stop)
        end = jnp.maximum(end, jnp.max(flight.clock))  # what has been flown cannot be taken back
        sound = limit.bound(flight, spin, end)[0] <= limit.log_tolerance + SLACK
        left = end - flight.clock
        soonest = next_change.time
        moving = soonest < left
        arrived = ~jnp.any(moving)
        tau = jnp.where(moving, soonest, jnp.where(arrived, jnp.maximum(left, 0.0), 0))
        moved = spin.at(log_norms(flight.state), tau)
        moved = jnp.where(moving | arrived, moved, flight.state)
        clock = jnp.where(arrived, end, flight.clock + tau)
        hit = moving & next_change.together(problem, moved)
        flight = _change_modes(problem, Flight(clock, moved, flight.modes, flight.log), r, hit)
        return flight, end, arrived, sound

    here = Flight(jnp.full(state.shape[1], start), state, modes, log)
    unknown = jnp.array(False)
    flight, end, _, sound = jax.lax.while_loop(on_the_way, leg, (here, start, unknown, unknown))
    moves = sound & (end > start)
    return jnp.where(moves, end, start), tree_where(moves, flight, here)


def allows(
    problem: Problem,
    modes: Modes,
    state: State,
    r: Float[Array, " n"],
    duration: Float[Array, ""],
    tolerance: Float[Array, ""],
) -> Bool[Array, ""]:
    """Whether the residual may be frozen for at least `duration` (orthogonal inputs)."""
    rate = norm_over_rows(driving_force(problem, modes, r))
    weight = 0.5 * jnp.exp(2 * log_norms(state))
    moved = jnp.sum(weight * jnp.expm1(jnp.minimum(2 * rate * duration, 700.0)))
    reach = jnp.max(problem.span.norms()) ** 2 / problem.n
    return reach * duration * moved <= tolerance


class _Limit:
    """How long the residual may stay frozen, by the bound above.

    Sizes are relative to the largest neuron that moves: beside one that is born and at rest, those
    that wait at 1e-10000 would count as zero.
    """

    def __init__(self, problem, modes, state, r, start, tolerance):
        self.rho = log_norms(state)
        if modes.slide is None:
            self.top_rate = norm_over_rows(driving_force(problem, modes, r))
        else:
            self.top_rate = problem.span.operator_norm() * jnp.linalg.norm(r) / problem.n
        self.moves = jnp.broadcast_to(self.top_rate > 0, self.rho.shape)
        self.log_reach = 2 * jnp.log(jnp.max(problem.span.norms())) - jnp.log(problem.n)
        self.start, self.log_tolerance = start, jnp.log(tolerance)

    def bound(self, flight: Flight, spin: Rotation, end):
        """log of (time · force error) at `end`, and its rate of growth."""
        span, tau = end - self.start, end - flight.clock
        before, now = 2 * self.rho, 2 * (log_norms(flight.state) + spin.rate * tau)
        largest = jnp.max(jnp.where(self.moves, jnp.maximum(before, now), NOBODY))
        weight = jnp.exp(jnp.where(self.moves, before - largest, NOBODY))
        now = jnp.where(self.moves, now - largest, NOBODY)
        moved = 0.5 * (weight + jnp.exp(now) * spin.squared_norm(tau))
        growth = self.top_rate * span
        steady = jnp.where(self.moves, before + 2 * growth - largest, NOBODY)
        steady = growth * jnp.exp(steady)
        rates = jnp.where(steady < moved, 1 / span + 2 * self.top_rate, 2 * spin.rate)
        moved = jnp.minimum(moved, steady)
        total = jnp.sum(moved)
        rate = jnp.sum(moved * rates) / jnp.where(total > 0, total, 1.0)
        return self.log_reach + jnp.log(span) + largest + jnp.log(total), 1 / span + rate

    def reachable(self, flight: Flight, spin: Rotation) -> Float[Array, ""]:
        """The time up to which the bound allows; none where nothing moves.

        There what is left of the residuals, though within the tolerance, may still matter in the
        long run, to small neurons or to those that see a zero label.
        """
        top = jnp.maximum(jnp.max(spin.rate), 1e-300)
        room = self.log_tolerance - self.log_reach - _log_total(self.rho, self.moves) + jnp.log(top)
        guess = jnp.clip(0.5 * room, 1e-3, None) / top

        def log_bound(span):
            return self.bound(flight, spin, self.start + span)

        span = bounded_span(log_bound, self.log_tolerance, guess)
        return self.start + jnp.where(jnp.any(self.moves), span, 0.0)


def _log_total(rho: Float[Array, " m"], moves: Bool[Array, " m"]) -> Float[Array, ""]:
    """log of Σ ‖z_j‖²/2 over the neurons that move."""
    return logsumexp(jnp.where(moves, 2 * rho, NOBODY)) - LOG2


def _change_modes(problem: Problem, flight: Flight, r, hit: Bool[Array, "n m"]) -> Flight:
    """Carry out the events of the neurons that have one, each at its own time."""
    modes, state, clock = flight.modes, flight.state, flight.clock
    if modes.slide is None:
        state, modes, log = die(modes, flight.log, state, clock, hit)
    else:
        velocity = log_scale_field(driving_force(problem, modes, r), state)
        never, still = jnp.zeros_like(hit), jnp.zeros_like(r)
        state, modes, log = settle(
            problem, modes, flight.log, state, velocity, clock, r, still, hit, never
        )
    return Flight(clock, state, modes, log)
