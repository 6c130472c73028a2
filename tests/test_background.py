"""Work beside the main thread: order, outcomes, Ctrl-C."""

import signal
from threading import Event, main_thread

import pytest

from jaxflow.experiments.background import awaited, interruptible, side_by_side

LONG = 60.0
"""Seconds; reached only if something waits that must not."""


def test_chains_go_beside_each_other_and_calls_of_a_chain_after_each_other():
    begun, met, order = Event(), Event(), []

    def first():
        begun.set()
        order.append("first")
        return met.wait(LONG)

    def beside():
        met.set()
        return begun.wait(LONG)

    chains = [{"first": first, "second": lambda: order.append("second")}, {"beside": beside}]
    outcomes = side_by_side(chains, threads=2)
    assert awaited(outcomes["beside"]) and awaited(outcomes["first"])
    awaited(outcomes["second"])
    assert order == ["first", "second"]


def test_one_thread_takes_the_chains_in_turn_and_cancelled_calls_never_begin():
    release, order = Event(), []
    chains = [{"a": lambda: release.wait(LONG)}, {"b": lambda: order.append("b")},
              {"c": lambda: order.append("c")}]  # fmt: skip
    outcomes = side_by_side(chains, threads=1)
    assert outcomes["b"].cancel()
    release.set()
    awaited(outcomes["c"])
    assert order == ["c"]


def test_an_error_comes_to_the_one_who_waits():
    outcomes = side_by_side([{"bad": lambda: 1 / 0, "good": lambda: 7}], threads=1)
    assert awaited(outcomes["good"]) == 7
    with pytest.raises(ZeroDivisionError):
        awaited(outcomes["bad"])


def test_ctrl_c_ends_the_waiting_while_the_call_goes_on():
    release = Event()

    def call():
        signal.pthread_kill(main_thread().ident, signal.SIGINT)
        release.wait(LONG)

    with pytest.raises(KeyboardInterrupt):
        interruptible(call)
    assert not release.is_set()
    release.set()
