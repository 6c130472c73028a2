"""The jump process against examples worked by hand, exact brute force and the flow's own ends."""

from importlib import import_module
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp, mpf

from jaxflow import Dataset, ReluNetwork, datasets, init
from jaxflow.network import loss
from jaxflow.theory import jump_process, jump_process_from_patterns


def network_with(pattern, signs):
    """Neurons on the coordinate axes: active (+1) or inactive (−1) at each, |a_j| = ‖w_j‖."""
    w = 1e-3 * np.where(np.array(pattern, bool), 1.0, -1.0)
    return ReluNetwork(w, np.array(signs) * np.linalg.norm(w, axis=1))


def slowest_fit(data, y, square):
    """Least eigenvalue of K/n, K = a² diag(‖x_k‖²) + y yᵀ/a² on the data, from its matrix."""
    labels = [mpf(float(y[k])) for k in data]
    a2 = mp.sqrt(sum(v**2 / square[k] for v, k in zip(labels, data, strict=True)))
    kernel = mp.matrix([[p * q / a2 for p in labels] for q in labels])
    for i, k in enumerate(data):
        kernel[i, i] += a2 * square[k]
    return min(mp.eigsy(kernel, eigvals_only=True)) / len(y)


def brute_force(dataset, network):
    """The process in exact sets and 50 digits: births as (time, neuron, fitted set, rivals)."""
    x, y = np.asarray(dataset.x), np.asarray(dataset.y)
    sign = np.sign(np.asarray(network.a_mantissa))
    active = np.asarray(network.w_mantissa) @ x.T > 0
    with mp.workdps(50):
        square = [sum(mpf(float(c)) ** 2 for c in row) for row in x]
        force = [mpf(float(y[k])) ** 2 * square[k] for k in range(len(y))]
        left = [{k for k in range(len(y)) if row[k] and s * y[k] > 0}
                for row, s in zip(active, sign, strict=True)]  # fmt: skip
        seen = [set(data) for data in left]
        level, now, births = [mpf(1)] * len(left), mpf(0), []
        while any(left):
            rate = [mp.sqrt(sum(force[k] for k in data)) / len(y) for data in left]
            waits = {j: level[j] / rate[j] for j in range(len(left)) if left[j]}
            born = min(waits, key=waits.get)
            level = [ell - g * waits[born] for ell, g in zip(level, rate, strict=True)]
            now, fitted = now + waits[born], left[born]
            rivals = {
                i: level[i] for i, data in enumerate(left) if data & fitted and data != fitted
            }
            for time, earlier, data, _ in births:
                if data & seen[born]:
                    rivals[earlier] = (now - time) * slowest_fit(data, y, square)
            births.append((now, born, fitted, rivals))
            left = [data - fitted for data in left]
    return births


def test_process_worked_by_hand_inside_the_hypothesis():
    dataset = Dataset(np.eye(3), [3.0, 4.0, -2.0])
    process = jump_process(network_with([[1, 0, 1], [1, 1, 0], [1, 0, 1]], [1, 1, -1]), dataset)
    # rates: neuron 0 (datum 0) 1, neuron 1 (data 0 and 1) 5/3, neuron 2 (datum 2) 2/3
    assert process.neurons.tolist() == [1, 2]
    np.testing.assert_allclose(process.times, [3 / 5, 3 / 2], rtol=1e-15)
    assert process.fitted.tolist() == [[True, True, False], [False, False, True]]
    np.testing.assert_allclose(process.plateau_losses, [29 / 6, 4 / 6, 0], rtol=1e-15)
    np.testing.assert_allclose(process.variation_norm, 5 + 2, rtol=1e-15)
    np.testing.assert_allclose(process.separation, 1 - 3 / 5, rtol=1e-15)
    assert process.closest.tolist() == [0, 0] and "competitor 0" in process.near_tie(-10.0)
    assert process.interpolates and process.satisfies_theorem and process.count == 2


def test_process_worked_by_hand_outside_the_hypothesis():
    dataset = Dataset(np.eye(3), [4.0, 3.0, 1.0])
    process = jump_process(network_with([[1, 1, 0], [0, 1, 1]], [1, 1]), dataset)
    # rates 5/3 and √10/3; after the first birth the second neuron has 1/3 and datum 2 left
    level = 1 - np.sqrt(10) / 5
    np.testing.assert_allclose(process.times, [3 / 5, 3 / 5 + 3 * level], rtol=1e-15)
    assert process.fitted.tolist() == [[True, True, False], [False, False, True]]
    np.testing.assert_allclose(process.variation_norm, 5 + 1, rtol=1e-15)
    np.testing.assert_allclose(process.separation, level, rtol=1e-15)
    assert process.closest.tolist() == [0, 1]
    np.testing.assert_allclose(process.near_tie_factor(np.log(1e-3)), 1e-3**level, rtol=1e-14)
    assert process.interpolates and not process.satisfies_theorem


def test_uncovered_and_zero_labels():
    network = network_with([[1, 0, 1]], [1])
    leaves_one = jump_process(network, Dataset(np.eye(3), [1.0, 2.0, 0.0]))
    assert not leaves_one.interpolates and leaves_one.fitted.tolist() == [[True, False, False]]
    np.testing.assert_allclose(leaves_one.plateau_losses, [5 / 6, 4 / 6], rtol=1e-15)
    zero_label = jump_process(network, Dataset(np.eye(3), [1.0, 0.0, 0.0]))
    assert zero_label.interpolates and zero_label.satisfies_theorem
    assert zero_label.closest.tolist() == [-1, -1] and zero_label.near_tie(-1.0) == "no competitors"
    nothing = jump_process(network, Dataset(np.eye(3), [-1.0, 0.0, 0.0]))
    assert nothing.count == 0 and nothing.variation_norm == 0 and not nothing.interpolates


@pytest.mark.parametrize("seed", range(10))
def test_agrees_with_exact_brute_force(seed):
    n, width = [(10, 100), (10, 12)][seed % 2]
    dataset = datasets.random_orthogonal(jax.random.key(seed), n, n + 2)
    network = init.balanced(jax.random.key(100 + seed), width, n + 2, log_scale=-700.0 * seed)
    process, births = jump_process(network, dataset), brute_force(dataset, network)
    assert process.count == len(births)
    assert process.neurons.tolist() == [born for _, born, _, _ in births]
    fitted = [set(np.flatnonzero(row).tolist()) for row in np.asarray(process.fitted)]
    assert fitted == [data for _, _, data, _ in births]
    np.testing.assert_allclose(process.times, [float(b[0]) for b in births], rtol=3e-15)
    closest = float(min(level for b in births for level in b[3].values()))
    np.testing.assert_allclose(process.separation, closest, rtol=1e-12, atol=1e-15)
    birth, rival = process.closest.tolist()
    assert abs(float(births[birth][3][rival]) - closest) < 1e-14
    done = set().union(*(b[2] for b in births))
    assert process.interpolates == (len(done) == n)


def test_the_limit_network_has_the_predicted_loss_and_variation_norm():
    dataset = datasets.random_orthogonal(jax.random.key(3), 10, 12)
    process = jump_process(init.balanced(jax.random.key(38), 12, 12, scale=1.0), dataset)
    assert not process.interpolates and process.count == 5
    np.testing.assert_allclose(
        loss(process.network, dataset), process.plateau_losses[-1], rtol=1e-14
    )
    norm = process.network.variation_norm()
    np.testing.assert_allclose(norm, process.variation_norm, rtol=1e-14)
    assert all(after < before for before, after in pairwise(process.plateau_losses.tolist()))


def test_inside_the_hypothesis_the_norm_is_the_minimum_of_orthogonal_data():
    dataset = datasets.random_orthogonal(jax.random.key(8), 5, 5)
    process = jump_process(init.balanced(jax.random.key(9), 300, 5, scale=1.0), dataset)
    assert process.satisfies_theorem and process.count == 2
    ratio = np.asarray(dataset.y) / np.linalg.norm(dataset.x, axis=1)
    minimum = np.linalg.norm(ratio[ratio > 0]) + np.linalg.norm(ratio[ratio < 0])
    np.testing.assert_allclose(process.variation_norm, minimum, rtol=1e-14)


def test_the_flow_ends_where_the_process_says(oracle):
    toy, hadamard = oracle("toy_m60"), oracle("hadamard6_m16")
    for case, gap, rest in ((toy, 1e-11, 1e-33), (hadamard, 0.02, 1e-5)):  # scales 1e-6, 1e-3
        process, end = jump_process(case.network, case.dataset), case.states[-1]
        norm = np.sum(np.abs(end["a"]) * np.linalg.norm(end["W"], axis=1))
        assert abs(norm / process.variation_norm - 1) < gap
        unfitted = ~np.any(process.fitted, axis=0)
        small = np.abs(end["h"]) < 1e-3 * np.abs(case.dataset.y)
        assert unfitted.tolist() == small.tolist()
        np.testing.assert_allclose(end["loss"], process.plateau_losses[-1], rtol=0, atol=rest)


def test_jit_and_vmap_give_the_same_padded_process():
    dataset = datasets.random_orthogonal(jax.random.key(1), 10, 12)
    keys = jax.random.split(jax.random.key(5), 20)
    networks = jax.vmap(lambda key: init.balanced(key, 12, 12, scale=1e-6))(keys)
    batch = jax.jit(jax.vmap(lambda network: jump_process(network, dataset)))(networks)
    assert batch.times.shape == (20, 10) and len(set(batch.count.tolist())) > 1
    for i in range(5):
        one = jump_process(jax.tree.map(lambda leaf, i=i: leaf[i], networks), dataset)
        padded = jax.tree.map(lambda leaf, i=i: np.asarray(leaf)[i], batch)
        births = int(one.count)
        assert births == padded.count and one.times.shape == (births,)
        assert padded.neurons.tolist() == one.neurons.tolist() + [-1] * (10 - births)
        expected = [*one.times.tolist(), *[np.inf] * (10 - births)]
        np.testing.assert_allclose(padded.times, expected, rtol=1e-14)
        expected = [*one.plateau_losses.tolist(), *[one.plateau_losses[-1]] * (10 - births)]
        np.testing.assert_allclose(padded.plateau_losses, expected, rtol=1e-14)
        np.testing.assert_allclose(padded.variation_norm, one.variation_norm, rtol=1e-14)
        norm = padded.network.variation_norm()
        np.testing.assert_allclose(norm, one.variation_norm, rtol=1e-14)
    assert "batched" in repr(batch)


def test_chunks_and_patterns_give_the_same_process(monkeypatch):
    dataset = datasets.random_orthogonal(jax.random.key(2), 10, 12)
    network = init.balanced(jax.random.key(3), 100, 12, scale=1.0)
    whole = jump_process(network, dataset)
    active = network.w @ dataset.x.T > 0
    from_patterns = jump_process_from_patterns(active, network.a, dataset)
    module = import_module("jaxflow.theory.jump_process")
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 200)
    for other in (from_patterns, jump_process(network, dataset)):
        np.testing.assert_array_equal(whole.times, other.times)
        np.testing.assert_array_equal(whole.fitted, other.fitted)


def test_prints_births_for_a_reader():
    network = network_with([[1, 0], [0, 1]], [1, -1])
    text = repr(jump_process(network, Dataset(np.eye(2), [2.0, -1.0])))
    assert "2 births" in text and "neuron 0 fits {0}" in text and "inside the theorem" in text


def test_refuses_what_it_cannot_describe():
    dataset, network = Dataset(np.eye(2), [1.0, -1.0]), network_with([[1, 1]], [1])
    with pytest.raises(ValueError, match="worst one"):
        jump_process(network, datasets.five_points())
    with pytest.raises(ValueError, match="neuron 0"):
        jump_process(ReluNetwork(network.w, 0.9 * network.a), dataset)
    with pytest.raises(ValueError, match="dimension 2, wanted 3"):
        jump_process(network, Dataset(np.eye(3), [1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="active: got shape"):
        jump_process_from_patterns(jnp.ones((3, 2), bool), jnp.ones(2), dataset)
