"""A tried step of the solver: its end, its error, and how every margin goes."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import Modes
from jaxflow.flow.branching import once_if
from jaxflow.flow.collocation import STAGES, collocation_step, collocation_weights
from jaxflow.flow.coordinates import Parts, State, directions, log_norms
from jaxflow.flow.field import (
    field_of_parts,
    margins_and_slopes,
    residual,
    residual_and_rate,
    tangent_kernel,
)
from jaxflow.flow.lane import Lane
from jaxflow.flow.orthogonal_step import OrthogonalStep, Rows, orthogonal_step, own_norm
from jaxflow.flow.problem import Problem
from jaxflow.flow.rows import largest_of_rows
from jaxflow.flow.settings import Settings
from jaxflow.flow.stages import runge_kutta_step, weights_to_the_end

SAFETY = 0.9
"""Step-size control after Hairer, Nørsett and Wanner, Solving ODEs I, II.4."""
LEAST, MOST = 0.2, 5.0
"""By how much a step shrinks or grows at once."""
CROSSED = 1e-14
"""On general inputs a margin that is less than this below zero has not crossed."""
FORGIVEN = 1e-12
"""A margin that is further below zero at the start of a step, but not by more than this, counts
from there: an event of the same neuron, on a boundary nearby, has left it there."""
PREPARED = 6
"""Steps before a look at implicit ones in which fast decays are made to end."""
HIDDEN = 10.0
"""By how much more than an implicit step's estimate of it margins may be off inside."""
AGREEING = 4e-15
"""Residuals this close, beside the largest label, are the same to rounding."""
CLEAN = 3.0
"""Product of step and rate up to which the method damps a decay much as the flow does: the
stability function of Dormand-Prince 8(7) at −3 is 0.047, where exp(−3) = 0.050."""


class Attempt(eqx.Module):
    """A tried step: its length, its error, and margins and slopes (per step) at both ends.

    The error is in units of the tolerance, in log norms and directions. Margins are in units of
    `unit` at the end: on orthogonal inputs they are p̂_jk, and neurons grow within a step.

    `noise` is how far below zero a margin must be to have crossed. Orthogonal inputs: the
    tolerance, as a smaller coordinate is not told from zero. In general little more than rounding,
    as a crossing that is passed over would be an error of first order; in an implicit step also
    what it leaves unresolved of residuals, which is less than the tolerance. `rate` is that of the
    fastest fit, after an implicit step and where it matters to an explicit one; elsewhere zero.
    """

    length: Float[Array, ""]
    error: Float[Array, ""]
    unit: Float[Array, " m"]
    step: "OrthogonalStep | GeneralStep"
    noise: Float[Array, ""]
    rate: Float[Array, ""]

    @property
    def course(self):
        """Margins and slopes in the order in which `first_crossing` takes them."""
        (g0, g1), (slope0, slope1) = self.step.margins, self.step.slopes
        return g0, slope0, g1, slope1


class GeneralStep(eqx.Module):
    """A step on general inputs: its end, its margins, the slopes of all stages, and the method.

    The method is collocation if `implicit`. The one with fewer stages leaves slots free.

    Attributes:
        r: the residuals at its end.
        fits: ḣ at the points of collocation, times the step.
    """

    end: Parts
    margins: tuple[Float[Array, "p m"], Float[Array, "p m"]]
    slopes: tuple[Float[Array, "p m"], Float[Array, "p m"]]
    stages: Parts
    r: Float[Array, " n"]
    fits: Float[Array, "s n"]
    implicit: Bool[Array, ""]
    method: diffrax.AbstractERK = eqx.field(static=True)

    def inside(self, fraction: Float[Array, ""]) -> State:
        """The state at a fraction of the step, by the dense output; exact at both ends."""
        slots = self.stages.rho.shape[0]
        explicit = _in_slots(weights_to_the_end(self.method, fraction), slots)
        implicit = _in_slots(collocation_weights(fraction), slots)
        weights = jnp.where(self.implicit, implicit, explicit)

        def moved(end, slopes):
            return end + jnp.tensordot(weights, slopes, 1)

        return jax.tree.map(moved, self.end, self.stages).state

    def residual_inside(self, problem: Problem, modes: Modes, fraction, state: State):
        """The residuals at a fraction of the step, where the state is `state`."""
        there = self.r - collocation_weights(fraction) @ self.fits
        return jnp.where(self.implicit, there, residual(problem, modes, state))


class _Course(eqx.Module):
    """Where a step on general inputs leads, by one method or the other; slopes times the step.

    `slopes` and `rates`, those of residuals, are stacked: at the start and at the end.
    """

    end: Parts
    error: Parts
    slopes: Parts
    rates: Float[Array, "2 n"]
    stages: Parts
    r: Float[Array, " n"]
    fits: Float[Array, "s n"]
    noise: Float[Array, ""]
    rate: Float[Array, ""]


def try_step(problem: Problem, settings: Settings, lane: Lane, stop, flies) -> Attempt:
    """Compute a step from where the lane is, to `stop` at the most.

    A lane that does not fly need not have an implicit one, which takes longer.
    """
    length = jnp.minimum(lane.step, stop - lane.t)
    if lane.modes.slide is None:
        length = jnp.where(lane.landing.on, lane.landing.step, length)
        return _try_orthogonal(problem, settings, lane, length)
    rate = _rate_where_it_matters(problem, settings, lane)
    length = jnp.minimum(length, CLEAN / jnp.maximum(rate, 1e-300))
    length = jnp.where(lane.landing.on, lane.landing.step, length)
    return _try_general(problem, settings, lane, length, rate, lane.stiff & flies)


def _try_orthogonal(problem: Problem, settings: Settings, lane: Lane, length) -> Attempt:
    return orthogonal_attempt(
        problem, settings, lane.modes, log_norms(lane.state), directions(lane.state), length
    )


def orthogonal_attempt(
    problem: Problem, settings: Settings, modes: Modes, rho, start: Rows, length
) -> Attempt:
    """A step on orthogonal inputs, of neurons in units of exp(ρ_j)."""
    step = orthogonal_step(settings.solver, problem, modes.active, rho, start, length)
    unit = own_norm(step.end)
    off = largest_of_rows(jnp.abs(step.error())) / unit
    error = _in_tolerances(settings, off, unit)
    return Attempt(length, error, unit, step, settings.rtol, jnp.zeros(()))


def _try_general(
    problem: Problem, settings: Settings, lane: Lane, length, rate, implicit
) -> Attempt:
    r = known_residual(problem, lane)

    def collocated(_, r, state: State, modes: Modes, length):
        return _implicit(problem, settings, r, state, modes, length)

    course = _explicit(problem, settings, lane, length, rate)
    course = once_if(implicit, collocated, course, r, lane.state, lane.modes, length)
    end = course.end

    def judged(z: Parts, r, slope: Parts, rate):
        return margins_and_slopes(problem, lane.modes, z.state, r, slope.state, rate)

    ends, residuals = _both(Parts.of(lane.state), end), jnp.stack([r, course.r])
    g, slope = jax.vmap(judged)(ends, residuals, course.slopes, course.rates)
    (g0, g1), slopes = g, tuple(slope)
    below = jnp.where(g0 < -CROSSED, jnp.maximum(g0, -FORGIVEN), 0.0)
    step = GeneralStep(
        end=end,
        margins=(g0 - below, g1 - below),
        slopes=slopes,
        stages=course.stages,
        r=course.r,
        fits=course.fits,
        implicit=implicit,
        method=settings.solver,
    )
    error = _in_tolerances(settings, jnp.abs(course.error.state), end.state)
    return Attempt(length, error, jnp.ones_like(end.rho), step, course.noise, course.rate)


def known_residual(problem: Problem, lane: Lane) -> Float[Array, " n"]:
    """r_k = y_k − h_k; after implicit steps by these, while that agrees to rounding.

    Residuals of data that are fitted but for the pull of others are smaller than what rounding
    leaves of y − h, and their ratios tell how neurons slide.
    """
    direct = residual(problem, lane.modes, lane.state)
    agrees = jnp.abs(direct - lane.r) <= AGREEING * problem.largest_label(lane.state)
    return jnp.where(lane.stiff & agrees, lane.r, direct)


def _explicit(problem: Problem, settings: Settings, lane: Lane, length, rate) -> _Course:
    """The way by the Runge-Kutta method of the settings."""
    start, field = Parts.of(lane.state), field_of_parts(problem, lane.modes)
    end, off, stages = runge_kutta_step(settings.solver, field, start, length)
    slopes = jax.tree.map(lambda k: jnp.stack([k[0], k[-1]]), stages)

    def judged(z: Parts, slope: Parts):
        return residual_and_rate(problem, lane.modes, z.state, slope.state)

    residuals, rates = jax.vmap(judged)(_both(start, end), slopes)
    slots = max(stages.rho.shape[0], STAGES)
    return _Course(
        end=end,
        error=off,
        slopes=slopes,
        rates=rates,
        stages=jax.tree.map(lambda slope: _in_slots(slope, slots), stages),
        r=residuals[-1],
        fits=jnp.zeros((STAGES, problem.n)),
        noise=jnp.array(CROSSED),
        rate=rate,
    )


def _implicit(
    problem: Problem, settings: Settings, r, state: State, modes: Modes, length
) -> _Course:
    """The way by collocation."""
    way = collocation_step(problem, modes, Parts.of(state), r, length, settings.rtol)
    slots = max(settings.solver.tableau.b_sol.shape[0], STAGES)
    unresolved = jnp.max(jnp.abs(way.fit_error)) / problem.largest_label(state)
    return _Course(
        end=way.end,
        error=jax.tree.map(lambda off: jnp.maximum(jnp.abs(off), unresolved), way.error),
        slopes=jax.tree.map(lambda first, k: jnp.stack([first, k[-1]]), way.first, way.slopes),
        rates=-jnp.stack([way.first_fit, way.fits[-1]]),
        stages=jax.tree.map(lambda slope: _in_slots(slope, slots), way.slopes),
        r=way.r,
        fits=way.fits,
        noise=jnp.maximum(CROSSED, HIDDEN * unresolved),
        rate=way.rate,
    )


def _both(start: Parts, end: Parts) -> Parts:
    """The two stacked."""
    return jax.tree.map(lambda *ends: jnp.stack(ends), start, end)


def _in_slots(stages: Float[Array, "s ..."], slots: int) -> Float[Array, "slots ..."]:
    """Filled up with zeros."""
    return jnp.pad(stages, [(0, slots - stages.shape[0])] + [(0, 0)] * (stages.ndim - 1))


def _in_tolerances(settings: Settings, errors, end) -> Float[Array, ""]:
    """The largest error in units of the tolerance; infinite if anything is not finite."""
    worst, largest = jnp.max(errors), jnp.max(jnp.abs(end))  # not finite if anything is not
    return jnp.where(jnp.isfinite(worst) & jnp.isfinite(largest), worst / settings.rtol, jnp.inf)


def _rate_where_it_matters(problem: Problem, settings: Settings, lane: Lane):
    """The rate of the fastest fit where explicit steps should follow its decay; elsewhere zero.

    An explicit method at its stability limit keeps residuals hovering at the level of the
    tolerance. That is harmless as long as they are large; below √rtol it would drown the ratios of
    residuals on which sliding depends, and an implicit step would have to follow their decay.
    """
    r = residual(problem, lane.modes, lane.state)
    small = jnp.linalg.norm(r) <= jnp.sqrt(settings.rtol) * problem.norm_of_labels(lane.state)
    matters = small | (lane.counts.accepted >= lane.look - PREPARED)

    def fastest(_, modes: Modes, state: State):
        return rate_of_fits(problem, modes, state)

    return once_if(matters & ~lane.stiff, fastest, jnp.zeros(()), lane.modes, lane.state)


def rate_of_fits(problem: Problem, modes: Modes, state: State) -> Float[Array, ""]:
    """‖K‖_F/n, which bounds the rate of every fit."""
    return jnp.linalg.norm(tangent_kernel(problem, modes, state)) / problem.n


def growth(error: Float[Array, ""]) -> Float[Array, ""]:
    """By how much a step may grow, or has to shrink, to have an error in tolerance."""
    return SAFETY * jnp.maximum(error, 1e-10) ** (-1 / 8)


def longer_and_shorter(attempt: Attempt) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The length of the next step if this one is accepted, and if it is rejected."""
    factor = growth(attempt.error)
    longer = attempt.length * jnp.clip(factor, LEAST, MOST)
    shrink = jnp.where(jnp.isfinite(attempt.error), jnp.maximum(factor, LEAST), 0.1)
    return longer, attempt.length * jnp.minimum(shrink, 0.95)
