"""Alignment: the angle of every neuron to the direction it is drawn to in the early phase."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.network import ReluNetwork
from jaxflow.theory.frozen_residual import EarlyPhase
from jaxflow.validation import is_traced


def angle(u: Float[Array, "*batch d"], v: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """Angle between vectors in [0, π], with an absolute error of a few roundings at any size.

    2 atan2(‖û − v̂‖, ‖û + v̂‖) for the unit vectors û and v̂; an arccos would lose everything below
    1e-8. The result is NaN where a vector is zero.

    Source: W. Kahan, How Futile are Mindless Assessments of Roundoff, section 12.
    """
    u, v = _unit(u), _unit(v)
    return 2 * jnp.arctan2(jnp.linalg.norm(u - v, axis=-1), jnp.linalg.norm(u + v, axis=-1))


def _unit(v: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    v = v / jnp.max(jnp.abs(v), axis=-1, keepdims=True)
    return v / jnp.linalg.norm(v, axis=-1, keepdims=True)


class Alignment(eqx.Module):
    """Predicted alignment of every neuron with its limit direction s_j D_j/‖D_j‖ (orthogonal data).

    After the last mode change of neuron j, with A = |a_j| and P the component of w_j along its
    limit direction,

        tan φ_j(t) = ‖w_⊥‖/P(t),   P(t) = (A + P)/2 · exp(G_j t) − (A − P)/2 · exp(−G_j t),

    so that φ_j decreases like exp(−G_j t) until the first birth. Neurons that no label attracts
    have no limit direction: zero directions, NaN angles, infinite times.

    Source: arXiv 2206.00939, section 4 (first phase); Maennel, Bousquet, Gelly, arXiv 1803.08367.
    """

    early: EarlyPhase
    directions: Float[Array, "m d"]
    """Unit vectors to which the hidden weights turn."""
    rates: Float[Array, " m"]
    """G_j, at which angles decrease in the end."""
    last_change: Float[Array, " m"]
    """Time of the last mode change; the closed form of the angle holds from then on."""
    log_growing: Float[Array, " m"]
    """log (A + P)/2 at the last mode change, in units of `perpendicular` = 1."""
    log_decaying: Float[Array, " m"]
    """log |A − P|/2, the same."""
    perpendicular: Float[Array, " m"]
    """‖w_⊥‖/|a_j| at the last mode change."""

    def angles(self, time: float | Float[Array, ""]) -> Float[Array, " m"]:
        """Angle of every neuron to its direction at a time t ≥ 0 of the frozen-residual flow.

        From the last mode change on the relative error is a few roundings, however small the angle.
        """
        before = angle(self.early.at(time).w_mantissa, self.directions)
        passed = self.rates * (time - self.last_change)
        component = jnp.exp(self.log_growing) - jnp.exp(self.log_decaying - 2 * passed)
        after = jnp.arctan2(self.perpendicular * jnp.exp(-passed), component)
        settled = jnp.where(time >= self.last_change, after, before)
        return jnp.where(self.rates > 0, settled, jnp.nan)

    def times_to_angle(self, wanted: float | Float[Array, ""]) -> Float[Array, " m"]:
        """First time from the last mode change on at which the angle is at most `wanted`.

        Raises:
            ValueError: an angle outside (0, π/2].
        """
        if not is_traced(wanted) and not 0 < wanted <= jnp.pi / 2:
            raise ValueError(f"wanted: got {wanted!r}, wanted an angle in (0, π/2]")
        component = self.perpendicular / jnp.tan(wanted)
        kappa = 4 * jnp.exp(self.log_growing + self.log_decaying)
        target = jnp.log(component + jnp.sqrt(component**2 + kappa)) - jnp.log(2.0)
        wait = jnp.maximum(target - self.log_growing, 0.0) / jnp.where(
            self.rates > 0, self.rates, 1.0
        )
        return jnp.where(self.rates > 0, self.last_change + wait, jnp.inf)


@jax.jit
def alignment(early: EarlyPhase) -> Alignment:
    """Predict how every neuron aligns, from the early phase in closed form.

    Args:
        early: what `frozen_residual(network, dataset)` returns.
    """
    directions = _limit_directions(early)
    start = early.at(early.last_change)
    stage = early.stages.last()
    size = jnp.where(stage.a > 0, stage.a, 1.0)
    growing, decaying = stage.growing_and_decaying()
    return Alignment(
        early=early,
        directions=directions,
        rates=early.rates,
        last_change=early.last_change,
        log_growing=jnp.log(growing / size),
        log_decaying=jnp.log(decaying / size),
        perpendicular=_perpendicular(start, directions),
    )


def _limit_directions(early: EarlyPhase) -> Float[Array, "m d"]:
    """s_j D_j/‖D_j‖ with the labels as residuals and the pattern of the end of the early phase."""
    force = (early.active * early.dataset.y) @ early.dataset.x
    norm = jnp.linalg.norm(force, axis=1, keepdims=True)
    sign = jnp.sign(early.network.a_mantissa)[:, None]
    return sign * force / jnp.where(norm > 0, norm, 1.0)


def _perpendicular(network: ReluNetwork, directions: Float[Array, "m d"]) -> Float[Array, " m"]:
    """‖w_j − ⟨w_j, e_j⟩ e_j‖/|a_j|."""
    w, size = network.w_mantissa, jnp.abs(network.a_mantissa)
    for _ in range(2):  # the second pass removes the rounding of the first
        w = w - jnp.sum(w * directions, axis=1, keepdims=True) * directions
    return jnp.linalg.norm(w, axis=1) / jnp.where(size > 0, size, 1.0)
