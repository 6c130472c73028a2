"""Data that are contradictory, repeated, opposite, zero or collinear, and the excess over them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from minnorm_references import bracket_in_the_plane, relu

from jaxflow import datasets
from jaxflow.dataset import Dataset
from jaxflow.minnorm import minimum_variation_norm
from jaxflow.network import ReluNetwork, outputs


def base(n: int = 6, d: int = 3, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=n)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_contradictory_labels_are_refused(factor):
    x, y = base()
    x, y = np.concatenate([x, factor * x[2:3]]), np.append(y, factor * y[2] + 0.1)
    with pytest.raises(ValueError, match="got inputs 2 and 6 on one ray"):
        minimum_variation_norm(Dataset(x, y))


def test_traced_general_data_are_refused():
    x, y = base()
    with pytest.raises(ValueError, match="traced data"):
        jax.jit(lambda labels: minimum_variation_norm(Dataset(x, labels)).value)(jnp.asarray(y))


@pytest.mark.parametrize("factor", [1.0, 0.3, 7.0])
def test_repeated_inputs_change_nothing(factor):
    x, y = base()
    once = minimum_variation_norm(Dataset(x, y))
    twice = Dataset(np.concatenate([x, factor * x[1:3]]), np.concatenate([y, factor * y[1:3]]))
    found = minimum_variation_norm(twice)
    assert found.status == "certified"
    assert float(found.value) == pytest.approx(float(once.value), rel=1e-14)
    np.testing.assert_allclose(outputs(found.network, twice.x), twice.y, atol=1e-13)
    assert float(found.dual @ twice.y) == pytest.approx(float(found.lower_bound), rel=1e-14)


def test_opposite_inputs():
    """On the line ±x, one neuron for each side: the sum of both."""
    found = minimum_variation_norm(Dataset([[3.0, 4.0], [-3.0, -4.0]], [10.0, -2.0]))
    assert float(found.value) == pytest.approx(12 / 5, rel=1e-14)
    assert found.status == "certified"


def test_one_dimension_many_inputs():
    """In R¹ the labels must be linear on each side; the norm is the sum of the slopes."""
    x = np.array([[1.0], [2.0], [5.0], [-1.0], [-3.0]])
    found = minimum_variation_norm(Dataset(x, 2 * relu(x[:, 0]) - 0.5 * relu(-x[:, 0])))
    assert float(found.value) == pytest.approx(2.5, rel=1e-14)
    assert found.unique


def test_single_input():
    found = minimum_variation_norm(Dataset([[3.0, 4.0]], [10.0]))
    assert float(found.value) == pytest.approx(2.0, rel=1e-15)


def test_zero_labels():
    x, _ = base()
    found = minimum_variation_norm(Dataset(x, np.zeros(6)))
    assert float(found.value) == 0 and float(found.lower_bound) == 0
    assert not np.any(outputs(found.network, x))
    excess = found.excess(ReluNetwork(x[:1], jnp.ones(1)))
    assert float(excess.lower) == 0 and float(excess.upper) == float(excess.norm)


def test_some_zero_labels():
    x, y = base(7, 2, 3)
    y[::2] = 0
    found = minimum_variation_norm(Dataset(x, y))
    low, high = bracket_in_the_plane(x, y, 4000)
    assert found.status == "certified"
    assert low * (1 - 1e-9) <= float(found.value) <= high * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_integer_grids_with_bias(seed):
    """Collinear inputs and coinciding boundaries: a hyperplane meets several data at once."""
    rng = np.random.default_rng(seed)
    x = np.unique(rng.integers(-2, 3, size=(9, 2)), axis=0).astype(float)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    w, a = rng.integers(-2, 3, size=(4, 3)).astype(float), rng.normal(size=4)
    dataset = Dataset(x, relu(x @ w.T) @ a)
    found = minimum_variation_norm(dataset)
    assert found.status == "certified"
    assert float(found.value) <= np.abs(a) @ np.linalg.norm(w, axis=1) * (1 + 1e-13)
    error = np.abs(outputs(found.network, x) - dataset.y)
    assert np.max(error) <= 1e-14 * max(1.0, float(found.value)) * np.max(np.abs(x))


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6])
def test_two_almost_equal_inputs(distance):
    """Labels of opposite sign at a tiny angle φ: 2/sin φ, and the bound stays below."""
    x = np.array([[1.0, 0.0], [np.cos(distance), np.sin(distance)]])
    found = minimum_variation_norm(Dataset(x, [1.0, -1.0]))
    assert float(found.value) == pytest.approx(2 / np.sin(distance), rel=1e-14)
    assert float(found.lower_bound) <= 2 / np.sin(distance) * (1 + 1e-15)


def test_label_costs_bound_the_change_of_the_minimum():
    x, y = base(6, 3, 1)
    found = minimum_variation_norm(Dataset(x, y))
    rng = np.random.default_rng(2)
    for _ in range(5):
        change = 0.1 * rng.normal(size=6)
        moved = minimum_variation_norm(Dataset(x, y + change))
        difference = abs(float(moved.value - found.value))
        assert difference <= float(np.sum(found.label_cost * np.abs(change)))
        assert difference > 0


def test_excess_interval_contains_the_truth():
    """Networks that fit other labels: the truth is their norm less the minimum for those."""
    x, y = base(6, 3, 4)
    found = minimum_variation_norm(Dataset(x, y))
    rng = np.random.default_rng(3)
    for size in (1e-3, 1e-6, 1e-9):
        near = minimum_variation_norm(Dataset(x, y + size * rng.normal(size=6)))
        extra = ReluNetwork(
            jnp.concatenate([near.network.w, jnp.array([[0.3, 0.1, 0.2]] * 2)]),
            jnp.concatenate([near.network.a, jnp.array([1.0, -1.0])]),
        )
        true = 2 * np.linalg.norm([0.3, 0.1, 0.2])
        excess = found.excess(extra)
        assert float(excess.lower) <= true + 1e-12
        assert float(excess.upper) >= true - 1e-12
        assert float(excess.upper - excess.lower) <= 200 * size
        assert "above the minimum" in repr(excess)


def test_repr_tells_the_result():
    found = minimum_variation_norm(datasets.five_points())
    assert "8.20397695" in repr(found) and "certified" in repr(found)
    assert len(jax.tree.leaves(found)) > 5
