"""A process that compiles many programs makes room before it runs out of memory maps."""

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


def test_a_program_is_called_for_the_first_time_once_until_it_is_forgotten(looks_now, monkeypatch):
    assert programs.is_first_call(("some program", 3))
    assert not programs.is_first_call(("some program", 3))
    assert programs.is_first_call(("some program", 4))
    monkeypatch.setattr(programs, "allowed_maps", lambda: 0.0)
    with pytest.warns(RuntimeWarning, match="were forgotten"):
        assert programs.make_room()
    assert programs.is_first_call(("some program", 3))
