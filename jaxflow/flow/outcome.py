"""What a tried step makes of a lane."""

from dataclasses import fields, replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.flow.attempt import Attempt
from jaxflow.flow.coordinates import State
from jaxflow.flow.lane import Counts, Landing, Lane


class Outcome(eqx.Module):
    """What a tried step makes of a lane, and the margins that are zero at its end."""

    t: Float[Array, ""]
    state: State
    step: Float[Array, ""]
    landing: Landing
    counts: Counts
    status: Int[Array, ""]
    hit: Bool[Array, "p m"]


def outcome_of(lane: Lane, attempt: Attempt, **changes) -> Outcome:
    """The lane as it was but for the changes."""
    kept = {f.name: getattr(lane, f.name) for f in fields(Outcome) if f.name != "hit"}
    return Outcome(**({"hit": jnp.zeros(attempt.margins[0].shape, dtype=bool)} | kept | changes))


def count(counts: Counts, **increments) -> Counts:
    """Step statistics with some of them raised."""
    return replace(counts, **{k: getattr(counts, k) + v for k, v in increments.items()})
