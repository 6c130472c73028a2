"""What can be kept of a run: names, meanings, units and axes."""

from dataclasses import dataclass

import numpy as np

from jaxflow.flow.status import Status
from jaxflow.montecarlo.ensemble import Ensemble

TIME = "unit of the flow's own time"


@dataclass(frozen=True)
class Quantity:
    """One array of the result file: its axes after the axis of runs, its type and meaning.

    `missing` stands where a run is not done: NaN, −1 for a count, 0 (running) for a status.
    """

    meaning: str
    dtype: str = "f8"
    axes: tuple[str, ...] = ()
    units: str = "1"
    missing: float = np.nan


SUMMARIES = {
    "status": Quantity("how the run ended", "i1", missing=0),
    "end_time": Quantity("time at which the run ended", units=TIME),
    "loss": Quantity("1/(2n) sum of squared residuals at the end"),
    "variation_norm": Quantity("sum of |a_j| |w_j| at the end"),
    "movement": Quantity("certified bound on how far log norms and directions still move"),
    "fitted": Quantity("1 if all data are fitted in the limit", "i1", missing=-1),
    "steps": Quantity("attempted steps", "i4", missing=-1),
    "events": Quantity("changes of activation", "i4", missing=-1),
    "residual": Quantity("labels less outputs at the end", axes=("datum",)),
}
DEFAULT_SUMMARIES = tuple(name for name in SUMMARIES if name != "residual")

TRAJECTORIES = {
    "loss": Quantity("1/(2n) sum of squared residuals", axes=("save",)),
    "variation_norm": Quantity("sum of |a_j| |w_j|", axes=("save",)),
    "outputs": Quantity("network outputs at the data", axes=("save", "datum")),
    "a": Quantity("output weights", axes=("save", "neuron")),
    "w": Quantity("hidden weights", axes=("save", "neuron", "input")),
}
"""Along the run, at equally spaced times from 0 to its end; NaN where a run did not arrive."""
SAVE_TIMES = "trajectory_time"
STATUS_FLAGS = {
    "flag_values": [int(status) for status in Status],
    "flag_meanings": " ".join(status.name for status in Status),
}


def kept(summaries: tuple[str, ...], trajectories: tuple[str, ...]) -> dict[str, Quantity]:
    """The quantities of a result file under the names that they have there."""
    found = {name: SUMMARIES[name] for name in summaries}
    if trajectories:
        found[SAVE_TIMES] = Quantity("save times of the run", axes=("save",), units=TIME)
    return found | {f"trajectory_{name}": TRAJECTORIES[name] for name in trajectories}


def summaries_of(ends: Ensemble, names: tuple[str, ...], count: int) -> dict[str, np.ndarray]:
    """The chosen summaries of the first `count` runs."""
    return {
        name: np.asarray(getattr(ends, "code" if name == "status" else name))[:count].astype(
            SUMMARIES[name].dtype
        )
        for name in names
    }


def attributes(name: str, quantity: Quantity) -> dict:
    """Attributes of an array in a file."""
    flags = STATUS_FLAGS if name == "status" else {}
    return {"long_name": quantity.meaning, "units": quantity.units, **flags}
