"""The decoupled flow, compiled by a C compiler (see `c/decoupled.c`).

What `decoupled` makes of some neurons, eight at a time, as calls in XLA's programs.
"""

from jaxtyping import Array, Float

from jaxflow.flow.activation import Modes
from jaxflow.flow.compiled import IN_PLACE, call
from jaxflow.flow.coordinates import Balance, State
from jaxflow.flow.log import DeathTable
from jaxflow.flow.problem import Problem
from jaxflow.flow.riccati import Riccati

TALLIES = 7
"""Numbers of a tally for each datum."""


def dooms(
    problem: Problem, onward: Float[Array, " n"], state: State, modes: Modes, balance: Balance
) -> Float[Array, " m"]:
    """|θ| at which the pair of each neuron dies; inf for never."""
    doom = (state.shape[1:], state.dtype)
    return call("find_dooms", [doom], *_neurons(onward, state, modes, balance))[0]


def tally(
    onward: Float[Array, " n"],
    reached: Float[Array, " n"],
    state: State,
    modes: Modes,
    balance: Balance,
    doom: Float[Array, " m"],
) -> Float[Array, "7 n"]:
    """Rows of a tally."""
    found = ((TALLIES, len(onward)), state.dtype)
    given = *_neurons(onward, state, modes, balance), doom, reached
    return call("count", [found], *given)[0]


def moved(
    onward: Float[Array, " n"],
    start: Float[Array, ""],
    solution: Riccati,
    reached: Float[Array, " n"],
    state: State,
    modes: Modes,
    log: DeathTable,
    balance: Balance,
    doom: Float[Array, " m"],
) -> tuple[State, Modes, DeathTable]:
    """All neurons when the data have reached these |θ_k|."""
    told = log.times, doom, reached, solution.coefficients, start
    found = [(array.shape, array.dtype) for array in (state, modes.active, log.times)]
    state, active, deaths = call(
        "move", found, *_neurons(onward, state, modes, balance), *told, in_place=IN_PLACE
    )
    return state, Modes(active, None), DeathTable(deaths)


def _neurons(onward, state: State, modes: Modes, balance: Balance) -> tuple:
    return state, modes.active, balance.kappa, balance.rho, onward
