"""The whole run: closed form while the residual is frozen, the solver in between, to the end."""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.coordinates import State, balance_of
from jaxflow.flow.ending import Evidence, evidence
from jaxflow.flow.field import Problem, residual, vector_field
from jaxflow.flow.frozen import allows, frozen_flow
from jaxflow.flow.lane import Lane, Record, no_counts, not_landing
from jaxflow.flow.settings import Settings
from jaxflow.flow.status import Status
from jaxflow.flow.stepping import attempt_step

WORTHWHILE = 4.0
"""Freeze the residual only where that covers this many steps of the solver."""


def take_off(problem: Problem, active: Bool[Array, "m n"], state: State) -> Lane:
    """A run at time zero."""
    speed = jnp.max(jnp.abs(vector_field(problem, active, state)))
    return Lane(
        t=jnp.zeros(()),
        state=state,
        active=active,
        deaths=jnp.full(active.shape, jnp.inf),
        balance=balance_of(state),
        step=0.01 / jnp.maximum(speed, 1e-300),
        landing=not_landing(),
        thawed=jnp.array(False),
        counts=no_counts(),
        status=jnp.array(int(Status.running)),
    )


def integrate(
    problem: Problem, settings: Settings, lane: Lane, ts: Float[Array, " T"]
) -> tuple[Lane, Record]:
    """Integrate to the last save time, or without save times to the end that evidence gives.

    The loop alternates legs of two kinds: neurons on their own in closed form as long as the
    residual may be frozen, then steps of the solver until it may be frozen again.
    """
    record = Record(jnp.array(0), jnp.zeros((ts.shape[0], *lane.state.shape)))
    carry = _note(problem, settings, ts, (lane, record))

    def fly(carry):
        carry = _closed_form_leg(problem, settings, ts, carry)
        return _solver_leg(problem, settings, ts, carry)

    return jax.lax.while_loop(lambda c: c[0].running, fly, carry)


def _closed_form_leg(problem, settings, ts, carry):
    """Freeze the residual from one stop to the next until the bound forbids it."""

    def wanted(carry):
        return carry[0].running & ~carry[0].thawed

    def glide(carry):
        lane, record = carry
        stop = _next_stop(settings, ts, record)
        end, flight = frozen_flow(
            problem,
            lane.active,
            lane.state,
            lane.deaths,
            frozen_residual(problem, settings, lane),
            lane.t,
            stop,
            settings.frozen_tolerance,
        )
        counts = replace(lane.counts, frozen=lane.counts.frozen + 1)
        moved = replace(
            lane,
            t=end,
            state=flight.state,
            active=flight.active,
            deaths=flight.deaths,
            counts=counts,
        )
        lane = _where(end > lane.t, moved, lane)
        lane = replace(lane, thawed=end < stop)
        return _where(wanted(carry), _note(problem, settings, ts, (lane, record)), carry)

    return jax.lax.while_loop(wanted, glide, carry)


def _solver_leg(problem, settings, ts, carry):
    """Steps of the solver until the residual may be frozen for a worthwhile time."""

    def wanted(carry):
        return carry[0].running & carry[0].thawed

    def step(carry):
        lane, record = carry
        lane = attempt_step(problem, settings, lane, _next_stop(settings, ts, record))
        lane, record = _note(problem, settings, ts, (lane, record))
        calm = allows(
            problem,
            lane.active,
            lane.state,
            frozen_residual(problem, settings, lane),
            WORTHWHILE * lane.step,
            settings.frozen_tolerance,
        )
        lane = replace(lane, thawed=~calm | lane.landing.on)
        return _where(wanted(carry), (lane, record), carry)

    return jax.lax.while_loop(wanted, step, carry)


def frozen_residual(problem: Problem, settings: Settings, lane: Lane) -> Float[Array, " n"]:
    """The residual as it would be frozen: zero where a datum is fitted to within the tolerance.

    A fitted residual decays at a rate of the order of |y_k| ‖x_k‖/n, so that neglecting it costs
    |r_k|/|y_k|, whatever the time.
    """
    r = residual(problem, lane.active, lane.state)
    level = settings.rtol * jnp.abs(problem.y)
    return jnp.where(jnp.abs(r) <= level, 0.0, r)


def _next_stop(settings, ts, record: Record):
    if ts.shape[0] == 0:
        return settings.horizon
    return ts[jnp.minimum(record.saved, ts.shape[0] - 1)]


def _note(problem, settings, ts, carry):
    """Record the state at a save time, and end the run where there is reason to."""
    lane, record = carry
    last = ts.shape[0]
    if last:
        at = jnp.minimum(record.saved, last - 1)
        due = lane.running & (record.saved < last) & (lane.t >= ts[at]) & ~lane.landing.on
        kept = jnp.where(due, lane.state, record.states[at])
        record = Record(record.saved + due, record.states.at[at].set(kept))
        over = record.saved == last
    else:
        over = lane.t >= settings.horizon
    found = evidence(problem, lane.active, lane.state)
    verdict = jnp.where(found.fitted, Status.interpolated, Status.stationary)
    verdict = jnp.where(found.certified, verdict, Status.moving)
    settled = found.certified & (found.residual <= settings.rtol)
    ends = over if last else over | settled
    status = jnp.where(lane.running & ends, verdict, lane.status)
    return replace(lane, status=status), record


def final_evidence(problem: Problem, lane: Lane) -> Evidence:
    """What is known of the limit at the end of a run."""
    return evidence(problem, lane.active, lane.state)


def _where(condition, yes, no):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
