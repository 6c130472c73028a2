"""The legs of a run: which kinds are flown, alone, in lockstep and in one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxflow
from jaxflow.flow import integrate, legs, lockstep
from jaxflow.flow.gradient_flow import GRID, at_start, settings_of
from jaxflow.flow.status import Status

TOY = jaxflow.datasets.toy()


def toy_start(seed, scale):
    return jaxflow.init.balanced(jax.random.key(seed), 60, 2, scale=scale, bias=True)


class NoSolver(Exception):
    """Raised where the solver would have been needed."""


@pytest.fixture
def no_solver(monkeypatch):
    def refuse(*_):
        raise NoSolver

    monkeypatch.setattr(integrate, "solver_leg", refuse)
    monkeypatch.setattr(lockstep, "solver_leg", refuse)


def test_the_toy_is_closed_form_all_the_way(no_solver):
    run = jaxflow.gradient_flow(toy_start(1, 1e-6), TOY)
    assert run.status == Status.interpolated
    assert int(run.counts.attempted) == 0 and int(run.counts.frozen) > 0
    with pytest.raises(NoSolver):
        jaxflow.gradient_flow(toy_start(1, 0.1), TOY)


def test_an_ensemble_of_the_toy_is_closed_form_all_the_way(no_solver):
    keys = jax.random.split(jax.random.key(0), 5)
    runs = jaxflow.ensemble(TOY, keys, width=60, scale=1e-6, bias=True)
    assert set(runs.counts()) == {"interpolated"} and np.all(runs.steps == 0)
    with pytest.raises(NoSolver):
        jaxflow.ensemble(TOY, keys, width=60, scale=0.1, bias=True)


@pytest.mark.parametrize(
    "data",
    [
        jaxflow.datasets.random_orthogonal(jax.random.key(1), 4, 6),
        jaxflow.datasets.gaussian_teacher(jax.random.key(2), 4, 3, 2),
    ],
)
def test_leg_by_leg_in_one_program_and_in_lockstep_it_is_the_same_run(data):
    keys = jax.random.split(jax.random.key(3), 4)
    starts = jax.vmap(lambda key: jaxflow.init.balanced(key, 8, data.dim, scale=1e-3))(keys)
    together = jaxflow.ensemble(data, keys, width=8, scale=1e-3, horizon=300.0)
    ts = jnp.linspace(0.0, 20.0, GRID)  # one program serves this and the run to its end
    one_program = jax.jit(lambda start: jaxflow.gradient_flow(start, data, ts))
    for i in range(len(keys)):
        start = jax.tree.map(lambda leaf, i=i: leaf[i], starts)
        by_legs, whole = jaxflow.gradient_flow(start, data, ts), one_program(start)
        count = len(by_legs.events)
        assert count == int(whole.events.count)
        assert np.abs(by_legs.events.time - whole.events.time[:count]).max(initial=0) <= 1e-9
        assert np.array_equal(by_legs.modes, whole.modes)
        assert np.abs(by_legs.outputs - whole.outputs).max() <= 1e-10
        alone = jaxflow.gradient_flow(start, data, horizon=300.0)
        assert int(together.code[i]) == alone.status
        assert np.abs(together.residual[i] - (data.y - alone.outputs[-1])).max() <= 1e-10
        assert float(together.variation_norm[i]) == pytest.approx(
            float(alone.final.variation_norm()), rel=1e-10
        )


@pytest.mark.parametrize("orthogonal", [True, False])
def test_no_leg_changes_a_type_so_that_none_is_compiled_twice(orthogonal):
    data = jaxflow.datasets.random_orthogonal(jax.random.key(1), 4, 6)
    data = data if orthogonal else jaxflow.datasets.gaussian_teacher(jax.random.key(2), 4, 3, 2)
    start = jaxflow.init.balanced(jax.random.key(3), 8, data.dim, scale=1e-3)
    settings = settings_of(1e-11, 300.0, 100_000, None, 20_000)  # as above: the same programs
    ts, data = jnp.linspace(0.0, 60.0, GRID), data.for_programs()
    plan, settings, *carry = at_start(start, data, settings, ts, jnp.array(False))

    def types(carry):
        return [(leaf.dtype, leaf.shape, leaf.weak_type) for leaf in jax.tree.leaves(carry)]

    wanted = types(carry)
    for leg in (legs.closed_form_leg, legs.solver_leg, legs.approach_leg):
        carry = leg(plan.problem, settings, ts, tuple(carry))
        assert types(carry) == wanted
    assert int(carry[0].counts.attempted) > 0
