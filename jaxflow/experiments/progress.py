"""A progress bar on the terminal while runs are being integrated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
