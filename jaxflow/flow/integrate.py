"""The whole run: closed forms where they hold, the solver in between, to the end.

A run is a sequence of legs of three kinds: the closed forms of plateaus, steps of the solver, and
the closed form of the last approach to the limit. Outside of JAX's transformations every
kind is a program of its own, which is compiled when there is such a leg to be flown; under `jit`
and `vmap` the whole run is one program.
"""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.flow.activation import Modes, driving_force
from jaxflow.flow.approach import approach, approach_bound, seen_residual
from jaxflow.flow.branching import once_if, tree_where
from jaxflow.flow.coordinates import Balance, State, restore_invariants
from jaxflow.flow.decoupled import decoupled_flow, is_decoupled
from jaxflow.flow.ending import Evidence, evidence
from jaxflow.flow.feedback import feedback_flow, log_effect_at_once
from jaxflow.flow.field import outputs, residual, vector_field
from jaxflow.flow.flight import Flight
from jaxflow.flow.frozen import allows, frozen_flow
from jaxflow.flow.lane import Lane, Record, no_counts, not_landing
from jaxflow.flow.log import empty_log
from jaxflow.flow.problem import Problem
from jaxflow.flow.settings import Settings
from jaxflow.flow.status import Status
from jaxflow.flow.stepping import attempt_step
from jaxflow.validation import is_anything_traced

WORTHWHILE = 4
"""Freeze the residual only where that covers this many steps of the solver; look as often."""
FITTED = 0.25
"""Share of the tolerance down to which residuals are followed when the end is sought."""
UNREACHED = -1
"""Mode at save times that a run does not come to; the states there are NaN."""
ROUNDING = 1e-15
"""Residuals this small beside the labels are rounding."""
EARLY = 1e-6
"""Outputs this small, relative to the labels, leave all data on the first plateau."""


def take_off(
    problem: Problem, settings: Settings, modes: Modes, state: State, balance: Balance
) -> Lane:
    """A run at time zero."""
    speed = jnp.max(jnp.abs(vector_field(problem, modes, state)))
    return Lane(
        t=jnp.zeros(()),
        state=state,
        modes=modes,
        log=empty_log(modes, settings.max_events),
        balance=balance,
        step=0.01 / jnp.maximum(speed, 1e-300),
        landing=not_landing(),
        thawed=jnp.array(False),
        settled=jnp.array(False),
        counts=no_counts(),
        status=jnp.array(int(Status.running)),
    )


def blank_record(lane: Lane, ts: Float[Array, " T"], seeking: bool | Bool[Array, ""]) -> Record:
    """A record of a run that saves at `ts`, or saves nothing when it seeks the end.

    `ts` may then be empty, or anything of the shape of the save times to come, so that the same
    compiled programs serve both.
    """
    return Record(
        jnp.asarray(seeking),
        jnp.array(0),
        jnp.full((ts.shape[0], *lane.state.shape), jnp.nan),
        jnp.full((ts.shape[0], *lane.modes.active.shape), UNREACHED, dtype=jnp.int8),
    )


def integrate(
    problem: Problem,
    settings: Settings,
    lane: Lane,
    ts: Float[Array, " T"],
    record: Record,
) -> tuple[Lane, Record]:
    """Integrate to the last save time, or when seeking to the end that evidence gives.

    The loop goes through the kinds of legs: closed forms as long as their bounds allow them, then
    steps of the solver until they do again, then the last approach if it has come to that.
    """
    carry = lane, record
    if is_anything_traced((problem, settings, carry, ts)):

        def fly(carry):
            carry = closed_form_leg(problem, settings, ts, carry)
            carry = solver_leg(problem, settings, ts, carry)
            return approach_leg(problem, settings, ts, carry)

        return jax.lax.while_loop(lambda carry: carry[0].running, fly, carry)
    while carry[0].running:
        carry = closed_form_leg(problem, settings, ts, carry)
        if carry[0].running:
            carry = solver_leg(problem, settings, ts, carry)
        if carry[0].running and has_approach(problem, settings):
            carry = approach_leg(problem, settings, ts, carry)
    return carry


@eqx.filter_jit
def closed_form_leg(problem, settings, ts, carry):
    """Closed forms from one stop to the next, until the bounds forbid all of them.

    Here the start of a run is noted, if it is one.
    """
    carry = _note(problem, settings, ts, carry)
    if not settings.closed_form:
        return typed(carry)

    def wanted(carry):
        return carry[0].running & ~carry[0].thawed

    def glide(carry):
        lane, record = carry
        stop = _next_stop(settings, ts, record)
        lane, again = _closed_form_piece(problem, settings, lane, stop, record.seeking)
        lane = replace(lane, thawed=(lane.t < stop) & ~again)
        return tree_where(wanted(carry), _note(problem, settings, ts, (lane, record)), carry)

    return typed(jax.lax.while_loop(wanted, glide, carry))


def _closed_form_piece(problem, settings, lane: Lane, stop, seeking):
    """The closed form that serves, and whether to go on with another one before `stop`.

    Pieces of frozen residual must not be strung together, each with an error of its own.
    """
    if lane.modes.slide is not None:
        return _frozen_piece(problem, settings, lane, stop), jnp.array(False)
    start, coupled = lane.t, ~is_decoupled(lane.modes)
    lane = once_if(
        ~coupled, lambda lane: _decoupled_piece(problem, settings, lane, stop, seeking), lane
    )
    served = lane.t > start
    lane = once_if(~served, lambda lane: _quiet_piece(problem, settings, lane, stop), lane)
    return lane, is_decoupled(lane.modes) & (served | coupled)


def _quiet_piece(problem, settings, lane: Lane, stop) -> Lane:
    """Frozen residual until the feedback of the outputs matters, and with it to first order."""
    effect = log_effect_at_once(problem, lane.modes, lane.state)
    frozen = ~_is_early(problem, lane) | (effect < jnp.log(settings.frozen_tolerance))
    lane = once_if(frozen, lambda lane: _frozen_piece(problem, settings, lane, stop), lane)
    return _feedback_piece(problem, settings, lane, stop)


def _is_early(problem: Problem, lane: Lane) -> Bool[Array, ""]:
    """Whether this is the first plateau, where no datum is fitted and all outputs are small."""
    size = jnp.max(jnp.abs(problem.y))
    return jnp.all(jnp.abs(outputs(problem, lane.modes, lane.state)) <= EARLY * size)


def _frozen_piece(problem, settings, lane: Lane, stop) -> Lane:
    r = frozen_residual(problem, settings, lane)
    r = jnp.where(_at_rest(problem, settings, lane, stop), 0.0, r)
    tolerance = settings.frozen_tolerance
    end, flight = frozen_flow(
        problem, lane.modes, lane.state, lane.log, lane.balance, r, lane.t, stop, tolerance
    )
    return _flown(lane, end, flight)


def _feedback_piece(problem, settings, lane: Lane, stop) -> Lane:
    """On the first plateau only."""

    def fly(lane):
        tolerance = settings.frozen_tolerance
        end, flight = feedback_flow(
            problem, lane.modes, lane.state, lane.log, lane.balance, lane.t, stop, tolerance
        )
        return _flown(lane, end, flight)

    return once_if(_is_early(problem, lane) & (lane.t < stop), fly, lane)


def _decoupled_piece(problem, settings, lane: Lane, stop, seeking) -> Lane:
    """Where every neuron sees a single datum at most; to the fit, if the end is sought."""
    sought = jnp.where(seeking, FITTED * settings.rtol, 0.0)
    tolerance = settings.frozen_tolerance
    end, flight = decoupled_flow(
        problem, lane.modes, lane.state, lane.log, lane.balance, lane.t, stop, tolerance, sought
    )
    return _flown(lane, end, flight)


def _flown(lane: Lane, end, flight: Flight) -> Lane:
    """The lane after a leg in closed form, if it came anywhere."""
    counts = replace(lane.counts, frozen=lane.counts.frozen + 1)
    moved = replace(
        lane, t=end, state=flight.state, modes=flight.modes, log=flight.log, counts=counts
    )
    return tree_where(end > lane.t, moved, lane)


@eqx.filter_jit
def solver_leg(problem, settings, ts, carry):
    """Steps of the solver until the residual may be frozen for a worthwhile time."""

    def wanted(carry):
        return carry[0].running & (carry[0].thawed | (not settings.closed_form))

    def step(carry):
        lane, record = carry
        lane = attempt_step(problem, settings, lane, _next_stop(settings, ts, record))
        lane, record = _note(problem, settings, ts, (lane, record))
        calm = _calm(problem, settings, lane, _next_stop(settings, ts, record))
        return replace(lane, thawed=~calm | lane.landing.on), record

    return typed(jax.lax.while_loop(wanted, step, carry))


@eqx.filter_jit
def approach_leg(problem, settings, ts, carry):
    """The last approach to the limit, from one stop to the next, where its bound allows it."""
    if not has_approach(problem, settings):
        return typed(carry)

    def wanted(items):
        (lane, _), onward = items
        return lane.running & onward & _approaches(problem, settings, lane)

    def glide(items):
        (lane, record), _ = items
        moved = _approach_piece(problem, settings, lane, _next_stop(settings, ts, record), record)
        noted = _note(problem, settings, ts, (moved, record))
        return tree_where(wanted(items), (noted, moved.t > lane.t), items)

    return typed(jax.lax.while_loop(wanted, glide, (carry, jnp.array(True)))[0])


def has_approach(problem: Problem, settings: Settings) -> bool:
    """Whether there is a closed form of the last approach: for orthogonal inputs."""
    return problem.span.orthogonal and settings.closed_form


def _approaches(problem, settings, lane: Lane) -> Bool[Array, ""]:
    """Whether the last approach has begun; where the data decouple there is something better."""
    tolerance = settings.approach_tolerance
    within = approach_bound(problem, lane.modes, lane.state, tolerance) <= tolerance
    return within & ~lane.landing.on & ~is_decoupled(lane.modes)


def _approach_piece(problem, settings, lane: Lane, stop, record: Record) -> Lane:
    """To the stop, or, if the end is sought, to the fit and from there on by powers of ten."""
    r = jnp.linalg.norm(seen_residual(problem, lane.modes, lane.state))
    size = jnp.linalg.norm(problem.y)
    sought = jnp.minimum(FITTED * settings.rtol * size, 0.1 * r)
    sought = jnp.where(record.seeking & (sought > ROUNDING * size), sought, 0.0)
    left = stop - lane.t
    span, state = approach(problem, lane.modes, lane.state, lane.balance, left, sought)
    counts = replace(lane.counts, frozen=lane.counts.frozen + 1)
    t = jnp.where(span < left, lane.t + span, stop)
    return replace(lane, t=t, state=restore_invariants(state, lane.balance), counts=counts)


def typed(carry):
    """All numbers of definite types, as after any leg; else the next would be compiled anew."""
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), carry)


def frozen_residual(problem: Problem, settings: Settings, lane: Lane) -> Float[Array, " n"]:
    """The residual as it would be frozen: zero where a datum is fitted to within the tolerance.

    A fitted residual decays at a rate of the order of |y_k| ‖x_k‖/n, so that neglecting it costs
    |r_k|/|y_k|, whatever the time. A zero label is measured by the largest one.
    """
    r = residual(problem, lane.modes, lane.state)
    size = jnp.abs(problem.y)
    level = settings.rtol * jnp.where(size > 0, size, jnp.max(size))
    return jnp.where(jnp.abs(r) <= level, 0.0, r)


def _calm(problem, settings, lane: Lane, stop):
    """Whether the residual may be frozen; on general inputs only where all is at rest."""
    if not settings.closed_form:
        return jnp.array(False)
    if lane.modes.slide is not None:
        return _at_rest(problem, settings, lane, stop)

    def look(_, lane: Lane):
        r = frozen_residual(problem, settings, lane)
        duration = WORTHWHILE * lane.step
        calm = allows(problem, lane.modes, lane.state, r, duration, settings.frozen_tolerance)
        return calm | is_decoupled(lane.modes) | _approaches(problem, settings, lane)

    return once_if(lane.counts.attempted % WORTHWHILE == 0, look, jnp.array(False), lane)


def _at_rest(problem, settings, lane: Lane, stop):
    """Whether nothing moves until the next stop: settled, or ‖X‖_op ‖r‖ (stop − t)/n ≤ rtol.

    The loss never grows, and ‖D_j‖ ≤ ‖X‖_op ‖r‖/n.
    """
    r = residual(problem, lane.modes, lane.state)
    way = problem.span.operator_norm() * jnp.linalg.norm(r) * (stop - lane.t) / problem.n
    return lane.settled | (way <= settings.rtol)


def _next_stop(settings, ts, record: Record):
    if ts.shape[0] == 0:
        return settings.horizon
    save = ts[jnp.minimum(record.saved, ts.shape[0] - 1)]
    return jnp.where(record.seeking, settings.horizon, save)


def _note(problem, settings, ts, carry):
    """Record the state at a save time, and end the run where there is reason to."""
    lane, record = carry
    record = _recorded(ts, lane, record) if ts.shape[0] else record
    over = jnp.where(record.seeking, lane.t >= settings.horizon, record.saved == ts.shape[0])
    found = _evidence_when_needed(problem, settings, lane, over)
    settled = found.settled(settings.rtol)
    ends = over | (settled & record.seeking)
    status = jnp.where(lane.running & ends, verdict(found, settings), lane.status)
    return replace(lane, status=status, settled=settled), record


def _recorded(ts, lane: Lane, record: Record) -> Record:
    at = jnp.minimum(record.saved, ts.shape[0] - 1)
    left = record.saved < ts.shape[0]
    due = lane.running & left & (lane.t >= ts[at]) & ~lane.landing.on & ~record.seeking

    def kept(record: Record, state: State, codes: Int[Array, "n m"]) -> Record:
        return replace(
            record,
            saved=record.saved + 1,
            states=record.states.at[at].set(state),
            modes=record.modes.at[at].set(codes),
        )

    return once_if(due, kept, record, lane.state, lane.modes.codes)


def _evidence_when_needed(problem, settings, lane: Lane, over) -> Evidence:
    """Evidence, computed only where it can matter: at the end, and at small residuals or forces."""
    r = residual(problem, lane.modes, lane.state)
    size = settings.rtol * jnp.linalg.norm(problem.y)
    if lane.modes.slide is None:
        seen = jnp.any(lane.modes.active, axis=1)
        matters = jnp.linalg.norm(jnp.where(seen, r, 0.0)) <= size
    else:
        force = driving_force(problem, lane.modes, r)
        slow = jnp.max(jnp.abs(force)) <= settings.rtol * jnp.max(jnp.abs(problem.y))
        matters = slow | (jnp.linalg.norm(r) <= size)
    none = Evidence(jnp.array(jnp.inf), jnp.array(False), jnp.array(jnp.inf), jnp.array(jnp.inf))

    def look(_, modes: Modes, state: State) -> Evidence:
        return evidence(problem, modes, state)

    return once_if(over | matters, look, none, lane.modes, lane.state)


def verdict(found: Evidence, settings: Settings):
    """The status that the evidence supports."""
    certain = jnp.where(found.fitted, Status.interpolated, Status.stationary)
    at_rest = (found.force <= settings.rtol) & (found.residual > settings.rtol)
    other = jnp.where(at_rest, Status.stationary, Status.moving)
    return jnp.where(found.certified, certain, other)
