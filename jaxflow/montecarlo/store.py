"""The result of a sweep: a folder with its specification and one netCDF file for each chunk.

A chunk is there with all its quantities or not at all, because its file appears by one renaming;
that it is there is the only record of its being done. So a sweep can end at any moment, and a file
that one program reads cannot be spoilt by another that writes. netCDF rather than zarr: a zarr
group has a file for every quantity and chunk, which cannot appear together; and any one chunk is a
file that common tools read.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from jaxflow.montecarlo.chunk_file import UNFINISHED, decode, encode, put
from jaxflow.montecarlo.plan import Chunk, Plan
from jaxflow.montecarlo.quantities import kept
from jaxflow.montecarlo.spec import Spec, differences, spec_of
from jaxflow.montecarlo.work import Values

try:
    import fcntl
except ImportError:  # not on Windows, where two processes on one sweep only waste work
    fcntl = None

HEADER = "sweep.json"
LOCK = "lock"
FORMAT = 1
FOLDER = 1000
"""Chunks in one folder."""
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
            ValueError: no sweep there, or one of a newer format.
        """
        path = Path(path)
        try:
            header = json.loads((path / HEADER).read_text(encoding="utf-8"))
            stored = header["format"], header["spec"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"path: got {str(path)!r}, wanted a folder that `jaxflow sweep` made: {error}"
            ) from None
        if stored[0] != FORMAT:
            raise ValueError(f"path: {path} has format {stored[0]}, wanted {FORMAT}")
        return cls(path, Plan(spec_of(stored[1])), header)

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

    def file(self, number: int) -> Path:
        """Where a chunk belongs."""
        return self.path / "chunks" / f"{number // FOLDER:06d}" / f"{number:09d}.nc"

    def has(self, number: int) -> bool:
        """Whether a chunk is done."""
        return self.file(number).exists()

    def write(self, number: int, values: Values) -> None:
        """Add a chunk.

        Raises:
            OSError: with what can be done; all other chunks are as they were.
        """
        chunk = self.plan.chunk(number)
        content = encode(chunk, values, self.kept, self._attributes(chunk))
        try:
            put(self.file(number), content)
        except OSError as error:
            raise type(error)(
                error.errno,
                f"cannot write {len(content)} bytes to {self.file(number)}: {error.strerror}. All "
                f"finished chunks are intact; make room, and the same command goes on from there",
            ) from None

    def read(self, chunk: Chunk, names: tuple[str, ...]) -> Values:
        """Chosen quantities of a chunk that is done.

        Raises:
            ValueError: the file is damaged.
        """
        return decode(self.file(chunk.number), chunk, names)

    def done(self, names: tuple[str, ...]) -> Iterator[tuple[Chunk, Values]]:
        """Every chunk that is done with chosen quantities, one at a time."""
        for folder in sorted((self.path / "chunks").glob("*")):
            for file in sorted(folder.glob("*.nc")):
                chunk = self.plan.chunk(int(file.stem))
                yield chunk, self.read(chunk, names)

    def changed_versions(self) -> list[str]:
        """Packages of other versions now than when the sweep was begun, one line for each."""
        now, then = versions(), self.header["versions"]
        return [f"{name} {then.get(name)} then, {now[name]} now" for name in now
                if now[name] != then.get(name)]  # fmt: skip

    def _attributes(self, chunk: Chunk) -> dict:
        spec, block = self.plan.spec, chunk.block
        found = {f"version_{name}": text for name, text in versions().items()}
        own = {"data": block.family.name, "width": block.width, "rtol": spec.rtol, "key": spec.key}
        return {"title": "chunk of a jaxflow sweep", "chunk": chunk.number, **own, **found}

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


def versions() -> dict[str, str]:
    """Versions of the packages that decide the results."""
    return {name: version(name) for name in PACKAGES}


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(os.scandir(path))
