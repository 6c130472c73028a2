"""A process that compiles many programs makes room before it runs out of memory maps."""

import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import pytest

from jaxflow import programs


@pytest.fixture
def looks_now(monkeypatch):
    monkeypatch.setattr(programs, "_last_look", -programs.INTERVAL)


def compiled():
    double = jax.jit(lambda x: 2 * x)
    double(jnp.ones(3))
    return double


def test_programs_stay_while_there_is_room(looks_now):
    double = compiled()
    assert not programs.make_room()
    assert double._cache_size() == 1


def test_programs_are_forgotten_where_maps_run_short(looks_now, monkeypatch):
    double = compiled()
    monkeypatch.setattr(programs, "allowed_maps", lambda: 1.5 * programs.memory_maps())
    with pytest.warns(RuntimeWarning, match="were forgotten"):
        assert programs.make_room()
    assert double._cache_size() == 0
    assert jnp.array_equal(double(jnp.ones(3)), jnp.full(3, 2.0))


def test_looks_only_now_and_then(looks_now, monkeypatch):
    programs.make_room()
    monkeypatch.setattr(programs, "allowed_maps", lambda: 0.0)
    assert not programs.make_room()


def test_systems_that_do_not_tell_are_left_alone(looks_now, monkeypatch, tmp_path):
    monkeypatch.setattr(programs, "_MAPS", tmp_path / "absent")
    monkeypatch.setattr(programs, "_ALLOWED", tmp_path / "absent")
    assert programs.memory_maps() == 0 and programs.allowed_maps() == float("inf")
    assert not programs.make_room()


def test_threads_wait_for_the_one_that_compiles_until_all_is_forgotten(looks_now, monkeypatch):
    def first_is_alone(program):
        """Whether the first of four threads leaves the call before another one enters it."""
        course = []

        def call(i):
            with programs.compiled_once(program):
                course.append(i)
                time.sleep(0.05)
                course.append(i)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(call, range(4)))
        return course[0] == course[1]

    assert first_is_alone(("some program", 3))
    assert not first_is_alone(("some program", 3))
    assert first_is_alone(("some program", 4))
    monkeypatch.setattr(programs, "allowed_maps", lambda: 0.0)
    with pytest.warns(RuntimeWarning, match="were forgotten"):
        assert programs.make_room()
    assert first_is_alone(("some program", 3))


def test_a_call_that_fails_leaves_the_program_to_the_next_thread():
    with pytest.raises(KeyError), programs.compiled_once("a program that fails"):
        raise KeyError
    with programs.compiled_once("a program that fails"):
        pass
