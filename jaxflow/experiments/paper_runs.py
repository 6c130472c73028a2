"""The runs behind the figures of arXiv 2206.00939, each integrated once, when first asked for."""

from dataclasses import dataclass
from functools import cached_property

import diffrax
import jax
import numpy as np

from jaxflow import datasets, init
from jaxflow.analysis import Phases, phases
from jaxflow.dataset import Dataset
from jaxflow.flow.gradient_flow import gradient_flow
from jaxflow.flow.trajectory import Trajectory
from jaxflow.network import ReluNetwork

SAVES = 256
"""Save times of the runs on the line; the report of phases uses as many, and the same program."""

SIDE_BY_SIDE = (("high",), ("toy_phases",), ("small", "large"))
"""Runs by the programs that they share, the longest first: those of one program follow each other,
different ones go beside each other."""
TITLES = {
    "toy_phases": "two orthogonal points",
    "small": "five points from a small start",
    "large": "five points from a large start",
    "high": "the high-dimensional run",
}
"""The same in words."""


@dataclass(frozen=True)
class Sizes:
    """Widths, scales and end times; the defaults are those of the paper's experiments, as far as it
    gives them, and of a horizon at which nothing moves visibly any more."""

    toy_width: int = 60
    toy_scale: float = 1e-6
    toy_end: float = 40.0
    five_width: int = 60
    small_scale: float = 1e-6
    small_end: float = 1000.0
    large_scale: float = 10.0
    large_end: float = 10.0
    high_data: int = 75
    high_dim: int = 150
    high_width: int = 200
    high_scale: float = 1e-20
    high_end: float = 400.0
    high_saves: int = 201


class PaperRuns:
    """Data sets and trajectories of the figures."""

    def __init__(self, sizes: Sizes | None = None, seed: int = 0):
        self.sizes = sizes or Sizes()
        self.seed = seed

    @cached_property
    def toy_data(self) -> Dataset:
        """Two orthogonal points, Figures 1 to 3."""
        return datasets.toy()

    @cached_property
    def toy_start(self) -> ReluNetwork:
        """Initialisation of Figures 1 to 3."""
        return self._balanced(self.sizes.toy_width, self.sizes.toy_scale)

    @cached_property
    def toy(self) -> Trajectory:
        """Figures 1 to 3."""
        ts = np.linspace(0, self.sizes.toy_end, SAVES)
        return gradient_flow(self.toy_start, self.toy_data, ts)

    @cached_property
    def toy_phases(self) -> Phases:
        """What theory says of Figures 1 to 3."""
        return phases(self.toy)

    @cached_property
    def five_data(self) -> Dataset:
        """Five points on the line, Figures 4 and 5."""
        return datasets.five_points()

    @cached_property
    def small(self) -> Trajectory:
        """Figure 4: small initialisation."""
        return self._five(self.sizes.small_scale, self.sizes.small_end)

    @cached_property
    def large(self) -> Trajectory:
        """Figure 5: large initialisation."""
        return self._five(self.sizes.large_scale, self.sizes.large_end)

    @cached_property
    def high(self) -> Trajectory:
        """Figures 6 and 7: Gaussian inputs, labels of a teacher of 6 neurons, sliding neurons."""
        s = self.sizes
        data = datasets.gaussian_teacher(jax.random.key(self.seed), s.high_data, s.high_dim, 6)
        start = init.balanced(
            jax.random.key(self.seed + 1), s.high_width, s.high_dim, scale=s.high_scale
        )
        ts = np.linspace(0, s.high_end, s.high_saves)
        return gradient_flow(
            start,
            data,
            ts,
            rtol=1e-8,
            solver=diffrax.Tsit5(),  # events cut the steps short: few stages do best
            max_events=200_000,
            max_steps=1_000_000,
        )

    def _balanced(self, width: int, scale: float) -> ReluNetwork:
        return init.balanced(jax.random.key(self.seed), width, 2, scale=scale, bias=True)

    def _five(self, scale: float, end: float) -> Trajectory:
        start = self._balanced(self.sizes.five_width, scale)
        return gradient_flow(start, self.five_data, np.linspace(0, end, SAVES))
