"""One step of an explicit Runge-Kutta method, its stages one after the other.

The method is a solver of diffrax: its tableau and its dense output are used as they are. Only the
stages are written here, k_i = h f(z + Σ_l a_il k_l), because the state is small: the general step
of diffrax, which loops over stages and serves any kind of method, takes two to four times as long.
"""

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
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

    def advance(z):
        return jax.tree.map(lambda slope: length * slope, field(z))

    def combined(weights, slopes):
        """Σ_l weights_l k_l, without the terms that vanish."""
        return jax.tree.map(lambda *leaves: weighted_sum(weights, leaves), *slopes)

    def moved(way):
        return jax.tree.map(jnp.add, start, way)

    slopes = [advance(start)]
    for row in tableau.a_lower:
        inner = jax.lax.optimization_barrier(moved(combined(row, slopes)))
        slopes.append(jax.lax.optimization_barrier(advance(inner)))
    error = combined(tableau.b_error, slopes)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *slopes)
    return moved(combined(tableau.b_sol, slopes)), error, stacked


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
