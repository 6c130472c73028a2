"""Whether the end of a run is of minimum variation norm, judged by a certified interval."""

from enum import IntEnum

import jax.numpy as jnp

from jaxflow.experiments.verdict import ROUNDING
from jaxflow.minnorm import Interpolator
from jaxflow.network import ReluNetwork

TOLERANCE = 1e-8
"""Excess, relative to the minimum of the data set, up to which an end counts as minimal."""


class Minimality(IntEnum):
    """What the interval of the excess shows, for the labels that the network fits.

    * `minimal`: its upper end is at most `TOLERANCE` times the minimum.
    * `not_minimal`: its lower end is above that.
    * `open`: neither, because residual is left or the network is not finite.
    * `below_the_bound`: the norm is below the certified bound, against weak duality.
    """

    minimal = 1
    not_minimal = 2
    open = 3
    below_the_bound = 4

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
    excess, bar = least.excess(network), TOLERANCE * least.value
    if excess.upper < -rounding(network, least):
        return Minimality.below_the_bound
    if excess.upper <= bar:
        return Minimality.minimal
    return Minimality.not_minimal if excess.lower > bar else Minimality.open


def rounding(network: ReluNetwork, least: Interpolator):
    """Allowance for V − Σ_k β_k h_k: |β_k h_k| ≤ V |β_k| ‖x_k‖ bounds every sum in it."""
    sizes = jnp.abs(least.dual) * jnp.linalg.norm(least.dataset.x, axis=1)
    return ROUNDING * network.variation_norm() * jnp.maximum(1.0, jnp.sum(sizes))
