"""The early phase for arbitrary inputs against the reference flows, sliding neurons included."""

import jax
import numpy as np
import pytest

from jaxflow import datasets, init
from jaxflow.theory import early_path, extremal_directions, frozen_residual


@pytest.mark.parametrize(
    ("name", "until", "slides"),
    [("toy_m60", 6.0, 0), ("hadamard6_m16", 12.0, 0), ("fivepoint_m12", 25.0, 3),
     ("gauss8_m10", 15.0, 5)],
)  # fmt: skip
def test_follows_the_flow_up_to_the_size_of_the_outputs(oracle, name, until, slides):
    case = oracle(name)
    path = early_path(case.network, case.dataset, until)
    wanted = sorted((j, k, kind, t) for t, j, k, kind in case.events if t < until)
    found = sorted(zip(path.neurons, path.data, path.kinds, path.times, strict=True))
    assert [change[:3] for change in found] == [change[:3] for change in wanted]
    assert path.kinds.count("slide") == slides
    for state in case.states:
        if state["t"] > until:
            break
        departure = np.max(np.abs(np.array(state["h"]) / case.dataset.y))
        early = [(mine[3], theirs[3]) for mine, theirs in zip(found, wanted, strict=True)
                 if theirs[3] < state["t"]]  # fmt: skip
        assert all(abs(mine - theirs) < 3 * departure for mine, theirs in early)
        network = early_path(case.network, case.dataset, state["t"]).network
        size = np.max(np.abs(state["a"]))
        assert np.max(np.abs(network.a - np.array(state["a"]))) < departure * size
        assert np.max(np.abs(network.w - np.array(state["W"]))) < departure * size


def test_modes_are_those_of_the_flow(oracle):
    for name, time in (("fivepoint_m12", 20.0), ("gauss8_m10", 10.0)):
        case = oracle(name)
        (state,) = (state for state in case.states if state["t"] == time)
        assert early_path(case.network, case.dataset, time).modes.tolist() == state["modes"]


def test_every_live_neuron_reaches_an_extremal_direction_of_its_sign(oracle):
    case = oracle("fivepoint_m12")
    path, extremal = (
        early_path(case.network, case.dataset, 400.0),
        extremal_directions(case.dataset),
    )
    reached = path.attractors(extremal, 1e-9)
    alive = path.rates > 0
    assert alive.tolist() == (reached >= 0).tolist() and 0 < alive.sum() < 12
    signs = np.sign(np.asarray(case.network.a))
    assert extremal.attracts[reached[alive]].tolist() == signs[alive].tolist()
    np.testing.assert_allclose(
        np.abs(extremal.rates[reached[alive]]), path.rates[alive], rtol=1e-14
    )


def test_agrees_with_the_closed_form_on_orthogonal_inputs():
    dataset = datasets.random_orthogonal(jax.random.key(1), 5, 7)
    network = init.balanced(jax.random.key(2), 12, 7, log_scale=-20000.0)
    path, closed = early_path(network, dataset, 40.0), frozen_residual(network, dataset)
    changes = closed.mode_changes()
    happened = np.asarray(changes.times) < 40.0
    np.testing.assert_array_equal(path.neurons, changes.neurons[happened])
    np.testing.assert_array_equal(path.data, changes.data[happened])
    np.testing.assert_allclose(path.times, changes.times[happened], rtol=1e-11)
    difference = path.network.log_norms() - closed.at(40.0).log_norms()
    np.testing.assert_allclose(difference, 0, atol=2e-11)


def test_refuses_neurons_that_are_not_balanced():
    network = init.unbalanced(jax.random.key(2), 3, 2, ratio=2.0, scale=1e-3)
    with pytest.raises(ValueError, match=r"\|a_j\| = ‖w_j‖ for every neuron, got"):
        early_path(network, datasets.five_points(), 1.0)
    with pytest.raises(ValueError, match="until: got 0"):
        early_path(init.balanced(jax.random.key(2), 3, 2, scale=1.0), datasets.five_points(), 0)
