"""The state of one run while it is being integrated."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow.flow.activation import Modes
from jaxflow.flow.coordinates import Balance, State
from jaxflow.flow.log import DeathTable, EventBuffer
from jaxflow.flow.status import Status


class Counts(eqx.Module):
    """Step statistics of a run."""

    accepted: Int[Array, ""]
    rejected: Int[Array, ""]
    landings: Int[Array, ""]
    frozen: Int[Array, ""]

    @property
    def attempted(self) -> Int[Array, ""]:
        """Runge-Kutta steps computed: accepted, rejected, and those repeated to meet an event."""
        return self.accepted + self.rejected + self.landings


class Landing(eqx.Module):
    """A step being repeated so that it ends exactly at a change of mode.

    It lies between the lengths `low`, where no margin was below zero, and `high`, where one was,
    infinite as long as that has not been seen.
    """

    on: Bool[Array, ""]
    step: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    pair: Int[Array, ""]
    tries: Int[Array, ""]


class Lane(eqx.Module):
    """One run: where it is and how it stands.

    `stiff`: steps are implicit (see `collocation`); `r` are then the residuals that the last one
    has led to, see `known_residual`; None on orthogonal inputs. From `look` accepted steps on it is
    looked at whether they should be. `quiet`: on orthogonal inputs steps need not be ready for a
    change of mode until one comes near (see `jaxflow.flow.quiet`). `thawed`: the residual is known
    not to be frozen.
    """

    t: Float[Array, ""]
    state: State
    modes: Modes
    log: DeathTable | EventBuffer
    balance: Balance
    step: Float[Array, ""]
    stiff: Bool[Array, ""]
    r: Float[Array, " n"] | None
    look: Int[Array, ""]
    landing: Landing
    quiet: Bool[Array, ""]
    thawed: Bool[Array, ""]
    counts: Counts
    status: Int[Array, ""]

    @property
    def running(self) -> Bool[Array, ""]:
        """Whether the run goes on."""
        return self.status == Status.running


def on_their_way(lanes: Lane) -> Bool[np.ndarray, "*runs"]:
    """Which of one or more runs go on, for a decision on the host, without a program for it."""
    return np.asarray(lanes.status) == Status.running


class Record(eqx.Module):
    """States and modes at the save times reached so far; none when the end is sought."""

    seeking: Bool[Array, ""]
    saved: Int[Array, ""]
    states: Float[Array, "T q+2 m"]
    modes: Int[Array, "T n m"]


def not_landing() -> Landing:
    """No event in sight."""
    zero = jnp.array(0.0)
    return Landing(jnp.array(False), zero, zero, jnp.array(jnp.inf), jnp.array(0), jnp.array(0))


def no_counts() -> Counts:
    """Nothing done yet."""
    zero = jnp.array(0)
    return Counts(zero, zero, zero, zero)
