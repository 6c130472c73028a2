"""Neurons of a single datum each: by XLA, and as it was compiled from C."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flow_reference import reference
from two_ways import begun, both, both_ways, flown, needs_c, same

import jaxflow
from jaxflow.flow.coordinates import hidden_parts, log_norms, output_parts
from jaxflow.flow.decoupled import decoupled_flow

DATA = jaxflow.datasets.random_orthogonal(jax.random.key(0), 3, 4)


def alone(problem, tolerance, lane, stop, sought=0.0):
    """The time reached, and the neurons there."""
    arguments = lane.modes, lane.state, lane.log, lane.balance, lane.t
    bounds = jnp.asarray(stop), tolerance, jnp.asarray(sought)
    return decoupled_flow(problem, *arguments, *bounds)


def of_one_datum_each(seed=0, width=13, size=0.1, doomed=1e-6, balanced=True):
    """Neurons that see one datum, or none; those that pull in the wrong direction are small."""
    rng = np.random.default_rng(seed)
    x, y = np.asarray(DATA.x), np.asarray(DATA.y)
    datum, sign = rng.integers(0, 4, width), rng.choice([-1.0, 1.0], width)
    sizes = np.where(sign > 0, size, doomed) * rng.uniform(0.5, 1.0, width)
    unit = np.concatenate([x / np.linalg.norm(x, axis=1)[:, None], np.zeros((1, 4))])
    w = sizes[:, None] * (unit[datum] - 0.3 * (unit.sum(0) - unit[datum]))
    ratio = 1.0 if balanced else rng.uniform(0.3, 2.0, width)
    a = sizes * sign * ratio * np.append(np.sign(y), 1.0)[datum]
    return jaxflow.ReluNetwork(jnp.array(w), jnp.array(a))


@both_ways
@pytest.mark.parametrize("stop", [0.7, 20.0])
@pytest.mark.parametrize("balanced", [True, False])
def test_neurons_of_one_datum_each_go_where_another_solver_takes_them(
    monkeypatch, in_c, stop, balanced
):
    network = of_one_datum_each(balanced=balanced)
    problem, _, lane = begun(DATA, network)
    assert int(lane.modes.active.sum(axis=0).max()) == 1
    end, flight = flown(monkeypatch, in_c, alone, problem, 1e-11, lane, stop)
    assert float(end) == stop
    given = (np.asarray(array) for array in (DATA.x, DATA.y, network.w, network.a))
    *theirs, _, events = reference(*given, np.array([stop]))
    a, w = theirs[0][0], theirs[1][0]
    size = np.exp(np.asarray(log_norms(flight.state)))
    p = np.asarray(flight.modes.active) * (np.asarray(problem.span.basis) @ w.T)
    assert np.abs(size * output_parts(flight.state) - a).max() <= 1e-11
    assert np.abs(size * hidden_parts(flight.state) - p).max() <= 1e-11
    times = np.asarray(flight.log.times)
    assert np.isfinite(times).sum() == len(events)
    assert len(events) > 0 or balanced or stop < 1
    np.testing.assert_allclose(
        np.sort(times[np.isfinite(times)]), sorted(time for time, *_ in events), atol=1e-7
    )


@needs_c
@pytest.mark.parametrize("width", [1, 8, 9, 50])
@pytest.mark.parametrize("size", [0.1, 1e-9])
def test_both_ways_go_to_the_same_place(monkeypatch, width, size):
    network = of_one_datum_each(1, width, size, 0.1 * size, balanced=False)
    problem, tolerance, lane = begun(DATA, network)
    bounds = 1e-3 if size > 1e-3 else tolerance  # of what the doomed may weigh
    given = problem, bounds, lane, 100.0, 1e-9
    (end, one), (same_end, other) = both(monkeypatch, alone, *given)
    assert float(end) > 0
    assert float(end) == pytest.approx(float(same_end), rel=1e-13)
    same(one, other, 1e-12)


@needs_c
def test_both_ways_beyond_the_range_of_numbers(monkeypatch):
    network = of_one_datum_each(balanced=False)
    tiny = network.exponent - 30_000
    network = jaxflow.ReluNetwork.from_mantissa(network.w_mantissa, network.a_mantissa, tiny)
    problem, tolerance, lane = begun(DATA, network)
    ends = both(monkeypatch, alone, problem, tolerance, lane, 1e6, 1e-9)
    (end, one), (same_end, other) = ends
    assert float(end) > 1e4
    assert float(end) == pytest.approx(float(same_end), rel=1e-13)
    np.testing.assert_allclose(one.state, other.state, rtol=1e-11, atol=1e-11)


@both_ways
def test_what_the_doomed_may_weigh_is_bounded(monkeypatch, in_c):
    """Where they are too large nobody moves, and nobody has died."""
    problem, tolerance, lane = begun(DATA, of_one_datum_each(doomed=0.1, balanced=False))
    end, flight = flown(monkeypatch, in_c, alone, problem, tolerance, lane, 20.0)
    assert float(end) == 0.0
    np.testing.assert_array_equal(flight.state, lane.state)
    np.testing.assert_array_equal(flight.modes.active, lane.modes.active)
    assert np.all(np.isinf(flight.log.times))


@needs_c
def test_runs_in_a_batch_are_those_alone(monkeypatch):
    networks = [of_one_datum_each(0, doomed=size, balanced=False) for size in (0.1, 1e-9, 1e-10)]
    given = [begun(DATA, network) for network in networks]
    problem, tolerance, _ = given[0]
    lanes = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(lane for *_, lane in given))
    together = jax.jit(jax.vmap(alone, (None, None, 0, None)))
    ends, flights = together(problem, tolerance, lanes, 20.0)
    assert float(ends[0]) == 0.0 and float(ends[1]) == 20.0
    for i, (*_, lane) in enumerate(given):
        end, flight = flown(monkeypatch, True, alone, problem, tolerance, lane, 20.0)
        assert float(end) == float(ends[i])
        same(flight, jax.tree.map(lambda leaf, i=i: leaf[i], flights), 1e-14)
