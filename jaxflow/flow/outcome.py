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
    stiff: Bool[Array, ""]
    r: Float[Array, " n"] | None
    look: Int[Array, ""]
    landing: Landing
    counts: Counts
    status: Int[Array, ""]
    hit: Bool[Array, "p m"]


def outcome_of(lane: Lane, attempt: Attempt, **changes) -> Outcome:
    """The lane as it was but for the changes."""
    nobody = jnp.zeros(attempt.step.margins[0].shape, dtype=bool)
    return Outcome(**({"hit": nobody} | _of_a_lane(lane) | changes))


def moved(lane: Lane, outcome: Outcome) -> Lane:
    """The lane with what became of it, changes of mode apart."""
    return replace(lane, **_of_a_lane(outcome))


def _of_a_lane(source: Lane | Outcome) -> dict:
    return {f.name: getattr(source, f.name) for f in fields(Outcome) if f.name != "hit"}


def count(counts: Counts, **increments) -> Counts:
    """Step statistics with some of them raised."""
    return replace(counts, **{k: getattr(counts, k) + v for k, v in increments.items()})
