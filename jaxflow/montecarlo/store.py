"""The result of a sweep: a folder with its specification and netCDF files of consecutive chunks.

A chunk is there with all its quantities or not at all, because its file appears by one renaming;
that it is there, under a name that says which chunks it holds, is the only record of their being
done. So a sweep can end at any moment, and a file
that one program reads cannot be spoilt by another that writes. netCDF rather than zarr: a zarr
group has a file for every quantity and chunk, which cannot appear together; and any one file of a
sweep is one that common tools read.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from jaxflow.montecarlo.chunk_file import UNFINISHED, decode, encode, put
from jaxflow.montecarlo.chunk_names import file_of, missing, stored
from jaxflow.montecarlo.plan import Plan, Stretch
from jaxflow.montecarlo.quantities import kept
from jaxflow.montecarlo.spec import Spec, differences, spec_of
from jaxflow.montecarlo.work import Values
from jaxflow.versions import versions_of

try:
    import fcntl
except ImportError:  # not on Windows, where two processes on one sweep only waste work
    fcntl = None

HEADER = "sweep.json"
LOCK = "lock"
FORMAT = 2
PACKAGES = ("jaxflow", "jax", "jaxlib", "diffrax", "equinox", "numpy")


class Store:
    """A sweep on disk.

    Attributes:
        path: the folder.
        plan: which run is which.
        header: specification and versions, as stored.
    """

    def __init__(self, path: Path, plan: Plan, header: dict):
        self.path, self.plan, self.header = path, plan, header
        self.kept = kept(plan.spec.summaries, plan.spec.trajectories)

    @classmethod
    def open(cls, path: str | Path) -> "Store":
        """The sweep in a folder, for reading.

        Raises:
            ValueError: no sweep there, or one of another format.
        """
        path = Path(path)
        try:
            header = json.loads((path / HEADER).read_text(encoding="utf-8"))
            written, spec = header["format"], header["spec"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"path: got {str(path)!r}, wanted a folder that `jaxflow sweep` made: {error}"
            ) from None
        if written != FORMAT:
            raise ValueError(
                f"path: {path} has format {written}, wanted {FORMAT}; read it with the version of "
                f"jaxflow that made it, or begin anew in another folder"
            )
        return cls(path, Plan(spec_of(spec)), header)

    @classmethod
    def create_or_continue(cls, path: str | Path, spec: Spec) -> "Store":
        """A new folder for a specification, or the one that its runs were begun in.

        Raises:
            ValueError: another specification's runs are there, with the differences, or other
                files.
            OSError: the folder cannot be written.
        """
        path = Path(path)
        if (path / HEADER).exists():
            store = cls.open(path)
            store._refuse_other(spec)
            store._check_writable()
            return store
        if path.exists() and not _is_empty_folder(path):
            raise ValueError(
                f"output.path: got {str(path)!r}, which holds something else, wanted a new folder"
            )
        header = {"format": FORMAT, "spec": spec.as_dict(), "versions": versions()}
        store = cls(path, Plan(spec), header)
        store._check_writable()
        put(path / HEADER, json.dumps(header, indent=1).encode())
        return store

    def _refuse_other(self, spec: Spec) -> None:
        different = differences(spec, self.plan.spec.as_dict())
        if different:
            raise ValueError(
                f"output.path: {self.path} holds the runs of another specification; wanted the "
                f"same one, or another path. The differences are\n  " + "\n  ".join(different)
            )

    def _check_writable(self) -> None:
        try:
            put(self.path / "trial", b"")
            (self.path / "trial").unlink()
        except OSError as error:
            raise type(error)(
                error.errno, f"output.path: cannot write to {self.path}: {error.strerror}"
            ) from None

    def missing(self) -> Iterator[int]:
        """Numbers of the chunks that are not done now, ascending."""
        return missing(stored(self.path), self.plan.chunks)

    def write(self, first: int, chunks: Sequence[Values]) -> None:
        """Add consecutive chunks of one block, beginning with number `first`, in one file.

        Raises:
            OSError: with what can be done; all other chunks are as they were.
        """
        last = first + len(chunks) - 1
        runs, path = self.plan.stretch(first, last), file_of(self.path, first, last)
        values = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in self.kept}
        attributes = {"chunks": [first, last], **self._attributes(runs)}
        content = encode(runs, values, self.kept, attributes)
        try:
            put(path, content)
        except OSError as error:
            raise type(error)(
                error.errno,
                f"cannot write {len(content)} bytes to {path}: {error.strerror}. All that was "
                f"written before is intact; make room, and the same command goes on from there",
            ) from None

    def read_run(self, run: int, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
        """Chosen quantities of one run; None if it is not done.

        Raises:
            ValueError: no such run, or its file is damaged.
        """
        chunk, place = self.plan.chunk_of_run(run)
        for first, last in stored(self.path):
            if first <= chunk.number <= last:
                runs, values = self._read(first, last, names)
                return {name: array[chunk.start + place - runs.start]
                        for name, array in values.items()}  # fmt: skip
        return None

    def done(self, names: tuple[str, ...]) -> Iterator[tuple[Stretch, Values]]:
        """All runs that are done with chosen quantities, one file at a time.

        Raises:
            ValueError: a file is damaged.
        """
        for first, last in stored(self.path):
            yield self._read(first, last, names)

    def _read(self, first: int, last: int, names: tuple[str, ...]) -> tuple[Stretch, Values]:
        path = file_of(self.path, first, last)
        try:
            runs = self.plan.stretch(first, last)
        except ValueError as error:
            raise ValueError(f"{path}: not a file of this sweep: {error}") from None
        return runs, decode(path, runs, names)

    def changed_versions(self) -> list[str]:
        """Packages of other versions now than when the sweep was begun, one line for each."""
        now, then = versions(), self.header["versions"]
        return [f"{name} {then.get(name)} then, {now[name]} now" for name in now
                if now[name] != then.get(name)]  # fmt: skip

    def _attributes(self, runs: Stretch) -> dict:
        spec, block = self.plan.spec, runs.block
        found = {f"version_{name}": text for name, text in versions().items()}
        own = {"data": block.family.name, "width": block.width, "rtol": spec.rtol, "key": spec.key}
        return {"title": "runs of a jaxflow sweep", **own, **found}

    @contextmanager
    def alone(self):
        """Hold the folder for one process, and clear what a killed one left half written.

        Raises:
            ValueError: another process is at work on this sweep.
        """
        with open(self.path / LOCK, "w") as lock:
            if fcntl is not None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ValueError(
                        f"output.path: another process is at work on {self.path}; wanted one only"
                    ) from None
            for left in self.path.rglob(f"*{UNFINISHED}"):
                left.unlink(missing_ok=True)
            yield


@cache
def versions() -> dict[str, str]:
    """Versions of the packages that decide the results."""
    return versions_of(PACKAGES)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(os.scandir(path))
