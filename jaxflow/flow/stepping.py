"""One attempted step of the solver: accepted, rejected, or cut to end at a change of activation."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from diffrax import ODETerm

from jaxflow.flow.coordinates import (
    assemble,
    hidden_parts,
    log_norms,
    output_parts,
    restore_invariants,
)
from jaxflow.flow.events import first_crossing
from jaxflow.flow.field import Problem, vector_field
from jaxflow.flow.lane import Counts, Landing, Lane, not_landing
from jaxflow.flow.settings import Settings
from jaxflow.flow.status import Status

SAFETY, LEAST, MOST = 0.9, 0.2, 5.0
"""Step-size control after Hairer, Nørsett and Wanner, Solving ODEs I, II.4."""
NEWTON_ACCEPTS = 1e-5
"""An event is met when Newton's correction is below this share of the step: the correction is then
applied by the solver's dense output, with an error of its square times the interpolation error."""
ROUNDING = 4e-16
"""A preactivation of a normalised neuron is zero to rounding."""
LANDING_TRIES = 30


class Attempt(eqx.Module):
    """A tried step: its end, the dense output, slopes at both ends and the error per tolerance."""

    length: jnp.ndarray
    end: jnp.ndarray
    start_slope: jnp.ndarray
    end_slope: jnp.ndarray
    size: jnp.ndarray
    dense: dict


def attempt_step(problem: Problem, settings: Settings, lane: Lane, stop) -> Lane:
    """Try one step and carry out what follows from it."""
    attempt = _try(problem, settings, lane, stop)
    good = jnp.isfinite(attempt.size) & (attempt.size <= 1)
    theta = _crossings(lane, attempt)
    crosses = jnp.any(jnp.isfinite(theta)) & ~lane.landing.on
    outcome = _reject(lane, attempt)
    outcome = _select(good & ~lane.landing.on & ~crosses, _accept(lane, attempt, stop), outcome)
    outcome = _select(good & crosses, _aim(lane, attempt, theta), outcome)
    outcome = _select(good & lane.landing.on, _land(settings, lane, attempt), outcome)
    return _give_up(settings, outcome)


def _try(problem: Problem, settings: Settings, lane: Lane, stop) -> Attempt:
    length = jnp.where(lane.landing.on, lane.landing.step, jnp.minimum(lane.step, stop - lane.t))
    term = ODETerm(lambda t, state, args: vector_field(problem, lane.active, state))
    solver = settings.solver
    zero = jnp.zeros(())
    memory = solver.init(term, zero, length, lane.state, None)
    end, error, dense, _, _ = solver.step(term, zero, length, lane.state, None, memory, False)
    size = jnp.max(jnp.abs(error)) / settings.rtol
    size = jnp.where(jnp.all(jnp.isfinite(end)), size, jnp.inf)
    return Attempt(length, end, dense["k"][0], dense["k"][-1], size, dense)


def _crossings(lane: Lane, attempt: Attempt):
    """Fraction of the step at which each active pair dies, inf if it does not."""
    parts = (lane.state, attempt.start_slope, attempt.end, attempt.end_slope)
    theta = first_crossing(*(hidden_parts(part) for part in parts))
    return jnp.where(lane.active, theta, jnp.inf)


def _reject(lane: Lane, attempt: Attempt) -> Lane:
    counts = _count(lane.counts, rejected=1)
    finite = jnp.isfinite(attempt.size)
    shrink = jnp.where(finite, jnp.maximum(SAFETY * _growth(attempt.size), LEAST), 0.1)
    status = jnp.where(
        attempt.length <= 4 * jnp.finfo(jnp.float64).eps * lane.t,
        Status.step_underflow,
        lane.status,
    )
    return replace(
        lane,
        step=attempt.length * jnp.minimum(shrink, 0.95),
        landing=not_landing(),
        counts=counts,
        status=status,
    )


def _accept(lane: Lane, attempt: Attempt, stop) -> Lane:
    proposed = attempt.length * jnp.clip(SAFETY * _growth(attempt.size), LEAST, MOST)
    cut = lane.step >= stop - lane.t
    return replace(
        lane,
        t=jnp.where(cut, stop, lane.t + attempt.length),
        state=restore_invariants(attempt.end, lane.balance),
        step=jnp.where(cut, jnp.maximum(proposed, jnp.minimum(lane.step, 1e300)), proposed),
        counts=_count(lane.counts, accepted=1),
    )


def _aim(lane: Lane, attempt: Attempt, theta) -> Lane:
    pair = jnp.argmin(theta)
    length = jnp.maximum(theta.reshape(-1)[pair] * attempt.length, 1e-200)
    landing = Landing(jnp.array(True), length, pair, jnp.array(0))
    return replace(lane, landing=landing, counts=_count(lane.counts, landings=1))


def _land(settings: Settings, lane: Lane, attempt: Attempt) -> Lane:
    """Newton's method for the end of the step; at convergence, the mode change itself."""
    g, slope = hidden_parts(attempt.end), hidden_parts(attempt.end_slope) / attempt.length
    aimed = (jnp.arange(g.size) == lane.landing.pair).reshape(g.shape)
    candidate = lane.active & (aimed | (g < 0)) & (slope < 0)
    correction = jnp.where(candidate, -g / jnp.where(slope < 0, slope, -1.0), jnp.inf)
    pair = jnp.argmin(correction)
    shift = correction.reshape(-1)[pair]
    eps = jnp.finfo(jnp.float64).eps
    met = jnp.abs(shift) <= jnp.maximum(NEWTON_ACCEPTS * attempt.length, 4 * eps * lane.t)
    retry = Landing(
        jnp.array(True),
        jnp.maximum(attempt.length + jnp.where(jnp.isfinite(shift), shift, 0.0), 1e-200),
        pair,
        lane.landing.tries + 1,
    )
    lost = (retry.tries > LANDING_TRIES) | ~jnp.any(candidate)
    again = replace(
        lane,
        landing=retry,
        counts=_count(lane.counts, landings=1),
        status=jnp.where(lost, Status.event_not_located, lane.status),
    )
    return _select(met, _change_modes(settings, lane, attempt, slope, pair, shift), again)


def _change_modes(settings: Settings, lane: Lane, attempt: Attempt, slope, pair, shift) -> Lane:
    """Move by the last correction and kill every pair whose preactivation is zero to rounding."""
    local = settings.solver.interpolation_cls(t0=jnp.zeros(()), t1=attempt.length, **attempt.dense)
    state = local.evaluate(attempt.length + shift)
    t = lane.t + jnp.maximum(attempt.length + shift, 0.0)
    g = hidden_parts(state)
    chosen = (jnp.arange(g.size) == pair).reshape(g.shape)
    within = ROUNDING + 8 * jnp.finfo(jnp.float64).eps * t * jnp.abs(slope)
    dying = lane.active & (chosen | ((slope < 0) & (g <= within)))
    state = assemble(log_norms(state), output_parts(state), jnp.where(dying, 0.0, g))
    return replace(
        lane,
        t=t,
        state=restore_invariants(state, lane.balance),
        active=lane.active & ~dying,
        deaths=jnp.where(dying, t, lane.deaths),
        landing=not_landing(),
        counts=_count(lane.counts, accepted=1),
    )


def _give_up(settings: Settings, lane: Lane) -> Lane:
    over = lane.counts.attempted >= settings.max_steps
    broken = ~jnp.all(jnp.isfinite(lane.state))
    status = jnp.where(lane.running & over, Status.step_limit, lane.status)
    return replace(lane, status=jnp.where(broken, Status.not_finite, status))


def _growth(size):
    return jnp.maximum(size, 1e-10) ** (-1 / 8)


def _count(counts: Counts, **increments) -> Counts:
    values = {k: getattr(counts, k) + v for k, v in increments.items()}
    return replace(counts, **values)


def _select(condition, yes, no):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
