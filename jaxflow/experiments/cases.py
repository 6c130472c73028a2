"""Cases: a data set, named by a short label, together with the networks to train on it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import jax
from jaxtyping import Array

from jaxflow import datasets, init
from jaxflow.dataset import Dataset
from jaxflow.experiments.arguments import hint
from jaxflow.minnorm import Interpolator, minimum_variation_norm
from jaxflow.network import ReluNetwork
from jaxflow.validation import positive_integer

RANDOM_LABEL = re.compile(r"(orthogonal|gaussian)-(\d+)-(\d+)-(\d+)")
TEACHER_WIDTH = 6
"""Neurons of the network that labels Gaussian inputs, as in Figures 6 and 7 of arXiv 2206.00939."""
ON_THE_LINE = {"five-points": datasets.five_points, "three-points": datasets.three_points}
"""Data with a bias coordinate that are not orthogonal."""
LABELS = ("toy", *ON_THE_LINE, "orthogonal-10-20-0", "gaussian-8-8-0")
"""One label of each kind."""
DEFAULT_DATASETS = (
    "toy",
    *(f"orthogonal-6-6-{number}" for number in range(15)),
    *(f"orthogonal-10-20-{number}" for number in range(4)),
    "three-points",
    "gaussian-8-8-0",
)
"""The toy and random data of two shapes: one where most networks of width 10 n meet the theorem's
hypothesis, and one where about half of them do. Off orthogonal inputs, data where the flow stops
short of the labels and data where it interpolates; the five points are left to those who ask for
them, because they take several times as many steps."""
DEFAULT_DATASETS_IN_WORDS = (
    "toy, orthogonal-6-6-0 to -14, orthogonal-10-20-0 to -3, three-points, gaussian-8-8-0"
)


@dataclass(frozen=True)
class Start:
    """A balanced initialisation up to its seed and scale."""

    width: int
    dim: int
    bias: bool = False

    def network(self, seed: int | Array, log_scale: float | Array) -> ReluNetwork:
        """The initialisation from `jax.random.key(seed)` at the scale exp(log_scale)."""
        key = jax.random.key(seed)
        return init.balanced(key, self.width, self.dim, log_scale=log_scale, bias=self.bias)


@dataclass(frozen=True)
class Case:
    """A data set and the networks trained on it."""

    label: str
    dataset: Dataset
    start: Start

    @property
    def shape(self) -> tuple[int, Start]:
        """Cases of one shape share a compiled program."""
        return self.dataset.n, self.start

    @cached_property
    def minimum(self) -> Interpolator:
        """The certified minimum of the variation norm."""
        return minimum_variation_norm(self.dataset)


def case_of(dataset: str | Dataset, width: int | None = None) -> Case:
    """The case that a label names, or that a data set of one's own makes.

    Labels are `toy`, `five-points` and `three-points`, as in `jaxflow.datasets`;
    `orthogonal-n-d-number`: n random orthogonal inputs in dimension d drawn by
    `jaxflow.datasets.random_orthogonal(jax.random.key(number), n, d)`; and `gaussian-n-d-number`,
    drawn by `jaxflow.datasets.gaussian_teacher(jax.random.key(number), n, d, 6)`. The width is 60
    for the toy and 10 n otherwise, unless it is given.

    Raises:
        ValueError: an unknown label, a width below one.
    """
    if width is not None:
        positive_integer("width", width)
    if isinstance(dataset, Dataset):
        return Case(dataset.name, dataset, Start(width or 10 * dataset.n, dataset.dim))
    if dataset == "toy":
        return Case("toy", datasets.toy(), Start(width or 60, 2, bias=True))
    if dataset in ON_THE_LINE:
        data = ON_THE_LINE[dataset]()
        return Case(dataset, data, Start(width or 10 * data.n, 2, bias=True))
    data = _random(dataset)
    return Case(dataset, data, Start(width or 10 * data.n, data.dim))


def _random(label: str) -> Dataset:
    found = RANDOM_LABEL.fullmatch(label) if isinstance(label, str) else None
    if found is None:
        raise ValueError(
            f"dataset: got {label!r}, wanted 'toy', 'five-points', 'three-points', "
            f"'orthogonal-n-d-number' such as 'orthogonal-10-20-0', 'gaussian-n-d-number' such as "
            f"'gaussian-8-8-0', or from Python a jaxflow.Dataset(x, y)"
            f"{hint(str(label), LABELS)}"
        )
    n, d, number = map(int, found.groups()[1:])
    key = jax.random.key(number)
    if found[1] == "orthogonal":
        return datasets.random_orthogonal(key, n, d)
    return datasets.gaussian_teacher(key, n, d, TEACHER_WIDTH)


def cases_of(chosen: Sequence[str | Dataset], width: int | None = None) -> list[Case]:
    """One case for each data set.

    Raises:
        ValueError: no data set, two of the same label, or as `case_of`.
    """
    if isinstance(chosen, str | Dataset):
        chosen = [chosen]
    cases = [case_of(dataset, width) for dataset in chosen]
    labels = [case.label for case in cases]
    if not cases or len(set(labels)) < len(labels):
        raise ValueError(
            f"datasets: got the labels {labels}, wanted at least one and no label twice"
        )
    return cases
