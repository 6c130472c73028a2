"""The early phase in closed form: while the network is negligible, the residual is the label.

For orthogonal inputs and r = y, let τ_j = ∫ |a_j| dt. Along τ_j every active pair moves linearly,
u_jk = u_jk(0) ± |y_k| ‖x_k‖² τ_j/n, so the data whose label opposes the sign of a_j die at
τ = n u_jk(0)/(|y_k| ‖x_k‖²), in an order known at the start. Between two deaths the pair
(A, P) = (|a_j|, s_j ⟨w_j, e_j⟩), e_j = D_j/G_j, moves on the hyperbola A² − P² = κ at the rate
G_j = ‖D_j‖: A + P = (A + P)_0 exp(G_j t), so the time between them is a difference of logarithms.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.dataset import Dataset
from jaxflow.network import LOG2, ReluNetwork
from jaxflow.theory.hypotheses import initial_activity, require_setting
from jaxflow.theory.stages import Stages, chain_stages


class ModeChanges(eqx.Module):
    """Deaths of (neuron, datum) pairs in the order of time, padded with infinity and −1."""

    times: Float[Array, " E"]
    neurons: Int[Array, " E"]
    data: Int[Array, " E"]
    count: Int[Array, ""]


class EarlyPhase(eqx.Module):
    """The flow with the residual frozen at the labels, for every neuron.

    It departs from the true flow by relative errors of the order of h/y, that is λ² exp(2 G t), and
    so describes it until shortly before the first birth; every later mode change is only formal.

    Source: arXiv 2206.00939, section 4 (first phase).
    """

    network: ReluNetwork
    """The initialisation."""
    dataset: Dataset
    death_times: Float[Array, "m n"]
    """Time at which an active pair becomes inactive, infinite for all others."""
    active: Bool[Array, "m n"]
    """Activation pattern when the early phase is over."""
    rates: Float[Array, " m"]
    """Growth rate G_j = ‖D_j‖ after the neuron's last mode change."""
    last_change: Float[Array, " m"]
    """Time of the neuron's last mode change, 0 without any."""
    log_growing: Float[Array, " m"]
    """log c_j, |a_j| = c_j exp(G_j t) + d_j exp(−G_j t) after the last change; −inf if G_j = 0."""
    log_decaying: Float[Array, " m"]
    """log d_j."""
    stages: Stages

    @jax.jit
    def mode_changes(self) -> ModeChanges:
        """All mode changes in the order of time, E = m n with the padding."""
        n = self.dataset.n
        order = jnp.argsort(self.death_times.ravel())
        times = self.death_times.ravel()[order]
        happens = jnp.isfinite(times)
        neurons, data = jnp.where(happens, order // n, -1), jnp.where(happens, order % n, -1)
        return ModeChanges(times, neurons, data, jnp.sum(happens))

    @jax.jit
    def at(self, time: float | Float[Array, ""] | Float[Array, " m"]) -> ReluNetwork:
        """The network at a time t ≥ 0 of the frozen-residual flow, or each neuron at its own."""
        time = jnp.broadcast_to(jnp.asarray(time, dtype=float), self.rates.shape)
        stage = self.stages.at(time)
        exponent = stage.rates * (time - stage.times)
        growing, decaying = stage.growing_and_decaying()
        decaying = decaying * jnp.exp(-2 * exponent)
        shrink = jnp.exp(-exponent)
        gained = (growing - decaying - shrink * stage.p) / _divisor(stage.rates)
        w = self._hidden_weights(time, shrink * stage.tau + gained, shrink)
        a = jnp.sign(self.network.a_mantissa) * (growing + decaying)
        return ReluNetwork.from_log_norm(w, a, self.network.exponent * LOG2 + exponent)

    def _hidden_weights(self, time, tau, shrink) -> Float[Array, "m d"]:
        """w_j/exp(G t): what is frozen, without the dead pairs, and the drift of the live ones."""
        x, w = self.dataset.x, self.network.w_mantissa
        initially, alive = (
            initial_activity(self.network, self.dataset),
            self.death_times > time[:, None],
        )
        lost = jnp.where(initially & ~alive, (w @ x.T) / jnp.sum(x**2, axis=1), 0.0)
        drift = jnp.where(initially & alive, self.dataset.y / self.dataset.n, 0.0)
        signed_tau = jnp.sign(self.network.a_mantissa) * tau
        return shrink[:, None] * (w - lost @ x) + signed_tau[:, None] * (drift @ x)


def frozen_residual(network: ReluNetwork, dataset: Dataset) -> EarlyPhase:
    """Solve the early phase in closed form, on orthogonal inputs.

    Args:
        network: initialisation, every |a_j| ≥ ‖w_j‖; tiny scales are exact.
        dataset: orthogonal inputs.

    Raises:
        ValueError: inputs not orthogonal, dimensions that differ, a neuron with |a_j| < ‖w_j‖.
    """
    network = require_setting(network, dataset, "the frozen-residual closed form")
    return _early_phase(network, dataset)


@jax.jit
def _early_phase(network: ReluNetwork, dataset: Dataset) -> EarlyPhase:
    active = initial_activity(network, dataset)
    opposing = active & (jnp.sign(network.a_mantissa)[:, None] * dataset.y < 0)
    speed = jnp.abs(dataset.y) * jnp.sum(dataset.x**2, axis=1) / dataset.n
    pre = network.w_mantissa @ dataset.x.T
    tau = jnp.where(opposing, pre / _divisor(speed), jnp.inf)
    stages = chain_stages(network, dataset, active, opposing, tau)
    rank = jnp.argsort(jnp.argsort(tau, axis=1), axis=1)
    deaths = jnp.take_along_axis(stages.times[:, 1:], rank, axis=1)
    last = stages.last()
    growing, decaying = last.growing_and_decaying()
    scale, waited = network.exponent * LOG2, last.rates * last.times
    return EarlyPhase(
        network=network,
        dataset=dataset,
        death_times=deaths,
        active=active & ~jnp.isfinite(deaths),
        rates=last.rates,
        last_change=last.times,
        log_growing=jnp.where(last.rates > 0, jnp.log(growing) - waited + scale, -jnp.inf),
        log_decaying=jnp.where(last.rates > 0, jnp.log(decaying) + waited + scale, -jnp.inf),
        stages=stages,
    )


def _divisor(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The values where they are positive, 1 elsewhere."""
    return jnp.where(values > 0, values, 1.0)
