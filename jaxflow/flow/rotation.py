"""The flow of a neuron under a constant force, in closed form: a hyperbolic rotation.

With constant D, G = ‖D‖, e = D/G and the projection s = ⟨ω, e⟩,

    η(τ) + s(τ) = (η + s) exp(Gτ),   η(τ) − s(τ) = (η − s) exp(−Gτ),   the rest is constant,

so that a preactivation is exp(Gτ) times a quadratic polynomial in v = exp(−Gτ), and the time of its
zero is the root of a quadratic.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.flow.coordinates import (
    Balance,
    State,
    assemble,
    hidden_parts,
    log_norms,
    output_parts,
)
from jaxflow.flow.span import Span

ON_BOUNDARY = 1e-13
"""A preactivation this small beside the terms that cancel in it starts on the boundary."""


class Rotation(eqx.Module):
    """The flow of every neuron under its constant force."""

    rate: Float[Array, " m"]
    direction: Float[Array, "q m"]
    growing: Float[Array, " m"]
    decaying: Float[Array, " m"]
    constant: Float[Array, "q m"]

    def at(self, rho: Float[Array, " m"], tau: Float[Array, " m"]) -> State:
        """The normalised state after the time τ_j, from log norms ρ_j.

        A neuron without a growing part shrinks by more than there are numbers for: v is then left
        out of the coordinates, and v² if nothing is across.
        """
        turned, alone = self.rate * tau, self.growing == 0
        v = jnp.exp(-turned)
        turn = jnp.where(alone, 1.0, v)
        low = self.decaying * v * turn
        eta, along = self.growing + low, self.growing - low
        omega = along * self.direction + turn * self.constant
        size = jnp.maximum(jnp.abs(eta), jnp.max(jnp.abs(omega), axis=0))
        gone = size == 0
        passed = jnp.where(gone, -turned, jnp.where(alone, 0.0, turned))
        eta = jnp.where(gone, self.decaying, eta)
        omega = jnp.where(gone, -self.decaying * self.direction, omega)
        size = jnp.where(gone, jnp.abs(self.decaying), size)
        size = jnp.where(size > 0, size, 1.0)
        eta, omega = eta / size, omega / size
        norm = jnp.sqrt(eta**2 + jnp.sum(omega**2, axis=0))
        norm = jnp.where(norm > 0, norm, 1.0)
        rho = rho + passed + jnp.log(size) + jnp.log(norm)
        return assemble(rho, eta / norm, omega / norm)

    def squared_norm(self, tau: Float[Array, " m"]) -> Float[Array, " m"]:
        """exp(−2 G_j τ_j) ‖z_j‖² after the time τ_j, relative to ‖z_j‖² before."""
        v = jnp.exp(-2 * self.rate * tau)
        rest = jnp.sum(self.constant**2, axis=0)
        return 2 * self.growing**2 + 2 * (self.decaying * v) ** 2 + rest * v

    def zero_factors(self, span: Span, side: Float[Array, "n m"]) -> Float[Array, "n m"]:
        """v = exp(−Gτ) at which each ⟨ω_j, x_k⟩, of the sign `side`, first becomes zero.

        It is 0 where that never happens, and 1 where it does at once. A preactivation that starts
        at zero and moves to its side is not at a zero.
        """
        along = side * span.preactivations(self.direction)
        a = -self.decaying * along
        b = side * span.preactivations(self.constant)
        c = self.growing * along
        starts = a + b + c <= ON_BOUNDARY * (jnp.abs(a) + jnp.abs(b) + jnp.abs(c))
        departing = starts & (2 * a + b < 0)
        other = jnp.where(a == 0, 0.0, c / jnp.where(a == 0, 1.0, a))
        other = jnp.where((other > 0) & (other < 1), other, 0.0)
        v = jnp.where(departing, other, largest_root_below_one(a, b, c))
        v = jnp.where(starts & ~departing, 1.0, v)
        return jnp.where(self.rate > 0, v, 0.0)

    def time_of(self, v: Float[Array, "*n m"]) -> Float[Array, "*n m"]:
        """The time τ at which exp(−Gτ) is v; inf for v = 0."""
        never = v <= 0
        time = -jnp.log(jnp.where(never, 1.0, v)) / jnp.where(never, 1.0, self.rate)
        return jnp.where(never, jnp.inf, time)


def rotation(
    state: State,
    force: Float[Array, "q m"],
    balance: Balance,
    cleaned: Callable[[Float[Array, "q m"]], Float[Array, "q m"]] = lambda rest: rest,
) -> Rotation:
    """The closed-form flow of every neuron under constant forces D_j.

    The smaller of η ± s, in which digits cancel, follows from the conserved balance,
    (η + s)(η − s) = κ + ‖ω − s e‖². A neuron that shrinks for long depends on it, and on that
    nothing is across the force where it has a single coordinate.
    """
    eta, omega = output_parts(state), hidden_parts(state)
    rate = jnp.linalg.norm(force, axis=0)
    direction = force / jnp.where(rate > 0, rate, 1.0)
    direction = jnp.where(jnp.sum(force != 0, axis=0) == 1, jnp.sign(force), direction)
    along = jnp.sum(omega * direction, axis=0)
    constant = cleaned(omega - along * direction)
    product = balance.of(log_norms(state)) + jnp.sum(constant**2, axis=0)
    plus, minus = eta + along, eta - along
    shrinks, grows = jnp.abs(plus) < 0.5 * jnp.abs(minus), jnp.abs(minus) < 0.5 * jnp.abs(plus)
    growing = jnp.where(shrinks, product / jnp.where(shrinks, minus, 1.0), plus)
    decaying = jnp.where(grows, product / jnp.where(grows, plus, 1.0), minus)
    return Rotation(rate, direction, growing / 2, decaying / 2, constant)


def largest_root_below_one(a, b, c):
    """Largest root of a v² + b v + c in (0, 1), elementwise, and 0 where there is none."""
    discriminant = b**2 - 4 * a * c
    q = -0.5 * (b + jnp.where(b < 0, -1.0, 1.0) * jnp.sqrt(jnp.maximum(discriminant, 0.0)))
    first = jnp.where(a == 0, -1.0, q / jnp.where(a == 0, 1.0, a))
    second = jnp.where(q == 0, -1.0, c / jnp.where(q == 0, 1.0, q))
    inside = [jnp.where((v > 0) & (v < 1), v, 0.0) for v in (first, second)]
    return jnp.where(discriminant < 0, 0.0, jnp.maximum(*inside))
