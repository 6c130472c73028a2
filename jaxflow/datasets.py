"""Named data sets of the literature and random families."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxflow.dataset import Dataset
from jaxflow.network import ReluNetwork, outputs
from jaxflow.precision import require_float64
from jaxflow.validation import finite_number, positive_integer, random_key


def toy() -> Dataset:
    """Two orthogonal points (−1/2, 1), (2, 1) with labels −1, 1; the last coordinate is the bias.

    Source: arXiv 2206.00939, Figures 2 and 3.
    """
    require_float64()
    return Dataset([[-0.5, 1.0], [2.0, 1.0]], [-1.0, 1.0], name="toy")


def five_points() -> Dataset:
    """Five points on the line with a bias coordinate, not orthogonal: neurons slide.

    Source: arXiv 2206.00939, Figure 4.
    """
    require_float64()
    x = np.array([-1.5, -1.0, 0.0, 0.25, 2.0])
    y = np.array([0.7, -0.3, -0.3, 0.4, 0.2])
    return Dataset(np.stack([x, np.ones_like(x)], axis=1), y, name="five points")


def three_points() -> Dataset:
    """Three points on the line with a bias coordinate where the flow can stop at a spurious point.

    Source: arXiv 2401.10791.
    """
    require_float64()
    x = np.array([-0.75, -0.5, 0.125])
    y = np.array([1.1, 0.1, 0.8])
    return Dataset(np.stack([x, np.ones_like(x)], axis=1), y, name="three points")


def gaussian_teacher(key: Array, n: int, d: int, neurons: int) -> Dataset:
    """Gaussian inputs x_k ~ N(0, I) labelled by a random ReLU network.

    The teacher's hidden weights are uniform on the unit sphere and its output weights are
    ±1/sqrt(neurons), signs equally likely. A datum on which no teacher neuron is active has the
    label zero.

    Args:
        key: random key.
        n, d, neurons: number of data, dimension, and width of the teacher.

    Raises:
        ValueError: a number below one, or no random key.

    Source: the setting of arXiv 2206.00939, Figures 6 and 7 (n = 75, d = 150, 6 neurons).
    """
    require_float64()
    random_key("key", key)
    n, d = positive_integer("n", n), positive_integer("d", d)
    neurons = positive_integer("neurons", neurons)
    key_x, key_w, key_a = jax.random.split(key, 3)
    x = jax.random.normal(key_x, (n, d))
    w = jax.random.normal(key_w, (neurons, d))
    w = w / jnp.linalg.norm(w, axis=1, keepdims=True)
    a = jax.random.rademacher(key_a, (neurons,), dtype=jnp.float64) / jnp.sqrt(neurons)
    return Dataset(x, outputs(ReluNetwork(w, a), x), name=f"gaussian teacher n={n} d={d}")


def random_orthogonal(
    key: Array,
    n: int,
    d: int,
    *,
    norms: tuple[float, float] = (0.5, 2.0),
    labels: tuple[float, float] = (0.5, 1.5),
) -> Dataset:
    """Random orthogonal inputs with norms U[norms] and labels of both signs, |y| ~ U[labels].

    The directions are the first n columns of a Haar-distributed rotation of R^d. Signs are equally
    likely, and conditioned on both occurring when n ≥ 2.

    Raises:
        ValueError: n > d, or bounds that are not positive and increasing.
    """
    require_float64()
    random_key("key", key)
    n, d = positive_integer("n", n), positive_integer("d", d)
    if n > d:
        raise ValueError(f"n: got {n}, wanted at most d = {d}: orthogonal inputs need n ≤ d")
    key_q, key_norm, key_label, key_sign = jax.random.split(key, 4)
    frame = _haar_frame(key_q, n, d)
    lengths, y = _lengths_and_labels((key_norm, key_label, key_sign), n, norms, labels)
    return Dataset(lengths * frame, y, name=f"orthogonal n={n} d={d}")


def random_correlated(
    key: Array,
    n: int,
    *,
    cosine: float,
    norms: tuple[float, float] = (0.5, 2.0),
    labels: tuple[float, float] = (0.5, 1.5),
) -> Dataset:
    """Inputs in R^(n+1) whose pairwise cosines are all ±cosine; at 0 they are orthogonal.

        x_k = ‖x_k‖ (sqrt(1 − cosine) e_k + s_k sqrt(cosine) e_(n+1)),   s_k = ±1 equally likely

    Norms, labels and signs depend on the key alone, so that data sets of one key differ in the
    cosine only. Labels and norms are drawn as in `random_orthogonal`.

    Args:
        key: random key.
        n: number of data.
        cosine: absolute cosine of every pair, at least 0 and below 1.
        norms, labels: bounds of ‖x_k‖ and |y_k|, uniform.

    Raises:
        ValueError: n below one, a cosine out of range, bounds that are not positive and increasing.
    """
    require_float64()
    random_key("key", key)
    n = positive_integer("n", n)
    cosine = finite_number("cosine", cosine)
    if not 0 <= cosine < 1:
        raise ValueError(f"cosine: got {cosine!r}, wanted at least 0 and below 1")
    key_common, key_rest = jax.random.split(key)
    signs = jax.random.rademacher(key_common, (n, 1), dtype=jnp.float64)
    own, common = np.sqrt(1 - cosine) * jnp.eye(n), np.sqrt(cosine) * signs
    lengths, y = _lengths_and_labels(jax.random.split(key_rest, 3), n, norms, labels)
    x = lengths * jnp.concatenate([own, common], axis=1)
    return Dataset(x, y, name=f"correlated n={n} cosine={cosine:g}")


def random_subspace(
    key: Array,
    n: int,
    d: int,
    *,
    rank: int,
    norms: tuple[float, float] = (0.5, 2.0),
    labels: tuple[float, float] = (0.5, 1.5),
) -> Dataset:
    """Inputs of uniform directions in a random subspace of R^d of dimension `rank`.

    Labels and norms are drawn as in `random_orthogonal`.

    Args:
        key: random key.
        n, d: number of data, and dimension.
        rank: dimension of the subspace, from 2 on; inputs on a line may have labels that no network
            fits.
        norms, labels: bounds of ‖x_k‖ and |y_k|, uniform.

    Raises:
        ValueError: sizes below one, a rank below 2 or above d, bounds that are not positive and
            increasing.
    """
    require_float64()
    random_key("key", key)
    n, d, rank = (positive_integer(*pair) for pair in (("n", n), ("d", d), ("rank", rank)))
    if not 2 <= rank <= d:
        raise ValueError(f"rank: got {rank}, wanted from 2 to d = {d}")
    key_plane, key_direction, key_rest = jax.random.split(key, 3)
    directions = jax.random.normal(key_direction, (n, rank))
    directions = directions / jnp.linalg.norm(directions, axis=1, keepdims=True)
    lengths, y = _lengths_and_labels(jax.random.split(key_rest, 3), n, norms, labels)
    x = lengths * directions @ _haar_frame(key_plane, rank, d)
    return Dataset(x, y, name=f"subspace n={n} d={d} rank={rank}")


def _lengths_and_labels(keys, n: int, norms, labels):
    """Norms (n, 1) ~ U[norms] and labels (n,) of both signs, |y| ~ U[labels], from three keys."""
    key_norm, key_label, key_sign = keys
    lengths = jax.random.uniform(key_norm, (n, 1), minval=_low(norms, "norms"), maxval=norms[1])
    sizes = jax.random.uniform(key_label, (n,), minval=_low(labels, "labels"), maxval=labels[1])
    return lengths, sizes * _signs(key_sign, n)


def _low(bounds: tuple[float, float], name: str) -> float:
    low, high = (finite_number(name, bound) for bound in bounds)
    if not 0 < low <= high:
        raise ValueError(f"{name}: got {bounds!r}, wanted two positive increasing bounds")
    return low


def _haar_frame(key: Array, n: int, d: int):
    """n orthonormal rows, Haar distributed (QR of a Gaussian matrix with the sign of R fixed)."""
    q, r = jnp.linalg.qr(jax.random.normal(key, (d, n)))
    return (q * jnp.sign(jnp.diagonal(r))).T


@partial(jax.jit, static_argnums=1)
def _signs(key: Array, n: int):
    """Random signs, drawn again until both occur when n ≥ 2."""

    def draw(key):
        return key, jax.random.rademacher(key, (n,), dtype=jnp.float64)

    def one_sided(carry):
        return jnp.abs(jnp.sum(carry[1])) == n

    def again(carry):
        return draw(jax.random.fold_in(carry[0], 1))

    first = draw(key)
    return first[1] if n == 1 else jax.lax.while_loop(one_sided, again, first)[1]
