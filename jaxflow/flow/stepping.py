"""One attempted step of the solver: accepted, rejected, or cut to end at a change of mode."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import Modes, along_boundaries
from jaxflow.flow.attempt import (
    CLEAN,
    Attempt,
    known_residual,
    longer_and_shorter,
    try_step,
)
from jaxflow.flow.branching import once_if
from jaxflow.flow.coordinates import (
    State,
    assemble,
    hidden_parts,
    log_norms,
    output_parts,
    restore_invariants,
)
from jaxflow.flow.crossing import may_cross
from jaxflow.flow.landing import meet
from jaxflow.flow.lane import Lane, not_landing
from jaxflow.flow.orthogonal_step import Rows, in_own_units
from jaxflow.flow.outcome import Outcome, count, moved, outcome_of
from jaxflow.flow.problem import Problem
from jaxflow.flow.rows import sum_of_rows
from jaxflow.flow.settings import Settings
from jaxflow.flow.status import Status
from jaxflow.flow.switching import switch_modes
from jaxflow.modes import codes

STABLE = 1.5
"""Product of step and rate from which on an explicit step may be held up by the fastest fit."""
LEAP, WORTH = 30.0, 60.0
"""By how much the first implicit step is longer, and the product from which on they are worth their
work: such a step takes as long as some five explicit ones of few neurons, and more of many."""
FIRST_LOOK = 32
"""Accepted steps after which it is looked at whether implicit ones would be longer. Where they
prove not to be, it is looked at again after twice as many."""


def attempt_step(
    problem: Problem, settings: Settings, lane: Lane, stop, flies: Bool[Array, ""]
) -> Lane:
    """Try one step and carry out what follows from it.

    In a batch a lane that no longer `flies` goes through the motions: it must not keep the others.
    """
    attempt = jax.lax.optimization_barrier(try_step(problem, settings, lane, stop, flies))
    good = attempt.error <= 1
    plain = _accepted_or_rejected(problem, lane, attempt, stop, good)
    crossing = may_cross(*attempt.course, attempt.noise * attempt.unit)
    eventful = flies & good & (lane.landing.on | jnp.any(crossing))
    met = partial(meet, problem, settings, stop)
    outcome = once_if(eventful, met, plain, lane, attempt)
    if lane.modes.slide is not None:
        outcome = _method_for_the_next(lane, attempt, outcome, good)
    return give_up(settings, _carried_out(problem, lane, outcome))


def _method_for_the_next(lane: Lane, attempt: Attempt, outcome: Outcome, good):
    """Implicit steps where the fastest fit holds up explicit ones; back where they are short."""
    free, accepted = ~outcome.landing.on, outcome.counts.accepted
    look = good & (accepted >= lane.look) & ~lane.stiff & free
    leaps = look & (attempt.rate * attempt.length >= STABLE)
    short = lane.stiff & free & (outcome.step * attempt.rate < WORTH)
    step = jnp.where(leaps, LEAP * outcome.step, outcome.step)
    step = jnp.where(short, jnp.minimum(step, CLEAN / jnp.maximum(attempt.rate, 1e-300)), step)
    again = jnp.where(short, 2 * accepted, accepted + FIRST_LOOK)
    return replace(
        outcome,
        stiff=(lane.stiff | leaps) & ~short,
        step=step,
        look=jnp.where(look | short, again, lane.look),
    )


def _carried_out(problem: Problem, lane: Lane, outcome: Outcome) -> Lane:
    """The lane after a tried step; what is large in it is touched at changes of mode only."""

    def switched(lane: Lane) -> Lane:
        r = None if lane.r is None else known_residual(problem, lane)
        state, modes, log = switch_modes(
            problem, lane.modes, lane.log, lane.state, r, lane.t, outcome.hit
        )
        return replace(lane, state=restore_invariants(state, lane.balance), modes=modes, log=log)

    return once_if(jnp.any(outcome.hit), switched, moved(lane, outcome))


def _accepted_or_rejected(problem: Problem, lane: Lane, attempt: Attempt, stop, good) -> Outcome:
    """The end of a good step; of any other the start, from where to try a shorter one."""
    length, (longer, shorter) = attempt.length, longer_and_shorter(attempt)
    cut = (length >= stop - lane.t) & ~lane.landing.on
    kept = jnp.where(cut | lane.landing.on, jnp.maximum(longer, lane.step), longer)
    stuck = ~good & (length <= smallest_step(lane.t))
    return outcome_of(
        lane,
        attempt,
        t=jnp.where(good, jnp.where(cut, stop, lane.t + length), lane.t),
        state=jnp.where(good, _tidy(problem, lane, attempt), lane.state),
        r=None if lane.r is None else jnp.where(good, attempt.step.r, lane.r),
        step=jnp.where(good, kept, shorter),
        landing=not_landing(),
        counts=count(lane.counts, accepted=good, rejected=~good),
        status=jnp.where(stuck, Status.step_underflow, lane.status),
    )


def _tidy(problem: Problem, lane: Lane, attempt: Attempt) -> State:
    """The end of a step with what is known to hold: sliding, invariants, signs."""
    if lane.modes.slide is None:
        return tidied(lane, log_norms(lane.state), attempt.step.end, attempt.unit)
    end = attempt.step.end
    omega = along_boundaries(problem, lane.modes, end.omega)
    return restore_invariants(assemble(end.rho, end.eta, omega), lane.balance)


def tidied(lane: Lane, rho, z: Rows, unit) -> State:
    """Orthogonal inputs: the state of neurons exp(ρ_j) z_j, of norm `unit`, invariants restored."""
    state = restore_invariants(in_own_units(rho, z, unit), lane.balance)
    return _not_below_zero(lane.modes, state)


def _not_below_zero(modes: Modes, state: State) -> State:
    """Orthogonal inputs: active coordinates that the tolerance does not tell from zero are zero.

    A datum that is fitted while the neuron still grows leaves a coordinate behind that decays like
    exp(−Gt) beside the others, and an explicit method may overshoot zero. Such a pair is alive: it
    dies when it is pushed below zero by more than the tolerance.
    """
    omega = hidden_parts(state)
    omega = jnp.where(modes.active, jnp.maximum(omega, 0.0), omega)
    return assemble(log_norms(state), output_parts(state), omega)


def smallest_step(t: Float[Array, ""]) -> Float[Array, ""]:
    """The length below which a step does not lead on from the time t."""
    return 4 * jnp.finfo(jnp.float64).eps * t


def give_up(settings: Settings, lane: Lane) -> Lane:
    """The lane, which ends where it has no steps or no room for events left, or broke down."""
    over = lane.counts.attempted >= settings.max_steps
    broken = ~jnp.isfinite(jnp.sum(sum_of_rows(lane.state)))
    status = jnp.where(lane.running & over, Status.step_limit, lane.status)
    status = jnp.where(lane.running & lane.log.overflown, Status.event_limit, status)
    unsolved = (lane.modes.reports & codes.FAILED) != 0
    status = jnp.where(lane.running & unsolved, Status.choice_not_solved, status)
    return replace(lane, status=jnp.where(broken, Status.not_finite, status))
