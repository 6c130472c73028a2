"""For how long an error bound that grows with time allows a closed form."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

NEWTON_STEPS = 8
CLOSE = 0.01
"""The logarithm of a bound needs no better."""
NEAR = 0.1
"""Where it was this close before the last step of Newton's method, that has found the span."""


def bounded_span(
    log_bound: Callable[[Float[Array, ""]], tuple[Float[Array, ""], Float[Array, ""]]],
    goal: Float[Array, ""],
    guess: Float[Array, ""],
) -> Float[Array, ""]:
    """The span of time after which the logarithm of a bound is at its goal; 0 if it is not found.

    `log_bound` gives it with its rate of growth. One that would never come there allows the
    guess. Newton's method shortens a span to a fifth of it at most.
    """

    def newton(carry):
        span, steps, _ = carry
        value, rate = log_bound(span)
        off = goal - value
        never = (off > 0) & ~jnp.isfinite(off / rate)
        change = jnp.where(jnp.isfinite(off / rate), off / rate, 0.0)
        return jnp.maximum(span + change, 0.2 * span), steps + 1, jnp.where(never, 0.0, off)

    def unfinished(carry):
        _, steps, off = carry
        return ~(jnp.abs(off) <= CLOSE) & (steps < NEWTON_STEPS)

    first = (guess, jnp.array(0), jnp.array(jnp.inf))
    span, _, off = jax.lax.while_loop(unfinished, newton, first)
    return jnp.where((jnp.abs(off) <= NEAR) & jnp.isfinite(span), span, 0.0)
