"""The decoupled flow, compiled by a C compiler (see `c/decoupled.c`).

What `decoupled` makes of some neurons, eight at a time, as calls in XLA's programs.
"""

from jaxtyping import Array, Float

from jaxflow.flow.activation import Modes
from jaxflow.flow.compiled import call, go, library, neurons
from jaxflow.flow.coordinates import Balance, State
from jaxflow.flow.log import DeathTable
from jaxflow.flow.problem import Problem
from jaxflow.flow.riccati import Riccati


def dooms(
    problem: Problem, onward: Float[Array, " n"], state: State, modes: Modes, balance: Balance
) -> Float[Array, " m"]:
    """|θ| at which the pair of each neuron dies; inf for never."""
    doom = (state.shape[1:], state.dtype)
    return call("find_dooms", [doom], *neurons(state, modes, balance, onward))[0]


def tally(
    onward: Float[Array, " n"],
    reached: Float[Array, " n"],
    state: State,
    modes: Modes,
    balance: Balance,
    doom: Float[Array, " m"],
) -> Float[Array, "7 n"]:
    """Rows of a tally."""
    found = ((library.TALLIES, len(onward)), state.dtype)
    given = *neurons(state, modes, balance, onward), doom, reached
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
    told = doom, reached, solution.coefficients, start
    return go("move", neurons(state, modes, balance, onward), log, *told)
