"""Our loops over the stages take the step that diffrax takes."""

from dataclasses import replace

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxflow
from jaxflow.flow.attempt import try_step
from jaxflow.flow.coordinates import directions, hidden_parts, log_norms, output_parts
from jaxflow.flow.gradient_flow import settings_of
from jaxflow.flow.integrate import take_off
from jaxflow.flow.launch import launch
from jaxflow.flow.orthogonal_step import orthogonal_step
from jaxflow.flow.stages import dense_weights, runge_kutta_step, weights_to_the_end


def field(z):
    """Two coupled parts of different shape."""
    return {
        "p": jnp.sin(z["q"][:2]) - z["p"],
        "q": jnp.outer(jnp.ones(2), z["p"])[0].sum() * z["q"],
    }


@pytest.mark.parametrize("solver", [diffrax.Dopri8(), diffrax.Tsit5(), diffrax.Dopri5()])
def test_end_error_and_slopes_are_those_of_diffrax(solver):
    start = {"p": jnp.array([0.3, -1.1]), "q": jnp.array([1.0, 0.2, -0.7])}
    length = jnp.array(0.37)
    term = diffrax.ODETerm(lambda t, z, args: field(z))
    memory = solver.init(term, 0.0, length, start, None)
    wanted_end, wanted_error, dense, _, _ = solver.step(
        term, 0.0, length, start, None, memory, False
    )
    end, error, slopes = jax.jit(lambda z, h: runge_kutta_step(solver, field, z, h))(start, length)
    pairs = [(end, wanted_end), (error, wanted_error), (slopes, dense["k"])]
    for ours, theirs in pairs:
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            assert np.abs(np.asarray(a - b)).max() <= 1e-15
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted_error)) > 1e-12


@pytest.mark.parametrize("solver", [diffrax.Dopri8(), diffrax.Tsit5(), diffrax.Dopri5()])
def test_factored_stages_are_those_of_diffrax_on_the_plain_field(solver):
    """Orthogonal inputs, λ = 0.5: (a, p) in units of the start, the field written out here."""
    data = jaxflow.datasets.random_orthogonal(jax.random.key(2), 4, 6)
    plan = launch(jaxflow.init.balanced(jax.random.key(3), 7, 6, scale=0.5), data)
    norms, active = np.linalg.norm(data.x, axis=1), np.asarray(plan.modes.active)
    size = np.exp(2 * np.asarray(plan.state[0]))
    length = jnp.array(0.7)

    def plain(z):
        r = norms * (np.asarray(data.y) - norms * jnp.sum(size * z["a"] * z["p"], axis=1)) / 4
        pull = jnp.sum(r[:, None] * z["p"], axis=0)
        return {"a": pull, "p": active * z["a"] * r[:, None]}

    start = {"a": output_parts(plan.state), "p": hidden_parts(plan.state)}
    term = diffrax.ODETerm(lambda t, z, args: plain(z))
    memory = solver.init(term, 0.0, length, start, None)
    wanted, error, dense, _, _ = solver.step(term, 0.0, length, start, None, memory, False)
    step = jax.jit(
        lambda state: orthogonal_step(
            solver, plan.problem, active, log_norms(state), directions(state), length
        )
    )(plan.state)
    assert active.any() and not active.all()
    found = {"a": step.end[0], "p": step.end[1:]}
    estimate = {"a": step.error()[0], "p": step.error()[1:]}
    for part in "ap":
        assert np.abs(found[part] - wanted[part]).max() <= 2e-15
        assert np.abs(estimate[part] - error[part]).max() <= 2e-15
    assert max(np.abs(error[part]).max() for part in "ap") > 1e-9
    course = solver.interpolation_cls(t0=0.0, t1=1.0, **dense)
    last = course.evaluate(jnp.array(1.0))
    missed = {part: np.asarray(found[part] - last[part]) for part in "ap"}
    assert np.abs(missed["p"]).max() <= 1e-12  # by the coefficients that diffrax has for Dopri8
    for fraction in (0.3, 0.999):
        dense_output = course.evaluate(jnp.array(fraction))
        inside = {part: dense_output[part] + fraction * missed[part] for part in "ap"}
        for k, j in np.argwhere(active):
            value = step.pair_inside(jnp.array(fraction), k, j)
            assert float(value) == pytest.approx(float(inside["p"][k, j]), abs=1e-14)
        state = step.inside(jnp.array(fraction))
        norm = np.sqrt(inside["a"] ** 2 + np.sum(np.asarray(inside["p"]) ** 2, axis=0))
        assert np.abs(output_parts(state) - inside["a"] / norm).max() <= 1e-13
        assert np.abs(state[0] - plan.state[0] - np.log(norm)).max() <= 1e-13
    k, j = np.argwhere(active)[0]
    for fraction, p in ((0.0, hidden_parts(plan.state)), (1.0, found["p"])):
        value = step.pair_inside(jnp.array(fraction), k, j)
        assert float(value) == pytest.approx(float(p[k, j]), abs=1e-15)
    norm = np.sqrt(found["a"] ** 2 + np.sum(np.asarray(found["p"]) ** 2, axis=0))
    assert np.abs(output_parts(step.inside(jnp.ones(()))) - found["a"] / norm).max() <= 1e-15
    assert np.abs(step.inside(jnp.zeros(())) - plan.state).max() <= 1e-15


@pytest.mark.parametrize("solver", [diffrax.Dopri8(), diffrax.Tsit5(), diffrax.Dopri5()])
def test_dense_output_is_exact_at_both_ends_and_diffrax_s_in_between(solver):
    tableau = solver.tableau
    assert np.abs(dense_weights(solver, jnp.zeros(()))).max() <= 1e-15
    assert np.abs(dense_weights(solver, jnp.ones(())) - tableau.b_sol).max() <= 1e-15
    assert np.all(weights_to_the_end(solver, jnp.ones(())) == 0)
    count = len(tableau.b_sol)
    ends = {"y0": jnp.zeros(count), "y1": jnp.asarray(tableau.b_sol)}
    course = solver.interpolation_cls(t0=0.0, t1=1.0, k=jnp.eye(count), **ends)
    for fraction in (0.2, 0.9):
        theirs = course.evaluate(jnp.array(fraction))
        assert np.abs(dense_weights(solver, jnp.array(fraction)) - theirs).max() <= 2e-12


def test_a_step_on_general_inputs_ends_where_its_dense_output_does():
    data = jaxflow.datasets.gaussian_teacher(jax.random.key(0), 5, 3, 2)
    plan = launch(jaxflow.init.balanced(jax.random.key(1), 6, 3, scale=0.3), data)
    settings = settings_of(1e-9, 50.0, 100)
    lane = take_off(plan.problem, settings, plan.modes, plan.state, plan.balance)
    lane = replace(lane, step=jnp.array(0.4))

    @jax.jit
    def tried(lane):
        step = try_step(plan.problem, settings, lane, jnp.array(50.0), jnp.array(True)).step
        return step.end.state, step.inside(jnp.ones(())), step.inside(jnp.zeros(()))

    end, at_end, at_start = tried(lane)
    assert plan.modes.slide is not None
    assert np.abs(end - plan.state).max() > 1e-3
    assert np.all(at_end == end)
    assert np.abs(at_start - plan.state).max() <= 4e-16
