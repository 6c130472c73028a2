"""Processes that run `jaxflow sweep` for real and can be killed.

They are forked from one process that has imported jaxflow but started nothing, and share compiled
programs through JAX's own cache on disk, so that each one is at work after a moment. Chunks do not
wait for each other before they are written, so that there is something to be seen at once.
"""

import contextlib
import multiprocessing
import os
import resource
import time
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")


def compiled_programs_in(folder: Path) -> dict[str, str]:
    """Environment of processes that share compiled programs in a folder."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }


def run_command(arguments: list[str], output: str, largest_file: int | None) -> None:
    """The command `jaxflow` in this process, what it prints being written to a file."""
    from jaxflow.cli import main
    from jaxflow.montecarlo import writer

    writer.EVERY = 0.0
    with open(output, "w") as file, contextlib.redirect_stderr(file):
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        with contextlib.redirect_stdout(file):
            main(arguments)


def start(spec: Path, out: Path, largest_file: int | None = None):
    """Begin `jaxflow sweep` in a new process; what it prints goes to the file `out`.txt."""
    printed = str(out.with_suffix(".txt"))
    arguments = ["sweep", str(spec), "--out", str(out)]
    child = CONTEXT.Process(target=run_command, args=(arguments, printed, largest_file))
    child.start()
    return child


def files(out: Path) -> list[Path]:
    """Files of a sweep."""
    return sorted(out.rglob("*.nc"))


def chunks(out: Path) -> list[int]:
    """Numbers of the chunks that are done."""
    spans = (map(int, file.stem.split("-")) for file in files(out))
    return [number for first, last in spans for number in range(first, last + 1)]


def wait_for_chunks(child, out: Path, number: int) -> None:
    """Wait until so many chunks are there."""
    while len(chunks(out)) < number:
        assert child.exitcode is None, out.with_suffix(".txt").read_text()
        time.sleep(0.003)


def finish(spec: Path, out: Path) -> None:
    """Run `jaxflow sweep` to its end."""
    child = start(spec, out)
    child.join()
    assert child.exitcode == 0, out.with_suffix(".txt").read_text()


def signal(child, number: int) -> None:
    """Send a signal and wait for the end."""
    os.kill(child.pid, number)
    child.join()
