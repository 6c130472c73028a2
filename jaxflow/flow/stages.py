"""One step of an explicit Runge-Kutta method, its stages one after the other.

The method is a solver of diffrax: its tableau and its dense output are used as they are. Only the
stages are written here, k_i = h f(z + Σ_l a_il k_l), because the state is small: the general step
of diffrax, which serves any kind of method, takes two to four times as long. The stages are turns
of a loop over all slopes, those to come being zero: written out one after the other, the slopes
would be computed again for every sum that they are in.
"""

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from jaxflow.flow.rows import weighted_sum


def runge_kutta_step(
    solver: diffrax.AbstractERK,
    field: Callable[[PyTree], PyTree],
    start: PyTree[Float[Array, "..."]],
    length: Float[Array, ""],
) -> tuple[PyTree, PyTree, PyTree]:
    """The end of a step, the estimate of its error, and the slopes of all stages times the
    step, stacked.

    The last slope is that at the end: the method has to be first-same-as-last.
    """
    tableau = solver.tableau
    lower, count = jnp.asarray(_lower_triangle(tableau)), len(tableau.b_sol)

    def way(weights, slopes):
        return jax.tree.map(lambda k: weighted_sum(weights, k), slopes)

    def moved(weights, slopes):
        return jax.tree.map(jnp.add, start, way(weights, slopes))

    def stage(i, slopes):
        here = field(moved(lower[i], slopes))
        return jax.tree.map(lambda k, slope: k.at[i].set(length * slope), slopes, here)

    slopes = jax.tree.map(lambda z: jnp.zeros((count, *z.shape)), start)
    slopes = jax.lax.fori_loop(0, count, stage, slopes)
    end = moved(np.asarray(tableau.b_sol), slopes)
    return end, way(np.asarray(tableau.b_error), slopes), slopes


def _lower_triangle(tableau) -> Float[np.ndarray, "s s"]:
    """a_il of a tableau as a matrix."""
    rows = [np.zeros(0), *tableau.a_lower]
    return np.stack([np.pad(row, (0, len(rows) - len(row))) for row in rows])


def dense_weights(solver: diffrax.AbstractERK, fraction: Float[Array, ""]) -> Float[Array, " s"]:
    """The weights c_l(θ) with which z(θ) = z(0) + Σ_l c_l k_l at a fraction θ of the step.

    The coefficients that diffrax has for Dormand-Prince 8(7) miss the end by 1e-12 of a slope; this
    is taken off in proportion, so that the dense output is exact at both ends.
    """
    last = jnp.asarray(solver.tableau.b_sol)
    count = last.shape[0]
    course = solver.interpolation_cls(
        t0=jnp.zeros(()), t1=jnp.ones(()), y0=jnp.zeros(count), y1=last, k=jnp.eye(count)
    )
    missed = last - course.evaluate(jnp.ones(()))
    return course.evaluate(fraction) + fraction * missed


def weights_to_the_end(
    solver: diffrax.AbstractERK, fraction: Float[Array, ""]
) -> Float[Array, " s"]:
    """The weights d_l(θ) with which z(θ) = z(1) + Σ_l d_l k_l; exactly zero at the end."""
    return dense_weights(solver, fraction) - dense_weights(solver, jnp.ones(()))
