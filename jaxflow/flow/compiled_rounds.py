"""Rounds of steps, compiled by a C compiler (see `c/rounds.c`).

They are what `quiet_leg` does, run by run, until it has to be asked whether a closed form serves or
a run is over, because lower bounds say that it may be so: as a rule once or twice in a run. The
answer is that of `judging_leg`. `quiet_leg` itself flies where jaxflow was installed without a C
compiler, and on accelerators.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import diffrax
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow.flow.compiled import are_compiled, library
from jaxflow.flow.lane import Lane, Record, on_their_way
from jaxflow.flow.legs import PLATEAU, WORTHWHILE
from jaxflow.flow.problem import Problem
from jaxflow.flow.settings import Settings
from jaxflow.flow.status import Status

ASKS, LOUD, STUCK, OVER, NOT_FINITE, STOPS = 1, 2, 4, 8, 16, 32
"""Why rounds end, as in `flock.h`; several at once may be why."""
STATUS = {STUCK: Status.step_underflow, OVER: Status.step_limit, NOT_FINITE: Status.not_finite}

Carry = tuple[Lane, Record]


def serve(problem: Problem, settings: Settings) -> bool:
    """Whether runs can be flown like this."""
    stages = len(settings.solver.tableau.b_sol)
    return are_compiled() and problem.labelled and stages <= library.MOST_STAGES


def quiet_legs(
    problem: Problem,
    settings: Settings,
    horizons: Float[Array, " runs"],
    carry: Carry,
    judged: Callable[[Carry], Carry],
) -> Carry:
    """What `quiet_leg` makes of stacked runs, each with data of its own.

    `judged` is `judging_leg` for all of them. Runs that are not quiet are hidden from it, as if
    they were over.
    """
    lanes, record = carry
    while True:
        flies = on_their_way(lanes) & np.asarray(lanes.thawed) & np.asarray(lanes.quiet)
        rounds = _Rounds(problem, settings, lanes)
        how = rounds.fly(horizons, flies)
        before, lanes = lanes, rounds.lanes(lanes)
        if not np.any(how & (ASKS | STOPS)):
            return lanes, record
        others = np.where(flies, lanes.status, Status.moving)
        lanes, record = judged((replace(lanes, status=others), record))
        lanes = replace(lanes, status=np.where(flies, lanes.status, before.status))


def quiet_run(
    problem: Problem,
    settings: Settings,
    ts: Float[Array, " T"],
    carry: Carry,
    judged: Callable[[Carry], Carry],
) -> Carry:
    """One run by rounds, with its save times, as long as it is quiet and no closed form serves.

    It is not judged where a pair may die: a closed form that then led nowhere would bring it back
    to the same place.
    """
    lane, record = carry
    while on_their_way(lane) and lane.thawed and lane.quiet:
        lane, record, asks = _past_stops(problem, settings, ts, lane, record)
        if asks and lane.quiet:
            lane, record = judged((lane, record))
    return lane, record


def _past_stops(problem: Problem, settings: Settings, ts, lane: Lane, record: Record):
    """The run, noted at the save times that it passes, and whether it has to be judged."""
    rounds = _Rounds(_alone(problem), settings, _alone(lane))
    own = np.asarray if record.seeking else np.array  # a copy where something is to be noted
    saved, states, modes = int(record.saved), own(record.states), own(record.modes)
    stops = [settings.horizon] if record.seeking else np.asarray(ts)[saved:]
    for stop in stops:
        how = rounds.fly(np.array([stop]), np.array([True]))[0]
        if not record.seeking and how & STOPS:
            states[saved], modes[saved] = rounds.state[0], lane.modes.active
            saved += 1
        if how != STOPS:
            break
    record = replace(record, saved=np.array(saved), states=states, modes=modes)
    lane = jax.tree.map(lambda leaf: leaf[0], rounds.lanes(_alone(lane)))
    return lane, record, bool(how & (ASKS | STOPS))


def _alone(tree):
    """One as a stack."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree)


class _Rounds:
    """Stacked runs in arrays of which the library changes those that are told by name."""

    def __init__(self, problem: Problem, settings: Settings, lanes: Lane):
        counts = lanes.counts
        changed = lanes.state, lanes.t, lanes.step, counts.accepted, counts.rejected
        self.state, self.t, self.step, self.accepted, self.rejected = map(np.array, changed)
        self.how = np.zeros(self.t.shape, dtype=np.int64)
        self.most = int(settings.max_steps) - np.asarray(counts.landings)
        tolerances = settings.rtol, settings.frozen_tolerance, settings.approach_tolerance
        self.tolerances = tuple(map(float, tolerances))
        self.weights = _weights(type(settings.solver))
        self.told = _told(problem, lanes)

    def fly(
        self, horizons: Float[Array, " runs"], flies: Bool[np.ndarray, " runs"]
    ) -> Int[np.ndarray, " runs"]:
        """Fly those that fly; why their rounds ended, in this call, and nothing for the others."""
        changed = self.state, self.t, self.step, self.accepted, self.rejected, self.how
        left = self.most - self.accepted - self.rejected
        told = map(np.ascontiguousarray, (horizons, left, flies, self.weights))
        self.how[:] = 0
        library.fly((*changed, *self.told, *told), *self.tolerances, WORTHWHILE)
        return self.how

    def lanes(self, lanes: Lane) -> Lane:
        """The lanes as the last call has left them."""
        status = np.array(lanes.status)
        for reason, value in STATUS.items():
            status[self.how & reason > 0] = value
        return replace(
            lanes,
            state=self.state,
            t=self.t,
            step=self.step,
            counts=replace(lanes.counts, accepted=self.accepted, rejected=self.rejected),
            status=status,
            quiet=np.asarray(lanes.quiet) & (self.how & LOUD == 0),
        )


def _told(problem: Problem, lanes: Lane) -> tuple:
    """What the runs are told about themselves, in the order of `arrays.c`."""
    y = np.asarray(problem.y)
    told = (
        lanes.modes.active,
        lanes.balance.kappa,
        lanes.balance.rho,
        problem.span.norms(),
        y,
        PLATEAU * np.abs(y).max(axis=1),
        np.linalg.norm(y, axis=1),
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
