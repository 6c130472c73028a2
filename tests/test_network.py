"""The network holds weights of any size exactly, and is what its formula says."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxflow
from jaxflow import ReluNetwork, init
from jaxflow.network import driving_force, loss, outputs, split_exponential

KEY = jax.random.key(3)


def random_weights(m=7, d=4):
    generator = np.random.default_rng(0)
    w, a = generator.normal(size=(m, d)), generator.normal(size=m)
    size = 10.0 ** generator.integers(-290, 290, m)
    return w * size[:, None], a * size


def test_weights_come_back_bit_by_bit():
    w, a = random_weights()
    network = ReluNetwork(w, a)
    assert np.array_equal(network.w, w) and np.array_equal(network.a, a)


def test_outputs_are_the_formula():
    w, a = np.random.default_rng(1).normal(size=(2, 5, 3))[0], np.arange(-2.0, 3.0)
    network, x = ReluNetwork(w, a), np.random.default_rng(2).normal(size=(6, 3))
    formula = np.maximum(x @ w.T, 0) @ a
    assert network(jnp.asarray(x[0])).shape == ()
    assert np.allclose(jax.vmap(network)(jnp.asarray(x)), formula, rtol=0, atol=1e-14)
    assert float(network.variation_norm()) == pytest.approx(
        np.sum(np.abs(a) * np.linalg.norm(w, axis=1)), rel=1e-15
    )


def test_products_of_weights_survive_where_the_weights_differ_in_size():
    """a = 1e-120 and w = 1e120 give an output of order one."""
    network = ReluNetwork([[1e120]], [1e-120])
    assert float(network(jnp.ones(1))) == pytest.approx(1.0, rel=1e-15)
    assert float(network.variation_norm()) == pytest.approx(1.0, rel=1e-15)


@pytest.mark.parametrize("log_scale", [-1.0, -690.0, -23026.0, -1e6])
def test_log_norms_at_any_scale(log_scale):
    """The norms at the scale λ are those at the scale one, moved by log λ, up to its rounding."""
    there = init.balanced(KEY, 60, 3, log_scale=log_scale).log_norms()
    here = init.balanced(KEY, 60, 3, log_scale=0.0).log_norms()
    assert np.max(np.abs(there - log_scale - here)) <= 4 * np.spacing(abs(log_scale) + 8)


def test_scale_and_log_scale_agree_to_rounding():
    by_scale = init.balanced(KEY, 9, 3, scale=1e-300)
    by_log = init.balanced(KEY, 9, 3, log_scale=math.log(1e-300))
    assert np.allclose(by_scale.w, by_log.w, rtol=2 * np.spacing(690.0), atol=0)


def test_tiny_weights_are_zero_only_when_asked_for_as_floats():
    network = init.balanced(KEY, 9, 3, log_scale=-23026.0)
    assert np.all(network.w == 0) and np.all(np.isfinite(network.log_norms()))
    assert float(network.variation_norm()) == 0


@pytest.mark.parametrize("log", [0.3, -1.0, -690.7755, -23026.0])
def test_split_exponential_against_rational_arithmetic(log):
    exponent, factor = split_exponential(jnp.asarray(log))
    log2 = Fraction("0.693147180559945309417232121458176568075500134360255254120680")
    rest = Fraction(log) - int(exponent) * log2
    assert abs(float(factor) - math.exp(float(rest))) <= 4e-16


def test_force_is_minus_the_gradient_of_the_loss():
    """dw_j/dt = a_j D_j, da_j/dt = ⟨w_j, D_j⟩ against automatic differentiation."""
    data = jaxflow.datasets.five_points()
    network = init.gaussian(KEY, 8, 2, scale=1.0, bias=True)

    def cost(w, a):
        return 0.5 * jnp.mean((jax.nn.relu(data.x @ w.T) @ a - data.y) ** 2)

    grad_w, grad_a = jax.grad(cost, argnums=(0, 1))(network.w, network.a)
    force = driving_force(network, data)
    assert np.allclose(network.a[:, None] * force, -grad_w, rtol=0, atol=1e-15)
    assert np.allclose(jnp.sum(network.w * force, axis=1), -grad_a, rtol=0, atol=1e-15)
    assert float(loss(network, data)) == pytest.approx(float(cost(network.w, network.a)), rel=1e-14)


def test_batched_networks():
    keys = jax.random.split(KEY, 4)
    networks = jax.vmap(lambda key: init.balanced(key, 5, 2, scale=0.5))(keys)
    x = jnp.array([[1.0, -2.0], [0.3, 1.0]])
    together = jax.vmap(outputs, (0, None))(networks, x)
    for index, key in enumerate(keys):
        alone = outputs(init.balanced(key, 5, 2, scale=0.5), x)
        assert np.allclose(together[index], alone, rtol=1e-14, atol=1e-16)
