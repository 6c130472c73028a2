"""The last approach to the limit, to first order in the residual.

Orthogonal inputs, no pair changes its mode any more, and r is small. With K the tangent kernel,

    dr/dt = −K r/n,   r(t) ≈ exp(−K_0 t/n) r_0,   Θ_k(t) = ‖x_k‖/n ∫ r_k dt,

and every neuron turns by the hyperbolic rotation (see `rotation`) that a force x_k Θ_k/‖x_k‖ would
give in one unit of time. An explicit method needs a number of steps in proportion to the ratio of
the largest and the least eigenvalue of K here, at whose end residuals hover at its tolerance.

Error bound. Let λ_i be the eigenvalues of K_0/n and ρ_i the parts of r_0 along its axes, on the
data that are seen; I = Σ_i |ρ_i|/λ_i ≥ ∫‖r‖ dt to first order; c = max ‖x_k‖²/n; and S = Σ ‖z_j‖²
over the neurons that see something. As long as all log norms and directions move by at most θ, the
factor J of K/n = J Jᵀ moves by at most τ √(cS), τ = e^θ − 1, and K/n by at most
η = 2τ √(c S λ_max) + τ² c S. Then ∫‖r‖ ≤ I/(1 − η/λ_min), of which a share of η/λ_min is not in the
first order. If η/λ_min ≤ 1/2 for θ = 2 I max‖x_k‖/n, it is true that they move by at most θ, and
Θ by θ η/λ_min off the first order. Two rotations about different axes differ from that about their
sum by at most θ²/2. All this holds as long as no coordinate ω_jk is below τ: then nothing dies.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.flow.activation import Modes
from jaxflow.flow.branching import once_if
from jaxflow.flow.coordinates import Balance, State, hidden_parts, log_norms
from jaxflow.flow.field import seen_residual, tangent_kernel
from jaxflow.flow.problem import Problem
from jaxflow.flow.rotation import rotation
from jaxflow.lapack import eigenvalues_and_axes

ROOM = 1.1
"""Coordinates must be this many times as large as what they can lose."""
ZERO = 1e-14
"""Eigenvalues this small beside the largest belong to data that nobody sees."""
NEWTON_STEPS = 12


def approach_bound(
    problem: Problem, modes: Modes, state: State, tolerance: Float[Array, ""]
) -> Float[Array, ""]:
    """A bound on the error of the closed form in any log norm or direction; inf if it has none.

    It is at least (‖r‖/‖y‖)² as a rule: where that is above the tolerance, nothing is computed.
    """
    r = jnp.linalg.norm(seen_residual(problem, modes, state))

    def bound(_, modes: Modes, state: State):
        return _bound(problem, modes, state)

    small = r <= jnp.sqrt(tolerance) * problem.norm_of_labels(state)
    return once_if(small, bound, jnp.array(jnp.inf), modes, state)


def _bound(problem: Problem, modes: Modes, state: State) -> Float[Array, ""]:
    rates, parts, _ = _decaying_parts(problem, modes, state)
    least = jnp.min(jnp.where(rates > 0, rates, jnp.inf))
    way = jnp.sum(jnp.abs(parts) / jnp.where(rates > 0, rates, 1.0))
    reach = jnp.max(problem.span.norms())
    theta = 2 * reach / problem.n * way
    tau = jnp.expm1(theta)
    sees = jnp.any(modes.active, axis=0)
    size = reach**2 / problem.n * jnp.sum(jnp.where(sees, jnp.exp(2 * log_norms(state)), 0.0))
    change = 2 * tau * jnp.sqrt(size * rates[-1]) + tau**2 * size
    thinnest = jnp.min(jnp.where(modes.active, hidden_parts(state), jnp.inf))
    sound = (change <= 0.5 * least) & (thinnest >= ROOM * tau)
    return jnp.where(sound, theta * (change / least + theta / 2), jnp.inf)


def approach(
    problem: Problem,
    modes: Modes,
    state: State,
    balance: Balance,
    span: Float[Array, ""],
    sought: Float[Array, ""],
) -> tuple[Float[Array, ""], State]:
    """The time that passes until residuals are `sought` or the span is over, and the state then.

    `sought` is a norm of r over the data that are seen; zero leads to the end of the span.
    """
    rates, parts, axes = _decaying_parts(problem, modes, state)
    time = jnp.minimum(span, _time_of(rates, parts, sought))
    passed = axes @ (parts * -jnp.expm1(-rates * time) / jnp.where(rates > 0, rates, 1.0))
    turn = problem.span.norms() / problem.n * passed
    spin = rotation(state, jnp.where(modes.active, turn[:, None], 0.0), balance)
    return time, spin.at(log_norms(state), jnp.ones(state.shape[1]))


def _decaying_parts(problem: Problem, modes: Modes, state: State):
    """Eigenvalues of K/n, the parts of the residual along its axes, and the axes.

    Both are zero for data that nobody sees.
    """
    rates, axes = eigenvalues_and_axes(tangent_kernel(problem, modes, state) / problem.n)
    parts = axes.T @ seen_residual(problem, modes, state)
    moving = rates > ZERO * rates[-1]
    return jnp.where(moving, rates, 0.0), jnp.where(moving, parts, 0.0), axes


def _time_of(rates, parts, sought) -> Float[Array, ""]:
    """When Σ_i parts_i² exp(−2 rates_i t) is sought², from below; inf for zero.

    Its logarithm is convex in t, so that Newton's method from zero never goes too far.
    """

    def newton(_, t):
        terms = parts**2 * jnp.exp(-2 * rates * t)
        total = jnp.sum(terms)
        slope = -2 * jnp.sum(rates * terms) / total
        change = (2 * jnp.log(sought) - jnp.log(total)) / slope
        return t + jnp.where(jnp.isfinite(change), jnp.maximum(change, 0.0), 0.0)

    time = jax.lax.fori_loop(0, NEWTON_STEPS, newton, jnp.zeros(()))
    return jnp.where(sought > 0, time, jnp.inf)
