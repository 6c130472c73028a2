"""Factorisations are done one at a time on a CPU, and are what NumPy says they are."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxflow
from jaxflow import lapack
from jaxflow.flow.gradient_flow import settings_of
from jaxflow.montecarlo.ensemble import integrate_batch

CALL = re.compile(r"@(lapack_\w+)\(.*?\) .*?: \(?tensor<([\dx]+)xf64>")
"""A call of LAPACK in a lowered program, with the shape of its first argument."""


def batches_of_lapack(lowered: str) -> dict[str, set[tuple[int, ...]]]:
    """For every function of LAPACK the shapes of batches that it is called with."""
    found: dict[str, set[tuple[int, ...]]] = {}
    for name, shape in CALL.findall(lowered):
        lengths = tuple(int(length) for length in shape.split("x"))
        found.setdefault(name, set()).add(lengths[:-2])
    return found


def stacked(family: str, runs: int):
    """Networks with a data set each."""
    draw = {
        "orthogonal": lambda key: jaxflow.datasets.random_orthogonal(key, 4, 5),
        "general": lambda key: jaxflow.datasets.gaussian_teacher(key, 4, 5, 2),
    }[family]
    drawn = [draw(jax.random.key(k)) for k in range(runs)]
    one_each = [jaxflow.Dataset(data.x, data.y) for data in drawn]
    stack = jax.tree.map(lambda *parts: jnp.stack(parts), *one_each)
    keys = jax.random.split(jax.random.key(1), runs)
    start = jax.vmap(lambda key: jaxflow.init.balanced(key, 6, 5, scale=1e-3))(keys)
    return start, stack


@pytest.mark.parametrize("family", ["orthogonal", "general"])
def test_no_batch_of_an_ensemble_goes_to_lapack(family):
    """Where one does, ensembles wait for ever with jaxlib 0.10.2, for some sizes of a batch."""
    networks, data = stacked(family, 3)
    settings = settings_of(1e-11, None, 1000)
    lowered = jax.jit(integrate_batch).lower(networks, data, settings).as_text()
    batches = batches_of_lapack(lowered)
    assert "lapack_dsyevd_ffi" in batches
    assert all(batch == {()} for batch in batches.values()), batches


def test_the_reader_of_programs_sees_a_batch():
    lowered = jax.jit(jax.vmap(jnp.linalg.eigvalsh)).lower(jnp.ones((3, 2, 2))).as_text()
    assert batches_of_lapack(lowered) == {"lapack_dsyevd_ffi": {(3,)}}


@pytest.mark.parametrize("cpu", [True, False], ids=["one by one", "as a batch"])
def test_a_batch_of_batches_has_the_factors_of_numpy(monkeypatch, cpu):
    monkeypatch.setattr(lapack, "is_cpu", lambda: cpu)
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4))
    kernels = np.swapaxes(x, -1, -2) @ x

    def of_all(function, matrices):
        return jax.vmap(jax.vmap(function))(jnp.asarray(matrices))

    values = of_all(lapack.eigenvalues, kernels)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(kernels), rtol=1e-11)
    values, axes = of_all(lapack.eigenvalues_and_axes, kernels)
    np.testing.assert_allclose(kernels @ axes, axes * values[..., None, :], atol=1e-12)
    largest = of_all(lapack.largest_singular_value, x)
    np.testing.assert_allclose(largest, np.linalg.svd(x)[1].max(-1), rtol=1e-13)
    q, r = of_all(lapack.orthonormal_basis, x)
    np.testing.assert_allclose(q @ r, x, atol=1e-13)
    np.testing.assert_allclose(
        np.swapaxes(q, -1, -2) @ q, np.tile(np.eye(4), (2, 3, 1, 1)), atol=1e-13
    )
    assert np.all(np.tril(np.asarray(r), -1) == 0)
