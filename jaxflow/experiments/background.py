"""Work on threads of its own, so that Ctrl-C is heard while compiled programs run.

A compiled program holds no lock of the interpreter: several run beside each other, and the main
thread can draw. None can be stopped: after an interrupt it is left alone. The interpreter, which
must not be taken down under a compiled program, waits for it when it ends; a command that wants to
leave at once asks `under_way`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar
from weakref import WeakSet

from jaxflow.threads import as_here

Result = TypeVar("Result")
Job = tuple[Future, Callable]
"""A call, and where its outcome goes."""

POLL = 0.1
"""Seconds between two looks at what the main thread waits for."""

_threads: WeakSet[Thread] = WeakSet()


def side_by_side(
    chains: Sequence[dict[str, Callable[[], Result]]], threads: int
) -> dict[str, Future[Result]]:
    """Begin chains of named calls, in their order, on so many threads; calls of one chain follow
    each other.

    Returns:
        The outcome of each call, at once; `cancel` drops those that have not begun.
    """
    waiting: SimpleQueue[list[Job]] = SimpleQueue()
    outcomes: dict[str, Future] = {}
    for chain in chains:
        outcomes |= {name: Future() for name in chain}
        waiting.put([(outcomes[name], call) for name, call in chain.items()])
    for _ in range(min(threads, len(chains))):
        thread = Thread(target=as_here(_work), args=(waiting,))
        _threads.add(thread)
        thread.start()
    return outcomes


def awaited(outcome: Future[Result]) -> Result:
    """Wait for an outcome in a way that Ctrl-C ends; raises what its call raised."""
    while not outcome.done():
        wait([outcome], timeout=POLL)
    return outcome.result()


def under_way() -> bool:
    """Whether some call is still going on, wanted or not."""
    return any(thread.is_alive() for thread in _threads)


def interruptible(call: Callable[[], Result]) -> Result:
    """Call on another thread and wait, so that Ctrl-C ends the waiting."""
    return awaited(side_by_side([{"call": call}], threads=1)["call"])


def _work(waiting: SimpleQueue) -> None:
    while True:
        try:
            chain = waiting.get_nowait()
        except Empty:
            return
        for outcome, call in chain:
            if outcome.set_running_or_notify_cancel():
                _run(outcome, call)


def _run(outcome: Future, call: Callable) -> None:
    try:
        outcome.set_result(call())
    except BaseException as error:
        outcome.set_exception(error)
