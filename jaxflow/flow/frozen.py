"""The flow in closed form while the residual is frozen, with the bound that says for how long.

As long as the outputs change by a negligible amount, every neuron moves on its own: with constant
force D, G = ‖D‖, e = D/G and the projection s = ⟨ω, e⟩,

    η(τ) + s(τ) = (η + s) exp(Gτ),   η(τ) − s(τ) = (η − s) exp(−Gτ),   the rest is constant,

so that a preactivation is exp(Gτ) times a quadratic polynomial in v = exp(−Gτ), and the time of its
zero is the root of a quadratic. This holds in the early phase and at every later plateau alike.

Error bound. Let h move by at most dev(T) within the time T. Then every force is wrong by at most
max‖x‖² dev(T)/n, and every log norm and direction by T times that. ‖z_j‖² is a convex function of
time while the residual is frozen, also across mode changes, so that dev(T) is at most the sum over
neurons of (‖z_j(0)‖² + ‖z_j(T)‖²)/2, and also of ‖z_j(0)‖² (exp(2 G_j T) − 1)/2 with the initial
G_j, which never grows.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.coordinates import State, assemble, hidden_parts, log_norms, output_parts
from jaxflow.flow.field import Problem, driving_force
from jaxflow.network import LOG2

NEWTON_STEPS = 8


class FrozenFlight(eqx.Module):
    """Neurons on their own clocks: each has done its mode changes up to its time."""

    clock: Float[Array, " m"]
    state: State
    active: Bool[Array, "m n"]
    deaths: Float[Array, "m n"]


class Rotation(eqx.Module):
    """A hyperbolic rotation of every neuron: the flow under constant forces."""

    rate: Float[Array, " m"]
    direction: Float[Array, "m q"]
    growing: Float[Array, " m"]
    decaying: Float[Array, " m"]
    constant: Float[Array, "m q"]

    def at(self, rho: Float[Array, " m"], tau: Float[Array, " m"]) -> State:
        """The normalised state after the time τ_j."""
        v = jnp.exp(-self.rate * tau)
        eta = self.growing + self.decaying * v**2
        along = self.growing - self.decaying * v**2
        omega = along[:, None] * self.direction + v[:, None] * self.constant
        norm = jnp.sqrt(eta**2 + jnp.sum(omega**2, axis=-1))
        safe = jnp.where(norm > 0, norm, 1.0)
        rho = rho + self.rate * tau + jnp.log(safe)
        return assemble(rho, eta / safe, omega / safe[:, None])

    def log_norm_at(self, rho: Float[Array, " m"], tau: Float[Array, " m"]) -> Float[Array, " m"]:
        """ρ_j after the time τ_j."""
        v = jnp.exp(-self.rate * tau)
        rest = jnp.sum(self.constant**2, axis=-1)
        squared = 2 * self.growing**2 + 2 * (self.decaying * v**2) ** 2 + rest * v**2
        return rho + self.rate * tau + 0.5 * jnp.log(jnp.maximum(squared, 1e-300))

    def zero_times(self) -> Float[Array, "m q"]:
        """First positive time at which each coordinate of ω_j vanishes, inf if never."""
        v = largest_root_below_one(
            -self.decaying[:, None] * self.direction,
            self.constant,
            self.growing[:, None] * self.direction,
        )
        never = (v <= 0) | (self.rate[:, None] == 0)
        return jnp.where(never, jnp.inf, -jnp.log(jnp.where(never, 1.0, v)) / self.rate[:, None])


def rotation(state: State, force: Float[Array, "m q"]) -> Rotation:
    """The closed-form flow of every neuron under constant forces D_j."""
    eta, omega = output_parts(state), hidden_parts(state)
    rate = jnp.linalg.norm(force, axis=-1)
    direction = force / jnp.where(rate > 0, rate, 1.0)[:, None]
    along = jnp.sum(omega * direction, axis=-1)
    constant = omega - along[:, None] * direction
    return Rotation(rate, direction, (eta + along) / 2, (eta - along) / 2, constant)


def largest_root_below_one(a, b, c):
    """Largest root of a v² + b v + c in (0, 1), elementwise, and 0 where there is none."""
    discriminant = b**2 - 4 * a * c
    q = -0.5 * (b + jnp.where(b < 0, -1.0, 1.0) * jnp.sqrt(jnp.maximum(discriminant, 0.0)))
    first = jnp.where(a == 0, -1.0, q / jnp.where(a == 0, 1.0, a))
    second = jnp.where(q == 0, -1.0, c / jnp.where(q == 0, 1.0, q))
    inside = [jnp.where((v > 0) & (v < 1), v, 0.0) for v in (first, second)]
    return jnp.where(discriminant < 0, 0.0, jnp.maximum(*inside))


def frozen_flow(
    problem: Problem,
    active: Bool[Array, "m n"],
    state: State,
    deaths: Float[Array, "m n"],
    r: Float[Array, " n"],
    start: Float[Array, ""],
    stop: Float[Array, ""],
    tolerance: Float[Array, ""],
) -> tuple[Float[Array, ""], FrozenFlight]:
    """Follow every neuron in closed form until `stop` or until the bound reaches the tolerance.

    `r` is the residual to freeze, with zeros for fitted data. Returns the time reached and the
    neurons there; nothing moves where not even a short time is allowed.
    """
    log_weight = 2 * log_norms(state) - LOG2
    first_rate = jnp.linalg.norm(driving_force(problem, active, r), axis=-1)
    log_reach = 2 * jnp.log(jnp.max(problem.span.norms())) - jnp.log(problem.n)

    def log_bound(flight, spin, end):
        """log of (time · force error) at `end`, and its rate of growth."""
        span = end - start
        now = 2 * spin.log_norm_at(log_norms(flight.state), end - flight.clock) - LOG2
        linear = log_weight + _log_expm1(2 * first_rate * span)
        moved = jnp.minimum(jnp.logaddexp(log_weight, now), linear)
        total = logsumexp(moved)
        share = jnp.exp(moved - jnp.where(jnp.isfinite(total), total, 0.0))
        return log_reach + jnp.log(span) + total, 1 / span + 2 * jnp.sum(share * spin.rate)

    def reachable(flight, spin):
        """The time up to which the bound allows, by Newton's method on its logarithm."""
        top = jnp.maximum(jnp.max(first_rate), 1e-300)
        room = jnp.log(tolerance) - log_reach - logsumexp(log_weight) + jnp.log(top)
        guess = start + jnp.clip(0.5 * room, 1e-3, None) / top

        def newton(_, end):
            bound, rate = log_bound(flight, spin, end)
            change = (jnp.log(tolerance) - bound) / rate
            change = jnp.where(jnp.isfinite(change), change, 0.0)
            return start + jnp.maximum(end - start + change, 0.2 * (end - start))

        end = jax.lax.fori_loop(0, NEWTON_STEPS, newton, guess)
        within = log_bound(flight, spin, end)[0] <= jnp.log(2 * tolerance)
        return jnp.where(within, end, start)

    def plan(flight):
        spin = rotation(flight.state, driving_force(problem, flight.active, r))
        due = jnp.where(flight.active, spin.zero_times(), jnp.inf)
        end = jnp.minimum(reachable(flight, spin), stop)
        return spin, due, end

    def anyone_due(carry):
        flight, _, due, end = carry
        return jnp.any(flight.clock + jnp.min(due, axis=-1) < end)

    def advance(carry):
        flight, spin, due, end = carry
        tau = jnp.min(due, axis=-1)
        moving = flight.clock + tau < end
        dying = moving[:, None] & (due <= tau[:, None] * (1 + 1e-15)) & flight.active
        clock = jnp.where(moving, flight.clock + tau, flight.clock)
        moved = _without(spin.at(log_norms(flight.state), jnp.where(moving, tau, 0.0)), dying)
        flight = FrozenFlight(
            clock,
            jnp.where(moving[:, None], moved, flight.state),
            flight.active & ~dying,
            jnp.where(dying, clock[:, None], flight.deaths),
        )
        return flight, *plan(flight)

    flight = FrozenFlight(jnp.full(state.shape[0], start), state, active, deaths)
    flight, spin, _, end = jax.lax.while_loop(anyone_due, advance, (flight, *plan(flight)))
    arrived = spin.at(log_norms(flight.state), jnp.maximum(end - flight.clock, 0.0))
    return end, FrozenFlight(
        jnp.full_like(flight.clock, end), arrived, flight.active, flight.deaths
    )


def allows(
    problem: Problem,
    active: Bool[Array, "m n"],
    state: State,
    r: Float[Array, " n"],
    duration: Float[Array, ""],
    tolerance: Float[Array, ""],
) -> Bool[Array, ""]:
    """Whether the residual may be frozen at least for `duration`."""
    rate = jnp.linalg.norm(driving_force(problem, active, r), axis=-1)
    weight = 0.5 * jnp.exp(2 * log_norms(state))
    moved = jnp.sum(weight * jnp.expm1(jnp.minimum(2 * rate * duration, 700.0)))
    reach = jnp.max(problem.span.norms()) ** 2 / problem.n
    return reach * duration * moved <= tolerance


def _log_expm1(x):
    """log(exp(x) − 1) without overflow."""
    return jnp.where(x > 30, x, jnp.log(jnp.expm1(jnp.minimum(x, 30.0))))


def _without(state: State, dying: Bool[Array, "m n"]) -> State:
    """Set the preactivations of dying pairs to exactly zero (orthogonal coordinates)."""
    omega = jnp.where(dying, 0.0, hidden_parts(state))
    return assemble(log_norms(state), output_parts(state), omega)
