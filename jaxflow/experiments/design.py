"""Which runs: data sets, seeds and scales, as the axes of labelled arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from jaxflow.experiments.cases import Case
from jaxflow.experiments.scales import decreasing
from jaxflow.validation import positive_integer

RUN = ("dataset", "seed", "scale")


@dataclass(frozen=True)
class Design:
    """The seeds and scales that every data set is run with.

    Args:
        seeds: numbers of the initialisations.
        labels: initialisation scales as they were typed, largest first.
        logs: logarithms of the scales.
    """

    seeds: np.ndarray
    labels: list[str]
    logs: list[float]

    def lengths(self, cases: list[Case]) -> tuple[int, int, int]:
        """Number of data sets, seeds and scales."""
        return len(cases), len(self.seeds), len(self.labels)


def design_of(seeds: int, scales: Sequence[str | float]) -> Design:
    """The seeds 0, 1, … and the scales, largest first.

    Raises:
        ValueError: seeds below one; no scale, one that is not positive, or the same one twice.
    """
    labels, logs = decreasing(scales)
    return Design(np.arange(positive_integer("seeds", seeds)), labels, logs)


def table_of(cases: list[Case], design: Design) -> xr.Dataset:
    """The axes, and of each data set its size and the certified minimum."""

    def minimum(name: str) -> tuple[str, list[float]]:
        return "dataset", [float(getattr(case.minimum, name)) for case in cases]

    return xr.Dataset(
        {"minimum": minimum("value"), "lower_bound": minimum("rigorous_bound")},
        coords={
            "dataset": [case.label for case in cases],
            "seed": design.seeds,
            "scale": design.labels,
            "log_scale": ("scale", np.asarray(design.logs)),
            "n": ("dataset", [case.dataset.n for case in cases]),
            "dim": ("dataset", [case.dataset.dim for case in cases]),
            "width": ("dataset", [case.start.width for case in cases]),
        },
    )
