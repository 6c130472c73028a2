"""The early phase against section-by-section evaluation in 60 digits and the reference flows."""

import jax
import numpy as np
import pytest
from mpmath import mp, mpf
from theory_direct_evaluation import DirectNeuron

from jaxflow import Dataset, ReluNetwork, datasets, init
from jaxflow.network import LOG2
from jaxflow.theory import frozen_residual


def test_agrees_with_direct_evaluation_in_60_digits():
    dataset = datasets.random_orthogonal(jax.random.key(1), 5, 7)
    network = init.balanced(jax.random.key(2), 12, 7, scale=1e-5)
    early, until = frozen_residual(network, dataset), 40.0
    later = early.at(until)
    happened = 0
    for j in range(12):
        direct = DirectNeuron(network, dataset, j)
        direct.run(mpf(until))
        found = {k: float(t) for k, t in enumerate(early.death_times[j]) if t < until}
        assert found.keys() == direct.deaths.keys()
        happened += len(found)
        for k, time in found.items():
            assert abs(time - direct.deaths[k]) < 3e-14 * (1 + time)
        size = mp.mpf(2) ** int(later.exponent[j] - network.exponent[j])
        scale = abs(direct.a) / size
        assert abs(float(later.a_mantissa[j]) - direct.a / size) < 3e-14 * scale
        for mine, theirs in zip(later.w_mantissa[j].tolist(), direct.w, strict=True):
            assert abs(mine - theirs / size) < 3e-14 * scale
        check_amplitude(early, direct, j, int(network.exponent[j]))
    assert happened > 15


def check_amplitude(early, direct, j, exponent):
    """c_j = |a + p|/2 · exp(−G t) after the last change."""
    if not early.rates[j] > 0:
        assert early.log_growing[j] == -np.inf
        return
    p = direct.dot(direct.w, direct.e)
    wanted = mp.log(abs(direct.a + p) / 2) - direct.rate * direct.time + exponent * mp.log(2)
    assert abs(float(early.log_growing[j]) - wanted) < 1e-13
    assert abs(float(early.rates[j]) - direct.rate) < 1e-14
    # at a moderate later time the decaying part is visible too: c exp(Gt) + d exp(−Gt) = |a|
    time = early.last_change[j] + 1.0
    growing = early.log_growing[j] + early.rates[j] * time
    decaying = early.log_decaying[j] - early.rates[j] * time
    total = np.logaddexp(growing, decaying) - early.at(time).exponent[j] * LOG2
    assert abs(np.exp(total) / abs(early.at(time).a_mantissa[j]) - 1) < 3e-13


def test_every_mode_change_of_the_toy(oracle):
    case = oracle("toy_m60")
    changes = frozen_residual(case.network, case.dataset).mode_changes()
    count = int(changes.count)
    assert count == len(case.events) == 25
    found = zip(changes.neurons[:count].tolist(), changes.data[:count].tolist(), strict=True)
    assert list(found) == [(j, k) for _, j, k, _ in case.events]
    times = np.array([event[0] for event in case.events])
    error = np.abs(np.asarray(changes.times[:count]) - times)
    assert error.max() < 3e-10 and error[times < 1].max() < 3e-12


def test_departs_from_the_flow_by_the_size_of_the_outputs(oracle):
    case = oracle("hadamard6_m16")
    early = frozen_residual(case.network, case.dataset)
    changes = early.mode_changes()
    found = {(int(j), int(k)): float(t) for t, j, k in
             zip(changes.times, changes.neurons, changes.data, strict=True) if j >= 0}  # fmt: skip
    assert found.keys() == {(j, k) for _, j, k, _ in case.events}
    for state in case.states[:7]:
        departure = np.max(np.abs(np.array(state["h"]) / case.dataset.y))
        size = np.max(np.abs(state["a"]))
        network = early.at(state["t"])
        assert np.max(np.abs(network.a - np.array(state["a"]))) < 2 * departure * size
        assert np.max(np.abs(network.w - np.array(state["W"]))) < 2 * departure * size


def test_tiny_scales_change_nothing_but_the_size():
    dataset = datasets.random_orthogonal(jax.random.key(4), 5, 7)
    key = jax.random.key(5)
    moderate = frozen_residual(init.balanced(key, 12, 7, log_scale=-2 * LOG2), dataset)
    tiny = frozen_residual(init.balanced(key, 12, 7, log_scale=-33000 * LOG2), dataset)
    np.testing.assert_allclose(tiny.death_times, moderate.death_times, rtol=1e-11)
    growing = np.isfinite(moderate.log_growing)
    shift = (tiny.log_growing - moderate.log_growing)[growing]
    np.testing.assert_allclose(shift, -32998 * LOG2, rtol=1e-15)


def test_a_balanced_neuron_opposed_to_its_only_datum_never_loses_it():
    network = ReluNetwork([[1e-3, 0.0]], [-1e-3])  # w_⊥ = 0, so κ = 0: a decays, u stays positive
    early = frozen_residual(network, Dataset(np.eye(2), [2.0, 3.0]))
    assert np.all(np.isinf(early.death_times)) and early.active.tolist() == [[True, False]]
    assert early.at(0.5).a[0] == pytest.approx(-1e-3 * np.exp(-0.5), rel=1e-14)


def test_works_under_vmap():
    dataset = datasets.random_orthogonal(jax.random.key(4), 5, 7)
    keys = jax.random.split(jax.random.key(0), 4)
    batch = jax.jit(
        jax.vmap(lambda key: frozen_residual(init.balanced(key, 12, 7, scale=1e-4), dataset))
    )(keys)
    one = frozen_residual(init.balanced(keys[2], 12, 7, scale=1e-4), dataset)
    np.testing.assert_allclose(batch.death_times[2], one.death_times, rtol=1e-13)


def test_refuses_general_inputs_and_small_output_weights():
    with pytest.raises(ValueError, match="worst one"):
        frozen_residual(init.balanced(jax.random.key(0), 3, 2, scale=1.0), datasets.five_points())
    weak = init.unbalanced(jax.random.key(0), 3, 2, ratio=0.5, scale=1.0)
    with pytest.raises(ValueError, match=r"\|a_j\| ≥"):
        frozen_residual(weak, datasets.toy())
