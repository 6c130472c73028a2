"""References for the comparator that share no code with it: brute force, sampling, 40 digits."""

import itertools

import mpmath
import numpy as np
from scipy.optimize import linprog, nnls

DIGITS = 40


def relu(z):
    return np.maximum(z, 0.0)


def dual_function(x, beta, directions):
    """Σ_k β_k max(⟨w, x_k⟩, 0) for each direction."""
    return relu(directions @ x.T) @ beta


def maximum_over_all_patterns(x, beta) -> float:
    """Maximum of |Σ β_k max(⟨w, x_k⟩, 0)| over the sphere: one projection on each of 2^n cones."""
    best = 0.0
    for pattern in itertools.product([0.0, 1.0], repeat=len(x)):
        active = np.array(pattern)
        outward = (2 * active - 1)[:, None] * x
        for sign in (1, -1):
            best = max(best, nnls(outward.T, -sign * (active * beta) @ x)[1])
    return best


def random_directions(rng, count: int, dim: int):
    w = rng.normal(size=(count, dim))
    return w / np.linalg.norm(w, axis=1, keepdims=True)


def least_norm_over(x, y, directions) -> float:
    """Least variation norm of an interpolating network with neurons in the directions only."""
    columns = relu(directions @ x.T).T
    found = linprog(
        np.ones(2 * len(directions)),
        A_eq=np.concatenate([columns, -columns], axis=1),
        b_eq=y,
        bounds=(0, None),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return found.fun if found.status == 0 else np.inf


def bracket_in_the_plane(x, y, count: int) -> tuple[float, float]:
    """Interval of the minimum from a linear programme over directions around the circle.

    Between two neighbouring directions of one cell every unit vector is a combination of the two
    with coefficients of sum at most 1/cos(half their angle). All walls of cells are directions.
    """
    wall = np.arctan2(x[:, 1], x[:, 0])[:, None] + np.array([np.pi / 2, -np.pi / 2])
    angle = np.concatenate([2 * np.pi * np.arange(count) / count, wall.ravel() % (2 * np.pi)])
    directions = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    upper = least_norm_over(x, y, directions)
    return upper * np.cos(np.pi / count), upper


def maximum_in_the_plane(x, beta):
    """Maximum of |Σ β_k max(⟨w, x_k⟩, 0)| over the circle for float data, with 40 digits.

    Candidates are the walls of the cells and every gradient that lies in its own cell.
    """
    with mpmath.workdps(DIGITS):
        rows = [[mpmath.mpf(float(c)) for c in row] for row in x]
        weight = [mpmath.mpf(float(b)) for b in beta]

        def g(w):
            reach = [w[0] * row[0] + w[1] * row[1] for row in rows]
            size = mpmath.hypot(*w)
            return mpmath.fsum(b * max(u, 0) for b, u in zip(weight, reach, strict=True)) / size

        walls = [(-row[1], row[0]) for row in rows] + [(row[1], -row[0]) for row in rows]
        walls.sort(key=lambda w: mpmath.atan2(w[1], w[0]))
        best = max(abs(g(w)) for w in walls)
        for first, second in zip(walls, walls[1:] + walls[:1], strict=True):
            middle = [
                f / mpmath.hypot(*first) + s / mpmath.hypot(*second)
                for f, s in zip(first, second, strict=True)
            ]
            inside = [middle[0] * row[0] + middle[1] * row[1] > 0 for row in rows]
            gradient = [
                mpmath.fsum(
                    b * row[i] for b, row, on in zip(weight, rows, inside, strict=True) if on
                )
                for i in (0, 1)
            ]
            if any(gradient):
                best = max(best, abs(g(gradient)), abs(g([-c for c in gradient])))
        return best


def lower_bound_in_the_plane(x, y, beta) -> float:
    """Σ β_k y_k over the maximum of the dual function, with 40 digits."""
    with mpmath.workdps(DIGITS):
        total = mpmath.fsum(mpmath.mpf(float(b)) * float(t) for b, t in zip(beta, y, strict=True))
        return total / maximum_in_the_plane(x, beta)


def norm_and_residual(x, y, w, a):
    """Variation norm of a network and Σ_k |h(x_k) − y_k|, with 40 digits."""
    with mpmath.workdps(DIGITS):
        rows = [[mpmath.mpf(float(c)) for c in row] for row in w]
        outer = [mpmath.mpf(float(c)) for c in a]
        size = [mpmath.sqrt(mpmath.fsum(c**2 for c in row)) for row in rows]
        norm = mpmath.fsum(abs(o) * s for o, s in zip(outer, size, strict=True))
        residual = mpmath.mpf(0)
        for point, label in zip(x, y, strict=True):
            reach = [
                mpmath.fsum(c * mpmath.mpf(float(p)) for c, p in zip(row, point, strict=True))
                for row in rows
            ]
            h = mpmath.fsum(o * max(u, 0) for o, u in zip(outer, reach, strict=True))
            residual += abs(h - mpmath.mpf(float(label)))
        return norm, residual
