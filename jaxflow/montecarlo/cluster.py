"""The chunks of a sweep on a cluster, through Dask distributed.

Workers receive the specification and the number of a chunk and send its summaries back; the process
that began the sweep writes them, so that no common disk is needed. A chunk whose worker dies is
begun again elsewhere.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from functools import lru_cache
from importlib import import_module
from itertools import islice
from pathlib import Path

from jaxflow.montecarlo.devices import integrator
from jaxflow.montecarlo.plan import Plan
from jaxflow.montecarlo.spec import Spec, spec_of
from jaxflow.montecarlo.store import versions
from jaxflow.montecarlo.work import ChunkWork, Values
from jaxflow.precision import enable_float64

AHEAD = 2
"""Chunks under way or waiting, for each thread of the workers."""
ATTEMPTS = 3
"""Times that a chunk is begun; Dask itself begins it anew after each of three deaths of workers."""
PATIENCE = "60s"
"""How long to wait for the scheduler."""


def cluster_results(
    plan: Plan, numbers: Iterable[int], address: str
) -> Iterator[tuple[int, Values]]:
    """Integrate chunks on a cluster and yield each one as it is finished.

    Args:
        plan: which run is which.
        numbers: the chunks that are missing.
        address: of the scheduler, such as `tcp://host:8786`, or a scheduler file.

    Raises:
        ValueError: Dask distributed is not installed, or no scheduler answers.
        OSError: a chunk was lost with its worker too often, or the scheduler went away.
    """
    distributed = require_distributed()
    with _client(distributed, address) as client:
        yield from _results(distributed, client, plan, iter(numbers))


def _results(distributed, client, plan: Plan, numbers: Iterator[int]):
    spec, used = plan.spec.as_dict(), versions()
    running = distributed.as_completed(loop=client.loop)
    attempts: dict[str, tuple[int, int]] = {}

    def begin(number: int, attempt: int) -> None:
        future = client.submit(work, spec, number, used, pure=False)
        attempts[future.key] = number, attempt
        running.add(future)

    for number in islice(numbers, _places(client)):
        begin(number, 1)
    for future in running:
        number, attempt = attempts.pop(future.key)
        values = _values_of(distributed, future, number, attempt)
        if values is None:
            begin(number, attempt + 1)
            continue
        for fresh in islice(numbers, max(0, _places(client) - len(attempts))):
            begin(fresh, 1)
        yield number, values


def _values_of(distributed, future, number: int, attempt: int) -> Values | None:
    """What a chunk gave; None if it is to be tried once more."""
    try:
        return future.result()
    except distributed.KilledWorker as error:
        if attempt < ATTEMPTS:
            return None
        raise OSError(
            f"chunk {number} was lost with its worker again and again ({error}); perhaps the "
            f"workers have too little memory. All finished chunks are intact"
        ) from None
    except CancelledError:
        raise OSError(
            "the Dask scheduler went away. All finished chunks are intact, and the same command "
            "goes on from there"
        ) from None


def _places(client) -> int:
    """How many chunks to hand out; workers may come and go."""
    return AHEAD * max(1, sum(client.nthreads().values()))


def work(spec: dict, number: int, wanted: dict[str, str]) -> Values:
    """Integrate one chunk on a worker, which is a program of its own and switches float64 on.

    Raises:
        ValueError: the worker has other versions of packages than the process that sent the work.
    """
    enable_float64()
    if versions() != wanted:
        raise ValueError(f"cluster: got a worker with {versions()}, wanted one with {wanted}")
    return _chunk_work(spec_of(spec))(number)


@lru_cache(maxsize=4)
def _chunk_work(spec: Spec) -> ChunkWork:
    return ChunkWork(Plan(spec), integrator())


def _client(distributed, address: str):
    where = {"scheduler_file": address} if Path(address).exists() else {"address": address}
    try:
        return distributed.Client(**where, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"cluster: got {address!r}, wanted the address of a running Dask scheduler, such as "
            f"tcp://host:8786, or its scheduler file: {error}"
        ) from None


def require_distributed():
    """Dask distributed, imported when it is wanted.

    Raises:
        ValueError: it is not installed, with the line that installs it.
    """
    try:
        return import_module("distributed")
    except ImportError as error:
        raise ValueError(
            f"cluster: needs Dask distributed ({error}); install it, "
            f'in a copy of the repository, with pip install ".[cluster]"'
        ) from None
