"""All devices of one machine: runs dealt out by JAX's own sharding.

Runs never speak to each other, so that the sharded program has no communication: every device has a
loop of its own over its own share, and with two waves under way none of them waits for another.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxflow.dataset import Dataset
from jaxflow.flow.settings import Settings
from jaxflow.montecarlo.ensemble import Ensemble, integrate_batch, run_all
from jaxflow.montecarlo.work import Integrate
from jaxflow.network import ReluNetwork
from jaxflow.programs import make_room
from jaxflow.threads import Threads

RUNS = PartitionSpec("runs")
WHOLE = PartitionSpec()
WAVES = 2
"""Waves under way at the same time."""


def integrator(devices: int | None = None) -> Integrate:
    """What integrates on the first `devices` local devices, by default on all of them.

    Raises:
        ValueError: more devices than there are, or less than one.
    """
    there = jax.local_devices()
    wanted = len(there) if devices is None else devices
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= len(there):
        raise ValueError(
            f"devices: got {devices!r}, wanted an integer from 1 to {len(there)}, the number of "
            f"devices that JAX sees here"
        )
    return run_all if wanted == 1 else over_devices(tuple(there[:wanted]))


def over_devices(devices: Sequence[jax.Device]) -> Integrate:
    """`run_all` with every batch of runs on a device of its own.

    The results are those of `run_all`: a device does the same with the same number of runs.
    """

    def integrate(
        networks: ReluNetwork,
        dataset: Dataset,
        settings: Settings,
        *,
        batch: int,
        progress: Callable[[int], None] | None = None,
    ) -> Ensemble:
        make_room()
        dataset = dataset.for_programs()
        runs, own_data = networks.exponent.shape[0], dataset.x.ndim == 3
        share = min(batch, -(-runs // len(devices)))
        wave = share * len(devices)
        program, placed = _program(tuple(devices), own_data)

        def work(first: int) -> Ensemble:
            piece = np.arange(first, first + wave) % runs
            pick = jax.tree.map(lambda leaf: np.asarray(leaf)[piece], networks)
            data = jax.tree.map(lambda leaf: np.asarray(leaf)[piece], dataset) if own_data else None
            ends = program(placed(pick), placed(data) if own_data else dataset, settings)
            ends = jax.tree.map(np.asarray, ends)
            if progress is not None:
                progress(min(wave, runs - first))
            return ends

        starts = range(0, runs, wave)
        with Threads(WAVES) as pool:
            results = [work(starts[0]), *pool.map(work, starts[1:])]
        return jax.tree.map(lambda *parts: np.concatenate(parts)[:runs], *results)

    return integrate


@lru_cache
def _program(devices: tuple[jax.Device, ...], own_data: bool):
    """The compiled batch on all devices, and what lays arrays out over them."""
    mesh = Mesh(np.array(devices), ("runs",))
    program = jax.jit(
        jax.shard_map(
            lambda networks, dataset, settings: integrate_batch(networks, dataset, settings),
            mesh=mesh,
            in_specs=(RUNS, RUNS if own_data else WHOLE, WHOLE),
            out_specs=RUNS,
            check_vma=False,
        )
    )
    return program, lambda tree: jax.device_put(tree, NamedSharding(mesh, RUNS))
