"""heyoka's adaptive Taylor method with a terminal event for each pair, and masks as parameters.

The callback of an event switches the mask and lets the integration go on, so that one compiled
integrator serves all seeds. The state is in units of λ, because heyoka's tolerance is relative to
the largest component and absolute where that is below one. A dead pair of orthogonal inputs is put
to −1, where it stays and causes no event.
"""

import time

import heyoka as hy
import numpy as np

from comparison.masked import NotFinished
from comparison.problems import Problem

NAME = "heyoka Taylor, events"
LADDER = (1e-8, 1e-10, 1e-12, 2e-16)


class _Marks:
    """Deadline of the run in progress, where the callbacks can see it."""

    deadline = np.inf


def prepare(problem: Problem, rtol: float, limit: float):
    """Compile the Taylor step and the events for this shape and tolerance."""
    marks = _Marks()
    scale, width = problem.scale, problem.a.size
    start = np.concatenate([problem.a, problem.p.ravel()]) / scale
    u = problem.p @ problem.rows.T
    if problem.orthogonal:
        start[width:][u.ravel() <= 0] = -1.0
    masks = (u > 0).astype(float).ravel()
    integrator = _compile(problem, rtol, marks)

    def run():
        marks.deadline = time.perf_counter() + limit
        integrator.time, integrator.state[:], integrator.pars[:] = 0.0, start, masks
        integrator.reset_cooldowns()
        outcome, *_, states = integrator.propagate_grid(problem.ts)
        if outcome != hy.taylor_outcome.time_limit:
            raise NotFinished(integrator.time)
        a, p = states[:, :width], states[:, width:].reshape(len(states), width, -1)
        return scale**2 * np.einsum("tm,tmn->tn", a, np.maximum(p @ problem.rows.T, 0))

    return run


def _compile(problem: Problem, rtol: float, marks: _Marks):
    (width, rank), (n, scale) = problem.p.shape, (problem.y.size, problem.scale)
    a = hy.make_vars(*(f"a{j}" for j in range(width)))
    p = np.array(hy.make_vars(*(f"p{i}" for i in range(width * rank)))).reshape(width, rank)
    u = [[_combination(problem.rows[k], p[j]) for k in range(n)] for j in range(width)]
    mask = [[hy.par[j * n + k] for k in range(n)] for j in range(width)]
    v = [[mask[j][k] * u[j][k] for k in range(n)] for j in range(width)]
    h = [hy.sum([a[j] * v[j][k] for j in range(width)]) for k in range(n)]
    r = [(problem.y[k] - scale**2 * h[k]) / n for k in range(n)]
    system = [(a[j], hy.sum([v[j][k] * r[k] for k in range(n)])) for j in range(width)]
    for j in range(width):
        masked = [mask[j][k] * r[k] for k in range(n)]
        pull = [_combination(problem.rows[:, q], masked) for q in range(rank)]
        system += [(p[j][q], a[j] * pull[q]) for q in range(rank)]
    events = [_event(problem, u[j][k], j, k, marks) for j in range(width) for k in range(n)]
    return hy.taylor_adaptive(system, np.zeros(width * (1 + rank)), t_events=events, tol=rtol,
                              compact_mode=True, pars=np.zeros(width * n))  # fmt: skip


def _combination(coefficients, terms):
    """Sum without its zero terms; a diagonal matrix costs one product a row."""
    kept = [c * term for c, term in zip(coefficients, terms, strict=True) if c != 0]
    return hy.sum(kept) if len(kept) > 1 else kept[0]


def _event(problem: Problem, u, j: int, k: int, marks: _Marks):
    """Terminal event of a pair: dies for good with orthogonal inputs, switches with any others."""
    width, rank = problem.p.shape
    n = problem.y.size

    def happened(integrator, sign):
        if problem.orthogonal:
            integrator.pars[j * n + k] = 0.0
            integrator.state[width + j * rank + k] = -1.0
        else:
            integrator.pars[j * n + k] = float(sign > 0)
        return time.perf_counter() < marks.deadline

    down, both = hy.event_direction.negative, hy.event_direction.any
    return hy.t_event(u, callback=happened, direction=down if problem.orthogonal else both)
