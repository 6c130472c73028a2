"""Mild overparametrisation: exact probability by enumeration, by real data, by fair coins."""

from itertools import product

import jax
import numpy as np
import pytest

import jaxflow
from jaxflow.experiments import overparametrisation
from jaxflow.experiments.overparametrisation import (
    draw_problem,
    interpolation_probability,
    limit_of,
)
from jaxflow.theory import jump_process


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 1), (2, 2), (2, 3)])
def test_exact_probability_by_enumeration(n, m):
    coins = [-1, 1]
    covered = [
        all(any(a[j] == y[k] and u[j * n + k] > 0 for j in range(m)) for k in range(n))
        for y in product(coins, repeat=n)
        for a in product(coins, repeat=m)
        for u in product(coins, repeat=n * m)
    ]
    assert interpolation_probability(n, m) == pytest.approx(np.mean(covered), rel=1e-12)


def test_real_data_and_networks_interpolate_as_often_as_fair_coins():
    n, m, draws = 24, 11, 60
    dataset = jaxflow.datasets.random_orthogonal(jax.random.key(5), n, n)
    keys = jax.random.split(jax.random.key(6), draws)
    ends = [
        bool(jump_process(jaxflow.init.balanced(key, m, n, scale=1e-3), dataset).interpolates)
        for key in keys
    ]
    positive = int(np.sum(np.asarray(dataset.y) > 0))
    p = np.arange(m + 1)
    weights = np.array([np.prod(np.arange(m, m - k, -1) / np.arange(1, k + 1)) for k in p]) / 2**m
    exact = weights @ ((1 - 2.0**-p) ** positive * (1 - 2.0 ** -(m - p)) ** (n - positive))
    error = np.sqrt(exact * (1 - exact) / draws)
    assert 0.2 < exact < 0.8 and abs(np.mean(ends) - exact) < 4 * error


def test_study_meets_the_exact_probability_and_the_limit_of_the_norm(tmp_path):
    study = overparametrisation([2000], [3.0, 5.0], draws=60)
    for j, m in enumerate(study.widths[0]):
        exact = interpolation_probability(2000, m)
        share, low, high = study.probability(0, j)
        assert low <= share <= high
        assert abs(share - exact) < 4 * np.sqrt(exact * (1 - exact) / study.draws)
    mean, error = study.mean_ratio(0, 1)
    assert 2.2 < mean < 1 + np.sqrt(2) and error < 0.02
    assert "2000    38" in str(study)
    study.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_one_draw_by_hand():
    """The greedy process in plain numpy: births in the order of levels, each fits what is left."""
    norms, y, patterns = map(np.asarray, draw_problem(jax.random.key(3), 40, 12, 9))
    assert not patterns[9:].any()
    levels, done, total = np.ones(12), np.zeros(40, bool), 0.0
    while True:
        rates = np.array([np.linalg.norm((y * norms)[row & ~done]) for row in patterns]) / 40
        if not rates.any():
            break
        waits = np.divide(levels, rates, out=np.full(12, np.inf), where=rates > 0)
        born = int(np.argmin(waits))
        levels = levels - rates * waits[born]
        total += np.linalg.norm((y / norms)[patterns[born] & ~done])
        done |= patterns[born]
    least = sum(np.linalg.norm((y / norms)[sign * y > 0]) for sign in (1, -1))
    fits, ratio = limit_of(jax.random.key(3), 40, 12, 9)
    assert bool(fits) == bool(done.all()) and float(ratio) == pytest.approx(total / least)


def test_sizes_of_one_datum_are_refused():
    with pytest.raises(ValueError, match="sizes: got"):
        overparametrisation([1])
