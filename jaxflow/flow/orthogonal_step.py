"""One step of an explicit Runge-Kutta method on orthogonal inputs.

Neurons are measured in units of their own size at the start of the step, z_j = exp(ρ_j) (â_j, p̂_j),
where (â_j, p̂_j) = (η_j, ω_j) at first. With s_j = exp(2ρ_j) and pairs that are inactive at rest,

    h_k = ‖x_k‖ Σ_j s_j â_j p̂_jk,   R_k = ‖x_k‖ (y_k − h_k)/n,
    dâ_j/dt = Σ_k p̂_jk R_k,   dp̂_jk/dt = â_j R_k.

The slope of p̂ is a product of a number of the neuron and one of the datum. Of every stage only
these factors are kept, and Σ_l c_l k_l over stages is a product of small matrices, which costs less
than to add slopes of m n numbers.
"""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import FAR
from jaxflow.flow.coordinates import State, assemble, hidden_parts, log_norms, output_parts
from jaxflow.flow.problem import Problem
from jaxflow.flow.rows import sum_of_rows, weighted_sum
from jaxflow.flow.stages import dense_weights, weights_to_the_end

FEW = 8
"""Data up to which sums of products are written out, one row after the other. For small matrices
that is faster than their product; for many it makes the program long."""


class OrthogonalStep(eqx.Module):
    """A step that was tried: its start and the factors of the slopes of all stages.

    Attributes:
        start: the state from which it starts.
        active: pairs that move.
        a: â_j of every stage.
        push: R_k of every stage, times the step.
        pull: dâ_j/dt of every stage, times the step.
        end: â and p̂ at the end.
        method: the Runge-Kutta method.
    """

    start: State
    active: Bool[Array, "n m"]
    a: list[Float[Array, " m"]]
    push: list[Float[Array, " n"]]
    pull: list[Float[Array, " m"]]
    end: tuple[Float[Array, " m"], Float[Array, "n m"]]
    method: diffrax.AbstractERK = eqx.field(static=True)

    def way(self, weights) -> tuple[Float[Array, " m"], Float[Array, "n m"]]:
        """Σ_l weights_l k_l for â and p̂."""
        turned = weighted_sum(weights, self.pull)
        return turned, _products(weights, self.push, self.a, self.active)

    def error(self) -> tuple[Float[Array, " m"], Float[Array, "n m"]]:
        """The method's estimate of its error in â and p̂."""
        return self.way(np.asarray(self.method.tableau.b_error))

    def inside(self, fraction: Float[Array, ""]) -> State:
        """The state at a fraction of the step, by the dense output; exact at both ends."""
        change = self.way(weights_to_the_end(self.method, fraction))
        moved = (value + more for value, more in zip(self.end, change, strict=True))
        return in_own_units(log_norms(self.start), *moved)

    def pair_inside(self, fraction: Float[Array, ""], k, j) -> Float[Array, ""]:
        """p̂_jk at a fraction of the step."""
        slopes = jnp.stack([a[j] * push[k] for a, push in zip(self.a, self.push, strict=True)])
        return hidden_parts(self.start)[k, j] + dense_weights(self.method, fraction) @ slopes

    @property
    def margins(self) -> tuple[Float[Array, "n m"], Float[Array, "n m"]]:
        """p̂ of active pairs at both ends."""
        ends = hidden_parts(self.start), self.end[1]
        return tuple(jnp.where(self.active, p, FAR) for p in ends)

    @property
    def slopes(self) -> tuple[Float[Array, "n m"], Float[Array, "n m"]]:
        """dp̂/dt of active pairs at both ends, times the step."""
        ends = ((self.push[i][:, None], self.a[i]) for i in (0, -1))
        return tuple(jnp.where(self.active, push * a, 0.0) for push, a in ends)


def orthogonal_step(
    method: diffrax.AbstractERK,
    problem: Problem,
    active: Bool[Array, "n m"],
    start: State,
    length: Float[Array, ""],
) -> OrthogonalStep:
    """Compute all stages of a step. The method's last stage has to be the slope at the end."""
    norms = problem.span.norms()
    size = jnp.exp(2 * log_norms(start))
    eta, omega = output_parts(start), hidden_parts(start)
    a, push, pull = [], [], []

    def stage(a_here, p_here):
        outputs = norms * (p_here @ (size * a_here))
        force = length * (problem.y - outputs) * norms / problem.n
        a.append(a_here)
        push.append(force)
        pull.append(force @ p_here)

    stage(eta, omega)
    for row in method.tableau.a_lower:
        moved = omega + _products(np.asarray(row), push, a, active)
        turned = eta + weighted_sum(row, pull)
        end = jax.lax.optimization_barrier((turned, moved))
        stage(*end)
    return OrthogonalStep(start, active, a, push, pull, end, method)


def _in_rows(vectors) -> Float[Array, "s v"]:
    """Vectors as the rows of a matrix; `jnp.stack` would be transposed under `vmap`."""
    return jnp.concatenate([vector[None] for vector in vectors])


def in_own_units(rho: Float[Array, " m"], a: Float[Array, " m"], p: Float[Array, "n m"]) -> State:
    """The state of neurons exp(ρ_j) (â_j, p̂_j) whose (â_j, p̂_j) is not of norm one."""
    norm = own_norm(a, p)
    return assemble(rho + jnp.log(norm), a / norm, p / norm)


def own_norm(a: Float[Array, " m"], p: Float[Array, "n m"]) -> Float[Array, " m"]:
    """‖(â_j, p̂_j)‖, and one for neurons that are zero."""
    norm = jnp.sqrt(a**2 + sum_of_rows(p**2))
    return jnp.where(norm > 0, norm, 1.0)


def _without_zeros(weights, *values):
    """Weights and what belongs to them, without weights that are known to be zero."""
    if not isinstance(weights, np.ndarray):
        return weights, *values
    used = np.flatnonzero(weights)
    return weights[used], *([value[i] for i in used] for value in values)


def _products(weights, push, a, active) -> Float[Array, "n m"]:
    """Σ_l weights_l R_l â_l over stages, for the pairs that move."""
    weights, push, a = _without_zeros(weights, push, a)
    if active.shape[0] > FEW:
        weighted = jnp.asarray(weights)[:, None] * _in_rows(push)
        return jnp.where(active, weighted.T @ _in_rows(a), 0.0)
    forces = [weights[i] * force for i, force in enumerate(push)]
    rows = (weighted_sum([f[k] for f in forces], a) for k in range(active.shape[0]))
    return _in_rows(jnp.where(pairs, row, 0.0) for pairs, row in zip(active, rows, strict=True))
