"""The least-norm force over coefficients in a box: bounded least squares by an active-set method.

    minimise ‖f + Σ_k b_k v_k‖   over   lower_k ≤ b_k ≤ upper_k

after Stark and Parker, "Bounded-variable least squares: an algorithm and applications",
Computational Statistics 10 (1995), 129-141, which extends Lawson and Hanson's NNLS (1974). Instead
of a factorisation, the dual basis of the free vectors is carried along: one rank-one update a
pivot, and no cubic work.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Slopes of at most this times the sum of the forces that cancel in them are zero."""


BOUNCE = 1e4
"""A refused vector is let in again only if its slope is this many times the rounding level."""


class ActiveSet(eqx.Module):
    """Coefficients b, which of them are strictly inside their bounds, and the dual basis of these.

    The rows E of `dual` lie in the span of the free vectors, ⟨E_k, v_l⟩ = δ_kl for free k, l, and
    are zero for the others; `refused` marks vectors that rounding alone made attractive; `scale` is
    the largest sum of forces that cancelled on the way, which sets the level of rounding.
    """

    coefficient: Float[Array, " s"]
    free: Bool[Array, " s"]
    dual: Float[Array, "s q"]
    refused: Bool[Array, " s"]
    scale: Float[Array, ""]
    joined: Int[Array, ""]
    pivots: Int[Array, ""]
    optimal: Bool[Array, ""]

    @classmethod
    def at_bounds(
        cls, vectors: Float[Array, "s q"], coefficient: Float[Array, " s"]
    ) -> "ActiveSet":
        """Start of the iteration: every coefficient at one of its bounds, none free."""
        nobody = jnp.zeros(coefficient.shape, dtype=bool)
        return cls(
            coefficient=coefficient,
            free=nobody,
            dual=jnp.zeros_like(vectors),
            refused=nobody,
            scale=jnp.asarray(0.0),
            joined=jnp.asarray(-1),
            pivots=jnp.asarray(0),
            optimal=jnp.asarray(False),
        )

    @property
    def rounding(self) -> Float[Array, ""]:
        """Components of the total force of at most this size are zero."""
        return ROUNDING * self.scale


class Box(eqx.Module):
    """The vectors v_k, of unit length or zero, the bounds of their coefficients, and the force f.

    `force_size` is the sum of the lengths of the forces that f is made of.
    """

    vectors: Float[Array, "s q"]
    lower: Float[Array, " s"]
    upper: Float[Array, " s"]
    force: Float[Array, " q"]
    force_size: Float[Array, ""]

    def total(self, coefficient: Float[Array, " s"]) -> Float[Array, " q"]:
        """f + Σ_k b_k v_k."""
        return self.force + coefficient @ self.vectors

    def size(self, coefficient: Float[Array, " s"]) -> Float[Array, ""]:
        """Sum of the lengths of all forces that may cancel in the total."""
        return self.force_size + jnp.sum(jnp.abs(coefficient))


def pivot(box: Box, state: ActiveSet) -> ActiveSet:
    """Step towards the minimiser on the free set; stop the first to leave the box, or free one.

    Repeated until `optimal`, this minimises ‖f + Σ_k b_k v_k‖ over the box from a feasible start.
    Free vectors stay linearly independent, because a vector in their span has slope zero. Every
    full step lowers the norm, so that no active set returns and the iteration ends; where rounding
    bounces a vector back that it has just freed, the vector is refused from then on.
    """
    target, force = _minimiser_on_free(box, state)
    scale = jnp.maximum(state.scale, jnp.maximum(box.size(state.coefficient), box.size(target)))
    rounding = ROUNDING * scale
    fraction, bound = _fraction_to_bound(box, state, target, rounding)
    evict = jnp.any(fraction < jnp.inf)
    pull = _pull_inwards(box, state, force)
    join = ~evict & jnp.any(pull > jnp.where(state.refused, BOUNCE, 1.0) * rounding)
    k = jnp.where(evict, jnp.argmin(fraction), jnp.argmax(pull))

    moved = state.coefficient + jnp.minimum(fraction[k], 1.0) * (target - state.coefficient)
    here = jnp.arange(state.free.shape[0]) == k
    changed = here & (evict | join)
    bounced = evict & (k == state.joined) & (fraction[k] <= 0)
    return ActiveSet(
        coefficient=jnp.where(here & evict, bound, jnp.where(state.free, moved, target)),
        free=state.free ^ changed,
        dual=exchanged(box.vectors, state.dual, k, evict, join),
        refused=state.refused | (here & bounced),
        scale=scale,
        joined=jnp.where(join, k, jnp.where(evict, state.joined, -1)),
        pivots=state.pivots + 1,
        optimal=~evict & ~join,
    )


def _minimiser_on_free(box: Box, state: ActiveSet):
    """Coefficients that make the force orthogonal to the free vectors, refined once, and it."""
    target = state.coefficient - state.dual @ box.total(state.coefficient)
    target = target - state.dual @ box.total(target)
    return target, box.total(target)


def _fraction_to_bound(box: Box, state: ActiveSet, target: Float[Array, " s"], rounding):
    """Part of the step at which each coefficient meets a bound (infinite if it does not).

    A coefficient that its own rounding, ‖E_k‖ times that of the force, puts at a bound is there.
    """
    margin = 0.5 * rounding * jnp.linalg.norm(state.dual, axis=1)
    low, high = target < box.lower + margin, target > box.upper - margin
    bound = jnp.where(low, box.lower, box.upper)
    meets = state.free & (low | high)
    way = jnp.where(meets, bound - state.coefficient, 0.0)
    step = jnp.where(meets, target - state.coefficient, 1.0)
    fraction = jnp.where(way == 0, 0.0, way / jnp.where(step == 0, 1.0, step))
    return jnp.where(meets, fraction, jnp.inf), bound


def _pull_inwards(box: Box, state: ActiveSet, force: Float[Array, " q"]) -> Float[Array, " s"]:
    """How fast the norm falls as a coefficient moves off its bound into the box."""
    slope = box.vectors @ force
    inwards = jnp.where(state.coefficient <= box.lower, -slope, slope)
    return jnp.where(~state.free & (box.lower < box.upper), inwards, -jnp.inf)


def rejected(
    vectors: Float[Array, "s q"], dual: Float[Array, "s q"], x: Float[Array, " q"]
) -> Float[Array, " q"]:
    """Part of x orthogonal to the free vectors, x − Σ_k ⟨E_k, x⟩ v_k, taken twice."""
    x = x - (dual @ x) @ vectors
    return x - (dual @ x) @ vectors


def exchanged(vectors, dual, k, evict, join) -> Float[Array, "s q"]:
    """Dual basis after vector k has left (`evict`) or entered (`join`) the free set.

    Entering, with e = v_⊥/‖v_⊥‖²: E_l ← E_l − ⟨E_l, v_k⟩ e, E_k ← e.
    Leaving, with e = E_k: E_l ← E_l − ⟨E_l, e⟩ e/‖e‖², E_k ← 0.
    """
    across = rejected(vectors, dual, vectors[k])
    axis = jnp.where(join, across, dual[k])
    square = axis @ axis
    axis_dual = axis / jnp.where(square > 0, square, 1.0)
    partner = jnp.where(join, vectors[k], dual[k])
    updated = dual - jnp.outer(dual @ partner, axis_dual)
    updated = updated.at[k].set(jnp.where(join, axis_dual, 0.0))
    return jnp.where(evict | join, updated, dual)
