"""Problems of different sizes made equally large, so that one compiled program serves them all.

Added neurons are active at no datum, and added data have the label zero and are seen by no neuron:
neither ever moves anything. Only the unit of time changes, because the loss is a mean over data.
"""

import jax.numpy as jnp
import numpy as np

from jaxflow.dataset import Dataset, require_orthogonal
from jaxflow.network import ReluNetwork


def padded(
    network: ReluNetwork, dataset: Dataset, n: int, width: int
) -> tuple[ReluNetwork, Dataset]:
    """The same problem with n data and `width` neurons; its flow is slower by n/dataset.n.

    What a neuron weighs off the data's span is mirrored to where the added inputs do not see it.
    This part never moves, and norms keep their values.

    Args:
        network: the initialisation.
        dataset: orthogonal inputs that leave room, n ≤ d.
        n, width: the sizes wanted.

    Raises:
        ValueError: sizes that are too small, inputs not orthogonal, or n > d.
    """
    require_orthogonal(dataset, "padding")
    if not (dataset.n <= n <= dataset.dim and network.width <= width):
        raise ValueError(
            f"n, width: got {n} and {width}, wanted {dataset.n} ≤ n ≤ d = {dataset.dim} and width "
            f"≥ {network.width}"
        )
    free = np.linalg.svd(np.asarray(dataset.x))[2][dataset.n : n]
    w = np.asarray(network.w_mantissa)
    along = w @ free.T
    w = w - (along + np.abs(along)) @ free
    blind = -np.sum(np.asarray(dataset.x), axis=0) - np.sum(free, axis=0)
    missing = width - network.width
    added = np.tile(blind / np.linalg.norm(blind), (missing, 1))
    return (
        ReluNetwork.from_mantissa(
            jnp.asarray(np.vstack([w, added])),
            jnp.concatenate([network.a_mantissa, jnp.ones(missing)]),
            jnp.concatenate(
                [network.exponent, jnp.full(missing, network.exponent[0], network.exponent.dtype)]
            ),
        ),
        Dataset(np.vstack([dataset.x, free]), np.append(dataset.y, np.zeros(n - dataset.n))),
    )
