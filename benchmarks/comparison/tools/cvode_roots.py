"""SUNDIALS CVODE by scikit-sundae: Adams, matrix-free linear solver, a root function for each pair.

A root ends the solve; the pair is switched and the solver starts afresh.
"""

import numpy as np
from sksundae.cvode import CVODE

from comparison.masked import MaskedFlow, NotFinished
from comparison.problems import Problem

NAME = "SUNDIALS CVODE, roots"
LADDER = (1e-8, 1e-10, 1e-12, 1e-14)
ATOL = 1e-12
"""In units of λ."""


def prepare(problem: Problem, rtol: float, limit: float):
    """Nothing to compile."""
    return lambda: _integrate(MaskedFlow(problem, limit), problem, rtol)


def _integrate(flow: MaskedFlow, problem: Problem, rtol: float):
    solver = _solver(flow, problem, rtol)
    t, state = 0.0, flow.state
    saved = [flow.outputs(state)]
    while len(saved) < problem.ts.size:
        ahead = problem.ts[len(saved) :]
        times = np.concatenate([[t], ahead, [ahead[-1] * (1 + 1e-9)]])
        found = solver.solve(times, state)
        hit = found.i_events is not None and len(found.i_events) > 0
        if not (hit or found.success):
            raise NotFinished(t)
        reached = found.y[1:-1]
        saved += [flow.outputs(y) for y in reached[: ahead.size]]
        if hit:
            t, state = found.t[-1], np.array(found.y[-1])
            state = flow.switch(state, np.abs(found.i_events[-1]).reshape(flow.mask.shape) > 0)
    return np.array(saved)


def _solver(flow: MaskedFlow, problem: Problem, rtol: float):
    def field(t, y, yp):
        yp[:] = flow.field(t, y)

    def roots(t, y, events):
        margins = flow.margins(y)
        events[:] = np.where(np.isfinite(margins), margins / problem.scale, 1).ravel()

    pairs = flow.mask.size
    roots.terminal, roots.direction = [True] * pairs, [-1] * pairs
    return CVODE(field, method="Adams", linsolver="gmres", rtol=rtol, atol=ATOL * problem.scale,
                 eventsfn=roots, num_events=pairs, max_num_steps=1_000_000)  # fmt: skip
