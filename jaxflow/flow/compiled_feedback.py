"""The early phase with its feedback, compiled by a C compiler (see `c/feedback.c`).

What `feedback` makes of some neurons, eight at a time, each eight for as long as one of them
changes its mode. They are calls in XLA's programs, and so serve batches, and neurons shared out
over devices.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.flow.activation import Modes
from jaxflow.flow.compiled import can_be_called, library
from jaxflow.flow.coordinates import Balance
from jaxflow.flow.flight import Flight
from jaxflow.flow.log import DeathTable
from jaxflow.flow.problem import Problem


def serves(terms: int, nodes: int) -> bool:
    """Whether there is a compiled library, made for such a series and such a formula of Gauss."""
    return can_be_called() and (terms, nodes) == (library.TERMS, library.NODES)


def frozen_outputs(
    problem: Problem,
    start: Float[Array, ""],
    end: Float[Array, ""],
    points: Float[np.ndarray, " g"],
    flight: Flight,
    balance: Balance,
) -> Float[Array, "n g"]:
    """h_k/‖x_k‖ with r = y at points of [-1, 1], of which each has its mirror image."""
    given = *_neurons(flight, balance), _force(problem), jnp.stack([start, end])
    found = jax.ShapeDtypeStruct((problem.n, len(points)), problem.y.dtype)
    call = jax.ffi.ffi_call("jaxflow_frozen_outputs", found, vmap_method="broadcast_all")
    return call(*given, points[: len(points) // 2])


def follow(
    problem: Problem,
    start: Float[Array, ""],
    end: Float[Array, ""],
    series: Float[Array, "g n"],
    formula: tuple[Float[np.ndarray, " h"], Float[np.ndarray, " h"]],
    flight: Flight,
    balance: Balance,
) -> Flight:
    """All neurons at the end, with δR = Σ_i series_i s^i and Gauss's nodes and weights."""
    given = *_neurons(flight, balance), _force(problem), jnp.stack([start, end])
    deaths = flight.log.times
    found = [
        jax.ShapeDtypeStruct(array.shape, array.dtype)
        for array in (flight.state, flight.modes.active, deaths)
    ]
    call = jax.ffi.ffi_call("jaxflow_follow", found, vmap_method="broadcast_all")
    state, active, deaths = call(*given, deaths, series, np.stack(formula))
    return Flight(jnp.full_like(flight.clock, end), state, Modes(active, None), DeathTable(deaths))


def _neurons(flight: Flight, balance: Balance) -> tuple:
    return flight.state, flight.modes.active, balance.kappa, balance.rho


def _force(problem: Problem) -> Float[Array, " n"]:
    """What a datum adds to the forces of those who see it, with r = y."""
    return problem.y / problem.n * problem.span.norms()
