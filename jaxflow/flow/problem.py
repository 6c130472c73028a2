"""What a run is about: the data in span coordinates, and their boundaries."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.dataset import Dataset
from jaxflow.flow.coordinates import State, hidden_parts, log_norms, output_parts
from jaxflow.flow.span import Span, span_of
from jaxflow.modes import Boundaries


class Problem(eqx.Module):
    """Inputs in span coordinates, labels, and the boundaries where neurons may slide.

    `boundaries` is None for orthogonal inputs, on which no neuron slides; `labelled` is whether it
    is known that some label is not zero.
    """

    span: Span
    y: Float[Array, " n"]
    boundaries: Boundaries | None
    labelled: bool = eqx.field(static=True)

    @property
    def n(self) -> int:
        """Number of data."""
        return self.y.shape[-1]

    def largest_label(self, state: State) -> Float[Array, ""]:
        """max_k |y_k|, in units of which residuals are small.

        If all labels are zero, the most that an output can be, max‖x_k‖ Σ_j ‖z_j‖²/2.
        """
        return self._or_largest_output(jnp.max(jnp.abs(self.y)), state)

    def norm_of_labels(self, state: State) -> Float[Array, ""]:
        """‖y‖, likewise."""
        return self._or_largest_output(jnp.linalg.norm(self.y), state)

    def _or_largest_output(self, size: Float[Array, ""], state: State) -> Float[Array, ""]:
        if self.labelled:
            return size
        norms = output_parts(state) ** 2 + jnp.sum(hidden_parts(state) ** 2, axis=0)
        mass = jnp.sum(jnp.exp(2 * log_norms(state)) * norms)
        most = jnp.max(self.span.norms()) * mass / 2
        return jnp.where(size > 0, size, jnp.where(most > 0, most, 1.0))


def problem_of(dataset: Dataset) -> Problem:
    """The problem that a data set poses."""
    span = span_of(dataset)
    boundaries = None if span.orthogonal else Boundaries(span.rows, dataset.is_distinct)
    return Problem(span, dataset.y, boundaries, dataset.is_labelled)
