"""Degenerate inputs and initialisations: each has a defined result."""

import jax.numpy as jnp
import numpy as np
import pytest
from flow_problems import MAX_EVENTS, TIMES, Run, fly

import jaxflow

X = np.array([[1.0, 0.3], [-0.4, 0.9], [0.7, -0.8], [-0.6, -0.7]])
Y = np.array([1.0, -0.8, 0.6, -1.3])
W = 0.3 * np.random.default_rng(11).normal(size=(6, 2))
A = np.linalg.norm(W, axis=1) * np.array([1, -1, 1, -1, 1, -1])


def flown(x=X, y=Y, w=W, a=A, **options):
    """A run that must come to its last time."""
    dataset, network = jaxflow.Dataset(x, y), jaxflow.ReluNetwork(w, a)
    run = Run(0, dataset, network, fly(dataset, network, **options))
    assert not run.status.failed, str(run.status)
    assert "not solved" not in run.trajectory.choices
    assert np.all(np.isfinite(run.a)) and np.all(np.isfinite(run.w))
    assert np.max(np.diff(run.loss)) <= 1e-15 * run.loss[0]
    from_weights = 0.5 * np.mean(run.residuals**2, axis=1)
    assert np.max(np.abs(from_weights - run.loss)) <= 1e-13 * run.loss[0]
    balance = run.a**2 - np.sum(run.w**2, axis=-1)
    assert np.max(np.abs(balance - balance[0])) <= 1e-14 * np.max(run.size) ** 2
    return run


def with_row(k, row):
    """The inputs with one of them replaced."""
    return np.where(np.arange(len(X))[:, None] == k, row, X)


@pytest.mark.parametrize("ratio", [1.0, 1.5, -0.7])
def test_collinear_inputs_share_one_boundary(ratio):
    """Inputs on one line have the same mode or opposite ones, and slide together."""
    run = flown(x=with_row(1, ratio * X[0]))
    first, second = run.modes[:, :, 0], run.modes[:, :, 1]
    opposite = np.where(first == 2, 2, 1 - first)
    assert np.array_equal(second, first if ratio > 0 else opposite)


def test_a_duplicate_acts_like_one_datum_of_the_mean_label():
    """Two equal inputs pull like one of their mean label and double weight, ‖x‖² and y doubled."""
    x = np.stack([X[0], X[0], X[2], X[2]])
    run = flown(x=x, y=np.array([1.2, 0.8, -0.9, -0.3]))
    same = flown(x=x, y=np.array([1.0, 1.0, -0.6, -0.6]))
    assert np.max(np.abs(run.w - same.w)) <= 1e-11
    assert np.max(np.abs(run.a - same.a)) <= 1e-11


def test_a_unique_flow_reports_nothing():
    """Off all boundaries at the start, every choice is the only one."""
    assert flown().trajectory.choices == ()


def test_a_zero_label():
    """No discontinuity at the start; the flow is defined."""
    run = flown(y=np.array([1.0, 0.0, 0.6, -1.3]))
    assert run.loss[-1] < 0.2 * run.loss[0]


def test_all_labels_zero():
    """The network decays towards zero outputs, before long in implicit steps."""
    run = flown(y=np.zeros(4))
    assert run.loss[-1] < run.loss[0]
    dataset, network = jaxflow.Dataset(X, np.zeros(4)), jaxflow.ReluNetwork(W, A)
    later = jaxflow.gradient_flow(network, dataset, 1e3 * TIMES, max_events=MAX_EVENTS)
    assert later.loss[-1] < 1e-8 and int(later.counts.attempted) < 1500


@pytest.mark.parametrize("x", [X, np.diag([1.0, 0.7])], ids=["general", "orthogonal"])
def test_all_labels_zero_at_a_small_scale(x):
    """With zero labels the flow from s(a, w) at times t/s² is s times that from (a, w), exactly."""
    dataset, s = jaxflow.Dataset(x, np.zeros(len(x))), 2.0**-30
    large, small = (
        jaxflow.gradient_flow(network, dataset, times, max_events=MAX_EVENTS)
        for network, times in (
            (jaxflow.ReluNetwork(W, A), 1e3 * TIMES),
            (jaxflow.ReluNetwork(s * W, s * A), 1e3 * TIMES / s**2),
        )
    )
    size = np.max(np.abs(large.w), axis=(1, 2))
    assert np.all(np.max(np.abs(small.w / s - large.w), axis=(1, 2)) <= 1e-9 * size)
    assert np.array_equal(small.modes, large.modes)
    assert np.max(np.abs(large.w[-1] - large.w[0])) > 0.05


def test_a_zero_neuron_stays_zero():
    """w = 0 and a = 0 is at rest, exactly."""
    run = flown(
        w=np.where(np.arange(6)[:, None] == 2, 0.0, W), a=np.where(np.arange(6) == 2, 0.0, A)
    )
    assert np.all(run.w[:, 2] == 0) and np.all(run.a[:, 2] == 0)
    assert run.loss[-1] < 0.5 * run.loss[0]


def test_no_hidden_weight():
    """w = 0 with a ≠ 0: all data are on the boundary; the neuron moves off or stays, defined."""
    run = flown(w=np.where(np.arange(6)[:, None] < 2, 0.0, W))
    stays = np.all(run.w[:, :2] == 0, axis=(0, 2))
    moves = np.linalg.norm(run.w[-1, :2], axis=1) > 1e-3
    assert np.all(stays | moves)
    assert run.trajectory.choices == ("not unique",)


def test_no_output_weight():
    """a = 0 with w ≠ 0: a takes the sign of ⟨w, D⟩ at once."""
    run = flown(a=np.where(np.arange(6) < 3, 0.0, A))
    force = ((W @ X.T > 0) * run.residuals[0]) @ X
    pull = np.sum(W * force, axis=1)[:3]
    assert np.all(np.abs(pull) > 1e-3)
    assert np.array_equal(np.sign(run.a[1, :3]), np.sign(pull))


@pytest.mark.parametrize("closed_form", [True, False])
def test_a_start_on_a_boundary(closed_form):
    """The datum is inactive at first, as relu'(0) = 0, and is settled at time zero."""
    on = np.array([-X[0][1], X[0][0]])
    signs = np.array([1, 1, -1, -1, 0, 0])
    w = np.where(np.arange(6)[:, None] < 4, 0.25 * np.outer(signs, on), W)
    run = flown(w=w, closed_form=closed_form)
    u = np.einsum("tjd,kd->tjk", run.w, X)[1]
    assert np.all(run.modes[0, :4, 0] == 0)
    assert np.all(u[run.modes[1] == 1] >= 0) and np.all(u[run.modes[1] == 0] <= 1e-15)
    at_start = np.asarray(run.events.time) <= (0.0 if closed_form else 1e-12)
    assert np.any(at_start) and np.all(np.asarray(run.events.datum)[at_start] == 0)
    assert np.any(A[:4] * run.residuals[0, 0] > 0), "none of them is repelled"
    assert run.trajectory.choices == ("not unique",)


def test_equal_neurons_stay_equal():
    """Two equal neurons change mode at the same instant and never part."""
    w, a = W.copy(), A.copy()
    w[3], a[3] = w[1], a[1]
    run = flown(w=w, a=a)
    assert np.max(np.abs(run.w[:, 1] - run.w[:, 3])) <= 1e-14
    events = run.events
    times = [np.asarray(events.time)[np.asarray(events.neuron) == j] for j in (1, 3)]
    assert len(times[0]) > 0
    assert np.max(np.abs(times[0] - times[1])) <= 1e-12


def test_parallel_neurons_stay_parallel():
    """Three parallel neurons of scales 1, 0.5 and 1e-6 change modes together."""
    w, a = W.copy(), A.copy()
    for j, scale in ((3, 0.5), (5, 1e-6)):
        w[j], a[j] = scale * w[1], scale * a[1]
    run = flown(w=w, a=a)
    for j, scale in ((3, 0.5), (5, 1e-6)):
        assert np.max(np.abs(run.w[:, j] - scale * run.w[:, 1])) <= 1e-12 * scale
        assert np.array_equal(run.modes[:, j], run.modes[:, 1])


@pytest.mark.parametrize(("n", "d", "m"), [(1, 1, 1), (1, 3, 2), (3, 1, 2), (2, 2, 1)])
def test_the_smallest_shapes(n, d, m):
    """A single datum, a single coordinate, a single neuron."""
    generator = np.random.default_rng(5)
    x, y = generator.normal(size=(n, d)), generator.normal(size=n)
    w = 0.5 * generator.normal(size=(m, d))
    w[0] = 0.5 * x[0] * np.sign(y[0])
    a = np.linalg.norm(w, axis=1) * np.sign(y[0])
    run = flown(x=x, y=y, w=w, a=a)
    assert run.trajectory.a.shape == (len(TIMES), m)
    assert jnp.isfinite(run.trajectory.final.variation_norm())


def test_a_neuron_that_crosses_and_turns_back_within_a_step():
    """It starts the step on its boundary, and the margin is below zero again at the end."""
    generator = np.random.default_rng(119)
    x = generator.normal(size=(4, 2))
    x /= np.linalg.norm(x, axis=1, keepdims=True) * np.exp(-0.3 * generator.normal(size=(4, 1)))
    y = generator.choice([-1, 1], size=4) * np.exp(0.4 * generator.normal(size=4))
    w = generator.normal(size=(6, 2))
    a = 1.7 * np.linalg.norm(w, axis=1) * generator.choice([-1, 1], size=6)
    events = flown(x=x, y=y, w=w, a=a).events
    chosen = (np.asarray(events.neuron) == 1) & (np.asarray(events.datum) == 0)
    assert list(events.kind[chosen][:2]) == ["die", "slide"]
    first, second = np.asarray(events.time)[chosen][:2]
    assert 0.001 < second - first < 0.03
