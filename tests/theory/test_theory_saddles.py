"""Saddles: rates and indices against finite differences of the field in 50 digits."""

from itertools import chain

import jax
import jax.numpy as jnp
import numpy as np
from mpmath import mp, mpf
from theory_direct_evaluation import exact

from jaxflow import Dataset, ReluNetwork, datasets, init
from jaxflow.network import loss
from jaxflow.theory import distance_to_critical_point, jump_process, saddles

mp.dps = 50


def field(z, x, y):
    """dz/dt of rows z_j = (a_j, w_j), in the words of the definition."""
    pre = [[mp.fsum(p * q for p, q in zip(row[1:], xk, strict=True)) for xk in x] for row in z]
    r = [y[k] - mp.fsum(row[0] * max(u[k], 0) for row, u in zip(z, pre, strict=True))
         for k in range(len(y))]  # fmt: skip
    out = []
    for row, u in zip(z, pre, strict=True):
        force = [mp.fsum(r[k] * x[k][i] for k in range(len(y)) if u[k] > 0) / len(y)
                 for i in range(len(x[0]))]  # fmt: skip
        head = mp.fsum(p * q for p, q in zip(row[1:], force, strict=True))
        out.append([head, *(row[0] * f for f in force)])
    return out


def difference(z, direction, x, y):
    """One-sided derivative of the field along a direction, into the cell it points to."""
    step = mpf(10) ** -20
    moved = [[p + step * q for p, q in zip(row, turn, strict=True)]
             for row, turn in zip(z, direction, strict=True)]  # fmt: skip
    before, after = field(z, x, y), field(moved, x, y)
    return [[(p - q) / step for p, q in zip(a, b, strict=True)]
            for a, b in zip(after, before, strict=True)]  # fmt: skip


def toy_case():
    network = init.balanced(jax.random.key(4), 9, 2, scale=1e-6)
    process = jump_process(network, datasets.toy())
    return network, process, saddles(network, datasets.toy(), process)


def test_escape_rates_of_the_toy_in_50_digits():
    network, process, found = toy_case()
    x, y = [exact(row) for row in datasets.toy().x], exact(datasets.toy().y)
    norms = [mp.sqrt(row[0] ** 2 + row[1] ** 2) for row in x]
    assert process.count == 2
    for plateau in range(3):
        critical = found.critical_network(plateau)
        z = [
            [p, *q] for p, q in zip(exact(critical.a), [exact(r) for r in critical.w], strict=True)
        ]
        rest = [[mpf(0)] * 3] * len(z)
        for j in np.flatnonzero(found.escape_rates[plateau]):
            k = 1 if network.a[j] > 0 else 0
            sign = 1 if k == 1 else -1
            escape = [mpf(sign), *(c / norms[k] for c in x[k])]
            (*_, moved) = difference([*z, [mpf(0)] * 3], [*rest, escape], x, y)
            rate = mpf(float(found.escape_rates[plateau, j]))
            assert max(abs(p - rate * q) for p, q in zip(moved, escape, strict=True)) < 1e-15
            contracting = [-mpf(sign), *escape[1:]]
            (*_, moved) = difference([*z, [mpf(0)] * 3], [*rest, contracting], x, y)
            assert max(abs(p + rate * q) for p, q in zip(moved, contracting, strict=True)) < 1e-15


def test_morse_index_of_the_toy_counts_the_neurons_left_to_be_born():
    network, _, found = toy_case()
    active = np.asarray(network.w @ datasets.toy().x.T > 0)
    positive = np.asarray(network.a) > 0
    fits_first, fits_second = active[:, 1] & positive, active[:, 0] & ~positive
    wanted = [np.sum(fits_first | fits_second), np.sum(fits_second), 0]
    assert found.morse_index.tolist() == wanted and wanted[1] > 0
    assert found.indices_decrease()
    np.testing.assert_allclose(np.max(found.escape_rates[0]), np.sqrt(5) / 2, rtol=1e-15)
    np.testing.assert_allclose(np.max(found.escape_rates[1]), np.sqrt(1.25) / 2, rtol=1e-15)


def hessian_spectrum(z, x, y):
    """Eigenvalues of the field's Jacobian at z, by central differences in 50 digits."""
    size, step = len(z) * len(z[0]), mpf(10) ** -25
    columns = []
    for c in range(size):
        turn = [[mpf(3 * j + i == c) for i in range(3)] for j in range(len(z))]
        ends = [
            [[p + side * step * q for p, q in zip(row, d, strict=True)]
             for row, d in zip(z, turn, strict=True)] for side in (1, -1)
        ]  # fmt: skip
        plus, minus = (list(chain(*field(end, x, y))) for end in ends)
        columns.append([float((p - q) / (2 * step)) for p, q in zip(plus, minus, strict=True)])
    jacobian = np.array(columns)
    assert np.max(np.abs(jacobian - jacobian.T)) < 1e-15  # minus a Hessian
    return np.linalg.eigvalsh(jacobian)


def off_the_boundaries(active, x):
    """A vector whose product with x_k is positive where active, else negative (orthogonal x)."""
    signs = [1 if on else -1 for on in active]
    return [mp.fsum(sign * row[i] for sign, row in zip(signs, x, strict=True)) for i in range(2)]


def point_in_cells(fits, cells, x, y):
    """The critical point with one neuron for each datum of `fits`, and zero neurons in cells.

    All are moved off the boundaries by 1e-22, into cells in which the field is smooth.
    """
    rows, push = [], mpf(10) ** -22
    for k in fits:
        length = mp.sqrt(sum(c**2 for c in x[k]))
        a = mp.sqrt(abs(y[k]) / length)
        off = off_the_boundaries([other == k for other in range(2)], x)
        w = [a * c / length + push * o for c, o in zip(x[k], off, strict=True)]
        rows.append([a if y[k] > 0 else -a, *w])
    zeros = ([mpf(0), *(push * o for o in off_the_boundaries(cell, x))] for cell in cells)
    return [*rows, *zeros]


def test_morse_index_and_rates_are_those_of_the_hessian_in_50_digits():
    network, process, found = toy_case()
    dataset = datasets.toy()
    x, y = [exact(row) for row in dataset.x], exact(dataset.y)
    initial = np.asarray(network.w @ dataset.x.T > 0)
    arrival = initial & (np.sign(network.a)[:, None] * np.asarray(dataset.y) > 0)
    for plateau in range(3):
        born = np.asarray(process.neurons[:plateau])
        fits = np.argmax(process.fitted[:plateau], axis=1)
        for active in (arrival, initial):
            z = point_in_cells(fits, np.delete(active, born, axis=0), x, y)
            mine = found.critical_network(plateau)
            exact_born = np.array([[float(c) for c in row] for row in z[:plateau]]).reshape(-1, 3)
            np.testing.assert_allclose(mine.a[:plateau], exact_born[:, 0], rtol=4e-16)
            np.testing.assert_allclose(mine.w[:plateau], exact_born[:, 1:], atol=4e-16)
            slopes = hessian_spectrum(z, x, y)
            rates = np.asarray(found.cell_rates(plateau, jnp.asarray(active)))
            positive = np.sort(rates[rates > 0])
            assert np.sum(slopes > 1e-12) == positive.size
            np.testing.assert_allclose(slopes[slopes > 1e-12], positive, rtol=2e-15)
            relaxing = np.asarray(found.relaxation_rates(plateau))
            wanted = np.sort(np.concatenate([-relaxing[relaxing > 0], -positive]))
            np.testing.assert_allclose(slopes[slopes < -1e-12], wanted, rtol=4e-15)
            if active is arrival:
                assert positive.size == found.morse_index[plateau]
                escaping = np.asarray(found.escape_rates[plateau])
                np.testing.assert_allclose(np.sort(escaping[escaping > 0]), positive, rtol=1e-15)
    at_origin = np.sum(np.asarray(found.cell_rates(0, jnp.asarray(initial))) > 0)
    assert at_origin == np.sum(np.any(initial, axis=1)) > found.morse_index[0]


def test_relaxation_rates_are_the_slopes_of_the_field_at_the_born_neurons():
    dataset = Dataset(np.diag([1.0, 2.0, 0.5]), [3.0, 1.0, -2.0])
    w = 1e-5 * np.array([[1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    network = ReluNetwork(w, np.sqrt(3) * 1e-5 * np.array([1.0, -1.0]))
    found = saddles(network, dataset, jump_process(network, dataset))
    x, y = [exact(row) for row in dataset.x], exact(dataset.y)
    a, hidden = found.process.network.a, found.process.network.w
    z = [[mpf(float(a[0])), *exact(hidden[0])]]
    residual_free = [y[0], y[1], mpf(0)]
    columns = [difference(z, [[mpf(i == c) for i in range(4)]], x, residual_free)[0]
               for c in range(3)]  # fmt: skip
    slopes = mp.eigsy(mp.matrix([[-columns[c][r] for c in range(3)] for r in range(3)]))[0]
    wanted = sorted(float(s) for s in slopes)[1:]  # the first is 0: scaling a against w
    mine = np.asarray(found.relaxation_rates(1))
    np.testing.assert_allclose(mine[-2:], wanted, rtol=3e-15)
    assert abs(mine[0]) < 1e-15


def test_critical_networks_have_the_loss_of_their_plateau():
    dataset = datasets.random_orthogonal(jax.random.key(3), 10, 12)
    network = init.balanced(jax.random.key(38), 12, 12, scale=1.0)
    found = saddles(network, dataset, jump_process(network, dataset))
    for plateau, wanted in enumerate(found.losses):
        np.testing.assert_allclose(
            loss(found.critical_network(plateau), dataset), wanted, rtol=3e-15
        )
    assert found.indices_decrease() and found.morse_index[0] <= 12
    assert "plateau 1" in repr(found)


def test_distance_to_a_critical_point_by_hand():
    critical = ReluNetwork([[2.0, 0.0], [0.0, 0.0]], [2.0, 0.0])
    copies = ReluNetwork([[1.2, 0.0], [1.6, 0.0]], [1.2, 1.6])  # 0.6² + 0.8² = 1
    assert distance_to_critical_point(copies, critical) < 1e-15
    off = ReluNetwork([[1.2, 0.3], [1.6, 0.0], [0.0, -0.4]], [1.2, 1.6, 0.0])
    assert abs(distance_to_critical_point(off, critical) - 0.5) < 1e-15
    tiny = ReluNetwork([[3e-9, 4e-9]], [0.0])
    origin = ReluNetwork(jnp.zeros((1, 2)), jnp.zeros(1))
    assert abs(distance_to_critical_point(tiny, origin) / 5e-9 - 1) < 1e-15
