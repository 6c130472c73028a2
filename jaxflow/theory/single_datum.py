"""The whole trajectory in closed form, where each sign of the labels occurs at one datum only.

After the early phase a neuron is active at no datum but the one of its own sign, all neurons of a
sign solve one scalar equation, and their growing amplitudes add up to one effective neuron

    a_eff² = (|y|/‖x‖) / (1 + exp(−2G(t − T))),  G = |y| ‖x‖/n,  T = log((|y|/‖x‖)/Σ_j c_j²)/(2G),

with the amplitudes c_j of the frozen-residual closed form. The toy of arXiv 2206.00939 (Figures 2
and 3) is such a data set.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.dataset import Dataset
from jaxflow.network import ReluNetwork
from jaxflow.theory.frozen_residual import EarlyPhase, frozen_residual
from jaxflow.theory.hypotheses import initial_activity
from jaxflow.validation import is_traced


class SingleDatumTrajectory(eqx.Module):
    """Trajectory of the flow on one or two orthogonal inputs whose labels differ in sign.

    The growth is exact up to relative errors λ² exp(2 G t) of the last mode change of the early
    phase, and the outputs up to terms that decay like exp(−4 G t) relative to them.
    """

    early: EarlyPhase
    rates: Float[Array, " n"]
    """G_k = |y_k| ‖x_k‖/n."""
    log_plateau: Float[Array, " n"]
    """log(|y_k|/‖x_k‖), the limit of log a_eff²."""
    log_seed: Float[Array, " n"]
    """log Σ_j c_j² over the neurons that fit the datum, −inf when none does."""

    @property
    def births(self) -> Float[Array, " n"]:
        """T_k: when the output at datum k passes y_k/2; infinite when no neuron fits it."""
        return (self.log_plateau - self.log_seed) / (2 * self.rates)

    def exit_times(self, fraction: float = 0.5) -> Float[Array, " n"]:
        """When the output at datum k passes `fraction` · y_k.

        Raises:
            ValueError: a fraction outside (0, 1).
        """
        if not is_traced(fraction) and not 0 < fraction < 1:
            raise ValueError(f"fraction: got {fraction!r}, wanted a number between 0 and 1")
        return self.births + jnp.log(fraction / (1 - fraction)) / (2 * self.rates)

    def log_effective_amplitude(self, time: float | Float[Array, ""]) -> Float[Array, " n"]:
        """log a_eff of the effective neuron that fits each datum."""
        return 0.5 * (self.log_plateau + jax.nn.log_sigmoid(self._phase(time)))

    def effective_amplitude(self, time: float | Float[Array, ""]) -> Float[Array, " n"]:
        """a_eff ≥ 0 of the effective neuron that fits each datum; zero below the least float64."""
        return jnp.exp(self.log_effective_amplitude(time))

    def outputs(self, time: float | Float[Array, ""]) -> Float[Array, " n"]:
        """Network outputs h(x_k) = y_k / (1 + exp(−2 G_k (t − T_k)))."""
        return self.early.dataset.y * jax.nn.sigmoid(self._phase(time))

    def loss(self, time: float | Float[Array, ""]) -> Float[Array, ""]:
        """Loss 1/(2n) Σ_k (y_k − h(x_k))², with small residuals exact."""
        return 0.5 * jnp.mean((self.early.dataset.y * jax.nn.sigmoid(-self._phase(time))) ** 2)

    @jax.jit
    def at(self, time: float | Float[Array, ""]) -> ReluNetwork:
        """The whole network at a time t ≥ 0.

        A datum drives its neurons as in the early phase, by a clock ∫ r_k/y_k dt that slows down
        as the datum is fitted, t − log(1 + exp(2 G_k (t − T_k)))/(2 G_k).
        """
        clocks = time - jax.nn.softplus(self._phase(time)) / (2 * self.rates)
        return self.early.at(clocks[self._driving_datum()])

    def _driving_datum(self) -> Int[Array, " m"]:
        """The datum that moves a neuron: its own if it is active there, else the opposing one."""
        network, dataset = self.early.network, self.early.dataset
        own = jnp.sign(network.a_mantissa)[:, None] * dataset.y > 0
        return jnp.argmax(initial_activity(network, dataset) * (1 + own), axis=1)

    def _phase(self, time) -> Float[Array, " n"]:
        """2 G_k (t − T_k), the log-odds of h(x_k)/y_k."""
        return 2 * self.rates * time - (self.log_plateau - self.log_seed)


def single_datum_trajectory(network: ReluNetwork, dataset: Dataset) -> SingleDatumTrajectory:
    """Closed-form trajectory where each sign occurs at one datum of the labels only.

    Args:
        network: initialisation, every |a_j| ≥ ‖w_j‖; log scales far below −745 are exact.
        dataset: one input, or two orthogonal inputs with labels of opposite sign.

    Raises:
        ValueError: two labels of one sign, a zero label, inputs not orthogonal, dimensions that
            differ, a neuron with |a_j| < ‖w_j‖.
    """
    dataset = _require_single_data(dataset)
    early = frozen_residual(network, dataset)
    norms = jnp.linalg.norm(dataset.x, axis=1)
    own = jnp.sign(early.network.a_mantissa)[:, None] * dataset.y > 0
    amplitudes = jnp.where(early.active & own, early.log_growing[:, None], -jnp.inf)
    return SingleDatumTrajectory(
        early=early,
        rates=jnp.abs(dataset.y) * norms / dataset.n,
        log_plateau=jnp.log(jnp.abs(dataset.y) / norms),
        log_seed=jax.nn.logsumexp(2 * amplitudes, axis=0),
    )


def _require_single_data(dataset: Dataset) -> Dataset:
    signs = jnp.sign(dataset.y)
    wrong = jnp.any(signs == 0) | (jnp.sum(signs > 0) > 1) | (jnp.sum(signs < 0) > 1)
    wanted = "wanted at most one positive and one negative label, and no zero"
    if is_traced(wrong):
        return eqx.tree_at(lambda d: d.y, dataset, eqx.error_if(dataset.y, wrong, f"y: {wanted}"))
    if wrong:
        raise ValueError(
            f"dataset: got labels {[float(y) for y in dataset.y]}, {wanted}; other data sets have "
            f"no closed form, integrate the flow instead"
        )
    return dataset
