"""Random initialisations of a network, at any scale λ down to far below the least float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.network import ReluNetwork, split_exponential
from jaxflow.precision import require_float64
from jaxflow.validation import (
    finite_number,
    is_traced,
    positive_integer,
    positive_number,
    random_key,
)


def balanced(
    key: Array,
    width: int,
    dim: int,
    *,
    scale: float | None = None,
    log_scale: float | None = None,
    bias: bool = False,
) -> ReluNetwork:
    """Balanced initialisation: w_j ~ λ N(0, I)/sqrt(m d'), a_j = ±‖w_j‖, signs equally likely.

    m is the width and d' the number of features: `dim`, less one with `bias=True`, where the last
    input is the constant 1.

    Args:
        key: random key.
        width: number m of neurons.
        dim: input dimension d, the bias coordinate included.
        scale: λ > 0; or
        log_scale: log λ, any finite number, for scales below 1e-308.
        bias: whether the last input coordinate is the constant 1.

    Raises:
        ValueError: width or dim below one, scale ≤ 0, neither or both of scale and log_scale.

    Source: arXiv 2206.00939, equation 3 and its experiments.
    """
    return unbalanced(key, width, dim, ratio=1.0, scale=scale, log_scale=log_scale, bias=bias)


def unbalanced(
    key: Array,
    width: int,
    dim: int,
    *,
    ratio: float,
    scale: float | None = None,
    log_scale: float | None = None,
    bias: bool = False,
) -> ReluNetwork:
    """As `balanced`, with |a_j| = ratio · ‖w_j‖.

    A ratio of at least one is the regime in which no output weight changes sign; below one they
    may.

    Raises:
        ValueError: as `balanced`, and for a ratio that is negative.
    """
    w = _gaussian_weights(key, width, dim, bias)
    if finite_number("ratio", ratio) < 0:
        raise ValueError(f"ratio: got {ratio!r}, wanted a number of at least 0")
    signs = jax.random.rademacher(jax.random.fold_in(key, 1), (width,), dtype=jnp.float64)
    return _scaled(w, ratio * signs * jnp.linalg.norm(w, axis=1), scale, log_scale)


def gaussian(
    key: Array,
    width: int,
    dim: int,
    *,
    scale: float | None = None,
    log_scale: float | None = None,
    bias: bool = False,
) -> ReluNetwork:
    """All weights Gaussian: w_j ~ λ N(0, I)/sqrt(m d'), a_j ~ λ N(0, 1)/sqrt(m).

    Raises:
        ValueError: as `balanced`.
    """
    w = _gaussian_weights(key, width, dim, bias)
    a = jax.random.normal(jax.random.fold_in(key, 1), (width,)) / jnp.sqrt(width)
    return _scaled(w, a, scale, log_scale)


def _gaussian_weights(key: Array, width: int, dim: int, bias: bool) -> Float[Array, "m d"]:
    require_float64()
    random_key("key", key)
    width, dim = positive_integer("width", width), positive_integer("dim", dim)
    features = dim - 1 if bias else dim
    if features < 1:
        raise ValueError(f"dim: got {dim} with bias=True, wanted at least 2, one of them the bias")
    return jax.random.normal(key, (width, dim)) / jnp.sqrt(width * features)


def _scaled(w, a, scale: float | None, log_scale: float | None) -> ReluNetwork:
    if (scale is None) == (log_scale is None):
        raise ValueError(
            f"scale: got scale={scale!r} and log_scale={log_scale!r}, wanted exactly one of them"
        )
    if log_scale is not None:
        exponent, factor = split_exponential(_finite("log_scale", log_scale))
    else:
        factor, exponent = jnp.frexp(_positive("scale", scale))
    exponent = jnp.broadcast_to(exponent, a.shape)
    return ReluNetwork.from_mantissa(factor * w, factor * a, exponent)


def _finite(name: str, value) -> Float[Array, ""]:
    if is_traced(value):
        return eqx.error_if(value, ~jnp.isfinite(value), f"{name}: wanted a finite number")
    return jnp.asarray(finite_number(name, value))


def _positive(name: str, value) -> Float[Array, ""]:
    if is_traced(value):
        bad = ~(jnp.isfinite(value) & (value > 0))
        return eqx.error_if(value, bad, f"{name}: wanted a positive number")
    return jnp.asarray(positive_number(name, value))
