"""Evidence that the limit t → ∞ is known from the state at one time.

Let C be the data seen by some neuron, r_C their residuals and K = Σ_j K_j the tangent kernel on C.
Let J be neurons whose modes cannot change while every log norm and direction moves by at most δ,
and let K_J ≥ μ > 0 after any such movement. Then ‖r_C(t)‖ ≤ ‖r_C(0)‖ exp(−μ t/n), because every
other neuron only helps, and every neuron moves by at most ‖X‖_op ‖r_C(0)‖/μ. If that is at most δ,
the assumption was true: the limit exists, fits C exactly, and is that close.

* Orthogonal inputs: μ = min_{k ∈ C} ‖x_k‖² Σ_j a_j² over the pairs (j, k) with ω_jk > δ, which stay
  active whatever the neuron's other pairs do, because K ≥ diag_k(‖x_k‖² Σ_{j active at k} a_j²).
  Data seen by nobody stay so, because dead pairs are dead for good: the run is stationary if their
  residual is not zero.
* Any inputs: J are neurons with |⟨ω_j, x_k⟩| > δ ‖x_k‖ for all data, and μ is the least eigenvalue
  of K_J less the most that movements by δ can take from it; C is all data. At positive loss the run
  is stationary where every force D_j vanishes to the tolerance.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import Modes, driving_force
from jaxflow.flow.coordinates import State, hidden_parts, log_norms, output_parts
from jaxflow.flow.field import residual, tangent_kernel
from jaxflow.flow.problem import Problem

MOVEMENT = 1e-6
"""The δ that is assumed and then verified."""


class Evidence(eqx.Module):
    """What is known of the limit.

    Attributes:
        movement: bound on how far every log norm and direction still moves; inf if unknown.
        fitted: whether all data are fitted in the limit, those with residual zero included.
        residual: ‖r‖ over the data that are seen by some neuron, relative to ‖y‖.
        force: largest ‖D_j‖ relative to max‖x‖ ‖y‖/n.
    """

    movement: Float[Array, ""]
    fitted: Bool[Array, ""]
    residual: Float[Array, ""]
    force: Float[Array, ""]

    @property
    def certified(self) -> Bool[Array, ""]:
        """Whether the limit exists for certain, within `movement`."""
        return self.movement <= MOVEMENT

    def settled(self, rtol: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether nothing is left to integrate at this tolerance."""
        return (self.certified & (self.residual <= rtol)) | (self.force <= rtol)


def evidence(problem: Problem, modes: Modes, state: State) -> Evidence:
    """Bound the way that is left to the limit, from the state at one time."""
    r = residual(problem, modes, state)
    magnitude = jnp.linalg.norm(problem.y)
    magnitude = jnp.where(magnitude > 0, magnitude, 1.0)
    if modes.slide is None:
        seen = jnp.any(modes.active & (output_parts(state) != 0), axis=1)
        mu = _least_rate_orthogonal(problem, modes, state, seen)
    else:
        seen = jnp.ones(r.shape, dtype=bool)
        mu = _least_rate(problem, modes, state)
    gap = jnp.linalg.norm(jnp.where(seen, r, 0.0))
    reach = problem.span.operator_norm()
    movement = jnp.where(gap > 0, reach * gap / jnp.where(mu > 0, mu, 1e-300), 0.0)
    rounding = 1e-14 * jnp.max(jnp.abs(problem.y))
    force = jnp.max(jnp.linalg.norm(driving_force(problem, modes, r), axis=0))
    unit = jnp.max(problem.span.norms()) * magnitude / problem.n
    return Evidence(
        movement=movement,
        fitted=jnp.all(seen | (jnp.abs(r) <= rounding)),
        residual=gap / magnitude,
        force=jnp.where(modes.slide is None, jnp.inf, force / unit),
    )


def _least_rate_orthogonal(problem: Problem, modes: Modes, state: State, seen):
    """μ on the data that are seen, for a diagonal lower bound of the kernel."""
    steady = modes.active & (hidden_parts(state) > MOVEMENT)
    size = jnp.maximum(jnp.abs(output_parts(state)) - MOVEMENT, 0.0)
    kernel = jnp.exp(2 * (log_norms(state) - MOVEMENT)) * size**2
    per_datum = jnp.sum(jnp.where(steady, kernel, 0.0), axis=1)
    return jnp.min(jnp.where(seen, problem.span.norms() ** 2 * per_datum, jnp.inf))


def _least_rate(problem: Problem, modes: Modes, state: State):
    """μ = λ_min(K_J) less Σ_j ‖z_j‖² ‖X‖²_op ((e^δ (1 + δ))² − 1)."""
    u = problem.span.preactivations(hidden_parts(state))
    steady = jnp.all(jnp.abs(u) > MOVEMENT * problem.span.norms()[:, None], axis=0)
    kernel = tangent_kernel(problem, modes, state, steady)
    size = jnp.sum(jnp.where(steady, jnp.exp(2 * log_norms(state)), 0.0))
    change = jnp.expm1(2 * (MOVEMENT + jnp.log1p(MOVEMENT)))
    return jnp.linalg.eigvalsh(kernel)[0] - change * size * problem.span.operator_norm() ** 2
