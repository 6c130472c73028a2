"""Balanced neurons that pull in the wrong direction shrink on a line, for ever: in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest
from test_decoupled import alone
from test_feedback import early
from two_ways import begun, both_ways, flown

import jaxflow
from jaxflow.flow.coordinates import log_norms

SMALL = -3000
"""The exponent of weights so small that residuals are the labels all the time."""


def wrong_signs(y, others=()):
    """Two unit inputs; a neuron on each that shrinks, and one beside each that grows."""
    data = jaxflow.Dataset(jnp.eye(2), jnp.array(y))
    w = jnp.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0], *others])
    a = jnp.array([-1.0, -1.0, 1.0, 1.0, *[1.0] * len(others)])
    return data, jaxflow.ReluNetwork.from_mantissa(w, a, jnp.full(len(a), SMALL))


def are_on_their_lines(y, flight, time):
    """ρ(t) = ρ(0) ∓ y t/n, and directions (∓1, 1)/√2 of pairs that live."""
    rho, grown = 0.5 * np.log(2) + SMALL * np.log(2), np.array(y) * time / 2
    expected = rho + np.concatenate([-grown, grown])
    np.testing.assert_allclose(log_norms(flight.state)[:4], expected, rtol=1e-14)
    eta, *omega = np.sqrt(2) * np.asarray(flight.state)[1:, :4]
    np.testing.assert_allclose(eta, [-1, -1, 1, 1], atol=1e-13)
    np.testing.assert_allclose(omega, [[1, 0, 1, 0], [0, 1, 0, 1]], atol=1e-13)
    assert np.array_equal(np.asarray(flight.modes.active)[:, :4], np.array(omega) > 0.5)
    assert np.all(np.isinf(np.asarray(flight.log.times)[:, :4]))


labels = pytest.mark.parametrize("y", [(1.0, 0.7), (0.3, 1.9), (1.3, 1.1)])
times = pytest.mark.parametrize("time", [20.0, 150.0, 300.0, 900.0])


@both_ways
@labels
@times
def test_where_everybody_sees_one_datum(monkeypatch, in_c, y, time):
    """Beyond the range of squares, and of numbers, from the norm at the start."""
    problem, tolerance, lane = begun(*wrong_signs(y))
    end, flight = flown(monkeypatch, in_c, alone, problem, tolerance, lane, time)
    assert float(end) == time
    are_on_their_lines(y, flight, time)


@both_ways
@labels
@times
def test_in_the_early_phase_beside_others(monkeypatch, in_c, y, time):
    problem, tolerance, lane = begun(*wrong_signs(y, [(0.6, 0.8)]))
    end, flight = flown(monkeypatch, in_c, early, problem, tolerance, lane, min(time, 700.0))
    assert float(end) == min(time, 700.0)
    are_on_their_lines(y, flight, float(end))


@pytest.mark.parametrize("time", [300.0, 1000.0])
def test_in_a_run(time):
    data, network = wrong_signs((1.0, 0.7), [(0.6, 0.8)])
    run = jaxflow.gradient_flow(network, data, np.array([time]))
    rho = 0.5 * np.log(2) + SMALL * np.log(2) + np.array([-1.0, -0.7, 1.0, 0.7]) * time / 2
    np.testing.assert_allclose(run.log_norms[0, :4], rho, rtol=1e-14)
    assert not np.any(np.asarray(run.events.neuron) < 4)
