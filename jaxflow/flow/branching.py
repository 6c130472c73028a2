"""Pieces of work that are done only where they are wanted, under `vmap` too."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

Value = TypeVar("Value")


def once_if(
    condition: Bool[Array, ""], change: Callable[..., Value], value: Value, *given
) -> Value:
    """`change(value, *given)` where the condition holds, `value` elsewhere.

    A loop of at most one turn: a batch in which the condition nowhere holds takes no time, which
    `jax.lax.cond` would not give, and what is not changed is not copied. Whatever `change` computes
    from values that it closes over alone, the compiler may move out of the loop and do always; from
    what is `given` it cannot, because that is tied to the turn.
    """

    def changed(carry):
        value, tied, _ = jax.lax.optimization_barrier((carry[0], given, carry[1]))
        return change(value, *tied), jnp.array(False)

    return jax.lax.while_loop(lambda carry: carry[1], changed, (value, condition))[0]


def tree_where(condition: Bool[Array, ""], yes: Value, no: Value) -> Value:
    """`jax.numpy.where` for every leaf: both values are computed."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
