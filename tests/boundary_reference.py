"""An independent boundary choice for small problems: enumeration of sides, and SciPy's BVLS."""

import itertools

import numpy as np
from scipy.optimize import lsq_linear

ZERO = 1e-10


def lines(x):
    """Groups of collinear inputs as lists of (index, ratio to the first), by ranks of pairs."""
    groups = []
    for k, row in enumerate(x):
        for group in groups:
            first = x[group[0][0]]
            if np.linalg.matrix_rank(np.stack([row, first]), tol=1e-9) == 1:
                group.append((k, row @ first / (first @ first)))
                break
        else:
            groups.append([(k, 1.0)])
    return groups


def one_sided_forces(group, x, r):
    """n·D of one line of inputs on either side of its hyperplane, ⟨w, e⟩ < 0 and > 0."""
    below = sum((r[k] * x[k] for k, c in group if c < 0), np.zeros(x.shape[1]))
    above = sum((r[k] * x[k] for k, c in group if c > 0), np.zeros(x.shape[1]))
    return below, above


def least_norm_force(force, jumps):
    """Least-norm element of force + Σ [0, 1] jump."""
    if not jumps:
        return force
    solved = lsq_linear(
        np.stack(jumps, axis=1), -force, bounds=(0, 1), method="bvls", tol=1e-16, max_iter=1000
    )
    return force + np.stack(jumps, axis=1) @ solved.x


def consistent_solutions(a, x, r, mode, boundary):
    """All (sides of the repelling lines, n·D) such that every side agrees with its velocity.

    Returns the leaders of the repelling lines, and the solutions.
    """
    force, jumps, repelling = np.zeros(x.shape[1]), [], []
    for group in lines(x):
        leader = group[0][0]
        below, above = one_sided_forces(group, x, r)
        slope = a * (above - below) @ x[leader]
        if not boundary[leader]:
            force = force + (above if mode[leader] == 1 else below)
        else:
            force = force + below
            if slope < 0:
                jumps.append(above - below)
            elif slope > 0:
                repelling.append((leader, above - below))
    solutions = []
    for sides in itertools.product([0, 1], repeat=len(repelling)):
        pushed = sum((s * jump for s, (_, jump) in zip(sides, repelling, strict=True)), force)
        total = least_norm_force(pushed, jumps)
        velocity = [a * total @ x[k] for k, _ in repelling]
        if all((v > -ZERO if s else v < ZERO) for s, v in zip(sides, velocity, strict=True)):
            solutions.append((sides, total))
    return [k for k, _ in repelling], solutions
