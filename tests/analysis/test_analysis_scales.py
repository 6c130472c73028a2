"""Scale thresholds by a known law, and rates of limits against the eigenvalues at their saddles."""

import jax
import numpy as np

from jaxflow import Dataset, ReluNetwork, datasets
from jaxflow.analysis import ScaleThresholds, rate_study, scale_thresholds
from jaxflow.analysis.rate_study import _norms_and_labels
from jaxflow.analysis.scale_threshold import BISECTIONS, DECADES, _bisect
from jaxflow.theory import jump_process, saddles


def test_bisection_finds_the_scale_of_a_power_law():
    powers, within = np.array([0.9, 0.31, 0.02, 1e-5, 3.0]), 0.01

    def excess(decades):
        return 10 ** (-powers * decades)

    ladder = np.stack([excess(np.full(5, rung)) for rung in DECADES], axis=1)
    found = _bisect(ladder, excess, within)
    wanted = 2 / powers
    spacing = np.array([2.0, 4.0, 64.0]) / 2**BISECTIONS  # 2–4, 4–8, 64–128
    assert np.all((found[:3] >= wanted[:3]) & (found[:3] - wanted[:3] <= spacing))
    assert np.isinf(found[3]) and found[4] == DECADES[0]


def test_exponents_are_those_of_the_law():
    powers = np.array([0.18, 0.02, 3.0])
    excess = 0.3 * 10 ** (-powers[:, None] * np.array(DECADES))
    found = ScaleThresholds(np.array([9.0, 80.0, 1.0]), powers / 2, excess, 0.01)
    np.testing.assert_allclose(found.exponents[:2], powers[:2], rtol=1e-12)
    assert np.isnan(found.exponents[2])  # one rung above 1e-6 shows no law
    assert "p = 2 separations (median of 2)" in repr(found)


def test_thresholds_of_runs_and_the_law_of_their_departure():
    data = datasets.random_orthogonal(jax.random.key(1), 4, 6)
    found = scale_thresholds(data, jax.random.split(jax.random.key(0), 6), width=8, within=0.01)
    decades, rungs = found.decades, np.array(DECADES)
    assert np.all(np.isfinite(decades)) and np.all(decades >= 1)
    for own, row in zip(decades, found.excess, strict=True):
        assert np.all(row[rungs >= own] <= 0.01)
        below = row[rungs < own]
        assert not below.size or below[-1] > 0.01
    shown = np.isfinite(found.exponents)
    assert shown.sum() >= 3
    share = found.exponents[shown] / found.separations[shown]
    # ε² of the competitors; 3 % for terms of the next order at λ = 1e-4
    np.testing.assert_allclose(share, 2.0, rtol=0.03)


def test_rates_are_the_eigenvalues_at_the_limit():
    keys, n, m = jax.random.split(jax.random.key(2), 3), 5, 10
    study = rate_study([n, 8], keys, width=lambda n: 2 * n)
    for key, rate, births in zip(keys, study.rates[0], study.births[0], strict=True):
        key_x, key_w = jax.random.split(key)
        norms, y = _norms_and_labels(key_x, n)
        active, signs = jax.random.bernoulli(key_w, 0.5, (2, m, n))
        w = np.where(active, 1.0, -1.0)
        a = np.where(signs[:, 0], 1.0, -1.0) * np.linalg.norm(w, axis=1)
        network, data = ReluNetwork(w, a), Dataset(np.diag(norms), y)
        process = jump_process(network, data)
        assert births == process.count
        slopes = np.asarray(saddles(network, data, process).relaxation_rates(int(process.count)))
        unfitted = int(np.sum(~np.any(np.asarray(process.fitted), axis=0)))
        np.testing.assert_allclose(rate, slopes[unfitted], rtol=1e-12)


def test_rates_lie_between_the_two_orders():
    keys = jax.random.split(jax.random.key(4), 6)
    narrow, theorem = (rate_study([16, 256], keys, width=w) for w in (lambda n: 20, lambda n: 0))
    assert np.all(narrow.sizes[:, None] * narrow.rates >= 1)  # min |y_k| ‖x_k‖
    assert np.all(narrow.scaled < 4)  # single data have 2 |y| ‖x‖ ≥ 2, the least of many nearly 2
    assert np.all(theorem.births == 2)
    # a² = ‖y/‖x‖‖ over n/2 data of mean square E y² E x⁻² = 7/3 · 1/2, times ‖x‖² ≥ 1
    wanted = np.sqrt(7 / 12) / np.sqrt(theorem.sizes[-1])
    assert abs(np.mean(theorem.rates[-1]) / wanted - 1) < 0.15
    assert abs(theorem.slope + 0.5) < 0.15 and abs(narrow.slope + 1) < 0.15
