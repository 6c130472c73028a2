"""Random orthogonal problems at λ = 1e-300: the flow visits the saddles predicted, in order.

Forty problems of all sizes here; `benchmarks/jump_process.py` does two hundred, widths to 200.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxflow
from jaxflow import datasets, init
from jaxflow.analysis import padded, saddle_visits

RUNS, DIM, WIDTH = 40, 12, 24
LOG = np.log(1e-300)
NEAR_TIE, NO_TIE = 1e-3, 1e-4
RTOL = 1e-11


def problem(i):
    """n = 4 to 12, width 2 to 24, every size once before any occurs again."""
    n, width = 4 + i % 9, 2 + (7 * i) % 23
    key = jax.random.key(5000 + i)
    whole = init.balanced(jax.random.fold_in(key, 7), WIDTH, DIM, scale=1.0)
    network = jaxflow.ReluNetwork(np.asarray(whole.w)[:width], np.asarray(whole.a)[:width])
    return padded(network, datasets.random_orthogonal(key, n, DIM), DIM, WIDTH)


def resolution(process, data):
    """|δh_k/h_k| of a fit whose weights are off by RTOL of their neuron's norm, at most.

    h_k = a p_k ‖x_k‖ with |a| = ‖(a, w)‖/√2, and ‖w‖ as much: δa/a is √2 RTOL, and δp_k/p_k that
    over the share |p_k|/‖w‖. A neuron that has fitted the data F has p_k ∝ y_k/‖x_k‖ on them.
    """
    p = np.abs(np.asarray(data.y)) / np.linalg.norm(data.x, axis=1)
    fits = np.asarray(process.fitted[: process.count], dtype=bool)
    smallest = min(np.min(p[fit]) / np.linalg.norm(p[fit]) for fit in fits)
    return np.sqrt(2) * RTOL * (1 + 1 / smallest)


def relative_outputs(found, problems):
    """Errors of the outputs on plateaus in units of what the tolerance resolves."""
    pairs = zip(found.processes, problems, strict=True)
    return found.outputs / [resolution(process, data) for process, (_, data) in pairs]


@pytest.fixture(scope="module")
def problems():
    return [problem(i) for i in range(RUNS)]


@pytest.fixture(scope="module")
def found(problems):
    return saddle_visits(*map(list, zip(*problems, strict=True)), np.full(RUNS, LOG), RTOL)


def test_every_run_without_a_near_tie_visits_the_saddles(problems, found):
    clear = found.near_tie_factors <= NEAR_TIE
    assert np.sum(clear) >= 0.8 * RUNS and found.judged[clear].mean() > 0.7
    # a fit stops relaxing at the flow's tolerance; losses are its square
    assert np.max(relative_outputs(found, problems)[clear]) < 1
    assert np.max(found.losses[clear]) < 1e-15
    excess = found.norms[clear] / (found.near_tie_factors[clear] + 1e-10)
    assert np.max(excess) < 3  # the O(1) factor; λ^separation itself spans 1e-3 to 1e-300


def test_near_ties_are_named_and_vanish_at_the_scale_that_resolves_them(problems, found):
    ties = np.flatnonzero(found.near_tie_factors > NEAR_TIE)
    assert ties.size
    for i in ties:
        process = found.processes[i]
        birth, other = process.closest.tolist()
        assert birth >= 0 and other != process.neurons[birth]
        assert f"birth {birth + 1}, of neuron {process.neurons[birth]} " in found.near_tie(i)
    scales = np.array([np.log(NO_TIE) / float(found.processes[i].separation) for i in ties])
    networks, data = map(list, zip(*(problems[i] for i in ties), strict=True))
    again = saddle_visits(networks, data, scales, RTOL)
    np.testing.assert_allclose(again.near_tie_factors, NO_TIE, rtol=1e-9)
    assert np.max(relative_outputs(again, [problems[i] for i in ties])) < 1
    assert np.max(again.norms) < 3 * NO_TIE


def test_padding_leaves_everything_but_the_unit_of_time():
    data = datasets.random_orthogonal(jax.random.key(1), 5, 8)
    network = init.balanced(jax.random.key(2), 6, 8, scale=1.0)
    larger, more = padded(network, data, 7, 9)
    x, w = np.asarray(more.x), np.asarray(larger.w)
    np.testing.assert_allclose(x @ x.T, np.diag(np.sum(x**2, axis=1)), atol=1e-14)
    assert more.y.tolist() == [*data.y.tolist(), 0.0, 0.0]
    pre = w @ x.T
    np.testing.assert_allclose(pre[:6, :5], network.w @ data.x.T, atol=1e-14)
    assert np.all(pre[:, 5:] < 0) and np.all(pre[6:] < 0)
    np.testing.assert_allclose(np.linalg.norm(w, axis=1)[:6], jnp.abs(network.a), rtol=1e-14)
    with pytest.raises(ValueError, match="n, width: got 9 and 6"):
        padded(network, data, 9, 6)
