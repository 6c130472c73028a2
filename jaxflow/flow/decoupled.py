"""Closed form of the coupled flow where every neuron is active on a single datum at most.

Orthogonal inputs. Let the neurons that see datum k see no other, z±_j = a_j ± p_jk, and
R = ‖x_k‖ r_k/n. Then dz±_j/dt = ±R z±_j for all of them, so that with θ = ∫R dt, E = exp(2θ),

    z±_j = z±_j(0) exp(±θ),   h_k = A E − B/E,   A = ‖x_k‖/4 Σ_j z+_j(0)²,   B likewise with z−,

and E follows a Riccati equation (see `riccati`). θ is monotone. Neurons whose coordinate p_jk
shrinks to zero die on the way, at a θ in closed form. They are left out of A and B, which costs at
most κ t ‖x_k‖ Σ |a_j p_jk| over them, t being the time of the last death: this is held against the
tolerance. The toy example of arXiv 2206.00939 is of this kind once its early changes of mode are
over.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float

from jaxflow.flow import compiled_decoupled
from jaxflow.flow.activation import Modes
from jaxflow.flow.blocks import block_by_block, device_by_device
from jaxflow.flow.branching import once_if
from jaxflow.flow.compiled import can_be_called
from jaxflow.flow.coordinates import Balance, State, hidden_parts, log_norms, output_parts
from jaxflow.flow.field import residual
from jaxflow.flow.flight import Flight
from jaxflow.flow.log import DeathTable
from jaxflow.flow.problem import Problem
from jaxflow.flow.riccati import Riccati
from jaxflow.flow.rotation import Rotation, rotation
from jaxflow.flow.switching import die

TRIES = 4
"""How often it is asked who dies, each time without those who did the time before."""


def is_decoupled(modes: Modes) -> Bool[Array, ""]:
    """Whether no neuron is active on more than one datum."""
    return jnp.all(jnp.sum(modes.active, axis=0) <= 1)


def decoupled_flow(
    problem: Problem,
    modes: Modes,
    state: State,
    log: DeathTable,
    balance: Balance,
    start: Float[Array, ""],
    stop: Float[Array, ""],
    tolerance: Float[Array, ""],
    sought: Float[Array, ""],
    mesh: Mesh | None = None,
) -> tuple[Float[Array, ""], Flight]:
    """Follow all neurons from `start`, deaths included, to `stop` or to a residual of `sought`.

    `sought` is relative to the labels; zero leads to `stop`. With a mesh, every neuron on the
    device that has it. Returns the time reached, which is `start` where the closed form does not
    apply, and the neurons there.
    """
    onward = jnp.sign(residual(problem, modes, state))
    in_c = can_be_called()
    dooms = partial(compiled_decoupled.dooms if in_c else _dooms, problem, onward)
    tally = compiled_decoupled.tally if in_c else _tally
    moved = compiled_decoupled.moved if in_c else _moved
    neurons = (state, modes, balance)
    doom = block_by_block(lambda some: dooms(*some), neurons, mesh, whole=in_c)

    def tally_of(reached) -> Tally:
        part = partial(tally, onward, reached)
        return Tally.of(device_by_device(lambda some: part(*some), (*neurons, doom), mesh))

    def leave_out(carry):
        """Who dies follows from how far θ goes, and that from who lives."""
        tries, tally, *_ = carry
        solution = equation(problem, tally)
        span = jnp.where(sought > 0, solution.time_of_fit(sought), jnp.inf)
        reached = solution.angle(jnp.minimum(stop - start, span))
        new = tally_of(reached)
        return tries + 1, new, jnp.all(new.dying == tally.dying), solution, span, reached

    def undecided(carry):
        tries, _, agreed, *_ = carry
        return ~agreed & (tries < TRIES)

    nothing = jnp.zeros(problem.n)
    solution = Riccati(nothing, nothing, nothing, nothing)
    anybody = tally_of(jnp.full(problem.n, jnp.inf))
    first = (jnp.array(0), anybody, jnp.array(False), solution, jnp.inf, nothing)
    _, tally, agreed, solution, span, reached = jax.lax.while_loop(undecided, leave_out, first)
    neglected = problem.span.norms() / problem.n * tally.weight * tally.duration(solution)
    allowed = agreed & jnp.all(solution.sound) & jnp.all(neglected <= tolerance)
    end = jnp.where(span < stop - start, start + span, stop)

    def move(here, reached, solution, neurons):
        part = partial(moved, onward, start, solution, reached)
        return block_by_block(lambda some: part(*some), (*here, *neurons), mesh, whole=in_c)

    here, given = (state, modes, log), (reached, solution, (balance, doom))
    there = once_if(allowed, move, here, *given)
    end = jnp.where(allowed, end, start)
    return end, Flight(jnp.full(state.shape[1], end), *there)


class Tally(eqx.Module):
    """What is counted for every datum, given who dies.

    Attributes:
        log_sums: log Σ_j exp(2 ρ_j) z±_jk² over the pairs that live on.
        dying: how many pairs die.
        latest: the greatest angle at which one does.
        weight: ‖x_k‖ aside, Σ_j |a_j p_jk| over them.
    """

    log_sums: Float[Array, "2 n"]
    dying: Float[Array, " n"]
    latest: Float[Array, " n"]
    weight: Float[Array, " n"]

    @classmethod
    def of(cls, parts: Float[Array, "d 7 n"]) -> "Tally":
        """Of the neurons on all devices, each of which has counted its own.

        Rows are, for z+ and then for z−, the largest 2ρ_j and the sum over it, and then the others.
        """
        sizes, sums = parts[:, 0:4:2], parts[:, 1:4:2]
        largest = jnp.max(sizes, axis=0)
        largest = jnp.where(jnp.isfinite(largest), largest, 0.0)
        log_sums = jnp.log(jnp.sum(jnp.exp(sizes - largest) * sums, axis=0)) + largest
        dying, latest, weight = jnp.moveaxis(parts[:, 4:], 1, 0)
        return cls(log_sums, jnp.sum(dying, axis=0), jnp.max(latest, 0), jnp.sum(weight, axis=0))

    def duration(self, solution: Riccati) -> Float[Array, " n"]:
        """The time until the last death."""
        latest = solution.time(self.latest[:, None])[:, 0]
        return jnp.where(self.dying > 0, latest, 0.0)


def equation(problem: Problem, tally: Tally) -> Riccati:
    """The equation of every datum, driven by those that live on, with the label made positive."""
    norms, positive = problem.span.norms(), problem.y >= 0
    plus, minus = tally.log_sums + jnp.log(norms / 4)
    return Riccati(
        log_a=jnp.where(positive, plus, minus),
        log_b=jnp.where(positive, minus, plus),
        y=jnp.abs(problem.y),
        kappa=norms / problem.n,
    )


def _turning(onward, state: State, modes: Modes, balance: Balance) -> Rotation:
    """The rotation of every neuron, as a function of |θ|."""
    return rotation(state, jnp.where(modes.active, onward[:, None], 0.0), balance)


def _dooms(problem: Problem, onward, state: State, modes: Modes, balance: Balance):
    """|θ| at which the pair of each neuron dies; inf for never."""
    spin = _turning(onward, state, modes, balance)
    factors = jnp.where(modes.active, spin.zero_factors(problem.span, jnp.ones(())), 0.0)
    return spin.time_of(jnp.max(factors, axis=0))


def _tally(onward, reached, state: State, modes: Modes, balance: Balance, doom):
    """Rows of a tally, in which the pairs die that are doomed before the angle that is reached."""
    eta, omega, sizes = output_parts(state), hidden_parts(state), 2 * log_norms(state)
    dying = modes.active & (doom < reached[:, None])
    z = jnp.where(modes.active & ~dying, jnp.stack([eta + omega, eta - omega]), 0.0)
    largest = jnp.max(jnp.where(z != 0, sizes, -jnp.inf), axis=-1)
    beside = jnp.where(jnp.isfinite(largest), largest, 0.0)[..., None]
    sums = jnp.sum(jnp.exp(jnp.where(z != 0, sizes - beside, -jnp.inf)) * z**2, axis=-1)
    latest = jnp.max(jnp.where(dying, doom, 0.0), axis=-1)
    weight = jnp.sum(jnp.where(dying, jnp.exp(sizes) * jnp.abs(eta * omega), 0.0), axis=-1)
    count = jnp.sum(dying, axis=-1, dtype=state.dtype)
    return jnp.stack([largest[0], sums[0], largest[1], sums[1], count, latest, weight])


def _moved(onward, start, solution: Riccati, reached, state, modes, log, balance, doom):
    """All neurons when the data have reached their angles."""
    deaths = modes.active & (doom < reached[:, None])
    times = jnp.where(deaths, solution.time(jnp.where(deaths, doom, 0.0)), 0.0)
    shared = jnp.where(modes.active, jnp.minimum(doom, reached[:, None]), 0.0)
    moved = _turning(onward, state, modes, balance).at(log_norms(state), jnp.sum(shared, axis=0))
    return die(modes, log, moved, start + jnp.sum(times, axis=0), deaths)
