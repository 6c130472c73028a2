"""What the terminal shows while runs are being integrated."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)


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


class Board:
    """A line for each piece of work under way, with the time it has taken; on a terminal only.

    Drawn while used as a context, and cleared after it, so that results can be printed between.
    """

    def __init__(self, titles: Mapping[str, str], visible: bool):
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        hidden = not (visible and console.is_terminal)
        self._bar = Progress(*columns, console=console, disable=hidden, transient=True)
        self._tasks = {
            name: self._bar.add_task(title, start=False, total=None, visible=False)
            for name, title in titles.items()
        }

    def __enter__(self) -> "Board":
        self._bar.start()
        return self

    def __exit__(self, *problem) -> None:
        self._bar.stop()

    @contextmanager
    def line(self, name: str) -> Iterator[None]:
        """Show the line of this name; may be used on any thread."""
        self._bar.start_task(self._tasks[name])
        self._bar.update(self._tasks[name], visible=True)
        try:
            yield
        finally:
            self._bar.update(self._tasks[name], visible=False)
