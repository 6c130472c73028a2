"""Runs whose signs come apart: the two sides integrated alone are the run as a whole."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxflow
from jaxflow.flow import lockstep
from jaxflow.flow.gradient_flow import settings_of
from jaxflow.flow.lane import Lane
from jaxflow.flow.sides import (
    SIGNS,
    Room,
    comes_apart,
    rooms_for_sides,
    rooms_of,
    side_of,
    together,
)
from jaxflow.flow.span import Span
from jaxflow.flow.status import Status

pytestmark = pytest.mark.usefixtures("optimised")

DATA = jaxflow.datasets.random_orthogonal(jax.random.key(4), 6, 8)
KEYS = jax.random.split(jax.random.key(5), 7)
WIDTH = 40
LEFT_OUT = (1, 4, 5)
ROOMS = rooms_for_sides(np.asarray(DATA.y), WIDTH)


def starts(scale, keys=KEYS, data=DATA):
    return jax.vmap(lambda key: jaxflow.init.balanced(key, WIDTH, data.dim, scale=scale))(keys)


def after_first_leg(scale) -> tuple:
    settings = settings_of(1e-11, None, 10_000)  # as an ensemble: the same program
    _, problem, _, carry = lockstep._start(starts(scale), DATA, settings)
    return problem, carry[0]


def run_of(lanes: Lane, i: int) -> Lane:
    return jax.tree.map(lambda leaf: leaf[i], lanes)


@pytest.fixture
def parts(monkeypatch):
    """What became of every attempt to part a batch."""
    seen, part = [], lockstep._part

    def noted(*given):
        found = part(*given)
        seen.append(np.asarray(found[0]))
        return found

    monkeypatch.setattr(lockstep, "_part", noted)
    return seen


@pytest.mark.parametrize("scale, apart", [(1e-8, True), (1e-2, False)])
def test_an_ensemble_is_its_runs_one_by_one_whether_they_come_apart_or_not(scale, apart, parts):
    runs = jaxflow.ensemble(DATA, KEYS, width=WIDTH, scale=scale)
    assert len(parts) == 1 and parts[0].all() == apart and parts[0].any() == apart
    for i, start in enumerate(run_of(starts(scale), i) for i in range(len(KEYS))):
        alone = jaxflow.gradient_flow(start, DATA)
        assert int(runs.code[i]) == alone.status
        assert int(runs.events[i]) == len(alone.events)
        left = DATA.y - alone.outputs[-1]
        assert np.abs(runs.residual[i] - left).max() <= 1e-10
        norm = float(alone.final.variation_norm())
        assert float(runs.variation_norm[i]) == pytest.approx(norm, rel=1e-10)
        assert bool(runs.fitted[i]) == bool(alone.evidence.fitted)
        assert float(runs.end_time[i]) == pytest.approx(float(alone.end_time), rel=0.1)


def test_a_run_that_comes_apart_depends_on_its_key_alone(parts):
    together_ = jaxflow.ensemble(DATA, KEYS, width=WIDTH, scale=1e-8)
    by_three = jaxflow.ensemble(DATA, KEYS[::-1], width=WIDTH, scale=1e-8, batch=3)
    assert all(mask.all() for mask in parts)
    for name in ("code", "end_time", "residual", "variation_norm", "movement", "steps", "events"):
        assert np.array_equal(getattr(together_, name), getattr(by_three, name)[::-1])


def test_sides_see_their_own_data_and_nothing_is_lost():
    problem, lanes = after_first_leg(1e-8)
    for i in range(len(KEYS)):
        lane = run_of(lanes, i)
        assert bool(comes_apart(problem, lane, ROOMS))
        given = zip(ROOMS, SIGNS, strict=True)
        sides = [side_of(problem, lane, *own, jnp.array(True)) for own in given]
        for side, sign in zip(sides, SIGNS, strict=True):
            active = np.asarray(side.lane.modes.active)
            assert np.all(sign * np.asarray(side.problem.y) >= 0)
            assert np.all((sign * np.asarray(side.lane.state[1]) > 0)[active.any(axis=0)])
        pairs = sum(int(side.lane.modes.active.sum()) for side in sides)
        assert pairs == int(lane.modes.active.sum()) > 0
        back = together(problem, lane, sides, jnp.array(True))
        for ours, theirs in zip(jax.tree.leaves(back), jax.tree.leaves(lane), strict=True):
            assert np.allclose(ours, theirs, rtol=1e-15, atol=0, equal_nan=True)


def test_signs_that_still_pull_on_each_other_stay_together():
    problem, lanes = after_first_leg(1e-8)
    lane = run_of(lanes, 0)
    neuron = int(np.argmax(np.asarray(lane.modes.active).any(axis=0)))
    wrong = int(np.argmax(np.asarray(lane.state[1, neuron] * DATA.y) < 0))
    mixed = lane.modes.active.at[wrong, neuron].set(True)
    mixed = replace(lane, modes=replace(lane.modes, active=mixed))
    assert not comes_apart(problem, mixed, ROOMS)
    assert not comes_apart(problem, lane, (ROOMS[0], Room(ROOMS[1].data, 5)))


@pytest.mark.parametrize(
    "positive, negative, data",
    [(6, 4, (6, 4)), (5, 5, (5, 5)), (9, 10, (10, 10)), (7, 0, (7, 1))],
)
def test_a_side_has_room_for_its_own_data_and_no_more_unless_that_spares_a_program(
    positive, negative, data
):
    y = np.concatenate([np.ones(positive), -np.ones(negative), np.zeros(2)])
    rooms = rooms_for_sides(y, 100)
    assert tuple(room.data for room in rooms) == data
    assert {room.neurons for room in rooms} == {72}


def test_without_data_of_both_signs_there_are_no_sides():
    assert rooms_of(DATA, 500) is not None
    for y in (jnp.abs(DATA.y), -jnp.abs(DATA.y), jnp.zeros(6)):
        assert rooms_of(jaxflow.Dataset(DATA.x, y), 500) is None


def test_data_that_fill_a_side_are_in_the_units_of_the_others():
    problem, lanes = after_first_leg(1e-8)
    span = problem.span
    problem = replace(problem, span=Span(span.basis, 1e-9 * span.rows, True))
    for sign in SIGNS:
        side = side_of(problem, run_of(lanes, 0), Room(6, WIDTH), sign, jnp.array(True))
        assert not side.real.all()
        assert np.all(np.isin(side.problem.span.norms(), problem.span.norms()))


def test_the_few_that_do_not_come_apart_are_flown_by_themselves(monkeypatch):
    whole = jaxflow.ensemble(DATA, KEYS, width=WIDTH, scale=1e-8)
    part = lockstep._part

    def some_left_out(problem, carry, rooms):
        apart, sides, carries = part(problem, carry, rooms)
        out = jnp.isin(jnp.arange(len(KEYS)), jnp.array(LEFT_OUT))
        waiting = [
            (replace(own[0], status=jnp.where(out, int(Status.moving), own[0].status)), own[1])
            for own in carries
        ]
        return apart & ~out, sides, waiting

    monkeypatch.setattr(lockstep, "_part", some_left_out)
    monkeypatch.setattr(lockstep, "FEW", 1.0)
    monkeypatch.setattr(lockstep, "LEAST", len(LEFT_OUT))
    flown = []
    leg = lockstep._leg

    def noted(kind, problem, own_data, settings, horizon, *carry):
        flown.append((own_data, horizon.shape[0]))
        return leg(kind, problem, own_data, settings, horizon, *carry)

    monkeypatch.setattr(lockstep, "_leg", noted)
    some = jaxflow.ensemble(DATA, KEYS, width=WIDTH, scale=1e-8)
    assert {runs for own_data, runs in flown if not own_data} == {len(LEFT_OUT)}
    assert np.array_equal(some.code, whole.code) and np.array_equal(some.events, whole.events)
    assert np.allclose(some.variation_norm, whole.variation_norm, rtol=1e-10)
    others = [i for i in range(len(KEYS)) if i not in LEFT_OUT]
    assert np.array_equal(
        some.variation_norm[np.array(others)], whole.variation_norm[np.array(others)]
    )


def test_the_horizon_and_failures_of_a_side_are_those_of_the_run(parts):
    runs = jaxflow.ensemble(DATA, KEYS, width=WIDTH, scale=1e-8, horizon=60.0)
    assert parts[0].all()
    moving = np.asarray(runs.code) == Status.moving
    assert moving.any()
    assert np.allclose(np.asarray(runs.end_time)[moving], 60.0, rtol=1e-15)
    broken = jaxflow.ensemble(DATA, KEYS, width=WIDTH, scale=1e-8, max_steps=20)
    assert set(broken.counts()) == {"step limit"}


@pytest.mark.parametrize("labels", ["one sign", "a zero"])
def test_labels_of_one_sign_and_zero_labels(labels):
    y = np.abs(DATA.y) if labels == "one sign" else np.where(np.arange(6) == 2, 0.0, DATA.y)
    data = jaxflow.Dataset(DATA.x, jnp.asarray(y))
    runs = jaxflow.ensemble(data, KEYS[:3], width=WIDTH, scale=1e-8)
    for i in range(3):
        alone = jaxflow.gradient_flow(run_of(starts(1e-8), i), data)
        assert int(runs.code[i]) == alone.status
        assert np.abs(runs.residual[i] - (y - alone.outputs[-1])).max() <= 1e-10
