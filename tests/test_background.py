"""Work beside the main thread: order, outcomes, Ctrl-C."""

import signal
import subprocess
import sys
from threading import Event, main_thread

import pytest

from jaxflow.experiments.background import awaited, interruptible, side_by_side, under_way

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
    assert under_way()
    release.set()


LEFT_EARLY = """
import jax, jax.numpy as jnp
from jaxflow.experiments.background import side_by_side

def long(x):
    return jax.lax.fori_loop(0, 3_000_000, lambda i, y: jnp.sin(y) + i, x).block_until_ready()

side_by_side([{"long": lambda: long(jnp.ones(100))}], threads=1)
print("left")
"""


def test_an_interpreter_that_ends_under_a_compiled_program_ends_well():
    done = subprocess.run([sys.executable, "-c", LEFT_EARLY], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "left\n" and not done.stderr
