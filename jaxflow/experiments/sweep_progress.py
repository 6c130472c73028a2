"""How far a sweep is: a bar on a terminal, a line a minute in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from jaxflow.montecarlo.store import Store
from jaxflow.montecarlo.tally import Tally

EVERY = 60.0
"""Seconds between two lines in a log."""

Advance = Callable[[Tally, int], None]
"""To be called with all runs that are done, and the number just finished."""


@contextmanager
def sweep_progress(store: Store, visible: bool) -> Iterator[Advance]:
    """Report runs done, rate, remaining time and counts for each status on standard error."""
    pace = Pace(store.plan.runs)
    console = Console(stderr=True)
    if not visible:
        yield lambda counts, just: None
    elif console.is_terminal:
        with _bar(console, store) as (bar, task):

            def draw(counts: Tally, just: int) -> None:
                said = pace.words(counts.runs, just)
                bar.update(task, completed=counts.runs, pace=said, counts=statuses(counts))

            yield draw
    else:
        yield _lines(pace)


class Pace:
    """Rate of this session, and the time that the rest will take at that rate."""

    def __init__(self, runs: int):
        self.runs, self.finished, self.first = runs, 0, 0
        self.since = time.monotonic()

    def words(self, done: int, just: int) -> str:
        """Rate and remaining time, after `just` more runs.

        As soon as there is more than the first chunk, the time of its compilation does not count.
        """
        if done == self.runs:
            return "complete"
        self.finished += just
        if self.finished == 0:
            return "compiling"
        rate = (self.finished - self.first) / max(time.monotonic() - self.since, 1e-9)
        if self.first == 0:
            self.first, self.since = self.finished, time.monotonic()
        return f"{rate:.3g} runs/s, {duration((self.runs - done) / max(rate, 1e-9))} left"


def duration(seconds: float) -> str:
    """A time in words: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def statuses(counts: Tally) -> str:
    """Number of runs for each status."""
    return ", ".join(f"{number:,} {word}" for word, number in counts.by_status().items())


@contextmanager
def _bar(console: Console, store: Store):
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TextColumn("[dim]{task.fields[counts]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield bar, bar.add_task("", total=store.plan.runs, pace="reading", counts="")


def _lines(pace: Pace) -> Advance:
    last = -EVERY

    def line(counts: Tally, just: int) -> None:
        nonlocal last
        words = pace.words(counts.runs, just)
        if time.monotonic() - last >= EVERY or counts.runs == pace.runs:
            last = time.monotonic()
            done = f"{counts.runs:,} of {pace.runs:,} runs"
            print(f"{done}; {words}; {statuses(counts) or 'none yet'}", file=sys.stderr, flush=True)

    return line
