"""What a run is about: the data in span coordinates, and their boundaries."""

import equinox as eqx
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


def problem_of(dataset: Dataset) -> Problem:
    """The problem that a data set poses."""
    span = span_of(dataset)
    boundaries = None if span.orthogonal else Boundaries(span.rows)
    return Problem(span, dataset.y, boundaries)
