"""Pieces of work that are done only where they are wanted, under `vmap` too."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

Value = TypeVar("Value")


def once_if(condition: Bool[Array, ""], change: Callable[[Value], Value], value: Value) -> Value:
    """`change(value)` where the condition holds, `value` elsewhere.

    A loop of at most one turn: a batch in which the condition nowhere holds takes no time, which
    `jax.lax.cond` would not give, and what is not changed is not copied.
    """

    def changed(carry):
        return change(carry[0]), jnp.array(False)

    return jax.lax.while_loop(lambda carry: carry[1], changed, (value, condition))[0]
