"""Which side every repelling boundary of one neuron takes, together with the least-norm α.

One loop over pivots of the least-norm problem, so that under `vmap` every neuron advances at its
own pace. Whenever the norm is least, the next task is taken up:

    SIDES   mend the side that contradicts its velocity most, until none does;
    RATES   the same problem for dD/dt, for α at a bound with velocity zero;
    TRIALS  settle from other sides of the repelling boundaries: does it end elsewhere?
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.modes.least_norm import ActiveSet, Box, pivot
from jaxflow.modes.situation import Situation

SIDES, RATES, TRIALS, DONE = 0, 1, 2, 3

LEAVING = 1e-9
"""A boundary left because its α met a bound is taken back only if the velocity contradicts that by
more than this, relative to the forces: α is known at an event as well as the event's time."""
NO_SHARE = 1e-13
"""Likewise if α would be less than this: where the forces are small beside the jump, rounding in
residuals of fitted data is more than their share of it."""


class Settlement(eqx.Module):
    """What was found: α and velocities, the free set, and whether to trust it.

    Attributes:
        coefficient: b_k = α_k J_k.
        side: sides of the pinned boundaries, those that are not `boxed`.
        velocity: sign(a) ⟨n D, v_k⟩, zero where it is at most rounding.
        free, dual: the free set after the decision by rates, and its dual basis.
        alternative: another choice of sides is consistent, too.
    """

    coefficient: Float[Array, " s"]
    side: Bool[Array, " s"]
    boxed: Bool[Array, " s"]
    velocity: Float[Array, " s"]
    free: Bool[Array, " s"]
    dual: Float[Array, "s q"]
    alternative: Bool[Array, ""]
    trusted: Bool[Array, ""]


class _Progress(eqx.Module):
    """State of the loop: the task and its box, the active set, what was found, trials left."""

    task: Int[Array, ""]
    side: Bool[Array, " s"]
    boxed: Bool[Array, " s"]
    box: Box
    active: ActiveSet
    found: Settlement
    untried: Bool[Array, " t"]


def settle(here: Situation) -> Settlement:
    """Choose sides and α; `trusted` is false if the loop met its cap, as rounding alone can do.

    Mending a repelling side strictly raises ‖D‖: the least norm is convex in the α of that side,
    with slope J_k⟨D, v_k⟩, and an end of [0, 1] where it falls outwards is the lower end. So no
    choice of sides returns, and the loop ends.
    """
    slots = here.jump.shape[0]
    cap = 200 + 60 * slots

    def unfinished(state: _Progress) -> Bool[Array, ""]:
        return (state.task < DONE) & (state.active.pivots < cap)

    def advance(state: _Progress) -> _Progress:
        active = pivot(state.box, state.active)
        state = eqx.tree_at(lambda s: s.active, state, active)
        return jax.lax.cond(active.optimal, lambda s: _next(here, s), lambda s: s, state)

    final = jax.lax.while_loop(unfinished, advance, _beginning(here))
    return eqx.tree_at(lambda s: s.trusted, final.found, final.task == DONE)


def _where(condition, new, old):
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), new, old)


def _beginning(here: Situation) -> _Progress:
    side, boxed = here.first_side, here.first_boxed
    nobody, no = jnp.zeros_like(side), jnp.asarray(False)
    active = ActiveSet.at_bounds(here.vectors, side * here.jump)
    found = Settlement(
        active.coefficient, side, boxed, here.jump, nobody, jnp.zeros_like(here.vectors), no, no
    )
    untried = jnp.zeros(side.shape[0] + 1, dtype=bool)
    task = jnp.asarray(SIDES)
    return _Progress(task, side, boxed, here.box(side, boxed), active, found, untried)


def _next(here: Situation, state: _Progress) -> _Progress:
    """What follows a least norm: mend a side, or take up the next task."""
    velocity = here.sign * (here.vectors @ state.box.total(state.active.coefficient))
    velocity = jnp.where(jnp.abs(velocity) > state.active.rounding, velocity, 0.0)
    wrong = _contradiction(here, state, velocity)
    settled = ~jnp.any(wrong > 0) | (state.task == RATES)
    following = _where(
        state.task == SIDES,
        _take_up_rates(here, state, velocity),
        _take_up_trial(here, _judged(here, state)),
    )
    return _where(settled, following, _mended(here, state, velocity, jnp.argmax(wrong)))


def _contradiction(here: Situation, state: _Progress, velocity) -> Float[Array, " s"]:
    """By how much the velocity of a boundary contradicts its side, −1 where it does not."""
    off_side = ~state.boxed & jnp.where(state.side, velocity < 0, velocity > 0)
    off_side = off_side & (here.repelling | here.leaving)
    unheld = state.boxed & here.staying & ~state.active.free
    known = jnp.maximum(LEAVING * state.active.scale, NO_SHARE * jnp.abs(here.jump))
    level = jnp.where(here.leaving, known, 0.0)
    wrong = (off_side | unheld) & (jnp.abs(velocity) > level)
    return jnp.where(wrong, jnp.abs(velocity), -1.0)


def _mended(here: Situation, state: _Progress, velocity, k) -> _Progress:
    """Side k follows its velocity; an attracting one is handed to the least norm."""
    at_k = jnp.arange(state.side.shape[0]) == k
    boxed = jnp.where(at_k, here.attracting, state.boxed)
    side = jnp.where(at_k & ~boxed, velocity > 0, state.side)
    coefficient = jnp.where(at_k, side * here.jump, state.active.coefficient)
    active = eqx.tree_at(lambda s: s.coefficient, state.active, coefficient)
    return _Progress(
        state.task, side, boxed, here.box(side, boxed), active, state.found, state.untried
    )


def _take_up_rates(here: Situation, state: _Progress, velocity) -> _Progress:
    """Keep the settled choice; list the trials; ask for the rates of idle α."""
    free, coefficient = state.active.free, state.active.coefficient
    found = Settlement(
        coefficient,
        state.side,
        state.boxed,
        velocity,
        free,
        state.active.dual,
        jnp.asarray(False),
        jnp.asarray(False),
    )
    idle = state.boxed & here.attracting & ~free & (velocity == 0)
    alpha = (coefficient != 0).astype(float)
    active = eqx.tree_at(
        lambda s: (s.coefficient, s.scale),
        state.active,
        (jnp.zeros_like(coefficient), jnp.asarray(0.0)),
    )
    return _Progress(
        task=jnp.asarray(RATES),
        side=state.side,
        boxed=state.boxed,
        box=here.box_of_rates(alpha, free, idle),
        active=active,
        found=found,
        untried=_trials(here, found),
    )


def _contested(here: Situation, found: Settlement) -> Bool[Array, " s"]:
    """Repelling boundaries that the neuron is about to leave to a chosen side."""
    return here.repelling & ~found.boxed & (found.velocity != 0)


def _trials(here: Situation, found: Settlement) -> Bool[Array, " t"]:
    """Single flips of contested sides, and the flip of all of them.

    Complete for up to two contested boundaries. None is needed for a single one crossed in its
    direction of motion: as its velocity rises with its α, it cannot be turned back.
    """
    contested = _contested(here, found)
    several = jnp.sum(contested) > 1
    needed = several | jnp.any(contested & (here.direction == 0))
    return needed & jnp.append(contested, several)


def _judged(here: Situation, state: _Progress) -> _Progress:
    """Record the outcome of the task just ended: the free set after rates, or that of a trial."""
    after_rates = state.task == RATES
    found = state.found
    elsewhere = jnp.any(_contested(here, found) & (state.side != found.side))
    found = eqx.tree_at(
        lambda f: (f.free, f.dual, f.alternative),
        found,
        (
            jnp.where(after_rates, state.active.free, found.free),
            jnp.where(after_rates, state.active.dual, found.dual),
            found.alternative | (~after_rates & elsewhere),
        ),
    )
    return eqx.tree_at(lambda s: s.found, state, found)


def _take_up_trial(here: Situation, state: _Progress) -> _Progress:
    """Start again from the next untried sides; done if none is left or an alternative is known."""
    trial = jnp.argmax(state.untried)
    slots = jnp.arange(state.side.shape[0])
    flip = _contested(here, state.found) & ((slots == trial) | (trial == slots.shape[0]))
    side, boxed = state.found.side ^ flip, here.first_boxed
    again = jnp.any(state.untried) & ~state.found.alternative
    active = ActiveSet.at_bounds(here.vectors, side * here.jump)
    return _Progress(
        task=jnp.where(again, TRIALS, DONE),
        side=side,
        boxed=boxed,
        box=here.box(side, boxed),
        active=active,
        found=state.found,
        untried=state.untried & (jnp.arange(state.untried.shape[0]) != trial),
    )
