"""The main job: does the flow on orthogonal inputs end where the theorem says?

Source: arXiv 2206.00939, Theorem 1.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from jaxflow.dataset import Dataset
from jaxflow.experiments.batches import Batch, Integrate, integrate_all
from jaxflow.experiments.cases import DEFAULT_DATASETS, cases_of
from jaxflow.experiments.predictions import RUN, empty_table
from jaxflow.experiments.progress import progress_bar
from jaxflow.experiments.scales import DEFAULT_SCALES, decreasing
from jaxflow.experiments.store import described
from jaxflow.experiments.verdict import judge
from jaxflow.experiments.verify_report import VerifyReport
from jaxflow.flow.gradient_flow import settings_of
from jaxflow.flow.settings import DEFAULT_RTOL
from jaxflow.montecarlo.ensemble import Ensemble, run_all
from jaxflow.precision import require_float64
from jaxflow.validation import positive_integer

MAX_STEPS = 5_000
"""A run that needs more is undecided; five times the most that any needed so far."""

MEASURED = {
    "variation_norm": np.nan,
    "excess_estimate": np.nan,
    "excess_upper": np.nan,
    "loss": np.nan,
    "movement": np.inf,
    "end_time": np.nan,
    "steps": 0,
    "events": 0,
    "status": np.int8(0),
}
"""What is measured of every run, with the value of runs that are not done."""


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
    """Integrate the flow from many initialisations to its certified end, and judge every run.

    Each run is sorted by the theorem's hypothesis and compared with the certified minimum of the
    variation norm and with the jump process; `jaxflow.experiments.verdict` says what must hold.

    Args:
        datasets: labels as in `jaxflow.experiments.cases.case_of`, or data sets of one's own with
            orthogonal inputs.
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
        ValueError: unknown labels, inputs that are not orthogonal, numbers out of range.
    """
    require_float64()
    labels, logs = decreasing(scales)
    numbers = np.arange(positive_integer("seeds", seeds))
    settings = settings_of(rtol, None, MAX_STEPS, None)
    cases = cases_of(datasets, width)

    runs = empty_table(cases, numbers, labels, logs)
    measured = {name: np.full(_lengths(runs), value) for name, value in MEASURED.items()}
    interrupted = False
    with progress_bar(runs.sizes, show_progress) as finished:
        try:
            for batch, ends in integrate_all(cases, numbers, logs, settings, integrate):
                _record(measured, runs, batch, ends, cases)
                finished(int(np.sum(measured["status"] > 0)))
        except KeyboardInterrupt:
            interrupted = True
    runs = runs.assign({name: (RUN, values) for name, values in measured.items()})
    settings_used = {"rtol": rtol, "seeds": seeds, "interrupted": int(interrupted)}
    return VerifyReport(described(judge(runs, rtol), settings_used))


def _lengths(runs: xr.Dataset) -> tuple[int, ...]:
    return tuple(runs.sizes[axis] for axis in RUN)


def _record(measured: dict, runs: xr.Dataset, batch: Batch, ends: Ensemble, cases) -> None:
    """Put the ends of a batch into their places."""
    estimate, upper = _excess(ends, runs.minimum.values[batch.members], batch, cases)
    values = {
        "variation_norm": ends.variation_norm,
        "excess_estimate": estimate,
        "excess_upper": upper,
        "loss": ends.loss,
        "movement": ends.movement,
        "end_time": ends.end_time,
        "steps": ends.steps,
        "events": ends.events,
        "status": ends.code,
    }
    for name, array in measured.items():
        array[batch.index] = np.asarray(values[name])


def _excess(ends: Ensemble, minimum: np.ndarray, batch: Batch, cases) -> tuple:
    """V − V_min − Σ_k β_k (h_k − y_k) and V − Σ_k β_k h_k, as `Interpolator.excess` defines them.

    β is a feasible dual, so that the second one is never negative.
    """
    dual = np.stack([cases[i].minimum.dual for i in batch.members])
    labels = np.stack([np.asarray(cases[i].dataset.y) for i in batch.members])
    left = np.asarray(ends.residual)
    norm = np.asarray(ends.variation_norm)
    estimate = norm - minimum + np.sum(dual * left, axis=1)
    return estimate, norm - np.sum(dual * (labels - left), axis=1)
