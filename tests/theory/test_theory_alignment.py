"""Angles below rounding, and the predicted alignment against direct evaluation in 60 digits."""

import jax
import numpy as np
import pytest
from mpmath import mp, mpf
from theory_direct_evaluation import DirectNeuron, exact

from jaxflow import datasets, init
from jaxflow.theory import alignment, angle, frozen_residual


def exact_angle(u, v):
    dot, uu, vv = DirectNeuron.dot(u, v), DirectNeuron.dot(u, u), DirectNeuron.dot(v, v)
    return mp.atan2(mp.sqrt(max(uu * vv - dot * dot, 0)), dot)


def test_angles_of_every_size():
    turn = np.array([1e-300, 1e-20, 1e-15, 1e-12, 1e-8, 1e-4, 1.0, 3.0, np.pi - 1e-9])
    u = 1e-200 * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    v = 1e150 * np.array([1.0, 0.0, 0.0]) * np.ones((turn.size, 1))
    np.testing.assert_allclose(angle(u, v), turn, rtol=0, atol=5e-16)
    assert np.isnan(angle(np.zeros(3), np.ones(3)))


def test_prediction_in_60_digits():
    dataset = datasets.random_orthogonal(jax.random.key(1), 5, 7)
    network = init.balanced(jax.random.key(2), 12, 7, scale=1e-5)
    prediction = alignment(frozen_residual(network, dataset))
    drawn = np.flatnonzero(prediction.rates > 0)
    assert drawn.size > 8
    reached = np.asarray(prediction.times_to_angle(1e-10))
    for j in drawn:
        direct = DirectNeuron(network, dataset, j)
        direct.run(mpf(float(reached[j])))
        sign = 1 if direct.a > 0 else -1
        limit = [sign * e for e in direct.e]
        assert abs(exact_angle(direct.w, limit) / mpf("1e-10") - 1) < 1e-13 * (1 + reached[j])
        for late in (5.0, 60.0):
            time = float(prediction.last_change[j]) + late
            wanted = exact_angle(direct_at(network, dataset, j, time), limit)
            assert abs(float(prediction.angles(time)[j]) / wanted - 1) < 3e-13
        time = 0.5 * float(prediction.last_change[j])
        wanted = exact_angle(direct_at(network, dataset, j, time), limit)
        assert abs(float(prediction.angles(time)[j]) - wanted) < 1e-14
        gaps = [p - q for p, q in zip(exact(prediction.directions[j]), limit, strict=True)]
        assert DirectNeuron.dot(gaps, gaps) < 1e-30


def direct_at(network, dataset, j, time):
    neuron = DirectNeuron(network, dataset, j)
    neuron.run(mpf(time))
    return neuron.w


def test_the_flow_aligns_as_predicted_up_to_the_size_of_the_outputs(oracle):
    case = oracle("hadamard6_m16")
    prediction = alignment(frozen_residual(case.network, case.dataset))
    for state in case.states[:5]:
        departure = np.max(np.abs(np.array(state["h"]) / case.dataset.y))
        measured = angle(np.array(state["W"]), prediction.directions)
        error = np.abs(prediction.angles(state["t"]) - measured)
        assert np.nanmax(error) < departure and np.sum(np.isfinite(error)) == 14


def test_neurons_that_no_label_attracts_have_no_direction():
    network = init.balanced(jax.random.key(0), 40, 2, scale=1e-6)
    prediction = alignment(frozen_residual(network, datasets.toy()))
    lost = np.asarray(prediction.rates) == 0
    assert 0 < lost.sum() < 40
    assert np.all(np.isnan(prediction.angles(3.0)) == lost)
    assert np.all(np.isinf(prediction.times_to_angle(0.1)) == lost)


def test_refuses_an_angle_that_is_none():
    network = init.balanced(jax.random.key(0), 40, 2, scale=1e-6)
    prediction = alignment(frozen_residual(network, datasets.toy()))
    with pytest.raises(ValueError, match="wanted: got 0"):
        prediction.times_to_angle(0.0)
