"""Predicted exit times against the closed form of the toy and a plain integration of the flow."""

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from jaxflow import Dataset, ReluNetwork, datasets, init
from jaxflow.theory import jump_process, single_datum_trajectory, timeline


@pytest.mark.parametrize("log_scale", [-14.0, -700.0, -23026.0])
def test_the_toy_in_closed_form(log_scale):
    network = init.balanced(jax.random.key(0), 12, 2, log_scale=log_scale)
    predicted = timeline(network, datasets.toy(), fraction=0.25)
    closed = single_datum_trajectory(network, datasets.toy()).exit_times(0.25)
    np.testing.assert_allclose(predicted.exit_times, closed[::-1], rtol=2e-15, atol=1e-10)
    assert predicted.fitted.tolist() == [[False, True], [True, False]]


def integrate(network, dataset, until, rtol=1e-10):
    """The flow in (a_j, u_jk) by DOP853, stopped at every death; dead pairs stay dead."""
    x, y = np.asarray(dataset.x), np.asarray(dataset.y)
    m, n = network.width, dataset.n
    alive, squares = np.asarray(network.w @ x.T) > 0, np.sum(x**2, axis=1)
    z = np.concatenate(
        [np.asarray(network.a)[:, None], np.asarray(network.w @ x.T) * alive], axis=1
    )
    small, time, pieces = np.max(np.abs(z)), 0.0, []

    def field(_, state):
        a, u = np.split(state.reshape(m, n + 1), [1], axis=1)
        r = (y - np.sum(a * u * alive, axis=0)) * alive / n
        return np.concatenate([np.sum(u * r, axis=1, keepdims=True), a * r * squares], 1).ravel()

    def death(_, state):
        return np.min(np.where(alive, state.reshape(m, n + 1)[:, 1:], np.inf))

    death.terminal, death.direction = True, -1
    while time < until:
        run = solve_ivp(field, (time, until), z.ravel(), "DOP853", rtol=rtol, atol=rtol * small,
                        events=death, dense_output=True)  # fmt: skip
        pieces.append(run.sol)
        time, z = run.t[-1], run.y[:, -1].reshape(m, n + 1)
        if time < until:
            alive = alive & (np.arange(m * n) != np.argmin(
                np.where(alive, z[:, 1:], np.inf))).reshape(m, n)  # fmt: skip
            z[:, 1:] *= alive

    def outputs(t):
        sol = next(piece for piece in pieces if t <= piece.ts[-1])
        a, u = np.split(sol(t).reshape(m, n + 1), [1], axis=1)
        return np.sum(a * np.maximum(u, 0), axis=0)

    return outputs


def departures(seed, scale):
    """|predicted − integrated| of every exit time of one problem with three births."""
    dataset = datasets.random_orthogonal(jax.random.key(6), 4, 4)
    network = init.balanced(jax.random.key(seed), 8, 4, scale=scale)
    errors, separation = departures_of(network, dataset)
    assert errors.size == 3
    return errors, separation


def departures_of(network, dataset):
    predicted = timeline(network, dataset)
    outputs = integrate(network, dataset, float(predicted.exit_times[-1]) + 20)
    found = []
    for time, data in zip(predicted.exit_times, predicted.fitted, strict=True):
        y = np.asarray(dataset.y) * data

        def missing(t, y=y):
            return (y @ outputs(t)) / (y @ y) - 0.5

        found.append(abs(brentq(missing, time - 5, time + 5, xtol=1e-12) - time))
    return np.array(found), float(jump_process(network, dataset).separation)


def test_without_competitors_errors_vanish_like_the_square_of_the_scale():
    (coarse, separation), (fine, _) = departures(5, 1e-2), departures(5, 1e-3)
    assert np.isinf(separation) and coarse.max() < 2e-4
    np.testing.assert_allclose(coarse / fine, 100, rtol=0.01)


@pytest.mark.parametrize("seed", [3, 4])  # separations 0.12 and 0.66
def test_competitors_leave_errors_like_their_squared_size_or_the_scale(seed):
    (coarse, separation), (fine, _) = departures(seed, 1e-3), departures(seed, 1e-4)
    decades = np.log10(coarse.max() / fine.max())
    assert decades == pytest.approx(min(2 * separation, 1.0), rel=0.06)


def test_a_competitor_that_is_born_later():
    dataset = Dataset(np.diag([1.0, 2.0, 1.5]), [4.0, 0.5, 1.0])
    w = np.array([[1.0, 2.0, -0.5], [-0.5, 1.0, 1.0]])  # active at data 0, 1 and at data 1, 2
    errors = []
    for scale in (1e-4, 1e-5):
        network = ReluNetwork(scale * w, scale * np.linalg.norm(w, axis=1))
        (_, late), separation = departures_of(network, dataset)
        errors.append(late)
    assert late < 2e-3
    assert np.log10(errors[0] / errors[1]) == pytest.approx(1 - separation, rel=0.04)


def test_neurons_and_sets_are_those_of_the_jump_process(oracle):
    case = oracle("hadamard6_m16")
    predicted, process = (
        timeline(case.network, case.dataset),
        jump_process(case.network, case.dataset),
    )
    np.testing.assert_array_equal(predicted.fitted, process.fitted)
    outputs = {state["t"]: np.array(state["h"]) / case.dataset.y for state in case.states}
    assert outputs[100.0][2] < 0.5 < outputs[150.0][2]
    assert 100 < predicted.exit_times[2] < 150
    # between the two the datum grows logistically, h/y = 1/(1 + exp(−2G(t − T)))
    rate = abs(case.dataset.y[2]) * np.linalg.norm(case.dataset.x[2]) / 6
    for time in (100.0, 150.0):
        share = outputs[time][2]
        crossing = time - np.log(share / (1 - share)) / (2 * rate)
        assert abs(crossing - predicted.exit_times[2]) < 0.5


def test_nothing_to_be_born_and_a_bad_fraction():
    network = init.balanced(jax.random.key(0), 1, 2, scale=1e-6)
    both = [timeline(network, datasets.toy()), jump_process(network, datasets.toy())]
    assert both[0].exit_times.size == int(both[1].count)
    with pytest.raises(ValueError, match="fraction: got 0"):
        timeline(network, datasets.toy(), fraction=0)
