"""Counts and intervals for every family of data sets, width and scale, from the file alone."""

from dataclasses import dataclass, field

import numpy as np
import scipy.stats
import xarray as xr
from jaxtyping import Float, Int

from jaxflow.flow.status import Status
from jaxflow.montecarlo.plan import Plan, Stretch
from jaxflow.montecarlo.store import Store
from jaxflow.montecarlo.work import Values

LEVEL = 0.95
AXES = ("family", "width", "scale")
ENDED = (Status.interpolated, Status.stationary)
"""Statuses whose variation norm is that of the limit."""
COUNTED = ("status", "variation_norm")


@dataclass
class Tally:
    """Running counts, of a size that does not grow with the number of runs.

    Attributes:
        status: number of runs for each family, width, scale and status.
        ended, mean, squares: number, mean and sum of squared deviations of the variation norm of
            the runs that came to an end with a finite one.
    """

    plan: Plan
    status: Int[np.ndarray, "family width scale status"] = field(init=False)

    def __post_init__(self):
        spec = self.plan.spec
        shape = (len(spec.families), len(spec.widths), len(spec.scales))
        self.status = np.zeros((*shape, len(Status)), dtype=np.int64)
        self.ended = np.zeros(shape, dtype=np.int64)
        self.mean, self.squares = np.zeros(shape), np.zeros(shape)

    def add(self, runs: Stretch, values: Values) -> None:
        """Count some runs."""
        scale = runs.locate()[0]
        np.add.at(self.status[runs.block.index], (scale, values["status"].astype(int)), 1)
        if "variation_norm" not in values:
            return
        for index in np.unique(scale):
            norms = values["variation_norm"]
            here = (scale == index) & np.isin(values["status"], ENDED) & np.isfinite(norms)
            self._merge((*runs.block.index, index), norms[here])

    def _merge(self, place: tuple, norms: Float[np.ndarray, " k"]) -> None:
        """Mean and squared deviations of two samples together.

        Source: Chan, Golub, LeVeque, The American Statistician 37 (1983), equation 1.5.
        """
        if norms.size == 0:
            return
        before, total = self.ended[place], self.ended[place] + norms.size
        step = norms.mean() - self.mean[place]
        self.squares[place] += np.sum((norms - norms.mean()) ** 2)
        self.squares[place] += step**2 * before * norms.size / total
        self.mean[place] += step * norms.size / total
        self.ended[place] = total

    @property
    def runs(self) -> int:
        """Number of runs counted."""
        return int(self.status.sum())

    def by_status(self) -> dict[str, int]:
        """Number of runs for each status that occurred."""
        numbers = self.status.sum(axis=(0, 1, 2))
        return {str(Status(code)): int(n) for code, n in enumerate(numbers) if n}

    def as_dataset(self) -> xr.Dataset:
        """The counts as labelled arrays, with shares and binomial intervals."""
        spec, done = self.plan.spec, self.status.sum(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            deviation = np.where(self.ended > 1, np.sqrt(self.squares / (self.ended - 1)), np.nan)
            mean = np.where(self.ended > 0, self.mean, np.nan)
        table = xr.Dataset(
            {
                "runs": (AXES, done),
                "count": ((*AXES, "status"), self.status),
                "norm_mean": (AXES, mean),
                "norm_deviation": (AXES, deviation),
            },
            coords={
                "family": [family.name for family in spec.families],
                "width": list(spec.widths),
                "scale": list(spec.scales),
                "log_scale": ("scale", list(spec.log_scales)),
                "status": [status.name for status in Status],
            },
            attrs={"level": LEVEL, "planned": self.plan.runs, "done": self.runs},
        )
        low, high = binomial_interval(self.status, done[..., None])
        with np.errstate(invalid="ignore"):
            table["share"] = table["count"] / table.runs
        return table.assign(low=((*AXES, "status"), low), high=((*AXES, "status"), high))


def tally(store: Store) -> Tally:
    """Count all runs that are done, one file at a time."""
    counts = Tally(store.plan)
    for runs, values in store.done(tuple(name for name in COUNTED if name in store.kept)):
        counts.add(runs, values)
    return counts


def binomial_interval(
    successes: Int[np.ndarray, "..."], trials: Int[np.ndarray, "..."], level: float = LEVEL
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Interval that covers the probability of success at least with probability `level`.

    The ends are quantiles of beta distributions, B(α/2; k, n − k + 1) and B(1 − α/2; k + 1, n − k);
    without trials they are 0 and 1. For independent trials of unequal probabilities, such as runs
    on several data sets, the interval is for their mean, and on the safe side.

    Source: Clopper, Pearson, Biometrika 26 (1934); Hoeffding, Ann. Math. Statist. 27 (1956).
    """
    successes, trials = np.broadcast_arrays(successes, trials)
    tail, failures = (1 - level) / 2, trials - successes
    low = scipy.stats.beta.ppf(tail, np.maximum(successes, 1), failures + 1)
    high = scipy.stats.beta.ppf(1 - tail, successes + 1, np.maximum(failures, 1))
    return np.where(successes == 0, 0.0, low), np.where(failures == 0, 1.0, high)
