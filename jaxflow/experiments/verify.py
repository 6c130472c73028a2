"""The main job: does the flow end where the theorem says, and is its end of minimum norm?

On orthogonal inputs the theorem and the jump process say where every run ends. On any others no
theorem does, and the job reports whether the end is of minimum variation norm.

Source: arXiv 2206.00939, Theorem 1.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import xarray as xr

from jaxflow.dataset import Dataset
from jaxflow.experiments.batches import Integrate, integrate_all
from jaxflow.experiments.cases import DEFAULT_DATASETS, Case, cases_of
from jaxflow.experiments.comparisons import compared
from jaxflow.experiments.design import Design, design_of
from jaxflow.experiments.measurements import Measurements
from jaxflow.experiments.predictions import predicted
from jaxflow.experiments.progress import progress_bar
from jaxflow.experiments.scales import DEFAULT_SCALES
from jaxflow.experiments.store import described
from jaxflow.experiments.verdict import judge
from jaxflow.experiments.verify_report import VerifyReport
from jaxflow.flow.gradient_flow import settings_of
from jaxflow.flow.settings import DEFAULT_RTOL, Settings
from jaxflow.montecarlo.ensemble import run_all
from jaxflow.precision import require_float64

MAX_STEPS = 5_000
"""A run that needs more is undecided; five times the most that any needed so far."""

MAX_STEPS_GENERAL = 20_000
"""The same off orthogonal inputs, where neurons slide and later plateaus cost steps."""


@dataclass(frozen=True)
class Part:
    """The data sets that are treated alike, what is known of them, and what is measured."""

    cases: list[Case]
    known: xr.Dataset
    measured: Measurements
    settings: Settings

    def filled(self) -> xr.Dataset:
        """Labelled arrays with all that is known and measured."""
        return self.measured.added_to(self.known)


def verify(
    datasets: Sequence[str | Dataset] = DEFAULT_DATASETS,
    *,
    seeds: int = 10,
    scales: Sequence[str | float] = DEFAULT_SCALES,
    width: int | None = None,
    rtol: float = DEFAULT_RTOL,
    show_progress: bool = False,
    integrate: Integrate = run_all,
) -> VerifyReport:
    """Integrate the flow from many initialisations to its end, and judge every run.

    On orthogonal inputs each run is sorted by the theorem's hypothesis and compared with the
    certified minimum of the variation norm and with the jump process;
    `jaxflow.experiments.verdict` says what must hold. On any others its end is compared with the
    certified minimum alone; `jaxflow.experiments.minimality` says what is reported.

    Args:
        datasets: labels as in `jaxflow.experiments.cases.case_of`, or data sets of one's own.
        seeds: number of initialisations of each data set, from `jax.random.key(0)` on.
        scales: initialisation scales λ; text such as "1e-10000" may be below the least float64.
        width: number of neurons; by default 60 for the toy and 10 n otherwise.
        rtol: as in `jaxflow.gradient_flow`.
        show_progress: whether to draw a progress bar on the terminal.
        integrate: what integrates stacked networks on as many stacked data sets.

    Returns:
        A `VerifyReport`. An interrupt (Ctrl-C) ends the work early: the report then holds what
        was finished and says so.

    Raises:
        ValueError: unknown labels, labels of data that no network can interpolate, numbers out of
            range.
    """
    require_float64()
    design = design_of(seeds, scales)
    settings, generous = (
        replace(settings_of(rtol, None, steps), few_runs=True)
        for steps in (MAX_STEPS, MAX_STEPS_GENERAL)
    )
    cases = cases_of(datasets, width)
    orthogonal = [case for case in cases if case.dataset.is_orthogonal]
    others = [case for case in cases if not case.dataset.is_orthogonal]

    theorem = _part(orthogonal, predicted, design, settings)
    general = _part(others, compared, design, generous)
    parts = [part for part in (theorem, general) if part is not None]
    interrupted = not _integrated(parts, design, integrate, show_progress)
    used = {"rtol": rtol, "seeds": seeds, "interrupted": int(interrupted)}
    return VerifyReport(
        runs=theorem and described(judge(theorem.filled(), rtol), used),
        ends=general and described(general.filled(), used),
    )


def _part(cases: list[Case], known: Callable, design: Design, settings: Settings) -> Part | None:
    if not cases:
        return None
    return Part(cases, known(cases, design), Measurements(cases, design), settings)


def _integrated(parts: list[Part], design: Design, integrate: Integrate, visible: bool) -> bool:
    """Integrate everything; whether that was not interrupted."""
    total = sum(part.measured.size for part in parts)
    try:
        with progress_bar(total, visible) as finished:
            for part in parts:
                work = integrate_all(
                    part.cases, design.seeds, design.logs, part.settings, integrate
                )
                for batch, ends in work:
                    part.measured.record(batch, ends)
                    finished(sum(part.measured.done for part in parts))
    except KeyboardInterrupt:
        if visible:
            print("interrupted; what was finished is judged and written", file=sys.stderr)
        return False
    return True
