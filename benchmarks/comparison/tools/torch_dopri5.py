"""torchdiffeq dopri5 in float64, with an absolute tolerance far below the initialisation."""

import time

import numpy as np
import torch
from torchdiffeq import odeint

from comparison.masked import NotFinished
from comparison.problems import Problem

NAME = "torchdiffeq dopri5"
LADDER = (1e-6, 1e-8, 1e-10, 1e-12)
ATOL = 1e-12
"""In units of λ."""


def prepare(problem: Problem, rtol: float, limit: float):
    """Nothing to compile."""
    torch.set_num_threads(1)
    rows, y, ts = map(torch.tensor, (problem.rows, problem.y, problem.ts))
    start = (torch.tensor(problem.a), torch.tensor(problem.p))

    def field(deadline, t, state):
        if time.perf_counter() > deadline:
            raise NotFinished(float(t))
        a, p = state
        v = torch.relu(p @ rows.T)
        r = (y - a @ v) / y.numel()
        return v @ r, a[:, None] * (((v > 0) * r) @ rows)

    @torch.no_grad()
    def run():
        deadline = time.perf_counter() + limit
        options = dict(rtol=rtol, atol=ATOL * problem.scale, method="dopri5")
        try:
            a, p = odeint(lambda t, s: field(deadline, t, s), start, ts, **options)
        except AssertionError as error:
            raise NotFinished(np.nan) from error
        return torch.einsum("tm,tmn->tn", a, torch.relu(p @ rows.T)).numpy()

    return run
