"""SciPy's DOP853 with restarts at changes of activation, written by hand.

The stepper is used directly rather than through `solve_ivp`, because one vectorised look at all
pairs after a step is far cheaper than an event function for each. Where a margin is negative at the
end of a step, its zero is located on the dense output; the pair is switched (with orthogonal inputs
put to exactly zero for good), and the stepper starts afresh from there with the step it had.
"""

import numpy as np
from scipy.integrate import DOP853
from scipy.optimize import brentq

from comparison.masked import MaskedFlow, NotFinished
from comparison.problems import Problem

NAME = "SciPy DOP853, event restarts"
LADDER = (1e-6, 1e-8, 1e-10, 1e-12, 1e-13)
ATOL = 1e-12
"""In units of λ."""


def prepare(problem: Problem, rtol: float, limit: float):
    """Nothing to compile."""
    return lambda: _integrate(MaskedFlow(problem, limit), problem, rtol)


def _integrate(flow: MaskedFlow, problem: Problem, rtol: float):
    t, state, step = 0.0, flow.state, None
    saved = [flow.outputs(state)]
    while t < problem.end:
        solver = DOP853(flow.field, t, state, problem.end, rtol=rtol, atol=ATOL * problem.scale,
                        first_step=step)  # fmt: skip
        t, state, switched = _until_event(solver, flow, problem, saved)
        step = min(solver.step_size, problem.end - t) or None
        if switched is not None:
            state = flow.switch(state, switched)
    return np.array(saved)


def _until_event(solver, flow, problem, saved):
    """Step to the next change of activation or the end; append outputs on the way."""
    while solver.status == "running":
        message = solver.step()
        if solver.status == "failed":
            raise NotFinished(solver.t) from RuntimeError(message)
        negative = flow.margins(solver.y) < 0
        due = problem.ts[len(saved)] <= solver.t if len(saved) < problem.ts.size else False
        if not (negative.any() or due):
            continue
        dense = solver.dense_output()
        t, pairs = _first_zero(flow, dense, solver, negative) if negative.any() else (None, None)
        end = solver.t if t is None else t
        while len(saved) < problem.ts.size and problem.ts[len(saved)] <= end:
            saved.append(flow.outputs(dense(problem.ts[len(saved)])))
        if t is not None:
            return t, dense(t), pairs
    return solver.t, solver.y, None


def _first_zero(flow, dense, solver, negative):
    """Time of the earliest change of activation in a step, and the pairs that change."""

    def least(t):
        return np.min(flow.margins(dense(t)))

    behind = flow.margins(dense(solver.t_old)) <= 0
    if behind.any():
        return solver.t_old, behind
    t = brentq(least, solver.t_old, solver.t, xtol=1e-15)
    margins = flow.margins(dense(t))
    return t, margins <= max(0.0, margins.min())
