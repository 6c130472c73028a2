"""Training data: inputs and labels, checked once, and whether the inputs are orthogonal."""

from copy import copy

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from jaxflow.validation import float64_array, is_traced

ORTHOGONAL_COSINE = 1e-12
"""Inputs whose pairwise cosines are at most this in absolute value are treated as exactly
orthogonal: a rotated basis in float64 is orthogonal only to rounding."""


DISTINCT_COSINE = 1 - 1e-10
"""Inputs whose pairwise cosines are at most this in absolute value are no multiples of each other:
the sine of every angle is 1e-5 at least, far above rounding."""

ANY = "data"
"""The name of data that have no other."""


class Dataset(eqx.Module):
    """Inputs x_k and labels y_k of a regression problem, k = 1..n.

    A bias is a constant last input coordinate. Data sets of one shape and kind can be stacked with
    `jax.tree.map` and handed to `jax.vmap`.

    Args:
        x: inputs, shape (n, d), float64, no zero row.
        y: labels, shape (n,), float64.
        name: a word for tables and pictures.

    Attributes:
        is_orthogonal: whether the inputs are orthogonal.
        is_distinct: whether it is known that no input is a multiple of another one; only
            `for_programs` looks.
        is_labelled: whether it is known that some label is not zero; likewise.

    Raises:
        ValueError: wrong shapes, empty, non-numeric, float32, NaN or infinite data, zero rows,
            float64 switched off.
    """

    x: Float[Array, "n d"]
    y: Float[Array, " n"]
    is_orthogonal: bool = eqx.field(static=True)
    is_distinct: bool = eqx.field(static=True)
    is_labelled: bool = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(self, x, y, name: str = ANY):
        self.x = float64_array("x", x, ("n", "d"))
        self.y = float64_array("y", y, (self.x.shape[0],))
        self.name, self.is_distinct, self.is_labelled = name, False, False
        if is_traced(self.x):
            self.is_orthogonal = False
        else:
            _refuse_zero_rows(np.asarray(self.x))
            self.is_orthogonal = worst_cosine(self.x) <= ORTHOGONAL_COSINE

    @property
    def n(self) -> int:
        """Number of data."""
        return self.x.shape[-2]

    @property
    def dim(self) -> int:
        """Dimension d of the inputs, a bias coordinate included."""
        return self.x.shape[-1]

    def for_programs(self) -> "Dataset":
        """The same data, or stack of data, as compiled programs know them.

        Without a name, as they are compiled for every one; and it is looked whether inputs are
        multiples of each other, and whether all labels are zero, since programs for data without
        such are shorter. Of a stack nothing is known, so that its programs do not depend on who is
        in it; traced data keep what was known before.
        """
        other = copy(self)
        object.__setattr__(other, "name", ANY)
        if not (is_traced(self.x) or is_traced(self.y)) and self.x.ndim == 2:
            distinct = not self.is_orthogonal and worst_cosine(self.x) <= DISTINCT_COSINE
            object.__setattr__(other, "is_distinct", distinct)
            object.__setattr__(other, "is_labelled", bool(np.any(np.asarray(self.y) != 0)))
        return other

    def __repr__(self) -> str:
        kind = "orthogonal" if self.is_orthogonal else "general"
        return f"Dataset({self.name}: {self.n} {kind} inputs in dimension {self.dim})"


def worst_cosine(x: Float[Array, "n d"]) -> float:
    """Largest absolute cosine between two different inputs, max_{k≠l} |⟨x_k, x_l⟩|/(‖x_k‖‖x_l‖)."""
    rows = np.asarray(x)
    rows = rows / np.max(np.abs(rows), axis=1, keepdims=True)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = np.abs(unit @ unit.T)
    np.fill_diagonal(cosines, 0.0)
    return float(cosines.max())


def require_orthogonal(dataset: Dataset, purpose: str) -> None:
    """Raise unless the inputs are orthogonal.

    Raises:
        ValueError: with the worst cosine, when they are not.
    """
    if not dataset.is_orthogonal:
        found = "traced inputs" if is_traced(dataset.x) else f"{worst_cosine(dataset.x):.3g}"
        raise ValueError(
            f"dataset: {purpose} needs orthogonal inputs, wanted pairwise cosines of at most "
            f"{ORTHOGONAL_COSINE:g} in absolute value, got {found} as the worst one"
        )


def _refuse_zero_rows(x: np.ndarray) -> None:
    zero = np.flatnonzero(np.all(x == 0, axis=1))
    if zero.size:
        raise ValueError(
            f"x: got a zero row at index {int(zero[0])}, wanted nonzero inputs; no network without "
            f"bias sees a zero input: drop it, or append a constant coordinate as a bias"
        )
