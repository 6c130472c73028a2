"""Names of the files of a sweep: each one says which chunks it holds."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

CHUNKS = "chunks"
FOLDER = 1000
"""The files of a folder begin with one of so many chunks."""
NAME = re.compile(r"(\d+)-(\d+)\.nc")


def file_of(folder: Path, first: int, last: int) -> Path:
    """The file for the chunks `first` to `last`, both included."""
    return folder / CHUNKS / f"{first // FOLDER:06d}" / f"{first:09d}-{last:09d}.nc"


def stored(folder: Path) -> Iterator[tuple[int, int]]:
    """First and last chunk of every file, in ascending order; other files are passed over."""
    for part in sorted((folder / CHUNKS).glob("*"), key=_leading_number):
        names = (NAME.fullmatch(file.name) for file in part.glob("*.nc"))
        yield from sorted((int(name[1]), int(name[2])) for name in names if name)


def _leading_number(part: Path) -> int:
    return int(part.name) if part.name.isdigit() else -1


def missing(found: Iterable[tuple[int, int]], chunks: int) -> Iterator[int]:
    """Numbers of the chunks, of so many, that are in no file of an ascending list of them.

    The list is gone through at once, and only its gaps are kept.
    """
    gaps, begin = [], 0
    for first, last in found:
        if first > begin:
            gaps.append(range(begin, first))
        begin = max(begin, last + 1)
    return chain.from_iterable([*gaps, range(begin, chunks)])
