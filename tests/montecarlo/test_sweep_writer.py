"""Finished chunks are written soon, together, in order, and what goes wrong meanwhile is said."""

import errno
import random
import threading
import time

import numpy as np
import pytest
from sweep_stub import ends_of, spec

from jaxflow.montecarlo import writer
from jaxflow.montecarlo.chunk_names import file_of, missing, stored
from jaxflow.montecarlo.local import local_results
from jaxflow.montecarlo.plan import Plan
from jaxflow.montecarlo.spec import spec_of
from jaxflow.montecarlo.store import Store
from jaxflow.montecarlo.work import integrate_chunk
from jaxflow.montecarlo.writer import Writer, in_company

MOMENT = 30.0
"""Seconds after which a thread that should have been at work is given up."""


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A sweep with nothing in it; its chunks wait for each other as long as it takes."""
    monkeypatch.setattr(writer, "EVERY", 3600.0)
    return Store.create_or_continue(tmp_path / "out", spec_of(spec()))


def values(store, number):
    return integrate_chunk(store.plan, number, ends_of)


def test_chunks_that_come_together_are_stored_together(store):
    numbers = list(range(store.plan.chunks))
    random.Random(0).shuffle(numbers)
    hand = Writer(store)
    for number in numbers:
        hand.add(number, values(store, number))
    assert not list(stored(store.path))
    hand.close()
    hand.close()
    blocks = [block.first_chunk for block in store.plan.blocks]
    ends = [first - 1 for first in blocks[1:]] + [store.plan.chunks - 1]
    assert list(stored(store.path)) == list(zip(blocks, ends, strict=True))
    for (first, last), (runs, found) in zip(stored(store.path), store.done(("loss",)), strict=True):
        parts = [values(store, number)["loss"] for number in range(first, last + 1)]
        assert (runs.start, runs.count) == (0, runs.block.size)
        assert np.array_equal(found["loss"], np.concatenate(parts), equal_nan=True)


def test_a_chunk_does_not_wait_for_another_that_does_not_come(store, monkeypatch):
    written = threading.Event()
    monkeypatch.setattr(writer, "EVERY", 0.01)
    write = store.write
    store.write = lambda *entry: (write(*entry), written.set())
    hand = Writer(store)
    hand.add(3, values(store, 3))
    assert written.wait(MOMENT) and list(stored(store.path)) == [(3, 3)]
    hand.close()


def test_much_is_written_at_once_and_the_work_waits_for_the_disk(store, monkeypatch):
    begun, disk, handed = threading.Event(), threading.Event(), []
    monkeypatch.setattr(writer, "ROOM", 1)
    write = store.write

    def slow(*entry):
        begun.set()
        assert disk.wait(MOMENT)
        write(*entry)

    store.write = slow
    hand = Writer(store)

    def work():
        for number in range(3):
            hand.add(number, values(store, number))
            handed.append(number)

    hands = threading.Thread(target=work)
    hands.start()
    assert begun.wait(MOMENT)
    hands.join(0.2)
    assert hands.is_alive() and handed == [0, 1]  # one at the disk, one waiting, no room for more
    disk.set()
    hands.join(MOMENT)
    hand.close()
    assert handed == [0, 1, 2] and next(store.missing()) == 3


def test_an_error_of_the_disk_is_raised_where_chunks_are_handed_over(store, monkeypatch):
    monkeypatch.setattr(writer, "ROOM", 1)

    def full(*entry):
        raise OSError(errno.ENOSPC, "No space left on device")

    store.write = full
    hand = Writer(store)
    with pytest.raises(OSError, match="No space left"):
        for number in range(3):
            hand.add(number, values(store, number))
    with pytest.raises(OSError, match="No space left"):
        hand.close()


def test_chunks_in_company_are_consecutive_ones_of_one_block():
    plan = Plan(spec_of(spec()))
    assert [block.first_chunk for block in plan.blocks[:3]] == [0, 3, 6]
    assert in_company(plan, [7, 0, 4, 2, 1, 3, 6, 9]) == [[0, 1, 2], [3, 4], [6, 7], [9]]


def test_missing_chunks_are_the_gaps_between_the_files(tmp_path):
    for first, last in ((0, 1), (1000, 2500), (4, 4), (998, 999)):
        file = file_of(tmp_path, first, last)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "chunks" / "000000" / "mine.nc").touch()
    (tmp_path / "chunks" / "notes").touch()
    assert list(stored(tmp_path)) == [(0, 1), (4, 4), (998, 999), (1000, 2500)]
    assert list(missing(stored(tmp_path), 2503)) == [2, 3, *range(5, 998), 2501, 2502]
    assert list(missing([], 3)) == [0, 1, 2]


def test_a_chunk_that_is_finished_beside_a_failing_one_is_not_lost(store):
    """Whichever of the two comes first: tried several times."""
    for _ in range(5):
        first_is_there, calls, ended = threading.Event(), [], threading.Semaphore(0)

        def integrate(*arguments, calls=calls, there=first_is_there, ended=ended, **options):
            calls.append(1)
            number = len(calls)
            if number > 1:
                assert there.wait(MOMENT)
                ended.release()
            if number == 2:
                raise MemoryError
            return ends_of(*arguments, **options)

        results = local_results(store.plan, [0, 1, 2], integrate)
        found = [next(results)[0]]
        first_is_there.set()
        assert ended.acquire(timeout=MOMENT) and ended.acquire(timeout=MOMENT)
        time.sleep(0.1)
        found.append(next(results)[0])
        with pytest.raises(MemoryError):
            next(results)
        assert len(set(found)) == 2


def test_the_engine_goes_on_while_chunks_are_written(store):
    """All chunks are handed over although none of them is on the disk yet."""
    hand, numbers = Writer(store), []
    for number, found in local_results(store.plan, store.missing(), ends_of):
        hand.add(number, found)
        numbers.append(number)
    assert not list(stored(store.path)) and sorted(numbers) == list(range(store.plan.chunks))
    hand.close()
    assert not list(store.missing())
