"""The early phase with its feedback: by XLA, and as it was compiled from C."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flow_reference import reference
from two_ways import begun, both, both_ways, flown, needs_c, same

import jaxflow
from jaxflow.flow import compiled, feedback
from jaxflow.flow.coordinates import hidden_parts, log_norms, output_parts


def early(problem, tolerance, lane, stop=np.inf):
    """The time reached, and the neurons there."""
    arguments = lane.modes, lane.state, lane.log, lane.balance, lane.t, jnp.asarray(stop), tolerance
    return feedback.feedback_flow(problem, *arguments)


def orthogonal(n=4, d=6, width=20, scale=1e-5, seed=0):
    data = jaxflow.datasets.random_orthogonal(jax.random.key(seed), n, d)
    return data, jaxflow.init.balanced(jax.random.key(seed + 1), width, d, scale=scale)


@both_ways
def test_the_early_phase_is_what_another_solver_makes_of_it(monkeypatch, in_c):
    data, network = orthogonal()
    problem, tolerance, lane = begun(data, network)
    end, flight = flown(monkeypatch, in_c, early, problem, tolerance, lane)
    x, y, w, a = (np.asarray(array) for array in (data.x, data.y, network.w, network.a))
    *theirs, _, events = reference(x, y, w, a, np.array([float(end)]))
    a, w = theirs[0][0], theirs[1][0]
    outputs = np.abs(a @ np.maximum(w @ x.T, 0)) / np.abs(y)
    assert 1e-8 <= outputs.max() <= 1e-5, "an effect of the feedback that rounding does not hide"
    assert np.isfinite(np.asarray(flight.log.times)).sum() == len(events) >= 15
    size = np.exp(np.asarray(log_norms(flight.state)))
    p = np.asarray(flight.modes.active) * (np.asarray(problem.span.basis) @ w.T)
    assert np.abs(size * output_parts(flight.state) - a).max() <= 1e-10 * size.max()
    assert np.abs(size * hidden_parts(flight.state) - p).max() <= 1e-10 * size.max()
    np.testing.assert_allclose(
        np.sort(flight.log.times[np.isfinite(flight.log.times)]),
        sorted(time for time, *_ in events),
        rtol=1e-9,
    )


@needs_c
@pytest.mark.parametrize("width", [1, 7, 8, 9, 40])
@pytest.mark.parametrize("scale", [1e-7, 1e-300])
def test_both_ways_go_to_the_same_place(monkeypatch, width, scale):
    """Widths below, at and above multiples of eight."""
    (end, one), (same_end, other) = both(
        monkeypatch, early, *begun(*orthogonal(width=width, scale=scale))
    )
    assert float(end) == float(same_end)
    assert float(end) > 0 or width == 1  # which sees nothing
    same(one, other)


@needs_c
def test_both_ways_at_a_scale_that_no_number_has(monkeypatch):
    data, _ = orthogonal()
    network = jaxflow.init.balanced(jax.random.key(1), 20, 6, log_scale=-10_000 * np.log(10))
    (end, one), (_, other) = both(monkeypatch, early, *begun(data, network))
    assert float(end) > 500
    same(one, other, 1e-12)


@needs_c
def test_both_ways_with_unbalanced_neurons_zero_labels_and_neurons_at_rest(monkeypatch):
    data, network = orthogonal(width=30)
    data = jaxflow.Dataset(data.x, data.y.at[1].set(0.0))
    a = network.a.at[::3].multiply(0.2).at[4].set(0.0)
    w = network.w.at[7].set(0.0).at[8].multiply(-1.0).at[1::5].multiply(3.0)
    (_, one), (_, other) = both(monkeypatch, early, *begun(data, jaxflow.ReluNetwork(w, a)))
    same(one, other)


@both_ways
def test_where_nothing_is_allowed_nobody_moves(monkeypatch, in_c):
    problem, tolerance, lane = begun(*orthogonal(scale=1.0))
    end, flight = flown(monkeypatch, in_c, early, problem, tolerance, lane)
    assert float(end) == 0.0
    np.testing.assert_array_equal(flight.state, lane.state)
    np.testing.assert_array_equal(flight.modes.active, lane.modes.active)


@both_ways
def test_a_stop_on_the_way_leads_to_the_same_end(monkeypatch, in_c):
    problem, tolerance, lane = begun(*orthogonal())
    end, straight = flown(monkeypatch, in_c, early, problem, tolerance, lane)
    stop = 0.4 * float(end)
    reached, halfway = flown(monkeypatch, in_c, early, problem, tolerance, lane, stop)
    assert float(reached) == stop
    there = replace(lane, t=reached, state=halfway.state, modes=halfway.modes, log=halfway.log)
    _, flight = flown(monkeypatch, in_c, early, problem, tolerance, there, end)
    same(straight, flight, 1e-10)


@needs_c
def test_runs_in_a_batch_are_those_alone(monkeypatch):
    """Some of them without data of their own, and one axis of runs inside of another."""
    data, _ = orthogonal()
    problem, tolerance, _ = begun(*orthogonal())
    seeds = [orthogonal(seed=seed)[1] for seed in range(3)]
    lanes = [begun(data, network)[2] for network in seeds]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *lanes)
    stops = jnp.array([0.5, np.inf])
    over_stops = jax.vmap(early, (None, None, None, 0))
    ends, flights = jax.jit(jax.vmap(over_stops, (None, None, 0, None)))(
        problem, tolerance, stacked, stops
    )
    for i, lane in enumerate(lanes):
        for j, stop in enumerate(stops):
            end, flight = flown(monkeypatch, True, early, problem, tolerance, lane, stop)
            assert float(end) == float(ends[i, j])
            same(flight, jax.tree.map(lambda leaf, at=(i, j): leaf[at], flights), 1e-14)


@needs_c
def test_arrays_that_do_not_belong_together_are_refused():
    compiled.can_be_called()
    found = jax.ShapeDtypeStruct((4, feedback.DEGREE + 1), np.float64)
    call = jax.ffi.ffi_call("jaxflow_frozen_outputs", found)
    state, active = np.zeros((6, 5)), np.zeros((4, 5), dtype=bool)
    neurons, points = (state, active, np.zeros(5), np.zeros(5)), np.zeros(6)
    call(*neurons, np.zeros(4), np.zeros(2), points)
    with pytest.raises(jax.errors.JaxRuntimeError, match="belong together"):
        call(*neurons, np.zeros(3), np.zeros(2), points)
    with pytest.raises(jax.errors.JaxRuntimeError, match="belong together"):
        call(*neurons, np.zeros(4), np.zeros(2))


@needs_c
def test_without_calls_in_programs_xla_does_it(monkeypatch):
    def refused(*_, **__):
        raise jax.errors.JaxRuntimeError("of another age")

    compiled._are_registered.cache_clear()
    monkeypatch.setattr(jax.ffi, "register_ffi_target", refused)
    assert not compiled.can_be_called()
    end, _ = jax.jit(lambda *given: early(*given))(*begun(*orthogonal()))
    assert float(end) > 0
    monkeypatch.undo()
    compiled._are_registered.cache_clear()
    assert compiled.can_be_called()
