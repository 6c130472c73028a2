"""Programs of few pairs are compiled in a quick way, which changes nothing else."""

import os
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

import jaxflow
from jaxflow import compilation
from jaxflow.flow import lockstep
from jaxflow.flow.gradient_flow import settings_of
from jaxflow.montecarlo.ensemble import run_all

BOTH_WAYS = """
import jax, numpy as np, jaxflow
from jaxflow import compilation
jax.config.update("jax_enable_x64", True)

def run():
    data = jaxflow.datasets.random_orthogonal(jax.random.key(1), 4, 6)
    start = jaxflow.init.balanced(jax.random.key(1), 8, data.dim, scale=1e-2)
    return jaxflow.gradient_flow(start, data, np.linspace(0.0, 60.0, 7))

quick = run()
compilation.FEW = 0
usual = run()
assert quick.status == usual.status and len(quick.events) == len(usual.events) > 5
assert np.array_equal(quick.events.datum, usual.events.datum)
assert np.abs(quick.events.time - usual.events.time).max() <= 1e-10
assert np.abs(quick.w - usual.w).max() <= 1e-11
"""


@compilation.program(lambda x: x.size)
def doubled(x):
    return 2 * x


@pytest.fixture
def used(monkeypatch):
    """The options with which programs are compiled, one after the other."""
    seen, jit = [], compilation.eqx.filter_jit

    def noted(function, **options):
        program = jit(function, **options)

        def called(*args):
            seen.append(options)
            return program(*args)

        return called

    monkeypatch.setattr(compilation.eqx, "filter_jit", noted)
    return seen


@pytest.mark.parametrize("has_it", [True, False])
def test_the_quick_way_is_for_few_pairs_of_versions_that_have_it(used, monkeypatch, has_it):
    monkeypatch.setattr(compilation, "FEW", 3)
    monkeypatch.setattr(compilation, "QUICK", {})
    monkeypatch.setattr(compilation, "has_quick_way", lambda: has_it)
    program = compilation.program(lambda x: x.size)(lambda x: 2 * x)
    for size in (3, 4):
        assert jnp.array_equal(program(jnp.ones(size)), jnp.full(size, 2.0))
    assert used == [{"compiler_options": {}} if has_it else {}, {}]


def test_within_another_program_it_is_a_part_of_that():
    assert jnp.array_equal(jax.jit(lambda x: doubled(x) + 1)(jnp.ones(3)), jnp.full(3, 3.0))
    assert jnp.array_equal(jax.vmap(doubled)(jnp.ones((2, 3))), jnp.full((2, 3), 2.0))


@pytest.mark.parametrize("runs", [2, 5])
def test_a_batch_counts_alike_however_many_runs_it_has(runs):
    data, keys = jaxflow.datasets.toy(), jax.random.split(jax.random.key(0), runs)
    networks = jax.vmap(lambda key: jaxflow.init.balanced(key, 6, 2, scale=1.0))(keys)
    assert compilation.pairs_in_batch(networks, data) == compilation.AT_ONCE * 6 * 2
    stack = jax.tree.map(lambda leaf: jnp.stack([leaf] * runs), data)
    assert compilation.pairs_in_batch(networks, stack) == compilation.AT_ONCE * 6 * 2


def test_unknown_options_are_found_out_and_not_used(monkeypatch):
    monkeypatch.setattr(compilation, "QUICK", {"xla_no_such_option": True})
    assert not compilation.has_quick_way.__wrapped__()


def test_a_run_is_the_same_by_both_ways():
    """In a process of its own, where tests have not made all ways the quick one."""
    own = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-c", BOTH_WAYS]
    done = subprocess.run(command, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("few, called, quick", [(1, 1, 2), (1, 0, 2), (0, 1, 1), (0, 0, 0)])
def test_where_few_runs_are_to_come_all_their_programs_are_quick(monkeypatch, few, called, quick):
    """And that of the start, which is their only leg, also where calls follow the neurons."""
    asked = []
    monkeypatch.setattr(lockstep, "can_be_called", lambda: called)
    monkeypatch.setattr(compilation, "FEW", 0)
    monkeypatch.setattr(compilation, "has_quick_way", lambda: asked.append("quick"))
    data, keys = jaxflow.datasets.toy(), jax.random.split(jax.random.key(2), 2)
    starts = jax.vmap(lambda key: jaxflow.init.balanced(key, 8, 2, scale=1e-6, bias=True))(keys)
    runs = run_all(starts, data, replace(settings_of(1e-11, None, 1000), few_runs=bool(few)))
    assert runs.counts() == {"interpolated": 2}
    assert asked == ["quick"] * quick  # the start, and the summaries
