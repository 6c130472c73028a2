"""Checks at the public boundary: every message names the argument, what came and what is wanted."""

import math
from numbers import Real

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.precision import MEND, require_float64


def is_traced(value: object) -> bool:
    """Whether `value` is known only while a program runs (under jit, vmap or grad)."""
    return isinstance(value, jax.core.Tracer)


def is_anything_traced(tree: object) -> bool:
    """Whether a leaf of `tree` is traced."""
    return any(is_traced(leaf) for leaf in jax.tree.leaves(tree))


def float64_array(name: str, value: object, shape: tuple[str | int, ...]) -> Float[Array, "..."]:
    """Check that `value` is a finite, non-empty float64 array and return it as a JAX array.

    `shape` lists the wanted axes: a name for a free length, an integer for a fixed one. Integers
    are taken as float64; float32 is refused, because its digits are already lost. A traced value
    is checked for finiteness while the program runs.

    Raises:
        ValueError: wrong type, precision, number of axes or length; NaN or infinity.
    """
    require_float64()
    array = value if is_traced(value) else _as_numeric(name, value, shape)
    wanted = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    lengths_agree = array.ndim == len(shape) and all(
        isinstance(want, str) or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not lengths_agree or 0 in array.shape:
        raise ValueError(
            f"{name}: got an array of shape {tuple(array.shape)}, wanted {wanted}, not empty"
        )
    if is_traced(array):
        return eqx.error_if(array, ~jnp.all(jnp.isfinite(array)), f"{name}: got NaN or infinity")
    if not np.all(np.isfinite(array)):
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}: got {array[at]} at index {at}, wanted finite numbers")
    ready = isinstance(value, jax.Array) and value.dtype == jnp.float64 and not value.weak_type
    return value if ready else jnp.asarray(array, dtype=jnp.float64)


def _as_numeric(name: str, value: object, shape: tuple[str | int, ...]) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:  # ragged nested lists
        raise ValueError(f"{name}: got {value!r}, wanted a rectangular array") from error
    if array.dtype == np.float64 or np.issubdtype(array.dtype, np.integer):
        return array.astype(np.float64)
    if np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            f"{name}: got {array.dtype} data, wanted float64; load it as float64 from its source, "
            f"or convert it with numpy.asarray({name}, dtype=numpy.float64) if its rounding is "
            f"acceptable. If it is a JAX array, first {MEND}"
        )
    raise ValueError(f"{name}: got data of type {array.dtype}, wanted numbers (float64)")


def positive_number(name: str, value: object) -> float:
    """Check that a concrete number is finite and positive.

    Raises:
        ValueError: not a number, not finite, or not positive.
    """
    number = finite_number(name, value)
    if number <= 0:
        raise ValueError(f"{name}: got {value!r}, wanted a positive number")
    return number


def finite_number(name: str, value: object) -> float:
    """Check that `value` is one finite real number and return it as a float.

    Raises:
        ValueError: not a number or not finite.
    """
    scalar_array = isinstance(value, np.ndarray | jax.Array) and np.ndim(value) == 0
    if isinstance(value, bool) or not (isinstance(value, Real | np.number) or scalar_array):
        raise ValueError(f"{name}: got {value!r}, wanted one finite number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name}: got {value!r}, wanted one finite number")
    return number


def positive_integer(name: str, value: object) -> int:
    """Check that `value` is an integer of at least one.

    Raises:
        ValueError: not an integer, or below one.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}: got {value!r}, wanted an integer of at least 1")
    return int(value)


def random_key(name: str, value: object) -> Array:
    """Check that `value` is one JAX random key.

    Raises:
        ValueError: anything else, an integer seed included.
    """
    new_style = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    old_style = isinstance(value, jax.Array) and value.dtype == jnp.uint32 and value.shape == (2,)
    if not (new_style and value.shape == ()) and not old_style:
        raise ValueError(
            f"{name}: got {value!r}, wanted one random key, as jax.random.key(0) gives"
        )
    return value
