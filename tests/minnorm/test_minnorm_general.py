"""Arbitrary inputs: known minima, independent brackets, agreement with the closed form."""

import time

import jax
import numpy as np
import pytest
from minnorm_references import (
    bracket_in_the_plane,
    least_norm_over,
    lower_bound_in_the_plane,
    norm_and_residual,
    random_directions,
    relu,
)

from jaxflow import datasets
from jaxflow.dataset import Dataset
from jaxflow.minnorm import minimum_variation_norm
from jaxflow.minnorm.general import general_minimum
from jaxflow.network import outputs


def certified(dataset):
    """The interpolator, after the checks that every certified answer has to pass."""
    found = minimum_variation_norm(dataset)
    value = float(found.value)
    assert found.status == "certified"
    assert -1e-15 * value <= float(found.gap) <= 1e-10 * value
    assert float(found.rigorous_bound) == float(found.lower_bound)
    assert float(found.dual @ dataset.y) == pytest.approx(float(found.lower_bound), rel=1e-14)
    assert float(found.network.variation_norm()) == pytest.approx(value, rel=1e-14)
    error = np.abs(outputs(found.network, dataset.x) - dataset.y)
    assert np.max(error) <= 1e-14 * value * np.max(np.linalg.norm(dataset.x, axis=1))
    assert found.network.width <= max(dataset.n, 1)
    return found


def one_dimensional(n: int, seed: int) -> Dataset:
    """A function on the line with a bias coordinate, sampled at random places."""
    t = np.sort(np.random.default_rng(seed).normal(size=n))
    return Dataset(np.stack([t, np.ones(n)], axis=1), np.sin(2 * t), name="line")


def gaussian(n: int, d: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    return Dataset(rng.normal(size=(n, d)), rng.normal(size=n), name="gaussian")


def test_five_points_to_forty_digits():
    """The bracket of network and dual, evaluated with 40 digits, is as narrow as reported."""
    dataset = datasets.five_points()
    found = certified(dataset)
    x, y = np.asarray(dataset.x), np.asarray(dataset.y)
    lower = lower_bound_in_the_plane(x, y, np.asarray(found.dual))
    norm, residual = norm_and_residual(x, y, np.asarray(found.network.w), found.network.a)
    upper = norm + residual * float(np.max(found.label_cost))
    assert float(found.lower_bound) <= lower <= upper
    assert (upper - lower) / lower <= 5e-14
    assert float(found.value) == pytest.approx(float(lower), rel=1e-14)
    assert f"{float(found.value):.10f}" == "8.2039769558"


@pytest.mark.parametrize(
    "dataset",
    [datasets.five_points(), datasets.three_points(), one_dimensional(9, 0), gaussian(10, 2, 1)],
    ids=lambda d: d.name,
)
def test_plane_against_linear_programme(dataset):
    low, high = bracket_in_the_plane(np.asarray(dataset.x), np.asarray(dataset.y), 4000)
    assert (high - low) / high < 4e-7
    assert low * (1 - 1e-9) <= float(certified(dataset).value) <= high * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_lower_bound_is_rigorous_to_the_last_digit(seed):
    """The reported bound is below the bound of the same dual evaluated with 40 digits."""
    for dataset in (gaussian(12, 2, seed), one_dimensional(12, seed)):
        found = certified(dataset)
        x, y = np.asarray(dataset.x), np.asarray(dataset.y)
        exact = lower_bound_in_the_plane(x, y, np.asarray(found.dual))
        assert float(found.lower_bound) <= exact
        assert float(found.lower_bound) >= float(exact) * (1 - 1e-11)


@pytest.mark.parametrize("degrees", [10.0, 45.0, 89.0, 100.0, 150.0])
def test_two_points_of_opposite_sign(degrees):
    """2/sin φ for an acute angle: each neuron is orthogonal to the other point; else 2."""
    phi = np.radians(degrees)
    dataset = Dataset([[1.0, 0.0], [np.cos(phi), np.sin(phi)]], [1.0, -1.0])
    expected = 2 / np.sin(phi) if degrees < 90 else 2.0
    assert float(certified(dataset).value) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("degrees", [30.0, 60.0, 110.0, 119.0, 121.0, 170.0])
def test_two_points_of_one_sign(degrees):
    """One neuron along the bisector, 1/cos(φ/2), or one for each point, 2: the smaller."""
    phi = np.radians(degrees)
    dataset = Dataset([[1.0, 0.0], [np.cos(phi), np.sin(phi)]], [1.0, 1.0])
    found = certified(dataset)
    assert float(found.value) == pytest.approx(min(1 / np.cos(phi / 2), 2.0), rel=1e-14)
    assert found.network.width == (1 if degrees < 120 else 2)
    assert found.unique


def test_two_points_where_one_neuron_is_as_good_as_two():
    phi = np.radians(120.0)
    found = certified(Dataset([[1.0, 0.0], [np.cos(phi), np.sin(phi)]], [1.0, 1.0]))
    assert float(found.value) == pytest.approx(2.0, rel=1e-14)
    assert found.unique is False


@pytest.mark.parametrize("n,d", [(3, 3), (6, 4), (5, 9), (12, 12), (20, 3)])
def test_correlated_teacher_neuron(n, d):
    """Inputs with ⟨x_k, x_l⟩ ≥ 0 and y = X v with v = Xᵀλ, λ ≥ 0: the minimum is ‖v‖.

    The dual β = λ/‖v‖ is largest where all data are active, all its terms being non-negative.
    """
    rng = np.random.default_rng(n)
    x = np.abs(rng.normal(size=(n, d)))
    v = rng.uniform(size=n) @ x
    found = certified(Dataset(x, x @ v))
    assert float(found.value) == pytest.approx(np.linalg.norm(v), rel=1e-14)
    assert found.network.width == 1
    assert found.unique


def minimal_rank_example(b: float, d: int):
    """x_1 = b e_1, x_2,3 = b e_1 ∓ √b e_2 + e_3, x_i = b e_1 + e_i; v = 0.8 e_1 + 0.6 e_3.

    Source: arXiv 2306.06479, Example 37.
    """
    e = np.eye(d)
    x = [b * e[0], b * e[0] - np.sqrt(b) * e[1] + e[2], b * e[0] + np.sqrt(b) * e[1] + e[2]]
    x = np.array(x + [b * e[0] + e[i] for i in range(3, d)])
    return Dataset(x, x @ (0.8 * e[0] + 0.6 * e[2]))


@pytest.mark.parametrize("d", [3, 5])
def test_teacher_neuron_that_is_not_of_minimum_norm(d):
    """For b ≥ 11 the minimum is below the norm 1 of the teacher (arXiv 2306.06479, Theorem 8)."""
    found = certified(minimal_rank_example(11.0, d))
    assert float(found.value) < 1 - 3e-4
    assert np.linalg.matrix_rank(np.asarray(found.network.w), tol=1e-6) > 1


def test_teacher_neuron_against_directions_all_over_the_sphere():
    """Neurons among 20000 directions: above the minimum, by the square of their distance."""
    dataset = minimal_rank_example(50.0, 3)
    x, y = np.asarray(dataset.x), np.asarray(dataset.y)
    directions = random_directions(np.random.default_rng(0), 20000, 3)
    above = least_norm_over(x, y, directions)
    value = float(certified(dataset).value)
    assert value <= above <= value * (1 + 5e-3)
    assert above < 0.97


def test_orthogonal_inputs_agree_with_the_closed_form():
    worst = 0.0
    for seed in range(100):
        n, d = 3 + 2 * (seed % 2), 5
        dataset = datasets.random_orthogonal(jax.random.key(seed), n, d)
        closed, found = minimum_variation_norm(dataset), general_minimum(dataset)
        assert found.status == "certified" and found.unique
        worst = max(worst, abs(float(found.value / closed.value) - 1))
    assert worst <= 1e-14


@pytest.mark.parametrize("d", [2, 3, 4, 8, 12])
def test_twelve_random_points(d):
    certified(gaussian(12, d, d))


@pytest.mark.parametrize("seed", range(3))
def test_forty_points_in_the_plane_within_two_seconds(seed):
    dataset = gaussian(40, 2, seed)
    minimum_variation_norm(dataset)
    start = time.process_time()
    certified(dataset)
    assert time.process_time() - start < 2.0


def test_forty_points_on_the_line():
    certified(one_dimensional(40, 5))


@pytest.mark.parametrize("scale", [1e-120, 1e120])
def test_scales_of_inputs_and_labels(scale):
    """The norm is proportional to the labels and inversely so to the inputs."""
    base = gaussian(5, 3, 0)
    value = float(certified(base).value)
    larger = minimum_variation_norm(Dataset(base.x * scale, base.y * 1e5))
    assert larger.status == "certified"
    assert float(larger.value) * scale / 1e5 == pytest.approx(value, rel=1e-14)


def test_idle_dimensions_cost_nothing():
    """The same points in a random subspace of R^9 have the same minimum."""
    base = gaussian(6, 3, 4)
    frame = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 3)))[0]
    lifted = certified(Dataset(np.asarray(base.x) @ frame.T, base.y))
    assert float(lifted.value) == pytest.approx(float(certified(base).value), rel=1e-14)
    outside = np.asarray(lifted.network.w) - np.asarray(lifted.network.w) @ frame @ frame.T
    assert np.max(np.abs(outside)) <= 1e-14


def test_learned_labels_of_a_network_cost_at_most_its_norm():
    """Labels of a known network: the minimum is no more than its norm, and often less."""
    rng = np.random.default_rng(7)
    below = 0
    for _ in range(20):
        x, w, a = rng.normal(size=(8, 3)), random_directions(rng, 4, 3), rng.normal(size=4)
        found = certified(Dataset(x, relu(x @ w.T) @ a))
        assert float(found.value) <= np.sum(np.abs(a)) * (1 + 1e-14)
        below += float(found.value) < 0.99 * np.sum(np.abs(a))
    assert below >= 5
