"""Changes of activation: when does a preactivation reach zero inside a step?

A margin g is positive while a pair keeps its mode. Within a step it is judged by the cubic that
agrees with value and slope at both ends, which also shows a minimum below zero between two positive
ends. The step is then repeated up to that time, and Newton's method on the end of the *actual*
step, never on an interpolant, brings the margin to zero to rounding.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def first_crossing(g0, slope0, g1, slope1) -> Float[Array, "..."]:
    """Fraction of the step at which the margin first becomes negative, inf if it does not.

    `slope` is the derivative times the step. Elementwise. A margin that starts at zero and grows
    has not crossed.
    """
    end = _crossing_before_end(g0, slope0, g1, slope1)
    dip = _crossing_at_dip(g0, slope0, g1, slope1)
    return jnp.where(g1 < 0, end, jnp.where((g1 >= 0) & (slope0 < 0) & (slope1 > 0), dip, jnp.inf))


def hermite(g0, slope0, g1, slope1, theta):
    """Cubic Hermite interpolant and its derivative at θ in [0, 1]."""
    rise = g1 - g0
    b, c = 3 * rise - 2 * slope0 - slope1, slope0 + slope1 - 2 * rise
    value = g0 + theta * (slope0 + theta * (b + theta * c))
    return value, slope0 + theta * (2 * b + 3 * theta * c)


def _crossing_before_end(g0, slope0, g1, slope1):
    """Root of the cubic when the margin is negative at the end: bracketed Newton iterations."""
    low, high = jnp.zeros_like(g0), jnp.ones_like(g0)
    theta = jnp.clip(g0 / jnp.where(g0 > g1, g0 - g1, 1.0), 0.0, 1.0)
    for _ in range(6):
        value, slope = hermite(g0, slope0, g1, slope1, theta)
        low, high = jnp.where(value > 0, theta, low), jnp.where(value > 0, high, theta)
        newton = theta - value / jnp.where(slope == 0, -1.0, slope)
        inside = (newton > low) & (newton < high)
        theta = jnp.where(inside, newton, 0.5 * (low + high))
    return theta


def _crossing_at_dip(g0, slope0, g1, slope1):
    """Crossing on the way to an interior minimum below zero, inf if the minimum is positive."""
    rise = g1 - g0
    b, c = 3 * rise - 2 * slope0 - slope1, slope0 + slope1 - 2 * rise
    root = jnp.sqrt(jnp.maximum(b**2 - 3 * c * slope0, 0.0))
    lowest = jnp.clip(-slope0 / jnp.maximum(b + root, 1e-300), 0.0, 1.0)
    value, _ = hermite(g0, slope0, g1, slope1, lowest)
    crossing = lowest * g0 / jnp.where(g0 > value, g0 - value, 1.0)
    return jnp.where((value < 0) & (g0 > 0), crossing, jnp.inf)
