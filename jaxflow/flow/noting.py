"""What is noted after every leg and step: states at save times, and whether the run is over."""

from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.flow.activation import Modes, driving_force
from jaxflow.flow.branching import once_if
from jaxflow.flow.coordinates import State
from jaxflow.flow.ending import Evidence, evidence
from jaxflow.flow.field import residual, seen_residual
from jaxflow.flow.lane import Lane, Record
from jaxflow.flow.settings import Settings
from jaxflow.flow.status import Status

UNREACHED = -1
"""Mode at save times that a run does not come to; the states there are NaN."""


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


def next_stop(settings, ts, record: Record):
    """The next save time, or the horizon when the end is sought."""
    if ts.shape[0] == 0:
        return settings.horizon
    save = ts[jnp.minimum(record.saved, ts.shape[0] - 1)]
    return jnp.where(record.seeking, settings.horizon, save)


def note(problem, settings, ts, carry, ends: bool | Bool[Array, ""] = True):
    """Record the state at a save time, and end the run where there is reason to.

    On orthogonal inputs whether there is one before its last time is asked only if it `ends`.
    """
    lane, record = carry
    record = _recorded(ts, lane, record) if ts.shape[0] else record
    over = jnp.where(record.seeking, lane.t >= settings.horizon, record.saved == ts.shape[0])
    found = _evidence_when_needed(problem, settings, lane, over, ends)
    done = over | (found.settled(settings.rtol) & record.seeking)
    status = jnp.where(lane.running & done, verdict(found, settings), lane.status)
    return replace(lane, status=status), record


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


def _evidence_when_needed(problem, settings, lane: Lane, over, ends) -> Evidence:
    """Evidence, computed only where it can matter: at the end, and at small residuals or forces."""
    if lane.modes.slide is None:

        def is_small(_, modes: Modes, state: State):
            size = settings.rtol * problem.norm_of_labels(state)
            return jnp.linalg.norm(seen_residual(problem, modes, state)) <= size

        ask = jnp.asarray(ends)
        matters = once_if(ask, is_small, jnp.array(False), lane.modes, lane.state)
    else:
        r = residual(problem, lane.modes, lane.state)
        force = driving_force(problem, lane.modes, r)
        slow = jnp.max(jnp.abs(force)) <= settings.rtol * problem.largest_label(lane.state)
        matters = slow | (jnp.linalg.norm(r) <= settings.rtol * problem.norm_of_labels(lane.state))
    unknown, no = jnp.array(jnp.inf), jnp.array(False)
    none = Evidence(unknown, no, residual=unknown, force=unknown, positive=no)

    def look(_, modes: Modes, state: State) -> Evidence:
        return evidence(problem, modes, state)

    wanted = lane.running & (over | matters)
    return once_if(wanted, look, none, lane.modes, lane.state)


def verdict(found: Evidence, settings: Settings):
    """The status that the evidence supports."""
    certain = jnp.where(found.fitted, Status.interpolated, Status.stationary)
    at_rest = found.at_rest(settings.rtol) & ((found.residual > settings.rtol) | ~found.fitted)
    other = jnp.where(at_rest, Status.stationary, Status.moving)
    return jnp.where(found.certified, certain, other)
