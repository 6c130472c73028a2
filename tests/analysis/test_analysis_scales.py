"""Scale thresholds by a known law, and rates of limits against the eigenvalues at their saddles."""

import jax
import numpy as np

import jaxflow
from jaxflow.analysis import rate_study
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


def test_rates_are_the_eigenvalues_at_the_limit():
    keys = jax.random.split(jax.random.key(2), 2)
    study = rate_study([5], keys, width=lambda n: 2 * n)
    for key, rate in zip(keys, study.rates[0], strict=True):
        bounds = dict(norms=(1.0, 2.0), labels=(1.0, 2.0))
        data = jaxflow.datasets.random_orthogonal(key, 5, 5, **bounds)
        network = jaxflow.init.balanced(jax.random.fold_in(key, 1), 10, 5, scale=1.0)
        process = jump_process(network, data)
        slopes = np.asarray(saddles(network, data, process).relaxation_rates(int(process.count)))
        unfitted = int(np.sum(~np.any(np.asarray(process.fitted), axis=0)))
        np.testing.assert_allclose(rate, slopes[unfitted], rtol=1e-12)
