"""The boundary choice in cases small enough to solve by hand, and its paddings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow.modes import (
    Boundaries,
    BoundaryChoice,
    boundary_choice,
    boundary_choices,
    codes,
    leaving_direction,
)

INACTIVE, ACTIVE, SLIDING = codes.INACTIVE, codes.ACTIVE, codes.SLIDING
run = jax.jit(boundary_choice)


def choose(a, x, r, mode, boundary, direction=None, r_rate=None):
    """The choice for plain lists, as NumPy arrays.

    Data that are inactive and have no residual fill them up to one shape, compiled once.
    """
    x = np.asarray(x, dtype=float)
    n, q = x.shape
    rows = np.random.default_rng(0).normal(size=(8, 6))
    rows[:n] = 0.0
    rows[:n, :q] = x

    def filled(values, dtype):
        return jnp.zeros(8, dtype=dtype).at[:n].set(jnp.asarray(values, dtype=dtype))

    on = jnp.zeros(8, dtype=bool).at[jnp.asarray(boundary)].set(True)
    direction, rate = direction or [0] * n, r_rate or [0.0] * n
    found = run(
        float(a),
        Boundaries(jnp.asarray(rows)),
        filled(r, float),
        filled(mode, jnp.int8),
        on,
        filled(direction, jnp.int8),
        filled(rate, float),
    )
    return BoundaryChoice(
        mode=np.asarray(found.mode[:n]),
        alpha=np.asarray(found.alpha[:n]),
        force=np.asarray(found.force[:q]) * 8 / n,
        free=np.asarray(found.free[:n]),
        still=np.asarray(found.still[:n]),
        dual=np.asarray(found.dual[:n, :q]),
        flag=int(found.flag),
    )


@pytest.mark.parametrize("direction", [-1, 1])
@pytest.mark.parametrize("a", [-2.0, 2.0])
def test_repelling_datum_is_crossed(a, direction):
    """An arriving neuron goes on, and α is that of the new side."""
    x, r = [[1.0, 0.0], [0.6, 0.8]], [np.sign(a), np.sign(a) * direction]
    found = choose(a, x, r, [direction < 0, 1], [0], [direction, 0])
    assert found.mode[0] == (ACTIVE if direction > 0 else INACTIVE)
    assert found.flag == codes.UNIQUE
    expected = (np.asarray(x[1]) * direction + (direction > 0) * np.asarray(x[0])) / 2 * np.sign(a)
    np.testing.assert_allclose(found.force, expected, atol=1e-16)


def test_start_on_a_repelling_boundary_with_two_solutions():
    """Inactive, α = 0, is chosen, as relu'(0) = 0, and the other solution is reported."""
    found = choose(1.0, [[1.0, 0.0], [0.6, 0.8]], [1.0, -1.0], [0, 1], [0])
    assert found.mode[0] == INACTIVE and found.flag == codes.NON_UNIQUE
    np.testing.assert_allclose(found.force, [-0.3, -0.4], atol=1e-16)


def test_start_on_a_repelling_boundary_follows_the_only_push():
    """However small, a push from the other data decides; there is no second solution."""
    found = choose(1.0, [[1.0, 0.0], [0.6, 0.8]], [1.0, 1e-8], [0, 1], [0])
    assert found.mode[0] == ACTIVE and found.flag == codes.UNIQUE


def test_start_at_rest():
    """Nothing moves the neuron off a repelling boundary but its own α: it stays, and says so."""
    found = choose(1.0, np.eye(2), [1.0, 1.0], [0, 1], [0])
    assert found.mode[0] == INACTIVE and found.still[0]
    assert found.flag == codes.AT_REST


def test_zero_weights_stay_zero():
    """w = 0: all data on the boundary, α = 0 for all of them, no force."""
    found = choose(1.0, [[1.0, 0.0], [0.5, 1.0], [0.3, 0.1]], [1.0, -1.0, 0.5], [0] * 3, [0, 1, 2])
    np.testing.assert_array_equal(found.mode, [INACTIVE] * 3)
    assert np.all(found.force == 0) and found.flag == codes.AT_REST


def test_zero_weights_between_opposite_inputs_move():
    """w = 0, x and −x: on either side one of them acts, and if both push one way w follows."""
    found = choose(1.0, [[1.0], [-1.0]], [3.0, -1.0], [0, 0], [0, 1])
    np.testing.assert_array_equal(found.mode, [ACTIVE, INACTIVE])
    assert found.force[0] == 1.5


def test_orthogonal_attracting_datum_dies():
    """u stops exactly at 0: inactive and still, not sliding."""
    found = choose(1.0, np.eye(2), [-1.0, 1.0], [1, 1], [0], [-1, 0])
    assert found.mode[0] == INACTIVE and found.still[0] and not found.free.any()
    np.testing.assert_array_equal(found.force, [0.0, 0.5])


def test_sliding_coefficient():
    """α_0 r_0 = −⟨x_0, r_1 x_1⟩ for a unit x_0; the force is the projection."""
    found = choose(1.0, [[1.0, 0.0], [0.6, 0.8]], [-2.0, 1.0], [1, 1], [0], [-1, 0])
    assert found.mode[0] == SLIDING and found.free[0] and not found.still[0]
    np.testing.assert_allclose(found.alpha, [0.3, 1.0], atol=1e-16)
    np.testing.assert_allclose(found.force, [0.0, 0.4], atol=1e-16)
    np.testing.assert_allclose(found.dual, [[1.0, 0.0], [0.0, 0.0]], atol=1e-16)


@pytest.mark.parametrize("excess", [0.0, 1e-13, -1e-13])
def test_leaving_where_alpha_meets_its_bound(excess):
    """A datum said to leave leaves, within the accuracy to which its α is known."""
    x = [[1.0, 0.0], [0.6, 0.8]]
    found = choose(1.0, x, [-0.6 * (1 - excess), 1.0], [2, 1], [0], [1, 0])
    assert found.mode[0] == ACTIVE and not found.free.any() and not found.still[0]


def test_leaving_is_taken_back_if_the_velocity_contradicts():
    found = choose(1.0, [[1.0, 0.0], [0.6, 0.8]], [-2.0, 1.0], [2, 1], [0], [1, 0])
    assert found.mode[0] == SLIDING and found.alpha[0] == pytest.approx(0.3, abs=1e-15)


def test_boundary_that_became_repelling():
    """After a has changed sign the neuron stays, at the same α, and leaves to the opposite side."""
    x, r = [[1.0, 0.0], [0.6, 0.8]], [-2.0, 1.0]
    stays = choose(-1.0, x, r, [2, 1], [0])
    assert stays.mode[0] == SLIDING and stays.alpha[0] == pytest.approx(0.3, abs=1e-15)
    assert stays.flag == codes.UNSTABLE
    side = leaving_direction(jnp.asarray(-1.0), jnp.asarray(r), jnp.asarray([1.0, 1.0]))[0]
    assert side == -1
    leaves = choose(-1.0, x, [-0.6, 1.0], [2, 1], [0], [int(side), 0])
    assert leaves.mode[0] == INACTIVE and leaves.flag == codes.UNIQUE
    pushed = choose(-1.0, x, [-0.5, 1.0], [2, 1], [0])
    assert pushed.mode[0] == INACTIVE and pushed.flag == codes.UNIQUE


def test_zero_output_weight():
    """Where a and da/dt vanish nothing moves: boundaries keep their mode, and it is reported."""
    found = choose(0.0, np.eye(2), [-1.0, 1.0], [0, 1], [0])
    assert found.mode[0] == INACTIVE and found.flag == codes.AT_REST


def test_zero_residual_is_crossed():
    """r_k = 0: no discontinuity, so the mode follows the velocity, whatever it was before."""
    for push, mode in ((1.0, ACTIVE), (-1.0, INACTIVE)):
        found = choose(1.0, [[1.0, 0.0], [0.6, 0.8]], [0.0, push], [0, 1], [0], [int(push), 0])
        assert found.mode[0] == mode and found.flag == codes.UNIQUE


def test_duplicates_are_one_boundary():
    """Jumps −3 and 1 make one attracting boundary of jump −2 between forces f and f − 2."""
    x = [[1.0, 0.0], [1.0, 0.0], [0.6, 0.8]]
    for force, mode, alpha in ((1.2, 2, 0.6), (-0.5, 0, 0.0), (2.5, 1, 1.0)):
        found = choose(1.0, x, [-3.0, 1.0, force / 0.6], [1, 1, 1], [0, 1], [-1, -1, 0])
        np.testing.assert_array_equal(found.mode, [mode, mode, 1])
        np.testing.assert_allclose(found.alpha, [alpha, alpha, 1.0], atol=2e-16)
        np.testing.assert_allclose(3 * found.force[0], force - 2 * alpha, atol=5e-16)


def test_opposite_inputs_are_one_boundary():
    """x and −2x with r = (−1, −1): forces 2 below and −1 above, so α = 2/3 and 1/3."""
    found = choose(1.0, [[1.0], [-2.0]], [-1.0, -1.0], [1, 0], [0], [-1, 0])
    np.testing.assert_array_equal(found.mode, [SLIDING, SLIDING])
    np.testing.assert_allclose(found.alpha, [2 / 3, 1 / 3], atol=2e-16)
    assert abs(found.force[0]) < 2e-16


PLANE = ([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [1.0, 0.5]], [-1.0, -1.0, -1.0, 1.0])


def test_rates_hand_over_between_dependent_data():
    """α_0 = 1 is exceeded: α_2, until now 0, takes over, as the rate of the force demands."""
    found = choose(1.0, *PLANE, [2, 2, 2, 1], [0, 1, 2], [1, 0, 0, 0], [0.0, 0.0, 0.0, 1.0])
    np.testing.assert_array_equal(found.mode, [SLIDING, SLIDING, SLIDING, ACTIVE])
    np.testing.assert_array_equal(found.free, [False, True, True, False])
    np.testing.assert_allclose(found.alpha, [1.0, 0.5, 0.0, 1.0], atol=2e-16)
    assert found.still[0]


def test_dependent_datum_is_held():
    """Two data fix the plane; the third cannot leave it and keeps its α at a bound."""
    found = choose(1.0, PLANE[0], [-1.0, -1.0, -1.0, 0.7], [0, 0, 0, 1], [0, 1, 2])
    np.testing.assert_array_equal(found.mode[:3], [SLIDING] * 3)
    assert found.free.sum() == 2 and found.still.sum() == 1
    held = found.alpha[:3][found.still[:3]]
    assert held[0] in (0.0, 1.0)
    assert np.linalg.norm(found.force) < 2e-16


def test_arriving_repelling_datum_crosses_while_others_slide():
    """Its velocity rises with its α, the others' least norm included: it is never turned back."""
    rng = np.random.default_rng(5)
    crossed = 0
    for _ in range(60):
        x, r = rng.normal(size=(8, 6)), rng.normal(size=8)
        r[:4] = -np.abs(r[:4])
        r[4] = np.abs(r[4])
        mode = rng.integers(0, 2, size=8)
        before = choose(1.0, x, r, mode, [0, 1, 2, 3])
        velocity = x[4] @ before.force
        if before.free.any() and (velocity < 0) == (mode[4] == 1):
            crossed += 1
            mode = np.where(before.mode == SLIDING, 2, before.mode)
            direction = [0, 0, 0, 0, int(np.sign(velocity)), 0, 0, 0]
            on = [*np.flatnonzero(before.free | before.still), 4]
            after = choose(1.0, x, r, mode, on, direction)
            assert after.mode[4] == (velocity > 0) and after.flag == codes.UNIQUE
            assert (x[4] @ after.force) * velocity > velocity**2 * (1 - 1e-12)
    assert crossed > 10


def test_nearly_collinear_data():
    """An angle of 1e-5 between two sliding data costs no accuracy of the force."""
    x = [[1.0, 0.0, 0.0], [1.0, 1e-5, 0.0], [0.6, 0.3e-5, 0.8]]
    found = choose(1.0, x, [-1.0, -1.0, 1.0], [0, 0, 1], [0, 1])
    assert found.free.sum() == 2
    np.testing.assert_allclose(3 * found.force, [0.0, 0.0, 0.8], atol=1e-15)


def test_paddings_agree():
    """Neurons on few boundaries get the same answer whether or not another one is on many."""
    rng = np.random.default_rng(2)
    n, q, m = 32, 30, 3
    boundaries = Boundaries(jnp.asarray(rng.normal(size=(n, q))))
    r = jnp.asarray(np.where(np.arange(n) < 28, -1, 1) * np.abs(rng.normal(size=n)))
    mode = jnp.asarray(rng.integers(0, 2, size=(m, n)), dtype=jnp.int8)
    many = jnp.arange(n) < jnp.asarray([28, 10, 20])[:, None]
    few = many.at[0].set(False)
    nowhere = jnp.zeros((m, n), dtype=jnp.int8)
    choose_all = jax.jit(boundary_choices)
    wide = choose_all(jnp.ones(m), boundaries, r, mode, many, nowhere)
    narrow = choose_all(jnp.ones(m), boundaries, r, mode, few, nowhere)
    assert wide.free[1:].sum() > 5
    for name in ("mode", "free", "still", "flag"):
        np.testing.assert_array_equal(getattr(wide, name)[1:], getattr(narrow, name)[1:])
    for name in ("force", "alpha", "dual"):
        wanted, got = getattr(wide, name)[1:], getattr(narrow, name)[1:]
        np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-15)
