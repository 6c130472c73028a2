"""What a C compiler has made of this package's C sources at installation, if there was one.

Without, and on accelerators, XLA's programs do the same.
"""

from functools import cache
from threading import Lock

import jax
from jaxtyping import Array, Float

from jaxflow.flow.activation import Modes
from jaxflow.flow.coordinates import Balance, State
from jaxflow.flow.log import DeathTable
from jaxflow.platform import is_cpu

try:
    from jaxflow.flow import _compiled as library
except ImportError:
    library = None

CALLS = ("frozen_outputs", "follow", "find_dooms", "count", "move")
"""Functions of the library that XLA's programs call."""
IN_PLACE = {0: 0, 1: 1, 5: 2}
"""Where neurons that go somewhere are among what is given to `go`, and among what it finds."""

_registering = Lock()


def are_compiled() -> bool:
    """Whether there is a compiled library and computations go to a CPU."""
    return library is not None and is_cpu()


def can_be_called() -> bool:
    """Whether programs that go to a CPU can call functions of the library."""
    with _registering:
        return are_compiled() and _are_registered()


@cache
def _are_registered() -> bool:
    """Make the calls known to XLA, which takes them if it is not too new for them.

    A call that it does not take would cost the CPU where it is made known before there is one.
    """
    try:
        for name in CALLS:
            jax.ffi.register_ffi_target(_named(name), getattr(library, name), platform="cpu")
    except jax.errors.JaxRuntimeError:
        return False
    return True


def call(name: str, found: list[tuple], *given: Array, in_place: dict[int, int] | None = None):
    """What a function of the library makes of arrays; `found` are shapes and types of its results.

    There may be leading axes, of runs.
    """
    results = [jax.ShapeDtypeStruct(*one) for one in found]
    options = dict(vmap_method="broadcast_all", input_output_aliases=in_place)
    return jax.ffi.ffi_call(_named(name), results, **options)(*given)


def neurons(state: State, modes: Modes, balance: Balance, force: Float[Array, " n"]) -> tuple:
    """As they are given to all calls, with what each datum adds to forces on them."""
    return state, modes.active, balance.kappa, balance.rho, force


def go(name: str, given: tuple, log: DeathTable, *told: Array) -> tuple[State, Modes, DeathTable]:
    """Neurons where a function of the library takes them."""
    arrays = given[0], given[1], log.times
    found = [(array.shape, array.dtype) for array in arrays]
    state, active, deaths = call(name, found, *given, log.times, *told, in_place=IN_PLACE)
    return state, Modes(active, None), DeathTable(deaths)


def _named(function: str) -> str:
    """A name that no other package gives to a call."""
    return f"jaxflow_{function}"
