"""Which cross terms of the flow vanish for orthogonal inputs, and which do not.

In the coordinates (a_j, u_jk), u_jk = ⟨w_j, x_k⟩, the flow on fixed modes α reads

    du_jk/dt = a_j/n Σ_l α_jl r_l ⟨x_l, x_k⟩      da_j/dt = 1/n Σ_l α_jl r_l u_jl.

Orthogonal inputs remove the terms l ≠ k of the first sum, and nothing else: the data of a neuron
still meet in its a_j, and the neurons that are active at a datum still meet in its residual.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.dataset import Dataset
from jaxflow.network import ReluNetwork, residual


class Decoupling(eqx.Module):
    """Sizes of the couplings at one network, each the Frobenius norm of its terms over all j, k."""

    own_datum: Float[Array, ""]
    """a_j α_jk r_k ‖x_k‖²/n in du_jk/dt: the term l = k."""
    other_data: Float[Array, ""]
    """a_j α_jl r_l ⟨x_l, x_k⟩/n, l ≠ k, in du_jk/dt: zero for orthogonal inputs."""
    output_weight: Float[Array, ""]
    """α_jk r_k ‖x_k‖²/n, by which du_jk/dt depends on a_j, hence on all data of the neuron."""
    through_residual: Float[Array, ""]
    """∂(du_jk/dt)/∂(a_i, u_ik) through r_k for i ≠ j: zero only if no datum has two neurons."""

    def __repr__(self) -> str:
        if jnp.ndim(self.own_datum) or isinstance(self.own_datum, jax.core.Tracer):
            return "Decoupling(traced or batched)"
        return (
            f"Decoupling: own datum {float(self.own_datum):.6g}, other data "
            f"{float(self.other_data):.6g} (zero for orthogonal inputs), through output weights "
            f"{float(self.output_weight):.6g}, through the residual "
            f"{float(self.through_residual):.6g}"
        )


@jax.jit
def decoupling(network: ReluNetwork, dataset: Dataset) -> Decoupling:
    """Evaluate the couplings of the flow at a network, for any inputs.

    Args:
        network: current weights; couplings of weights below 1e-154 underflow to zero.
        dataset: any inputs.
    """
    n, a = dataset.n, network.a
    alpha = (network.w_mantissa @ dataset.x.T) > 0
    gram = dataset.x @ dataset.x.T
    pulls = alpha * residual(network, dataset) / n
    diagonal = pulls * jnp.diag(gram)
    crossing = (pulls**2) @ ((gram - jnp.diag(jnp.diag(gram))) ** 2)
    return Decoupling(
        own_datum=jnp.linalg.norm(a[:, None] * diagonal),
        other_data=jnp.sqrt(jnp.sum(a[:, None] ** 2 * crossing)),
        output_weight=jnp.linalg.norm(diagonal),
        through_residual=_through_residual(network, dataset, alpha),
    )


def _through_residual(network, dataset, alpha) -> Float[Array, ""]:
    """‖(a_j α_jk ‖x_k‖²/n) (α_ik u_ik, α_ik a_i)‖ over all i ≠ j and k, as all pairs less i = j."""
    a = network.a[:, None]
    receives = (a * alpha * jnp.sum(dataset.x**2, axis=1) / dataset.n) ** 2
    sends = alpha * ((network.w @ dataset.x.T) ** 2 + a**2)
    others = jnp.sum(sends, axis=0) - sends
    return jnp.sqrt(jnp.sum(receives * jnp.maximum(others, 0.0)))
