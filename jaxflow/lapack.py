"""Factorisations by LAPACK, one matrix at a time on a CPU.

In jaxlib 0.10.2, the newest for Python 3.11, the factorisation of a large batch of matrices hands
shares of it to XLA's pool of threads and waits for them in a thread of that pool. Programs that run
at the same time, as the batches of an ensemble do, can so hold all threads and wait for each other
for ever. (With 0.12.0 that was not seen.) One matrix alone needs no other thread, and the loop
takes no more of a processor's time. Where JAX's default device is an accelerator, a batch stays a
batch.
"""

from collections.abc import Callable
from functools import wraps

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from jaxflow.platform import is_cpu


def _one_by_one(factorised: Callable) -> Callable:
    """A function of a matrix that `jax.vmap` turns into a loop on a CPU."""
    alone = custom_vmap(factorised)

    @alone.def_vmap
    def of_many(_, __, matrices):
        results = jax.lax.map(alone, matrices) if is_cpu() else jax.vmap(factorised)(matrices)
        return results, jax.tree.map(lambda _: True, results)

    return wraps(factorised)(alone)


@_one_by_one
def eigenvalues(matrix: Float[Array, "n n"]) -> Float[Array, " n"]:
    """Eigenvalues of a symmetric matrix, in ascending order."""
    return jnp.linalg.eigvalsh(matrix)


@_one_by_one
def eigenvalues_and_axes(
    matrix: Float[Array, "n n"],
) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Eigenvalues of a symmetric matrix, in ascending order, and eigenvectors as columns."""
    return tuple(jnp.linalg.eigh(matrix))


@_one_by_one
def largest_singular_value(matrix: Float[Array, "n d"]) -> Float[Array, ""]:
    """‖X‖_op of a matrix."""
    return jnp.linalg.norm(matrix, 2)


@_one_by_one
def orthonormal_basis(
    matrix: Float[Array, "d n"],
) -> tuple[Float[Array, "d q"], Float[Array, "q n"]]:
    """Q and R with X = Q R, Q of orthonormal columns, R upper triangular."""
    return tuple(jnp.linalg.qr(matrix))
