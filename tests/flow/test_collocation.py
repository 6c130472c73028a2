"""Endings on general inputs that are slower by orders of magnitude than what went before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxflow
from jaxflow.flow.collocation import MATRIX, POINTS, STAGES, _Linear, collocation_weights
from jaxflow.flow.ending import MOVEMENT
from jaxflow.flow.status import Status


def test_the_points_are_those_of_a_method_of_order_thirteen():
    last, powers = MATRIX[-1], np.arange(1, 2 * STAGES)
    for k in powers:  # the quadrature is exact up to degree 2s − 2
        assert abs(last @ POINTS ** (k - 1) - 1 / k) <= 1e-15
    for k in range(1, STAGES + 1):  # the stages up to degree s − 1
        assert np.abs(MATRIX @ POINTS ** (k - 1) - POINTS**k / k).max() <= 1e-15
    damped = 1 - last @ np.linalg.solve(np.eye(STAGES) / 1e9 + MATRIX, np.ones(STAGES))
    assert abs(damped) <= 1e-6  # what decays at once is gone


@pytest.mark.parametrize("length", [1e-3, 1.0, 1e3, 1e12, 1e40, 1e160])
def test_the_residuals_equations_against_numpy(length):
    x = np.random.default_rng(0).standard_normal((5, 5))
    kernel, right = x @ x.T, np.random.default_rng(1).standard_normal((STAGES, 5))
    ours = _Linear(jnp.asarray(kernel), jnp.asarray(length)).solved(jnp.asarray(right))
    whole = np.eye(5 * STAGES) + length * np.kron(MATRIX, kernel)
    theirs = np.linalg.solve(whole, right.ravel()).reshape(STAGES, 5)
    assert np.abs(ours - theirs).max() <= 1e-12 * np.abs(theirs).max()


def test_dense_output_of_a_polynomial():
    for fraction in (0.0, 0.3, 0.9, 1.0):
        weights = np.asarray(collocation_weights(jnp.asarray(fraction)))
        for k in range(1, STAGES + 1):
            assert abs(weights @ POINTS ** (k - 1) - (fraction**k - 1) / k) <= 1e-14


def single_datum(size, y, norm, n, t):
    """a of one balanced neuron with w along its only datum, a = ‖w‖ = `size` at first.

    d(a²)/dt = 2 ‖x‖ a² (y − ‖x‖ a²)/n, a logistic equation.
    """
    square, rate = size**2, 2 * norm * y / n
    if y == 0:
        return np.sqrt(square / (1 + 2 * norm**2 * square * t / n))
    grown = square * np.exp(np.minimum(rate * t, 700.0))
    return np.sqrt(grown / (1 + norm / y * (grown - square)))


@pytest.mark.parametrize("scale", [1e-2, 1e-4, 1e-6])
def test_a_zero_label_that_small_neurons_see_in_closed_form(scale):
    x, y = jnp.array([[1.0, 0.3], [-0.8, 1.1]]), jnp.array([0.7, 0.0])
    norms = np.linalg.norm(x, axis=1)
    sizes = np.array([0.3, scale])
    w = jnp.asarray(sizes[:, None] * np.asarray(x) / norms[:, None])
    network = jaxflow.network.ReluNetwork(w, jnp.asarray(sizes))
    data = jaxflow.Dataset(x, y)
    assert not data.is_orthogonal
    ts = np.array([1.0, 30.0, 1e-2, 1.0, 100.0, 1e4]) * np.array([1, 1, *4 * [scale**-2.0]])
    run = jaxflow.gradient_flow(network, data, jnp.asarray(np.unique(ts)))
    a = np.abs(np.asarray(jnp.exp(run.states[:, 0]) * run.states[:, 1]))
    for j in range(2):
        exact = single_datum(sizes[j], float(y[j]), norms[j], 2, np.unique(ts))
        assert np.abs(a[:, j] / exact - 1).max() <= 1e-9
    assert int(run.counts.attempted) <= 600


FROM = 197
"""The save time from which on nothing changes its mode in `slow_run`."""
TEACHER = jaxflow.datasets.gaussian_teacher(jax.random.key(0), 4, 3, 2)


def teacher_start(i):
    keys = jax.random.split(jax.random.key(5), 32)
    return jaxflow.init.balanced(keys[i], 12, TEACHER.dim, scale=1e-3)


@pytest.fixture(scope="module")
def slow_run():
    """Two of four labels are zero; one of these data is seen by small neurons only."""
    ts = jnp.concatenate([jnp.linspace(0.0, 1e3, 198), jnp.array([1e5, 1e6, 3e6])])
    return jaxflow.gradient_flow(teacher_start(0), TEACHER, ts)


def test_several_data_against_an_implicit_method_of_scipy(slow_run):
    """In the plain weights, where nothing changes its mode."""
    x, y = np.asarray(TEACHER.x), np.asarray(TEACHER.y)
    modes = np.asarray(slow_run.modes)
    assert np.all(modes[FROM] == modes[-1]) and not np.any(slow_run.events.time > 1e3)
    active, m = (modes[FROM] == 1).astype(float), modes.shape[1]
    sliding = modes[FROM] == 2

    def field(_, z):
        a, w = z[:m], z[m:].reshape(m, -1)
        r = y - (active * (w @ x.T)).T @ a
        force = (active * r) @ x / len(y)
        for j, k in zip(*np.nonzero(sliding), strict=True):  # no neuron slides on two boundaries
            force = force.at[j].add(-(force[j] @ x[k]) / (x[k] @ x[k]) * x[k])
        return jnp.concatenate([jnp.sum(w * force, axis=1), (a[:, None] * force).ravel()])

    assert sliding.sum(axis=1).max() <= 1
    networks = [slow_run.network(i) for i in range(FROM, len(slow_run.ts))]
    z = [np.concatenate([n.a, np.ravel(n.w)]) for n in networks]
    span = (float(slow_run.ts[FROM]), float(slow_run.ts[-1]))
    slopes, jacobian = jax.jit(field), jax.jit(jax.jacfwd(field, 1))
    ends = solve_ivp(
        lambda t, z: np.asarray(slopes(t, z)),
        span,
        z[0],
        "Radau",
        slow_run.ts[FROM + 1 :],
        rtol=1e-11,
        atol=1e-19,
        jac=lambda t, z: np.asarray(jacobian(t, z)),
    ).y.T
    for here, there in zip(z[1:], ends, strict=True):
        size = np.abs(there[:m])
        assert np.abs(np.abs(here[:m]) / size - 1).max() <= 1e-11
        off = (here - there)[m:].reshape(m, -1)
        assert (np.linalg.norm(off, axis=1) / size).max() <= 1e-11
    assert np.abs(ends[-1][:m] / z[0][:m] - 1).max() > 0.01  # they do move


def test_the_certified_bound_holds_and_the_end_is_reached_in_few_steps():
    run = jaxflow.gradient_flow(teacher_start(0), TEACHER)
    assert run.status == Status.interpolated and float(run.ts[-1]) > 1e7
    assert int(run.counts.attempted) <= 1000
    bound = float(run.evidence.movement)
    assert 0 < bound <= MOVEMENT
    later = jaxflow.gradient_flow(teacher_start(0), TEACHER, jnp.linspace(0, 3, 201) * run.ts[-1])
    assert np.abs(later.states[-1] - run.last).max() <= bound
    assert np.max(np.abs(later.states[-1] - later.states[100])) > 0


def test_residuals_below_rounding_do_not_make_neurons_leave_their_boundaries():
    """Slaved residuals of 1e-15 tell how neurons slide: events are the same at any tolerance."""
    coarse, fine = (jaxflow.gradient_flow(teacher_start(3), TEACHER, rtol=t) for t in (1e-9, 1e-12))
    late = [
        [(int(j), int(k), str(kind)) for t, j, k, kind in zip(*events, strict=True) if t > 100]
        for events in ([e.time, e.neuron, e.datum, e.kind] for e in (coarse.events, fine.events))
    ]
    assert sorted(late[0]) == sorted(late[1]) and 5 <= len(late[0]) <= 30
    assert float(fine.ts[-1]) > 1e9


def test_save_times_of_a_long_run_lie_on_two_scales():
    run = jaxflow.gradient_flow(teacher_start(0), TEACHER)
    ts = np.asarray(run.ts)
    steps, ratios = np.diff(ts[:150]), ts[152:] / ts[151:-1]
    assert np.allclose(steps, steps[0]) and np.allclose(ratios, ratios[0], rtol=1e-6)
    assert ts[149] < 1e4 < 1e7 < ts[-1] and ts.size == 201
