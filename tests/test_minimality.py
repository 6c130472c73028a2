"""Ends of known excess are judged rightly, and a network below the bound is found."""

import equinox as eqx
import jax.numpy as jnp
import pytest

import jaxflow
from jaxflow.experiments.minimality import Minimality, minimality
from jaxflow.network import ReluNetwork


@pytest.fixture(scope="module", params=["five_points", "toy"])
def least(request):
    return jaxflow.minimum_variation_norm(getattr(jaxflow.datasets, request.param)())


def with_idle_pair(network, size):
    """Adds two neurons that cancel: the same function, the norm larger by 2 size."""
    w = jnp.array([[0.0, 1.0], [0.0, 1.0]])
    a = size * jnp.array([1.0, -1.0])
    return ReluNetwork(jnp.concatenate([network.w, w]), jnp.concatenate([network.a, a]))


def test_the_minimum_is_minimal(least):
    assert minimality(least.network, least) is Minimality.minimal


@pytest.mark.parametrize("size, word", [(1e-10, "minimal"), (1e-6, "not_minimal")])
def test_an_excess_is_seen_from_the_tolerance_on(least, size, word):
    assert minimality(with_idle_pair(least.network, size), least) is Minimality[word]


def test_large_residual_leaves_it_open(least):
    """Outputs are half the labels; a pair that cancels adds less than what the labels allow."""
    half = ReluNetwork(least.network.w, 0.5 * least.network.a)
    assert minimality(with_idle_pair(half, 0.01), least) is Minimality.open


def test_a_network_below_the_bound_is_found(least):
    """A dual one part in 1e9 too large claims a bound above the minimum."""
    planted = eqx.tree_at(lambda known: known.dual, least, least.dual * (1 + 1e-9))
    assert minimality(least.network, planted) is Minimality.below_the_bound
