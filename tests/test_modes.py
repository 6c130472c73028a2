"""The boundary choice against enumeration with SciPy's bounded least squares, and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from boundary_reference import ZERO, consistent_solutions, lines

from jaxflow.dataset import worst_cosine
from jaxflow.modes import Boundaries, boundary_choice, codes

N, Q, PROBLEMS = 12, 8, 400
KINDS = ("independent", "crowded", "duplicates", "multiples", "grid")


def draw(seed):
    """A random neuron: n in 1..12 data in dimension 1..8, filled up to 12 and 8 by silent data."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    n, q = int(rng.integers(1, N + 1)), int(rng.integers(1, Q + 1))
    if kind == "independent":
        n, q = min(n, Q), max(q, min(n, Q))
    if kind == "crowded":
        q = min(q, 3)
    x = rng.normal(size=(n, q))
    if kind == "grid":
        x = rng.integers(-1, 2, size=(n, q)).astype(float)
        x[:, 0] = np.where(np.any(x != 0, axis=1), x[:, 0], 1.0)
    for k in range(1, n):
        if kind == "duplicates" and rng.random() < 0.5:
            x[k] = x[rng.integers(k)]
        if kind == "multiples" and rng.random() < 0.6:
            x[k] = rng.choice([-2.0, -0.7, 0.3, 1.5]) * x[rng.integers(k)]
    r = rng.normal(size=n)
    a = rng.choice([-1.3, 0.4])
    toward = rng.random(n) < rng.choice([0.5, 0.9, 1.0])
    r = np.where(toward, -np.sign(a) * np.abs(r), r)
    r[rng.random(n) < 0.08] = 0.0
    boundary = rng.random(n) < rng.choice([0.4, 0.8, 1.0])
    if not boundary.all():
        r[~boundary] *= rng.choice([1.0, -3.0])
    mode = rng.integers(0, 2, size=n)
    direction = rng.integers(-1, 2, size=n) * (rng.random() < 0.7)
    return kind, padded(a, x, r, mode, boundary, direction, rng)


def padded(a, x, r, mode, boundary, direction, rng):
    """Fill up with inactive data off the boundary that have no residual."""
    n, q = x.shape
    full = rng.normal(size=(N, Q))
    full[:n] = 0.0
    full[:n, :q] = x
    more = N - n
    return (
        np.float64(a),
        full,
        np.append(r, np.zeros(more)),
        np.append(mode, np.zeros(more)).astype(np.int8),
        np.append(boundary, np.zeros(more)).astype(bool),
        np.append(direction, np.zeros(more)).astype(np.int8),
    )


def choose(a, x, r, mode, boundary, direction):
    return boundary_choice(a, Boundaries(x), r, mode, boundary, direction)


single = jax.jit(choose)
batched = jax.jit(jax.vmap(choose))


@pytest.fixture(scope="module")
def drawn():
    kinds, problems = zip(*(draw(seed) for seed in range(PROBLEMS)), strict=True)
    stacked = [np.stack(column) for column in zip(*problems, strict=True)]
    chosen = jax.tree.map(np.asarray, batched(*stacked))
    each = [jax.tree.map(lambda v, i=i: v[i], chosen) for i in range(PROBLEMS)]
    return kinds, problems, each


@pytest.fixture(scope="module")
def enumerated(drawn):
    return [consistent_solutions(*problem[:5]) for problem in drawn[1]]


def scale(problem):
    _, x, r, *_ = problem
    return np.sum(np.abs(r) * np.linalg.norm(x, axis=1))


def test_problems_are_varied(drawn):
    """Dependent boundary data in a third of them, sliding and bounds, several repelling ones."""
    _, problems, chosen = drawn
    dependent = [
        np.linalg.matrix_rank(x[b]) < b.sum() if b.any() else False for _, x, _, _, b, _ in problems
    ]
    assert np.mean(dependent) > 1 / 3
    assert sum(c.free.any() for c in chosen) > 120
    assert sum(c.free.sum() > 2 for c in chosen) > 20
    assert sum(bool(c.flag & codes.NON_UNIQUE) for c in chosen) > 10
    assert not any(c.flag & codes.FAILED for c in chosen)


def test_force_is_a_consistent_solution(drawn, enumerated):
    """D is one of the enumerated solutions, and the only one where there is only one."""
    _, problems, chosen = drawn
    errors, singles = [], 0
    for problem, choice, (_, solutions) in zip(problems, chosen, enumerated, strict=True):
        distances = [np.linalg.norm(N * choice.force - force) for _, force in solutions]
        errors.append(min(distances) / (scale(problem) + 1e-300))
        singles += len(solutions) == 1
    assert singles > 200
    assert max(errors) < 1e-14, max(errors)


def test_non_uniqueness_is_reported(drawn, enumerated):
    """Reported only where enumeration finds several solutions, and always for at most two sides."""
    _, problems, chosen = drawn
    compared = 0
    for problem, choice, known in zip(problems, chosen, enumerated, strict=True):
        a, x, _, _, _, direction = problem
        repelling, solutions = known
        velocity = a * N * x @ choice.force
        if any(abs(velocity[k]) < ZERO for k in repelling):
            continue
        reported = bool(choice.flag & codes.NON_UNIQUE)
        assert not reported or len(solutions) > 1
        unmoved = any(direction[k] == 0 for k in repelling)
        if len(repelling) == 2 or (len(repelling) == 1 and unmoved):
            assert reported == (len(solutions) > 1)
            compared += 1
    assert compared > 40


def test_modes_follow_velocities(drawn):
    """Active where u_k grows, inactive where it falls; velocity 0 and α inside where it slides."""
    _, problems, chosen = drawn
    worst = 0.0
    for problem, choice in zip(problems, chosen, strict=True):
        a, x, _, _, boundary, _ = problem
        velocity = np.sign(a) * N * x @ choice.force
        size = scale(problem) * np.linalg.norm(x, axis=1)
        on = np.zeros(N, dtype=bool)
        for group in lines(x):
            on[[k for k, _ in group]] = boundary[group[0][0]]
        up, down = on & (velocity > 1e-12 * size), on & (velocity < -1e-12 * size)
        assert np.all(choice.mode[up] == codes.ACTIVE)
        assert np.all(choice.mode[down] == codes.INACTIVE)
        assert np.all((choice.alpha >= 0) & (choice.alpha <= 1))
        assert np.all(choice.alpha[choice.mode == codes.ACTIVE] == 1)
        assert np.all(choice.alpha[choice.mode == codes.INACTIVE] == 0)
        assert np.all(choice.mode[choice.free] == codes.SLIDING)
        assert np.all((choice.alpha[choice.free] > 0) & (choice.alpha[choice.free] < 1))
        assert not np.any(choice.still & (choice.free | up | down))
        sliding = choice.mode == codes.SLIDING
        worst = max(worst, np.max(np.abs(velocity[sliding]) / size[sliding], initial=0.0))
    assert worst < 3e-15, worst


def fixed_force(choice, boundaries, r):
    """F = N + Σ_{not free} α J x over leaders, for residuals r."""
    leader_alpha = choice.alpha * np.asarray(boundaries.is_leader) * ~choice.free
    return (boundaries.offset(r) + leader_alpha * boundaries.jump(r)) @ boundaries.rows


def test_dual_matrix_gives_the_sliding_coefficients(drawn):
    """(α J)_free = −E F, and (I − X_freeᵀ E) F stays orthogonal to all that slides as r moves."""
    _, problems, chosen = drawn
    rng = np.random.default_rng(0)
    coefficient_error, force_error, leak = 0.0, 0.0, 0.0
    for problem, choice in zip(problems, chosen, strict=True):
        _, x, r, *_ = problem
        if not choice.free.any():
            continue
        boundaries = Boundaries(jnp.asarray(x))
        size = scale(problem)
        coefficients = -choice.dual @ fixed_force(choice, boundaries, r)
        wanted = np.where(choice.free, choice.alpha * boundaries.jump(r), 0.0)
        coefficient_error = max(coefficient_error, np.max(np.abs(coefficients - wanted)) / size)
        force = fixed_force(choice, boundaries, r) + coefficients @ x
        force_error = max(force_error, np.max(np.abs(force - N * choice.force)) / size)
        later = r + rng.normal(size=N)
        pushed = fixed_force(choice, boundaries, later)
        force = pushed - (choice.dual @ pushed) @ x
        sliding = choice.mode == codes.SLIDING
        pushed_size = np.linalg.norm(pushed) * np.linalg.norm(x[sliding], axis=1) + 1e-300
        leak = max(leak, np.max(np.abs(x[sliding] @ force) / pushed_size))
        assert np.linalg.matrix_rank(x[choice.free]) == choice.free.sum()
    assert coefficient_error < 2e-14, coefficient_error
    assert force_error < 1e-14, force_error
    assert leak < 3e-14, leak


def assert_alike(one, other, problem):
    for name in ("mode", "free", "still", "flag"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(one.force, other.force, rtol=0, atol=1e-16 * scale(problem))


def test_data_known_to_be_distinct_are_settled_alike(drawn):
    """Only without collinear inputs, in a program that does not look for them."""
    kinds, problems, chosen = drawn
    distinct = jax.jit(lambda a, x, *given: boundary_choice(a, Boundaries(x, True), *given))
    seen = 0
    for kind, problem, choice in zip(kinds, problems, chosen, strict=True):
        if kind in ("independent", "crowded") and worst_cosine(problem[1]) < 1 - 1e-10:
            assert_alike(distinct(*problem), choice, problem)
            seen += 1
    assert seen >= PROBLEMS / 4


def test_single_equals_batched(drawn):
    _, problems, chosen = drawn
    for problem, choice in list(zip(problems, chosen, strict=True))[:60]:
        assert_alike(single(*problem), choice, problem)


def test_order_of_data_does_not_matter(drawn):
    _, problems, chosen = drawn
    rng = np.random.default_rng(1)
    orders = [rng.permutation(N) for _ in problems]
    shuffled = []
    for (a, x, *arrays), order in zip(problems, orders, strict=True):
        mode, boundary, direction = spread_over_lines(x, *arrays[1:])
        r = arrays[0]
        values = [v[order] for v in (x, r, mode, boundary, direction)]
        shuffled.append((a, *values))
    again = jax.tree.map(np.asarray, batched(*map(np.stack, zip(*shuffled, strict=True))))
    compared = 0
    for i, (problem, choice, order) in enumerate(zip(problems, chosen, orders, strict=True)):
        if choice.flag == codes.UNIQUE:
            compared += 1
            np.testing.assert_allclose(
                again.force[i], choice.force, rtol=0, atol=2e-16 * scale(problem)
            )
            np.testing.assert_array_equal(again.mode[i], choice.mode[order])
    assert compared > 250


def spread_over_lines(x, mode, boundary, direction):
    """Followers get the boundary, mode and direction of their leader, mirrored if opposite."""
    mode, boundary, direction = mode.copy(), boundary.copy(), direction.copy()
    for group in lines(x):
        leader = group[0][0]
        for k, c in group:
            boundary[k] = boundary[leader]
            direction[k] = np.sign(c) * direction[leader]
            mode[k] = mode[leader] if c > 0 or mode[leader] == 2 else 1 - mode[leader]
    return mode, boundary, direction


def test_rescaling_does_not_matter(drawn):
    """a → c a, r → c' r: the same modes, D → c' D."""
    _, problems, chosen = drawn
    scaled = [(7.7e3 * a, x, 3e-9 * r, *rest) for a, x, r, *rest in problems]
    again = jax.tree.map(np.asarray, batched(*map(np.stack, zip(*scaled, strict=True))))
    for i, (problem, choice) in enumerate(zip(problems, chosen, strict=True)):
        np.testing.assert_array_equal(again.mode[i], choice.mode)
        np.testing.assert_array_equal(again.free[i], choice.free)
        atol = 2e-16 * scale(problem)
        np.testing.assert_allclose(again.force[i] / 3e-9, choice.force, rtol=0, atol=atol)
