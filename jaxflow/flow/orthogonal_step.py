"""One step of an explicit Runge-Kutta method on orthogonal inputs.

Neurons are measured in units of their own size at some time, z_j = exp(ρ_j) (â_j, p̂_j): as a rule
at the start of the step, where then (â_j, p̂_j) = (η_j, ω_j). With s_j = exp(2ρ_j), and pairs that
are inactive at rest,

    h_k = ‖x_k‖ Σ_j s_j â_j p̂_jk,   R_k = ‖x_k‖ (y_k − h_k)/n,
    dâ_j/dt = Σ_k p̂_jk R_k,   dp̂_jk/dt = â_j R_k.

The slope of p̂ is a product of a number of the neuron and one of the datum. Of every stage only
these factors are kept, so that Σ_l c_l k_l over stages is one pass over the pairs.

â and p̂ are the rows of one array, which a product of the whole with the amplitudes needs: so the
compiler keeps every stage, where it would compute â_l once more for each of its many users. Beside
R_k there is a zero for the row â, on which no datum pulls: R and the rows are then of one length.
"""

import diffrax
import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxflow.flow.activation import FAR
from jaxflow.flow.coordinates import State
from jaxflow.flow.problem import Problem
from jaxflow.flow.rows import norm_over_rows, weighted_sum, weighted_sum_of_products
from jaxflow.flow.stages import dense_weights, weights_to_the_end

Rows = Float[Array, "n+1 m"]
"""Row â, and the rows of p̂."""


class OrthogonalStep(eqx.Module):
    """A step that was tried: its start and the factors of the slopes of all stages.

    Attributes:
        rho: ρ_j, in whose units everything is.
        start: â and p̂ at the start.
        active: pairs that move.
        a: â_j of every stage.
        push: zero and R_k of every stage, times the step.
        pull: dâ_j/dt of every stage, times the step.
        end: â and p̂ at the end.
        method: the Runge-Kutta method.
    """

    rho: Float[Array, " m"]
    start: Rows
    active: Bool[Array, "n m"]
    a: list[Float[Array, " m"]]
    push: list[Float[Array, " n+1"]]
    pull: list[Float[Array, " m"]]
    end: Rows
    method: diffrax.AbstractERK = eqx.field(static=True)

    def error(self) -> Rows:
        """The method's estimate of its error in â and p̂."""
        return self._way(np.asarray(self.method.tableau.b_error))

    def inside(self, fraction: Float[Array, ""]) -> State:
        """The state at a fraction of the step, by the dense output; exact at both ends."""
        z = self.end + self._way(weights_to_the_end(self.method, fraction))
        return in_own_units(self.rho, z, own_norm(z))

    def _way(self, weights) -> Rows:
        return _way(weights, self.push, self.pull, self.a, self.active)

    def pair_inside(self, fraction: Float[Array, ""], k, j) -> Float[Array, ""]:
        """p̂_jk at a fraction of the step."""
        slopes = jnp.stack([a[j] * push[k + 1] for a, push in zip(self.a, self.push, strict=True)])
        return self.start[k + 1, j] + dense_weights(self.method, fraction) @ slopes

    @property
    def margins(self) -> tuple[Float[Array, "n m"], Float[Array, "n m"]]:
        """p̂ of active pairs at both ends."""
        ends = self.start[1:], self.end[1:]
        return tuple(jnp.where(self.active, p, FAR) for p in ends)

    @property
    def slopes(self) -> tuple[Float[Array, "n m"], Float[Array, "n m"]]:
        """dp̂/dt of active pairs at both ends, times the step."""
        ends = ((self.push[i][1:, None], self.a[i]) for i in (0, -1))
        return tuple(jnp.where(self.active, push * a, 0.0) for push, a in ends)


def orthogonal_step(
    method: diffrax.AbstractERK,
    problem: Problem,
    active: Bool[Array, "n m"],
    rho: Float[Array, " m"],
    start: Rows,
    length: Float[Array, ""],
) -> OrthogonalStep:
    """Compute all stages of a step. The method's last stage has to be the slope at the end."""
    norms, y = _below_zero(problem.span.norms()), _below_zero(problem.y)
    size = jnp.exp(2 * rho)
    a, push, pull = [], [], []

    def stage(z: Rows):
        outputs = norms * (z @ (size * z[0]))
        force = length * (y - outputs) * norms / problem.n
        a.append(z[0])
        push.append(force)
        pull.append(force @ z)

    stage(start)
    for row in method.tableau.a_lower:
        z = start + _way(np.asarray(row), push, pull, a, active)
        stage(z)
    return OrthogonalStep(rho, start, active, a, push, pull, z, method)


def own_norm(z: Rows) -> Float[Array, " m"]:
    """‖(â_j, p̂_j)‖, and one for neurons that are zero."""
    norm = norm_over_rows(z)
    return jnp.where(norm > 0, norm, 1.0)


def in_own_units(rho: Float[Array, " m"], z: Rows, norm: Float[Array, " m"]) -> State:
    """The state of neurons exp(ρ_j) (â_j, p̂_j) with (â_j, p̂_j) of the given norm."""
    return jnp.concatenate([(rho + jnp.log(norm))[None], z / norm])


def _way(weights, push, pull, a, active) -> Rows:
    """Σ_l weights_l k_l over stages, for the pairs that move."""
    turned = weighted_sum(weights, pull)
    moved = weighted_sum_of_products(weights, [force[1:, None] for force in push], a)
    return jnp.concatenate([turned[None], jnp.where(active, moved, 0.0)])


def _below_zero(x: Float[Array, " n"]) -> Float[Array, " n+1"]:
    """A zero for the row â, and below it one number for each row of p̂."""
    return jnp.concatenate([jnp.zeros(1), x])
