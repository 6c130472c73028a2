"""The pursuit of a change of mode.

A step in which a margin crosses zero is repeated until it ends exactly at the earliest crossing. On
orthogonal inputs, where the force is continuous there, the dense output of the step itself leads to
the crossing, if the step is so short that this is as exact; where changes of mode follow each other
closely, steps are kept that short.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp

from jaxflow.flow.activation import margins
from jaxflow.flow.attempt import Attempt, growth
from jaxflow.flow.branching import once_if, tree_where
from jaxflow.flow.crossing import (
    AIMED,
    MET,
    ROUGH,
    earliest_possible,
    first_crossing,
    polished,
)
from jaxflow.flow.lane import Landing, Lane, not_landing
from jaxflow.flow.outcome import Outcome, count, outcome_of
from jaxflow.flow.problem import Problem
from jaxflow.flow.rows import place_of_least
from jaxflow.flow.settings import Settings
from jaxflow.flow.status import Status

NEWTON_ACCEPTS = 1e-7
"""An event is met when Newton's correction is below this share of the step: the correction is then
applied by the solver's dense output, with an error of its square times the interpolation error."""
BACK = 1e-5
"""A bracket closes in on where a margin is the noise below zero. Newton's method leads from there
to its zero, by up to this share of the step, which the dense output knows as well as its end."""
ROUNDING = 4e-16
"""A margin of a normalised neuron is zero to rounding."""
AT_ZERO = 1e-14
"""A margin that Newton's method on the dense output has brought to zero."""
DENSE = 1e-6
"""Estimated error of a step, in units of the tolerance, up to which its dense output serves, which
is of lower order than the step: its error is a whole tolerance at 5e-4, and 0.01 at this."""
ESTIMATE_NOISE = 3e-17
"""Rounding in the estimate of a step's error."""
TELLING = 3e-13
"""Tolerance below which that rounding hides too much of the error, and every step is repeated."""
LANDING_TRIES = 200
HALVED_EVERY = 3
"""How often the bracket of a crossing is halved whatever Newton's method says: a pair that dips
below zero and returns holds up the pursuit of another one."""


def meet(problem: Problem, settings: Settings, stop, plain: Outcome, lane, attempt):
    """What follows where a margin may cross zero, or a crossing is being pursued."""
    noise = attempt.noise * attempt.unit
    earliest = earliest_possible(*attempt.course, noise)
    theta, pair = _first_crossing(settings, lane, attempt, earliest)

    def approach(_, lane, attempt, pair):
        return _approach(problem, settings, lane, attempt, stop, pair)

    def land(plain, lane, attempt):
        return _land(problem, settings, lane, attempt, stop, plain)

    met = once_if(jnp.isfinite(theta) & ~lane.landing.on, approach, plain, lane, attempt, pair)
    return once_if(lane.landing.on, land, met, lane, attempt)


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
        return jnp.minimum(theta, found), first, earliest, place_of_least(earliest)

    waiting = ~lane.landing.on
    first = jnp.array(0)
    start = (jnp.where(waiting, jnp.inf, -1.0), first, earliest, place_of_least(earliest))
    return jax.lax.while_loop(unsettled, look, start)[:2]


def _course_of(settings: Settings, lane: Lane, attempt: Attempt, pair):
    """Margins, slopes and noise of one pair, as `first_crossing` takes them."""
    noise = attempt.noise * attempt.unit
    course = [values.reshape(-1)[pair] for values in attempt.course]
    return *course, noise[pair % noise.shape[0]]


def _approach(problem: Problem, settings: Settings, lane: Lane, attempt, stop, pair) -> Outcome:
    """To the earliest crossing of a step: by its dense output where that serves, or once more."""
    course = _course_of(settings, lane, attempt, pair)
    margin = _margin_inside(problem, lane, attempt, pair)
    iterations = MET if lane.modes.slide is None else AIMED
    theta = polished(margin, course[:4], first_crossing(*course), iterations)
    aimed = _aim(settings, lane, attempt, pair, theta)
    if lane.modes.slide is not None:
        return aimed
    g, slope = attempt.step.margins[0], attempt.step.slopes[1] / (attempt.unit * attempt.length)
    shift = (theta - 1) * attempt.length
    there, met = _arrive(problem, settings, lane, attempt, stop, slope, pair, shift)
    there = replace(there, step=_length_for_dense(settings, lane, attempt))
    exact = _telling_error(settings, attempt) <= DENSE
    serves = exact & met & (g.reshape(-1)[pair] > 0)
    return tree_where(serves, there, aimed)


def _aim(settings: Settings, lane: Lane, attempt: Attempt, pair, theta) -> Outcome:
    """Repeat the step up to a crossing, which the dense output tells well."""
    length = jnp.maximum(theta * attempt.length, 1e-200)
    crossed = jnp.any(attempt.step.margins[1] < -attempt.noise * attempt.unit)
    high = jnp.where(crossed, attempt.length, jnp.inf)
    landing = Landing(jnp.array(True), length, jnp.zeros(()), high, pair, jnp.array(0))
    step = lane.step
    if lane.modes.slide is None:
        short = _length_for_dense(settings, lane, attempt)
        step = jnp.where(length < short, short, step)
    counts = count(lane.counts, landings=1)
    return outcome_of(lane, attempt, step=step, landing=landing, counts=counts)


def _telling_error(settings: Settings, attempt: Attempt):
    """The error of a step, in units of the tolerance, without rounding in its estimate.

    Infinite where rounding hides it.
    """
    error = jnp.maximum(attempt.error - ESTIMATE_NOISE / settings.rtol, 0.0)
    return jnp.where(settings.rtol >= TELLING, error, jnp.inf)


def _length_for_dense(settings: Settings, lane: Lane, attempt: Attempt):
    """The length of a step whose dense output serves, if one that was tried tells; else zero."""
    longest = growth(_telling_error(settings, attempt) / DENSE) * attempt.length
    return jnp.where(attempt.length < lane.step, lane.step, jnp.minimum(longest, lane.step))


def _margin_inside(problem: Problem, lane: Lane, attempt: Attempt, pair):
    """The margin of a pair along the dense output, a function of the fraction of the step."""
    if lane.modes.slide is None:
        k, j = jnp.divmod(pair, attempt.unit.shape[0])
        return partial(attempt.step.pair_inside, k=k, j=j)

    def general(fraction):
        state = attempt.step.inside(fraction)
        r = attempt.step.residual_inside(problem, lane.modes, fraction, state)
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
    ends = attempt.step.margins[1], attempt.step.slopes[1]
    g, slope = (values / attempt.unit for values in ends)
    slope = slope / length
    passed = g < -attempt.noise
    low = jnp.where(jnp.any(passed), lane.landing.low, length)
    high = jnp.where(jnp.any(passed), length, lane.landing.high)
    aimed = (jnp.arange(g.size) == lane.landing.pair).reshape(g.shape)
    pursued = (aimed | passed) & (slope < 0)
    correction = jnp.where(pursued, -g / jnp.where(slope < 0, slope, -1.0), jnp.inf)
    pair = place_of_least(correction)
    shift = correction.reshape(-1)[pair]
    smallest = 4 * jnp.finfo(jnp.float64).eps * jnp.maximum(lane.t, lane.step)
    close = jnp.abs(shift) <= jnp.maximum(NEWTON_ACCEPTS * length, smallest)
    at_start = (length <= smallest) & jnp.any(aimed & (g <= 0) & (slope < 0))
    shift = jnp.where(at_start, 0.0, shift)
    pair = jnp.where(at_start, lane.landing.pair, pair)
    met = (close & ~jnp.any(passed & (slope >= 0))) | at_start
    narrow = ~met & (high - low <= smallest)
    lowest = place_of_least(g)
    back = correction.reshape(-1)[lowest]
    pair = jnp.where(narrow, lowest, pair)
    shift = jnp.where(narrow, jnp.where(jnp.abs(back) <= BACK * length, back, 0.0), shift)
    limit = 1.001 * jnp.minimum(lane.step, stop - lane.t)
    inside = (length + shift > low) & (length + shift < jnp.minimum(high, limit))
    nothing = ~met & ~narrow & ~inside & jnp.isinf(high)

    def again():
        tries = lane.landing.tries + 1
        newton = inside & ((tries % HALVED_EVERY != 0) | jnp.isinf(high))
        target = jnp.where(newton, length + shift, 0.5 * (low + jnp.minimum(high, limit)))
        lost = tries > LANDING_TRIES
        return outcome_of(
            lane,
            attempt,
            landing=Landing(jnp.array(True), jnp.maximum(target, 1e-200), low, high, pair, tries),
            counts=count(lane.counts, landings=1),
            status=jnp.where(lost, Status.event_not_located, lane.status),
        )

    def arrive():
        return _arrive(problem, settings, lane, attempt, stop, slope, pair, shift)[0]

    what = jnp.where(nothing, 0, jnp.where(met | narrow, 1, 2))
    return jax.lax.switch(what, [lambda: plain, arrive, again])


def _arrive(problem: Problem, settings, lane: Lane, attempt: Attempt, stop, slope, pair, shift):
    """Move by the last correction and change every mode whose margin is zero to rounding.

    Returns the outcome, and whether the pair is at zero and no other one has crossed before.

    An event lies after the start of its step, even where rounding cannot tell, so that the modes
    saved at a time are those after all events up to it. One that proves to come after the stop is
    left to the next step.
    """
    late = attempt.length + shift > stop - lane.t
    shift = jnp.where(late, stop - lane.t - attempt.length, shift)
    fraction = 1 + shift / attempt.length
    state, r = attempt.step.inside(fraction), None
    if lane.modes.slide is not None:
        r = attempt.step.residual_inside(problem, lane.modes, fraction, state)
    t = jnp.maximum(lane.t + attempt.length + shift, lane.t * (1 + jnp.finfo(jnp.float64).eps))
    t = jnp.where(late, stop, jnp.minimum(t, stop))
    g = margins(problem, lane.modes, state, r)
    chosen = (jnp.arange(g.size) == pair).reshape(g.shape)
    within = ROUNDING + 8 * jnp.finfo(jnp.float64).eps * t * jnp.abs(slope)
    hit = chosen | ((slope < 0) & (g <= within))
    arrived = outcome_of(
        lane,
        attempt,
        t=t,
        state=state,
        r=r,
        landing=not_landing(),
        counts=count(lane.counts, accepted=1),
        hit=hit & ~late,
    )
    before = jnp.any(~hit & (g < -attempt.noise))
    return arrived, ~before & (jnp.abs(g.reshape(-1)[pair]) <= AT_ZERO)
