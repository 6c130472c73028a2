"""The activation boundaries of a data set: the hyperplanes ⟨w, x_k⟩ = 0, each counted once."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.modes.codes import ACTIVE, INACTIVE

COLLINEAR_SINE = 1e-13
"""Inputs whose angle has at most this sine are multiples of each other, up to rounding."""


class Boundaries(eqx.Module):
    """The hyperplanes ⟨w, x_k⟩ = 0, where collinear inputs x_k = c_k e share one.

    The first input on a line, its leader, stands for e; the others are its followers. In terms of
    s = 1[⟨w, e⟩ > 0] the line contributes to n·D the vector

        Σ_k 1[c_k ⟨w, e⟩ > 0] r_k c_k e = (s J + N) e,   J = Σ_k |c_k| r_k,   N = Σ_{c_k<0} c_k r_k,

    so that it acts like one datum of residual J, the jump, beside a force N e that no mode changes.
    Arrays keep the length n; the entries of followers are ignored or zero.

    Args:
        rows: inputs in any orthonormal coordinates of their span, shape (n, q), no zero row.
        distinct: whether it is known that no two inputs are collinear, which spares all of this.
    """

    rows: Float[Array, "n q"]
    leader: Int[Array, " n"]
    ratio: Float[Array, " n"]
    distinct: bool = eqx.field(static=True)

    def __init__(self, rows: Float[Array, "n q"], distinct: bool = False):
        self.rows, self.distinct = rows, distinct
        if distinct:
            self.leader, self.ratio = jnp.arange(rows.shape[0]), jnp.ones(rows.shape[0])
            return
        norm = jnp.linalg.norm(rows, axis=1)
        unit = rows / norm[:, None]
        cosine = unit @ unit.T
        sine = jnp.linalg.norm(unit[:, None, :] - cosine[:, :, None] * unit[None, :, :], axis=-1)
        self.leader = jnp.argmax(sine <= COLLINEAR_SINE, axis=1)
        side = jnp.sign(jnp.take_along_axis(cosine, self.leader[:, None], axis=1)[:, 0])
        is_leader = self.leader == jnp.arange(rows.shape[0])
        self.ratio = jnp.where(is_leader, 1.0, side * norm / norm[self.leader])

    @property
    def is_leader(self) -> Bool[Array, " n"]:
        """Which data are the first on their line."""
        if self.distinct:
            return jnp.ones(self.leader.shape[0], dtype=bool)
        return self.leader == jnp.arange(self.leader.shape[0])

    @property
    def has_opposite(self) -> Bool[Array, " n"]:
        """Leaders with an input on their line that points the other way."""
        nowhere = jnp.zeros(self.leader.shape[0], dtype=bool)
        return nowhere if self.distinct else nowhere.at[self.leader].max(self.ratio < 0)

    def jump(self, r: Float[Array, " n"]) -> Float[Array, " n"]:
        """J = Σ_k |c_k| r_k of every leader, 0 for followers; r itself without collinear inputs."""
        if self.distinct:
            return r
        return jnp.zeros_like(r).at[self.leader].add(jnp.abs(self.ratio) * r)

    def offset(self, r: Float[Array, " n"]) -> Float[Array, " n"]:
        """N = Σ_{c_k<0} c_k r_k of every leader, 0 for followers and without opposite inputs."""
        if self.distinct:
            return jnp.zeros_like(r)
        return jnp.zeros_like(r).at[self.leader].add(jnp.minimum(self.ratio, 0.0) * r)

    def alpha_of_data(self, alpha: Float[Array, " n"]) -> Float[Array, " n"]:
        """α of every datum from that of its leader: 1 − α on the other side of the hyperplane."""
        if self.distinct:
            return alpha
        alpha = alpha[self.leader]
        return jnp.where(self.ratio > 0, alpha, 1.0 - alpha)

    def mode_of_data(self, mode: Int[Array, " n"]) -> Int[Array, " n"]:
        """Mode of every datum from that of its leader; opposite inputs swap active and inactive."""
        if self.distinct:
            return mode.astype(jnp.int8)
        mode = mode[self.leader]
        opposite = jnp.where(mode == ACTIVE, INACTIVE, jnp.where(mode == INACTIVE, ACTIVE, mode))
        return jnp.where(self.ratio > 0, mode, opposite).astype(jnp.int8)
