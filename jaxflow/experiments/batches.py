"""Runs in batches of one compiled program for each shape, on as many threads as there are cores."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxflow.compilation import program, seldom
from jaxflow.dataset import Dataset
from jaxflow.experiments.cases import Case, Start
from jaxflow.flow.settings import Settings
from jaxflow.montecarlo.ensemble import Ensemble
from jaxflow.network import ReluNetwork
from jaxflow.programs import make_room
from jaxflow.threads import Threads

BATCH = 25

Integrate = Callable[[ReluNetwork, Dataset, Settings], Ensemble]
"""Integrates stacked networks on as many stacked data sets."""


@dataclass(frozen=True)
class Batch:
    """Runs of one shape and one scale: for each one the index of its case and of its seed."""

    members: np.ndarray
    seeds: np.ndarray
    scale: int

    @property
    def index(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Where the results belong in arrays with axes (dataset, seed, scale)."""
        return self.members, self.seeds, self.scale


def batches_of(cases: list[Case], seeds: int, scales: int) -> list[list[Batch]]:
    """All runs, as one list of equally long batches for each shape.

    The last batch is filled up with runs of the first, so that no other length is compiled.
    """
    return [_of_one_shape(members, seeds, scales) for members in by_shape(cases)]


def by_shape(cases: list[Case]) -> list[np.ndarray]:
    """Indices of the cases of each shape."""
    shapes = [case.shape for case in cases]
    return [
        np.array([i for i, other in enumerate(shapes) if other == shape])
        for shape in dict.fromkeys(shapes)
    ]


def _of_one_shape(members: np.ndarray, seeds: int, scales: int) -> list[Batch]:
    case, seed = (axis.ravel() for axis in np.meshgrid(members, np.arange(seeds), indexing="ij"))
    length = min(BATCH, case.size)
    starts = range(0, case.size, length)
    pieces = [np.arange(start, start + length) % case.size for start in starts]
    return [Batch(case[p], seed[p], scale) for scale in range(scales) for p in pieces]


def integrate_all(
    cases: list[Case],
    seeds: np.ndarray,
    log_scales: list[float],
    settings: Settings,
    integrate: Integrate,
) -> Iterator[tuple[Batch, Ensemble]]:
    """Integrate everything and yield each batch as it is finished.

    The first batch of every shape goes ahead, so that each program is compiled once and different
    programs at the same time. When the consumer stops, batches not yet begun are dropped, and those
    under way are left alone.
    """
    groups = batches_of(cases, len(seeds), len(log_scales))

    def work(batch: Batch) -> tuple[Batch, Ensemble]:
        make_room()
        networks, data = initialise(cases, batch, seeds, log_scales)
        return batch, jax.tree.map(np.asarray, integrate(networks, data, settings))

    pool = Threads(max_workers=os.cpu_count())
    try:
        for wave in ([g[0] for g in groups], [b for g in groups for b in g[1:]]):
            for done in as_completed([pool.submit(work, batch) for batch in wave]):
                yield done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def initialise(
    cases: list[Case], batch: Batch, seeds: np.ndarray, log_scales: list[float]
) -> tuple[ReluNetwork, Dataset]:
    """Stacked networks and data sets of a batch."""
    chosen = [cases[member] for member in batch.members]
    log_scale = jnp.asarray(log_scales[batch.scale])
    networks = _networks(chosen[0].start, jnp.asarray(seeds[batch.seeds]), log_scale)
    model = next(case.dataset for case in cases if case.shape == chosen[0].shape)
    return networks, stacked([case.dataset for case in chosen], model)


@program(seldom)
def _networks(start: Start, seeds, log_scale) -> ReluNetwork:
    return jax.vmap(lambda seed: start.network(seed, log_scale))(seeds)


def stacked(chosen: list[Dataset], model: Dataset) -> Dataset:
    """Data sets of one shape with a leading axis, under the name of `model`.

    A name is part of a compiled program, so that all batches of a shape need the same one.
    """
    leaves = zip(*(jax.tree.leaves(dataset) for dataset in chosen), strict=True)
    arrays = [jnp.asarray(np.stack([np.asarray(part) for part in parts])) for parts in leaves]
    return jax.tree.unflatten(jax.tree.structure(model), arrays)
