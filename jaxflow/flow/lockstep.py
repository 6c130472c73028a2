"""Many runs in lockstep, under `vmap`.

As for a single run, every kind of leg is a program of its own, which is compiled when there is such
a leg to be flown. Runs that have arrived, or wait for the other kind of leg, do nothing meanwhile.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxflow.dataset import Dataset
from jaxflow.flow.gradient_flow import at_start
from jaxflow.flow.integrate import closed_form_leg, solver_leg
from jaxflow.flow.lane import Lane
from jaxflow.flow.launch import Launch
from jaxflow.flow.problem import problem_of
from jaxflow.flow.settings import Settings
from jaxflow.network import ReluNetwork
from jaxflow.programs import compiled_once

NO_TIMES = np.zeros(0)
"""Save times of runs that only seek their ends."""


def fly_all(networks: ReluNetwork, dataset: Dataset, settings: Settings) -> tuple[Launch, Lane]:
    """Integrate stacked networks to the ends that evidence gives; results have a leading axis.

    `dataset` is one for all, or a stack with one for each.
    """
    given = eqx.filter((networks, dataset, settings), eqx.is_array)
    shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(given))
    named = jax.tree.structure((networks, dataset, settings)), shapes
    with compiled_once(("start", *named)):
        plan, problem, horizon, carry = _start(networks, dataset, settings)

    def flown(leg, carry):
        with compiled_once((leg.__name__, *named)):
            return _leg(leg, problem, dataset.x.ndim == 3, settings, horizon, carry)

    while _any_runs(carry):
        carry = flown(solver_leg, carry)
        if _any_runs(carry):
            carry = flown(closed_form_leg, carry)
    return plan, carry[0]


def _any_runs(carry) -> bool:
    return bool(np.any(np.asarray(carry[0].running)))


@eqx.filter_jit
def _start(networks: ReluNetwork, dataset: Dataset, settings: Settings):
    """Launches, the problem, horizons, and lanes with their records after a first leg."""
    own_data = dataset.x.ndim == 3

    def start(network, data):
        plan, with_horizon, *carry = at_start(network, data, settings, jnp.asarray(NO_TIMES), True)
        carry = closed_form_leg(plan.problem, with_horizon, jnp.asarray(NO_TIMES), tuple(carry))
        return plan, with_horizon.horizon, carry

    plan, horizon, carry = jax.vmap(start, (0, 0 if own_data else None))(networks, dataset)
    problem = jax.vmap(problem_of)(dataset) if own_data else problem_of(dataset)
    return plan, problem, horizon, carry


@eqx.filter_jit
def _leg(leg, problem, own_data: bool, settings: Settings, horizon, carry):
    def one(problem, horizon, carry):
        to_the_horizon = eqx.tree_at(lambda s: s.horizon, settings, horizon)
        return leg(problem, to_the_horizon, jnp.asarray(NO_TIMES), carry)

    return jax.vmap(one, (0 if own_data else None, 0, 0))(problem, horizon, carry)
