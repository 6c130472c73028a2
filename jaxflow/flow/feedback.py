"""The early phase with the feedback of the outputs on the forces, to first order.

Orthogonal inputs, all neurons small, so that r = y + δ(t) with small δ = −h. The neurons are first
followed with r = y (see `frozen`), which gives h, and thereby δ, with a relative error of the order
of δ. Then they are followed again, each between its own changes of mode in the frame that rotates
with the frozen force D = G e: with η ± ⟨ω, e⟩ = 2 c± exp(±Gt), the rest q of ω, and
δR_k = δ_k ‖x_k‖/n split along e and across,

    dc±/dt = ±δR_∥ c± + ½ exp(∓Gt) ⟨q, δR⟩,   dq/dt = (c₊ exp(Gt) + c₋ exp(−Gt)) δR_⊥.

The first term is integrated exactly, the others to first order by Gauss's formula, with δ as a
polynomial. The force is continuous at a death, so that its time may be corrected afterwards
and nothing else.

Error. The effect of first order on any log norm or direction is at most

    b = max‖x‖²/n ∫ Σ_j ‖z_j‖²/2 dt,   ‖z_j(t)‖² ≤ ‖z_j(0)‖² exp(2 G_j t),

because |h_k| ≤ ‖x_k‖ Σ_j |a_j| ‖p_j‖, and forces only lose terms. What is neglected is about b²,
which is kept below the tolerance. The series resolves an h that grows by exp(10): where h grows by
more before b is that large, there are several pieces, one after the other. It smooths the kinks
that deaths make in h, which have the size of h at the start.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float

from jaxflow.flow import compiled_feedback
from jaxflow.flow.activation import Modes, driving_force
from jaxflow.flow.blocks import block_by_block, sum_over_blocks
from jaxflow.flow.bounded_span import bounded_span
from jaxflow.flow.coordinates import (
    Balance,
    State,
    assemble,
    hidden_parts,
    log_norms,
    output_parts,
)
from jaxflow.flow.field import log_scale_field
from jaxflow.flow.flight import Flight, due
from jaxflow.flow.log import DeathTable
from jaxflow.flow.problem import Problem
from jaxflow.flow.rotation import Rotation, rotation
from jaxflow.flow.rows import norm_over_rows, weighted_sum
from jaxflow.flow.switching import die
from jaxflow.network import LOG2

DEGREE = 11
"""Of the Chebyshev series of δ."""
CHEBYSHEV = np.cos((np.arange(DEGREE + 1) + 0.5) * np.pi / (DEGREE + 1))
"""Chebyshev points of [-1, 1], from the last to the first, each with its mirror image."""
NODES = 7
"""Of Gauss's formula on each piece of a neuron's way."""
GAUSS = np.polynomial.legendre.leggauss(NODES)
"""Nodes on [-1, 1], each with its mirror image, and weights."""
GROWTH = 10.0
"""The largest growth of log h that the series resolves."""
WORTHWHILE = 3.0
"""The least growth of log b that is worth a piece."""
FASTEST = 700.0
"""The largest growth of a logarithm of a neuron in a piece, whose exponential is a number."""
KINKS = 5e-5
"""What the series leaves of the kinks of h; ten times the tolerance is allowed to that."""


def feedback_flow(
    problem: Problem,
    modes: Modes,
    state: State,
    log: DeathTable,
    balance: Balance,
    start: Float[Array, ""],
    stop: Float[Array, ""],
    tolerance: Float[Array, ""],
    mesh: Mesh | None = None,
) -> tuple[Float[Array, ""], Flight]:
    """Follow every neuron until `stop` or as long as the effect of δ is small.

    With a mesh, every neuron on the device that has it. Returns the time reached, which is `start`
    where nothing is allowed, and the neurons there.
    """
    end = jnp.minimum(_allowed_end(problem, modes, state, start, tolerance), stop)
    end = jnp.where(end > start, end, start)
    neurons = (Flight(jnp.full(state.shape[1], start), state, modes, log), balance)
    in_c = compiled_feedback.serves(DEGREE + 1, NODES)

    part = partial(_outputs, problem, start, end, in_c)
    outputs = sum_over_blocks(lambda some: part(*some), neurons, mesh, whole=in_c)
    delta = _Series.fitted(start, end, -outputs)
    follow = partial(_follow, problem, end, delta, in_c)
    return end, block_by_block(lambda some: follow(*some), neurons, mesh, whole=in_c)


def _allowed_end(problem: Problem, modes: Modes, state: State, start, tolerance):
    """The time up to which first order is enough."""
    rate = norm_over_rows(driving_force(problem, modes, problem.y))
    weight = 2 * log_norms(state) - LOG2
    top = jnp.maximum(jnp.max(rate), 1e-300)
    reach = 2 * jnp.log(jnp.max(problem.span.norms())) - jnp.log(problem.n)

    def bound(span):
        growth = 2 * rate * span
        largest = jnp.max(weight + growth)
        size = jnp.exp(weight + growth - largest)
        lasting = -jnp.expm1(-growth) / jnp.where(rate > 0, 2 * rate, 1.0)
        total = jnp.sum(size * jnp.where(rate > 0, lasting, span))
        return reach + largest + jnp.log(total), jnp.sum(size) / total

    at_start = log_effect_at_once(problem, modes, state)
    log_tolerance = jnp.log(tolerance)
    goal = jnp.minimum(0.5 * log_tolerance, jnp.maximum(at_start, log_tolerance) + GROWTH)

    guess = jnp.maximum(goal - at_start, 0.1) / (2 * top)
    small = at_start + jnp.log(KINKS) <= log_tolerance + jnp.log(10.0)
    far = goal - at_start >= WORTHWHILE
    span = jnp.minimum(bounded_span(bound, goal, guess), FASTEST / top)
    return jnp.where(small & far, start + span, start)


def log_effect_at_once(problem: Problem, modes: Modes, state: State) -> Float[Array, ""]:
    """Logarithm of b for a time in which nothing grows: that of the fastest growth rate."""
    rate = norm_over_rows(driving_force(problem, modes, problem.y))
    reach = 2 * jnp.log(jnp.max(problem.span.norms())) - jnp.log(problem.n)
    top = jnp.maximum(jnp.max(rate), 1e-300)
    return reach - jnp.log(top) + logsumexp(2 * log_norms(state)) - LOG2


class _Series:
    """δR_k(t) = ‖x_k‖ δ_k(t)/n as a polynomial Σ_i c_ik s^i in the scaled time s of [−1, 1].

    It goes through the Chebyshev points of the interval. Powers of s lose some four of the sixteen
    digits against Chebyshev polynomials, of which an effect of the order of 1e-7 needs seven.
    """

    def __init__(self, start, end, coefficients: Float[Array, "degree n"]):
        self.start, self.end, self.coefficients = start, end, coefficients

    @classmethod
    def fitted(cls, start, end, values: Float[Array, "degree n"]):
        """Through the values at the Chebyshev points of the interval."""
        return cls(start, end, np.linalg.inv(np.vander(CHEBYSHEV, increasing=True)) @ values)

    def integrals(self, times: Float[Array, "g m"], weights: list[Float[Array, "g m"]]):
        """Σ_g weights_gj δR_k(times_gj), shape (n, m), for several weights."""
        span = jnp.where(self.end > self.start, self.end - self.start, 1.0)
        s = 2 * (times - self.start) / span - 1
        values = jax.lax.optimization_barrier([self._at(now) for now in s])
        return [weighted_sum(weight, values) for weight in weights]

    def _at(self, s: Float[Array, " m"]) -> Float[Array, "n m"]:
        """δR at scaled times, by Horner's scheme."""
        *lower, total = self.coefficients[:, :, None]
        for c in reversed(lower):
            total = total * s + c
        return total


def _walk(problem: Problem, flight: Flight, balance: Balance, end, advance, carry):
    """Take all neurons to `end`, from one change of mode to the next, each on its own clock.

    `advance(flight, carry, spin, tau, until, change)` moves every neuron by `tau`; the piece counts
    for local times before `until`. `change(moved)` tells which pairs die at its end.
    """

    def on_the_way(items):
        return ~items[2]

    def leg(items):
        flight, carry, _ = items
        spin = rotation(flight.state, driving_force(problem, flight.modes, problem.y), balance)
        next_death, left = due(problem, flight.modes, spin), end - flight.clock
        soonest = next_death.time
        dies = soonest < left
        tau = jnp.where(dies, soonest, left)
        until = jnp.where(dies, soonest, jnp.where(left > 0, jnp.inf, 0.0))

        def change(moved: State) -> Bool[Array, "n m"]:
            return dies & next_death.together(problem, moved)

        flight, carry = advance(flight, carry, spin, tau, until, change)
        clock = jnp.where(dies, flight.clock, end)
        return Flight(clock, flight.state, flight.modes, flight.log), carry, ~jnp.any(dies)

    arrived = end <= jnp.max(flight.clock)
    return jax.lax.while_loop(on_the_way, leg, (flight, carry, arrived))[:2]


def _outputs(
    problem: Problem, start, end, in_c: bool, flight: Flight, balance: Balance
) -> Float[Array, "degree n"]:
    """‖x_k‖ h_k/n at the Chebyshev points of the interval, with r = y."""
    found = compiled_feedback.frozen_outputs if in_c else _frozen_outputs
    total = found(problem, start, end, CHEBYSHEV, flight, balance)
    return total.T * problem.span.norms() ** 2 / problem.n


def _frozen_outputs(
    problem: Problem, start, end, points, flight: Flight, balance: Balance
) -> Float[Array, "n degree"]:
    """h_k/‖x_k‖ at points of the interval."""

    def advance(flight, total, spin: Rotation, tau, until, change):
        rho, active = log_norms(flight.state), flight.modes.active
        along, across = _growths(flight.clock, rho, spin, points, start, end, until)
        direction = jnp.where(active, spin.direction, 0.0)
        constant = jnp.where(active, jnp.exp(rho) * spin.constant, 0.0)
        total = total + direction @ along.T + constant @ across.T
        moved = spin.at(rho, tau)
        return _changed(flight, moved, tau, change(moved)), total

    nothing = jnp.zeros((problem.n, DEGREE + 1))
    return _walk(problem, flight, balance, end, advance, nothing)[1]


def _growths(clock, rho, spin: Rotation, points, start, end, until):
    """g² − d² and g + d on a piece and zero elsewhere, g = ‖z‖ c₊ exp(Gt), d = ‖z‖ c₋ exp(−Gt).

    ‖z‖² η ω is the first times e and the second times ‖z‖ q. An exponential serves two points, one
    as far before the middle of the interval as the other is after it.
    """
    middle, half = (start + end) / 2, (end - start) / 2
    ahead = spin.rate * (middle - clock)
    g, d = jnp.exp(rho + ahead) * spin.growing, jnp.exp(rho - ahead) * spin.decaying
    factor = jnp.exp(spin.rate * half * points[: len(points) // 2, None])
    g, d, factor = jax.lax.optimization_barrier((g, d, factor))
    g, d = _mirrored(g * factor, g / factor), _mirrored(d / factor, d * factor)
    since = middle + half * points[:, None] - clock
    inside = (since >= 0) & (since < until)
    growths = jnp.where(inside, g**2 - d**2, 0.0), jnp.where(inside, g + d, 0.0)
    return jax.lax.optimization_barrier(growths)


def _mirrored(later: Float[Array, "g m"], earlier: Float[Array, "g m"]) -> Float[Array, "2*g m"]:
    """Values at points from the last one to the middle, and at their images from the first one."""
    return jnp.concatenate([later, earlier[::-1]])


def _changed(flight: Flight, moved: State, tau, hit) -> Flight:
    """Deaths at the end of a frozen piece."""
    state, modes, log = die(flight.modes, flight.log, moved, flight.clock + tau, hit)
    return Flight(flight.clock + tau, state, modes, log)


def _follow(
    problem: Problem, end, delta: _Series, in_c: bool, flight: Flight, balance: Balance
) -> Flight:
    """All neurons with the feedback, up to `end`."""
    if in_c:
        start, series = delta.start, delta.coefficients
        return compiled_feedback.follow(problem, start, end, series, GAUSS, flight, balance)

    def advance(flight, carry, spin, tau, _, change):
        hit = change(spin.at(log_norms(flight.state), tau))
        turned = _with_feedback(flight, spin, tau, delta)
        moved = turned.at(log_norms(flight.state), tau)
        moved, late = _to_the_death(problem, flight.modes, moved, hit)
        clock = flight.clock + tau + late
        state, modes, log = die(flight.modes, flight.log, moved, clock, hit)
        return Flight(clock, state, modes, log), carry

    flight, _ = _walk(problem, flight, balance, end, advance, ())
    return _overdue(problem, flight, end)


def _with_feedback(flight: Flight, spin: Rotation, tau, delta: _Series) -> Rotation:
    """The rotation whose constants c±, q are those at the end of the piece."""
    points, weights = GAUSS
    times = flight.clock + tau * (1 + points[:, None]) / 2
    e, q, active = spin.direction, spin.constant, flight.modes.active
    share = 0.5 * tau * weights[:, None]
    v, u = _exponentials(spin.rate * tau / 2, points)
    found = delta.integrals(times, [share, share * v, share * u])
    plain, falling, rising = (jnp.where(active, integral, 0.0) for integral in found)

    def across(integral):
        return integral - jnp.sum(integral * e, axis=0) * e

    theta = jnp.sum(plain * e, axis=0)
    growing = spin.growing * jnp.exp(theta) + 0.5 * jnp.sum(q * falling, axis=0)
    decaying = spin.decaying * jnp.exp(-theta) + 0.5 * jnp.sum(q * rising, axis=0)
    turned = spin.growing * across(rising) + spin.decaying * across(falling)
    return Rotation(spin.rate, e, growing, decaying, jnp.where(active, q + turned, q))


def _exponentials(x: Float[Array, " m"], points: np.ndarray):
    """exp(−x (1 + s)) and its inverse at points s of which each has its mirror image."""
    middle, factor = jnp.exp(-x), jnp.exp(x * points[NODES // 2 + 1 :, None])
    middle, factor = jax.lax.optimization_barrier((middle, factor))
    above, below = 1 / factor, factor[::-1]
    here = jnp.ones_like(x)[None]
    falling = jnp.concatenate([below, here, above])
    rising = jnp.concatenate([above[::-1], here, factor])
    return jax.lax.optimization_barrier((middle * falling, rising / middle))


def _to_the_death(problem: Problem, modes: Modes, moved: State, hit):
    """Newton's correction of the time of death, and the state there."""
    omega = hidden_parts(moved)
    velocity = log_scale_field(driving_force(problem, modes, problem.y), moved)
    falling = hidden_parts(velocity)
    late = jnp.where(hit & (falling < 0), -omega / jnp.where(falling < 0, falling, -1.0), jnp.inf)
    late = jnp.min(late, axis=0)
    late = jnp.where(jnp.isfinite(late), late, 0.0)
    shifted = moved + late * velocity
    return shifted, late


def _overdue(problem: Problem, flight: Flight, end) -> Flight:
    """Pairs that died within the error of the frozen flow before the end."""
    omega = hidden_parts(flight.state)
    overdue = flight.modes.active & (omega < 0)
    velocity = log_scale_field(driving_force(problem, flight.modes, problem.y), flight.state)
    falling = hidden_parts(velocity)
    early = jnp.where(overdue & (falling < 0), omega / jnp.where(falling < 0, falling, -1.0), 0.0)
    early = jnp.max(early, axis=0)
    omega = jnp.where(overdue, 0.0, omega)
    state = assemble(log_norms(flight.state), output_parts(flight.state), omega)
    state, modes, log = die(flight.modes, flight.log, state, end - early, overdue)
    return Flight(jnp.full_like(flight.clock, end), state, modes, log)
