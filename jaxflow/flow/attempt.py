"""A tried step of the solver: its end, its error, and how every margin goes."""

from operator import itemgetter

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.flow.activation import Modes
from jaxflow.flow.branching import once_if
from jaxflow.flow.coordinates import Parts, State
from jaxflow.flow.field import field_of_parts, margins_and_slopes, residual, tangent_kernel
from jaxflow.flow.lane import Lane
from jaxflow.flow.orthogonal_step import OrthogonalStep, orthogonal_step, own_norm
from jaxflow.flow.problem import Problem
from jaxflow.flow.rows import largest_of_rows
from jaxflow.flow.settings import Settings
from jaxflow.flow.stages import runge_kutta_step, weights_to_the_end

SAFETY = 0.9
"""Step-size control after Hairer, Nørsett and Wanner, Solving ODEs I, II.4."""
CROSSED = 1e-14
"""On general inputs a margin that is less than this below zero has not crossed."""
FORGIVEN = 1e-12
"""A margin that is further below zero at the start of a step, but not by more than this, counts
from there: an event of the same neuron, on a boundary nearby, has left it there."""
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
    unit: Float[Array, " m"]
    step: "OrthogonalStep | GeneralStep"

    @property
    def course(self):
        """Margins and slopes in the order in which `first_crossing` takes them."""
        (g0, g1), (slope0, slope1) = self.step.margins, self.step.slopes
        return g0, slope0, g1, slope1


class GeneralStep(eqx.Module):
    """A step on general inputs: its end, its margins, the slopes of all stages, and the method."""

    end: Parts
    margins: tuple[Float[Array, "p m"], Float[Array, "p m"]]
    slopes: tuple[Float[Array, "p m"], Float[Array, "p m"]]
    stages: Parts
    method: diffrax.AbstractERK = eqx.field(static=True)

    def inside(self, fraction: Float[Array, ""]) -> State:
        """The state at a fraction of the step, by the dense output; exact at both ends."""
        weights = weights_to_the_end(self.method, fraction)

        def moved(end, slopes):
            return end + jnp.tensordot(weights, slopes, 1)

        return jax.tree.map(moved, self.end, self.stages).state


def try_step(problem: Problem, settings: Settings, lane: Lane, stop) -> Attempt:
    """Compute a step from where the lane is, to `stop` at the most."""
    length = jnp.minimum(lane.step, stop - lane.t)
    if lane.modes.slide is None:
        length = jnp.where(lane.landing.on, lane.landing.step, length)
        return _try_orthogonal(problem, settings, lane, length)
    length = jnp.minimum(length, _stable_length(problem, settings, lane))
    length = jnp.where(lane.landing.on, lane.landing.step, length)
    return _try_general(problem, settings, lane, length)


def _try_orthogonal(problem: Problem, settings: Settings, lane: Lane, length) -> Attempt:
    step = orthogonal_step(settings.solver, problem, lane.modes.active, lane.state, length)
    a_error, p_error = step.error()
    unit = own_norm(*step.end)
    off = jnp.maximum(jnp.abs(a_error), largest_of_rows(jnp.abs(p_error))) / unit
    return Attempt(length, _in_tolerances(settings, off, unit), unit, step)


def _try_general(problem: Problem, settings: Settings, lane: Lane, length) -> Attempt:
    start, field = Parts.of(lane.state), field_of_parts(problem, lane.modes)
    end, off, slopes = runge_kutta_step(settings.solver, field, start, length)
    first, last = (jax.tree.map(itemgetter(i), slopes).state for i in (0, -1))
    g0, slope0 = margins_and_slopes(problem, lane.modes, lane.state, first)
    g1, slope1 = margins_and_slopes(problem, lane.modes, end.state, last)
    below = jnp.where(g0 < -CROSSED, jnp.maximum(g0, -FORGIVEN), 0.0)
    error = _in_tolerances(settings, jnp.abs(off.state), end.state)
    step = GeneralStep(end, (g0 - below, g1 - below), (slope0, slope1), slopes, settings.solver)
    return Attempt(length, error, jnp.ones_like(end.rho), step)


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


def noise_of(settings: Settings, lane: Lane):
    """How far below zero a margin must be to have crossed.

    Orthogonal inputs: the tolerance, as a smaller coordinate is not told from zero. In general
    little more than rounding, as a crossing that is passed over would be an error of first order.
    """
    return settings.rtol if lane.modes.slide is None else CROSSED


def growth(error: Float[Array, ""]) -> Float[Array, ""]:
    """By how much a step may grow, or has to shrink, to have an error in tolerance."""
    return SAFETY * jnp.maximum(error, 1e-10) ** (-1 / 8)
