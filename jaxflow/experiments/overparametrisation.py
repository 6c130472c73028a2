"""Mild overparametrisation on orthogonal inputs: how many neurons interpolate, and at which norm.

As λ → 0 the flow is the jump process, which needs activation patterns only. For orthogonal inputs
and Gaussian weights ⟨w_j, x_k⟩ > 0 are independent fair coins, so that neither inputs nor weights
in 10^4 dimensions have to be drawn.

With many data a birth fits half of what is left of its sign, so that its norm is 2^(−1/2) times
that of the birth before. The ratio of the limit's squared norm to the least one then tends to
Σ_i 2^(−i/2) = 1 + √2, whatever the width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.stats import binom

from jaxflow.experiments.progress import progress_bar
from jaxflow.experiments.shares import wilson
from jaxflow.plots.overparametrisation import draw_overparametrisation
from jaxflow.precision import require_float64
from jaxflow.theory.births import run_births
from jaxflow.validation import positive_integer, positive_number

NORMS, LABELS = (0.5, 2.0), (0.5, 1.5)
"""Ranges of ‖x_k‖ and |y_k|, uniform."""
DEFAULT_SIZES = (100, 1000, 10_000)
DEFAULT_RATIOS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)


@dataclass(frozen=True, eq=False)
class Overparametrisation:
    """Limits λ → 0 for many draws of data and network; `print` shows the table."""

    sizes: list[int]
    """Numbers n of data."""
    widths: list[list[int]]
    """Widths m for each n."""
    interpolated: list[list[int]]
    """Draws whose limit has zero loss."""
    draws: int
    ratios: list[list[np.ndarray]]
    """Σ |a_j|² + ‖w_j‖² of each interpolating limit, over that of the minimum-norm interpolator."""

    def probability(self, i: int, j: int) -> tuple[float, float, float]:
        """Share of interpolating draws and its 95 % interval (Wilson) for `widths[i][j]`."""
        return wilson(self.interpolated[i][j], self.draws)

    def mean_ratio(self, i: int, j: int) -> tuple[float, float]:
        """Mean ratio of squared norms and its standard error, NaN with fewer than two draws."""
        found = self.ratios[i][j]
        if found.size < 2:
            return np.nan, np.nan
        return float(found.mean()), float(found.std(ddof=1) / np.sqrt(found.size))

    def plot(self, path: str | Path | None = None):
        """Draw probability and ratio against m/log n; saved to `path` if given."""
        return draw_overparametrisation(self, path)

    def __repr__(self) -> str:
        head = "      n     m  m/log n  interpolate [95 %]         exact  ratio of squared norms"
        rows = [self._row(i, j) for i in range(len(self.sizes)) for j in range(len(self.widths[i]))]
        return "\n".join([f"Jump processes on orthogonal inputs, {self.draws} draws", head, *rows])

    def _row(self, i: int, j: int) -> str:
        n, m = self.sizes[i], self.widths[i][j]
        share, low, high = self.probability(i, j)
        mean, error = self.mean_ratio(i, j)
        return (
            f"{n:7d} {m:5d} {m / np.log(n):8.2f}  {share:.3f} [{low:.3f}, {high:.3f}]  "
            f"{interpolation_probability(n, m):12.4f}  {mean:.4f} ± {error:.4f}"
        )


def overparametrisation(
    sizes: Sequence[int] = DEFAULT_SIZES,
    ratios: Sequence[float] = DEFAULT_RATIOS,
    *,
    draws: int = 200,
    seed: int = 0,
    show_progress: bool = False,
) -> Overparametrisation:
    """Run jump processes of balanced networks of width m = ratio · log n on random orthogonal data.

    Args:
        sizes: numbers n of data, at least 2; 10^4 takes a fraction of a second a draw.
        ratios: of m to log n.
        draws: of data and network for each n and m.
        seed: of the random key.
        show_progress: draw a bar on the terminal.

    Raises:
        ValueError: numbers that are not positive, or n = 1.
    """
    require_float64()
    sizes = [positive_integer("sizes", n) for n in sizes]
    if min(sizes) < 2:
        raise ValueError(f"sizes: got {sizes}, wanted at least 2 data each")
    draws = positive_integer("draws", draws)
    ratios = [positive_number("ratios", ratio) for ratio in ratios]
    widths = [[max(1, round(ratio * np.log(n))) for ratio in ratios] for n in sizes]
    interpolated, found = [], []
    with progress_bar(len(sizes) * len(ratios) * draws, show_progress) as done:
        for n, row in zip(sizes, widths, strict=True):
            ends = [_limits(seed, n, m, max(row), draws) for m in row]
            interpolated.append([int(np.sum(fits)) for fits, _ in ends])
            found.append([ratio[fits] for fits, ratio in ends])
            done(len(found) * len(ratios) * draws)
    return Overparametrisation(sizes, widths, interpolated, draws, found)


def interpolation_probability(n: int, m: int) -> float:
    """P(the limit λ → 0 interpolates) = Σ_p Bin(p; m, 1/2) (1 − (2^−p + 2^−(m−p))/2)^n.

    The limit interpolates if and only if each datum is active at the start on a neuron of its sign.
    Given p positive neurons this fails at a positive label with probability 2^−p, independently.
    It passes from 0 to 1 around m = 2 log n/log 2 = 2.885 log n.
    """
    p = np.arange(m + 1)
    missed = (2.0**-p + 2.0 ** -(m - p)) / 2
    return float(binom.pmf(p, m, 0.5) @ np.exp(n * np.log1p(-np.minimum(missed, 1 - 1e-16))))


def _limits(seed: int, n: int, m: int, room: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether each limit interpolates, and its squared norm over the minimum's."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), n * 1000 + m), draws)
    ends = [_limit(key, n, m, room) for key in keys]
    fits, ratios = zip(*ends, strict=True)
    return np.array(fits), np.array(ratios)


def _limit(key: Array, n: int, m: int, room: int) -> tuple[bool, float]:
    fits, ratio = _one(key, n, room, jnp.array(m))
    return bool(fits), float(ratio)


def draw_problem(key: Array, n: int, room: int, m) -> tuple[Array, Array, Array]:
    """Norms of the inputs, labels, and the patterns A_j of m neurons, padded to `room` rows."""
    key_norm, key_size, key_sign, key_neuron, key_active = jax.random.split(key, 5)
    norms = jax.random.uniform(key_norm, (n,), minval=NORMS[0], maxval=NORMS[1])
    sizes = jax.random.uniform(key_size, (n,), minval=LABELS[0], maxval=LABELS[1])
    y = sizes * jax.random.rademacher(key_sign, (n,), dtype=jnp.float64)
    signs = jax.random.rademacher(key_neuron, (room,), dtype=jnp.float64)
    active = jax.random.bernoulli(key_active, 0.5, (room, n))
    here = jnp.arange(room) < m
    return norms, y, active & (signs[:, None] * y > 0) & here[:, None]


def limit_of(key: Array, n: int, room: int, m) -> tuple[Array, Array]:
    """Whether the limit of one draw interpolates, and its squared norm over the minimum's."""
    norms, y, patterns = draw_problem(key, n, room, m)
    sizes = jnp.abs(y) / norms
    births = run_births(patterns, jnp.abs(y) * norms / n, sizes)
    squares = sizes**2
    norm: Float[Array, ""] = jnp.sum(jnp.sqrt(births.fitted @ squares))
    least = sum(jnp.sqrt(jnp.sum(jnp.where(sign * y > 0, squares, 0.0))) for sign in (1, -1))
    return jnp.all(births.done), norm / least


_one = jax.jit(limit_of, static_argnums=(1, 2))
