"""One attempted step of the solver: accepted, rejected, or cut to end at a change of mode."""

from dataclasses import fields, replace
from functools import partial
from operator import itemgetter

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.flow.activation import FAR, Modes, along_boundaries, margins
from jaxflow.flow.branching import once_if
from jaxflow.flow.coordinates import (
    Parts,
    State,
    assemble,
    hidden_parts,
    log_norms,
    output_parts,
    restore_invariants,
)
from jaxflow.flow.crossing import ROUGH, earliest_possible, first_crossing, polished
from jaxflow.flow.field import (
    field_of_parts,
    margins_and_slopes,
    residual,
    tangent_kernel,
)
from jaxflow.flow.lane import Counts, Landing, Lane, not_landing
from jaxflow.flow.orthogonal_step import OrthogonalStep, orthogonal_step, own_norm
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
"""On general inputs a margin that is less than this below zero has not crossed."""
FORGIVEN = 1e-12
"""A margin that is further below zero at the start of a step, but not by more than this, counts
from there: an event of the same neuron, on a boundary nearby, has left it there."""
LANDING_TRIES = 200
HALVED_EVERY = 3
"""How often the bracket of a crossing is halved whatever Newton's method says: a pair that dips
below zero and returns holds up the pursuit of another one."""
CLEAN = 3.0
"""Product of step and rate up to which the method damps a decay much as the flow does: the
stability function of Dormand-Prince 8(7) at −3 is 0.047, where exp(−3) = 0.050."""


class Attempt(eqx.Module):
    """A tried step: its length, its error, and margins and slopes (per step) at both ends.

    The error is in units of the tolerance, in log norms and directions. Margins are in units of
    `unit` at the end: on orthogonal inputs they are p̂_jk, and neurons grow within a step.
    """

    length: Float[Array, ""]
    error: Float[Array, ""]
    margins: tuple[Float[Array, "p m"], Float[Array, "p m"]]
    slopes: tuple[Float[Array, "p m"], Float[Array, "p m"]]
    unit: Float[Array, " m"]
    step: "OrthogonalStep | GeneralStep"

    @property
    def course(self):
        """Margins and slopes in the order in which `first_crossing` takes them."""
        (g0, g1), (slope0, slope1) = self.margins, self.slopes
        return g0, slope0, g1, slope1


class GeneralStep(eqx.Module):
    """A step on general inputs: its end, the slopes of all stages, and the method."""

    end: Parts
    dense: dict
    method: diffrax.AbstractERK = eqx.field(static=True)

    def inside(self, fraction: Float[Array, ""]) -> State:
        """The state at a fraction of the step, by the dense output of the method."""
        course = self.method.interpolation_cls(t0=jnp.zeros(()), t1=jnp.ones(()), **self.dense)
        return course.evaluate(fraction).state

    near_end = inside


class Outcome(eqx.Module):
    """What a tried step makes of a lane, and the margins that are zero at its end."""

    t: Float[Array, ""]
    state: State
    step: Float[Array, ""]
    landing: Landing
    counts: Counts
    status: Int[Array, ""]
    hit: Bool[Array, "p m"]


def attempt_step(problem: Problem, settings: Settings, lane: Lane, stop) -> Lane:
    """Try one step and carry out what follows from it."""
    attempt = jax.lax.optimization_barrier(_try(problem, settings, lane, stop))
    good = attempt.error <= 1
    plain = _accepted_or_rejected(problem, lane, attempt, stop, good)
    earliest = earliest_possible(*attempt.course, _noise(settings, lane) * attempt.unit)
    eventful = good & (lane.landing.on | jnp.any(jnp.isfinite(earliest)))
    meet = partial(_meet, problem, settings, stop)
    outcome = once_if(eventful, meet, plain, lane, attempt, earliest)
    return _give_up(settings, _carried_out(problem, lane, outcome))


def _meet(problem: Problem, settings: Settings, stop, plain: Outcome, lane, attempt, earliest):
    """What follows where a margin may cross zero, or a crossing is being pursued."""
    theta, pair = _first_crossing(settings, lane, attempt, earliest)
    outcomes = [
        lambda: plain,
        lambda: _aim(problem, settings, lane, attempt, pair),
        lambda: _land(problem, settings, lane, attempt, stop, plain),
    ]
    crosses = jnp.isfinite(theta)
    return jax.lax.switch(jnp.where(lane.landing.on, 2, jnp.where(crosses, 1, 0)), outcomes)


def _first_crossing(settings: Settings, lane: Lane, attempt: Attempt, earliest):
    """The fraction of the step at which a margin crosses zero first, and which pair's it is.

    Pairs are looked at in the order in which they may cross at the earliest, until the next one
    cannot be before what was found.
    """

    def unsettled(carry):
        found, _, earliest, pair = carry
        return earliest.reshape(-1)[pair] < found

    def look(carry):
        found, first, earliest, pair = carry
        theta = first_crossing(*_course_of(settings, lane, attempt, pair), ROUGH)
        first = jnp.where(theta < found, pair, first)
        seen = jnp.arange(earliest.size).reshape(earliest.shape) == pair
        earliest = jnp.where(seen, jnp.inf, earliest)
        return jnp.minimum(theta, found), first, earliest, jnp.argmin(earliest)

    waiting = ~lane.landing.on
    first = jnp.array(0)
    start = (jnp.where(waiting, jnp.inf, -1.0), first, earliest, jnp.argmin(earliest))
    return jax.lax.while_loop(unsettled, look, start)[:2]


def _course_of(settings: Settings, lane: Lane, attempt: Attempt, pair):
    """Margins, slopes and noise of one pair, as `first_crossing` takes them."""
    noise = _noise(settings, lane) * attempt.unit
    course = [values.reshape(-1)[pair] for values in attempt.course]
    return *course, noise[pair % noise.shape[0]]


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
    if lane.modes.slide is None:
        length = jnp.where(lane.landing.on, lane.landing.step, length)
        return _try_orthogonal(problem, settings, lane, length)
    length = jnp.minimum(length, _stable_length(problem, settings, lane))
    length = jnp.where(lane.landing.on, lane.landing.step, length)
    return _try_general(problem, settings, lane, length)


def _try_orthogonal(problem: Problem, settings: Settings, lane: Lane, length) -> Attempt:
    active = lane.modes.active
    step = orthogonal_step(settings.solver, problem, active, lane.state, length)
    a_error, p_error = step.error()
    unit = own_norm(*step.end)
    off = jnp.maximum(jnp.abs(a_error), jnp.max(jnp.abs(p_error), axis=0)) / unit
    g0, g1 = (jnp.where(active, p, FAR) for p in (hidden_parts(lane.state), step.end[1]))
    slopes = step.slopes_of_pairs(0), step.slopes_of_pairs(-1)
    error = _in_tolerances(settings, off, unit)
    return Attempt(length, error, (g0, g1), slopes, unit, step)


def _try_general(problem: Problem, settings: Settings, lane: Lane, length) -> Attempt:
    start, field = Parts.of(lane.state), field_of_parts(problem, lane.modes)
    end, off, slopes = runge_kutta_step(settings.solver, field, start, length)
    first, last = (jax.tree.map(itemgetter(i), slopes).state for i in (0, -1))
    g0, slope0 = margins_and_slopes(problem, lane.modes, lane.state, first)
    g1, slope1 = margins_and_slopes(problem, lane.modes, end.state, last)
    below = jnp.where(g0 < -CROSSED, jnp.maximum(g0, -FORGIVEN), 0.0)
    error = _in_tolerances(settings, jnp.abs(off.state), end.state)
    step = GeneralStep(end, {"y0": start, "y1": end, "k": slopes}, settings.solver)
    unit = jnp.ones_like(end.rho)
    return Attempt(length, error, (g0 - below, g1 - below), (slope0, slope1), unit, step)


def _in_tolerances(settings: Settings, errors, end) -> Float[Array, ""]:
    """The largest error in units of the tolerance; infinite if anything is not finite."""
    finite = jnp.all(jnp.isfinite(end)) & jnp.all(jnp.isfinite(errors))
    return jnp.where(finite, jnp.max(errors) / settings.rtol, jnp.inf)


def _stable_length(problem: Problem, settings: Settings, lane: Lane):
    """The longest step in which the fastest fit still decays cleanly, once residuals are small.

    An explicit method at its stability limit keeps residuals hovering at the level of the
    tolerance. That is harmless as long as they are large; below √rtol it would drown the ratios of
    residuals on which sliding depends. ‖K‖_F/n bounds the rate of every fit.
    """
    r = residual(problem, lane.modes, lane.state)
    small = jnp.linalg.norm(r) <= jnp.sqrt(settings.rtol) * jnp.linalg.norm(problem.y)

    def clean(_, modes: Modes, state: State):
        rate = jnp.linalg.norm(tangent_kernel(problem, modes, state)) / problem.n
        return CLEAN / jnp.maximum(rate, 1e-300)

    return once_if(small, clean, jnp.array(jnp.inf), lane.modes, lane.state)


def _outcome(lane: Lane, attempt: Attempt, **changes) -> Outcome:
    """The lane as it was but for the changes."""
    kept = {f.name: getattr(lane, f.name) for f in fields(Outcome) if f.name != "hit"}
    return Outcome(**({"hit": jnp.zeros(attempt.margins[0].shape, dtype=bool)} | kept | changes))


def _accepted_or_rejected(problem: Problem, lane: Lane, attempt: Attempt, stop, good) -> Outcome:
    """The end of a good step; of any other the start, from where to try a shorter one."""
    length = attempt.length
    factor = SAFETY * _growth(attempt.error)
    longer = length * jnp.clip(factor, LEAST, MOST)
    shrink = jnp.where(jnp.isfinite(attempt.error), jnp.maximum(factor, LEAST), 0.1)
    shorter = length * jnp.minimum(shrink, 0.95)
    cut = (length >= stop - lane.t) & ~lane.landing.on
    kept = jnp.where(cut | lane.landing.on, jnp.maximum(longer, lane.step), longer)
    smallest = 4 * jnp.finfo(jnp.float64).eps * lane.t
    stuck = ~good & (length <= smallest)
    return _outcome(
        lane,
        attempt,
        t=jnp.where(good, jnp.where(cut, stop, lane.t + length), lane.t),
        state=jnp.where(good, _tidy(problem, lane, attempt), lane.state),
        step=jnp.where(good, kept, shorter),
        landing=not_landing(),
        counts=_count(lane.counts, accepted=good, rejected=~good),
        status=jnp.where(stuck, Status.step_underflow, lane.status),
    )


def _tidy(problem: Problem, lane: Lane, attempt: Attempt) -> State:
    """The end of a step with what is known to hold: sliding, invariants, signs."""
    if lane.modes.slide is None:
        a, p = attempt.step.end
        rho = log_norms(lane.state) + jnp.log(attempt.unit)
        state = assemble(rho, a / attempt.unit, p / attempt.unit)
        return _not_below_zero(lane.modes, restore_invariants(state, lane.balance))
    end = attempt.step.end
    omega = along_boundaries(problem, lane.modes, end.omega)
    return restore_invariants(assemble(end.rho, end.eta, omega), lane.balance)


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


def _aim(problem: Problem, settings: Settings, lane: Lane, attempt: Attempt, pair) -> Outcome:
    """Repeat the step up to the earliest crossing, which the dense output tells well."""
    course = _course_of(settings, lane, attempt, pair)
    margin = _margin_inside(problem, lane, attempt, pair)
    first = polished(margin, course[:4], first_crossing(*course))
    length = jnp.maximum(first * attempt.length, 1e-200)
    crossed = jnp.any(attempt.margins[1] < -_noise(settings, lane) * attempt.unit)
    high = jnp.where(crossed, attempt.length, jnp.inf)
    landing = Landing(jnp.array(True), length, jnp.zeros(()), high, pair, jnp.array(0))
    return _outcome(lane, attempt, landing=landing, counts=_count(lane.counts, landings=1))


def _margin_inside(problem: Problem, lane: Lane, attempt: Attempt, pair):
    """The margin of a pair along the dense output, a function of the fraction of the step."""
    if lane.modes.slide is None:
        k, j = jnp.divmod(pair, attempt.unit.shape[0])
        return partial(attempt.step.pair_inside, k=k, j=j)

    def general(fraction):
        state = attempt.step.inside(fraction)
        r = residual(problem, lane.modes, state)
        return margins(problem, lane.modes, state, r).reshape(-1)[pair]

    return general


def _land(
    problem: Problem, settings: Settings, lane: Lane, attempt: Attempt, stop, plain: Outcome
) -> Outcome:
    """Bracketed Newton iteration for the end of the step; at convergence, the change of mode.

    The earliest of all crossings is pursued: a pair found below zero takes over from the one that
    was aimed at. Where Newton's method leaves the bracket, and now and then, it is halved. If it
    turns out that there is no crossing, the step is as good as any.
    """
    length = attempt.length
    g, slope = (values / attempt.unit for values in (attempt.margins[1], attempt.slopes[1]))
    slope = slope / length
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
        return _arrive(problem, lane, attempt, stop, slope, pair, shift)

    what = jnp.where(nothing, 0, jnp.where(met | narrow, 1, 2))
    return jax.lax.switch(what, [lambda: plain, arrive, again])


def _arrive(problem: Problem, lane: Lane, attempt: Attempt, stop, slope, pair, shift) -> Outcome:
    """Move by the last correction and change every mode whose margin is zero to rounding.

    An event lies after the start of its step, even where rounding cannot tell, so that the modes
    saved at a time are those after all events up to it. One that proves to come after the stop is
    left to the next step.
    """
    late = attempt.length + shift > stop - lane.t
    shift = jnp.where(late, stop - lane.t - attempt.length, shift)
    state = attempt.step.near_end(1 + shift / attempt.length)
    t = jnp.maximum(lane.t + attempt.length + shift, lane.t * (1 + jnp.finfo(jnp.float64).eps))
    t = jnp.where(late, stop, jnp.minimum(t, stop))
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
        hit=hit & ~late,
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
