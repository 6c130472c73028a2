"""What a run is about: the data in span coordinates, and their boundaries."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.dataset import Dataset
from jaxflow.flow.span import Span, span_of
from jaxflow.modes import Boundaries


class Problem(eqx.Module):
    """Inputs in span coordinates, labels, and the boundaries where neurons may slide.

    `boundaries` is None for orthogonal inputs, on which no neuron slides.
    """

    span: Span
    y: Float[Array, " n"]
    boundaries: Boundaries | None

    @property
    def n(self) -> int:
        """Number of data."""
        return self.y.shape[-1]

    @property
    def largest_label(self) -> Float[Array, ""]:
        """max_k |y_k|, in units of which residuals are small; one if all labels are zero."""
        return _or_one(jnp.max(jnp.abs(self.y)))

    @property
    def norm_of_labels(self) -> Float[Array, ""]:
        """‖y‖, likewise."""
        return _or_one(jnp.linalg.norm(self.y))


def problem_of(dataset: Dataset) -> Problem:
    """The problem that a data set poses."""
    span = span_of(dataset)
    boundaries = None if span.orthogonal else Boundaries(span.rows, dataset.is_distinct)
    return Problem(span, dataset.y, boundaries)


def _or_one(size: Float[Array, ""]) -> Float[Array, ""]:
    return jnp.where(size > 0, size, 1.0)
