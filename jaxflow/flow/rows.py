"""Sums and extremes of arrays that have the neurons along their last axis.

`jax.numpy.sum(x, axis=0)` and the like say the same; on a CPU the compiler's own reduction across
rows takes three to ten times as long as adding or comparing whole rows, half of them with the other
half. Not so where `x` is costly to compute: the compiler may then do that once for every row.
To find the place of an extreme takes several times as long as to find it and compare.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

MANY = 64
"""Rows from which on the compiler's own reduction is used, to keep programs short."""


def sum_of_rows(x: Float[Array, "q m"]) -> Float[Array, " m"]:
    """Σ_i x_i."""
    return jnp.sum(x, axis=0) if x.shape[0] > MANY else _folded(x, jnp.add)


def largest_of_rows(x: Float[Array, "q m"]) -> Float[Array, " m"]:
    """max_i x_i, NaN where one is."""
    return jnp.max(x, axis=0) if x.shape[0] > MANY else _folded(x, jnp.maximum)


def norm_over_rows(x: Float[Array, "q m"]) -> Float[Array, " m"]:
    """sqrt(Σ_i x_i²)."""
    return jnp.sqrt(sum_of_rows(x**2))


def weighted_sum(weights, rows) -> Float[Array, " m"]:
    """Σ_i c_i x_i of rows in an array or a list, without those whose weight is known to be zero."""
    terms = (c * x for c, x in zip(weights, rows, strict=True) if not _is_zero(c))
    return sum(terms)


def weighted_sum_of_products(weights, x, y) -> Float[Array, "q m"]:
    """Σ_i (c_i x_i) y_i, likewise."""
    terms = ((c * x) * y for c, x, y in zip(weights, x, y, strict=True) if not _is_zero(c))
    return sum(terms)


def place_of_least(x: Float[Array, "..."]) -> Int[Array, ""]:
    """The first place of the smallest number of `x` in a row."""
    x = x.reshape(-1)
    places = jnp.where(x == jnp.min(x), jnp.arange(x.size), x.size - 1)
    return jnp.min(places)


def _is_zero(c) -> bool:
    return isinstance(c, np.floating) and c == 0


def _folded(x: Float[Array, "q m"], two: Callable) -> Float[Array, " m"]:
    if x.shape[0] == 1:
        return x[0]
    half = x.shape[0] // 2
    return two(_folded(x[:half], two), _folded(x[half:], two))
