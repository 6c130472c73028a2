"""The two signs as flows of their own, on orthogonal inputs.

A pair of a neuron and a datum pulls in the right direction if a_j y_k > 0. Once all pairs that do
not are dead, neurons with a_j > 0 see data with y_k > 0 only, and the others the others: h_k, and
with it r_k, of a datum depends on the neurons of its own sign alone. The flow is then that of two
problems that share nothing but the factor 1/n of the loss. On K data of its own, with 1/K in its
place, each of them runs n/K times as fast: times are scaled by K/n, and back.

Each side has a part of the pairs and takes steps of its own length.
"""

from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow.dataset import Dataset
from jaxflow.flow.activation import Modes
from jaxflow.flow.coordinates import (
    Balance,
    assemble,
    hidden_parts,
    log_norms,
    output_parts,
)
from jaxflow.flow.lane import Lane
from jaxflow.flow.log import DeathTable
from jaxflow.flow.problem import Problem
from jaxflow.flow.span import Span
from jaxflow.flow.status import Status

SIGNS = (1.0, -1.0)
WORTHWHILE = 0.6
"""Sides of more than this share of all pairs are not worth their programs."""
ALIKE = 0.8
"""Ratio of numbers of data from which on the smaller side is filled up to the larger one."""


class Room(NamedTuple):
    """Numbers of data and neurons with which a side is laid out."""

    data: int
    neurons: int


class Side(eqx.Module):
    """A run's part of one sign.

    Attributes:
        problem: its data, filled up with data that nobody sees.
        lane: its neurons that see some, filled up with neurons that see none, in its own time.
        data, neurons: where they are in the whole.
        real, chosen: which of them are no filling.
    """

    problem: Problem
    lane: Lane
    data: Int[Array, " k"]
    neurons: Int[Array, " j"]
    real: Bool[Array, " k"]
    chosen: Bool[Array, " j"]

    @property
    def places(self) -> tuple[Int[Array, "k 1"], Int[Array, " j"]]:
        """Where its pairs are in arrays of all pairs."""
        return self.data[:, None], self.neurons

    @property
    def pairs(self) -> Bool[Array, "k j"]:
        """Which of its pairs are no filling."""
        return self.real[:, None] & self.chosen


def rooms_for_sides(y: Float[np.ndarray, " n"], width: int) -> tuple[Room, Room]:
    """How much room the side of each sign is given, in the order of `SIGNS`.

    Signs of almost as many data have the same room, so that the same programs serve them. As to
    neurons, it is half of them and four standard deviations of a fair coin more.
    """
    data = [max(int(np.sum(sign * y > 0)), 1) for sign in SIGNS]
    if min(data) >= ALIKE * max(data):
        data = [max(data)] * 2
    neurons = width / 2 + 2 * np.sqrt(width)
    neurons = min(width, 4 * int(np.ceil(neurons / 4)))
    return tuple(Room(count, neurons) for count in data)


def rooms_of(dataset: Dataset, width: int) -> tuple[Room, Room] | None:
    """The rooms of the sides on a data set; None where there are none or they are hardly smaller.

    There are sides for orthogonal inputs with labels of both signs.
    """
    y = np.asarray(dataset.y)
    if dataset.x.ndim > 2 or not (dataset.is_orthogonal and np.any(y > 0) and np.any(y < 0)):
        return None
    rooms = rooms_for_sides(y, width)
    largest = max(room.data * room.neurons for room in rooms)
    return rooms if largest <= WORTHWHILE * len(y) * width else None


def comes_apart(problem: Problem, lane: Lane, rooms: tuple[Room, Room]) -> Bool[Array, ""]:
    """Whether the run is a flow of two sides from here on, for which there is room."""
    eta = output_parts(lane.state)
    right = eta * problem.y[:, None] > 0
    seeing = [jnp.sum(_seeing(lane, sign)) for sign in SIGNS]
    fits = jnp.all(jnp.stack(seeing) <= jnp.array([room.neurons for room in rooms]))
    return lane.running & ~lane.landing.on & fits & jnp.all(right | ~lane.modes.active)


def side_of(problem: Problem, lane: Lane, room: Room, sign: float, apart) -> Side:
    """The part of one sign, waiting to be integrated if the run comes `apart`."""
    own, seeing = sign * problem.y > 0, _seeing(lane, sign)
    data = jnp.argsort(~own, stable=True)[: room.data]
    neurons = jnp.argsort(~seeing, stable=True)[: room.neurons]
    real, chosen = own[data], seeing[neurons]
    active = lane.modes.active[data[:, None], neurons] & real[:, None] & chosen
    least = jnp.min(log_norms(lane.state))
    rho = jnp.where(chosen, log_norms(lane.state)[neurons], least)
    eta = jnp.where(chosen, output_parts(lane.state)[neurons], sign)
    omega = jnp.where(active, hidden_parts(lane.state)[data[:, None], neurons], 0.0)
    kappa = jnp.where(chosen, lane.balance.kappa[neurons], 1.0)
    span = problem.span
    own_time = room.data / problem.n
    part = replace(
        lane,
        t=lane.t * own_time,
        step=lane.step * own_time,
        state=assemble(rho, eta, omega),
        modes=Modes(active, None),
        log=DeathTable(jnp.full(active.shape, jnp.inf)),
        balance=Balance(kappa, jnp.where(chosen, lane.balance.rho[neurons], least)),
        quiet=jnp.array(True),
        status=jnp.where(apart, lane.status, Status.moving),
    )
    y = jnp.where(real, problem.y[data], 0.0)
    here = Problem(Span(span.basis[data], span.rows[data], True), y, None, problem.labelled)
    return Side(here, part, data, neurons, real, chosen)


def together(problem: Problem, lane: Lane, sides: list[Side], apart) -> Lane:
    """The whole run at the ends of its sides, if it came `apart`; else as it was."""
    rho, eta, omega = log_norms(lane.state), output_parts(lane.state), hidden_parts(lane.state)
    active, times = lane.modes.active, lane.log.times
    for side in sides:
        part, own_time = side.lane, side.problem.n / problem.n
        mine = side.chosen & apart
        rho = rho.at[side.neurons].set(jnp.where(mine, log_norms(part.state), rho[side.neurons]))
        eta = eta.at[side.neurons].set(jnp.where(mine, output_parts(part.state), eta[side.neurons]))
        omega = _put(omega, side, hidden_parts(part.state), side.pairs & apart)
        active = _put(active, side, part.modes.active, side.pairs & apart)
        died = side.pairs & apart & jnp.isfinite(part.log.times)
        times = _put(times, side, part.log.times / own_time, died)
    ends = jnp.stack([side.lane.t * problem.n / side.problem.n for side in sides])
    status = jnp.maximum(*(side.lane.status for side in sides))  # `interpolated` if both are

    def added(before, *after):
        return before + jnp.where(apart, sum(count - before for count in after), 0)

    return replace(
        lane,
        t=jnp.where(apart, jnp.max(ends), lane.t),
        state=assemble(rho, eta, omega),
        modes=Modes(active, None),
        log=DeathTable(times),
        counts=jax.tree.map(added, lane.counts, *(side.lane.counts for side in sides)),
        status=jnp.where(apart, status, lane.status),
    )


def _seeing(lane: Lane, sign: float) -> Bool[Array, " m"]:
    """Neurons of a sign that see some datum."""
    return jnp.any(lane.modes.active, axis=0) & (sign * output_parts(lane.state) > 0)


def _put(whole: Array, side: Side, part: Array, where: Bool[Array, "k j"]) -> Array:
    return whole.at[side.places].set(jnp.where(where, part, whole[side.places]))
