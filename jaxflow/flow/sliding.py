"""The boundaries on which neurons slide: dual bases in few slots, neurons along the fastest axis.

A neuron slides on few of the n boundaries, and on different ones than its neighbours. Rows of the
dual bases of all neurons, one slot of all neurons after the other, are read in every stage of every
step; slots that nobody uses are not.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

CHUNK = 4
"""Slots that are read together."""


class SlidingBasis(eqx.Module):
    """Dual bases of the inputs x_k on whose boundaries neurons slide.

    Slot i of neuron j belongs to the datum k = datum[i, j] and holds the row E_k of the dual basis,
    ⟨E_k, x_l⟩ = δ_kl over the neuron's sliding data. The slots in use, `used` of each neuron, come
    first; the others hold zeros. Sliding inputs are linearly independent, so that min(n, q) slots
    always suffice.
    """

    rows: Float[Array, "s q m"]
    datum: Int[Array, "s m"]
    used: Int[Array, " m"]
    n: int = eqx.field(static=True)

    @classmethod
    def nowhere(cls, m: int, n: int, q: int) -> "SlidingBasis":
        """Nobody slides."""
        slots = min(n, q)
        slots = slots if slots <= CHUNK else -(-slots // CHUNK) * CHUNK
        datum = jnp.zeros((slots, m), dtype=jnp.int32)
        return cls(jnp.zeros((slots, q, m)), datum, jnp.zeros(m, dtype=jnp.int32), n)

    def coefficients(self, force: Float[Array, "q m"]) -> Float[Array, "n m"]:
        """b = −E F by datum, zero where the neuron does not slide."""
        data = jnp.arange(self.n)[:, None]

        def add_slots(total, rows, datum):
            along = jnp.sum(rows * force, axis=1)
            mine = [jnp.where(data == k, a, 0.0) for k, a in zip(datum, along, strict=True)]
            return total - sum(mine)

        def add_chunk(i, total):
            slots = (self.rows, self.datum)
            chunk = (jax.lax.dynamic_slice_in_dim(s, i * CHUNK, CHUNK) for s in slots)
            return add_slots(total, *chunk)

        nothing = jnp.zeros((self.n, force.shape[1]))
        if self.rows.shape[0] <= 2 * CHUNK:
            return add_slots(nothing, self.rows, self.datum)
        chunks = (jnp.max(self.used) + CHUNK - 1) // CHUNK
        return jax.lax.fori_loop(0, chunks, add_chunk, nothing)

    def of(self, j: Int[Array, ""]) -> Float[Array, "n q"]:
        """Dual basis of neuron j by datum, zero rows for the others."""
        rows, used = self.rows[:, :, j], jnp.arange(self.rows.shape[0]) < self.used[j]
        place = jnp.where(used, self.datum[:, j], self.n)
        return jnp.zeros((self.n, rows.shape[1])).at[place].set(rows, mode="drop")

    def replaced(
        self, j: Int[Array, ""], free: Bool[Array, " n"], dual: Float[Array, "n q"]
    ) -> "SlidingBasis":
        """Neuron j slides on the data `free`, whose dual basis is `dual`."""
        order = jnp.argsort(~free, stable=True)[: self.rows.shape[0]]
        order = jnp.pad(order, (0, self.rows.shape[0] - order.shape[0]))
        count = jnp.sum(free)
        used = jnp.arange(order.shape[0]) < count
        rows = jnp.where(used[:, None], dual[order], 0.0)
        return SlidingBasis(
            rows=self.rows.at[:, :, j].set(rows),
            datum=self.datum.at[:, j].set(jnp.where(used, order, 0).astype(jnp.int32)),
            used=self.used.at[j].set(count.astype(jnp.int32)),
            n=self.n,
        )
