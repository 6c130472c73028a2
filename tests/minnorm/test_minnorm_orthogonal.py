"""The closed form for orthogonal inputs against exact arithmetic, sampling and its own limits."""

import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from jaxflow import datasets
from jaxflow.dataset import Dataset
from jaxflow.minnorm import minimum_variation_norm
from jaxflow.minnorm.orthogonal import dual_maximum
from jaxflow.network import ReluNetwork, outputs


def with_fifty_digits(dataset) -> float:
    """N₊ + N₋ in multiple precision."""
    with mpmath.workdps(50):
        squares = {1: mpmath.mpf(0), -1: mpmath.mpf(0)}
        for x, y in zip(np.asarray(dataset.x), np.asarray(dataset.y), strict=True):
            norm2 = mpmath.fsum(mpmath.mpf(float(c)) ** 2 for c in x)
            squares[1 if y > 0 else -1] += mpmath.mpf(float(y)) ** 2 / norm2
        return float(mpmath.sqrt(squares[1]) + mpmath.sqrt(squares[-1]))


def dual_function(dataset, dual, directions):
    return np.maximum(directions @ np.asarray(dataset.x).T, 0) @ np.asarray(dual)


@pytest.mark.parametrize("n,d", [(1, 1), (2, 2), (5, 9), (12, 12)])
def test_value_in_fifty_digits(n, d):
    for seed in range(10):
        dataset = datasets.random_orthogonal(jax.random.key(seed), n, d)
        found = minimum_variation_norm(dataset)
        assert float(found.value) == pytest.approx(with_fifty_digits(dataset), rel=2e-15)
        assert abs(float(found.gap)) <= 1e-12 * float(found.value)
        assert np.max(np.abs(outputs(found.network, dataset.x) - dataset.y)) <= 1e-13
        norm = float(found.network.variation_norm())
        assert norm == pytest.approx(float(found.value), rel=2e-15)
        assert found.status == "certified" and found.unique


def test_toy_by_hand():
    """x = (−1/2, 1) with y = −1 and (2, 1) with y = 1: 1/√5 + 1/√(5/4) = 3/√5."""
    found = minimum_variation_norm(datasets.toy())
    assert float(found.value) == pytest.approx(3 / np.sqrt(5), rel=1e-15)
    assert float(found.lower_bound) <= 3 / np.sqrt(5) * (1 + 1e-15)


def test_dual_is_feasible_and_tight():
    """The dual function nowhere exceeds one, and every subset of a sign's data is below all."""
    dataset = datasets.random_orthogonal(jax.random.key(3), 6, 6)
    found = minimum_variation_norm(dataset)
    directions = np.random.default_rng(0).normal(size=(20000, 6))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    sampled = np.abs(dual_function(dataset, found.dual, directions))
    assert 0.5 < sampled.max() <= 1
    subsets = itertools.product([0.0, 1.0], repeat=6)
    beta, x = np.asarray(found.dual), np.asarray(dataset.x)
    best = max(
        np.linalg.norm((np.array(s) * np.where(sign * beta > 0, beta, 0)) @ x)
        for s in subsets
        for sign in (1, -1)
    )
    assert best == pytest.approx(1.0, rel=1e-13)


def test_lower_bound_holds_for_inputs_orthogonal_to_rounding_only():
    """Two inputs at cosine −1e-13: the true minimum, by hand, is below N₊ by half of that."""
    cosine = -1e-13
    x = np.array([[1.0, 0.0], [cosine, np.sqrt(1 - cosine**2)]])
    dataset = Dataset(x, [1.0, 1.0])
    assert dataset.is_orthogonal
    true_minimum = np.sqrt(2 / (1 + cosine))
    found = minimum_variation_norm(dataset)
    assert float(found.lower_bound) <= true_minimum
    assert float(found.value) == pytest.approx(true_minimum, rel=1e-12)


def test_wrong_dual_is_only_weaker():
    dataset = datasets.random_orthogonal(jax.random.key(5), 5, 7)
    value = float(minimum_variation_norm(dataset).value)
    rng = np.random.default_rng(1)
    bounds = []
    for _ in range(50):
        beta = jnp.asarray(rng.normal(size=5))
        bounds.append(float(jnp.sum(beta * dataset.y) / dual_maximum(dataset, beta)))
    assert max(bounds) < value
    assert max(bounds) > 0.2 * value


def test_under_jit_and_vmap():
    sets = [datasets.random_orthogonal(jax.random.key(s), 4, 6) for s in range(5)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *sets)
    batch = jax.jit(jax.vmap(minimum_variation_norm))(stacked)
    singles = [minimum_variation_norm(s) for s in sets]
    for name in ("value", "lower_bound", "dual"):
        one_by_one = np.stack([np.asarray(getattr(s, name)) for s in singles])
        np.testing.assert_allclose(getattr(batch, name), one_by_one, rtol=1e-14, atol=1e-16)
    network = jax.tree.map(lambda leaf: leaf[2], batch.network)
    np.testing.assert_allclose(outputs(network, sets[2].x), sets[2].y, atol=1e-14)
    assert "batched" in repr(batch)


def test_excess_under_jit_and_vmap():
    sets = [datasets.random_orthogonal(jax.random.key(s), 3, 3) for s in range(4)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *sets)

    @jax.jit
    @jax.vmap
    def upper(dataset):
        found = minimum_variation_norm(dataset)
        return found.excess(found.network).upper

    np.testing.assert_allclose(upper(stacked), 0.0, atol=1e-12)


def test_excess_of_a_network_with_one_neuron_per_datum():
    """Σ |y_k|/‖x_k‖ is the norm of one neuron per datum."""
    dataset = datasets.random_orthogonal(jax.random.key(8), 6, 8)
    found = minimum_variation_norm(dataset)
    length = np.linalg.norm(dataset.x, axis=1)
    w = np.asarray(dataset.x) / length[:, None] ** 2
    excess = found.excess(ReluNetwork(w, dataset.y))
    expected = float(np.sum(np.abs(dataset.y) / length) - with_fifty_digits(dataset))
    assert float(excess.lower) <= expected <= float(excess.upper)
    assert float(excess.upper - excess.lower) <= 1e-12
    assert float(excess.estimate) == pytest.approx(expected, rel=1e-13)


def test_excess_accounts_for_the_residual():
    """A network that fits 0.9 y with the least norm has no excess, at any precision."""
    dataset = datasets.random_orthogonal(jax.random.key(9), 5, 5)
    found = minimum_variation_norm(dataset)
    shrunk = ReluNetwork(found.network.w, 0.9 * found.network.a)
    excess = found.excess(shrunk)
    assert float(excess.norm) < float(found.lower_bound)
    assert float(excess.lower) == 0.0
    assert abs(float(excess.upper)) <= 1e-12
    assert float(excess.residual) == pytest.approx(0.1 * np.max(np.abs(dataset.y)), rel=1e-12)


@pytest.mark.parametrize("labels", [[1.0, 2.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
def test_missing_signs_and_zero_labels(labels):
    dataset = Dataset(np.diag([1.0, 2.0, 4.0]), labels)
    found = minimum_variation_norm(dataset)
    expected = np.linalg.norm(np.array(labels) / [1.0, 2.0, 4.0])
    assert float(found.value) == pytest.approx(expected, rel=1e-15)
    assert float(found.lower_bound) == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(outputs(found.network, dataset.x), dataset.y, rtol=1e-15)


def test_extreme_scales():
    dataset = Dataset(np.diag([1e-200, 1e200]), [1e-200, 1e200])
    found = minimum_variation_norm(dataset)
    assert float(found.value) == pytest.approx(np.sqrt(2), rel=1e-15)
    assert float(found.lower_bound) == pytest.approx(np.sqrt(2), rel=1e-13)


def test_refuses_another_dimension():
    found = minimum_variation_norm(datasets.toy())
    with pytest.raises(ValueError, match="dimension 3, wanted dimension 2"):
        found.excess(ReluNetwork(np.ones((1, 3)), np.ones(1)))
