"""Activation modes of all neurons, and the margins that stay positive while the modes last.

Orthogonal inputs know two modes, and inactive is for good. In general a neuron also slides along
boundaries, and any pair of neuron and datum may change. Sliding pairs are kept per hyperplane: of
collinear inputs the first one, the leader, stands for all (see `jaxflow.modes`).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.flow.coordinates import State, hidden_parts
from jaxflow.flow.problem import Problem
from jaxflow.flow.sliding import SlidingBasis
from jaxflow.modes import BoundaryChoice, codes

FAR = 1.0
"""Margin of a pair that cannot change its mode."""


class Slide(eqx.Module):
    """How neurons sit on boundaries.

    Attributes:
        mode: mode of every datum, coded as in `jaxflow.modes.codes`.
        alpha: α of every leader that is not free: constant until the neuron's next event.
        free: leaders whose α follows the residual, the sliding ones.
        resting: leaders on the boundary that stay there with constant α.
        dual: dual bases of the free inputs.
        side: sign of the jump J_k when the neuron was settled. While a pair slides its J_k keeps
            that sign: on the way to zero it meets α_k = b_k/J_k = 1 first.
        flag: reports of the boundary choice so far, a sum of `jaxflow.modes.codes`.
    """

    mode: Int[Array, "n m"]
    alpha: Float[Array, "n m"]
    free: Bool[Array, "n m"]
    resting: Bool[Array, "n m"]
    dual: SlidingBasis
    side: Float[Array, "n m"]
    flag: Int[Array, ""]


class Modes(eqx.Module):
    """Which data each neuron sees, and on which boundaries it sits (`slide`, general inputs)."""

    active: Bool[Array, "n m"]
    slide: Slide | None

    @property
    def codes(self) -> Int[Array, "n m"]:
        """1 active, 0 inactive, 2 sliding."""
        return self.active.astype(jnp.int8) if self.slide is None else self.slide.mode

    @property
    def reports(self) -> Int[Array, ""]:
        """What the boundary choices so far had to report, a sum of `jaxflow.modes.codes`."""
        return jnp.array(codes.UNIQUE) if self.slide is None else self.slide.flag


def first_modes(problem: Problem, u: Float[Array, "n m"]) -> Modes:
    """Modes at time zero: active where ⟨w_j, x_k⟩ > 0, inactive elsewhere.

    With relu'(0) = 0 a pair that starts on its boundary is inactive. With orthogonal inputs it
    stays so. In general the flow with that mode either keeps it there or on its inactive side, and
    then it was right; or pushes it to the active side, which is an event at time zero.
    """
    active = u > 0
    if problem.boundaries is None:
        return Modes(active, None)
    lines = problem.boundaries
    mode = jax.vmap(lines.mode_of_data, 1, 1)(active.astype(jnp.int8))
    nowhere = jnp.zeros_like(active)
    slide = Slide(
        mode=mode,
        alpha=(mode == codes.ACTIVE).astype(u.dtype),
        free=nowhere,
        resting=nowhere,
        dual=SlidingBasis.nowhere(*u.shape[::-1], problem.span.size),
        side=jnp.zeros_like(u),
        flag=jnp.array(0),
    )
    return Modes(mode == codes.ACTIVE, slide)


def resting(choice: BoundaryChoice) -> Bool[Array, " n"]:
    """Leaders of a neuron that stay on the boundary without being free."""
    return ((choice.mode == codes.SLIDING) & ~choice.free) | choice.still


def along_boundaries(
    problem: Problem, modes: Modes, vectors: Float[Array, "q m"]
) -> Float[Array, "q m"]:
    """The part of vectors that is orthogonal to the inputs on whose boundaries the neurons slide.

    Rounding in ⟨w_j, x_k⟩ = 0 does not shrink when the neuron does, and must not be left to grow
    beside it.
    """
    if modes.slide is None:
        return vectors
    return vectors + problem.span.combine(modes.slide.dual.coefficients(vectors))


def driving_force(problem: Problem, modes: Modes, r: Float[Array, " n"]) -> Float[Array, "q m"]:
    """D_j = 1/n Σ_k α_jk r_k x_k in span coordinates (arXiv 2206.00939, equation 2)."""
    if modes.slide is None:
        return problem.span.combine(jnp.where(modes.active, r[:, None] / problem.n, 0.0))
    return sliding_force(problem, modes.slide, r)


def sliding_force(problem: Problem, slide: Slide, r: Float[Array, " n"]) -> Float[Array, "q m"]:
    """D_j on general inputs.

    α_k J_k = b_k of the free boundaries is such that the neuron stays on them: b = −E F.
    """
    fixed = fixed_force(problem, slide, r)
    b = slide.dual.coefficients(fixed)
    return (fixed + problem.span.rows.T @ b) / problem.n


def fixed_force(problem: Problem, slide: Slide, r: Float[Array, " n"]) -> Float[Array, "q m"]:
    """F_j = n D_j without the free boundaries: Σ_k (α_jk J_k + N_k) x_k over the leaders."""
    lines = problem.boundaries
    weights = slide.alpha * lines.jump(r)[:, None] + lines.offset(r)[:, None]
    return problem.span.rows.T @ weights


def margins(
    problem: Problem, modes: Modes, state: State, r: Float[Array, " n"]
) -> Float[Array, "p m"]:
    """Numbers that are positive while every mode lasts.

    Orthogonal inputs: ω_jk of active pairs (p = n). In general (p = 2n) first ±⟨ω_j, x_k⟩/‖x_k‖, or
    α_k |J_k|/max|y| where sliding, then (1 − α_k)|J_k|/max|y| where sliding.
    """
    if modes.slide is None:
        return jnp.where(modes.active, hidden_parts(state), FAR)
    slide, lines = modes.slide, problem.boundaries
    u = problem.span.preactivations(hidden_parts(state)) / problem.span.norms()[:, None]
    unit = slide.side / problem.largest_label(state)
    b = slide.dual.coefficients(fixed_force(problem, slide, r))
    fixed = slide.resting | ~lines.is_leader[:, None]
    off = jnp.where(fixed, FAR, jnp.where(modes.active, u, -u))
    first = jnp.where(slide.free, unit * b, off)
    second = jnp.where(slide.free, unit * (lines.jump(r)[:, None] - b), FAR)
    return jnp.concatenate([first, second])
