"""Stages of the early phase: what a neuron does between two deaths of its (neuron, datum) pairs."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.dataset import Dataset
from jaxflow.network import ReluNetwork


class Stages(eqx.Module):
    """Starts of the stages of every neuron, in units of two to the neuron's own exponent.

    A neuron has one stage more than it has opposing data; the rest is padded with infinite times.
    Within a stage A = |a_j| and P = s_j ⟨w_j, e_j⟩, e_j = D_j/‖D_j‖, follow A' = G P, P' = G A.
    """

    times: Float[Array, "*m stages"]
    tau: Float[Array, "*m stages"]
    """∫ |a_j| dt up to the start."""
    a: Float[Array, "*m stages"]
    """A at the start."""
    p: Float[Array, "*m stages"]
    """P at the start."""
    kappa: Float[Array, "*m stages"]
    """The invariant A² − P² ≥ 0 of the stage."""
    rates: Float[Array, "*m stages"]
    """G = ‖D_j‖."""

    def last(self) -> "Stages":
        """The stage that lasts until the end of the early phase."""
        return self._pick(jnp.sum(jnp.isfinite(self.times), axis=1, keepdims=True) - 1)

    def at(self, time: Float[Array, " m"]) -> "Stages":
        """The stage to which a time t ≥ 0 of each neuron belongs."""
        return self._pick(jnp.sum(self.times <= time[:, None], axis=1, keepdims=True) - 1)

    def _pick(self, stage) -> "Stages":
        return jax.tree.map(lambda values: jnp.take_along_axis(values, stage, axis=1)[:, 0], self)

    def growing_and_decaying(self) -> tuple[Float[Array, "*m stages"], Float[Array, "*m stages"]]:
        """(A + P)/2 and (A − P)/2 at the start, the smaller from κ, without cancellation."""
        larger = self.a + jnp.abs(self.p)
        smaller = self.kappa / jnp.where(larger > 0, larger, 1.0)
        forward = self.p >= 0
        growing = 0.5 * jnp.where(forward, larger, smaller)
        return growing, 0.5 * jnp.where(forward, smaller, larger)


def chain_stages(
    network: ReluNetwork,
    dataset: Dataset,
    active: Bool[Array, "m n"],
    opposing: Bool[Array, "m n"],
    tau: Float[Array, "m n"],
) -> Stages:
    """Chain the stages of every neuron.

    Args:
        network, dataset: initialisation and data.
        active: pairs with u_jk(0) > 0.
        opposing: those among them with s_j y_k < 0, which die.
        tau: ∫ |a_j| dt at which an opposing pair dies, infinite for all others.
    """
    order = jnp.argsort(tau, axis=1)
    deaths = jnp.take_along_axis(tau, order, axis=1)
    dies = jnp.isfinite(deaths)
    start = _with_first(jnp.where(dies, deaths, 0.0), 0.0)
    end = jnp.where(dies, deaths, start[:, :-1])

    pre = network.w_mantissa @ dataset.x.T
    sign = jnp.sign(network.a_mantissa)[:, None]
    force = jnp.sum(dataset.x**2, axis=1) * (dataset.y / dataset.n) ** 2
    squared_rate = _remaining(jnp.broadcast_to(force, pre.shape), active, opposing, order)
    slope = _remaining(sign * dataset.y * pre / dataset.n, active, opposing, order)
    rates = jnp.sqrt(squared_rate)
    divisor = jnp.where(rates > 0, rates, 1.0)
    p_start = (slope + squared_rate * start) / divisor
    p_end = ((slope + squared_rate * _with_last(end))[:, :-1]) / divisor[:, :-1]

    gain = (end - start[:, :-1]) * (p_end + p_start[:, :-1]) * rates[:, :-1]
    first = network.a_mantissa[:, None] ** 2
    a = jnp.sqrt(jnp.maximum(jnp.cumsum(jnp.concatenate([first, gain], axis=1), axis=1), 0.0))
    kappa = jnp.maximum((a - jnp.abs(p_start)) * (a + jnp.abs(p_start)), 0.0)
    spent = _duration(p_start[:, :-1], a[:, :-1], p_end, a[:, 1:], kappa[:, :-1])
    times = jnp.cumsum(jnp.where(dies, spent / divisor[:, :-1], jnp.inf), axis=1)
    return Stages(_with_first(times, 0.0), start, a, p_start, kappa, rates)


def _duration(p0, a0, p1, a1, kappa) -> Float[Array, "m n"]:
    """log((A₁ + P₁)/(A₀ + P₀)), where A + P = κ/(A + |P|) for negative P."""
    forward0, forward1 = p0 >= 0, p1 >= 0
    size0, size1 = jnp.log(a0 + jnp.abs(p0)), jnp.log(a1 + jnp.abs(p1))
    turned = forward1 & ~forward0
    return jnp.where(
        turned & (kappa <= 0),
        jnp.inf,
        jnp.where(forward1, size1, -size1)
        - jnp.where(forward0, size0, -size0)
        - jnp.where(turned, jnp.log(jnp.where(kappa > 0, kappa, 1.0)), 0.0),
    )


def _remaining(values, active, opposing, order) -> Float[Array, "m n+1"]:
    """Sums over the active data once 0, 1, 2, … of the opposing ones have died in `order`."""
    lasting = jnp.sum(jnp.where(active & ~opposing, values, 0.0), axis=1, keepdims=True)
    mortal = jnp.take_along_axis(jnp.where(opposing, values, 0.0), order, axis=1)
    left = jnp.flip(jnp.cumsum(jnp.flip(mortal, axis=1), axis=1), axis=1)
    return lasting + _with_last(left)


def _with_first(values: Float[Array, "m n"], first: float) -> Float[Array, "m n+1"]:
    return jnp.concatenate([jnp.full_like(values[:, :1], first), values], axis=1)


def _with_last(values: Float[Array, "m n"]) -> Float[Array, "m n+1"]:
    return jnp.concatenate([values, jnp.zeros_like(values[:, :1])], axis=1)
