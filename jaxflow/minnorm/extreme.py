"""From a dual and its peaks to a network of few neurons, and whether it is the only one."""

import numpy as np
from jaxtyping import Float
from scipy.linalg import qr
from scipy.optimize import linprog

from jaxflow.minnorm.dual_function import Peak, boundary_projection
from jaxflow.minnorm.polish import (
    non_negative_norms,
    peak_responses,
    signed_points,
)
from jaxflow.minnorm.spanning import responses

FITTED = 1e-14
"""Residual, relative to the norm of the network, that counts as rounding."""

NOTHING = 1e-7
"""Share of the norm below which a linear programme is taken to have found no neuron."""

SOMETHING = 1e-5
"""Share of the norm above which it is taken to have found one."""


def extreme_network(
    points, labels, peaks: list[Peak], norms
) -> tuple[Float[np.ndarray, "m r"], list[Peak]]:
    """Neurons v_i, s_i v_i = a_i w_i, at some of the peaks, with independent responses, that fit.

    All peaks touch the dual constraint, so that every non-negative combination of their responses
    that fits the labels has the same norm; non-negative least squares finds one with linearly
    independent responses, at most as many as points. A last correction within the cells, the
    smallest that fits, removes the rounding of the directions; neurons so small that it turns them
    round are left out.
    """
    chosen = non_negative_norms(points, labels, peaks)
    chosen = norms if chosen is None else chosen
    used = np.flatnonzero(chosen > 0)
    peaks, norms = [peaks[i] for i in used], chosen[used]
    while True:
        starts = np.stack([c * p.direction for c, p in zip(norms, peaks, strict=True)])
        neurons = _fitted(points, labels, starts, peaks)
        kept = np.array([v @ p.direction > 0 for v, p in zip(neurons, peaks, strict=True)])
        if kept.all() or not kept.any():
            return neurons, peaks
        peaks, norms = [p for p, keep in zip(peaks, kept, strict=True) if keep], norms[kept]


def _fitted(points, labels, neurons, peaks: list[Peak]) -> Float[np.ndarray, "m r"]:
    """Correct the neurons by the smallest change within their cells that fits the labels."""
    maps = [signed_points(points, p) @ boundary_projection(points, p) for p in peaks]
    inverse = np.linalg.pinv(np.concatenate(maps, axis=1), rcond=1e-12)
    for _ in range(3):
        fitted = sum(a @ v for a, v in zip(maps, neurons, strict=True))
        change = (inverse @ (labels - fitted)).reshape(neurons.shape)
        neurons = neurons + change
    return np.stack(
        [boundary_projection(points, p) @ v for p, v in zip(peaks, neurons, strict=True)]
    )


def mended(points, labels, neurons, peaks: list[Peak], directions):
    """The network with extra, tiny neurons if it misses the labels by more than rounding.

    The residual is fitted by as many of the spanning directions as there are points, chosen by
    pivoting for their independence. What they cost is part of the norm, which stays an upper bound.
    """
    signs = np.array([peak.sign for peak in peaks])
    misfit = labels - np.maximum(points @ neurons.T, 0.0) @ signs
    if np.max(np.abs(misfit)) <= FITTED * np.sum(np.linalg.norm(neurons, axis=1)):
        return neurons, peaks
    columns = responses(points, directions)
    chosen = qr(columns, mode="r", pivoting=True)[1][: len(points)]
    extra = np.linalg.solve(columns[:, chosen], misfit)
    more = [
        Peak(w, 1 if c > 0 else -1, 0.0, points @ w > 0, np.zeros(len(points), dtype=bool))
        for w, c in zip(directions[chosen], extra, strict=True)
    ]
    return np.concatenate([neurons, np.abs(extra)[:, None] * directions[chosen]]), peaks + more


def is_unique(points, labels, used: list[Peak], touching: list[Peak]) -> bool | None:
    """Whether the neurons in use are the only measure that attains the minimum.

    By complementary slackness every minimiser lives on the directions in which the dual function
    touches one (`touching`, all of them). With independent responses there is one solution;
    otherwise a linear programme looks for one with norm elsewhere than at the neurons in use,
    whose own responses are independent.
    """
    columns = peak_responses(points, touching)
    if np.linalg.matrix_rank(columns, tol=1e-9) == columns.shape[1]:
        return True
    elsewhere = np.array([not _is_among(peak, used) for peak in touching], dtype=float)
    found = linprog(-elsewhere, A_eq=columns, b_eq=labels, bounds=(0, None), method="highs-ds")
    if found.status != 0:
        return None
    share = float(elsewhere @ found.x) / float(np.sum(found.x))
    return True if share < NOTHING else False if share > SOMETHING else None


def _is_among(peak: Peak, others: list[Peak]) -> bool:
    return any(
        peak.sign == other.sign and np.linalg.norm(peak.direction - other.direction) < 1e-6
        for other in others
    )


def cheapest_combination(points, labels, directions) -> tuple[list[Peak], Float[np.ndarray, " m"]]:
    """Least-norm network with neurons in the given directions only, by linear programming.

        minimise Σ_j |c_j|   subject to   Σ_j c_j max(⟨w_j, x_k⟩, 0) = y_k

    It stands in where polishing fails; the minimum can only be lower.
    """
    reach = directions @ points.T
    both = np.concatenate([np.maximum(reach, 0.0), -np.maximum(reach, 0.0)]).T
    found = linprog(
        np.ones(both.shape[1]), A_eq=both, b_eq=labels, bounds=(0, None), method="highs-ds"
    )
    used = np.flatnonzero(found.x > 0)
    peaks = []
    for column in used:
        j, sign = column % len(directions), 1 if column < len(directions) else -1
        active, boundary = reach[j] > 0, np.abs(reach[j]) < 1e-12
        peaks.append(Peak(directions[j], sign, 1.0, active, boundary))
    return peaks, found.x[used]
