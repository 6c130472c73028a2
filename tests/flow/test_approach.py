"""The closed form of the last approach, against other solutions and within its bound."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxflow
from jaxflow.flow.approach import approach, approach_bound
from jaxflow.flow.launch import launch

DATA = jaxflow.datasets.random_orthogonal(jax.random.key(4), 5, 7)
SPANS = (0.3, 3.0, 200.0)


def close_to_the_end(residual: float):
    """Neurons that fit the data but for residuals of a size, by scaling labels and not neurons."""
    network = jaxflow.init.balanced(jax.random.key(1), 12, DATA.dim, scale=1.0)
    wrong = residual * np.array([1.0, -0.4, 0.8, 0.3, -1.0])
    return network, jaxflow.Dataset(DATA.x, jax.vmap(network)(DATA.x) + wrong)


def integrated(network, dataset, span: float):
    """Weights after a time, by SciPy, in the plain weights; no pair may change its mode."""
    x, y = np.asarray(dataset.x), np.asarray(dataset.y)
    m, active = network.a.shape[0], np.asarray(network.w @ x.T > 0)

    def field(_, z):
        a, w = z[:m], z[m:].reshape(m, -1)
        r = y - (active * (w @ x.T)).T @ a
        force = (active * r) @ x / len(y)
        return np.concatenate([np.sum(w * force, axis=1), (a[:, None] * force).ravel()])

    start = np.concatenate([network.a, np.ravel(network.w)])
    end = solve_ivp(field, (0, span), start, method="DOP853", rtol=3e-14, atol=1e-16).y[:, -1]
    w = end[m:].reshape(m, -1)
    assert np.array_equal(w @ x.T > 0, active)
    return end[:m], w


def bound_of(plan, **changes) -> float:
    plan = replace(plan, **changes)
    return float(approach_bound(plan.problem, plan.modes, plan.state, jnp.array(1e-6)))


def approached(network, dataset, span: float, sought: float = 0.0):
    plan = launch(network, dataset)
    bound = bound_of(plan)
    given = plan.problem, plan.modes, plan.state, plan.balance
    time, state = approach(*given, jnp.asarray(span), jnp.asarray(sought))
    return float(time), plan.network(state), bound


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("residual", [5e-6, 1e-6, 2e-7])
def test_it_is_the_flow_to_first_order_and_within_its_bound(residual, span):
    network, dataset = close_to_the_end(residual)
    time, end, bound = approached(network, dataset, span)
    a, w = integrated(network, dataset, span)
    size = np.sqrt(a**2 + np.sum(w**2, axis=1))
    error = np.sqrt((end.a - a) ** 2 + np.sum((end.w - w) ** 2, axis=1)) / size
    assert time == span
    assert error.max() <= bound + 3e-13
    assert bound <= 1e4 * residual**2


def test_what_is_neglected_is_of_second_order():
    errors = []
    for residual in (2e-5, 5e-6):
        network, dataset = close_to_the_end(residual)
        a, _ = integrated(network, dataset, 200.0)
        errors.append(np.abs(np.asarray(approached(network, dataset, 200.0)[1].a) - a).max())
    assert errors[1] > 1e-12
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.2)


@pytest.mark.parametrize("span", [0.4, 4.0])
def test_one_neuron_on_one_datum_is_a_logistic_curve(span):
    off = 1e-6
    start = np.sqrt(1 - off)
    dataset = jaxflow.Dataset(jnp.array([[1.0]]), jnp.array([1.0]))
    network = jaxflow.ReluNetwork(w=jnp.array([[start]]), a=jnp.array([start]))
    _, end, bound = approached(network, dataset, span)
    exact = 1 / (1 + off / (1 - off) * np.exp(-2 * span))
    assert float(end.a[0] ** 2) == pytest.approx(exact, abs=4 * bound + 1e-15)
    assert abs(float(end.a[0] ** 2) - (1 - off)) > 1e4 * bound


@pytest.mark.parametrize("sought", [1e-7, 1e-9])
def test_it_stops_where_the_residual_is_as_sought(sought):
    network, dataset = close_to_the_end(1e-6)
    time, end, _ = approached(network, dataset, 1e6, sought)
    left = float(jnp.linalg.norm(dataset.y - jax.vmap(end)(dataset.x)))
    assert left == pytest.approx(sought, rel=1e-4)
    assert 0 < time < 1e3


def test_nothing_is_claimed_where_a_pair_may_die_or_residuals_are_large():
    network, dataset = close_to_the_end(1e-6)
    plan = launch(network, dataset)
    k, j = np.argwhere(np.asarray(plan.modes.active))[0]
    thin = plan.state.at[2 + k, j].set(1e-9)
    assert np.isinf(bound_of(plan, state=thin))
    unseen = replace(plan.modes, active=plan.modes.active.at[1].set(False))
    assert np.isfinite(bound_of(plan, modes=unseen))
    far = replace(plan.problem, y=plan.problem.y + 1)
    assert np.isinf(bound_of(plan, problem=far))


def test_a_run_uses_it_and_stays_as_exact():
    data = jaxflow.datasets.random_orthogonal(jax.random.key(0), 6, 9)
    network = jaxflow.init.balanced(jax.random.key(2), 16, 9, scale=1e-4)
    ts = np.concatenate([np.linspace(60.0, 150.0, 13), [400.0]])
    run = jaxflow.gradient_flow(network, data, ts)
    plain = jaxflow.gradient_flow(network, data, ts, closed_form=False, rtol=1e-13)
    assert np.abs(run.w - plain.w).max() <= 3e-11
    assert run.counts.attempted < 0.8 * plain.counts.attempted
    assert np.abs(run.outputs[-1] - data.y).max() <= 1e-14
    assert run.status == plain.status


def test_neurons_that_hardly_see_a_zero_label_no_longer_keep_a_run_from_its_end():
    y = np.where(np.arange(5) == 2, 0.0, DATA.y)
    dataset = jaxflow.Dataset(DATA.x, jnp.asarray(y))
    network = jaxflow.init.balanced(jax.random.key(2), 40, DATA.dim, scale=1e-8)
    run = jaxflow.gradient_flow(network, dataset)
    assert np.abs(run.outputs[-1] - y).max() <= 1e-11
    assert run.counts.rejected < 30 and run.counts.accepted < 400
