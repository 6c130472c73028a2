"""Changes of activation: when does a preactivation reach zero inside a step?

A margin g is positive while a pair keeps its mode. Within a step it is judged by the cubic that
agrees with value and slope at both ends, which also shows a minimum below zero between two positive
ends. Newton's method brings the margin to zero to rounding: on the end of the *actual* step, which
is repeated up to that time, or on the dense output where that is as exact (see `landing`).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

ROUGH, FINE = 4, 8
"""Iterations of Newton's method: to tell which pair comes first, and where it does."""
AIMED, MET = 2, 6
"""Iterations on the dense output, from the root of the cubic, whose slope is kept: to aim at a
crossing, and to meet it."""


def first_crossing(
    g0, slope0, g1, slope1, noise: float = 4e-16, iterations: int = FINE
) -> Float[Array, "..."]:
    """Fraction of the step at which the margin first becomes negative, inf if it does not.

    `slope` is the derivative times the step. Elementwise. A margin that starts at zero and grows
    has not crossed, but may do so later in the step. One that is less than `noise` below zero has
    not crossed: margins are of order one, and known to rounding, or to the tolerance, only.
    """
    lowest, highest = _turns(g0, slope0, g1, slope1)
    value, _ = hermite(g0, slope0, g1, slope1, lowest)
    dips = (lowest > 0) & (value < -noise)
    low = jnp.where(slope0 > 0, highest, 0.0)
    high = jnp.where(dips, lowest, 1.0)
    theta = _crossing_between(g0, slope0, g1, slope1, low, high, iterations)
    return jnp.where(dips | (g1 < -noise), theta, jnp.inf)


def may_cross(g0, slope0, g1, slope1, noise) -> Bool[Array, "..."]:
    """Whether the cubic may be below −noise somewhere: a Bernstein coefficient of it is."""
    lowest = jnp.minimum(jnp.minimum(g0 + slope0 / 3, g1 - slope1 / 3), g1)
    return lowest < -noise


def earliest_possible(g0, slope0, g1, slope1, noise) -> Float[Array, "..."]:
    """A fraction of the step before which the margin does not cross zero; inf if it does nowhere.

    The cubic lies in the convex hull of its Bernstein coefficients b_i over i/3, and thereby above
    the steepest line down from the first of them to another one. A margin whose coefficients are
    at least −noise does not cross. Elementwise, and much cheaper than `first_crossing`.
    """
    steepest = jnp.minimum(jnp.minimum(slope0, 1.5 * (g1 - slope1 / 3 - g0)), g1 - g0)
    earliest = jnp.maximum(g0, 0.0) / jnp.where(steepest < 0, -steepest, 1.0)
    return jnp.where(may_cross(g0, slope0, g1, slope1, noise), earliest, jnp.inf)


def hermite(g0, slope0, g1, slope1, theta):
    """Cubic Hermite interpolant and its derivative at θ in [0, 1]."""
    rise = g1 - g0
    b, c = 3 * rise - 2 * slope0 - slope1, slope0 + slope1 - 2 * rise
    value = g0 + theta * (slope0 + theta * (b + theta * c))
    return value, slope0 + theta * (2 * b + 3 * theta * c)


def polished(
    margin: Callable[[Float[Array, ""]], Float[Array, ""]], course, theta, iterations: int
) -> Float[Array, ""]:
    """The root θ of the cubic through `course`, moved to that of the margin, if it is in (0, 1)."""
    _, slope = hermite(*course, theta)
    slope = jnp.where(slope == 0, jnp.inf, slope)

    def closer(_, better):
        return better - margin(better) / slope

    better = jax.lax.fori_loop(0, iterations, closer, theta)
    return jnp.where((better > 0) & (better < 1), better, theta)


def _turns(g0, slope0, g1, slope1):
    """Where in (0, 1) the cubic has its minimum and its maximum; 0 where it has none."""
    rise = g1 - g0
    b, c = 3 * rise - 2 * slope0 - slope1, slope0 + slope1 - 2 * rise
    square = b**2 - 3 * c * slope0
    q = b + jnp.where(b < 0, -1.0, 1.0) * jnp.sqrt(jnp.maximum(square, 0.0))
    near = -slope0 / jnp.where(q == 0, 1.0, q)
    far = -q / jnp.where(c == 0, 1.0, 3 * c)
    near = jnp.where((square > 0) & (q != 0) & (near > 0) & (near < 1), near, 0.0)
    far = jnp.where((square > 0) & (c != 0) & (far > 0) & (far < 1), far, 0.0)
    return jnp.where(b < 0, far, near), jnp.where(b < 0, near, far)


def _crossing_between(g0, slope0, g1, slope1, low, high, iterations: int):
    """Root of the cubic between a point where it is positive and one where it is negative."""
    at_low, _ = hermite(g0, slope0, g1, slope1, low)
    at_high, _ = hermite(g0, slope0, g1, slope1, high)
    share = at_low / jnp.where(at_low > at_high, at_low - at_high, 1.0)
    theta = low + jnp.clip(share, 0.0, 1.0) * (high - low)

    def narrowed(_, carry):
        low, high, theta = carry
        value, slope = hermite(g0, slope0, g1, slope1, theta)
        low, high = jnp.where(value > 0, theta, low), jnp.where(value > 0, high, theta)
        newton = theta - value / jnp.where(slope == 0, -1.0, slope)
        inside = (newton >= low) & (newton <= high)
        return low, high, jnp.where(inside, newton, 0.5 * (low + high))

    start = jnp.broadcast_arrays(low, high, theta)
    return jax.lax.fori_loop(0, iterations, narrowed, tuple(start))[2]
