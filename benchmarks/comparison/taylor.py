"""The reference on orthogonal inputs: Taylor series in extended precision, written for this alone.

It shares nothing with jaxflow or any other tool compared. In (a, p) the flow is quadratic between
deaths, so that all Taylor coefficients of a, v = α u and r follow one from the other by
convolution. The step is the longest at which the last coefficients are below `TOLERANCE` relative
to the size of the same neuron, so that small neurons are as accurate as large ones; a death is
located by Newton's method on the polynomial itself. Arithmetic is numpy.longdouble (64-bit mantissa
on x86; where it is no longer than float64 the reference is worth 1e-15 at best).
"""

from dataclasses import dataclass

import numpy as np

from comparison.problems import Problem

ORDER = 32
TOLERANCE = 1e-20
PROBES = 12
"""Points of a step at which signs are looked at."""
EXTENDED = np.longdouble


@dataclass(frozen=True)
class Reference:
    """Outputs (T, n), and Σ_j |a_j| max(u_jk, 0), in units of which errors are measured."""

    outputs: np.ndarray
    sizes: np.ndarray
    origin: str

    def error(self, outputs, least: float = 0.0) -> float:
        """Largest error of outputs over all times and data at which the sizes are above `least`."""
        sizes = np.where(self.sizes > least, self.sizes, np.inf)
        return float(np.max(np.abs(outputs - self.outputs) / sizes))


def taylor_reference(problem: Problem) -> Reference:
    """Outputs at the save times of a problem with orthogonal inputs."""
    norms, y = EXTENDED(np.diag(problem.rows)), EXTENDED(problem.y)
    a, u = EXTENDED(problem.a), EXTENDED(problem.p) * norms
    alive, t = u > 0, EXTENDED(0)
    saved = []
    while True:
        series = _series(a, np.where(alive, u, 0), alive, norms, y)
        step = _step(series)
        death, pair = _first_death(series[1], alive, step)
        for ts in problem.ts[len(saved) :]:
            if ts - t > min(step, death):
                break
            saved.append(_at(series, EXTENDED(ts) - t))
        if len(saved) == problem.ts.size:
            break
        step = min(step, death)
        a, u = _at(series, step)
        t = t + step
        alive = alive & (u > 0)
        if pair is not None and death <= step:
            alive[pair] = False
    outputs = np.array([a @ v for a, v in saved], float)
    sizes = np.array([np.abs(a) @ v for a, v in saved], float)
    bits = np.finfo(EXTENDED).nmant + 1
    return Reference(outputs, sizes, f"Taylor series of order {ORDER}, {bits}-bit mantissa")


def _series(a, v, alive, norms, y):
    """Taylor coefficients of a, shape (N + 1, m), and of v, shape (N + 1, m, n)."""
    n = y.size
    a_all = np.zeros((ORDER + 1, *a.shape), EXTENDED)
    v_all = np.zeros((ORDER + 1, *v.shape), EXTENDED)
    r_all = np.zeros((ORDER + 1, n), EXTENDED)
    a_all[0], v_all[0] = a, v
    pull = norms**2 * alive
    for i in range(ORDER + 1):
        back = slice(i, None, -1)
        product = np.einsum("lm,lmn->n", a_all[: i + 1], v_all[back])
        r_all[i] = ((y if i == 0 else 0) - product) / n
        if i < ORDER:
            a_all[i + 1] = np.einsum("lmn,ln->m", v_all[: i + 1], r_all[back]) / (i + 1)
            force = np.einsum("lm,ln->mn", a_all[: i + 1], r_all[back])
            v_all[i + 1] = pull * force / (i + 1)
    return a_all, v_all


def _step(series):
    """Length at which the last two terms are below the tolerance, neuron by neuron."""
    a, v = series
    sizes = np.sqrt(a**2 + np.sum(v**2, axis=2))
    with np.errstate(divide="ignore"):
        lengths = [
            (TOLERANCE * sizes[0] / sizes[k]) ** (EXTENDED(1) / k) for k in (ORDER - 1, ORDER)
        ]
    return np.min(lengths)


def _horner(coefficients, tau):
    value = coefficients[-1]
    for c in coefficients[-2::-1]:
        value = value * tau + c
    return value


def _at(series, tau):
    """State at time tau; dead pairs are zero."""
    a, v = series
    return _horner(a, tau), np.maximum(_horner(v, tau), 0)


def _first_death(v, alive, step):
    """Time and pair of the first zero of an active pair within a step; inf and None if none."""
    taus = step * np.arange(1, PROBES + 1) / EXTENDED(PROBES)
    negative = np.stack([_horner(v, tau) < 0 for tau in taus]) & alive
    if not negative.any():
        return EXTENDED(np.inf), None
    first = int(np.argmax(negative.any(axis=(1, 2))))
    low = taus[first - 1] if first else EXTENDED(0)
    roots = {(j, k): _root(v[:, j, k], low, taus[first]) for j, k in np.argwhere(negative[first])}
    pair = min(roots, key=roots.get)
    return roots[pair], pair


def _root(coefficients, low, high):
    """Zero of a polynomial with a change of sign in between, by Newton's method in a bracket."""
    slope = coefficients[1:] * np.arange(1, coefficients.size)
    tau = (low + high) / 2
    for _ in range(100):
        value = _horner(coefficients, tau)
        low, high = (tau, high) if value > 0 else (low, tau)
        rate = _horner(slope, tau)
        new = tau - value / rate if rate else low
        new = new if low < new < high else (low + high) / 2
        if new == tau or high - low <= np.finfo(EXTENDED).eps * high:
            break
        tau = new
    return tau
