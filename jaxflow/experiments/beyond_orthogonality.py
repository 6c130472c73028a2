"""Beyond orthogonal inputs: do runs still fit the labels, at which norm, and how many pairs slide?

Two ways to leave orthogonality. Inputs with all cosines ±ε (`jaxflow.datasets.random_correlated`):
ε is attained by every pair and is all that changes, because norms, labels, signs and initial
weights are the same for every ε; signs are random so that neither inputs that help each other nor
inputs that hinder each other prevail. And inputs in a subspace of dimension d' below their number
(`jaxflow.datasets.random_subspace`), which cannot be orthogonal at all.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxflow.experiments.correlated_runs import Inputs, Place, Work
from jaxflow.experiments.minimality import Minimality, judged
from jaxflow.experiments.progress import progress_bar
from jaxflow.experiments.scales import decreasing
from jaxflow.experiments.shares import wilson
from jaxflow.experiments.sliding_end import SlidingEnd
from jaxflow.flow.gradient_flow import settings_of
from jaxflow.flow.settings import DEFAULT_RTOL
from jaxflow.flow.status import Status
from jaxflow.minnorm import Interpolator, minimum_variation_norm
from jaxflow.minnorm.interpolator import CERTIFIED
from jaxflow.plots.beyond_orthogonality import draw_beyond_orthogonality
from jaxflow.precision import require_float64
from jaxflow.validation import positive_integer

DEFAULT_COSINES = (0.0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5)
DEFAULT_DIMENSIONS = (5, 4, 3, 2)
DEFAULT_SCALES = ("1e-6", "1e-30")
FITTED = 1e-9
"""Largest residual, relative to the largest label, up to which a run counts as fitting. The loss
never grows, so that its limit fits at least as well in the mean square, certified or not."""
MAX_STEPS = 5_000
ROOM = 20
"""Room for changes of activation, times the number of pairs; a tenth of it has been needed."""


@dataclass(frozen=True, eq=False)
class BeyondOrthogonality:
    """Ends of the flow for several families of inputs and scales; `print` shows the table.

    All arrays but `certain` have the axes inputs, scale and draw.
    """

    inputs: list[Inputs]
    scales: list[str]
    n: int
    """Number of data."""
    width: int
    """Number of neurons."""
    code: np.ndarray
    """`jaxflow.Status` as an integer, 0 where the run was not done."""
    residual: np.ndarray
    """max_k |r_k| over max_k |y_k| at the end."""
    excess: np.ndarray
    """(V − V*(h))/V*: lower end of the certified interval, estimate, upper end; last axis."""
    minimality: np.ndarray
    """`jaxflow.experiments.minimality.Minimality` as an integer."""
    slid: np.ndarray
    """Share of the pairs of neuron and datum that slid at some time."""
    sliding: np.ndarray
    """Share of the pairs that slide at the end."""
    certain: np.ndarray
    """Whether the minimum V* is certified to 1e-10; axes inputs and draw."""

    @property
    def done(self) -> np.ndarray:
        """Which runs were done: all unless interrupted."""
        return self.code != Status.running

    @property
    def fits(self) -> np.ndarray:
        """Which ends fit all labels to `FITTED`."""
        return self.done & (self.residual <= FITTED)

    def fitted(self, i: int, s: int) -> tuple[float, float, float]:
        """Share of runs that fit the labels and its 95 % interval (Wilson)."""
        return wilson(int(self.fits[i, s].sum()), int(self.done[i, s].sum()))

    def certified(self, i: int, s: int) -> tuple[float, float, float]:
        """Share of runs certified to converge to an interpolator and its 95 % interval (Wilson)."""
        proven = self.code[i, s] == Status.interpolated
        return wilson(int(proven.sum()), int(self.done[i, s].sum()))

    def excess_quartiles(self, i: int, s: int) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the excess where the labels are fitted."""
        found = self.excess[i, s, self.fits[i, s], 1]
        if not found.size:
            return np.nan, np.nan, np.nan
        return tuple(float(q) for q in np.quantile(found, [0.25, 0.5, 0.75]))

    def mean_slid(self, i: int, s: int) -> tuple[float, float]:
        """Mean share of pairs that slid at some time, and its standard error."""
        return _mean(self.slid[i, s, self.done[i, s]])

    def mean_sliding(self, i: int, s: int) -> tuple[float, float]:
        """Mean share of pairs that slide at the end, and its standard error."""
        return _mean(self.sliding[i, s, self.done[i, s]])

    def ends(self, i: int, s: int) -> dict[str, int]:
        """Runs by status; those that miss the labels are named apart."""
        words = [
            str(Status(int(code))) + ("" if fits else ", labels missed")
            for code, fits in zip(self.code[i, s], self.fits[i, s], strict=True)
            if code != Status.running
        ]
        return dict(sorted(Counter(words).items()))

    def plot(self, path: str | Path | None = None):
        """Draw shares, excess and sliding against the cosine and the dimension."""
        return draw_beyond_orthogonality(self, path)

    def __repr__(self) -> str:
        head = (
            f"Flow of {self.width} neurons on {self.n} data in R^{self.n + 1}, "
            f"{self.code.shape[2]} draws; V* certified for {int(self.certain.sum())} of "
            f"{self.certain.size} data sets\n"
            "inputs          fit [95 %]         certified  excess of norm [quartiles]   "
            "slid           at the end"
        )
        rows = [head]
        for s, scale in enumerate(self.scales):
            rows.append(f"λ = {scale}")
            rows += [self._row(i, s) for i in range(len(self.inputs))]
        return "\n".join([*rows, self._footer()])

    def _row(self, i: int, s: int) -> str:
        share, low, high = self.fitted(i, s)
        lower, median, upper = self.excess_quartiles(i, s)
        (slid, error), (sliding, wobble) = self.mean_slid(i, s), self.mean_sliding(i, s)
        return (
            f"  {self.inputs[i]!s:12}  {share:.2f} [{low:.2f}, {high:.2f}]  "
            f"{self.certified(i, s)[0]:9.2f}  {median:7.1e} [{lower:.1e}, {upper:.1e}]  "
            f"{slid:.3f} ± {error:.3f}  {sliding:.3f} ± {wobble:.3f}"
        )

    def _footer(self) -> str:
        other = self.done & ~self.fits
        missed = Counter(str(Status(int(code))) for code in self.code[other])
        words = ", ".join(f"{k} {word}" for word, k in sorted(missed.items())) or "none"
        width = self.excess[self.fits, 2] - self.excess[self.fits, 0]
        below = int(np.sum(self.minimality == Minimality.below_the_bound))
        lines = [
            f"Runs that miss the labels: {words}.",
            f"The excess is certain to {np.max(width, initial=0.0):.1e}; ends below the certified "
            f"bound: {below}.",
        ]
        if not self.done.all():
            lines.append(f"Interrupted: {int(self.done.sum())} of {self.done.size} runs are done.")
        return "\n".join(lines)


def beyond_orthogonality(
    cosines: Sequence[float] = DEFAULT_COSINES,
    dimensions: Sequence[int] = DEFAULT_DIMENSIONS,
    *,
    n: int = 5,
    width: int = 24,
    scales: Sequence[str | float] = DEFAULT_SCALES,
    draws: int = 32,
    seed: int = 0,
    max_steps: int = MAX_STEPS,
    show_progress: bool = False,
) -> BeyondOrthogonality:
    """Integrate the flow on inputs that are less and less orthogonal, and measure its ends.

    A draw is a random data set and a balanced initialisation, the latter the same up to λ for all
    inputs and scales; norms, labels and signs are the same for all cosines. An interrupt (Ctrl-C)
    ends the work early; the result then holds what was done and says so.

    Args:
        cosines: absolute cosines ε of all pairs, at least 0 and below 1.
        dimensions: d' of the subspace, from 2 to n + 1.
        n: number of data, in R^(n+1).
        width: number of neurons.
        scales: initialisation scales λ; text such as "1e-10000" may be below the least float64.
        draws: number of draws for each of these.
        seed: of the random key.
        max_steps: as in `jaxflow.gradient_flow`.
        show_progress: draw a bar on the terminal.

    Raises:
        ValueError: no inputs, numbers out of range.
    """
    require_float64()
    n, width = positive_integer("n", n), positive_integer("width", width)
    draws = positive_integer("draws", draws)
    labels, logs = decreasing(scales)
    settings = settings_of(DEFAULT_RTOL, None, max_steps, max_events=ROOM * n * width)
    inputs = [Inputs("cosine", value) for value in cosines]
    inputs += [Inputs("dimension", value) for value in dimensions]
    if not inputs:
        raise ValueError("cosines, dimensions: got none, wanted at least one of them")
    work = Work(inputs, logs, n, width, draws, seed)
    found = _Found(work)
    with progress_bar(found.code.size, show_progress) as finished:
        try:
            for place, end in work.integrated(settings):
                found.record(place, end)
                finished(int(np.sum(found.code != Status.running)))
        except KeyboardInterrupt:
            pass
    return found.result(labels)


class _Found:
    """Arrays that fill up as runs are finished."""

    def __init__(self, work: Work):
        shape = len(work.inputs), len(work.log_scales), work.draws
        self.work = work
        self.code = np.zeros(shape, np.int8)
        self.minimality = np.zeros(shape, np.int8)
        self.residual, self.slid, self.sliding = (np.full(shape, np.nan) for _ in range(3))
        self.excess = np.full((*shape, 3), np.nan)
        self.minima: dict[tuple[int, int], Interpolator] = {}

    def record(self, place: Place, end: SlidingEnd) -> None:
        """Hold the end of a run against the certified minimum of its data set."""
        least = self._minimum(place[0], place[2])
        y = np.asarray(least.dataset.y)
        excess = least.excess_at(end.variation_norm, y - end.residual)
        interval = np.array([excess.lower, excess.estimate, excess.upper])
        self.excess[place] = interval / float(least.value)
        self.minimality[place] = judged(excess, least)
        self.residual[place] = np.max(np.abs(end.residual)) / np.max(np.abs(y))
        self.slid[place], self.sliding[place] = end.slid, end.sliding
        self.code[place] = end.code

    def _minimum(self, i: int, k: int) -> Interpolator:
        if (i, k) not in self.minima:
            self.minima[i, k] = minimum_variation_norm(self.work.data[i][k])
        return self.minima[i, k]

    def result(self, scales: list[str]) -> BeyondOrthogonality:
        work = self.work
        certain = np.zeros((len(work.inputs), work.draws), bool)
        for place, least in self.minima.items():
            certain[place] = least.status == CERTIFIED
        return BeyondOrthogonality(
            inputs=work.inputs,
            scales=scales,
            n=work.n,
            width=work.width,
            code=self.code,
            residual=self.residual,
            excess=self.excess,
            minimality=self.minimality,
            slid=self.slid,
            sliding=self.sliding,
            certain=certain,
        )


def _mean(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard error, NaN where there are too few values."""
    if values.size < 2:
        return float(values.mean()) if values.size else np.nan, np.nan
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))
