"""Initialisations: balance to rounding, and their distribution in standard errors."""

import jax
import numpy as np
import pytest

from jaxflow import init

KEY = jax.random.key(11)
WIDTH, DIM = 4000, 5


def weights(network):
    return np.asarray(network.w), np.asarray(network.a)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_output_weights_are_a_ratio_of_the_norms(ratio):
    w, a = weights(init.unbalanced(KEY, 50, DIM, ratio=ratio, scale=1e-3))
    assert np.allclose(np.abs(a), ratio * np.linalg.norm(w, axis=1), rtol=4e-16 * 4, atol=0)


@pytest.mark.parametrize("bias", [False, True])
def test_distribution_of_balanced_weights(bias):
    w, a = weights(init.balanced(KEY, WIDTH, DIM, scale=0.1, bias=bias))
    normal = w / 0.1 * np.sqrt(WIDTH * (DIM - bias))
    count = normal.size
    assert abs(normal.mean()) < 4 / np.sqrt(count)
    assert abs((normal**2).mean() - 1) < 4 * np.sqrt(2 / count)
    assert abs((normal**4).mean() - 3) < 4 * np.sqrt(96 / count)
    assert abs(np.sign(a).mean()) < 4 / np.sqrt(WIDTH)


def test_gaussian_output_weights():
    _, a = weights(init.gaussian(KEY, WIDTH, DIM, scale=2.0))
    assert abs((a**2).sum() / 4 - 1) < 4 * np.sqrt(2 / WIDTH)


def test_the_scale_changes_nothing_but_the_scale():
    big, small = (init.balanced(KEY, 20, DIM, scale=2.0**-power) for power in (0, 900))
    assert np.array_equal(big.w_mantissa, small.w_mantissa)
    assert np.array_equal(big.exponent - 900, small.exponent)
