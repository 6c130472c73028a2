"""How small is small: the largest scale below which a run ends near the limit λ → 0.

For each initialisation, λ* is the largest scale with |V(λ) − V_0| ≤ δ V_0 for all λ ≤ λ* on a
ladder of scales down to 1e-10000, refined by bisection over log λ; V is the variation norm at the
end of the flow and V_0 that of the jump process.
"""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow import init
from jaxflow.dataset import Dataset, require_orthogonal
from jaxflow.flow.gradient_flow import settings_of
from jaxflow.flow.status import Status
from jaxflow.montecarlo.ensemble import run_all
from jaxflow.theory import jump_process
from jaxflow.validation import positive_number

DECADES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 10_000.0)
"""The ladder, −log10 λ."""
BISECTIONS = 7
"""Halvings of log λ between two rungs: λ* is known to 1/128 of their distance."""

RESOLVED = 1e-6
"""Excess that is far above the tolerance of the flow."""
LAW_FROM = 4.0
"""Decades from which the departure is taken for its leading power."""


@dataclass(frozen=True, eq=False)
class ScaleThresholds:
    """λ* of many initialisations, as decades: λ* = 10^(−decades)."""

    decades: Float[np.ndarray, " runs"]
    """−log10 λ*; 1 where the largest scale tried is small enough, infinite where none is."""
    separations: Float[np.ndarray, " runs"]
    """Separation of the jump process: the departure is at most of the order λ^separation."""
    excess: Float[np.ndarray, "runs rungs"]
    """|V − V_0|/V_0 on the ladder, NaN for a run that broke off."""
    within: float

    @property
    def exponents(self) -> Float[np.ndarray, " runs"]:
        """p of the law C λ^p, from the two smallest scales with an excess above 1e-6.

        Without a competitor that is born later, the law is λ^(2 separation): what competitors
        of size ε = λ^separation take away is ε². A later birth leaves ε itself. The factor C,
        between 1e-2 and 1 as a rule, depends on the overlap of the data and the sizes of the
        weights; no threshold is predicted here without it. NaN where the ladder shows no law.
        """
        return np.array([_exponent(row) for row in self.excess])

    def quantile(self, fraction: float) -> float:
        """Decades that are enough for this fraction of the initialisations."""
        return float(np.quantile(self.decades, fraction, method="higher"))

    def __repr__(self) -> str:
        rows = (f"{100 * q:.0f} %: 1e-{self.quantile(q):.4g}" for q in (0.25, 0.5, 0.75, 0.9))
        shown = np.isfinite(self.exponents) & np.isfinite(self.separations)
        law = np.median((self.exponents / self.separations)[shown]) if shown.any() else np.nan
        never = int(np.sum(np.isinf(self.decades)))
        return (
            f"ScaleThresholds of {self.decades.size} initialisations, variation norm within "
            f"{self.within:g} of its limit\n  λ* that is enough for {', '.join(rows)}\n"
            f"  departure like λ^p, p = {law:.3g} separations (median of {shown.sum()})\n"
            f"  {never} not within it at 1e-{DECADES[-1]:g}"
        )


def scale_thresholds(
    dataset: Dataset,
    keys: Array,
    *,
    width: int,
    within: float = 0.01,
    bias: bool = False,
    rtol: float = 1e-9,
) -> ScaleThresholds:
    """Measure λ* for one balanced initialisation a key.

    All runs of all scales share one compiled program. Where the excess is not monotone in λ, λ* is
    the largest rung below which all rungs are within δ, refined towards the next one.

    Args:
        dataset: orthogonal inputs.
        keys: random keys, shape (runs,).
        width, bias: as in `jaxflow.init.balanced`.
        within: δ, relative to the limit.
        rtol: tolerance of the flow, far below δ.

    Raises:
        ValueError: inputs that are not orthogonal, a δ that is not above rtol.
    """
    require_orthogonal(dataset, "the scale threshold")
    if positive_number("within", within) <= 100 * rtol:
        raise ValueError(f"within: got {within!r}, wanted far more than rtol = {rtol!r}")
    start = _starts(width, dataset.dim, bias)
    limit = _limits(start(keys, jnp.zeros(keys.shape[0])), dataset)
    settings = settings_of(rtol, None, 100_000)

    def excess(decades: np.ndarray) -> np.ndarray:
        networks = start(keys, -jnp.asarray(decades) * np.log(10))
        runs = run_all(networks, dataset, settings, batch=keys.shape[0])
        ended = np.asarray(runs.code) <= Status.stationary
        off = np.abs(np.asarray(runs.variation_norm) - limit[0]) / limit[0]
        return np.where(ended, off, np.nan)

    ladder = np.stack([excess(np.full(keys.shape[0], rung)) for rung in DECADES], axis=1)
    return ScaleThresholds(_bisect(ladder, excess, within), limit[1], ladder, within)


def _exponent(excess: Float[np.ndarray, " rungs"]) -> float:
    """−d log10(excess)/d(decades) between the two last rungs of an excess well above the floor."""
    seen = np.flatnonzero((excess > RESOLVED) & (np.array(DECADES) >= LAW_FROM))
    if seen.size < 2 or seen[-1] - seen[-2] != 1:
        return np.nan
    first, last = seen[-2:]
    return float(np.log10(excess[first] / excess[last]) / (DECADES[last] - DECADES[first]))


def _starts(width: int, dim: int, bias: bool):
    def one(key, log_scale):
        return init.balanced(key, width, dim, log_scale=log_scale, bias=bias)

    return eqx.filter_jit(jax.vmap(one))


def _limits(networks, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    process = jax.vmap(jump_process, (0, None))(networks, dataset)
    return np.asarray(process.variation_norm), np.asarray(process.separation)


def _bisect(ladder: np.ndarray, excess, within: float) -> Float[np.ndarray, " runs"]:
    """Between the last rung that is outside and the next one; −log10 λ* from above."""
    rungs, outside = np.array(DECADES), ~(ladder <= within)
    last_outside = np.where(
        outside.any(axis=1), len(rungs) - 1 - np.argmax(outside[:, ::-1], axis=1), -1
    )
    never, always = last_outside == len(rungs) - 1, last_outside == -1
    large = rungs[np.clip(last_outside, 0, None)]
    small = rungs[np.minimum(last_outside + 1, len(rungs) - 1)]
    for _ in range(BISECTIONS):
        middle = (large + small) / 2
        good = excess(middle) <= within
        small, large = np.where(good, middle, small), np.where(good, large, middle)
    return np.where(never, np.inf, np.where(always, rungs[0], small))
