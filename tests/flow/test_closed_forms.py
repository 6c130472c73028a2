"""The closed forms of the flow against the solver alone, at its strictest."""

import jax
import numpy as np
import pytest

import jaxflow

TIMES = np.linspace(0.0, 60.0, 31)


def errors(found, reference):
    """Relative error of the weights of every neuron, and the error of event times."""
    a, w = np.asarray(reference.a), np.asarray(reference.w)
    size = np.sqrt(a**2 + np.sum(w**2, axis=-1))
    weights = np.maximum(
        np.abs(np.asarray(found.a) - a) / size,
        np.max(np.abs(np.asarray(found.w) - w), axis=-1) / size,
    )
    assert len(found.events) == len(reference.events)
    times = np.abs(np.asarray(found.events.time) - np.asarray(reference.events.time))
    return weights.max(), times.max()


@pytest.mark.parametrize("scale", [1e-4, 1e-5, 1e-6, 1e-8, 1e-12])
def test_the_toy_in_closed_form(scale):
    """60 neurons with some 30 deaths; the solver takes no step from λ = 1e-6 down."""
    data = jaxflow.datasets.toy()
    network = jaxflow.init.balanced(jax.random.key(0), 60, 2, scale=scale, bias=True)
    found = jaxflow.gradient_flow(network, data, TIMES)
    alone = jaxflow.gradient_flow(network, data, TIMES, closed_form=False, rtol=1e-14)
    weights, times = errors(found, alone)
    assert weights <= (1e-12 if scale > 1e-5 else 2e-13)
    assert times <= 1e-12
    assert np.max(np.abs(np.asarray(found.outputs) - np.asarray(alone.outputs))) <= 3e-13
    if scale <= 1e-6:
        assert int(found.counts.attempted) == 0
    assert int(alone.counts.frozen) == 0


def test_the_closed_form_costs_no_steps_on_a_wide_network():
    """2000 neurons: some thousand deaths, none of which ends a step."""
    data = jaxflow.datasets.toy()
    network = jaxflow.init.balanced(jax.random.key(1), 2000, 2, scale=1e-6, bias=True)
    run = jaxflow.gradient_flow(network, data, TIMES[::10])
    assert run.status == jaxflow.Status.interpolated
    assert len(run.events) > 800
    assert int(run.counts.attempted) == 0
    least = jaxflow.minimum_variation_norm(data)
    assert float(run.final.variation_norm()) == pytest.approx(float(least.value), rel=1e-9)


@pytest.mark.parametrize("seed", [0, 1])
def test_neurons_that_pass_the_origin(seed):
    """Sliding on a line, a neuron whose a² − ‖w‖² is not zero to the last digit meets w = 0.

    Five points, 50 neurons: several of them shrink by 1e-8 and more on the first plateau.
    """
    data = jaxflow.datasets.five_points()
    network = jaxflow.init.balanced(jax.random.key(seed), 50, 2, scale=1e-10, bias=True)
    run = jaxflow.gradient_flow(network, data, np.linspace(0.0, 400.0, 9))
    assert not run.status.failed
    assert float(run.end_time) == 400.0
    loss = np.asarray(run.loss)
    assert np.all(np.diff(loss) <= 1e-15 * loss[0])
    sizes = np.asarray(run.log_norms)
    assert np.min(sizes - sizes[0]) < np.log(1e-7)


def test_many_early_deaths_at_every_tolerance():
    """Ten data and 200 deaths before anything grows: closed forms against the solver alone."""
    data = jaxflow.datasets.random_orthogonal(jax.random.key(0), 10, 20)
    network = jaxflow.init.balanced(jax.random.key(1), 100, 20, scale=1e-6)
    times = np.linspace(0, 240, 9)
    plain = jaxflow.gradient_flow(network, data, times, rtol=1e-13, closed_form=False)
    size = np.abs(data.y).max()
    assert len(plain.events) > 200
    for rtol in (1e-10, 1e-11, 3e-12, 1e-12, 1e-13):
        run = jaxflow.gradient_flow(network, data, times, rtol=rtol)
        error = np.abs(np.asarray(run.outputs) - np.asarray(plain.outputs)).max() / size
        assert error <= 10 * rtol + 1e-12
        assert len(run.events) == len(plain.events)


@pytest.mark.parametrize("scale, time", [(1e-6, 22.0), (1e-9, 41.5)])
def test_no_step_is_taken_until_outputs_are_of_the_order_of_1e_7(scale, time):
    """Several pieces with feedback: outputs grow by more on the way than one of them resolves."""
    data = jaxflow.datasets.random_orthogonal(jax.random.key(0), 10, 20)
    network = jaxflow.init.balanced(jax.random.key(3), 100, 20, scale=scale)
    times = np.array([0.0, time])
    run = jaxflow.gradient_flow(network, data, times)
    plain = jaxflow.gradient_flow(network, data, times, closed_form=False, rtol=1e-14)
    assert int(run.counts.attempted) == 0 and int(plain.counts.frozen) == 0
    reached = np.abs(np.asarray(plain.outputs)).max(axis=1) / np.abs(data.y).max()
    assert reached[0] <= 1e-12 and 1e-7 <= reached[-1] <= 1e-6
    weights, when = errors(run, plain)
    assert weights <= 5e-13 and when <= 1e-12


@pytest.mark.parametrize("seed", [0, 2, 5])
def test_a_plateau_costs_no_steps_however_long_it_is(seed):
    """Several births: neurons wait at 1e-30000 beside others that are born and at rest."""
    data = jaxflow.datasets.random_orthogonal(jax.random.key(seed), 6, 6)
    steps = []
    for log_scale in (-300 * np.log(10), -30_000 * np.log(10)):
        network = jaxflow.init.balanced(jax.random.key(seed), 12, 6, log_scale=log_scale)
        process = jaxflow.jump_process(network, data)
        run = jaxflow.gradient_flow(network, data, max_steps=3000)
        assert int(process.count) >= 3
        assert run.status in (jaxflow.Status.interpolated, jaxflow.Status.stationary)
        last = float(process.times[int(process.count) - 1]) * -log_scale
        assert last < float(run.end_time) < last + 2000
        steps.append(int(run.counts.attempted))
    assert steps[1] <= 2 * steps[0]
    norm, limit = float(run.final.variation_norm()), float(process.variation_norm)
    assert norm == pytest.approx(limit, rel=1e-9)
