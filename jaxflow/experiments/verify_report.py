"""What `verify` found: the runs, the counterexamples, the table, and the files to keep."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from jaxflow.experiments.store import write
from jaxflow.experiments.table import render
from jaxflow.experiments.verdict import Finding, Verdict
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
    finding: Finding

    @property
    def replay_command(self) -> str:
        """The command that integrates this run again, alone."""
        return (
            f"jaxflow replay --dataset {self.dataset!r} --width {self.width} --seed {self.seed} "
            f"--scale {self.scale}"
        )


@dataclass(frozen=True)
class VerifyReport:
    """The verdict on all runs.

    Attributes:
        runs: labelled arrays with axes dataset, seed and scale; see `jaxflow.experiments.store`.
    """

    runs: xr.Dataset

    @property
    def counterexamples(self) -> list[Run]:
        """Runs that contradict one of the statements."""
        return self._with(Verdict.counterexample)

    @property
    def undecided(self) -> list[Run]:
        """Runs that broke off or were still moving at their horizon."""
        return self._with(Verdict.undecided)

    @property
    def near_ties(self) -> list[Run]:
        """Runs at a scale that is not small enough for their initialisation to be judged."""
        return self._with(Verdict.near_tie)

    @property
    def interrupted(self) -> bool:
        """Whether the work was ended before all runs were done."""
        return bool(self.runs.attrs["interrupted"])

    @property
    def passed(self) -> bool:
        """Whether all runs were done, and none is undecided or a counterexample."""
        fine = (Verdict.agrees, Verdict.near_tie)
        return not self.interrupted and bool(self.runs.verdict.isin(fine).all())

    @property
    def exit_status(self) -> int:
        """0 if passed, 1 if not."""
        return 0 if self.passed else 1

    def save(self, folder: str | Path = ".") -> tuple[Path, Path]:
        """Write `jaxflow-verify.nc` and `jaxflow-verify.png` to a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        data, picture = folder / "jaxflow-verify.nc", folder / "jaxflow-verify.png"
        write(self.runs, data)
        draw_verification(self.runs, picture)
        return data, picture

    def __str__(self) -> str:
        return render(self)

    def _with(self, verdict: Verdict) -> list[Run]:
        places = np.argwhere(self.runs.verdict.values == verdict)
        return [self._run(*map(int, place)) for place in places]

    def _run(self, dataset: int, seed: int, scale: int) -> Run:
        at = self.runs.isel(dataset=dataset, seed=seed, scale=scale)
        return Run(
            dataset=str(at.dataset.values),
            seed=int(at.seed),
            scale=str(at.scale.values),
            width=int(at.width),
            status=Status(int(at.status)),
            finding=Finding(int(at.finding)),
        )
