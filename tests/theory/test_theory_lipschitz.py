"""Lipschitz constants by hand, by scanning, and the bounds around them."""

import jax
import numpy as np

from jaxflow import ReluNetwork, init
from jaxflow.theory import lipschitz_constant


def sampled(network, bias, count=40_000):
    """Largest gradient norm at random inputs: a lower bound, met where every cell is hit."""
    points = np.random.default_rng(0).standard_normal((count, network.dim))
    if bias:
        points[:, -1] = np.abs(points[:, -1]) / 30
    slopes = np.asarray(network.a)[:, None] * np.asarray(network.w)
    slopes = slopes[:, :-1] if bias else slopes
    patterns = np.unique(points @ np.asarray(network.w).T > 0, axis=0)
    return np.max(np.linalg.norm(patterns @ slopes, axis=1))


def test_by_hand():
    hat = ReluNetwork([[1.0, 1.0], [1.0, 0.0], [1.0, -1.0]], [1.0, -2.0, 1.0])
    found = lipschitz_constant(hat, bias=True)  # slopes 0, 1, −1, 0
    assert found.exact and abs(found.upper - 1) < 1e-15
    opposite = ReluNetwork([[3.0, 0.0], [-4.0, 0.0]], [1.0, 1.0])
    found = lipschitz_constant(opposite)  # never active together
    assert found.exact and abs(found.lower - 4) < 1e-14


def test_exact_values_meet_a_scan_of_all_cells():
    cases = [(5, 2, True), (5, 2, False), (5, 3, False), (5, 3, True), (4, 6, False), (4, 6, True)]
    for width, dim, bias in cases:
        network = init.gaussian(jax.random.key(width * dim), width, dim, scale=1.0)
        found = lipschitz_constant(network, bias=bias)
        assert found.exact
        assert abs(found.upper / sampled(network, bias) - 1) < 1e-14


def test_parallel_neurons_are_merged_without_changing_the_constant():
    w = np.random.default_rng(1).standard_normal((5, 3))
    single = lipschitz_constant(ReluNetwork(w, [1.0, -2.0, 1.5, 0.5, -1.0]))
    split = ReluNetwork(np.repeat(w, 6, axis=0) / 6, np.repeat([1.0, -2.0, 1.5, 0.5, -1.0], 6))
    found = lipschitz_constant(split)
    assert found.exact and abs(found.upper / single.upper - 1) < 1e-14


def test_bounds_where_cells_are_too_many():
    network = init.gaussian(jax.random.key(3), 60, 8, scale=1.0)
    found = lipschitz_constant(network)
    assert not found.exact
    assert found.lower <= found.upper <= network.variation_norm() * (1 + 1e-14)
    assert sampled(network, False) <= found.upper
    assert found.lower > 0.8 * sampled(network, False)


def test_the_zero_network():
    assert lipschitz_constant(ReluNetwork(np.zeros((2, 3)), np.zeros(2))).upper == 0.0
