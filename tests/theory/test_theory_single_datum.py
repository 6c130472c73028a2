"""The closed-form trajectory against the reference flow and against its formula in 60 digits."""

import jax
import numpy as np
import pytest
from mpmath import mp, mpf
from theory_direct_evaluation import DirectNeuron

from jaxflow import Dataset, ReluNetwork, datasets, init
from jaxflow.theory import single_datum_trajectory


def test_meets_the_reference_flow(oracle):
    case = oracle("toy_m60")
    trajectory = single_datum_trajectory(case.network, case.dataset)
    for state in case.states:
        time = state["t"]
        assert abs(trajectory.loss(time) - state["loss"]) < 3e-13
        np.testing.assert_allclose(trajectory.outputs(time), state["h"], atol=6e-13, rtol=0)
        network, size = trajectory.at(time), np.max(np.abs(state["a"]))
        assert np.max(np.abs(network.a - np.array(state["a"]))) < 1e-12 * size
        assert np.max(np.abs(network.w - np.array(state["W"]))) < 1e-12 * size


def test_the_effective_amplitude_is_that_of_the_flow(oracle):
    case = oracle("toy_m60")
    trajectory = single_datum_trajectory(case.network, case.dataset)
    for state in case.states[-4:]:
        a = np.array(state["a"])
        flow = [np.linalg.norm(a[a < 0]), np.linalg.norm(a[a > 0])]
        np.testing.assert_allclose(trajectory.effective_amplitude(state["t"]), flow, rtol=1e-12)


def test_a_scale_of_1e_minus_10000_in_60_digits():
    network = init.balanced(jax.random.key(0), 12, 2, log_scale=-23026.0)
    trajectory = single_datum_trajectory(network, datasets.toy())
    births = direct_births(network, datasets.toy())
    for k in range(2):
        assert abs(float(trajectory.births[k]) - births[k]) < 1e-11
    for time in (births[1] - 3, births[1], births[1] + 1, births[0] - 1, births[0] + 2):
        wanted = direct_loss(datasets.toy(), births, time)
        assert abs(float(trajectory.loss(float(time))) - wanted) < 1e-11


def direct_births(network, dataset):
    """T_k = log((|y|/‖x‖)/Σ c_j²)/(2G), every c_j by direct evaluation of its early phase."""
    sums = [mpf(0)] * dataset.n
    for j in range(network.width):
        neuron = DirectNeuron(network, dataset, j)
        neuron.run(mpf(60))
        own = [k for k in neuron.active if neuron.y[k] * neuron.a > 0]
        if own:
            p = neuron.dot(neuron.w, neuron.e)
            grown = mp.exp(-neuron.rate * neuron.time) * mpf(2) ** int(network.exponent[j])
            sums[own[0]] += (abs(neuron.a + p) / 2 * grown) ** 2
    norms = [mp.sqrt(sum(mpf(float(c)) ** 2 for c in row)) for row in dataset.x]
    y = [abs(mpf(float(v))) for v in dataset.y]
    return [mp.log(y[k] / norms[k] / sums[k]) / (2 * y[k] * norms[k] / dataset.n)
            for k in range(dataset.n)]  # fmt: skip


def direct_loss(dataset, births, time):
    total = mpf(0)
    for k in range(dataset.n):
        norm = mp.sqrt(sum(mpf(float(c)) ** 2 for c in dataset.x[k]))
        rate = abs(mpf(float(dataset.y[k]))) * norm / dataset.n
        left = 1 / (1 + mp.exp(2 * rate * (mpf(float(time)) - births[k])))
        total += (mpf(float(dataset.y[k])) * left) ** 2
    return total / (2 * dataset.n)


def test_exit_times_are_where_the_outputs_pass_the_fraction():
    network = init.balanced(jax.random.key(1), 20, 2, scale=1e-6)
    trajectory = single_datum_trajectory(network, datasets.toy())
    for fraction in (0.01, 0.5, 0.9):
        for k, time in enumerate(trajectory.exit_times(fraction)):
            reached = trajectory.outputs(time)[k] / datasets.toy().y[k]
            assert reached == pytest.approx(fraction, rel=1e-13)


def test_one_datum_only_and_a_datum_without_neurons():
    one = Dataset([[3.0, 4.0]], [2.0])
    network = ReluNetwork([[3e-7, 4e-7]], [5e-7])  # c = 5e-7 from the start: G = 10, |y|/‖x‖ = 0.4
    trajectory = single_datum_trajectory(network, one)
    np.testing.assert_allclose(trajectory.births, [np.log(0.4 / 25e-14) / 20], rtol=1e-14)
    nobody = single_datum_trajectory(ReluNetwork([[3e-7, 4e-7]], [-5e-7]), one)
    assert np.isinf(nobody.births[0])
    assert nobody.loss(1e6) == 2.0 and nobody.outputs(1e6)[0] == 0.0


def test_refuses_other_classes():
    network = init.balanced(jax.random.key(1), 3, 2, scale=1e-6)
    for labels in ([1.0, 2.0], [1.0, 0.0]):
        with pytest.raises(ValueError, match="at most one positive and one negative"):
            single_datum_trajectory(network, Dataset(np.eye(2), labels))
    trajectory = single_datum_trajectory(network, datasets.toy())
    with pytest.raises(ValueError, match="fraction: got 1"):
        trajectory.exit_times(1.0)
