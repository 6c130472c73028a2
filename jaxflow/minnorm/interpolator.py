"""The answer of the comparator: a minimum-norm network, its dual, and how sure both are."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.dataset import Dataset
from jaxflow.network import ReluNetwork, outputs
from jaxflow.validation import is_traced

CERTIFIED = "certified"
"""`lower_bound` is rigorous up to rounding and within 1e-10 of `value`, relatively."""

BRACKETED = "bracketed"
"""`lower_bound` is rigorous up to rounding, but farther than 1e-10 from `value`, relatively."""

HEURISTIC = "heuristic bound"
"""The search over all cells was cut short: `lower_bound` trusts a local search for the maximum of
the dual function over the sphere. `rigorous_bound` holds all the same and is weaker."""


class Excess(eqx.Module):
    """How far the variation norm of a network is above the least one for the labels it fits.

    With h the outputs of the network at the inputs and V*(h) the minimum variation norm of any
    network with these outputs, the excess V − V*(h) lies in [lower, upper]. Where the network
    interpolates, V*(h) is the minimum of the data set itself.

    Attributes:
        norm: variation norm V of the network.
        estimate: V − value − Σ_k β_k (h_k − y_k), the excess to first order in the residual.
        lower: V − value − label_change, or zero if that is negative.
        upper: V − Σ_k β_k h_k, by weak duality.
        residual: max_k |h_k − y_k|.
        label_change: Σ_k κ_k |h_k − y_k|, a bound on how far V*(h) is from the minimum of the data
            set itself.
    """

    norm: Float[Array, "*runs"]
    estimate: Float[Array, "*runs"]
    lower: Float[Array, "*runs"]
    upper: Float[Array, "*runs"]
    residual: Float[Array, "*runs"]
    label_change: Float[Array, "*runs"]

    def __repr__(self) -> str:
        if is_traced(self.norm) or jnp.ndim(self.norm) > 0:
            return "Excess(traced or batched)"
        return (
            f"Excess({float(self.estimate):.6g} above the minimum, certainly in "
            f"[{float(self.lower):.6g}, {float(self.upper):.6g}]; "
            f"largest residual {float(self.residual):.3g})"
        )


class Interpolator(eqx.Module):
    """A network of minimum variation norm among all that interpolate a data set, with evidence.

    The minimum V* is known to lie in [rigorous_bound, value], because the network interpolates
    (its residual is of the order of rounding) and the dual is feasible:

        |Σ_k β_k max(⟨w, x_k⟩, 0)| ≤ 1 for every unit vector w,   lower_bound = Σ_k β_k y_k.

    Attributes:
        dataset: the data set.
        value: variation norm of `network`.
        network: the interpolating network, every neuron balanced, |a_j| = ‖w_j‖.
        dual: β, so scaled that it is feasible as far as `status` says.
        lower_bound: Σ_k β_k y_k; rigorous up to rounding unless the status says heuristic.
        rigorous_bound: a bound that holds whatever the solver did; below `lower_bound` only if
            the status is "heuristic bound".
        label_cost: κ, where a network of variation norm κ_k is one at x_k and zero at all other
            inputs, so that changing the labels by e moves the minimum by at most Σ_k κ_k |e_k|.
        status: "certified", "bracketed" or "heuristic bound".
        unique: True where the dual shows that no other measure on the unit sphere of span{x_k}
            attains the minimum, False where another one was found, None where neither.
    """

    dataset: Dataset
    value: Float[Array, ""]
    network: ReluNetwork
    dual: Float[Array, " n"]
    lower_bound: Float[Array, ""]
    rigorous_bound: Float[Array, ""]
    label_cost: Float[Array, " n"]
    status: str = eqx.field(static=True)
    unique: bool | None = eqx.field(static=True)

    @property
    def gap(self) -> Float[Array, ""]:
        """value − lower_bound."""
        return self.value - self.lower_bound

    def excess(self, network: ReluNetwork) -> Excess:
        """How far `network` is above the minimum, with the interval that is certain.

        The residual h − y of the network is accounted for: it is compared with the minimum for
        the labels h that it fits, which the same dual bounds from below and which is at most
        value + Σ_k κ_k |h_k − y_k|, the minimum variation norm being a norm of the labels.

        Raises:
            ValueError: the network takes inputs of another dimension than those of the data set.
        """
        if network.dim != self.dataset.dim:
            raise ValueError(
                f"network: got one for inputs of dimension {network.dim}, wanted dimension "
                f"{self.dataset.dim}, as the data set {self.dataset.name!r} has"
            )
        return self.excess_at(network.variation_norm(), outputs(network, self.dataset.x))

    def excess_at(self, norm: Float[Array, "*runs"], h: Float[Array, "*runs n"]) -> Excess:
        """The same for networks of which only the variation norm and the outputs are known.

        Args:
            norm: variation norms V.
            h: outputs at the inputs of the data set, one row for each network.
        """
        error = h - self.dataset.y
        change = jnp.where(error == 0, 0.0, self.label_cost * jnp.abs(error)).sum(axis=-1)
        shrink = self.rigorous_bound / jnp.where(self.lower_bound > 0, self.lower_bound, 1.0)
        return Excess(
            norm=norm,
            estimate=norm - self.value - jnp.sum(self.dual * error, axis=-1),
            lower=jnp.maximum(norm - self.value - change, 0.0),
            upper=norm - shrink * jnp.sum(self.dual * h, axis=-1),
            residual=jnp.max(jnp.abs(error), axis=-1),
            label_change=change,
        )

    def __repr__(self) -> str:
        if is_traced(self.value) or jnp.ndim(self.value) > 0:
            return f"Interpolator({self.dataset.name}: traced or batched, {self.status})"
        unique = {True: "unique", False: "not unique", None: "uniqueness open"}[self.unique]
        return (
            f"Interpolator({self.dataset.name}: variation norm {float(self.value):.15g}, "
            f"{self.status}, gap {float(self.gap):.1e}, "
            f"{self.network.width} neurons, {unique})"
        )
