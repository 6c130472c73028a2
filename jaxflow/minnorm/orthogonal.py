"""Orthogonal inputs: minimum, network and dual in closed form, for jit and vmap."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.dataset import Dataset, require_orthogonal
from jaxflow.minnorm.interpolator import CERTIFIED, Interpolator
from jaxflow.network import ReluNetwork

ROUNDING = 16 * 2.220446049250313e-16
"""Allowance for the rounding of an inner product of unit vectors, per datum."""


def orthogonal_minimum(dataset: Dataset) -> Interpolator:
    """Minimum variation norm for orthogonal inputs, one neuron for each sign of the labels.

        value = N₊ + N₋,    N_± = sqrt(Σ_{±y_k > 0} (y_k/‖x_k‖)²),
        v_± = Σ_{±y_k > 0} (|y_k|/‖x_k‖²) x_k,   w_± = v_±/√N_±,   a_± = ±√N_±,
        β_k = (y_k/‖x_k‖²)/N_±   where ±y_k > 0,   β_k = 0 where y_k = 0.

    The lower bound does not use the value: it is Σ_k β_k y_k over the maximum of the dual function
    (see `dual_maximum`). A sign without labels keeps a neuron of weight zero, so that data sets of
    one shape can be batched.

    Raises:
        ValueError: inputs that are not orthogonal.

    Source: arXiv 2206.00939, Section 3 and its appendix on minimum-norm interpolators.
    """
    require_orthogonal(dataset, "the closed form of the minimum variation norm")
    direction, length = _directions_and_lengths(dataset.x)
    size = dataset.y / length
    positive, negative = _of_one_sign(size, +1), _of_one_sign(size, -1)
    norms = jnp.stack([_norm(positive), _norm(negative)])
    dual = _unit(positive) / length + _unit(negative) / length
    dual = dual / dual_maximum(dataset, dual)
    lower_bound = jnp.sum(dual * dataset.y)
    return Interpolator(
        dataset=dataset,
        value=jnp.sum(norms),
        network=_two_neurons(direction, positive, negative, norms),
        dual=dual,
        lower_bound=lower_bound,
        rigorous_bound=lower_bound,
        label_cost=1 / length,
        status=CERTIFIED,
        unique=True,
    )


def dual_maximum(dataset: Dataset, dual: Float[Array, " n"]) -> Float[Array, ""]:
    """Upper bound of |Σ_k β_k max(⟨w, x_k⟩, 0)| over all unit vectors w, for orthogonal inputs.

        M = max(sqrt(Σ_{β_k>0} β_k²‖x_k‖²), sqrt(Σ_{β_k<0} β_k²‖x_k‖²)) · sqrt(1 + (n − 1) c)

    The last factor makes the bound hold for inputs that are orthogonal only to rounding: c is the
    largest cosine between two inputs plus an allowance for computing it (Gershgorin's discs for
    the Gram matrix). It is one where the dual vanishes.
    """
    direction, length = _directions_and_lengths(dataset.x)
    size = dual * length
    maximum = jnp.maximum(_norm(_of_one_sign(size, +1)), _norm(_of_one_sign(size, -1)))
    cosines = jnp.abs(direction @ direction.T) * (1 - jnp.eye(dataset.n))
    widening = jnp.sqrt(1 + (dataset.n - 1) * jnp.max(cosines) + dataset.n * ROUNDING)
    return jnp.where(maximum > 0, maximum * widening, 1.0)


def _directions_and_lengths(
    x: Float[Array, "n d"],
) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
    """x_k/‖x_k‖ and ‖x_k‖, without overflow or underflow of the squares."""
    largest = jnp.max(jnp.abs(x), axis=1, keepdims=True)
    scaled = x / largest
    length = jnp.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / length, (largest * length)[:, 0]


def _of_one_sign(size: Float[Array, " n"], sign: int) -> Float[Array, " n"]:
    return jnp.where(sign * size > 0, size, 0.0)


def _norm(size: Float[Array, " n"]) -> Float[Array, ""]:
    """Euclidean norm without overflow or underflow of the squares."""
    largest = jnp.max(jnp.abs(size))
    safe = jnp.where(largest > 0, largest, 1.0)
    return largest * jnp.sqrt(jnp.sum((size / safe) ** 2))


def _unit(size: Float[Array, " n"]) -> Float[Array, " n"]:
    """size/‖size‖, zero where it is zero."""
    norm = _norm(size)
    return size / jnp.where(norm > 0, norm, 1.0)


def _two_neurons(direction, positive, negative, norms: Float[Array, " 2"]) -> ReluNetwork:
    w = jnp.stack([_unit(positive), -_unit(negative)]) @ direction
    root = jnp.sqrt(norms)
    return ReluNetwork(w * root[:, None], jnp.array([1.0, -1.0]) * root)
