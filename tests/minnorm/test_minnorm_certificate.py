"""The maximum of the dual function against brute force, and weak duality for whatever network."""

import numpy as np
import pytest
from minnorm_references import (
    dual_function,
    least_norm_over,
    maximum_in_the_plane,
    maximum_over_all_patterns,
    random_directions,
    relu,
)

from jaxflow.dataset import Dataset
from jaxflow.minnorm import minimum_variation_norm
from jaxflow.minnorm.box import shortest_combination
from jaxflow.minnorm.branching import sphere_maximum
from jaxflow.minnorm.circle import circle_maximum
from jaxflow.minnorm.column_generation import Limits
from jaxflow.minnorm.dual_function import climb
from jaxflow.minnorm.general import general_minimum
from jaxflow.network import ReluNetwork

EVERYTHING = 10**6


def unit_points(rng, kind: str, n: int, d: int):
    """Unit vectors: random, on an integer grid with a bias, or with opposite and coplanar ones."""
    if kind == "grid":
        x = np.unique(rng.integers(-2, 3, size=(n, d)), axis=0).astype(float)
        x[:, -1] = 1.0
        x = np.unique(x, axis=0)
    else:
        x = rng.normal(size=(n, d))
    if kind == "dependent":
        x[1], x[2] = -x[0], x[0] + x[-1]
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["random", "grid", "dependent"])
@pytest.mark.parametrize("d", [1, 3, 6])
def test_sphere_maximum_against_all_patterns(kind, d):
    rng = np.random.default_rng(d)
    for _ in range(6):
        points = unit_points(rng, kind, 7, d)
        beta = rng.normal(size=len(points))
        found = sphere_maximum(points, beta, [], EVERYTHING)
        expected = maximum_over_all_patterns(points, beta)
        assert found.complete
        assert found.value == pytest.approx(expected, rel=1e-13)
        assert expected * (1 - 1e-15) <= found.bound <= expected * (1 + 1e-12)


@pytest.mark.parametrize("kind", ["random", "grid", "dependent"])
def test_circle_maximum_in_forty_digits(kind):
    rng = np.random.default_rng(1)
    for _ in range(5):
        points = unit_points(rng, kind, 6, 2)
        beta = rng.normal(size=len(points))
        found = circle_maximum(points, beta)
        exact = maximum_in_the_plane(points, beta)
        assert exact <= found.bound <= exact * (1 + 1e-13)
        peak = found.peaks[0]
        reached = peak.sign * dual_function(points, beta, peak.direction[None])[0]
        assert reached == pytest.approx(float(exact), rel=1e-14)


def test_bound_of_an_unfinished_search_holds():
    """The bound is above the true maximum after however few nodes, and more nodes tighten it."""
    rng = np.random.default_rng(2)
    for _ in range(5):
        points, beta = unit_points(rng, "random", 10, 5), rng.normal(size=10)
        true = maximum_over_all_patterns(points, beta)
        bounds = [sphere_maximum(points, beta, [], nodes) for nodes in (0, 2, 8, 30, EVERYTHING)]
        assert all(b.bound >= true * (1 - 1e-15) for b in bounds)
        assert not bounds[1].complete and bounds[-1].complete
        assert bounds[1].bound > true * (1 + 1e-6)
        assert bounds[-1].bound < bounds[1].bound <= bounds[0].bound


def test_climbing_never_descends_and_ends_at_a_local_maximum():
    rng = np.random.default_rng(3)
    for _ in range(30):
        points, beta = unit_points(rng, "random", 8, 4), rng.normal(size=8)
        start = random_directions(rng, 1, 4)[0]
        peak = climb(points, points @ points.T, beta, 1, start)
        before = dual_function(points, beta, start[None])[0]
        if peak is None:
            assert before <= 0
            continue
        assert peak.value >= before - 1e-14
        nearby = peak.direction + 1e-5 * random_directions(rng, 200, 4)
        nearby /= np.linalg.norm(nearby, axis=1, keepdims=True)
        assert np.max(dual_function(points, beta, nearby)) <= peak.value + 1e-14


def test_box_problem_meets_its_optimality_conditions():
    """Zero gradient inside, gradient outward at the bounds: enough for a convex problem."""
    rng = np.random.default_rng(4)
    for _ in range(200):
        p, r = rng.integers(1, 12, size=2)
        points = unit_points(rng, "dependent" if p > 3 else "random", p, r)
        beta, kind = rng.normal(size=p), rng.integers(0, 4, size=p)
        low = np.select([kind == 0, kind == 1, kind == 2], [beta, -np.inf, beta], -np.abs(beta))
        high = np.select([kind == 0, kind == 1, kind == 2], [np.inf, beta, beta], 0.0)
        t = shortest_combination(points @ points.T, low, high)
        assert np.all((low <= t) & (t <= high))
        slope = points @ (points.T @ t)
        wrong = np.where(t <= low, -slope, np.where(t >= high, slope, np.abs(slope)))
        assert np.max(wrong[low < high], initial=0.0) <= 1e-13 * max(1.0, np.max(np.abs(t)))


def problems(count: int):
    """Random problems of a few shapes; among them rank deficient and correlated ones."""
    rng = np.random.default_rng(5)
    for i in range(count):
        n, d = ((3, 2), (4, 3), (5, 2), (5, 4))[i % 4]
        x, y = rng.normal(size=(n, d)), rng.normal(size=n)
        if i % 3 == 1:
            x[:, -1] = 1.0
        if i % 5 == 2:
            x, y = np.abs(x), np.abs(y)
        yield x, y, rng


def test_weak_duality_for_any_network():
    """500 problems: no interpolating network found by linear programming over random directions is
    below the bound, and no network at all is below Σ β_k h_k for its own outputs h."""
    closest, count = np.inf, 0
    for x, y, rng in problems(500):
        found = minimum_variation_norm(Dataset(x, y))
        lower, beta = float(found.lower_bound), np.asarray(found.dual)
        conditioning = np.abs(beta) @ np.linalg.norm(x, axis=1)
        assert 0 <= float(found.gap) <= max(1e-12, 1e-14 * conditioning) * float(found.value)
        assert found.status == "certified" or conditioning > 1e4
        ratio = least_norm_over(x, y, random_directions(rng, 60, x.shape[1])) / lower
        closest, count = min(closest, ratio), count + 1
        assert ratio >= 1 - 1e-8
        w, a = rng.normal(size=(50, 3, x.shape[1])), rng.normal(size=(50, 3))
        h = np.einsum("rj,rjk->rk", a, relu(w @ x.T))
        norms = np.sum(np.abs(a) * np.linalg.norm(w, axis=2), axis=1)
        assert np.all(h @ beta <= norms * (1 + 1e-13))
    assert count == 500
    assert closest < 1.01


def test_ends_of_gradient_descent_are_above_the_bound():
    """Small initialisation, plain gradient descent: its end, residual accounted for, is above."""
    rng = np.random.default_rng(6)
    for x, y, _ in problems(6):
        w = 0.05 * rng.normal(size=(30, x.shape[1]))
        a = np.linalg.norm(w, axis=1) * rng.choice([-1.0, 1.0], size=30)
        for _ in range(20000):
            reach = w @ x.T
            residual = y - a @ relu(reach)
            force = ((reach > 0) * residual) @ x / len(y)
            w, a = w + 0.02 * a[:, None] * force, a + 0.02 * np.sum(w * force, axis=1)
        found = minimum_variation_norm(Dataset(x, y))
        excess = found.excess(ReluNetwork(w, a))
        assert float(excess.upper) >= -1e-12
        assert float(excess.lower) <= float(excess.estimate) + 1e-12 <= float(excess.upper) + 2e-12
        if float(excess.residual) < 1e-6:
            assert float(excess.norm) >= float(found.lower_bound) - 1e-4


def test_a_wrong_dual_is_only_weaker():
    """Any β, scaled by the bound of its maximum, stays below the minimum."""
    for x, y, rng in problems(12):
        length = np.linalg.norm(x, axis=1)
        value = float(minimum_variation_norm(Dataset(x, y)).value)
        for _ in range(10):
            beta = rng.normal(size=len(y))
            bound = sphere_maximum(x / length[:, None], beta, [], EVERYTHING).bound
            assert abs(beta @ (y / length)) / bound < value


def test_search_cut_short_says_so():
    rng = np.random.default_rng(8)
    dataset = Dataset(rng.normal(size=(12, 6)), rng.normal(size=12))
    full = general_minimum(dataset)
    cut = general_minimum(dataset, limits=Limits(nodes=3))
    assert full.status == "certified"
    assert cut.status == "heuristic bound" and cut.unique is None
    assert 0 < float(cut.rigorous_bound) < float(cut.lower_bound)
    assert float(cut.rigorous_bound) <= float(full.value) <= float(cut.value) * (1 + 1e-12)
    excess = cut.excess(full.network)
    assert float(excess.upper) >= 0
    assert "heuristic" in repr(cut)


def test_dual_is_feasible_where_it_was_not_asked():
    """200,000 directions of the sphere: none exceeds one, the best comes near."""
    rng = np.random.default_rng(9)
    for d in (2, 3, 4):
        x, y = rng.normal(size=(8, d)), rng.normal(size=8)
        beta = np.asarray(minimum_variation_norm(Dataset(x, y)).dual)
        sampled = np.abs(dual_function(x, beta, random_directions(rng, 200000, d)))
        assert 0.9 < sampled.max() <= 1
