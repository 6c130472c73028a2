"""Steps in rounds, in which no pair changes its mode: by XLA, and as they were compiled from C."""

import shutil
import sysconfig
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from two_ways import needs_c

import jaxflow
from jaxflow.flow import compiled, compiled_rounds, integrate
from jaxflow.flow.gradient_flow import at_start, settings_of
from jaxflow.flow.legs import solver_leg
from jaxflow.flow.quiet import judging_leg, quiet_leg
from jaxflow.flow.status import Status

NO_TIMES = jnp.zeros(0)
DATA = jaxflow.datasets.random_orthogonal(jax.random.key(2), 4, 6)


def begun(network, data, horizon=None, max_steps=10_000):
    """The launch, settings, and a lane with its record that seeks the end by steps alone."""
    settings = settings_of(1e-11, horizon, max_steps)
    plan, settings, lane, record = at_start(network, data, settings, NO_TIMES, True)
    return plan, settings, replace(lane, thawed=jnp.array(True), quiet=jnp.array(True)), record


@eqx.filter_jit
def by_xla(problem, settings, carry):
    return quiet_leg(problem, settings, NO_TIMES, carry)


@eqx.filter_jit
def judged(problem, settings, carry):
    return judging_leg(problem, settings, NO_TIMES, carry)


def in_c(problem, settings, carry):
    """One run, as a stack of one."""

    def stacked(tree):
        return jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree)

    def alone(tree):
        return jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), tree)

    def asked(carry):
        return stacked(judged(problem, settings, alone(carry)))

    problems, horizons = stacked(problem), stacked(settings.horizon)
    ends = compiled_rounds.quiet_legs(problems, settings, horizons, stacked(carry), asked)
    return alone(ends)


ways = [pytest.param(by_xla, id="XLA"), pytest.param(in_c, id="C", marks=needs_c)]
both_ways = pytest.mark.parametrize("in_rounds", ways)


def test_rounds_are_compiled_where_there_is_a_compiler():
    compiler = (sysconfig.get_config_var("CC") or "").split()
    if not compiler or shutil.which(compiler[0]) is None:
        pytest.skip("no C compiler")
    assert compiled.are_compiled(), "install again: pip install -e ."


def all_growing(width=5):
    """Labels above zero, and neurons that see all data and push all outputs up."""
    rng = np.random.default_rng(3)
    data = jaxflow.Dataset(jnp.array(DATA.x), jnp.abs(DATA.y))
    x = np.asarray(data.x)
    w = 0.2 * rng.uniform(0.3, 1.0, (width, 4)) @ (x / np.linalg.norm(x, axis=1)[:, None])
    a = np.linalg.norm(w, axis=1)
    return data, jaxflow.ReluNetwork(jnp.array(w), jnp.array(a))


def some_growing(n=70, width=21):
    """More data than a word has bits; neurons see some of them, of which one sees none."""
    rng = np.random.default_rng(4)
    data = jaxflow.datasets.random_orthogonal(jax.random.key(3), n, n)
    data = jaxflow.Dataset(data.x, jnp.abs(data.y))
    x = np.asarray(data.x) / np.linalg.norm(data.x, axis=1)[:, None]
    sees = rng.random((width, n)) < 0.3
    sees[7] = False
    w = 0.1 * np.where(sees, 1, -1) * rng.uniform(0.3, 1.0, (width, n)) @ x
    a = rng.uniform(1.0, 1.5, width) * np.linalg.norm(w, axis=1)
    return data, jaxflow.ReluNetwork(jnp.array(w), jnp.array(a))


@both_ways
@pytest.mark.parametrize("case, horizon", [(all_growing, 3.0), (some_growing, 12.0)])
def test_a_run_without_changes_of_mode_is_what_another_solver_makes_of_it(in_rounds, case, horizon):
    """DOP853 on (w, a), the field written out here, up to a time at which nothing is fitted."""
    data, network = case()
    plan, settings, *carry = begun(network, data, horizon=horizon)
    lane, _ = in_rounds(plan.problem, settings, tuple(carry))
    assert float(lane.t) == horizon and bool(lane.quiet) and lane.status == Status.moving
    assert int(lane.counts.accepted) > 8 and int(lane.counts.landings) == 0

    x, y, width = np.asarray(data.x), np.asarray(data.y), network.a.size

    def field(_, z):
        w, a = z[:-width].reshape(width, -1), z[-width:]
        r = (y - np.maximum(w @ x.T, 0).T @ a) / y.size
        push = (w @ x.T > 0) * r
        return np.concatenate([(a[:, None] * (push @ x)).ravel(), np.sum(push * (w @ x.T), 1)])

    start = np.concatenate([np.asarray(network.w).ravel(), np.asarray(network.a)])
    end = solve_ivp(field, (0, horizon), start, "DOP853", rtol=3e-14, atol=1e-15).y[:, -1]
    found = plan.network(lane.state)
    assert np.abs(np.asarray(found.w) - end[:-width].reshape(width, -1)).max() <= 3e-11
    assert np.abs(np.asarray(found.a) - end[-width:]).max() <= 3e-11


@both_ways
def test_a_run_is_quiet_until_a_pair_may_die_and_the_solver_goes_on_from_there(in_rounds):
    network = jaxflow.init.balanced(jax.random.key(3), 12, 6, scale=0.3)
    first = float(jaxflow.gradient_flow(network, DATA).events.time[0])
    plan, settings, lane, record = begun(network, DATA)
    stopped, record = in_rounds(plan.problem, settings, (lane, record))
    assert not stopped.quiet and stopped.running and stopped.thawed
    assert 0 < float(stopped.t) < first
    died, _ = solver_leg(plan.problem, settings, NO_TIMES, (stopped, record))
    times = np.asarray(died.log.times)
    assert times.min() == pytest.approx(first, rel=1e-10)


@both_ways
def test_solver_and_rounds_leave_each_others_runs_alone(in_rounds):
    data, network = all_growing()
    plan, settings, lane, record = begun(network, data, horizon=3.0)
    still, _ = solver_leg(plan.problem, settings, NO_TIMES, (lane, record))
    loud = replace(lane, quiet=jnp.array(False))
    silent, _ = in_rounds(plan.problem, settings, (loud, record))
    assert float(still.t) == 0 and float(silent.t) == 0


@both_ways
def test_rounds_take_no_step_too_many(in_rounds):
    data, network = all_growing()
    plan, settings, *carry = begun(network, data, horizon=3.0, max_steps=6)
    lane, _ = in_rounds(plan.problem, settings, tuple(carry))
    assert int(lane.counts.attempted) == 6 and lane.status == Status.step_limit


@both_ways
def test_neurons_of_one_datum_each_wait_for_their_closed_form_after_a_round(in_rounds):
    data, network = all_growing(width=4)
    x = np.asarray(data.x)
    alone = jaxflow.ReluNetwork(jnp.array(0.25 * x - 0.05 * x.sum(0)), network.a)
    plan, settings, *carry = begun(alone, data, horizon=3.0)
    lane, _ = in_rounds(plan.problem, settings, tuple(carry))
    assert not lane.thawed and lane.running and int(lane.counts.attempted) == 4


@needs_c
def test_runs_that_are_not_quiet_are_left_alone_where_others_are_judged():
    data, network = all_growing(width=4)
    x = np.asarray(data.x)
    alone = jaxflow.ReluNetwork(jnp.array(0.25 * x - 0.05 * x.sum(0)), network.a)
    plan, settings, *carry = begun(alone, data, horizon=3.0)

    def two(tree):
        return jax.tree.map(lambda leaf: np.stack([leaf, leaf]), tree)

    problems, (lanes, records) = two(plan.problem), two(tuple(carry))
    lanes = replace(lanes, quiet=np.array([True, False]))
    asked = jax.jit(jax.vmap(lambda carry: judging_leg(plan.problem, settings, NO_TIMES, carry)))
    horizons = two(settings.horizon)
    ends, _ = compiled_rounds.quiet_legs(problems, settings, horizons, (lanes, records), asked)
    assert ends.counts.attempted.tolist() == [4, 0] and ends.thawed.tolist() == [False, True]
    assert ends.status.tolist() == [Status.running] * 2
    assert np.array_equal(ends.state[1], lanes.state[1])


@both_ways
def test_numbers_that_are_none_end_a_run(in_rounds):
    data, network = all_growing()
    plan, settings, lane, record = begun(network, data, horizon=3.0)
    broken = replace(lane, state=lane.state.at[0, 2].set(jnp.nan))
    lane, _ = in_rounds(plan.problem, settings, (broken, record))
    assert lane.status == Status.not_finite


@both_ways
def test_steps_that_lead_nowhere_end_a_run(in_rounds):
    """Outputs of 1e300 whose forces overflow: no step is short enough."""
    data, network = all_growing()
    plan, settings, lane, record = begun(network, data, horizon=3.0)
    huge = replace(lane, state=lane.state.at[0].add(400.0), t=jnp.array(1.0))
    lane, _ = in_rounds(plan.problem, settings, (huge, record))
    assert lane.status == Status.step_underflow and float(lane.t) == 1.0


@needs_c
@pytest.mark.parametrize("scale", [1e-2, 1e-6, 1e-60])
def test_an_ensemble_ends_alike_by_either_way(monkeypatch, scale):
    """Not to the last digit, as sums are added up in another order. On last digits hangs how long
    the last steps are where the solver ends a run, and with it the end time."""
    data = jaxflow.datasets.random_orthogonal(jax.random.key(1), 7, 9)
    keys = jax.random.split(jax.random.key(0), 6)
    here = jaxflow.ensemble(data, keys, width=40, scale=scale)
    monkeypatch.setattr(compiled_rounds, "are_compiled", lambda: False)
    there = jaxflow.ensemble(data, keys, width=40, scale=scale)
    assert here.status == there.status
    assert np.abs(np.asarray(here.steps) - np.asarray(there.steps)).max() <= 12
    np.testing.assert_allclose(here.variation_norm, there.variation_norm, rtol=1e-10)
    assert np.all(here.movement <= 1e-10) and np.all(there.movement <= 1e-10)


def by_either_way(monkeypatch, *given, **options):
    """A run by rounds as far as they go, and by the solver alone."""
    here = jaxflow.gradient_flow(*given, **options)
    monkeypatch.setattr(integrate, "_quietly", lambda *given: given[-1])
    return here, jaxflow.gradient_flow(*given, **options)


@needs_c
@pytest.mark.parametrize("scale", [1e-2, 1e-6, 1e-60])
@pytest.mark.parametrize("times", [None, 41])
def test_a_run_is_the_same_by_either_way(monkeypatch, scale, times):
    """With save times among the steps and without; some pairs die while the solver is at work."""
    data = jaxflow.datasets.random_orthogonal(jax.random.key(1), 7, 9)
    network = jaxflow.init.balanced(jax.random.key(4), 30, 9, scale=scale)
    ts = None if times is None else np.linspace(0.0, 300.0 - 20 * np.log10(scale), times)
    here, there = by_either_way(monkeypatch, network, data, ts)
    assert here.status == there.status == jaxflow.Status.interpolated
    assert len(here.events) == len(there.events)
    np.testing.assert_allclose(here.events.time, there.events.time, rtol=1e-9)
    if times is not None:
        size = np.abs(data.y).max()
        assert np.all(np.isfinite(here.states))
        assert np.abs(np.asarray(here.outputs) - np.asarray(there.outputs)).max() <= 1e-10 * size
        np.testing.assert_array_equal(here.modes, there.modes)
    norms = (float(run.final.variation_norm()) for run in (here, there))
    assert np.diff(list(norms)) == pytest.approx(0.0, abs=1e-9)


@needs_c
def test_a_run_that_breaks_off_among_its_save_times_keeps_those_that_it_reached(monkeypatch):
    data = jaxflow.datasets.random_orthogonal(jax.random.key(1), 7, 9)
    network = jaxflow.init.balanced(jax.random.key(4), 30, 9, scale=1e-6)
    ts = np.linspace(0.0, 400.0, 201)
    here, there = by_either_way(monkeypatch, network, data, ts, max_steps=60)
    assert here.status == there.status == jaxflow.Status.step_limit
    reached = np.isfinite(np.asarray(here.states)).all(axis=(1, 2))
    assert 10 < reached.sum() < 190
    np.testing.assert_array_equal(reached, ts <= float(here.end_time))
    assert int(here.counts.attempted) == 60
