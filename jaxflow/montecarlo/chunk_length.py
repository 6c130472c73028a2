"""How many runs are integrated and stored together, where a specification does not say it.

Many, so that what a chunk costs besides its runs does not matter; few, because a chunk under way is
lost with the process, and must fit into the memory. The answer is a function of the specification
alone, so that the same one has the same chunks everywhere and at every time.
"""

from collections.abc import Collection
from itertools import product
from math import prod

from jaxflow.montecarlo.families import Family
from jaxflow.montecarlo.quantities import Quantity

RUNS = 1024
"""Most runs: 0.1 s of work for the lightest ones, a quarter of an hour if a run takes a second."""
ROOM = 2**26
"""Bytes for the starts, data and results of a chunk, 64 MiB; one batch may need more."""


def chunk_length(
    families: Collection[Family],
    widths: Collection[int],
    kept: Collection[Quantity],
    times: int,
    batch: int,
) -> int:
    """The number of runs in a chunk: whole batches, at least one.

    Args:
        families, widths: what is integrated; the largest of their products decides.
        kept: what is stored of a run.
        times: number of save times.
        batch: runs in one compiled call.
    """
    largest = max(
        bytes_of_run(family, width, kept, times) for family, width in product(families, widths)
    )
    return max(1, min(RUNS, ROOM // largest) // batch) * batch


def bytes_of_run(family: Family, width: int, kept: Collection[Quantity], times: int) -> int:
    """Memory for the start, the data set and the results of one run, in bytes."""
    n, d = family.shape
    lengths = {"datum": n, "input": d, "neuron": width, "save": times}
    start, data = width * (d + 2), n * (d + 1) * (family.draws > 1)
    results = sum(prod(lengths[axis] for axis in quantity.axes) for quantity in kept)
    return 8 * (start + data + results)
