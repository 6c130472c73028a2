"""What the terminal shows while runs are being integrated, and Ctrl-C during a compiled one."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress_bar(total: int, visible: bool) -> Iterator[Callable[[int], None]]:
    """Draw a bar for `total` runs; yields what to call with the number done."""
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not visible, transient=True) as bar:
        task = bar.add_task("compiling", total=total)

        def finished(number: int) -> None:
            bar.update(task, completed=number, description="integrating")

        yield finished


@contextmanager
def working(what: str, visible: bool) -> Iterator[None]:
    """Say what is being done until it is done."""
    console = Console(stderr=True)
    if not (visible and console.is_terminal):
        yield
        return
    with console.status(what):
        yield


Result = TypeVar("Result")


def interruptible(call: Callable[[], Result]) -> Result:
    """Call on another thread and wait, so that Ctrl-C is heard while a compiled program runs.

    After an interrupt the other thread is left alone; it ends with the process.
    """
    outcome: Future = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    return outcome.result()
