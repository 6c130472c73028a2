"""Gradient descent held against a plain loop, closed forms and the arithmetic of its precision."""

import warnings

import jax
import numpy as np
import optax
import pytest
from matplotlib.image import imread

import jaxflow
from jaxflow.analysis.departure import half_times
from jaxflow.descent.clock import Clock
from jaxflow.descent.iteration import Data, Weights, gradient
from jaxflow.network import loss
from jaxflow.theory import single_datum_trajectory

TOY = jaxflow.datasets.toy()
FIVE = jaxflow.datasets.five_points()


SHARED = [
    "a",
    "w",
    "outputs",
    "loss",
    "variation_norm",
    "log_norms",
    "status",
    "final",
    "network",
    "plot",
]
"""What a trajectory of the flow computes, and so does a descent."""


def start(scale, width=8, seed=0):
    return jaxflow.init.balanced(jax.random.key(seed), width, 2, scale=scale, bias=True)


def plain_loop(network, dataset, step, count, dtype, momentum=0.0):
    """Weights after each iteration, and changes of activation, one number at a time."""
    x, y = np.asarray(dataset.x, dtype), np.asarray(dataset.y, dtype)
    w, a = np.array(network.w, dtype), np.array(network.a, dtype)
    speed_w, speed_a, flips, n = np.zeros_like(w), np.zeros_like(a), 0, len(y)
    states = [(w.copy(), a.copy())]
    for _ in range(count):
        grad_w, grad_a = np.zeros_like(w), np.zeros_like(a)
        before = w @ x.T > 0
        for k in range(n):
            r = y[k] - sum(a[j] * max(w[j] @ x[k], dtype(0)) for j in range(len(a)))
            for j in np.flatnonzero(before[:, k]):
                grad_w[j] -= a[j] * r * x[k] / n
                grad_a[j] -= r * (w[j] @ x[k]) / n
        speed_w, speed_a = momentum * speed_w + grad_w, momentum * speed_a + grad_a
        w, a = w - dtype(step) * speed_w, a - dtype(step) * speed_a
        flips += np.sum((w @ x.T > 0) != before)
        states.append((w, a))
    return np.array([w for w, _ in states]), np.array([a for _, a in states]), flips


@pytest.mark.parametrize("dataset", [TOY, FIVE], ids=["toy", "five points"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_plain_loop_makes_the_same_steps(dataset, precision, momentum):
    dtype, count, step = np.dtype(precision).type, 60, 0.05
    w, a, flips = plain_loop(start(1.0), dataset, step, count, dtype, momentum)
    optimizer = optax.sgd(step, momentum=momentum)
    run = jaxflow.gradient_descent(
        start(1.0), dataset, optimizer, steps=count, saved=np.arange(count + 1), precision=precision
    )
    assert run.w.dtype == precision and run.a.dtype == precision
    tolerance = 100 * np.finfo(dtype).eps
    assert np.max(np.abs(np.asarray(run.w) - w)) < tolerance
    assert np.max(np.abs(np.asarray(run.a) - a)) < tolerance
    assert int(run.flips[-1]) == flips > 0
    assert str(run.status) == "done" and int(run.stopped) == count


def test_gradient_is_that_of_the_loss():
    network = start(1.0)

    def value(weights):
        return loss(jaxflow.ReluNetwork(weights.w, weights.a), FIVE)

    weights = Weights(network.w, network.a)
    ours, theirs = gradient(weights, Data(FIVE.x, FIVE.y)), jax.grad(value)(weights)
    assert np.allclose(ours.w, theirs.w, rtol=1e-13, atol=1e-15)
    assert np.allclose(ours.a, theirs.a, rtol=1e-13, atol=1e-15)


def times(optimizer, count):
    clock, found = Clock.start(optimizer), []
    for _ in range(count):
        clock = clock.tick(optimizer)
        found.append(float(clock.time))
    return np.array(found)


def test_the_clock_of_plain_descent_momentum_and_schedules():
    k = np.arange(1, 41)
    assert np.allclose(times(optax.sgd(0.25), 40), 0.25 * k, rtol=1e-14)
    momentum = np.cumsum((1 - 0.8**k) / (1 - 0.8)) * 0.01
    assert np.allclose(times(optax.sgd(0.01, momentum=0.8), 40), momentum, rtol=1e-13)
    halved = times(optax.sgd(optax.piecewise_constant_schedule(0.5, {20: 0.5})), 40)
    assert halved[-1] == pytest.approx(20 * 0.5 + 20 * 0.25)
    decaying = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.25))
    assert np.allclose(times(decaying, 40), 0.25 * k, rtol=1e-14)
    assert np.allclose(times(optax.adam(0.01), 40), 0.01 * k, rtol=1e-6)


def errors_on_the_toy(network, optimizer, steps, **options):
    """Outputs less the closed form of the flow at the same times."""
    run = jaxflow.gradient_descent(network, TOY, optimizer, steps=steps, **options)
    exact = jax.vmap(single_datum_trajectory(network, TOY).outputs)(run.ts)
    return run, np.max(np.abs(np.asarray(run.outputs - exact)))


@pytest.mark.parametrize("momentum", [None, 0.5])
def test_first_order_convergence_to_the_closed_form(momentum):
    network, end, found = start(1e-5, seed=2), 40.0, []
    for step in (0.04, 0.02, 0.01):
        size = step * (1 - (momentum or 0))
        _, error = errors_on_the_toy(network, optax.sgd(size, momentum=momentum), round(end / step))
        found.append(error)
    ratios = np.array(found[:-1]) / found[1:]
    assert abs(ratios[0] - 2) < 0.15 and abs(ratios[1] - 2) < 0.05, ratios


def test_float32_stalls_at_the_residual_that_its_rounding_predicts():
    """A weight stops where its update is below half a unit in its last place, 2^-25 to 2^-24 of it,
    and an update is η r ‖x‖/n times the weight."""
    for step in (0.01, 0.04):
        options = dict(steps=round(60 / step), saved=np.array([round(60 / step)]))
        network = start(1e-2, width=20)
        double, single = (
            jaxflow.gradient_descent(network, TOY, optax.sgd(step), precision=p, **options)
            for p in ("float64", "float32")
        )
        assert np.max(np.abs(np.asarray(double.outputs[-1] - TOY.y))) < 1e-12
        residual = np.abs(np.asarray(single.outputs[-1] - TOY.y))
        unit = TOY.n / (step * np.linalg.norm(np.asarray(TOY.x), axis=1))
        assert np.all((residual / unit > 2.0**-26) & (residual / unit < 2.0**-24))


def test_a_diverged_descent_says_so_and_stops():
    run = jaxflow.gradient_descent(start(10.0), FIVE, optax.sgd(50.0), steps=1000)
    assert run.status == jaxflow.DescentStatus.diverged and run.status.failed
    assert int(run.stopped) < 100 and "diverged" in repr(run)


def test_interface_is_that_of_a_trajectory(tmp_path):
    network = start(1e-2)
    run = jaxflow.gradient_descent(network, TOY, optax.sgd(0.05), steps=400)
    assert run.ts.shape == (201,) and np.allclose(run.ts, 0.05 * np.asarray(run.iterations))
    assert run.modes.shape == (201, 8, 2) and run.outputs.shape == (201, 2)
    assert float(run.loss[0]) == pytest.approx(float(loss(network, TOY)), rel=1e-12)
    assert float(run.variation_norm[-1]) == pytest.approx(float(run.final.variation_norm()))
    assert np.allclose(run.log_norms[0], network.log_norms(), rtol=1e-13)
    assert np.array_equal(run.network(3).w, run.w[3])
    run.plot(tmp_path / "run.png")
    assert imread(tmp_path / "run.png").std() > 0.05
    assert all(hasattr(jaxflow.Trajectory, name) and hasattr(run, name) for name in SHARED)


def test_a_batch_is_the_runs_one_by_one():
    networks = jax.vmap(lambda key: jaxflow.init.balanced(key, 4, 2, scale=0.1))(
        jax.random.split(jax.random.key(0), 3)
    )

    def run(network):
        return jaxflow.gradient_descent(network, FIVE, optax.adam(0.01), steps=50)

    batch = jax.vmap(run)(networks)
    for i in range(3):
        alone = run(jax.tree.map(lambda leaf, i=i: leaf[i], networks))
        assert np.allclose(batch.w[i], alone.w, rtol=1e-12, atol=1e-14)
        assert int(batch.flips[i, -1]) == int(alone.flips[-1])
    assert np.array_equal(batch.status, [1, 1, 1])


def test_other_optimisers_of_optax_run_in_both_precisions():
    for optimizer in (optax.adamw(0.01), optax.rmsprop(0.01), optax.lion(0.01), optax.nadam(0.01)):
        for precision in ("float64", "float32"):
            run = jaxflow.gradient_descent(
                start(0.1), TOY, optimizer, steps=40, precision=precision
            )
            assert run.status == jaxflow.DescentStatus.done and run.a.dtype == precision
            assert float(run.loss[-1]) < float(run.loss[0])


def test_half_times_in_the_log_odds_are_exact_for_a_logistic_output():
    ts = np.linspace(0, 10, 11)
    outputs = np.stack([-3 / (1 + np.exp(-2 * (ts - 4.3))), 0.2 + 0 * ts], axis=1)
    found = half_times(ts, outputs, np.array([-3.0, 1.0]))
    assert found[0] == pytest.approx(4.3, abs=1e-12) and np.isnan(found[1])


def descend(network=None, optimizer=None, **options):
    options = {"steps": 3, **options}
    return jaxflow.gradient_descent(network or start(1.0), TOY, optimizer, **options)


REFUSED = {
    "no steps": (lambda: descend(steps=0), "steps", "got 0", "at least 1"),
    "a step size as optimiser": (lambda: descend(optimizer=1e-3), "optimizer", "0.001", "optax"),
    "a line search": (lambda: descend(optimizer=optax.lbfgs()), "optimizer", "value", "gradients"),
    "saves too late": (lambda: descend(saved=[0, 4]), "saved", "[0, 4]", "steps = 3"),
    "saves at fractions": (lambda: descend(saved=[0.5]), "saved", "0.5", "whole"),
    "half precision": (lambda: descend(precision="float16"), "precision", "float16", "float32"),
    "tiny in float32": (
        lambda: descend(start(1e-35), precision="float32"),
        "network",
        "10^-35",
        "at least 1e-31 in float32",
    ),
    "tiny in float64": (lambda: descend(start(1e-300)), "network", "10^-300", "gradient_flow"),
    "huge in float32": (
        lambda: descend(start(1e39), precision="float32"),
        "network",
        "10^38.",
        "at most",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_of_descent(case):
    call, argument, got, wanted = REFUSED[case]
    with warnings.catch_warnings(), pytest.raises(ValueError) as refusal:
        warnings.simplefilter("ignore")
        call()
    message = str(refusal.value)
    assert message.startswith(f"{argument}:") and got in message and wanted in message, message
