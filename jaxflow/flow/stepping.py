"""One attempted step of the solver: accepted, rejected, or cut to end at a change of mode."""

from dataclasses import fields, replace
from operator import itemgetter

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.flow.activation import Modes, along_boundaries, margins
from jaxflow.flow.branching import once_if
from jaxflow.flow.coordinates import (
    Columns,
    State,
    assemble,
    hidden_parts,
    log_norms,
    output_parts,
    restore_invariants,
)
from jaxflow.flow.crossing import ROUGH, first_crossing, polished
from jaxflow.flow.field import (
    field_in_columns,
    margins_and_slopes,
    residual,
    tangent_kernel,
)
from jaxflow.flow.lane import Counts, Landing, Lane, not_landing
from jaxflow.flow.problem import Problem
from jaxflow.flow.settings import Settings
from jaxflow.flow.stages import runge_kutta_step
from jaxflow.flow.status import Status
from jaxflow.flow.switching import switch_modes
from jaxflow.modes import codes

SAFETY, LEAST, MOST = 0.9, 0.2, 5.0
"""Step-size control after Hairer, Nørsett and Wanner, Solving ODEs I, II.4."""
NEWTON_ACCEPTS = 1e-7
"""An event is met when Newton's correction is below this share of the step: the correction is then
applied by the solver's dense output, with an error of its square times the interpolation error."""
ROUNDING = 4e-16
"""A margin of a normalised neuron is zero to rounding."""
CROSSED = 1e-14
"""On general inputs a margin that falls by less than this within a step has not crossed zero."""
FORGIVEN = 1e-12
"""A margin at most this far below zero at the start of a step counts from there: the pair was
settled there, at an event that is located to rounding."""
LANDING_TRIES = 200
HALVED_EVERY = 3
"""How often the bracket of a crossing is halved whatever Newton's method says: a pair that dips
below zero and returns holds up the pursuit of another one."""
CLEAN = 3.0
"""Product of step and rate up to which the method damps a decay much as the flow does: the
stability function of Dormand-Prince 8(7) at −3 is 0.047, where exp(−3) = 0.050."""


class Attempt(eqx.Module):
    """A tried step: its length and end, margins and slopes (per step) at both ends, the error."""

    length: Float[Array, ""]
    end: State
    margins: tuple[Float[Array, "m p"], Float[Array, "m p"]]
    slopes: tuple[Float[Array, "m p"], Float[Array, "m p"]]
    error: Float[Array, ""]
    dense: dict


class Outcome(eqx.Module):
    """What a tried step makes of a lane, and the margins that are zero at its end."""

    t: Float[Array, ""]
    state: State
    step: Float[Array, ""]
    landing: Landing
    counts: Counts
    status: Int[Array, ""]
    hit: Bool[Array, "m p"]


def attempt_step(problem: Problem, settings: Settings, lane: Lane, stop) -> Lane:
    """Try one step and carry out what follows from it."""
    attempt = _try(problem, settings, lane, stop)
    good = attempt.error <= 1
    theta = first_crossing(*_interleaved(attempt), _noise(settings, lane), ROUGH)
    attempt, theta = jax.lax.optimization_barrier((attempt, theta))
    crosses = jnp.any(jnp.isfinite(theta))
    what = jnp.where(~good, 0, jnp.where(lane.landing.on, 3, jnp.where(crosses, 2, 1)))
    outcomes = [
        lambda: _reject(lane, attempt),
        lambda: _accept(problem, lane, attempt, stop),
        lambda: _aim(problem, settings, lane, attempt, theta),
        lambda: _land(problem, settings, lane, attempt, stop),
    ]
    outcome = jax.lax.switch(what, outcomes)
    return _give_up(settings, _carried_out(problem, lane, outcome))


def _carried_out(problem: Problem, lane: Lane, outcome: Outcome) -> Lane:
    """The lane after a tried step; what is large in it is touched at changes of mode only."""
    moved = {f.name: getattr(outcome, f.name) for f in fields(outcome) if f.name != "hit"}

    def switched(lane: Lane) -> Lane:
        state, modes, log = switch_modes(
            problem, lane.modes, lane.log, lane.state, lane.t, outcome.hit
        )
        return replace(lane, state=restore_invariants(state, lane.balance), modes=modes, log=log)

    return once_if(jnp.any(outcome.hit), switched, replace(lane, **moved))


def _try(problem: Problem, settings: Settings, lane: Lane, stop) -> Attempt:
    length = jnp.minimum(lane.step, stop - lane.t)
    if lane.modes.slide is not None:
        length = jnp.minimum(length, _stable_length(problem, settings, lane))
    length = jnp.where(lane.landing.on, lane.landing.step, length)
    end, error, dense = _step(problem, settings, lane, length)
    error = jnp.max(jnp.stack([jnp.max(jnp.abs(e)) for e in jax.tree.leaves(error)]))
    error = error / settings.rtol
    error = jnp.where(jnp.all(jnp.isfinite(end)) & ~jnp.isnan(error), error, jnp.inf)
    first, last = (jax.tree.map(itemgetter(i), dense["k"]).state for i in (0, -1))
    g0, slope0 = margins_and_slopes(problem, lane.modes, lane.state, first)
    g1, slope1 = margins_and_slopes(problem, lane.modes, end, last)
    below = jnp.clip(g0, -FORGIVEN, 0.0) if lane.modes.slide is not None else 0.0
    return Attempt(length, end, (g0 - below, g1 - below), (slope0, slope1), error, dense)


def _step(problem: Problem, settings: Settings, lane: Lane, length):
    """The end of a step of the solver, its error, and what its dense output takes."""
    start, field = Columns.of(lane.state), field_in_columns(problem, lane.modes)
    end, error, slopes = runge_kutta_step(settings.solver, field, start, length)
    return end.state, error, {"y0": start, "y1": end, "k": slopes}


def _stable_length(problem: Problem, settings: Settings, lane: Lane):
    """The longest step in which the fastest fit still decays cleanly, once residuals are small.

    An explicit method at its stability limit keeps residuals hovering at the level of the
    tolerance. That is harmless as long as they are large; below √rtol it would drown the ratios of
    residuals on which sliding depends. ‖K‖_F/n bounds the rate of every fit.
    """
    r = residual(problem, lane.modes, lane.state)
    small = jnp.linalg.norm(r) <= jnp.sqrt(settings.rtol) * jnp.linalg.norm(problem.y)

    def clean(_):
        rate = jnp.linalg.norm(tangent_kernel(problem, lane.modes, lane.state)) / problem.n
        return CLEAN / jnp.maximum(rate, 1e-300)

    return once_if(small, clean, jnp.array(jnp.inf))


def _interleaved(attempt: Attempt):
    (g0, g1), (slope0, slope1) = attempt.margins, attempt.slopes
    return g0, slope0, g1, slope1


def _outcome(lane: Lane, attempt: Attempt, **changes) -> Outcome:
    """The lane as it was but for the changes."""
    kept = {f.name: getattr(lane, f.name) for f in fields(Outcome) if f.name != "hit"}
    return Outcome(**({"hit": jnp.zeros(attempt.margins[0].shape, dtype=bool)} | kept | changes))


def _reject(lane: Lane, attempt: Attempt) -> Outcome:
    finite = jnp.isfinite(attempt.error)
    shrink = jnp.where(finite, jnp.maximum(SAFETY * _growth(attempt.error), LEAST), 0.1)
    smallest = 4 * jnp.finfo(jnp.float64).eps * lane.t
    return _outcome(
        lane,
        attempt,
        step=attempt.length * jnp.minimum(shrink, 0.95),
        landing=not_landing(),
        counts=_count(lane.counts, rejected=1),
        status=jnp.where(attempt.length <= smallest, Status.step_underflow, lane.status),
    )


def _accept(problem: Problem, lane: Lane, attempt: Attempt, stop) -> Outcome:
    proposed = attempt.length * jnp.clip(SAFETY * _growth(attempt.error), LEAST, MOST)
    cut = (attempt.length >= stop - lane.t) & ~lane.landing.on
    return _outcome(
        lane,
        attempt,
        t=jnp.where(cut, stop, lane.t + attempt.length),
        state=_tidy(problem, lane, attempt.end),
        step=jnp.where(cut | lane.landing.on, jnp.maximum(proposed, lane.step), proposed),
        landing=not_landing(),
        counts=_count(lane.counts, accepted=1),
    )


def _tidy(problem: Problem, lane: Lane, state: State) -> State:
    """The end of a step with what is known to hold: sliding, invariants, signs."""
    omega = along_boundaries(problem, lane.modes, hidden_parts(state))
    state = assemble(log_norms(state), output_parts(state), omega)
    return _not_below_zero(lane.modes, restore_invariants(state, lane.balance))


def _not_below_zero(modes: Modes, state: State) -> State:
    """Orthogonal inputs: active coordinates that the tolerance does not tell from zero are zero.

    A datum that is fitted while the neuron still grows leaves a coordinate behind that decays like
    exp(−Gt) beside the others, and an explicit method may overshoot zero. Such a pair is alive: it
    dies when it is pushed below zero by more than the tolerance.
    """
    if modes.slide is not None:
        return state
    omega = hidden_parts(state)
    omega = jnp.where(modes.active, jnp.maximum(omega, 0.0), omega)
    return assemble(log_norms(state), output_parts(state), omega)


def _noise(settings: Settings, lane: Lane):
    """How far below zero a margin must be to have crossed.

    Orthogonal inputs: the tolerance, see `_not_below_zero`. In general little more than rounding,
    as a crossing that is passed over would be an error of first order.
    """
    return settings.rtol if lane.modes.slide is None else CROSSED


def _aim(problem: Problem, settings: Settings, lane: Lane, attempt: Attempt, theta) -> Outcome:
    """Repeat the step up to the earliest crossing, which the dense output tells well."""
    pair = jnp.argmin(theta)
    course = [values.reshape(-1)[pair] for values in _interleaved(attempt)]
    first = first_crossing(*course, _noise(settings, lane))
    margin = _margin_inside(problem, settings, lane, attempt, pair)
    first = polished(margin, course, first)
    length = jnp.maximum(first * attempt.length, 1e-200)
    crossed = jnp.any(attempt.margins[1] < -_noise(settings, lane))
    high = jnp.where(crossed, attempt.length, jnp.inf)
    landing = Landing(jnp.array(True), length, jnp.zeros(()), high, pair, jnp.array(0))
    return _outcome(lane, attempt, landing=landing, counts=_count(lane.counts, landings=1))


def _margin_inside(problem: Problem, settings: Settings, lane: Lane, attempt: Attempt, pair):
    """The margin of a pair along the dense output, a function of the fraction of the step."""
    dense, interpolation = attempt.dense, settings.solver.interpolation_cls
    if lane.modes.slide is not None:
        course = interpolation(t0=jnp.zeros(()), t1=jnp.ones(()), **dense)

        def general(fraction):
            state = course.evaluate(fraction).state
            r = residual(problem, lane.modes, state)
            return margins(problem, lane.modes, state, r).reshape(-1)[pair]

        return general
    j, k = jnp.divmod(pair, problem.n)
    own = jax.tree.map(lambda leaf: leaf[..., k, j], {name: z.omega for name, z in dense.items()})
    return interpolation(t0=jnp.zeros(()), t1=jnp.ones(()), **own).evaluate


def _land(problem: Problem, settings: Settings, lane: Lane, attempt: Attempt, stop) -> Outcome:
    """Bracketed Newton iteration for the end of the step; at convergence, the change of mode.

    The earliest of all crossings is pursued: a pair found below zero takes over from the one that
    was aimed at. Where Newton's method leaves the bracket, and now and then, it is halved. If it
    turns out that there is no crossing, the step is as good as any.
    """
    length = attempt.length
    g, slope = attempt.margins[1], attempt.slopes[1] / length
    passed = g < -_noise(settings, lane)
    low = jnp.where(jnp.any(passed), lane.landing.low, length)
    high = jnp.where(jnp.any(passed), length, lane.landing.high)
    aimed = (jnp.arange(g.size) == lane.landing.pair).reshape(g.shape)
    pursued = (aimed | passed) & (slope < 0)
    correction = jnp.where(pursued, -g / jnp.where(slope < 0, slope, -1.0), jnp.inf)
    pair = jnp.argmin(correction)
    shift = correction.reshape(-1)[pair]
    smallest = 4 * jnp.finfo(jnp.float64).eps * lane.t
    close = jnp.abs(shift) <= jnp.maximum(NEWTON_ACCEPTS * length, smallest)
    at_start = (length <= smallest) & jnp.any(aimed & (g <= 0) & (slope < 0))
    shift = jnp.where(at_start, 0.0, shift)
    pair = jnp.where(at_start, lane.landing.pair, pair)
    met = (close & ~jnp.any(passed & (slope >= 0))) | at_start
    narrow = ~met & (high - low <= smallest)
    pair = jnp.where(narrow, jnp.argmin(g), pair)
    shift = jnp.where(narrow, 0.0, shift)
    limit = 1.001 * jnp.minimum(lane.step, stop - lane.t)
    inside = (length + shift > low) & (length + shift < jnp.minimum(high, limit))
    nothing = ~met & ~narrow & ~inside & jnp.isinf(high)

    def again():
        tries = lane.landing.tries + 1
        newton = inside & ((tries % HALVED_EVERY != 0) | jnp.isinf(high))
        target = jnp.where(newton, length + shift, 0.5 * (low + jnp.minimum(high, limit)))
        lost = tries > LANDING_TRIES
        return _outcome(
            lane,
            attempt,
            landing=Landing(jnp.array(True), jnp.maximum(target, 1e-200), low, high, pair, tries),
            counts=_count(lane.counts, landings=1),
            status=jnp.where(lost, Status.event_not_located, lane.status),
        )

    def arrive():
        return _arrive(problem, settings, lane, attempt, slope, pair, shift)

    what = jnp.where(nothing, 0, jnp.where(met | narrow, 1, 2))
    return jax.lax.switch(what, [lambda: _accept(problem, lane, attempt, stop), arrive, again])


def _arrive(problem, settings, lane: Lane, attempt: Attempt, slope, pair, shift) -> Outcome:
    """Move by the last correction and change every mode whose margin is zero to rounding."""
    local = settings.solver.interpolation_cls(t0=jnp.zeros(()), t1=attempt.length, **attempt.dense)
    state = local.evaluate(attempt.length + shift).state
    t = lane.t + jnp.maximum(attempt.length + shift, 0.0)
    g = margins(problem, lane.modes, state, residual(problem, lane.modes, state))
    chosen = (jnp.arange(g.size) == pair).reshape(g.shape)
    within = ROUNDING + 8 * jnp.finfo(jnp.float64).eps * t * jnp.abs(slope)
    hit = chosen | ((slope < 0) & (g <= within))
    return _outcome(
        lane,
        attempt,
        t=t,
        state=state,
        landing=not_landing(),
        counts=_count(lane.counts, accepted=1),
        hit=hit,
    )


def _give_up(settings: Settings, lane: Lane) -> Lane:
    over = lane.counts.attempted >= settings.max_steps
    broken = ~jnp.all(jnp.isfinite(lane.state))
    status = jnp.where(lane.running & over, Status.step_limit, lane.status)
    status = jnp.where(lane.running & lane.log.overflown, Status.event_limit, status)
    unsolved = (lane.modes.reports & codes.FAILED) != 0
    status = jnp.where(lane.running & unsolved, Status.choice_not_solved, status)
    return replace(lane, status=jnp.where(broken, Status.not_finite, status))


def _growth(error):
    return jnp.maximum(error, 1e-10) ** (-1 / 8)


def _count(counts: Counts, **increments) -> Counts:
    return replace(counts, **{k: getattr(counts, k) + v for k, v in increments.items()})
