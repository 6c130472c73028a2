"""Ends of known excess are judged rightly, and a network below the bound is found."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxflow
from jaxflow.experiments.minimality import Minimality, judged, minimality
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


def test_large_residual_tells_nothing_of_interpolators(least):
    """Outputs are half the labels; a pair that cancels adds less than what the labels allow."""
    half = ReluNetwork(least.network.w, 0.5 * least.network.a)
    assert minimality(half, least) is Minimality.unfitted
    assert minimality(with_idle_pair(half, 0.01), least) is Minimality.unfitted


def test_a_weak_bound_leaves_it_open(least):
    weak = eqx.tree_at(lambda known: known.dual, least, least.dual * (1 - 1e-6))
    assert minimality(least.network, weak) is Minimality.open
    assert minimality(with_idle_pair(least.network, 1e-6), weak) is Minimality.not_minimal


def test_many_ends_are_judged_as_one_by_one(least):
    networks = [with_idle_pair(least.network, size) for size in (0.0, 1e-9, 1e-5)]
    apart = [least.excess(network) for network in networks]
    outputs = jnp.stack([jax.vmap(network)(least.dataset.x) for network in networks])
    together = least.excess_at(jnp.array([one.norm for one in apart]), outputs)
    assert np.allclose(together.upper, [one.upper for one in apart], rtol=0, atol=1e-14)
    assert np.allclose(together.lower, [one.lower for one in apart], rtol=0, atol=1e-14)
    assert list(judged(together, least)) == [minimality(network, least) for network in networks]


def test_a_network_below_the_bound_is_found(least):
    """A dual one part in 1e9 too large claims a bound above the minimum."""
    planted = eqx.tree_at(lambda known: known.dual, least, least.dual * (1 + 1e-9))
    assert minimality(least.network, planted) is Minimality.below_the_bound
