"""Certificates of ends, held against limits in closed form and another integrator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxflow
from jaxflow import Status
from jaxflow.flow.ending import WIDER, _of_two_scales

X, Y = np.array([[1.0, 0.3], [-0.8, 1.1]]), np.array([0.7, 0.0])
NORMS = np.linalg.norm(X, axis=1)


def end_of(sizes):
    """Balanced neurons along x_1, x_2 and x_2 of given sizes, the last with a < 0, each of which
    sees that datum only. The zero label is fitted when the last two are of one size.

    Returns the run and how far the log norms of the two still are from log √(a_2 |a_3|), which the
    flow conserves: a_2' = R a_2, a_3' = −R a_3.
    """
    w = np.asarray(sizes)[:, None] * (X / NORMS[:, None])[[0, 1, 1]]
    network = jaxflow.network.ReluNetwork(jnp.asarray(w), jnp.asarray(sizes) * np.array([1, 1, -1]))
    run = jaxflow.gradient_flow(network, jaxflow.Dataset(jnp.asarray(X), jnp.asarray(Y)))
    limit = np.mean(np.log(sizes[1:])) + np.log(2) / 2
    return run, np.abs(np.asarray(run.last)[0, 1:] - limit).max()


@pytest.mark.parametrize("scale", [1e-2, 1e-4, 1e-6])
def test_small_neurons_are_within_the_bound_of_their_limit(scale):
    run, left = end_of([0.3, 2 * scale, scale])
    assert run.status == Status.interpolated
    assert 0 < left <= float(run.evidence.movement) <= WIDER[-1]


def test_where_small_neurons_still_have_a_way_to_go_nothing_is_certified():
    run, left = end_of([0.3, 2e-8, 1e-8])
    assert left > 0.3 and np.isinf(run.evidence.movement) and run.status == Status.moving


@pytest.mark.parametrize("off", [1e-5, 1e-4])
def test_a_residual_that_rounding_hides_is_not_taken_for_zero(off):
    """The large neuron fits its datum; the zero label is missed by less than 1e-15."""
    run, left = end_of([np.sqrt(0.7 / NORMS[0]), 1e-6 * (1 + off), 1e-6])
    assert left == pytest.approx(off / 2, rel=1e-2)
    assert left <= float(run.evidence.movement)


def test_the_bound_of_two_scales_is_that_of_the_flow_it_compares_with():
    """d(β, σ)/dt = −[[μ_B, −κ], [−κ, μ_S]] (β, σ), and the integral of β + σ over all times."""
    for r_large, r_small, mu_large, mu_small, coupling in [
        (1.0, 0.5, 2.0, 0.3, 0.2),
        (0.0, 1.0, 1.0, 0.01, 0.05),
        (1e-3, 0.0, 1.0, 0.02, 0.02),
    ]:
        rates = np.array([[mu_large, -coupling], [-coupling, mu_small]])

        def flow(_, z, rates=rates):
            return np.append(-rates @ z[:2], z[:2].sum())

        way = solve_ivp(flow, (0, 5e4), [r_large, r_small, 0.0], "LSODA", rtol=1e-11, atol=1e-16)
        found = float(_of_two_scales(r_large, r_small, mu_large, mu_small, coupling))
        assert found == pytest.approx(way.y[2, -1], rel=1e-8)
    assert np.isinf(_of_two_scales(1.0, 1.0, 1.0, 0.01, 0.2))


def test_rounding_of_data_that_large_neurons_fit_does_not_count_against_small_ones():
    """‖r‖/μ is of the order of one here: 1e-16 over 1e-15."""
    run, left = end_of([np.sqrt(0.7 / NORMS[0]), 3e-8 * (1 + 1e-9), 3e-8])
    assert left <= float(run.evidence.movement) <= 1e-6
    assert run.status == Status.interpolated


@pytest.mark.parametrize("key", [0, 1, 3])
def test_neurons_of_both_signs_that_fit_a_zero_label_are_within_the_bound_of_their_limit(key):
    """They are left along other data and hardly see that one: coordinates of 1e-8 and less.

    DOP853 on (w, a), the field written out here, goes on from where the run ended.
    """
    data = jaxflow.datasets.random_orthogonal(jax.random.key(4), 6, 8)
    data = jaxflow.Dataset(data.x, data.y.at[2].set(0.0))
    start = jaxflow.init.balanced(jax.random.split(jax.random.key(5), 7)[key], 40, 8, scale=1e-8)
    run = jaxflow.gradient_flow(start, data)
    w, a = np.asarray(run.final.w), np.asarray(run.final.a)
    x, y = np.asarray(data.x), np.asarray(data.y)
    born = np.exp(np.asarray(run.last)[0]) > 1e-3
    sees_zero = np.abs(w @ x[2]) * (w @ x[2] > 0)
    assert born.any() and 0 < sees_zero[born].max() < 1e-4

    def field(_, z):
        w, a = np.split(z.reshape(40, 9), [8], axis=1)
        r = (y - a[:, 0] @ np.maximum(w @ x.T, 0)) / 6
        force = ((w @ x.T > 0) * r) @ x
        return np.column_stack([a * force, np.sum(w * force, 1)]).ravel()

    z = np.column_stack([w, a])
    end = solve_ivp(field, (0, 300), z.ravel(), "DOP853", rtol=1e-12, atol=1e-24).y[:, -1]
    way = np.linalg.norm(end.reshape(z.shape) - z, axis=1) / np.linalg.norm(z, axis=1)
    assert run.status == Status.interpolated and run.end_time < 500
    assert 0 < way.max() <= float(run.evidence.movement)
