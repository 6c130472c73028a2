"""Data sets: what they are by definition, and how orthogonality is recognised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxflow
from jaxflow import Dataset
from jaxflow.dataset import ORTHOGONAL_COSINE, worst_cosine

KEYS = jax.random.split(jax.random.key(7), 20)


def test_named_data_sets_and_their_kind():
    kinds = {"toy": True, "five_points": False, "three_points": False}
    for name, orthogonal in kinds.items():
        dataset = getattr(jaxflow.datasets, name)()
        assert dataset.is_orthogonal is orthogonal
        assert np.all(dataset.x[:, -1] == 1), "the last coordinate is the bias"
    assert repr(jaxflow.datasets.toy()) == "Dataset(toy: 2 orthogonal inputs in dimension 2)"


@pytest.mark.parametrize("n, d", [(1, 1), (2, 2), (10, 20), (6, 6)])
def test_random_orthogonal_is_what_it_says(n, d):
    for key in KEYS:
        dataset = jaxflow.datasets.random_orthogonal(key, n, d)
        norms, sizes = np.linalg.norm(dataset.x, axis=1), np.abs(dataset.y)
        assert dataset.is_orthogonal
        assert np.all((norms > 0.5 - 1e-14) & (norms < 2 + 1e-14))
        assert np.all((sizes >= 0.5) & (sizes <= 1.5))
        assert n == 1 or (np.any(dataset.y > 0) and np.any(dataset.y < 0))


def test_random_orthogonal_directions_are_uniform():
    keys = jax.random.split(jax.random.key(1), 400)
    first = np.array([jaxflow.datasets.random_orthogonal(k, 1, 3).x[0] for k in keys])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    error = np.sqrt(1 / 3 / len(keys))
    assert np.all(np.abs(first.mean(axis=0)) < 4 * error), "mean of a uniform direction is zero"
    fourth = np.mean(first**4, axis=0)
    assert np.all(np.abs(fourth - 1 / 5) < 4 * np.sqrt((1 / 9 - 1 / 25) / len(keys)))


def test_teacher_labels_are_a_network_of_that_width():
    dataset = jaxflow.datasets.gaussian_teacher(jax.random.key(0), 30, 8, 3)
    assert dataset.x.shape == (30, 8) and not dataset.is_orthogonal
    silent = jaxflow.datasets.gaussian_teacher(jax.random.key(0), 200, 8, 1).y
    assert abs(np.mean(np.asarray(silent) == 0) - 0.5) < 4 * np.sqrt(0.25 / 200)


@pytest.mark.parametrize("cosine, orthogonal", [(0.5, True), (2.0, False)])
def test_orthogonal_up_to_a_cosine(cosine, orthogonal):
    tilt = cosine * ORTHOGONAL_COSINE
    dataset = Dataset([[1.0, 0.0], [tilt, 1.0]], [1.0, 1.0])
    assert worst_cosine(dataset.x) == pytest.approx(tilt, rel=1e-12)
    assert dataset.is_orthogonal is orthogonal


def test_orthogonality_does_not_depend_on_the_size_of_the_inputs():
    for size in (1e-200, 1e200):
        assert Dataset([[size, size], [1.0, -1.0]], [1.0, 1.0]).is_orthogonal
        assert not Dataset([[size, 0.0], [1.0, 1.0]], [1.0, 1.0]).is_orthogonal


def test_programs_know_data_without_a_name_and_whether_they_are_distinct():
    five, toy = jaxflow.datasets.five_points(), jaxflow.datasets.toy()
    assert five.for_programs().is_distinct and not five.is_distinct
    assert five.name == "five points" and five.for_programs().name == toy.for_programs().name
    assert toy.for_programs().is_orthogonal and not toy.for_programs().is_distinct
    opposite = jaxflow.Dataset(np.vstack([five.x, -0.3 * five.x[2]]), np.append(five.y, 1.0))
    assert not opposite.for_programs().is_distinct
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), five, opposite_of(five))
    assert not both.for_programs().is_distinct
    two = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), five)
    assert not two.for_programs().is_distinct  # whoever is in a stack
    found = jax.jit(lambda data: data.for_programs().is_distinct)
    assert not found(five) and found(five.for_programs())


def test_programs_know_whether_there_are_labels():
    five = jaxflow.datasets.five_points()
    assert five.for_programs().is_labelled
    assert not jaxflow.Dataset(five.x, 0 * five.y).for_programs().is_labelled
    found = jax.jit(lambda data: data.for_programs().is_labelled)
    assert not found(five) and found(five.for_programs())


def opposite_of(data):
    """Data of the same shape whose first two inputs point against each other."""
    return jaxflow.Dataset(data.x.at[1].set(-data.x[0]), data.y, name=data.name)


def test_data_sets_of_one_shape_stack():
    chosen = [jaxflow.datasets.random_orthogonal(key, 3, 4) for key in KEYS[:5]]
    stacked = jax.tree.map(lambda *parts: np.stack(parts), *chosen)
    norms = jax.vmap(lambda data: jaxflow.minimum_variation_norm(data).value)(stacked)
    alone = [float(jaxflow.minimum_variation_norm(data).value) for data in chosen]
    assert np.allclose(norms, alone, rtol=1e-14, atol=0)
