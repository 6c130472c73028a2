"""Closed form of the coupled flow where every neuron is active on a single datum at most.

Orthogonal inputs. Let the neurons that see datum k see no other, z±_j = a_j ± p_jk, and
R = ‖x_k‖ r_k/n. Then dz±_j/dt = ±R z±_j for all of them, so that with θ = ∫R dt, E = exp(2θ),

    z±_j = z±_j(0) exp(±θ),   h_k = A E − B/E,   A = ‖x_k‖/4 Σ_j z+_j(0)²,   B likewise with z−,
    dE/dt = 2 κ (y_k E − A E² + B),   κ = ‖x_k‖/n,

a Riccati equation. With y_k > 0 (else E becomes 1/E, and A and B change places),
g = sqrt(y_k² + 4AB) and q = (y_k + g)/2, the function V = E + B/q obeys dV/dt = 2κ V (g − A V):

    V(t) = g V(0)/(A V(0) (1 − exp(−τ)) + g exp(−τ)),   τ = 2 κ g t.

θ is monotone. Neurons whose coordinate p_jk shrinks to zero die on the way, at a θ in closed form.
They are left out of A and B, which costs at most κ t ‖x_k‖ Σ |a_j p_jk| over them, t being the time
of the last death: this is held against the tolerance. The toy example of arXiv 2206.00939 is of
this kind once its early changes of mode are over.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import Modes
from jaxflow.flow.blocks import block_by_block
from jaxflow.flow.coordinates import Balance, State, hidden_parts, log_norms, output_parts
from jaxflow.flow.field import residual
from jaxflow.flow.flight import Flight
from jaxflow.flow.log import DeathTable
from jaxflow.flow.problem import Problem
from jaxflow.flow.rotation import Rotation, rotation
from jaxflow.flow.switching import die

WELL_CONDITIONED = 0.1
"""E = V − B/q loses no digits while B/q is at most this."""
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
    apply.
    """
    onward = jnp.sign(residual(problem, modes, state))
    neurons = (state, modes, balance)
    doom = block_by_block(lambda some: _dooms(problem, onward, *some), neurons, mesh)

    def leave_out(carry):
        """Who dies follows from how far θ goes, and that from who lives."""
        tries, deaths, *_ = carry
        solution = riccati(problem, modes, state, ~deaths)
        span = jnp.where(sought > 0, solution.time_of_fit(sought), jnp.inf)
        reached = solution.angle(jnp.minimum(stop - start, span))
        dying = doom < reached[:, None]
        return tries + 1, dying, jnp.all(dying == deaths), solution, span, reached

    def undecided(carry):
        tries, _, agreed, *_ = carry
        return ~agreed & (tries < TRIES)

    nothing = jnp.zeros(problem.n)
    solution = Riccati(nothing, nothing, nothing, nothing)
    first = (jnp.array(0), jnp.isfinite(doom), jnp.array(False), solution, jnp.inf, nothing)
    _, deaths, agreed, solution, span, reached = jax.lax.while_loop(undecided, leave_out, first)
    move = partial(_moved, onward, start, solution, reached)
    neurons = (*neurons, log, doom, deaths)
    times, *flight = block_by_block(lambda some: move(*some), neurons, mesh)
    neglected = _weight_of(problem, state, deaths) * jnp.max(times, axis=1)
    allowed = (
        agreed
        & jnp.all(solution.sound)
        & jnp.all(problem.span.norms() / problem.n * neglected <= tolerance)
    )
    end = jnp.where(span < stop - start, start + span, stop)
    clock = jnp.full(state.shape[1], end)
    return jnp.where(allowed, end, start), Flight(clock, *flight)


def _turning(onward, state: State, modes: Modes, balance: Balance) -> Rotation:
    """The rotation of every neuron, as a function of |θ|."""
    return rotation(state, jnp.where(modes.active, onward[:, None], 0.0), balance)


def _dooms(problem: Problem, onward, state: State, modes: Modes, balance: Balance):
    """|θ_k| at which each pair dies; inf for never."""
    spin = _turning(onward, state, modes, balance)
    doom = spin.time_of(spin.zero_factors(problem.span, jnp.ones(())))
    return jnp.where(modes.active, doom, jnp.inf)


def _moved(onward, start, solution: "Riccati", reached, state, modes, balance, log, doom, deaths):
    """For how long each pair that dies has lived, and all neurons at the end."""
    times = jnp.where(deaths, solution.time(jnp.where(deaths, doom, 0.0)), 0.0)
    shared = jnp.where(modes.active, jnp.minimum(doom, reached[:, None]), jnp.inf)
    angle = jnp.min(shared, axis=0)
    angle = jnp.where(jnp.isfinite(angle), angle, 0.0)
    moved = _turning(onward, state, modes, balance).at(log_norms(state), angle)
    return times, *die(modes, log, moved, start + jnp.sum(times, axis=0), deaths)


def _weight_of(problem: Problem, state: State, pairs: Bool[Array, "n m"]) -> Float[Array, " n"]:
    """‖x_k‖ Σ_j |a_j p_jk| over some pairs."""
    size = jnp.exp(2 * log_norms(state)) * jnp.abs(output_parts(state))
    product = size * jnp.abs(hidden_parts(state))
    return problem.span.norms() * jnp.sum(jnp.where(pairs, product, 0.0), axis=1)


class Riccati(eqx.Module):
    """E(t) of every datum, in logarithms, with the label made positive.

    Attributes:
        log_a, log_b: log A, log B; −inf where there are none.
        y: |y_k|.
        kappa: ‖x_k‖/n.
        g: sqrt(y² + 4AB).
        log_ratio: log(B/q).
        log_start: log V(0).
    """

    log_a: Float[Array, " n"]
    log_b: Float[Array, " n"]
    y: Float[Array, " n"]
    kappa: Float[Array, " n"]
    g: Float[Array, " n"]
    log_ratio: Float[Array, " n"]
    log_start: Float[Array, " n"]

    def __init__(self, log_a, log_b, y, kappa):
        self.log_a, self.log_b, self.y, self.kappa = log_a, log_b, y, kappa
        self.g = jnp.maximum(jnp.sqrt(y**2 + 4 * jnp.exp(log_a + log_b)), 1e-300)
        self.log_ratio = log_b - jnp.log(jnp.maximum((y + self.g) / 2, 1e-300))
        self.log_start = jnp.log1p(jnp.exp(self.log_ratio))

    @property
    def sound(self) -> Bool[Array, " n"]:
        """Whether the formulas lose no digits here; data without neurons are at rest."""
        nobody = jnp.isinf(self.log_a) & jnp.isinf(self.log_b)
        fine = jnp.isfinite(self.g) & (self.log_ratio <= jnp.log(WELL_CONDITIONED))
        return nobody | fine

    def angle(self, t: Float[Array, ""]) -> Float[Array, " n"]:
        """|θ_k(t)|."""
        tau = 2 * self.kappa * self.g * t
        grown = jnp.where(tau > 0, -jnp.expm1(-tau), 1e-300)
        born = self.log_a + self.log_start + jnp.log(grown)
        log_g = jnp.log(self.g)
        log_v = self.log_start + log_g - jnp.logaddexp(born, log_g - tau)
        log_e = log_v + jnp.log1p(-jnp.exp(self.log_ratio - log_v))
        return jnp.where(tau > 0, jnp.abs(log_e) / 2, 0.0)

    def time(self, angle: Float[Array, "n m"]) -> Float[Array, "n m"]:
        """The time at which |θ_k| reaches a value that it does reach."""
        room = self._room()
        onward = jnp.where(room >= 0, 2.0, -2.0)
        log_v = jnp.logaddexp(onward[:, None] * angle, self.log_ratio[:, None])
        left = self.g[:, None] - jnp.exp(self.log_a[:, None] + log_v)
        passed = jnp.log(jnp.abs(room[:, None] / left))
        return (log_v - self.log_start[:, None] + passed) / (2 * self.kappa * self.g)[:, None]

    def time_of_fit(self, tolerance: Float[Array, ""]) -> Float[Array, ""]:
        """The time at which all residuals are `tolerance` times the label."""
        tau = jnp.log(jnp.maximum(jnp.abs(self._room()), 1e-300)) - jnp.log(tolerance)
        tau = tau - self.log_a - self.log_start
        usable = jnp.isfinite(self.log_a) & (self.y > 0)
        rate = 2 * self.kappa * jnp.where(usable, self.g, 1.0)
        return jnp.max(jnp.where(usable, jnp.maximum(tau, 0.0) / rate, 0.0))

    def _room(self) -> Float[Array, " n"]:
        """g − A V(0), whose sign is that of dV/dt."""
        return self.g - jnp.exp(self.log_a + self.log_start)


def riccati(problem: Problem, modes: Modes, state: State, counted: Bool[Array, "n m"]) -> Riccati:
    """The equation of every datum, driven by the pairs that are `counted`."""
    norms = problem.span.norms()
    pairs = modes.active & counted
    eta, omega = output_parts(state), hidden_parts(state)
    z = jnp.where(pairs, jnp.stack([eta + omega, eta - omega]), 0.0)
    sums, positive = _log_sums(problem, state, z), problem.y >= 0
    return Riccati(
        log_a=jnp.where(positive, sums[0], sums[1]),
        log_b=jnp.where(positive, sums[1], sums[0]),
        y=jnp.abs(problem.y),
        kappa=norms / problem.n,
    )


def _log_sums(problem: Problem, state: State, z: Float[Array, "2 n m"]) -> Float[Array, "2 n"]:
    """log of ‖x_k‖/4 Σ_j exp(2ρ_j) z_jk², whatever the sizes of the neurons."""
    seen, sizes = z != 0, 2 * log_norms(state)
    largest = jnp.max(jnp.where(seen, sizes, -jnp.inf), axis=-1)
    largest = jnp.where(jnp.isfinite(largest), largest, 0.0)
    terms = jnp.exp(jnp.where(seen, sizes - largest[..., None], -jnp.inf)) * z**2
    return jnp.log(jnp.sum(terms, axis=-1)) + largest + jnp.log(problem.span.norms() / 4)
