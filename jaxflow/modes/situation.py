"""One neuron on some of its boundaries, and the kinds of boundaries it can be on.

All vectors are unit vectors v_k of the boundaries on which the neuron sits (`s` slots, padded by
zero vectors), with the jump J_k of n·D along v_k across each; f is what acts off the boundary.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.modes.boundaries import Boundaries
from jaxflow.modes.codes import ACTIVE, INACTIVE, SLIDING
from jaxflow.modes.least_norm import Box


class Situation(eqx.Module):
    """Sign of a, vectors, jumps, modes until now, directions, and the force f with its rate."""

    sign: Float[Array, ""]
    vectors: Float[Array, "s q"]
    jump: Float[Array, " s"]
    jump_rate: Float[Array, " s"]
    mode: Int[Array, " s"]
    direction: Int[Array, " s"]
    force: Float[Array, " q"]
    size: Float[Array, ""]
    force_rate: Float[Array, " q"]
    rate_size: Float[Array, ""]

    @property
    def attracting(self) -> Bool[Array, " s"]:
        """a J < 0: both sides may push towards the boundary."""
        return self.sign * self.jump < 0

    @property
    def repelling(self) -> Bool[Array, " s"]:
        """a J > 0: both sides may push away from the boundary."""
        return self.sign * self.jump > 0

    @property
    def staying(self) -> Bool[Array, " s"]:
        """Sliding on a boundary that has become repelling, because a changed its sign."""
        return self.repelling & (self.mode == SLIDING) & (self.direction == 0)

    @property
    def leaving(self) -> Bool[Array, " s"]:
        """Sliding on an attracting boundary until now, and said to leave."""
        return self.attracting & (self.mode == SLIDING) & (self.direction != 0)

    @property
    def first_boxed(self) -> Bool[Array, " s"]:
        """Boundaries whose α the least norm chooses; the others are pinned to one side."""
        return (self.attracting & ~self.leaving) | self.staying

    @property
    def first_side(self) -> Bool[Array, " s"]:
        """Keep the direction of motion; without one keep the mode, inactive at the start."""
        return jnp.where(self.direction != 0, self.direction > 0, self.mode == ACTIVE)

    def box(self, side: Bool[Array, " s"], boxed: Bool[Array, " s"]) -> Box:
        """Bounds of b_k = α_k J_k: between 0 and J_k, or one value where the side is pinned."""
        pinned = side * self.jump
        lower = jnp.where(boxed, jnp.minimum(self.jump, 0.0), pinned)
        upper = jnp.where(boxed, jnp.maximum(self.jump, 0.0), pinned)
        return Box(self.vectors, lower, upper, self.force, self.size)

    def box_of_rates(
        self, alpha: Float[Array, " s"], free: Bool[Array, " s"], idle: Bool[Array, " s"]
    ) -> Box:
        """Bounds of db_k/dt: none for free α, one-sided for idle ones (at a bound, velocity 0)."""
        fixed = alpha * ~free * self.jump_rate
        inwards = jnp.where(alpha > 0.5, -1.0, 1.0) * jnp.sign(self.jump)
        return Box(
            vectors=self.vectors,
            lower=jnp.where(free | (idle & (inwards < 0)), -jnp.inf, 0.0),
            upper=jnp.where(free | (idle & (inwards > 0)), jnp.inf, 0.0),
            force=self.force_rate + fixed @ self.vectors,
            force_size=self.rate_size + jnp.sum(jnp.abs(fixed)),
        )


def situation(a, boundaries: Boundaries, r, r_rate, mode, acting, direction, index) -> Situation:
    """Gather the boundary set into slots of unit vectors; sum the force of all that acts off it."""
    norms = jnp.linalg.norm(boundaries.rows, axis=1)
    unit = boundaries.rows / norms[:, None]

    def gathered(values, fill):
        return values.at[index].get(mode="fill", fill_value=fill)

    def forces(residual):
        jump = boundaries.jump(residual) * norms
        outside = boundaries.offset(residual) * norms + acting * jump
        return gathered(jump, 0.0), outside @ unit, jnp.sum(jnp.abs(outside))

    jump, force, size = forces(r)
    jump_rate, force_rate, rate_size = forces(r_rate)
    return Situation(
        sign=jnp.sign(a),
        vectors=gathered(unit, 0.0),
        jump=jump,
        jump_rate=jump_rate,
        mode=gathered(mode, INACTIVE),
        direction=gathered(direction, 0),
        force=force,
        size=size,
        force_rate=force_rate,
        rate_size=rate_size,
    )
