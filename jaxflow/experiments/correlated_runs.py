"""Runs on inputs that are not orthogonal: what there is to do, one run after the other.

Lockstep would not pay here: the steps of runs that slide differ by a factor of a hundred, and a run
by itself carries out one branch of every decision in place of all.
"""

import os
from collections.abc import Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import cached_property

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxflow import datasets, init
from jaxflow.dataset import Dataset
from jaxflow.experiments.sliding_end import SlidingEnd, sliding_end
from jaxflow.flow.settings import Settings
from jaxflow.network import ReluNetwork
from jaxflow.threads import Threads

Place = tuple[int, int, int]
"""Inputs, scale and draw of a run."""


@dataclass(frozen=True)
class Inputs:
    """A family of data sets: cosines ±value, or a subspace of dimension value."""

    kind: str
    value: float

    def dataset(self, key: Array, n: int) -> Dataset:
        """One draw of n data in R^(n+1)."""
        if self.kind == "cosine":
            return datasets.random_correlated(key, n, cosine=self.value)
        return datasets.random_subspace(key, n, n + 1, rank=int(self.value))

    def __str__(self) -> str:
        return f"cosine {self.value:g}" if self.kind == "cosine" else f"d' = {int(self.value)}"


@dataclass(frozen=True)
class Work:
    """What there is to do: all draws of all inputs at all scales."""

    inputs: list[Inputs]
    log_scales: list[float]
    n: int
    width: int
    draws: int
    seed: int

    @cached_property
    def keys(self) -> Array:
        """Keys of data and initialisation for each draw, shape (2, draws)."""
        return jax.random.split(jax.random.key(self.seed), (2, self.draws))

    @cached_property
    def data(self) -> list[list[Dataset]]:
        """The data set of each draw, for all inputs."""
        return [[family.dataset(key, self.n) for key in self.keys[0]] for family in self.inputs]

    @cached_property
    def places(self) -> list[list[Place]]:
        """All runs, for each compiled program: orthogonal inputs have one of their own."""
        counts = len(self.inputs), len(self.log_scales), self.draws
        kinds = {True: [], False: []}
        for place in np.ndindex(counts):
            kinds[self.data[place[0]][0].is_orthogonal].append(place)
        return [runs for runs in kinds.values() if runs]

    def integrated(self, settings: Settings) -> Iterator[tuple[Place, SlidingEnd]]:
        """Yield runs as they are finished; each program's first one goes ahead and compiles."""
        with Threads(max_workers=os.cpu_count()) as pool:
            waves = [g[0] for g in self.places], [run for g in self.places for run in g[1:]]
            try:
                for wave in waves:
                    tasks = [pool.submit(self._integrate, place, settings) for place in wave]
                    for task in as_completed(tasks):
                        yield task.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _integrate(self, place: Place, settings: Settings) -> tuple[Place, SlidingEnd]:
        i, s, k = place
        given = self.data[i][k]
        dataset = Dataset(given.x, given.y)  # a name would be part of the compiled program
        log_scale = jnp.asarray(self.log_scales[s])
        network = _network(self.keys[1][k], log_scale, self.width, self.n + 1)
        return place, jax.tree.map(np.asarray, sliding_end(network, dataset, settings))


@eqx.filter_jit
def _network(key: Array, log_scale: Array, width: int, dim: int) -> ReluNetwork:
    return init.balanced(key, width, dim, log_scale=log_scale)
