"""What is measured of every run."""

import numpy as np
import xarray as xr

from jaxflow.experiments.batches import Batch
from jaxflow.experiments.cases import Case
from jaxflow.experiments.design import RUN, Design
from jaxflow.experiments.minimality import judged
from jaxflow.montecarlo.ensemble import Ensemble

MEASURED = {
    "variation_norm": np.nan,
    "excess_estimate": np.nan,
    "excess_lower": np.nan,
    "excess_upper": np.nan,
    "label_change": np.nan,
    "residual": np.nan,
    "loss": np.nan,
    "movement": np.inf,
    "end_time": np.nan,
    "steps": 0,
    "events": 0,
    "status": np.int8(0),
    "minimality": np.int8(0),
}
"""Names, with the value of runs that are not done."""


class Measurements:
    """Arrays with axes (dataset, seed, scale) that fill up as batches are finished."""

    def __init__(self, cases: list[Case], design: Design):
        self.cases = cases
        lengths = design.lengths(cases)
        self.arrays = {name: np.full(lengths, value) for name, value in MEASURED.items()}

    @property
    def size(self) -> int:
        """Number of runs."""
        return self.arrays["status"].size

    @property
    def done(self) -> int:
        """Number of finished runs."""
        return int(np.sum(self.arrays["status"] > 0))

    def record(self, batch: Batch, ends: Ensemble) -> None:
        """Put the ends of a batch into their places."""
        for name in ("variation_norm", "loss", "movement", "end_time", "steps", "events"):
            self.arrays[name][batch.index] = np.asarray(getattr(ends, name))
        for member in np.unique(batch.members):
            self._compare(int(member), batch, ends)
        self.arrays["status"][batch.index] = np.asarray(ends.code)

    def _compare(self, member: int, batch: Batch, ends: Ensemble) -> None:
        """With the certified minimum, for the runs on one data set."""
        own = np.flatnonzero(batch.members == member)
        case = self.cases[member]
        outputs = np.asarray(case.dataset.y) - np.asarray(ends.residual)[own]
        excess = case.minimum.excess_at(np.asarray(ends.variation_norm)[own], outputs)
        at = member, batch.seeds[own], batch.scale
        self.arrays["excess_estimate"][at] = excess.estimate
        self.arrays["excess_lower"][at] = excess.lower
        self.arrays["excess_upper"][at] = excess.upper
        self.arrays["label_change"][at] = excess.label_change
        self.arrays["residual"][at] = excess.residual
        self.arrays["minimality"][at] = judged(excess, case.minimum)

    def added_to(self, table: xr.Dataset) -> xr.Dataset:
        """The table with these arrays."""
        return table.assign({name: (RUN, array) for name, array in self.arrays.items()})
