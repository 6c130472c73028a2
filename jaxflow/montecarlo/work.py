"""The work of one chunk: initialise, integrate, summarise."""

from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxflow.compilation import pairs_in_batch, program
from jaxflow.dataset import Dataset
from jaxflow.flow.gradient_flow import gradient_flow
from jaxflow.flow.settings import Settings
from jaxflow.montecarlo.ensemble import Ensemble
from jaxflow.montecarlo.plan import Chunk, Plan
from jaxflow.montecarlo.quantities import SAVE_TIMES, summaries_of
from jaxflow.montecarlo.spec import Spec
from jaxflow.montecarlo.starts import networks
from jaxflow.network import ReluNetwork

Values = dict[str, np.ndarray]
"""Quantities of the runs of a chunk, each with a leading axis of runs."""


class Integrate(Protocol):
    """Integrates stacked networks on one data set or on as many, as `run_all` does."""

    def __call__(
        self,
        networks: ReluNetwork,
        dataset: Dataset,
        settings: Settings,
        *,
        batch: int,
        progress: Callable[[int], None] | None = None,
    ) -> Ensemble: ...


def integrate_chunk(
    plan: Plan,
    number: int,
    integrate: Integrate,
    progress: Callable[[int], None] | None = None,
) -> Values:
    """Integrate the runs of a chunk and return what is kept of them.

    All chunks of a block use one compiled program: short ones are filled up with runs of their own.
    """
    spec, chunk = plan.spec, plan.chunk(number)
    starts, data, batch = inputs_of(spec, chunk)
    ends = integrate(starts, data, spec.settings, batch=batch, progress=progress)
    values = summaries_of(ends, spec.summaries, chunk.count)
    if spec.trajectories:
        values |= trajectories_of(spec, starts, data, np.asarray(ends.end_time), chunk.count, batch)
    return values


class ChunkWork:
    """The work of all chunks of a plan, to be called from several threads.

    The first batch of every block goes alone, so that its program is compiled once.
    """

    def __init__(self, plan: Plan, integrate: Integrate):
        self.plan, self.integrate = plan, integrate
        self._alone = {block.index: Lock() for block in plan.blocks}
        self._compiled: set[tuple[int, int]] = set()

    def __call__(self, number: int, progress: Callable[[int], None] | None = None) -> Values:
        """Integrate one chunk; `progress` is called with the number of runs just finished."""
        block = self.plan.chunk(number).block.index
        if block in self._compiled:
            return integrate_chunk(self.plan, number, self.integrate, progress)
        place = self._alone[block]
        place.acquire()
        held = [place]

        def open_to_others() -> None:
            with suppress(IndexError):  # whoever comes first opens
                held.pop().release()

        def batch_done(count: int) -> None:
            if not self.plan.spec.trajectories:  # their own program is still to be compiled
                self._compiled.add(block)
                open_to_others()
            if progress is not None:
                progress(count)

        if block in self._compiled:  # by now
            open_to_others()
        try:
            values = integrate_chunk(self.plan, number, self.integrate, batch_done)
            self._compiled.add(block)
            return values
        finally:
            open_to_others()


def inputs_of(spec: Spec, chunk: Chunk) -> tuple[ReluNetwork, Dataset, int]:
    """Stacked networks, data sets and the length of a batch; at least one batch of runs."""
    block = chunk.block
    batch = min(spec.batch, block.size)
    places = np.arange(chunk.start, chunk.stop)
    filled = np.resize(places, min(spec.chunk, block.size))
    needed = max(chunk.count, batch)
    starts = jax.tree.map(lambda leaf: leaf[:needed], networks(spec, block, filled))
    _, draw, _ = block.locate(filled[:needed])
    return starts, block.family.stack(draw), batch


def trajectories_of(
    spec: Spec,
    starts: ReluNetwork,
    data: Dataset,
    end_times: np.ndarray,
    count: int,
    batch: int,
) -> Values:
    """The chosen quantities at equally spaced times from 0 to the end of every run."""
    wanted, own = spec.trajectories, data.x.ndim == 3
    parts = []
    for first in range(0, count, batch):
        piece = np.arange(first, first + batch) % end_times.size
        part, part_data, ends = jax.tree.map(
            lambda leaf, piece=piece: leaf[piece], (starts, data if own else None, end_times)
        )
        many = _along(part, part_data if own else data, ends, spec.settings, wanted, spec.times)
        parts.append(jax.tree.map(np.asarray, many))
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}


@program(pairs_in_batch)
def _along(starts, data, end_times, settings: Settings, wanted: tuple[str, ...], times: int):
    def one(network, dataset, end):
        real = jnp.isfinite(end) & (end > 0)
        ts = jnp.linspace(0.0, jnp.where(real, end, 1.0), times)
        run = gradient_flow(
            network, dataset, ts, rtol=settings.rtol, max_steps=settings.max_steps, max_events=0
        )
        arrived = real & (ts <= run.end_time)
        found = {SAVE_TIMES: jnp.where(arrived, ts, jnp.nan)}
        for name in wanted:
            along = getattr(run, name)
            there = arrived.reshape(-1, *(1,) * (along.ndim - 1))
            found[f"trajectory_{name}"] = jnp.where(there, along, jnp.nan)
        return found

    axes = (0, 0 if data.x.ndim == 3 else None, 0)
    return jax.vmap(one, axes)(starts, data, end_times)
