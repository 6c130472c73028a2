"""Rounds of steps of many runs, compiled by a C compiler (see `c/rounds.c`).

They are what `quiet_leg` does, run by run, until it has to be asked whether a closed form serves or
a run is over, because lower bounds say that it may be so: as a rule once or twice in a run. The
answer is that of `judging_leg`. `quiet_leg` itself flies where jaxflow was installed without a C
compiler, and on accelerators.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import diffrax
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxflow.flow.compiled import are_compiled, library
from jaxflow.flow.lane import Lane, Record, on_their_way
from jaxflow.flow.legs import PLATEAU, WORTHWHILE
from jaxflow.flow.problem import Problem
from jaxflow.flow.settings import Settings
from jaxflow.flow.status import Status

ASKS, LOUD, STUCK, OVER, NOT_FINITE = 1, 2, 4, 8, 16
"""Why rounds end, as in `flock.h`; several at once may be why."""
STATUS = {STUCK: Status.step_underflow, OVER: Status.step_limit, NOT_FINITE: Status.not_finite}


def serve(problem: Problem, settings: Settings) -> bool:
    """Whether stacked runs, each with data of its own, can be flown like this."""
    stages = len(settings.solver.tableau.b_sol)
    return are_compiled() and problem.labelled and stages <= library.MOST_STAGES


def quiet_legs(
    problem: Problem,
    settings: Settings,
    horizons: Float[Array, " runs"],
    carry: tuple[Lane, Record],
    judged: Callable[[tuple[Lane, Record]], tuple[Lane, Record]],
) -> tuple[Lane, Record]:
    """What `quiet_leg` makes of stacked runs; `judged` is `judging_leg` for all of them.

    Runs that are not quiet are hidden from it, as if they were over.
    """
    asks = True
    while asks:
        before, record = carry
        flies = on_their_way(before) & np.asarray(before.thawed) & np.asarray(before.quiet)
        lanes, asks = fly_in_rounds(problem, settings, horizons, before, flies)
        carry = lanes, record
        if asks:
            others = np.where(flies, lanes.status, Status.moving)
            lanes, record = judged((replace(lanes, status=others), record))
            status = np.where(flies, lanes.status, before.status)
            carry = replace(lanes, status=status), record
    return carry


def fly_in_rounds(
    problem: Problem,
    settings: Settings,
    horizons: Float[Array, " runs"],
    lanes: Lane,
    flies: Bool[np.ndarray, " runs"],
) -> tuple[Lane, bool]:
    """Fly those of stacked runs that fly; whether `judging_leg` has to be asked about some."""
    how, counts = np.zeros(len(flies), dtype=np.int64), lanes.counts
    changed = lanes.state, lanes.t, lanes.step, counts.accepted, counts.rejected
    state, t, step, accepted, rejected = map(np.array, changed)
    told = _told(problem, settings, horizons, lanes, flies)
    tolerances = settings.rtol, settings.frozen_tolerance, settings.approach_tolerance
    arrays = (state, t, step, accepted, rejected, how, *told)
    library.fly(arrays, *map(float, tolerances), WORTHWHILE)
    status = np.array(lanes.status)
    for reason, value in STATUS.items():
        status[how & reason > 0] = value
    flown = replace(
        lanes,
        state=state,
        t=t,
        step=step,
        counts=replace(counts, accepted=accepted, rejected=rejected),
        status=status,
        quiet=np.asarray(lanes.quiet) & (how & LOUD == 0),
    )
    return flown, bool(np.any(how & ASKS > 0))


def _told(problem: Problem, settings: Settings, horizons, lanes: Lane, flies) -> tuple:
    """What the runs are told, in the order of `arrays.c`."""
    y = np.asarray(problem.y)
    told = (
        lanes.modes.active,
        lanes.balance.kappa,
        lanes.balance.rho,
        problem.span.norms(),
        y,
        PLATEAU * np.abs(y).max(axis=1),
        np.linalg.norm(y, axis=1),
        horizons,
        int(settings.max_steps) - np.asarray(lanes.counts.attempted),
        flies,
        _weights(type(settings.solver)),
    )
    return tuple(map(np.ascontiguousarray, told))


@cache
def _weights(method: type[diffrax.AbstractERK]) -> Float[np.ndarray, "s s"]:
    """Row i: the weights of stages before stage i + 1; the last row: those of the error."""
    tableau = method().tableau
    weights = np.zeros((len(tableau.b_sol), len(tableau.b_sol)))
    for row, given in zip(weights, tableau.a_lower, strict=False):
        row[: len(given)] = given
    weights[-1] = tableau.b_error
    return weights
