"""The legs of a run, from one stop to the next: closed forms, the solver, the last approach."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.compilation import program
from jaxflow.flow.approach import approach, approach_bound
from jaxflow.flow.branching import once_if
from jaxflow.flow.coordinates import restore_invariants
from jaxflow.flow.decoupled import decoupled_flow, is_decoupled
from jaxflow.flow.feedback import feedback_flow, log_effect_at_once
from jaxflow.flow.field import outputs, residual, seen_residual
from jaxflow.flow.flight import Flight
from jaxflow.flow.frozen import allows, frozen_flow
from jaxflow.flow.lane import Lane, Record
from jaxflow.flow.noting import next_stop, note
from jaxflow.flow.problem import Problem
from jaxflow.flow.settings import Settings
from jaxflow.flow.stepping import attempt_step

WORTHWHILE = 4
"""Freeze the residual only where that covers this many steps of the solver; look as often."""
FITTED = 0.25
"""Share of the tolerance down to which residuals are followed when the end is sought."""
ROUNDING = 1e-15
"""Residuals this small beside the labels are rounding."""
PLATEAU = 1e-3
"""Residuals or outputs this small beside the labels may belong to a plateau."""
EARLY = 1e-6
"""Outputs this small, relative to the labels, leave all data on the first plateau."""


def pairs_in_leg(problem, settings, ts, carry, implicit=None) -> int:
    """Number of pairs of a neuron and a datum in a leg."""
    lane, _ = carry
    return lane.modes.active.size


@program(pairs_in_leg)
def closed_form_leg(problem, settings, ts, carry):
    """Closed forms from one stop to the next, until the bounds forbid all of them.

    Here the start of a run is noted, if it is one: nothing flies in the first turn.
    """
    if not settings.closed_form:
        return typed(note(problem, settings, ts, carry))

    def wanted(items):
        (lane, _), flies = items
        return ~flies | (lane.running & ~lane.thawed)

    def glide(items):
        (lane, record), flies = items
        stop = next_stop(settings, ts, record)
        lane, again = _closed_form_piece(problem, settings, lane, stop, record.seeking, flies)
        lane = replace(lane, thawed=jnp.where(flies, (lane.t < stop) & ~again, lane.thawed))
        return note(problem, settings, ts, (lane, record)), jnp.array(True)

    return typed(jax.lax.while_loop(wanted, glide, (carry, jnp.array(False)))[0])


def _closed_form_piece(problem, settings, lane: Lane, stop, seeking, flies: Bool[Array, ""]):
    """The closed form that serves, and whether to go on with another one before `stop`.

    Pieces of frozen residual must not be strung together, each with an error of its own.
    """
    if lane.modes.slide is not None:
        frozen = partial(_frozen_piece, problem, settings, stop)
        return once_if(flies, frozen, lane), jnp.array(False)
    coupled, early = ~is_decoupled(lane.modes), _is_early(problem, lane)
    effect = log_effect_at_once(problem, lane.modes, lane.state)
    matters = early & (effect >= jnp.log(settings.frozen_tolerance))
    start, decoupled = lane.t, partial(_decoupled_piece, problem, settings, stop, seeking)
    lane = once_if(flies & ~coupled, decoupled, lane)
    waits, served = flies & (lane.t == start), lane.t > start
    lane = once_if(waits & ~matters, partial(_frozen_piece, problem, settings, stop), lane)
    start, feedback = lane.t, partial(_feedback_piece, problem, settings, stop)
    lane = once_if(waits & early & (lane.t < stop), feedback, lane)
    return lane, (lane.t > start) | (is_decoupled(lane.modes) & (served | coupled))


def _is_early(problem: Problem, lane: Lane) -> Bool[Array, ""]:
    """Whether this is the first plateau, where no datum is fitted and all outputs are small."""
    h = outputs(problem, lane.modes, lane.state)
    return jnp.all(jnp.abs(h) <= EARLY * problem.largest_label(lane.state))


def _frozen_piece(problem, settings, stop, lane: Lane) -> Lane:
    r = frozen_residual(problem, settings, lane)
    tolerance = settings.frozen_tolerance
    end, flight = frozen_flow(
        problem, lane.modes, lane.state, lane.log, lane.balance, r, lane.t, stop, tolerance
    )
    return _flown(lane, end, flight)


def _feedback_piece(problem, settings, stop, lane: Lane) -> Lane:
    """On the first plateau only."""
    tolerance, mesh = settings.frozen_tolerance, settings.mesh
    end, flight = feedback_flow(
        problem, lane.modes, lane.state, lane.log, lane.balance, lane.t, stop, tolerance, mesh
    )
    return _flown(lane, end, flight)


def _decoupled_piece(problem, settings, stop, seeking, lane: Lane) -> Lane:
    """Where every neuron sees a single datum at most; to the fit, if the end is sought."""
    sought = jnp.where(seeking, FITTED * settings.rtol, 0.0)
    bounds = (settings.frozen_tolerance, sought, settings.mesh)
    end, flight = decoupled_flow(
        problem, lane.modes, lane.state, lane.log, lane.balance, lane.t, stop, *bounds
    )
    return _flown(lane, end, flight)


def _flown(lane: Lane, end, flight: Flight) -> Lane:
    """The lane after a leg in closed form, which counts if it came anywhere."""
    counts = replace(lane.counts, frozen=lane.counts.frozen + (end > lane.t))
    return replace(
        lane, t=end, state=flight.state, modes=flight.modes, log=flight.log, counts=counts
    )


@program(pairs_in_leg)
def solver_leg(problem, settings, ts, carry, implicit: Bool[Array, ""] | None = None):
    """Steps of the solver until a closed form serves for a worthwhile time.

    With `implicit`, only as long as they are implicit ones, or are not.
    """

    def wanted(carry):
        lane, _ = carry
        mine = ~lane.quiet if implicit is None else ~lane.quiet & (lane.stiff == implicit)
        return lane.running & (lane.thawed | (not settings.closed_form)) & mine

    def step(carry):
        lane, record = carry
        flies = wanted(carry)
        lane = attempt_step(problem, settings, lane, next_stop(settings, ts, record), flies)
        now = flies & (lane.counts.attempted % WORTHWHILE == 0)
        lane, record = note(problem, settings, ts, (lane, record), now)
        calm = _calm(problem, settings, lane, now)
        return replace(lane, thawed=~calm | lane.landing.on), record

    return typed(jax.lax.while_loop(wanted, step, carry))


def _calm(problem, settings, lane: Lane, now):
    """Whether a closed form serves, which is looked at `now` and then on orthogonal inputs only."""
    if not settings.closed_form or lane.modes.slide is not None:
        return jnp.array(False)

    def look(_, lane: Lane):
        return serves(problem, settings, lane) | approaches(problem, settings, lane)

    return once_if(now, look, jnp.array(False), lane)


def serves(problem: Problem, settings: Settings, lane: Lane) -> Bool[Array, ""]:
    """Whether a closed form serves on orthogonal inputs for as long as it is worth it.

    That of the last approach is another matter: see `approaches`.
    """

    def allowed(_, lane: Lane):
        r = frozen_residual(problem, settings, lane)
        duration = WORTHWHILE * lane.step
        return allows(problem, lane.modes, lane.state, r, duration, settings.frozen_tolerance)

    calm = once_if(is_plateau(problem, lane), allowed, jnp.array(False), lane)
    return calm | is_decoupled(lane.modes)


def is_plateau(problem, lane: Lane) -> Bool[Array, ""]:
    """Whether every datum is as good as fitted or still at its label.

    On orthogonal inputs no residual can be frozen elsewhere: a neuron of some size is at rest only
    where all data that it sees are fitted.
    """
    h = outputs(problem, lane.modes, lane.state)
    away = jnp.minimum(jnp.abs(problem.y - h), jnp.abs(h))
    return jnp.all(away <= PLATEAU * problem.largest_label(lane.state))


@program(pairs_in_leg)
def approach_leg(problem, settings, ts, carry):
    """The last approach to the limit, from one stop to the next, where its bound allows it."""
    if not has_approach(problem, settings):
        return typed(carry)

    def wanted(items):
        (lane, _), onward = items
        return lane.running & onward & approaches(problem, settings, lane)

    def glide(items):
        (lane, record), _ = items
        moved = approach_piece(problem, settings, next_stop(settings, ts, record), record, lane)
        return note(problem, settings, ts, (moved, record)), moved.t > lane.t

    return typed(jax.lax.while_loop(wanted, glide, (carry, jnp.array(True)))[0])


def has_approach(problem: Problem, settings: Settings) -> bool:
    """Whether there is a closed form of the last approach: for orthogonal inputs."""
    return problem.span.orthogonal and settings.closed_form


def approaches(problem, settings, lane: Lane) -> Bool[Array, ""]:
    """Whether the last approach has begun; where the data decouple there is something better."""
    tolerance = settings.approach_tolerance
    within = approach_bound(problem, lane.modes, lane.state, tolerance) <= tolerance
    return within & ~lane.landing.on & ~is_decoupled(lane.modes)


def approach_piece(problem, settings, stop, record: Record, lane: Lane) -> Lane:
    """To the stop, or, if the end is sought, to the fit and from there on by powers of ten."""
    r = jnp.linalg.norm(seen_residual(problem, lane.modes, lane.state))
    size = problem.norm_of_labels(lane.state)
    sought = jnp.minimum(FITTED * settings.rtol * size, 0.1 * r)
    sought = jnp.where(record.seeking & (sought > ROUNDING * size), sought, 0.0)
    left = stop - lane.t
    span, state = approach(problem, lane.modes, lane.state, lane.balance, left, sought)
    counts = replace(lane.counts, frozen=lane.counts.frozen + 1)
    t = jnp.where(span < left, lane.t + span, stop)
    return replace(lane, t=t, state=restore_invariants(state, lane.balance), counts=counts)


def frozen_residual(problem: Problem, settings: Settings, lane: Lane) -> Float[Array, " n"]:
    """The residual as it would be frozen: zero where a datum is fitted to within the tolerance.

    A fitted residual decays at a rate of the order of |y_k| ‖x_k‖/n, so that neglecting it costs
    |r_k|/|y_k|, whatever the time. A zero label is measured by the largest one.
    """
    r = residual(problem, lane.modes, lane.state)
    size = jnp.abs(problem.y)
    level = settings.rtol * jnp.where(size > 0, size, jnp.max(size))
    return jnp.where(jnp.abs(r) <= level, 0.0, r)


def typed(carry):
    """All numbers of definite types, as after any leg; else the next would be compiled anew."""
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), carry)
