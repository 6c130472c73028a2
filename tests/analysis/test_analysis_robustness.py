"""Robustness where the answer is known: one datum, for which everything ends at one neuron.

The flow and the minimum-norm interpolator both end at h(z) = y max(⟨z, x⟩, 0)/‖x‖², whose Lipschitz
constant is |y|/‖x‖.
"""

import jax
import numpy as np
import pytest

from jaxflow import Dataset, init
from jaxflow.analysis import robustness
from jaxflow.analysis.robustness import _moved

X, Y, SIZE = np.array([[1.0, 2.0, 2.0]]), 1.5, 1e-3


@pytest.fixture(scope="module")
def found():
    network = init.balanced(jax.random.key(3), 4, 3, scale=1e-30)
    return robustness(network, Dataset(X, [Y]), jax.random.key(5), size=SIZE, perturbations=3)


def test_constants_of_one_datum(found):
    assert found.flow.exact and found.minimum.exact
    assert abs(found.flow.upper / (Y / 3) - 1) < 1e-11  # the flow's tolerance
    assert abs(found.minimum.upper / (Y / 3) - 1) < 1e-14


def test_changes_are_those_of_the_length_of_the_input(found):
    moved = [
        np.asarray(_moved(Dataset(X, [Y]), key, SIZE, False).x)
        for key in jax.random.split(jax.random.key(5), 3)
    ]
    assert all(abs(np.linalg.norm(x - X) / SIZE - 1) < 1e-12 for x in moved)
    wanted = np.array([Y / np.linalg.norm(x) for x in moved])
    np.testing.assert_allclose(found.flow_perturbed, wanted, rtol=1e-11)
    np.testing.assert_allclose(found.minimum_perturbed, wanted, rtol=1e-14)
    steepest = Y / 9  # |d(y/‖x‖)/d‖x‖|
    assert 0.05 * steepest < found.minimum_sensitivity < 1.001 * steepest
    assert abs(found.flow_sensitivity / found.minimum_sensitivity - 1) < 1e-7
    assert "Lipschitz constant 0.5 of" in str(found) and "(exact)" in str(found)


def test_a_bias_stays_one():
    moved = _moved(Dataset([[1.0, 1.0]], [Y]), jax.random.key(0), SIZE, True)
    assert moved.x[0, 1] == 1.0 and abs(abs(moved.x[0, 0] - 1) - SIZE) < 1e-15


def test_refuses_a_size_that_is_none():
    network = init.balanced(jax.random.key(3), 4, 3, scale=1e-30)
    with pytest.raises(ValueError, match="size: got 0"):
        robustness(network, Dataset(X, [Y]), jax.random.key(5), size=0)
