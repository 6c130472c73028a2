"""Tangent kernel, Polyak–Łojasiewicz constant and couplings, by differentiation and by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxflow import Dataset, ReluNetwork, datasets, init
from jaxflow.network import loss
from jaxflow.theory import decoupling, fit_rates, local_polyak_lojasiewicz, tangent_kernel


def plain_outputs(w, a, x):
    return jnp.maximum(x @ w.T, 0) @ a


def test_kernel_and_constant_by_automatic_differentiation():
    dataset = datasets.five_points()
    network = init.gaussian(jax.random.key(0), 6, 2, scale=2.0)
    jacobians = jax.jacobian(plain_outputs, (0, 1))(network.w, network.a, dataset.x)
    flat = jnp.concatenate([leaf.reshape(5, -1) for leaf in jacobians], axis=1)
    np.testing.assert_allclose(tangent_kernel(network, dataset), flat @ flat.T, rtol=0, atol=1e-14)
    gradient = flat.T @ (plain_outputs(network.w, network.a, dataset.x) - dataset.y) / 5
    wanted = jnp.sum(gradient**2) / (2 * loss(network, dataset))
    np.testing.assert_allclose(local_polyak_lojasiewicz(network, dataset), wanted, rtol=1e-14)
    low, high = fit_rates(network, dataset)[jnp.array([0, -1])]
    assert low <= wanted <= high


def test_rates_of_a_balanced_interpolator_by_hand():
    # one neuron a = 2, w = (2, 0) fits x = (1, 0), y = 4: K = u² + a²‖x‖² = 8
    dataset = Dataset([[1.0, 0.0]], [4.0])
    network = ReluNetwork([[2.0, 0.0]], [2.0])
    np.testing.assert_allclose(fit_rates(network, dataset), [8.0], rtol=1e-15)
    near = ReluNetwork([[2.0 * (1 + 1e-9), 0.0]], [2.0])
    np.testing.assert_allclose(local_polyak_lojasiewicz(near, dataset), 8.0, rtol=3e-9)


def frozen_mode_field(z, alpha, gram, y):
    """du_jk/dt and da_j/dt on fixed modes, in the coordinates z_j = (a_j, u_j1, …, u_jn)."""
    a, u, n = z[:, 0], z[:, 1:], y.shape[0]
    r = alpha * (y - jnp.sum(a[:, None] * u * alpha, axis=0)) / n
    return jnp.concatenate([jnp.sum(r * u, axis=1)[:, None], a[:, None] * (r @ gram)], axis=1)


def couplings(network, dataset):
    """The four numbers from the field and its automatic derivatives."""
    n, m, y = dataset.n, network.width, dataset.y
    u, a = network.w @ dataset.x.T, network.a
    alpha, gram = (u > 0).astype(float), dataset.x @ dataset.x.T
    z = jnp.concatenate([a[:, None], u], axis=1)
    diagonal = jnp.diag(jnp.diag(gram))
    own = frozen_mode_field(z, alpha, diagonal, y)[:, 1:]
    # the field is linear in the Gram matrix: its derivative holds every single term
    terms = jax.jacobian(frozen_mode_field, 2)(z, alpha, gram, y)[:, 1:] * gram
    terms = jnp.einsum("jklk->jkl", terms) * (1 - jnp.eye(n))
    no_residual = jax.jacobian(lambda a: a[:, None] * (alpha * (y - outputs_of(z, alpha)) / n))(a)
    through_a = jnp.einsum("jkj->jk", no_residual) * jnp.diag(gram)
    jacobian = jax.jacobian(frozen_mode_field)(z, alpha, diagonal, y)[:, 1:]
    across = jacobian * (1 - jnp.eye(m))[:, None, :, None]
    return [jnp.linalg.norm(v) for v in (own, terms, through_a, across)]


def outputs_of(z, alpha):
    return jnp.sum(z[:, :1] * z[:, 1:] * alpha, axis=0)


def test_couplings_by_automatic_differentiation():
    dataset = datasets.five_points()
    network = init.gaussian(jax.random.key(1), 6, 2, scale=1.0)
    mine = decoupling(network, dataset)
    found = mine.own_datum, mine.other_data, mine.output_weight, mine.through_residual
    np.testing.assert_allclose(found, jax.jit(couplings)(network, dataset), rtol=1e-13)


def test_orthogonal_inputs_remove_one_coupling_only():
    network = init.gaussian(jax.random.key(1), 6, 2, scale=1.0)
    orthogonal, general = (decoupling(network, d) for d in (datasets.toy(), datasets.five_points()))
    assert orthogonal.other_data == 0 < general.other_data
    assert orthogonal.output_weight > 0 and orthogonal.through_residual > 0
    assert "zero for orthogonal" in repr(orthogonal)
