"""Extremal directions against a scan of the circle, cases done by hand, and the reference flow."""

import jax
import numpy as np
import pytest

from jaxflow import Dataset, datasets
from jaxflow.theory import angle, extremal_directions


def scanned_maxima(dataset, sign, steps=400_000):
    """Strict local maxima of sign · G on the circle, by brute force."""
    turn = 2 * np.pi * (np.arange(steps) + 0.5) / steps
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    potential = sign * np.maximum(circle @ dataset.x.T, 0) @ dataset.y / dataset.n
    left, right = np.roll(potential, 1), np.roll(potential, -1)
    return circle[(potential > left) & (potential > right)]


@pytest.mark.parametrize("seed", range(6))
def test_attractors_are_the_maxima_on_the_circle(seed):
    dataset = datasets.five_points()
    if seed:
        x = jax.random.normal(jax.random.key(seed), (6, 2))
        dataset = Dataset(x, jax.random.normal(jax.random.key(50 + seed), (6,)))
    extremal = extremal_directions(dataset)
    for sign in (1, -1):
        mine = extremal.directions[extremal.attracts == sign]
        scanned = scanned_maxima(dataset, sign)
        assert len(mine) == len(scanned)
        for direction in scanned:
            assert np.min(np.linalg.norm(mine - direction, axis=1)) < 1.6e-5  # the step of the scan


def test_every_direction_is_stationary():
    dataset = Dataset(
        *(jax.random.normal(jax.random.key(k), s) for k, s in ((3, (5, 3)), (4, (5,))))
    )
    extremal = extremal_directions(dataset)
    x, y = np.asarray(dataset.x), np.asarray(dataset.y)
    assert len(extremal.rates) >= 4 and np.any(extremal.boundary)
    for omega, rate, on, edge in zip(
        extremal.directions, extremal.rates, extremal.active, extremal.boundary, strict=True
    ):
        pre = x @ omega
        assert np.all((pre > 1e-9) == on) and np.all((np.abs(pre) < 1e-14) == edge)
        missing = rate * omega - (on * y) @ x / 5  # Σ_B α_k y_k x_k/n
        alpha = np.linalg.lstsq((x[edge] * y[edge, None]).T / 5, missing, rcond=None)[0]
        assert np.all((alpha > -1e-12) & (alpha < 1 + 1e-12))
        rebuilt = alpha @ (x[edge] * y[edge, None]) / 5
        np.testing.assert_allclose(rebuilt, missing, rtol=0, atol=1e-14)


def test_orthogonal_data_attract_to_the_two_directions_of_the_theorem():
    dataset = Dataset(np.diag([1.0, 2.0, 0.5]), [1.0, -1.0, 3.0])
    extremal = extremal_directions(dataset)
    up = extremal.directions[extremal.attracts == 1]
    down = extremal.directions[extremal.attracts == -1]
    np.testing.assert_allclose(up, [np.array([1.0, 0.0, 1.5]) / np.sqrt(3.25)], atol=1e-15)
    np.testing.assert_allclose(down, [[0.0, 1.0, 0.0]], atol=1e-15)
    rates = np.sort(np.abs(extremal.rates[extremal.attracts != 0]))
    np.testing.assert_allclose(rates, [np.sqrt(3.25) / 3, 2 / 3], rtol=1e-15)


def test_neurons_of_the_reference_flow_have_arrived(oracle):
    case = oracle("fivepoint_m12")
    extremal = extremal_directions(case.dataset)
    state = next(state for state in case.states if state["t"] == 20.0)
    sliding = np.array(state["modes"]) == 2
    arrived = 0
    for j in np.flatnonzero(np.any(sliding, axis=1)):
        (match,) = np.flatnonzero(np.all(extremal.boundary == sliding[j], axis=1))
        assert extremal.attracts[match] == np.sign(state["a"][j])
        assert angle(np.array(state["W"][j]), extremal.directions[match]) < 1e-15
        arrived += 1
    assert arrived == 3


def test_refuses_many_data_and_prints_the_rest():
    with pytest.raises(ValueError, match="got 13 data"):
        extremal_directions(Dataset(np.eye(13), np.ones(13)))
    assert "attracts a > 0, active at [1]" in repr(extremal_directions(datasets.toy()))
