"""Choices that depend on where computations go: the CPU here, an accelerator by pretence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxflow
from jaxflow.flow import blocks
from jaxflow.montecarlo import ensemble
from jaxflow.platform import is_cpu


def test_the_default_device_decides_and_not_the_platform():
    assert is_cpu()
    with jax.default_device(jax.devices("cpu")[0]):
        assert is_cpu()
    with jax.default_device("gpu"):
        assert not is_cpu()


@pytest.mark.parametrize(
    "dataset, width, on_cpu, elsewhere",
    [
        (jaxflow.datasets.toy(), 60, 256, 65536),
        (jaxflow.datasets.random_orthogonal(jax.random.key(0), 10, 20), 100, 32, 8192),
        (jaxflow.datasets.five_points(), 12, 64, 16384),
        (jaxflow.datasets.gaussian_teacher(jax.random.key(0), 75, 150, 6), 200, 32, 32),
    ],
    ids=["toy", "orthogonal", "five points", "high-dimensional"],
)
def test_an_accelerator_is_given_as_many_runs_as_keep_it_busy(
    monkeypatch, dataset, width, on_cpu, elsewhere
):
    monkeypatch.setattr(ensemble, "are_compiled", lambda: False)
    assert ensemble.default_batch(dataset, width, 10**6) == on_cpu
    monkeypatch.setattr(ensemble, "is_cpu", lambda: False)
    assert ensemble.default_batch(dataset, width, 10**6) == elsewhere


@pytest.mark.parametrize("sign, batch", [(1, 128), (0, 32)], ids=["both signs", "one sign"])
def test_a_batch_whose_sides_are_flown_in_compiled_rounds_has_more_runs(monkeypatch, sign, batch):
    monkeypatch.setattr(ensemble, "are_compiled", lambda: True)
    data = jaxflow.datasets.random_orthogonal(jax.random.key(0), 10, 20)
    data = jaxflow.Dataset(data.x, data.y if sign else jnp.abs(data.y))
    assert ensemble.default_batch(data, 100, 10**6) == batch


@pytest.mark.parametrize(
    "runs, cores, batch", [(256, 1, 256), (256, 2, 128), (1000, 2, 256), (300, 4, 64), (90, 4, 32)]
)
def test_few_runs_are_shared_by_all_cores(monkeypatch, runs, cores, batch):
    monkeypatch.setattr(ensemble.os, "cpu_count", lambda: cores)
    assert ensemble.default_batch(jaxflow.datasets.toy(), 60, runs) == batch


def test_an_ensemble_ends_alike_by_the_ways_of_an_accelerator(monkeypatch):
    keys = jax.random.split(jax.random.key(0), 10)
    given = dict(width=6, scale=1e-6, bias=True, batch=4, horizon=5.0)
    here = jaxflow.ensemble(jaxflow.datasets.toy(), keys, **given)
    for module in (ensemble, blocks):
        monkeypatch.setattr(module, "is_cpu", lambda: False)
    there = jaxflow.ensemble(jaxflow.datasets.toy(), keys, **given)
    for ours, theirs in zip(jax.tree.leaves(here), jax.tree.leaves(there), strict=True):
        np.testing.assert_array_equal(ours, theirs)
