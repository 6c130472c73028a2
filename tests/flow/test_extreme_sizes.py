"""Neurons of one network that are thousands of orders of magnitude apart, and very large ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxflow
from jaxflow.flow.riccati import Riccati
from jaxflow.flow.status import Status

DATA = jaxflow.Dataset(np.eye(2), np.array([1.0, 1e-3]))
SLOW = np.array([[-0.5, 1.0]])
FAST = np.array([[1.0, -0.5], [1.0, 0.7], [0.9, -0.4], [0.8, 0.6], [0.7, -0.9], [1.1, 0.2], [1, 1]])


@pytest.mark.parametrize("log_norm", [-100.0, -1000.0])
def test_fast_neurons_far_below_a_slow_one(log_norm):
    """The small ones grow by e^800 while the large one alone decides how far closed forms serve.

    They fit the first datum when e^(2t/2) has made up for their size, and the slow one the second.
    """
    w, log_norms = np.vstack([SLOW, FAST]), np.array([-12.0] + [log_norm] * len(FAST))
    network = jaxflow.ReluNetwork.from_log_norm(w, np.linalg.norm(w, axis=1), log_norms)
    run = jaxflow.gradient_flow(network, DATA, horizon=1e6)
    assert run.status == Status.interpolated
    assert np.abs(np.asarray(run.outputs)[-1] - DATA.y).max() <= 1e-10
    losses, fitted = np.asarray(run.loss), 0.25 * DATA.y[1] ** 2
    half = float(run.ts[np.argmax(losses < 0.125 + fitted)])
    assert half == pytest.approx(-2 * log_norm, rel=0.06)


def test_squares_that_overflow_are_left_to_the_solver():
    """sqrt(y² + 4AB) of one datum whose neurons have sizes of e^200, and of a usual one."""
    log_a, log_b, ones = jnp.array([400.0, 1.0]), jnp.array([400.0, -5.0]), jnp.ones(2)
    assert Riccati(log_a, log_b, ones, ones).sound.tolist() == [False, True]


@pytest.mark.parametrize("data", [jaxflow.datasets.toy(), jaxflow.datasets.five_points()])
def test_neurons_for_whose_outputs_there_are_no_numbers_go_nowhere(data):
    network = jaxflow.init.balanced(jax.random.key(0), 4, data.dim, scale=1e160, bias=True)
    run = jaxflow.gradient_flow(network, data)
    assert run.status == Status.not_finite
    assert float(run.end_time) == 0.0 and int(run.counts.attempted) == 0
