"""diffrax Tsit5, jitted, with an absolute tolerance far below the initialisation.

diffrax ends a solve at an event, so that the hundreds of deaths of a run would each need a solve of
their own; relu'(0) = 0 in the field is what its users write.
"""

from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from comparison.masked import NotFinished
from comparison.problems import Problem

NAME = "diffrax Tsit5"
LADDER = (1e-6, 1e-8, 1e-10, 1e-12)
ATOL = 1e-12
"""In units of λ."""
STEPS_A_SECOND = 20_000
"""About what it does on the smallest problem, to turn a limit in seconds into one in steps."""


def prepare(problem: Problem, rtol: float, limit: float):
    """Compile once for all tolerances, by a very short run."""
    start = (jnp.asarray(problem.a), jnp.asarray(problem.p))
    data = (jnp.asarray(problem.rows), jnp.asarray(problem.y))
    most = int(limit * STEPS_A_SECOND)

    def run(ts=problem.ts):
        outputs, reached = _solve(start, data, ts, rtol, ATOL * problem.scale, most)
        if not float(reached) >= ts[-1]:
            raise NotFinished(float(reached))
        return np.asarray(outputs)

    run(problem.ts * 1e-9)
    return run


def _field(t, state, data):
    (a, p), (rows, y) = state, data
    u = p @ rows.T
    active = (u > 0).astype(u.dtype)
    r = (y - a @ (active * u)) / y.size
    return (active * u) @ r, a[:, None] * ((active * r) @ rows)


@partial(jax.jit, static_argnames="most")
def _solve(start, data, ts, rtol, atol, most):
    saves = diffrax.SubSaveAt(ts=ts, fn=lambda t, z, d: z[0] @ jax.nn.relu(z[1] @ d[0].T))
    last = diffrax.SubSaveAt(t1=True, fn=lambda t, z, d: t)
    found = diffrax.diffeqsolve(
        diffrax.ODETerm(_field), diffrax.Tsit5(), 0.0, ts[-1], None, start, data,
        saveat=diffrax.SaveAt(subs=(saves, last)),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
        max_steps=most, throw=False,
    )  # fmt: skip
    return found.ys[0], found.ys[1][-1]
