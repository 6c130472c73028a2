"""The record of changes of activation, kept while a run is integrated."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow.modes import codes

DIE, REVIVE, SLIDE, LEAVE_ON, LEAVE_OFF = range(5)
"""Active to inactive, inactive to active, on to the boundary, and off it to either side."""


class DeathTable(eqx.Module):
    """Orthogonal inputs: the time at which each pair died, inf if it did not."""

    times: Float[Array, "n m"]

    def add(self, t, old: Int[Array, "n m"], new: Int[Array, "n m"]) -> "DeathTable":
        """Record changes from old to new modes at the time t, which may differ by neuron."""
        died = (old == codes.ACTIVE) & (new == codes.INACTIVE)
        return DeathTable(jnp.where(died, t, self.times))

    @property
    def count(self) -> Int[Array, ""]:
        """Number of events."""
        return jnp.sum(jnp.isfinite(self.times))

    @property
    def overflown(self) -> Bool[Array, ""]:
        """Whether events were lost: never."""
        return jnp.array(False)

    def columns(self) -> tuple:
        """Times, neurons, data and kinds; the time is inf where nothing happened."""
        times = self.times.T
        neurons, data = jnp.indices(times.shape)
        kinds = jnp.full(times.size, DIE)
        return times.reshape(-1), neurons.reshape(-1), data.reshape(-1), kinds

    def events(self) -> tuple[np.ndarray, ...]:
        """Times, neurons, data and kinds of what happened, neuron after neuron."""
        times = np.asarray(self.times).T
        neurons, data = np.nonzero(np.isfinite(times))
        return times[neurons, data], neurons, data, np.full(neurons.shape, DIE)


class EventBuffer(eqx.Module):
    """Any inputs: events as they come; the count goes on when the buffer is full.

    A buffer without places only counts.
    """

    time: Float[Array, " e"]
    neuron: Int[Array, " e"]
    datum: Int[Array, " e"]
    kind: Int[Array, " e"]
    count: Int[Array, ""]

    def add_one(self, t, neuron, old: Int[Array, " n"], new: Int[Array, " n"]) -> "EventBuffer":
        """Record the changes of one neuron from old to new modes at the time t."""
        changed = old != new
        count = self.count + jnp.sum(changed)
        size = self.time.shape[0]
        if size == 0:
            return replace(self, count=count)
        place = jnp.where(changed, self.count + jnp.cumsum(changed) - 1, size)

        def written(column, values):
            values = jnp.broadcast_to(values, old.shape).astype(column.dtype)
            return column.at[place].set(values, mode="drop")

        return EventBuffer(
            written(self.time, t),
            written(self.neuron, neuron),
            written(self.datum, jnp.arange(old.size)),
            written(self.kind, _kind(old, new)),
            count,
        )

    @property
    def overflown(self) -> Bool[Array, ""]:
        """Whether events were lost for want of room."""
        return (self.count > self.time.shape[0]) & (self.time.shape[0] > 0)

    def columns(self) -> tuple:
        """Times, neurons, data and kinds; the time is inf where nothing happened."""
        return self.time, self.neuron, self.datum, self.kind

    def events(self) -> tuple[np.ndarray, ...]:
        """Times, neurons, data and kinds of what happened, as it came."""
        columns = [np.asarray(column) for column in self.columns()]
        return tuple(column[np.isfinite(columns[0])] for column in columns)


def empty_log(modes, capacity: int) -> DeathTable | EventBuffer:
    """A log with room for `capacity` events; orthogonal inputs need and have one place a pair."""
    if modes.slide is None:
        return DeathTable(jnp.full(modes.active.shape, jnp.inf))
    blank = jnp.full(capacity, -1)
    return EventBuffer(jnp.full(capacity, jnp.inf), blank, blank, blank, jnp.array(0))


def _kind(old, new):
    on, off = new == codes.ACTIVE, new == codes.INACTIVE
    left = jnp.where(on, LEAVE_ON, LEAVE_OFF)
    crossed = jnp.where(off, DIE, REVIVE)
    return jnp.where(on | off, jnp.where(old == codes.SLIDING, left, crossed), SLIDE)
