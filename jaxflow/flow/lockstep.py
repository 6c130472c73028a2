"""Many runs in lockstep, under `vmap`.

As for a single run, every kind of leg is a program of its own, which is compiled when there is such
a leg to be flown. Runs that have arrived, or wait for the other kind of leg, do nothing meanwhile.
Runs on orthogonal inputs in which the two signs have nothing to do with each other any more go on
as two flows of their own (see `sides`).
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxflow.compilation import AT_ONCE, pairs_in_batch, program
from jaxflow.dataset import Dataset
from jaxflow.flow import compiled_rounds
from jaxflow.flow.compiled import can_be_called
from jaxflow.flow.gradient_flow import at_start, begin
from jaxflow.flow.lane import Lane, on_their_way
from jaxflow.flow.launch import Launch
from jaxflow.flow.legs import (
    approach_leg,
    closed_form_leg,
    has_approach,
    solver_leg,
    typed,
)
from jaxflow.flow.noting import blank_record
from jaxflow.flow.problem import problem_of
from jaxflow.flow.quiet import judging_leg, quiet_leg
from jaxflow.flow.settings import Settings
from jaxflow.flow.sides import (
    SIGNS,
    Room,
    Side,
    comes_apart,
    rooms_of,
    side_of,
    together,
)
from jaxflow.network import ReluNetwork
from jaxflow.platform import is_cpu
from jaxflow.programs import compiled_once
from jaxflow.threads import Threads

NO_TIMES = np.zeros(0)
"""Save times of runs that only seek their ends."""
FEW, SMALL, LEAST = 0.25, 0.125, 4
"""Shares of a batch: at most this many runs that are left over go on by themselves, in batches of
this size, at least of the last."""
LEAST_BATCH, LARGEST_BATCH = 32, 256
"""Runs integrated in lockstep: enough to pay for vectorisation, few enough to wait for little."""
PAIRS = 2**15
"""Pairs of a neuron and a datum in a batch: more of them do not fit into a core's cache."""
SLIDING = 8
"""Room that a pair takes where neurons may slide, in units of that on orthogonal inputs."""


def fly_all(networks: ReluNetwork, dataset: Dataset, settings: Settings) -> tuple[Launch, Lane]:
    """Integrate stacked networks to the ends that evidence gives; results have a leading axis.

    `dataset` is one for all, or a stack with one for each.
    """
    own_data, dataset = dataset.x.ndim == 3, dataset.for_programs()
    with compiled_once(("start", *_named((networks, dataset, settings)))):
        plan, problem, horizon, carry = _start(networks, dataset, settings)
    width = networks.exponent.shape[-1]
    rooms = rooms_of(dataset, width) if settings.closed_form else None
    if rooms is not None and _any_run(carry):
        carry = _side_by_side(problem, settings, horizon, carry, rooms)
        carry = _some_at_a_time(problem, settings, horizon, carry)
    return plan, _to_the_end(problem, own_data, settings, horizon, carry)[0]


def _to_the_end(problem, own_data: bool, settings: Settings, horizon, carry):
    """All legs that are left. Runs with implicit steps, which take longer, wait for each other."""
    named = _named((problem, settings, carry))

    def flown(leg, implicit, carry):
        if leg is quiet_leg and compiled_rounds.serve(problem, settings):
            judged = partial(flown, judging_leg, None)
            return compiled_rounds.quiet_legs(problem, settings, horizon, carry, judged)
        with compiled_once((leg.__name__, own_data, *named)):
            return _leg(leg, problem, own_data, settings, horizon, carry, implicit)

    kinds = [(solver_leg, jnp.array(False)), (closed_form_leg, None)]
    if problem.span.orthogonal and own_data:
        kinds.insert(0, (quiet_leg, None))
    if problem.boundaries is not None:
        kinds.insert(1, (solver_leg, jnp.array(True)))
    if has_approach(problem, settings):
        kinds.insert(1, (approach_leg, None))
    while _any_run(carry):
        for leg, implicit in kinds:
            wait = _any_waits(carry, leg, implicit, settings)
            carry = flown(leg, implicit, carry) if wait else carry
    return carry


def _any_waits(carry, leg, implicit, settings: Settings) -> bool:
    """Whether any run waits for the solver with such steps, or for one of the closed forms."""
    lane, steps = carry[0], leg in (solver_leg, quiet_leg)
    thawed = np.asarray(lane.thawed) | (not settings.closed_form)
    waits = on_their_way(lane) & (thawed == steps)
    if steps:
        waits = waits & (np.asarray(lane.quiet) == (leg is quiet_leg))
    if leg is solver_leg:
        waits = waits & (np.asarray(lane.stiff) == bool(implicit))
    return bool(np.any(waits))


def _side_by_side(problem, settings: Settings, horizon, carry, rooms: tuple[Room, Room]):
    """Integrate the runs that come apart to their ends, each sign on a thread of its own."""
    apart, sides, carries = _part(problem, carry, rooms)
    if not np.any(np.asarray(apart)):
        return carry

    def flown(side: Side, own):
        own_horizon = horizon * side.problem.y.shape[-1] / problem.n
        return _to_the_end(side.problem, True, settings, own_horizon, own)[0]

    with Threads(max_workers=len(SIGNS)) as pool:
        ends = list(pool.map(flown, sides, carries))
    return _join(problem, carry, sides, ends, apart)


def _some_at_a_time(problem, settings: Settings, horizon, carry):
    """Integrate the runs that did not come apart, unless they are a batch as it should be."""
    left, batch = np.flatnonzero(on_their_way(carry[0])), horizon.shape[0]
    n, width = carry[0].modes.active.shape[-2:]
    usual = usual_batch(n * width, orthogonal=True) if is_cpu() else batch
    few = len(left) <= FEW * batch
    size = max(int(np.ceil(SMALL * batch)), LEAST) if few else usual
    if len(left) == 0 or (not few and batch <= usual):
        return carry
    for first in range(0, len(left), size):
        runs = np.resize(left[first : first + size], size)
        own_horizon, own = _taken((horizon, carry), runs)
        own = _to_the_end(problem, False, settings, own_horizon, own)
        carry = _put_back(carry, runs, own)
    return carry


def usual_batch(pairs: float, orthogonal: bool) -> int:
    """Runs in a batch on a CPU, for so many pairs of a neuron and a datum in each: 32 to 256."""
    room = pairs if orthogonal else SLIDING * pairs
    return min(max(power_of_two(PAIRS / room), LEAST_BATCH), LARGEST_BATCH)


def power_of_two(most: float) -> int:
    """The largest power of two up to a number, at least one."""
    return 2 ** int(np.log2(max(most, 1)))


def _any_run(carry) -> bool:
    return bool(np.any(on_their_way(carry[0])))


def _named(given) -> tuple:
    """What tells the programs for the given arguments apart."""
    shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(given))
    return jax.tree.structure(given), shapes


def _pairs_at_start(networks, dataset, settings: Settings) -> int:
    """None where little is left for the program, as calls follow the neurons."""
    called = dataset.is_orthogonal and settings.closed_form and can_be_called()
    return 0 if settings.few_runs or called else pairs_in_batch(networks, dataset)


@program(_pairs_at_start)
def _start(networks: ReluNetwork, dataset: Dataset, settings: Settings):
    """Launches, the problem, horizons, and lanes with their records.

    Orthogonal inputs: after a first leg in closed form, which may be the only one.
    """
    own_data, nothing = dataset.x.ndim == 3, jnp.asarray(NO_TIMES)

    def start(network, data):
        first = begin if dataset.is_orthogonal else at_start
        plan, with_horizon, *carry = first(network, data, settings, nothing, True)
        return plan, with_horizon.horizon, tuple(carry)

    plan, horizon, carry = jax.vmap(start, (0, 0 if own_data else None))(networks, dataset)
    problem = jax.vmap(problem_of)(dataset) if own_data else problem_of(dataset)
    return plan, problem, horizon, carry


def pairs_in_lanes(lanes: Lane, settings: Settings) -> int:
    """Pairs of a neuron and a datum as they count for stacked lanes; none if the runs are few."""
    n, width = lanes.modes.active.shape[-2:]
    return 0 if settings.few_runs else AT_ONCE * n * width


def _pairs_in_leg(leg, problem, own_data, settings, horizon, carry, implicit=None) -> int:
    return pairs_in_lanes(carry[0], settings)


@program(_pairs_in_leg)
def _leg(leg, problem, own_data: bool, settings: Settings, horizon, carry, implicit=None):
    given = () if implicit is None else (implicit,)

    def one(problem, horizon, carry):
        to_the_horizon = eqx.tree_at(lambda s: s.horizon, settings, horizon)
        return leg(problem, to_the_horizon, jnp.asarray(NO_TIMES), carry, *given)

    return jax.vmap(one, (0 if own_data else None, 0, 0))(problem, horizon, carry)


@eqx.filter_jit
def _part(problem, carry, rooms: tuple[Room, Room]):
    """Which runs come apart, their sides, and lanes with records for each sign."""

    def one(lane):
        apart = comes_apart(problem, lane, rooms)
        sides = [side_of(problem, lane, *own, apart) for own in zip(rooms, SIGNS, strict=True)]
        blank = [blank_record(side.lane, jnp.asarray(NO_TIMES), True) for side in sides]
        return apart, sides, [typed((s.lane, r)) for s, r in zip(sides, blank, strict=True)]

    return jax.vmap(one)(carry[0])


@eqx.filter_jit
def _taken(whole, runs):
    return jax.tree.map(lambda leaf: leaf[runs], whole)


@eqx.filter_jit
def _put_back(whole, runs, parts):
    return typed(jax.tree.map(lambda leaf, part: leaf.at[runs].set(part), whole, parts))


@eqx.filter_jit
def _join(problem, carry, sides, ends, apart):
    def one(lane, sides, ends, apart):
        flown = [eqx.tree_at(lambda s: s.lane, s, e) for s, e in zip(sides, ends, strict=True)]
        return together(problem, lane, flown, apart)

    lanes, record = carry
    return typed((jax.vmap(one)(lanes, sides, ends, apart), record))
