"""Steps in rounds, in which no pair changes its mode."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxflow
from jaxflow.flow.gradient_flow import at_start, settings_of
from jaxflow.flow.legs import solver_leg
from jaxflow.flow.quiet import quiet_leg
from jaxflow.flow.status import Status

NO_TIMES = jnp.zeros(0)
DATA = jaxflow.datasets.random_orthogonal(jax.random.key(2), 4, 6)


def begun(network, data, horizon=None, max_steps=10_000):
    """The launch, settings, and a lane with its record that seeks the end by steps alone."""
    settings = settings_of(1e-11, horizon, max_steps)
    plan, settings, lane, record = at_start(network, data, settings, NO_TIMES, True)
    return plan, settings, replace(lane, thawed=jnp.array(True), quiet=jnp.array(True)), record


@eqx.filter_jit
def in_rounds(problem, settings, carry):
    return quiet_leg(problem, settings, NO_TIMES, carry)


def all_growing(width=5):
    """Labels above zero, and neurons that see all data and push all outputs up."""
    rng = np.random.default_rng(3)
    data = jaxflow.Dataset(jnp.array(DATA.x), jnp.abs(DATA.y))
    x = np.asarray(data.x)
    w = 0.2 * rng.uniform(0.3, 1.0, (width, 4)) @ (x / np.linalg.norm(x, axis=1)[:, None])
    a = np.linalg.norm(w, axis=1)
    return data, jaxflow.ReluNetwork(jnp.array(w), jnp.array(a))


def test_a_run_without_changes_of_mode_is_what_another_solver_makes_of_it():
    """DOP853 on (w, a), the field written out here, up to a time at which nothing is fitted."""
    data, network = all_growing()
    plan, settings, *carry = begun(network, data, horizon=3.0)
    lane, _ = in_rounds(plan.problem, settings, tuple(carry))
    assert float(lane.t) == 3.0 and bool(lane.quiet) and lane.status == Status.moving
    assert int(lane.counts.accepted) > 8 and int(lane.counts.landings) == 0

    x, y = np.asarray(data.x), np.asarray(data.y)

    def field(_, z):
        w, a = z[:-5].reshape(5, -1), z[-5:]
        r = (y - np.maximum(w @ x.T, 0).T @ a) / 4
        push = (w @ x.T > 0) * r
        return np.concatenate([(a[:, None] * (push @ x)).ravel(), np.sum(push * (w @ x.T), 1)])

    start = np.concatenate([np.asarray(network.w).ravel(), np.asarray(network.a)])
    end = solve_ivp(field, (0, 3), start, "DOP853", rtol=3e-14, atol=1e-15).y[:, -1]
    found = plan.network(lane.state)
    assert np.abs(np.asarray(found.w) - end[:-5].reshape(5, -1)).max() <= 3e-11
    assert np.abs(np.asarray(found.a) - end[-5:]).max() <= 3e-11


def test_a_run_is_quiet_until_a_pair_may_die_and_the_solver_goes_on_from_there():
    network = jaxflow.init.balanced(jax.random.key(3), 12, 6, scale=0.3)
    first = float(jaxflow.gradient_flow(network, DATA).events.time[0])
    plan, settings, lane, record = begun(network, DATA)
    stopped, record = in_rounds(plan.problem, settings, (lane, record))
    assert not stopped.quiet and stopped.running and stopped.thawed
    assert 0 < float(stopped.t) < first
    died, _ = solver_leg(plan.problem, settings, NO_TIMES, (stopped, record))
    times = np.asarray(died.log.times)
    assert times.min() == pytest.approx(first, rel=1e-10)


def test_solver_and_rounds_leave_each_others_runs_alone():
    data, network = all_growing()
    plan, settings, lane, record = begun(network, data, horizon=3.0)
    still, _ = solver_leg(plan.problem, settings, NO_TIMES, (lane, record))
    loud = replace(lane, quiet=jnp.array(False))
    silent, _ = in_rounds(plan.problem, settings, (loud, record))
    assert float(still.t) == 0 and float(silent.t) == 0


def test_rounds_take_no_step_too_many():
    data, network = all_growing()
    plan, settings, *carry = begun(network, data, horizon=3.0, max_steps=6)
    lane, _ = in_rounds(plan.problem, settings, tuple(carry))
    assert int(lane.counts.attempted) == 6 and lane.status == Status.step_limit


def test_neurons_of_one_datum_each_wait_for_their_closed_form_after_a_round():
    data, network = all_growing(width=4)
    x = np.asarray(data.x)
    alone = jaxflow.ReluNetwork(jnp.array(0.25 * x - 0.05 * x.sum(0)), network.a)
    plan, settings, *carry = begun(alone, data, horizon=3.0)
    lane, _ = in_rounds(plan.problem, settings, tuple(carry))
    assert not lane.thawed and lane.running and int(lane.counts.attempted) == 4
