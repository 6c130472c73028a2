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
* Any inputs: J are neurons with |⟨ω_j, x_k⟩| > δ ‖x_k‖ for all data. One lower bound of K_J is its
  least eigenvalue less the most that movements by δ can take from it. The other leaves out what
  output weights contribute: Σ_j a_j² 1[j active at k and l] ⟨x_k, x_l⟩, where movements only let
  a_j² shrink by a small factor, which is worth more where μ is small. There a neuron also counts
  that is within δ of one boundary, and may slide on it or cross it: whatever share α of that
  datum's x it feels, ‖D_j‖ is at least the part that is orthogonal to x, P_j D_j. Data seen by
  nobody stay so if all neurons are further than δ from seeing them.

Two scales. Some data S may be seen by small neurons alone, of ‖z_j‖² that add up to s; then μ is of
the order of s, and what rounding leaves of the residuals of the others B, divided by μ, is no small
number. But they hardly feel each other: with μ_B, μ_S for the blocks of K_J and κ = s ‖X‖²,

    d‖r_B‖/dt ≤ −(μ_B ‖r_B‖ − κ ‖r_S‖)/n,   d‖r_S‖/dt ≤ −(μ_S ‖r_S‖ − κ ‖r_B‖)/n,

whose right-hand sides are those of a linear flow that keeps order. Its integral over all times
bounds ∫ ‖r_B‖ + ‖r_S‖ dt/n by

    (‖r_B‖ (1 + κ/μ_S)/μ_B + ‖r_S‖ (1 + κ/μ_B)/μ_S) / (1 − κ²/(μ_B μ_S)),

if the last factor is positive.

Without such evidence, a run on general inputs is at rest where every force D_j is no more than
rounding, and at positive loss where it is no more than a tenth of the tolerance: α of neurons that
slide there on boundaries of fitted data are ratios of rounding.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import Modes, driving_force
from jaxflow.flow.branching import once_if
from jaxflow.flow.coordinates import State, hidden_parts, log_norms, output_parts
from jaxflow.flow.field import outputs, residual, tangent_kernel
from jaxflow.flow.problem import Problem
from jaxflow.lapack import eigenvalues

MOVEMENT = 1e-6
"""The δ that is assumed and then verified."""
FINER = (1e-9, 1e-12)
"""Others that are tried after it on orthogonal inputs, where neurons that fit a zero label together
hardly see it any more."""
WIDER = (3e-5, 1e-3)
"""Others that are tried after it on general inputs."""
REST = 4e-15
"""Forces this small, in units of max‖x‖ ‖y‖/n, are rounding."""
REST_SHARE = 0.1
"""Share of the tolerance that they may be where the loss is positive."""
POSITIVE = 1e-6
"""Residuals this large beside the labels are no slow fit of a small neuron."""
HIDDEN = 1e-15
"""Rounding in an output, in units of what is added up in it."""
EIGENVALUE = 1e-14
"""Rounding in an eigenvalue, in units of the trace."""


class Evidence(eqx.Module):
    """What is known of the limit.

    Attributes:
        movement: bound on how far every log norm and direction still moves; inf if none has been
            verified.
        fitted: whether all data are fitted in the limit, those with residual zero included.
        residual: ‖r‖ over the data that are seen by some neuron, relative to ‖y‖.
        force: largest ‖D_j‖ relative to max‖x‖ ‖y‖/n.
        positive: whether the loss is positive, far from that of slow fits of small neurons.
    """

    movement: Float[Array, ""]
    fitted: Bool[Array, ""]
    residual: Float[Array, ""]
    force: Float[Array, ""]
    positive: Bool[Array, ""]

    @property
    def certified(self) -> Bool[Array, ""]:
        """Whether the limit exists for certain, within `movement`."""
        return jnp.isfinite(self.movement)

    def settled(self, rtol: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether nothing is left to integrate at this tolerance."""
        return ((self.movement <= MOVEMENT) & (self.residual <= rtol)) | self.at_rest(rtol)

    def at_rest(self, rtol: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether all forces are rounding, or at positive loss below the tolerance (general)."""
        return self.force <= jnp.where(self.positive, jnp.maximum(REST_SHARE * rtol, REST), REST)


def evidence(problem: Problem, modes: Modes, state: State) -> Evidence:
    """Bound the way that is left to the limit, from the state at one time."""
    r = residual(problem, modes, state)
    magnitude = problem.norm_of_labels(state)
    if modes.slide is None:
        seen = jnp.any(modes.active & (output_parts(state) != 0), axis=1)
        movement = _movement_orthogonal(problem, modes, state, seen, jnp.where(seen, r, 0.0))
    else:
        seen = jnp.any(modes.active, axis=1)
        movement = _movement(problem, modes, state, seen)
    gap = jnp.linalg.norm(jnp.where(seen, r, 0.0))
    rounding = 1e-14 * problem.largest_label(state)
    force = jnp.max(jnp.linalg.norm(driving_force(problem, modes, r), axis=0))
    unit = jnp.max(problem.span.norms()) * magnitude / problem.n
    return Evidence(
        movement=movement,
        fitted=jnp.all(seen | (jnp.abs(r) <= rounding)),
        residual=gap / magnitude,
        force=jnp.where(modes.slide is None, jnp.inf, force / unit),
        positive=jnp.linalg.norm(r) > POSITIVE * magnitude,
    )


def _movement_orthogonal(problem: Problem, modes: Modes, state: State, seen, r):
    """The bound of the first δ that is verified; inf if none is."""
    way = _orthogonal_within(problem, MOVEMENT, modes, state, seen, r)
    for delta in FINER:
        finer = partial(_next_within, problem, delta)
        way = once_if(jnp.isinf(way), finer, way, modes, state, seen, r)
    return way


def _next_within(problem: Problem, delta: float, _, modes: Modes, state: State, seen, r):
    return _orthogonal_within(problem, delta, modes, state, seen, r)


def _orthogonal_within(problem: Problem, delta: float, modes: Modes, state: State, seen, r):
    """How far everything moves if it is by no more than δ, from the kernel's diagonal; else inf."""
    steady = modes.active & (hidden_parts(state) > delta)
    size = jnp.maximum(jnp.abs(output_parts(state)) - delta, 0.0)
    kernel = jnp.exp(2 * (log_norms(state) - delta)) * size**2
    per_datum = jnp.sum(jnp.where(steady, kernel, 0.0), axis=1)
    mu = jnp.min(jnp.where(seen, problem.span.norms() ** 2 * per_datum, jnp.inf))
    gap = jnp.linalg.norm(r)
    way = jnp.where(gap > 0, problem.span.operator_norm() * gap / mu, 0.0)
    return jnp.where((mu > 0) & (way <= delta), way, jnp.inf)


def _movement(problem: Problem, modes: Modes, state: State, seen):
    """Likewise for any inputs."""
    off = _with_what_is_hidden(problem, modes, state)
    deltas = jnp.array((MOVEMENT, *WIDER))
    within = partial(_movement_within, problem, modes, state, seen, off)
    ways = jax.vmap(within)(deltas)
    verified = ways <= deltas
    return jnp.where(jnp.any(verified), ways[jnp.argmax(verified)], jnp.inf)


def _with_what_is_hidden(problem: Problem, modes: Modes, state: State) -> Float[Array, " n"]:
    """|r_k| and what rounding may hide of it.

    Elsewhere residuals that may be rounding are taken for zero on general inputs; where small
    neurons alone see a datum, even those would move them far.
    """
    weight = jnp.exp(2 * log_norms(state)) * jnp.abs(output_parts(state))
    terms = problem.span.norms() * (modes.active.astype(state.dtype) @ weight)
    r = jnp.abs(problem.y - outputs(problem, modes, state))
    return r + HIDDEN * (jnp.abs(problem.y) + terms)


def _movement_within(problem: Problem, modes: Modes, state: State, seen, off, delta):
    """How far everything moves at most if it is by no more than δ; inf where no bound holds."""
    u = problem.span.preactivations(hidden_parts(state)) / problem.span.norms()[:, None]
    away = jnp.abs(u) > delta
    steady, operator_norm = jnp.all(away, axis=0), problem.span.operator_norm()
    whole = tangent_kernel(problem, modes, state, steady)
    lost = _growth_of_mass(state, steady, delta) * operator_norm**2
    kernel = _kernel_of_output_weights(problem, modes, state, away, delta)
    small = _smaller_ones(jnp.diag(kernel), seen)
    groups = jnp.stack([seen, seen & ~small, small])
    least = jax.vmap(_least_eigenvalue, (None, 0))
    by_weights = least(kernel, groups)
    mu, mu_large, _ = jnp.maximum(least(whole, groups) - lost, by_weights)
    mu_small = by_weights[2]
    sees = jnp.any((modes.active | ~away) & small[:, None], axis=0)
    mass = jnp.sum(jnp.where(sees, jnp.exp(2 * (log_norms(state) + delta)), 0.0))
    coupling = mass * operator_norm**2
    r, r_large, r_small = jnp.linalg.norm(jnp.where(groups, off, 0.0), axis=1)
    together = jnp.where(mu > 0, r / mu, jnp.inf)
    apart = _of_two_scales(r_large, r_small, mu_large, mu_small, coupling)
    way = operator_norm * jnp.minimum(together, apart)
    return jnp.where(jnp.all(away | seen[:, None]), way, jnp.inf)


def _of_two_scales(r_large, r_small, mu_large, mu_small, coupling):
    """The bound of ∫ ‖r_B‖ + ‖r_S‖ dt/n; inf where there is none."""
    up, down = coupling / mu_large, coupling / mu_small
    total = r_large * (1 + down) / mu_large + r_small * (1 + up) / mu_small
    holds = (mu_large > 0) & (mu_small > 0) & (up * down < 1)
    return jnp.where(holds, total / (1 - up * down), jnp.inf)


def _smaller_ones(sizes: Float[Array, " n"], seen: Bool[Array, " n"]) -> Bool[Array, " n"]:
    """The data that are seen below the widest gap between the logarithms of their sizes."""
    logs = jnp.where(seen, jnp.log(sizes), jnp.inf)
    order = jnp.sort(logs)
    gaps = jnp.where(jnp.isfinite(order[1:]), order[1:] - order[:-1], -jnp.inf)
    return seen & (logs <= order[jnp.argmax(gaps)])


def _growth_of_mass(state: State, steady, delta) -> Float[Array, ""]:
    """Σ_j ‖z_j‖² ((e^δ (1 + δ))² − 1): times ‖X‖²_op the most that movements take from K_J."""
    size = jnp.sum(jnp.where(steady, jnp.exp(2 * log_norms(state)), 0.0))
    return jnp.expm1(2 * (delta + jnp.log1p(delta))) * size


def _kernel_of_output_weights(problem: Problem, modes: Modes, state: State, away, delta):
    """Σ_j a_j² 1[j active at k and l] ⟨P_j x_k, P_j x_l⟩, for the least a_j possible."""
    gram, doubtful = problem.span.gram(), ~away
    counted = jnp.sum(doubtful, axis=0) <= 1
    active = (modes.active & away).astype(state.dtype)
    taken = active * ((gram / problem.span.norms()) @ doubtful.astype(state.dtype))
    size = jnp.maximum(jnp.abs(output_parts(state)) - delta, 0.0)
    weight = jnp.where(counted, jnp.exp(2 * (log_norms(state) - delta)) * size**2, 0.0)
    return gram * ((active * weight) @ active.T) - (taken * weight) @ taken.T


def _least_eigenvalue(kernel: Float[Array, "n n"], data: Bool[Array, " n"]):
    """A lower bound of it on some data; the others stand beside it as a large multiple of one."""
    largest = jnp.maximum(jnp.sum(jnp.where(data, jnp.diag(kernel), 0.0)), 1e-300)
    both = data[:, None] & data
    least = eigenvalues(jnp.where(both, kernel, largest * jnp.eye(data.shape[0])))[0]
    return least - EIGENVALUE * largest
