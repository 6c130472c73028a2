"""One step of an implicit method on general inputs, for slow endings.

Late in a run large neurons have fitted what they see, and what is left is up to small ones: a datum
that only neurons of size λ see is fitted at a rate of λ², a millionth of the others'. An explicit
method may not make steps longer than a few times the shortest of these times.

Collocation at Radau's points c_1 < … < c_s = 1 (method IIA; Hairer and Wanner, Solving ODEs II,
IV.5), with residuals as unknowns of their own beside the neurons z:

    z_i = z_0 + h Σ_l a_il f(z_l, r_l),   r_i = r_0 − h Σ_l a_il ḣ(z_l, r_l),

where f and ḣ = dh/dt are linear in r, and f is harmless: given the residuals, neurons turn slowly.
ḣ(z_0, r) = K r/n is not. In the axes of K_0/n, with its eigenvalues λ, the residuals' equations are
one small system (1 + hλA)ρ = ρ_0 for each axis, which in the axes of A falls into blocks of two
unknowns (IV.8 there), and what is off because K is not K_0 follows by iteration, which gains a
digit where no neuron turns by more than a tenth of a radian. So the ratio of the fastest and the
slowest rate plays no part, and residuals that are slaved to others keep all their digits, which
y − h(z) would not give.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.polynomial import Legendre, legendre
from scipy.linalg import cdf2rdf

from jaxflow.flow.activation import Modes, sliding_force
from jaxflow.flow.coordinates import Parts
from jaxflow.flow.field import slope_of_parts
from jaxflow.flow.problem import Problem
from jaxflow.lapack import eigenvalues_and_axes

STAGES = 7
"""Points of collocation; the method is of order 13, its dense output of order 7."""
LEAST, ITERATIONS = 3, 16
CLOSE = 0.01
"""The iteration ends when neurons move by less than this share of the tolerance."""
ROUNDING = 4e-16


def _radau_points(count: int) -> Float[np.ndarray, " s"]:
    """The points of Radau's formula in (0, 1] that includes the end."""
    difference = Legendre.basis(count) - Legendre.basis(count - 1)
    inner = np.sort(difference.roots().real)[:-1]
    slope = difference.deriv()
    for _ in range(3):
        inner = inner - difference(inner) / slope(inner)
    return np.append((1 + inner) / 2, 1.0)


def _integrals(x) -> list:
    """∫_{−1}^x P_k of Legendre polynomials, k < s: (P_{k+1} − P_{k−1})/(2k + 1)."""
    values = [1.0, x]
    for k in range(1, STAGES):
        values.append(((2 * k + 1) * x * values[k] - k * values[k - 1]) / (k + 1))
    rises = [(values[k + 1] - values[k - 1]) / (2 * k + 1) for k in range(1, STAGES)]
    return [x + 1, *rises]


POINTS = _radau_points(STAGES)
COEFFICIENTS = np.linalg.inv(legendre.legvander(2 * POINTS - 1, STAGES - 1))
"""Of the Legendre polynomials in the polynomial through given values at the points."""
BACK = (-1.0) ** np.arange(STAGES) @ COEFFICIENTS
"""Of values at the points in that polynomial's value at the start."""
MATRIX = np.stack(_integrals(2 * POINTS - 1), axis=1) @ COEFFICIENTS / 2
"""a_il: the integral up to c_i of the polynomial that is one at c_l and zero at the others."""


BLOCKS, OUT_OF_BLOCKS = cdf2rdf(*np.linalg.eig(MATRIX))
"""T⁻¹AT and T, real: its blocks are [[Re μ, Im μ], [−Im μ, Re μ]] for pairs of eigenvalues of A."""
INTO_BLOCKS = np.linalg.inv(OUT_OF_BLOCKS)
REAL = np.diag(BLOCKS)[:, None]
ACROSS = BLOCKS - np.diag(np.diag(BLOCKS))
IMAGINARY = np.linalg.norm(ACROSS, axis=1)[:, None]
"""|Im μ|, zero for the real eigenvalue."""


class CollocationStep(eqx.Module):
    """A step that was tried.

    Attributes:
        end: the state at its end.
        error: h times the highest coefficient of the slopes, of the order of what is neglected;
            infinite where the iteration has not converged.
        fit_error: likewise for ḣ; it is large as long as fast fits are not over.
        first: the slope at its start, times the step: that of the polynomial, as residuals that
            are off what others hold them at return to it in no time.
        slopes: those at the points of collocation, stacked, times the step.
        r: the residuals at its end.
        first_fit: ḣ at its start, likewise.
        fits: ḣ at the points of collocation, stacked, times the step.
        rate: the largest eigenvalue of K_0/n.
    """

    end: Parts
    error: Parts
    fit_error: Float[Array, " n"]
    first: Parts
    slopes: Parts
    r: Float[Array, " n"]
    first_fit: Float[Array, " n"]
    fits: Float[Array, "s n"]
    rate: Float[Array, ""]


def collocation_step(
    problem: Problem,
    modes: Modes,
    start: Parts,
    r: Float[Array, " n"],
    length: Float[Array, ""],
    tolerance: Float[Array, ""],
) -> CollocationStep:
    """A step from the state `start` with the residual `r`, all modes held fixed."""

    field = partial(_field, problem, modes)
    here = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (STAGES, *leaf.shape)), start)
    linear = _Linear(jax.vmap(lambda unit: field(start, unit)[1])(jnp.eye(problem.n)), length)
    enough = jnp.maximum(CLOSE * tolerance, ROUNDING)

    def turn(carry):
        z, residuals, *_, count = carry
        slopes, fits = jax.tree.map(lambda rate: length * rate, jax.vmap(field)(z, residuals))
        moved = jax.tree.map(lambda leaf, way: leaf + _integrated(way), here, slopes)
        off = r - _integrated(fits) - residuals
        way = jax.tree.map(lambda new, old: jnp.max(jnp.abs(new - old)), moved, z)
        change = jnp.max(jnp.stack(jax.tree.leaves(way)))
        return moved, residuals + linear.solved(off), slopes, fits, change, count + 1

    def unfinished(carry):
        *_, change, count = carry
        return (count < ITERATIONS) & ((change > enough) | (count < LEAST))

    guess = linear.solved(jnp.broadcast_to(r, (STAGES, problem.n)))
    nothing = jax.tree.map(jnp.zeros_like, (here, guess))
    begun = (here, guess, *nothing, jnp.array(jnp.inf), jnp.array(0))
    z, residuals, slopes, fits, change, _ = jax.lax.while_loop(unfinished, turn, begun)
    lost = jnp.where(change <= enough, 0.0, jnp.inf)
    return CollocationStep(
        end=jax.tree.map(lambda leaf: leaf[-1], z),
        error=jax.tree.map(lambda way: jnp.tensordot(COEFFICIENTS[-1], way, 1) + lost, slopes),
        fit_error=COEFFICIENTS[-1] @ fits,
        first=jax.tree.map(lambda way: jnp.tensordot(BACK, way, 1), slopes),
        slopes=slopes,
        r=residuals[-1],
        first_fit=BACK @ fits,
        fits=fits,
        rate=linear.rates[-1],
    )


class _Linear:
    """The residuals' equations with K = K_0, in the axes of K_0/n."""

    def __init__(self, kernel: Float[Array, "n n"], length: Float[Array, ""]):
        self.rates, self.axes = eigenvalues_and_axes((kernel + kernel.T) / 2)
        self.reach = length * self.rates

    def solved(self, right: Float[Array, "s n"]) -> Float[Array, "s n"]:
        """The residuals r_i with r_i + h Σ_l a_il K_0 r_l/n = `right`_i."""
        parts = INTO_BLOCKS @ (right @ self.axes)
        real = 1 + self.reach * REAL
        share = self.reach / real
        parts = (parts - share * (ACROSS @ parts)) / (real * (1 + (share * IMAGINARY) ** 2))
        return OUT_OF_BLOCKS @ parts @ self.axes.T


def _integrated(slopes: Float[Array, "s ..."]) -> Float[Array, "s ..."]:
    """Integrals from the start to the points of collocation."""
    return jnp.tensordot(MATRIX, slopes, 1)


def collocation_weights(fraction: Float[Array, ""]) -> Float[Array, " s"]:
    """The weights d_l(θ) with which z(θ) = z(1) + Σ_l d_l k_l, k_l the slopes times the step."""
    rises = jnp.stack(_integrals(2 * fraction - 1)) - jnp.array(_integrals(1.0))
    return rises @ COEFFICIENTS / 2


def _field(problem: Problem, modes: Modes, z: Parts, r: Float[Array, " n"]):
    """f and ḣ: with forces F_j and pulls π_j = ⟨ω_j, F_j⟩, of pairs that are active,

    ḣ_k = Σ_j exp(2ρ_j) (π_j ⟨ω_j, x_k⟩ + η_j² ⟨F_j, x_k⟩).
    """
    force = sliding_force(problem, modes.slide, r)
    slope, pull = slope_of_parts(z, force)
    weight = jnp.exp(2 * z.rho)
    seen = problem.span.preactivations(z.omega) * (weight * pull)
    seen = seen + problem.span.preactivations(force) * (weight * z.eta**2)
    return slope, jnp.sum(jnp.where(modes.active, seen, 0.0), axis=1)
