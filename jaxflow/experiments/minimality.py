"""Whether the end of a run is of minimum variation norm, judged by a certified interval."""

from enum import IntEnum

import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.experiments.verdict import ROUNDING
from jaxflow.minnorm import Excess, Interpolator
from jaxflow.network import ReluNetwork

TOLERANCE = 1e-8
"""Excess, relative to the minimum of the data set, up to which an end counts as minimal."""


class Minimality(IntEnum):
    """What the interval of the excess shows: the last of these that holds.

    * `not_run`: there is no end.
    * `open`: none of the others, because the interval is too wide or the network is not finite.
    * `minimal`: its upper end is at most `TOLERANCE` times the minimum.
    * `unfitted`: labels are missed by so much that the minimum for the outputs may differ from that
      of the data set by more than that; such an end says nothing of interpolators.
    * `not_minimal`: its lower end is above that.
    * `below_the_bound`: the norm is below the certified bound, against weak duality.
    """

    not_run = 0
    open = 1
    minimal = 2
    unfitted = 3
    not_minimal = 4
    below_the_bound = 5

    def __str__(self) -> str:
        return self.name.replace("_", " ")


def minimality(network: ReluNetwork, least: Interpolator) -> Minimality:
    """Judge V − V*(h) in [lower, upper] by `Interpolator.excess`, h being the outputs.

    Args:
        network: the end of a run.
        least: the minimum for the data set of that run.

    Raises:
        ValueError: the network takes inputs of another dimension than the data set's.
    """
    return Minimality(int(judged(least.excess(network), least)))


def judged(excess: Excess, least: Interpolator) -> Int[np.ndarray, "*runs"]:
    """The `Minimality` of many ends on one data set, as integers."""
    bar = TOLERANCE * float(least.value)
    below = np.asarray(excess.upper) < -np.asarray(rounding(excess.norm, least))
    above = np.asarray(excess.lower) > bar
    unfitted = np.asarray(excess.label_change) > bar
    within = np.asarray(excess.upper) <= bar
    words = (
        Minimality.below_the_bound,
        Minimality.not_minimal,
        Minimality.unfitted,
        Minimality.minimal,
    )
    return np.select([below, above, unfitted, within], words, Minimality.open).astype(np.int8)


def rounding(norm: Float[Array, "*runs"], least: Interpolator) -> Float[Array, "*runs"]:
    """Allowance for V − Σ_k β_k h_k: |β_k h_k| ≤ V |β_k| ‖x_k‖ bounds every sum in it."""
    sizes = np.abs(least.dual) * np.linalg.norm(least.dataset.x, axis=1)
    return ROUNDING * norm * max(1.0, float(np.sum(sizes)))
