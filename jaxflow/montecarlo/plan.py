"""The enumeration of all runs by arithmetic alone: nothing here grows with their number.

Runs are numbered from 0. A block holds the runs of one family of data sets and one width, which
share a compiled program; within a block the scale varies slowest, then the data set, then the seed.
Chunks cut every block into equal pieces, the last one being shorter; they are integrated as they
are, and consecutive ones may be stored together.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from jaxflow.montecarlo.families import Family
from jaxflow.montecarlo.spec import Spec


@dataclass(frozen=True)
class Block:
    """The runs of one family of data sets and one width.

    Attributes:
        first_run, first_chunk: numbers at which the block begins.
        index: number of the family and of the width.
    """

    family: Family
    width: int
    scales: int
    seeds: int
    first_run: int
    first_chunk: int
    index: tuple[int, int]

    @property
    def size(self) -> int:
        """Number of runs."""
        return self.scales * self.family.draws * self.seeds

    def locate(self, places: Int[np.ndarray, " k"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices of the scale, the data set and the seed of runs counted within the block."""
        rest, seed = np.divmod(places, self.seeds)
        scale, draw = np.divmod(rest, self.family.draws)
        return scale, draw, seed


@dataclass(frozen=True)
class Stretch:
    """Consecutive runs of one block, `start` to `stop` counted within it."""

    block: Block
    start: int
    stop: int

    @property
    def count(self) -> int:
        """Number of runs."""
        return self.stop - self.start

    @property
    def first_run(self) -> int:
        """Number of the first run in the whole sweep."""
        return self.block.first_run + self.start

    def locate(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices of the scale, the data set and the seed of every run."""
        return self.block.locate(np.arange(self.start, self.stop))


@dataclass(frozen=True)
class Chunk(Stretch):
    """The stretch that is integrated together under the number of a chunk."""

    number: int


class Plan:
    """Which run is which, for a specification."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.blocks: list[Block] = []
        runs = chunks = 0
        for i, family in enumerate(spec.families):
            for j, width in enumerate(spec.widths):
                sizes = len(spec.scales), spec.seeds
                block = Block(family, width, *sizes, runs, chunks, (i, j))
                self.blocks.append(block)
                runs, chunks = runs + block.size, chunks - (-block.size // spec.chunk)
        self.runs, self.chunks = runs, chunks

    def chunk(self, number: int) -> Chunk:
        """The chunk of a number from 0 to `chunks` − 1."""
        block = next(b for b in reversed(self.blocks) if b.first_chunk <= number)
        start = (number - block.first_chunk) * self.spec.chunk
        return Chunk(block, start, min(start + self.spec.chunk, block.size), number)

    def stretch(self, first: int, last: int) -> Stretch:
        """The runs of consecutive chunks of one block, both ends included.

        Raises:
            ValueError: no such chunks, or chunks of several blocks.
        """
        if not 0 <= first <= last < self.chunks:
            raise ValueError(
                f"chunks: got {first} to {last}, wanted some from 0 to {self.chunks - 1}"
            )
        head, tail = self.chunk(first), self.chunk(last)
        if head.block != tail.block:
            raise ValueError(f"chunks: got {first} to {last}, wanted chunks of one block")
        return Stretch(head.block, head.start, tail.stop)

    def chunk_of_run(self, run: int) -> tuple[Chunk, int]:
        """The chunk that holds a run, and the place of the run in it.

        Raises:
            ValueError: no such run.
        """
        if isinstance(run, bool) or not isinstance(run, int) or not 0 <= run < self.runs:
            raise ValueError(f"run: got {run!r}, wanted an integer from 0 to {self.runs - 1}")
        block = next(b for b in reversed(self.blocks) if b.first_run <= run)
        number, place = divmod(run - block.first_run, self.spec.chunk)
        return self.chunk(block.first_chunk + number), place
