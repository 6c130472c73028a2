"""A descent: weights at the saved iterations, with the interface of a trajectory of the flow."""

from importlib import import_module

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.dataset import Dataset
from jaxflow.descent.status import DescentStatus
from jaxflow.network import ReluNetwork
from jaxflow.validation import is_traced


class Descent(eqx.Module):
    """Gradient descent from one initialisation.

    Weights have the precision of the descent; everything computed from them is float64.

    Attributes:
        ts: the time of each saved iteration, in the flow's unit; see `jaxflow.descent.clock`.
        iterations: saved iterations, 0 being the initialisation.
        w, a: weights at the saved iterations.
        flips: changes of activation of all pairs of neuron and datum so far.
        dataset: what it was trained on.
        stopped: the number of iterations made.
    """

    ts: Float[Array, " T"]
    iterations: Int[Array, " T"]
    w: Float[Array, "T m d"]
    a: Float[Array, "T m"]
    flips: Int[Array, " T"]
    dataset: Dataset
    stopped: Int[Array, ""]
    code: Int[Array, ""]

    @property
    def status(self) -> DescentStatus | Array:
        """How the descent ended; prints as one of the words of `DescentStatus`."""
        traced_or_batched = is_traced(self.code) or jnp.ndim(self.code) > 0
        return self.code if traced_or_batched else DescentStatus(int(self.code))

    @property
    def dtype(self):
        """Precision in which it ran."""
        return self.a.dtype

    @property
    def outputs(self) -> Float[Array, "T n"]:
        """Network outputs h(x_k) at the data."""
        u = jax.nn.relu(jnp.einsum("tmd,nd->tmn", self._w, self.dataset.x))
        return jnp.einsum("tm,tmn->tn", self._a, u)

    @property
    def loss(self) -> Float[Array, " T"]:
        """Square loss 1/(2n) Σ_k (h(x_k) − y_k)²."""
        return 0.5 * jnp.mean((self.outputs - self.dataset.y) ** 2, axis=-1)

    @property
    def variation_norm(self) -> Float[Array, " T"]:
        """Σ_j |a_j| ‖w_j‖."""
        return jnp.sum(jnp.abs(self._a) * jnp.linalg.norm(self._w, axis=-1), axis=-1)

    @property
    def log_norms(self) -> Float[Array, "T m"]:
        """log sqrt(a_j² + ‖w_j‖²) of every neuron."""
        return self._networks.log_norms()

    @property
    def modes(self) -> Int[Array, "T m n"]:
        """1 active, 0 inactive: descent steps across a boundary and never sits on it."""
        active: Bool[Array, "T m n"] = jnp.einsum("tmd,nd->tmn", self._w, self.dataset.x) > 0
        return active.astype(jnp.int8)

    @property
    def end_time(self) -> Float[Array, ""]:
        """The time at which it ended."""
        return self.ts[-1]

    @property
    def final(self) -> ReluNetwork:
        """The network at the end; NaN or infinite if it diverged."""
        return self.network(-1)

    def network(self, index: int) -> ReluNetwork:
        """The network at the saved iteration `iterations[index]`."""
        return jax.tree.map(lambda leaf: leaf[index], self._networks)

    def plot(self, path: str | None = None):
        """Draw loss, sizes, directions and modes against time; see `jaxflow.plots`.

        Returns the matplotlib figure, saved to `path` if given.
        """
        return import_module("jaxflow.plots.trajectory").draw_trajectory(self, path)

    @property
    def _w(self) -> Float[Array, "T m d"]:
        return self.w.astype(float)

    @property
    def _a(self) -> Float[Array, "T m"]:
        return self.a.astype(float)

    @property
    def _networks(self) -> ReluNetwork:
        return ReluNetwork.from_mantissa(self._w, self._a, jnp.zeros(self.a.shape, jnp.int32))

    def __repr__(self) -> str:
        if is_traced(self.code) or jnp.ndim(self.code) > 0:
            return f"Descent(batch or traced, weights {self.w.shape})"
        _, width, n = self.modes.shape
        return "\n".join(
            [
                f"gradient descent of {width} neurons on {n} data in {self.dtype}: {self.status}",
                f"  steps    {int(self.stopped)} iterations, {self.ts.shape[0]} saved",
                f"  time     0 to {float(self.end_time):.6g}",
                f"  loss     {float(self.loss[0]):.6g} to {float(self.loss[-1]):.6g}",
                f"  norm     {float(self.variation_norm[-1]):.12g} (variation norm at the end)",
                f"  flips    {int(self.flips[-1])} changes of activation",
            ]
        )
