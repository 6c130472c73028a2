"""How fast a run converges: the local Polyak–Łojasiewicz constant along it, and its asymptote.

μ(t) = ‖∇L‖²/(2L) = rᵀ K r/(n ‖r‖²), so that dL/dt = −2 μ L. At a saddle it vanishes, and near an
interpolator it settles on an eigenvalue of K/n: in the end on the least one, but before that on
those of the birth that came last, because what was fitted on earlier plateaus has decayed like
exp(−rate · wait), often far below rounding.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.analysis.recovery import require_single
from jaxflow.flow.coordinates import hidden_parts, log_norms, output_parts
from jaxflow.flow.trajectory import Trajectory

RESOLVED = 1e-10
"""Residual, relative to the labels, below which rounding decides its direction."""


@dataclass(frozen=True, eq=False)
class Convergence:
    """The local Polyak–Łojasiewicz constant along a run."""

    ts: Float[np.ndarray, " T"]
    constant: Float[np.ndarray, " T"]
    """μ(t), NaN where the residual is below 1e-10 of the labels."""
    rates: Float[np.ndarray, " fitted"]
    """Eigenvalues of K/n on the data that are fitted, at the end of the run, increasing."""

    @property
    def asymptote(self) -> float:
        """The least of the rates, zero if nothing is fitted: the limit of μ as t → ∞."""
        return float(self.rates[0]) if self.rates.size else 0.0

    @property
    def visible(self) -> float:
        """The rate that is nearest to μ at the end of the run."""
        if not self.rates.size:
            return 0.0
        return float(self.rates[np.argmin(np.abs(self.rates - self.last))])

    @property
    def last(self) -> float:
        """μ at the last time at which the residual is resolved."""
        return float(self.constant[np.isfinite(self.constant)][-1])

    def __repr__(self) -> str:
        return (
            f"Convergence: rate {self.last:.8g} near the end, where K/n has the eigenvalue "
            f"{self.visible:.8g}; its least is {self.asymptote:.8g}"
        )


def convergence(run: Trajectory) -> Convergence:
    """Local Polyak–Łojasiewicz constant at the save times, and its asymptote, for any inputs.

    The kernel uses the run's own activations; a pair that slides on its boundary counts as
    inactive.

    Raises:
        ValueError: a batch of runs, or a traced one.

    Source: arXiv 2502.16977, section 3.
    """
    require_single(run, "convergence")
    kernels = _kernels(run)
    r = np.asarray(run.launch.problem.y - run.outputs)
    size = np.linalg.norm(r, axis=1)
    resolved = size > RESOLVED * np.linalg.norm(run.launch.problem.y)
    unit = r / np.where(resolved, size, 1.0)[:, None]
    constant = np.einsum("tk,tkl,tl->t", unit, kernels, unit) / r.shape[1]
    return Convergence(
        ts=np.asarray(run.ts),
        constant=np.where(resolved, constant, np.nan),
        rates=_fitted_rates(kernels[-1] / r.shape[1], np.abs(r[-1])),
    )


@jax.jit
def _tangent_kernels(problem, modes, states) -> Float[Array, "T n n"]:
    def at(mode, state):
        active, size = mode.T == 1, jnp.exp(log_norms(state))
        gates = active * (size * output_parts(state))
        u = problem.span.preactivations(size * hidden_parts(state))
        activations = jnp.where(active, jnp.maximum(u, 0.0), 0.0)
        return activations @ activations.T + problem.span.gram() * (gates @ gates.T)

    return jax.vmap(at)(modes, states)


def _kernels(run: Trajectory) -> Float[np.ndarray, "T n n"]:
    return np.asarray(_tangent_kernels(run.launch.problem, run.modes, run.states))


def _fitted_rates(kernel, residual) -> Float[np.ndarray, " fitted"]:
    """Eigenvalues on the data whose residual has gone."""
    fitted = residual <= 1e-3 * np.max(residual, initial=1.0)
    return np.linalg.eigvalsh(kernel[np.ix_(fitted, fitted)])
