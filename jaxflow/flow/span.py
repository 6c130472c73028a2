"""The span of the data: the few coordinates of a hidden weight that the flow can move."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.dataset import Dataset
from jaxflow.lapack import largest_singular_value, orthonormal_basis


class Span(eqx.Module):
    """An orthonormal basis e_1..e_q of a space that contains all inputs.

    A hidden weight is w = w_rest + Σ_i p_i e_i; the flow moves only p (`q` numbers a neuron,
    whatever d is). Orthogonal inputs are their own basis, x_k = ‖x_k‖ e_k, and every product is
    elementwise.

    Shapes: `basis (q, d)`; `rows` holds the data coordinates, (n, q), or the norms (n,) when
    orthogonal.
    """

    basis: Float[Array, "q d"]
    rows: Float[Array, "..."]
    orthogonal: bool = eqx.field(static=True)

    @property
    def size(self) -> int:
        """Number q of coordinates."""
        return self.basis.shape[-2]

    def preactivations(self, p: Float[Array, "q m"]) -> Float[Array, "n m"]:
        """⟨w_j, x_k⟩ from coordinates."""
        return p * self.rows[:, None] if self.orthogonal else self.rows @ p

    def combine(self, c: Float[Array, "n m"]) -> Float[Array, "q m"]:
        """Σ_k c_jk x_k in coordinates."""
        return c * self.rows[:, None] if self.orthogonal else self.rows.T @ c

    def norms(self) -> Float[Array, " n"]:
        """‖x_k‖."""
        return self.rows if self.orthogonal else jnp.linalg.norm(self.rows, axis=-1)

    def gram(self) -> Float[Array, "n n"]:
        """⟨x_k, x_l⟩."""
        return jnp.diag(self.rows**2) if self.orthogonal else self.rows @ self.rows.T

    def operator_norm(self) -> Float[Array, ""]:
        """‖X‖_op, the largest singular value of the data matrix."""
        return jnp.max(self.rows) if self.orthogonal else largest_singular_value(self.rows)


def span_of(dataset: Dataset) -> Span:
    """The span of a data set: the inputs' own directions if orthogonal, a QR basis otherwise."""
    x = dataset.x
    if dataset.is_orthogonal:
        norms = jnp.linalg.norm(x, axis=-1)
        return Span(x / norms[:, None], norms, True)
    if x.shape[0] >= x.shape[1]:
        return Span(jnp.eye(x.shape[1]), x, False)
    basis, upper = orthonormal_basis(x.T)
    return Span(basis.T, upper.T, False)
