"""What `verify` found: the runs, the counterexamples, the table, and the files to keep."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from jaxflow.experiments.minimality import Minimality
from jaxflow.experiments.store import write
from jaxflow.experiments.table import render
from jaxflow.experiments.verdict import Finding, Verdict
from jaxflow.flow.settings import DEFAULT_RTOL
from jaxflow.flow.status import Status
from jaxflow.plots.verification import draw_verification


@dataclass(frozen=True)
class Run:
    """One run that a person may want to look at again."""

    dataset: str
    seed: int
    scale: str
    width: int
    status: Status
    minimality: Minimality
    rtol: float
    finding: Finding = Finding.none

    @property
    def replay_command(self) -> str:
        """The command that integrates this run again, alone; of the named data sets."""
        tolerance = "" if self.rtol == DEFAULT_RTOL else f" --rtol {self.rtol!r}"
        return (
            f"jaxflow replay --dataset {self.dataset!r} --width {self.width} --seed {self.seed} "
            f"--scale {self.scale}{tolerance}"
        )


@dataclass(frozen=True)
class VerifyReport:
    """The verdict on all runs.

    Attributes:
        runs: labelled arrays with axes dataset, seed and scale, for data sets with orthogonal
            inputs; see `jaxflow.experiments.store`. None if there are none.
        ends: the same for all other data sets, where ends are compared with the certified minimum.
    """

    runs: xr.Dataset | None
    ends: xr.Dataset | None = None

    @property
    def counterexamples(self) -> list[Run]:
        """Runs on orthogonal inputs that contradict one of the statements."""
        return self._with(Verdict.counterexample)

    @property
    def undecided(self) -> list[Run]:
        """Runs on orthogonal inputs that broke off or were still moving at their horizon."""
        return self._with(Verdict.undecided)

    @property
    def near_ties(self) -> list[Run]:
        """Runs at a scale that is not small enough for their initialisation to be judged."""
        return self._with(Verdict.near_tie)

    @property
    def violations(self) -> list[Run]:
        """Runs on other inputs with a norm below the certified bound, against weak duality."""
        return self._ends_where(lambda ends: ends.minimality == Minimality.below_the_bound)

    @property
    def broken_off(self) -> list[Run]:
        """Runs on other inputs that broke off for a numerical reason."""
        failed = [int(status) for status in Status if status.failed]
        return self._ends_where(lambda ends: ends.status.isin(failed))

    @property
    def interrupted(self) -> bool:
        """Whether the work was ended before all runs were done."""
        known = self.ends if self.runs is None else self.runs
        return bool(known.attrs["interrupted"])

    @property
    def passed(self) -> bool:
        """Whether all runs were done, and none contradicts theory or weak duality or is undecided.

        Only runs on orthogonal inputs can be undecided: of the others nothing is demanded but weak
        duality.
        """
        fine = (Verdict.agrees, Verdict.near_tie)
        agree = self.runs is None or bool(self.runs.verdict.isin(fine).all())
        return not self.interrupted and agree and not self.violations

    @property
    def exit_status(self) -> int:
        """0 if passed, 1 if not."""
        return 0 if self.passed else 1

    def save(self, folder: str | Path = ".") -> tuple[Path, ...]:
        """Write `jaxflow-verify.nc` and, of runs on orthogonal inputs, `jaxflow-verify.png`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        data, picture = folder / "jaxflow-verify.nc", folder / "jaxflow-verify.png"
        write(self.runs, self.ends, data)
        if self.runs is None:
            return (data,)
        draw_verification(self.runs, picture)
        return data, picture

    def __str__(self) -> str:
        return render(self)

    def _with(self, verdict: Verdict) -> list[Run]:
        if self.runs is None:
            return []
        return _chosen(self.runs, self.runs.verdict == verdict)

    def _ends_where(self, condition: Callable[[xr.Dataset], xr.DataArray]) -> list[Run]:
        return [] if self.ends is None else _chosen(self.ends, condition(self.ends))


def _chosen(runs: xr.Dataset, chosen: xr.DataArray) -> list[Run]:
    return [_run(runs, *map(int, place)) for place in np.argwhere(chosen.values)]


def _run(runs: xr.Dataset, dataset: int, seed: int, scale: int) -> Run:
    at = runs.isel(dataset=dataset, seed=seed, scale=scale)
    return Run(
        dataset=str(at.dataset.values),
        seed=int(at.seed),
        scale=str(at.scale.values),
        width=int(at.width),
        status=Status(int(at.status)),
        minimality=Minimality(int(at.minimality)),
        rtol=float(runs.attrs["rtol"]),
        finding=Finding(int(at.finding)) if "finding" in at else Finding.none,
    )
