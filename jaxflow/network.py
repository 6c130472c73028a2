"""The network h(x) = Σ_j a_j max(⟨w_j, x⟩, 0), the square loss, and the exact gradient of it.

The time unit of the library follows from the loss L = 1/(2n) Σ_k (h(x_k) − y_k)² and the flow
dθ/dt = −∇L. One iteration of stochastic gradient descent with step 0.001 on the loss without the
factor 1/2, as in the code that accompanies arXiv 2206.00939, is 0.002 units of time.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.dataset import Dataset
from jaxflow.precision import require_float64
from jaxflow.validation import float64_array

LOG2 = 0.6931471805599453


class ReluNetwork(eqx.Module):
    """One-hidden-layer ReLU network of width m, h(x) = Σ_j a_j max(⟨w_j, x⟩, 0).

    The weights of neuron j are held as a mantissa of order one times a power of two of its own, so
    that weights far below the smallest float64 are exact: (a_j, w_j) = 2^exponent_j · mantissa_j.
    `net(x)` maps one input of shape (d,) to a scalar; batches go through `jax.vmap`.

    Args:
        w: hidden weights, shape (m, d).
        a: output weights, shape (m,).

    Raises:
        ValueError: wrong shapes, float32, NaN or infinity, float64 switched off.
    """

    w_mantissa: Float[Array, "m d"]
    a_mantissa: Float[Array, " m"]
    exponent: Int[Array, " m"]

    def __init__(self, w, a):
        w = float64_array("w", w, ("m", "d"))
        a = float64_array("a", a, (w.shape[0],))
        none = jnp.zeros(w.shape[0], dtype=jnp.int32)
        self.w_mantissa, self.a_mantissa, self.exponent = _normalised(w, a, none)

    @classmethod
    def from_mantissa(
        cls, w: Float[Array, "m d"], a: Float[Array, " m"], exponent: Int[Array, " m"]
    ) -> "ReluNetwork":
        """Network with weights 2^exponent_j · (a_j, w_j); the exponents are any 32-bit integers."""
        network = object.__new__(cls)
        w, a, exponent = _normalised(w, a, exponent)
        object.__setattr__(network, "w_mantissa", w)
        object.__setattr__(network, "a_mantissa", a)
        object.__setattr__(network, "exponent", exponent)
        return network

    @classmethod
    def from_log_norm(
        cls, w: Float[Array, "m d"], a: Float[Array, " m"], log_norm: Float[Array, " m"]
    ) -> "ReluNetwork":
        """Network with weights exp(log_norm_j) · (a_j, w_j), exact far below the least float64."""
        exponent, factor = split_exponential(log_norm)
        return cls.from_mantissa(w * factor[:, None], a * factor, exponent)

    @property
    def w(self) -> Float[Array, "m d"]:
        """Hidden weights; zero where they are below the least float64."""
        return jnp.ldexp(self.w_mantissa, self.exponent[..., None])

    @property
    def a(self) -> Float[Array, " m"]:
        """Output weights; zero where they are below the least float64."""
        return jnp.ldexp(self.a_mantissa, self.exponent)

    @property
    def width(self) -> int:
        """Number m of neurons."""
        return self.a_mantissa.shape[-1]

    @property
    def dim(self) -> int:
        """Input dimension d."""
        return self.w_mantissa.shape[-1]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """h(x) = Σ_j a_j max(⟨w_j, x⟩, 0) for one input."""
        return jnp.sum(self._squared_scale(self.a_mantissa * jax.nn.relu(self.w_mantissa @ x)))

    def log_norms(self) -> Float[Array, " m"]:
        """log sqrt(a_j² + ‖w_j‖²) of every neuron, −inf for a zero neuron."""
        squares = self.a_mantissa**2 + jnp.sum(self.w_mantissa**2, axis=-1)
        return self.exponent * LOG2 + 0.5 * jnp.log(squares)

    @eqx.filter_jit
    def variation_norm(self) -> Float[Array, ""]:
        """Variation norm of this parametrisation, Σ_j |a_j| ‖w_j‖."""
        norms = jnp.linalg.norm(self.w_mantissa, axis=-1)
        return jnp.sum(self._squared_scale(jnp.abs(self.a_mantissa) * norms))

    def _squared_scale(self, product: Float[Array, " m"]) -> Float[Array, " m"]:
        """Products of a weight a_j with a weight w_j, put back to scale; they underflow to zero."""
        scale = jnp.ldexp(jnp.ones_like(product), self.exponent)
        return product * scale * scale


@jax.jit
def _normalised(w, a, exponent):
    """Move the size of each neuron into its exponent, so that its largest weight is in [1/2, 1)."""
    largest = jnp.maximum(jnp.abs(a), jnp.max(jnp.abs(w), axis=-1))
    shift = jnp.frexp(largest)[1].astype(jnp.int32)
    w = jnp.ldexp(w, -shift[..., None])
    return w, jnp.ldexp(a, -shift), exponent.astype(jnp.int32) + shift


def split_exponential(
    log: Float[Array, "..."],
) -> tuple[Int[Array, "..."], Float[Array, "..."]]:
    """Write exp(log) = 2^exponent · factor with factor in [1/√2, √2], to rounding of `log` itself.

    log 2 is split into a short and a small part, so that exponent · log 2 is subtracted exactly
    (Cody and Waite's argument reduction).
    """
    short, small = 0.693147180369123816490, 1.90821492927058770002e-10
    count = jnp.round(log / LOG2)
    return count.astype(jnp.int32), jnp.exp((log - count * short) - count * small)


def outputs(network: ReluNetwork, x: Float[Array, "n d"]) -> Float[Array, " n"]:
    """Network outputs h(x_k) at a batch of inputs."""
    return jax.vmap(network)(x)


def residual(network: ReluNetwork, dataset: Dataset) -> Float[Array, " n"]:
    """Residuals r_k = y_k − h(x_k)."""
    return dataset.y - outputs(network, dataset.x)


def loss(network: ReluNetwork, dataset: Dataset) -> Float[Array, ""]:
    """Square loss L = 1/(2n) Σ_k (h(x_k) − y_k)²."""
    return 0.5 * jnp.mean(residual(network, dataset) ** 2)


def driving_force(network: ReluNetwork, dataset: Dataset) -> Float[Array, "m d"]:
    """D_j = 1/n Σ_k 1[⟨w_j, x_k⟩ > 0] r_k x_k, with relu'(0) = 0.

    The gradient flow is dw_j/dt = a_j D_j, da_j/dt = ⟨w_j, D_j⟩ (arXiv 2206.00939, equation 2).
    """
    active = (network.w_mantissa @ dataset.x.T) > 0
    return (active * residual(network, dataset)) @ dataset.x / dataset.n


def require_pair(network, dataset) -> None:
    """Raise unless a network and a data set belong together.

    Raises:
        ValueError: other types, another input dimension.
    """
    require_float64()
    if not isinstance(dataset, Dataset):
        raise ValueError(f"dataset: got {type(dataset).__name__}, wanted a jaxflow.Dataset(x, y)")
    if not isinstance(network, ReluNetwork):
        raise ValueError(
            f"network: got {type(network).__name__}, wanted a jaxflow.ReluNetwork(w, a)"
        )
    if network.dim != dataset.dim:
        raise ValueError(
            f"network: got input dimension {network.dim}, wanted {dataset.dim} as the dataset's; "
            f"a bias is a constant last coordinate of both"
        )
