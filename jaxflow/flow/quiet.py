"""Steps of runs on orthogonal inputs in which no pair changes its mode.

Where the signs have come apart (see `sides`), and in most runs after the early phase, pairs hardly
ever die any more: one can only where its datum has been pulled past its label by others. Steps need
not be ready for that. A step in which a margin may cross zero is not taken: the run is not quiet
any longer, and `solver_leg` goes on.

Several steps make a round, in which neurons are measured in units of their size at its start. At
its end the invariants are restored, and it is looked at whether a closed form serves or the run is
over.
"""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow.compilation import program
from jaxflow.flow.activation import Modes
from jaxflow.flow.attempt import longer_and_shorter, orthogonal_attempt
from jaxflow.flow.branching import once_if
from jaxflow.flow.coordinates import directions, log_norms
from jaxflow.flow.crossing import may_cross
from jaxflow.flow.decoupled import is_decoupled
from jaxflow.flow.lane import Counts, Lane, Record
from jaxflow.flow.legs import (
    WORTHWHILE,
    approach_piece,
    approaches,
    is_plateau,
    pairs_in_leg,
    serves,
    typed,
)
from jaxflow.flow.noting import next_stop, note
from jaxflow.flow.orthogonal_step import Rows, own_norm
from jaxflow.flow.outcome import count
from jaxflow.flow.problem import Problem
from jaxflow.flow.settings import Settings
from jaxflow.flow.status import Status
from jaxflow.flow.stepping import give_up, smallest_step, tidied


class _Way(eqx.Module):
    """How far a run has come within a round: what of a lane changes, and its neurons' â and p̂."""

    z: Rows
    t: Float[Array, ""]
    step: Float[Array, ""]
    counts: Counts
    status: Int[Array, ""]
    quiet: Bool[Array, ""]


def quiet_leg(problem: Problem, settings: Settings, ts, carry: tuple[Lane, Record]):
    """Rounds until a closed form serves, the run is not quiet any more, or it is over.

    The end is sought: there is no save time on the way.
    """

    def wanted(carry):
        lane, _ = carry
        return lane.running & lane.thawed & lane.quiet

    def round_(carry):
        flies, (lane, record) = wanted(carry), carry
        return _judged(problem, settings, ts, _round(problem, settings, lane), record, flies)[0]

    return typed(jax.lax.while_loop(wanted, round_, carry))


@program(pairs_in_leg)
def judging_leg(problem: Problem, settings: Settings, ts, carry: tuple[Lane, Record]):
    """The last approach, where it has begun; else whether a closed form serves or it is over.

    Nothing is approached in the first turn, so that all of it stands in the program once.
    """
    flies = carry[0].running & carry[0].thawed

    def turn(items):
        (lane, record), near, _ = items
        stop, start = next_stop(settings, ts, record), lane.t
        approached = partial(approach_piece, problem, settings, stop, record)
        lane = once_if(near, approached, lane)
        carry, closer = _judged(problem, settings, ts, lane, record, flies)
        moved = ~near | (lane.t > start)
        return carry, closer, flies & carry[0].running & closer & moved

    no = jnp.array(False)
    carry, *_ = jax.lax.while_loop(lambda items: items[-1], turn, (carry, no, flies))
    return typed(carry)


def _round(problem: Problem, settings: Settings, lane: Lane) -> Lane:
    """As many steps as there are between two looks."""
    rho = log_norms(lane.state)
    way = _Way(directions(lane.state), lane.t, lane.step, lane.counts, lane.status, lane.quiet)
    turn = partial(_turn, problem, settings, lane.modes, rho)
    way = jax.lax.fori_loop(0, WORTHWHILE, lambda _, way: turn(way), way)
    lane = replace(
        lane,
        t=way.t,
        state=tidied(lane, rho, way.z, own_norm(way.z)),
        step=way.step,
        counts=way.counts,
        status=way.status,
        quiet=way.quiet,
    )
    return give_up(settings, lane)


def _turn(problem: Problem, settings: Settings, modes: Modes, rho, way: _Way) -> _Way:
    """Try a step, and take it if its error is in tolerance and no margin may cross zero."""
    stop, running = settings.horizon, way.status == Status.running
    flies = running & way.quiet & (way.t < stop) & (way.counts.attempted < settings.max_steps)
    length = jnp.minimum(way.step, stop - way.t)
    attempt = orthogonal_attempt(problem, settings, modes, rho, way.z, length)
    crosses = jnp.any(may_cross(*attempt.course, attempt.noise * attempt.unit))
    within = attempt.error <= 1
    good, bad = flies & within & ~crosses, flies & ~within
    longer, shorter = longer_and_shorter(attempt)
    cut = length >= stop - way.t
    kept = jnp.where(cut, jnp.maximum(longer, way.step), longer)
    stuck = bad & (length <= smallest_step(way.t))
    return _Way(
        z=jnp.where(good, jnp.maximum(attempt.step.end, _floor(problem.n)), way.z),
        t=jnp.where(good, jnp.where(cut, stop, way.t + length), way.t),
        step=jnp.where(good, kept, jnp.where(bad, shorter, way.step)),
        counts=count(way.counts, accepted=good, rejected=bad),
        status=jnp.where(stuck, Status.step_underflow, way.status),
        quiet=way.quiet & ~(flies & within & crosses),
    )


def _floor(n: int) -> Float[np.ndarray, "n+1 1"]:
    """Least values of the rows: coordinates that are not told from zero are zero, see `tidied`."""
    return np.array([-np.inf, *np.zeros(n)])[:, None]


def _judged(problem, settings, ts, lane: Lane, record: Record, flies: Bool[Array, ""]):
    """Lane and record with what is noted and whether a closed form serves; whether it is near."""

    def judged(value, lane: Lane):
        noted, record = note(problem, settings, ts, (lane, value[-1]))
        near = approaches(problem, settings, noted)
        return noted.status, near | serves(problem, settings, noted), near, record

    no = jnp.array(False)
    may_serve = is_plateau(problem, lane) | is_decoupled(lane.modes)
    matters = flies & (may_serve | (lane.t >= next_stop(settings, ts, record)))
    unknown = lane.status, no, no, record
    status, calm, near, record = once_if(matters, judged, unknown, lane)
    lane = replace(lane, status=status, thawed=jnp.where(flies, ~calm, lane.thawed))
    return (lane, record), near
