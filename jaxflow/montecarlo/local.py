"""The chunks of a sweep on this machine."""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from threading import Event

from jaxflow.montecarlo.plan import Plan
from jaxflow.montecarlo.work import ChunkWork, Integrate, Values
from jaxflow.threads import Threads

AHEAD = 2
"""Chunks under way together, so that no core waits for the end of one or for the disk."""


class Abandoned(Exception):
    """The results of a chunk are not wanted any more."""


def local_results(
    plan: Plan, numbers: Iterable[int], integrate: Integrate
) -> Iterator[tuple[int, Values]]:
    """Integrate chunks and yield each one as it is finished.

    When the consumer stops, the batches under way are the last ones. An error in a chunk is raised
    after the chunks that are finished by then.
    """
    stopped, chunk_work = Event(), ChunkWork(plan, integrate)

    def between_batches(_: int) -> None:
        if stopped.is_set():
            raise Abandoned

    def work(number: int) -> tuple[int, Values]:
        return number, chunk_work(number, between_batches)

    pool, numbers = Threads(AHEAD), iter(numbers)

    def begun(places: int) -> set[Future]:
        return {pool.submit(work, number) for number in islice(numbers, places)}

    try:
        running = begun(AHEAD)
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            running |= begun(AHEAD - len(running))
            for chunk in sorted(finished, key=_has_failed):
                yield chunk.result()
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _has_failed(chunk: Future) -> bool:
    return chunk.exception() is not None
