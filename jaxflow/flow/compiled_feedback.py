"""The early phase with its feedback, compiled by a C compiler (see `c/feedback.c`).

What `feedback` makes of some neurons, eight at a time, each eight for as long as one of them
changes its mode. They are calls in XLA's programs, and so serve batches, and neurons shared out
over devices.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.flow.compiled import call, can_be_called, go, library, neurons
from jaxflow.flow.coordinates import Balance
from jaxflow.flow.flight import Flight
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
    given = *_neurons(problem, flight, balance), jnp.stack([start, end]), points[: len(points) // 2]
    return call("frozen_outputs", [((problem.n, len(points)), np.float64)], *given)[0]


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
    told = jnp.stack([start, end]), series, np.stack(formula)
    there = go("follow", _neurons(problem, flight, balance), flight.log, *told)
    return Flight(jnp.full_like(flight.clock, end), *there)


def _neurons(problem: Problem, flight: Flight, balance: Balance) -> tuple:
    """With r = y."""
    force = problem.y / problem.n * problem.span.norms()
    return neurons(flight.state, flight.modes, balance, force)
