"""The whole run: closed forms where they hold, the solver in between, to the end.

A run is a sequence of legs of three kinds: the closed forms of plateaus, steps of the solver, and
the closed form of the last approach to the limit. Outside of JAX's transformations every
kind is a program of its own, which is compiled when there is such a leg to be flown; under `jit`
and `vmap` the whole run is one program.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.flow import compiled_rounds
from jaxflow.flow.activation import Modes
from jaxflow.flow.coordinates import Balance, State
from jaxflow.flow.field import residual, vector_field
from jaxflow.flow.lane import Lane, Record, no_counts, not_landing, on_their_way
from jaxflow.flow.legs import approach_leg, closed_form_leg, has_approach, solver_leg
from jaxflow.flow.log import empty_log
from jaxflow.flow.problem import Problem
from jaxflow.flow.quiet import judging_leg
from jaxflow.flow.settings import Settings
from jaxflow.flow.status import Status
from jaxflow.flow.stepping import FIRST_LOOK
from jaxflow.validation import is_anything_traced


def take_off(
    problem: Problem, settings: Settings, modes: Modes, state: State, balance: Balance
) -> Lane:
    """A run at time zero; there are no numbers for the outputs of neurons of 1e155 and more."""
    speed = jnp.max(jnp.abs(vector_field(problem, modes, state)))
    status = jnp.where(jnp.isfinite(speed), int(Status.running), int(Status.not_finite))
    return Lane(
        t=jnp.zeros(()),
        state=state,
        modes=modes,
        log=empty_log(modes, settings.max_events),
        balance=balance,
        step=0.01 / jnp.maximum(speed, 1e-300),
        stiff=jnp.array(False),
        r=None if modes.slide is None else residual(problem, modes, state),
        look=jnp.array(FIRST_LOOK),
        landing=not_landing(),
        quiet=jnp.array(False),
        thawed=jnp.array(False),
        counts=no_counts(),
        status=status,
    )


def integrate(
    problem: Problem, settings: Settings, ts: Float[Array, " T"], carry: tuple[Lane, Record]
) -> tuple[Lane, Record]:
    """From the end of a first leg, in closed form, to the last save time or the end that is sought.

    The loop goes through the kinds of legs: steps of the solver until closed forms serve, the last
    approach if it has come to that, other closed forms as long as their bounds allow them.
    """
    if is_anything_traced((problem, settings, carry, ts)):

        def fly(carry):
            carry = solver_leg(problem, settings, ts, carry)
            carry = approach_leg(problem, settings, ts, carry)
            return closed_form_leg(problem, settings, ts, carry)

        return jax.lax.while_loop(lambda carry: carry[0].running, fly, carry)
    while on_their_way(carry[0]):
        carry = _quietly(problem, settings, ts, carry)
        if on_their_way(carry[0]) and (carry[0].thawed or not settings.closed_form):
            carry = solver_leg(problem, settings, ts, carry)
            if on_their_way(carry[0]) and has_approach(problem, settings):
                carry = approach_leg(problem, settings, ts, carry)
        if on_their_way(carry[0]):
            carry = closed_form_leg(problem, settings, ts, carry)
    return carry


def _quietly(problem: Problem, settings: Settings, ts, carry: tuple[Lane, Record]):
    """By rounds compiled from C, for as long as no pair may die."""
    alone = has_approach(problem, settings) and settings.mesh is None
    if not (alone and compiled_rounds.serve(problem, settings)):
        return carry
    lane, record = carry
    judged = partial(judging_leg, problem, settings, ts)
    carry = replace(lane, quiet=np.array(True)), record
    lane, record = compiled_rounds.quiet_run(problem, settings, ts, carry, judged)
    return replace(lane, quiet=np.array(False)), record
