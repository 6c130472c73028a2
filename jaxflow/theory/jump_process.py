"""The jump process: which neurons are born, in which order, as the initialisation scale λ → 0."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow.dataset import Dataset, require_orthogonal
from jaxflow.network import ReluNetwork
from jaxflow.theory.births import Births, run_births
from jaxflow.theory.hypotheses import initial_activity, require_setting
from jaxflow.validation import is_traced

PAIRS_AT_ONCE = 2**24
"""Neurons are taken in chunks of about this many (neuron, datum) pairs, to bound the memory."""


class JumpProcess(eqx.Module):
    """The limit λ → 0 of the gradient flow on orthogonal inputs, as a sequence of births.

    Times are in units of log(1/λ): a birth at T happens at the physical time T log(1/λ) + O(1).
    Outside jit and vmap the arrays have the length of the process, J = `count`; inside they are
    padded to J = min(n, m): times with infinity, neurons with −1, fitted sets with the empty set,
    plateau losses with the last one, the network with zero neurons.

    Source: arXiv 2206.00939, Theorem 1 and its proof, continued past the theorem's hypothesis.
    """

    times: Float[Array, " J"]
    """Birth times in units of log(1/λ), increasing."""
    neurons: Int[Array, " J"]
    """The neuron born at each time."""
    fitted: Bool[Array, "J n"]
    """The data that each birth fits."""
    plateau_losses: Float[Array, " J+1"]
    """Loss before the first birth, between births, and after the last one."""
    count: Int[Array, ""]
    """Number of births."""
    network: ReluNetwork
    """The limit network, one neuron for each birth, in the order of births."""
    variation_norm: Float[Array, ""]
    """Variation norm of the limit, Σ over births of sqrt(Σ_{k fitted by it} (y_k/‖x_k‖)²)."""
    interpolates: Bool[Array, ""]
    """Whether the limit has zero loss."""
    separation: Float[Array, ""]
    """Least level left at a birth to what can disturb it, infinite without such.

    A competitor is an unborn neuron whose remaining data overlap with those of the born neuron and
    differ from them; λ^ℓ_i is its size at the birth. An earlier fit of data that the born neuron
    sees has the residual λ^(μ ΔT) by then, μ its slowest rate and ΔT the wait, which the two
    neurons share. λ^separation is the factor by which a finite λ departs from the limit.
    """
    closest: Int[Array, " 2"]
    """The birth (0 the first) whose level is the separation, and the competitor or the neuron of
    the earlier fit that it belongs to; −1 without one."""
    satisfies_theorem: Bool[Array, ""]
    """Whether for each sign among the labels some neuron of that sign is active at all its data."""

    def near_tie_factor(self, log_scale: float | Float[Array, ""]) -> Float[Array, ""]:
        """λ^separation for λ = exp(log_scale): finite λ follows the process where it is ≪ 1."""
        return jnp.exp(self.separation * log_scale)

    def near_tie(self, log_scale: float) -> str:
        """Name the birth and the neuron that come nearest to a tie, for λ = exp(log_scale)."""
        birth, other = (int(value) for value in self.closest)
        if birth < 0:
            return "no competitors"
        earlier = other in np.asarray(self.neurons[:birth])
        what = f"the earlier fit by neuron {other}" if earlier else f"competitor {other}"
        return (
            f"birth {birth + 1}, of neuron {int(self.neurons[birth])} on "
            f"{np.flatnonzero(self.fitted[birth]).tolist()}: {what} is left at the level "
            f"{float(self.separation):.4g}, λ^{float(self.separation):.4g} = "
            f"{float(self.near_tie_factor(log_scale)):.3g}"
        )

    def __repr__(self) -> str:
        if is_traced(self.count) or self.count.ndim:
            return f"JumpProcess(traced or batched, at most {self.times.shape[-1]} births)"
        return "\n".join([self._headline(), *map(self._row, range(int(self.count)))])

    def _headline(self) -> str:
        ends = "interpolates" if self.interpolates else "leaves data unfitted"
        inside = "inside" if self.satisfies_theorem else "outside"
        return (
            f"JumpProcess: {int(self.count)} births, {ends}, variation norm "
            f"{float(self.variation_norm):.10g}, {inside} the theorem's hypothesis, separation "
            f"{float(self.separation):.3g}, loss {float(self.plateau_losses[0]):.6g} at the start"
        )

    def _row(self, birth: int) -> str:
        data = [int(k) for k in jnp.flatnonzero(self.fitted[birth])]
        shown = ", ".join(map(str, data[:12])) + (", …" if len(data) > 12 else "")
        return (
            f"  {float(self.times[birth]):.6g} log(1/λ): neuron {int(self.neurons[birth])} fits "
            f"{{{shown}}}, loss then {float(self.plateau_losses[birth + 1]):.6g}"
        )


def jump_process(network: ReluNetwork, dataset: Dataset) -> JumpProcess:
    """Predict the limit λ → 0 of the flow from this initialisation on orthogonal inputs.

    With s_j = sign a_j and A_j = {k : ⟨w_j, x_k⟩ > 0, s_j y_k > 0}, and F the data fitted so far,
    the amplitude of neuron j is λ^ℓ_j, and ℓ_j falls at the rate G_j = ‖Σ_{k ∈ A_j∖F} y_k x_k‖/n.
    Whichever reaches ℓ_j = 0 first is born and fits A_j∖F exactly.

    Args:
        network: initialisation; only signs matter, so any scale gives the same process.
        dataset: orthogonal inputs.

    Raises:
        ValueError: inputs not orthogonal, dimensions that differ, a neuron with |a_j| < ‖w_j‖.
    """
    network = require_setting(network, dataset, "the jump process")
    return _process(early_patterns(network, dataset), jnp.sign(network.a_mantissa), dataset)


def jump_process_from_patterns(
    active: Bool[Array, "m n"], signs: Float[Array, " m"], dataset: Dataset
) -> JumpProcess:
    """As `jump_process`, from the initial activity and output signs alone.

    For problems so large that the weights (m, d) themselves do not fit in memory.

    Args:
        active: whether ⟨w_j, x_k⟩ > 0.
        signs: sign of a_j.
        dataset: orthogonal inputs.

    Raises:
        ValueError: inputs not orthogonal, or shapes that do not agree.
    """
    require_orthogonal(dataset, "the jump process")
    active, signs = jnp.asarray(active, dtype=bool), jnp.sign(jnp.asarray(signs, dtype=float))
    if active.shape != (*signs.shape, dataset.n):
        raise ValueError(
            f"active: got shape {active.shape} beside signs of shape {signs.shape}, wanted (m, n) "
            f"and (m,) with n = {dataset.n}"
        )
    return _process(_helpful(active, signs, dataset.y), signs, dataset)


def early_patterns(network: ReluNetwork, dataset: Dataset) -> Bool[Array, "m n"]:
    """A_j: the data on which neuron j is active when the early phase is over."""
    rows = max(PAIRS_AT_ONCE // dataset.n, 1)
    if network.width <= rows:
        active = initial_activity(network, dataset)
    else:
        active = jax.lax.map(lambda w: dataset.x @ w > 0, network.w_mantissa, batch_size=rows)
    return _helpful(active, network.a_mantissa, dataset.y)


@jax.jit
def _helpful(active, signs, y) -> Bool[Array, "m n"]:
    """Active pairs whose label has the sign of the neuron: only they survive the early phase."""
    return active & ((signs > 0)[:, None] & (y > 0) | (signs < 0)[:, None] & (y < 0))


def _process(patterns, signs, dataset: Dataset) -> JumpProcess:
    norms = jnp.linalg.norm(dataset.x, axis=1)
    y = jnp.abs(dataset.y)
    births = run_births(patterns, y * norms / dataset.n, y / norms)
    if is_traced(births.count):
        return _assemble(births, patterns, signs, dataset)
    count = int(births.count)
    kept = max(8, 1 << count.bit_length())  # few different lengths, so few compilations
    births = _cut(births, kept, lambda b: (b.times, b.neurons, b.fitted))
    process = _assemble(births, patterns, signs, dataset)
    process = _cut(process, count, lambda p: (p.times, p.neurons, p.fitted))
    process = _cut(process, count + 1, lambda p: (p.plateau_losses,))
    return _cut(process, count, lambda p: jax.tree.leaves(p.network))


def _cut(module, length: int, where):
    """Shorten the chosen arrays, on the host: slicing by JAX would compile for every length."""
    return eqx.tree_at(
        where, module, replace_fn=lambda array: jnp.asarray(np.asarray(array)[:length])
    )


@jax.jit
def _assemble(births: Births, patterns, signs, dataset: Dataset) -> JumpProcess:
    norms = jnp.linalg.norm(dataset.x, axis=1)
    at_start = jnp.zeros((1, dataset.n), bool)
    fitted = jnp.cumsum(jnp.concatenate([at_start, births.fitted]), axis=0) > 0
    losses = 0.5 * jnp.mean(jnp.where(fitted, 0.0, dataset.y**2), axis=1)
    sizes = jnp.where(births.fitted, dataset.y / norms, 0.0)
    return JumpProcess(
        times=births.times,
        neurons=births.neurons,
        fitted=births.fitted,
        plateau_losses=losses,
        count=births.count,
        network=_limit_network(sizes, dataset.x / norms[:, None]),
        variation_norm=jnp.sum(jnp.linalg.norm(sizes, axis=1)),
        interpolates=jnp.all(fitted[-1] | (dataset.y == 0)),
        separation=births.separation,
        closest=births.closest,
        satisfies_theorem=_theorem_holds(patterns, signs, dataset.y),
    )


def _limit_network(sizes: Float[Array, "J n"], frame: Float[Array, "n d"]) -> ReluNetwork:
    """One balanced neuron a‖w‖ = ‖v‖, w ∥ v for each birth, v = Σ_{k fitted} (y_k/‖x_k‖²) x_k."""
    sign = jnp.sign(jnp.sum(sizes, axis=1))
    amplitude = jnp.sqrt(jnp.linalg.norm(sizes, axis=1))
    directions = sizes / jnp.where(amplitude > 0, amplitude, 1.0)[:, None]
    w = (sign[:, None] * directions) @ frame
    return ReluNetwork.from_mantissa(w, sign * amplitude, jnp.zeros(sign.shape, jnp.int32))


def _theorem_holds(patterns, signs, y) -> Bool[Array, ""]:
    sizes = jnp.sum(patterns, axis=1, dtype=jnp.int32)

    def covered(sign):
        wanted = jnp.sum(sign * y > 0)
        return (wanted == 0) | jnp.any((signs == sign) & (sizes == wanted))

    return covered(1.0) & covered(-1.0)
