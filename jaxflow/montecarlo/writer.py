"""Chunks written in company, by a thread of their own, while the next ones are integrated.

To make a file and to see it to the disk takes some fifty milliseconds, whatever it holds; a chunk
of small runs takes no longer to integrate. So chunks wait for each other, but only for a moment.
"""

from collections.abc import Iterable
from itertools import groupby
from threading import Condition, Thread

from jaxflow.montecarlo.plan import Plan
from jaxflow.montecarlo.store import Store
from jaxflow.montecarlo.work import Values

EVERY = 5.0
"""Seconds that a finished chunk waits for others, to be written with them."""
ROOM = 2**25
"""Bytes of finished chunks that are written without waiting for more, 32 MiB."""


class Writer:
    """Adds chunks to a store soon after they are finished.

    `close` must be called in the end: it writes what still waits.
    """

    def __init__(self, store: Store):
        self.store = store
        self._waiting: dict[int, Values] = {}
        self._bytes, self._closed, self._error = 0, False, None
        self._changed = Condition()
        self._thread = Thread(target=self._work, name="jaxflow-writer", daemon=True)
        self._thread.start()

    def add(self, number: int, values: Values) -> None:
        """Hand over a finished chunk; waits as long as too much is still to be written.

        Raises:
            OSError: an earlier chunk could not be written, as `Store.write`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < ROOM or self._error)
            self._raise_error()
            self._waiting[number] = values
            self._bytes += sum(array.nbytes for array in values.values())
            self._changed.notify_all()

    def close(self) -> None:
        """Write what is waiting, and end; may be called again.

        Raises:
            OSError: a chunk could not be written, as `Store.write`.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            while taken := self._take():
                for numbers in in_company(self.store.plan, taken):
                    self.store.write(numbers[0], [taken.pop(number) for number in numbers])
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _take(self) -> dict[int, Values]:
        """All that waits, once the first of it has waited long enough; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._changed.wait_for(lambda: self._bytes >= ROOM or self._closed, timeout=EVERY)
            taken, self._waiting, self._bytes = self._waiting, {}, 0
            self._changed.notify_all()
            return taken


def in_company(plan: Plan, numbers: Iterable[int]) -> list[list[int]]:
    """Numbers of chunks, ascending, cut into consecutive ones of one block."""

    def company(at: tuple[int, int]) -> tuple:
        place, number = at
        return number - place, plan.chunk(number).block.index

    together = groupby(enumerate(sorted(numbers)), company)
    return [[number for _, number in entries] for _, entries in together]
