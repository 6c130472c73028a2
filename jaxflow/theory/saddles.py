"""The saddles that the flow visits on orthogonal inputs: exact critical points, rates, indices.

At the plateau with fitted data F, born neurons fit F exactly and all others are zero. There the
loss is smooth in the born neurons and, to leading order, positively homogeneous of degree two in
an unborn one: L = L₀ − a_j ⟨w_j, D_S⟩, with D_S = 1/n Σ_{k ∈ S∖F} y_k x_k on the activation cell S
in which w_j lies. In each cell this is a quadratic form with the eigenvalues ±‖D_S‖ and zeros, so a
neuron has at most one direction of escape, (a, w) ∝ s (1, D_S/‖D_S‖), of rate ‖D_S‖; the data of S
whose labels oppose the sign s have left the cell in the early phase. The Morse index is therefore
stated for the cell in which the flow arrives: the number of unborn neurons with A_j∖F not empty.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.dataset import Dataset
from jaxflow.network import ReluNetwork
from jaxflow.theory.jump_process import JumpProcess, early_patterns
from jaxflow.theory.tangent_kernel import tangent_kernel


class Saddles(eqx.Module):
    """Every plateau of the jump process, the origin first and the limit last (padded likewise)."""

    process: JumpProcess
    dataset: Dataset
    fitted: Bool[Array, "J+1 n"]
    """All data fitted at the plateau."""
    losses: Float[Array, " J+1"]
    """Loss 1/(2n) Σ_{k ∉ F} y_k²."""
    escape_rates: Float[Array, "J+1 m"]
    """Rate ‖D_j‖ at which each neuron escapes, 0 for those that do not."""
    morse_index: Int[Array, " J+1"]
    """Number of directions of escape, in the activation cell in which the flow arrives."""

    def critical_network(self, plateau: int) -> ReluNetwork:
        """The exact critical point: the neurons born before the plateau, the others zero."""
        born = jnp.arange(self.process.network.width) < plateau
        a = jnp.where(born, self.process.network.a_mantissa, 0.0)
        w = jnp.where(born[:, None], self.process.network.w_mantissa, 0.0)
        return ReluNetwork.from_mantissa(w, a, self.process.network.exponent)

    def cell_rates(self, plateau: int, active: Bool[Array, "m n"]) -> Float[Array, " m"]:
        """‖D_S‖ of every unborn neuron at a plateau, if it lay in the cell S = active_j; 0 if born.

        In the cell the loss is −a ⟨w, D_S⟩ to leading order, whose eigenvalues are ±‖D_S‖ and
        zeros: the number of positive rates is the index there. At the origin, where F is empty, it
        is the number of neurons with a nonzero D_S, for any choice of cells. The direction of
        escape s (1, D_S/‖D_S‖) itself lies in the cell's closure only if ⟨s D_S, x_k⟩ ≥ 0 on S,
        that is without opposing labels in S (orthogonal inputs); in other cells a neuron grows
        until it leaves the cell.
        """
        forces = (active & ~self.fitted[plateau]) * (self.dataset.y / self.dataset.n)
        rates = jnp.linalg.norm(forces @ self.dataset.x, axis=1)
        born = jnp.arange(self.process.times.shape[0]) < plateau
        neurons = jnp.where(born, self.process.neurons, active.shape[0])
        return rates.at[neurons].set(0.0, mode="drop")

    def relaxation_rates(self, plateau: int) -> Float[Array, " n"]:
        """Rates at which the flow falls towards the plateau, increasing, 0 for unfitted data.

        Around the critical point the Hessian in the born neurons is JᵀJ/n on the fitted data, whose
        nonzero eigenvalues are those of the tangent kernel K/n restricted to them. A born neuron is
        positively active at what it fits and takes no part elsewhere.
        """
        born = jnp.arange(self.process.times.shape[0]) < plateau
        return _relaxation(self.process, self.dataset, born)

    def indices_decrease(self) -> Bool[Array, ""]:
        """Whether the Morse index never increases from one plateau to the next."""
        return jnp.all(jnp.diff(self.morse_index) <= 0)

    def __repr__(self) -> str:
        if isinstance(self.losses, jax.core.Tracer) or self.losses.ndim != 1:
            return "Saddles(traced or batched)"
        rows = (self._row(plateau) for plateau in range(self.losses.shape[0]))
        return "\n".join(["Saddles:", *rows])

    def _row(self, plateau: int) -> str:
        fastest = float(jnp.max(self.escape_rates[plateau]))
        return (
            f"  plateau {plateau}: loss {float(self.losses[plateau]):.6g}, "
            f"{int(jnp.sum(self.fitted[plateau]))} data fitted, Morse index "
            f"{int(self.morse_index[plateau])}, fastest escape {fastest:.6g}"
        )


def saddles(network: ReluNetwork, dataset: Dataset, process: JumpProcess) -> Saddles:
    """Critical points, escape rates and Morse indices of all plateaus of a jump process.

    Args:
        network, dataset: as given to `jump_process`.
        process: what `jump_process(network, dataset)` returned.
    """
    return _saddles(early_patterns(network, dataset), dataset, process)


@jax.jit
def _saddles(patterns, dataset: Dataset, process: JumpProcess) -> Saddles:
    at_start = jnp.zeros((1, dataset.n), bool)
    fitted = jnp.cumsum(jnp.concatenate([at_start, process.fitted]), axis=0) > 0
    forces = jnp.sum(dataset.x**2, axis=1) * (dataset.y / dataset.n) ** 2
    rates = jnp.sqrt(jnp.where(fitted, 0.0, forces) @ patterns.T.astype(float))
    return Saddles(
        process=process,
        dataset=dataset,
        fitted=fitted,
        losses=process.plateau_losses,
        escape_rates=rates,
        morse_index=jnp.sum(rates > 0, axis=1),
    )


def _relaxation(process: JumpProcess, dataset: Dataset, born) -> Float[Array, " n"]:
    def of_one(fitted, a, w):
        single = ReluNetwork.from_mantissa(w[None], a[None], jnp.zeros(1, jnp.int32))
        return tangent_kernel(single, dataset) * jnp.outer(fitted, fitted)

    net = process.network
    blocks = jax.vmap(of_one)(process.fitted, net.a, net.w)
    return jnp.linalg.eigvalsh(jnp.einsum("j,jkl->kl", born.astype(float), blocks) / dataset.n)


@jax.jit
def distance_to_critical_point(network: ReluNetwork, critical: ReluNetwork) -> Float[Array, ""]:
    """Euclidean distance in parameters to the critical points that compute the critical network.

    Copies t_j z* of a neuron z* with Σ t_j² = 1 and t_j ≥ 0 compute the same function, so that the
    critical points form a manifold. Every neuron z_j is counted with the critical neuron on which
    its projection p_j = ⟨z_j, z*⟩/‖z*‖ is largest. Minimised over t, the squared distance is
    Σ_j (‖z_j‖² − p_j²) + Σ (sqrt(Σ_j p_j²) − ‖z*‖)², the last sum over the critical neurons.

    Args:
        network: current weights, (m, d).
        critical: a critical point, as `Saddles.critical_network` gives, neurons of zero allowed.
    """
    z = jnp.concatenate([network.a[:, None], network.w], axis=1)
    centre = jnp.concatenate([critical.a[:, None], critical.w], axis=1)
    size = jnp.linalg.norm(centre, axis=1)
    units = centre / jnp.where(size > 0, size, 1.0)[:, None]
    along = jnp.maximum(z @ units.T, 0.0)
    owner = jnp.argmax(along, axis=1)
    projection = jnp.max(along, axis=1)
    transverse = z - projection[:, None] * units[owner]
    squares = jnp.zeros(critical.width).at[owner].add(projection**2)
    return jnp.sqrt(jnp.sum(transverse**2) + jnp.sum((jnp.sqrt(squares) - size) ** 2))
