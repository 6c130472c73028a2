"""Orthogonal inputs, many pairs that die one after the other while the solver is at work."""

import jax
import numpy as np
import pytest
from flow_reference import reference

import jaxflow

SCALE, N, WIDTH = 0.01, 8, 60
TIMES = np.linspace(0.0, 30.0, 7)


@pytest.fixture(scope="module")
def case():
    data = jaxflow.datasets.random_orthogonal(jax.random.key(3), N, N)
    network = jaxflow.init.balanced(jax.random.key(4), WIDTH, N, scale=SCALE)
    arrays = map(np.asarray, (data.x, data.y, network.w, network.a))
    return data, network, reference(*arrays, TIMES)


@pytest.mark.parametrize("rtol", [1e-9, 1e-11, 1e-13])
def test_a_plain_integrator_gives_the_same(case, rtol):
    """Weights to the tolerance, modes, and the order and times of all deaths."""
    data, network, (a, w, modes, events) = case
    run = jaxflow.gradient_flow(network, data, TIMES, rtol=rtol)
    bound = rtol + 3e-13
    scale = max(np.abs(run.a).max(), np.abs(run.w).max())
    assert np.max(np.abs(a - run.a)) <= bound * scale
    assert np.max(np.abs(w - run.w)) <= bound * scale
    assert np.array_equal(modes, run.modes)
    assert len(events) > 100
    assert [(j, k) for _, j, k in events] == list(
        zip(run.events.neuron.tolist(), run.events.datum.tolist(), strict=True)
    )
    times = np.array([t for t, _, _ in events])
    assert np.max(np.abs(times - run.events.time)) <= bound


@pytest.mark.parametrize("rtol", [1e-9, 1e-11])
def test_hardly_any_step_is_repeated(case, rtol):
    """The dense output leads to the deaths, where the tolerance leaves its error to be seen."""
    data, network, (_, _, _, events) = case
    run = jaxflow.gradient_flow(network, data, TIMES, rtol=rtol)
    assert run.counts.landings <= len(events) / 4
