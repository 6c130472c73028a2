"""The phases of a run on orthogonal inputs: alignment, saddles, fits, convergence.

Everything predicted comes from the data and the initialisation alone, at the scale at hand.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxflow.analysis.alignment_times import AlignmentTimes, alignment_times
from jaxflow.analysis.convergence import Convergence, convergence
from jaxflow.analysis.exit_times import exit_times
from jaxflow.analysis.plateaus import Plateau, visited
from jaxflow.analysis.recovery import data_of, initial_network, require_single
from jaxflow.dataset import Dataset, require_orthogonal
from jaxflow.flow.trajectory import Trajectory
from jaxflow.network import ReluNetwork
from jaxflow.theory import (
    Timeline,
    alignment,
    frozen_residual,
    jump_process,
    saddles,
    single_datum_trajectory,
    timeline,
)

LEFT, HALF, FITTED = 0.01, 0.5, 0.99
"""Fractions of the labels at which a saddle counts as left, a birth as over by half, and over."""


@dataclass(frozen=True, eq=False)
class Phases:
    """What the theorems speak of, predicted and measured, for one run; `print` shows it."""

    run: Trajectory
    plateaus: list[Plateau]
    """The origin first, the limit last."""
    timeline: Timeline
    """Predicted exit times."""
    exit_times: Float[np.ndarray, " J"]
    """Measured ones, when the outputs pass half of the labels of each birth."""
    closed_form: Float[np.ndarray, " J"] | None
    """Exit times of the closed-form trajectory, where the data set has one."""
    alignment: AlignmentTimes
    convergence: Convergence

    @property
    def exit_errors(self) -> Float[np.ndarray, " J"]:
        """Measured less predicted exit times."""
        return self.exit_times - self.timeline.exit_times

    @property
    def in_order(self) -> bool:
        """Whether the births happened in the order predicted."""
        return bool(np.all(np.isfinite(self.exit_times)) and np.all(np.diff(self.exit_times) > 0))

    @property
    def indices_decrease(self) -> bool:
        """Whether the Morse index never increases along the flow."""
        return bool(np.all(np.diff([plateau.morse_index for plateau in self.plateaus]) <= 0))

    def __repr__(self) -> str:
        aligned = np.isfinite(self.alignment.measured)
        return "\n".join(
            [
                f"Phases of {self.run.modes.shape[1]} neurons on {self.run.launch.problem.n} data",
                f"  alignment    {aligned.sum()} neurons come within {self.alignment.wanted:g} rad "
                f"of their limit, times differ from the prediction by at most "
                f"{self.alignment.largest_error:.2g}",
                *map(self._plateau_rows, range(len(self.plateaus))),
                f"  births       {'in' if self.in_order else 'NOT in'} the predicted order; Morse "
                f"indices {'never increase' if self.indices_decrease else 'INCREASE'}",
                f"  convergence  rate {self.convergence.last:.8g} near the end, where K/n has the "
                f"eigenvalue {self.convergence.visible:.8g}; its least is "
                f"{self.convergence.asymptote:.8g}",
            ]
        )

    def _plateau_rows(self, number: int) -> str:
        here = self.plateaus[number]
        end = "the end" if np.isinf(here.time_out) else f"{here.time_out:.6g}"
        text = (
            f"  plateau {number}    t = {here.time_in:.6g} to {end}: loss {here.loss_measured:.6g} "
            f"(predicted {here.loss:.6g}), distance {here.distance:.2g}, Morse index "
            f"{here.morse_index}"
        )
        if np.isfinite(here.rate_error):
            text += f", rates off by {here.rate_error:.1g}"
        if number < len(self.exit_times):
            fits = np.flatnonzero(self.timeline.fitted[number]).tolist()
            text += (
                f"\n    birth {number + 1}    t = {self.exit_times[number]:.11g}, predicted "
                f"{self.timeline.exit_times[number]:.11g} ({self.exit_errors[number]:+.1e}), "
                f"fits {fits}"
            )
        return text


def phases(run: Trajectory) -> Phases:
    """Report the phases of a run beside their predictions.

    Args:
        run: a trajectory from t = 0 on orthogonal inputs, best to its end (`ts=None`). It is
            integrated again, a few times, with save times where they are needed.

    Raises:
        ValueError: a batch, a run that broke off, inputs that are not orthogonal, a neuron with
            |a_j| < ‖w_j‖, or a network without a neuron that can grow.

    Source: arXiv 2206.00939, section 4, made quantitative for the scale at hand.
    """
    require_single(run, "phases")
    _require_whole(run)
    network, dataset = initial_network(run), data_of(run)
    require_orthogonal(dataset, "the report of phases")
    predicted = timeline(network, dataset, fraction=HALF)
    _require_births(predicted)
    begin, half, end = exit_times(run, predicted.fitted, (LEFT, HALF, FITTED))
    process = jump_process(network, dataset)
    rank = _ranks(process.fitted, predicted.fitted)
    return Phases(
        run=run,
        plateaus=visited(run, saddles(network, dataset, process), begin[rank], end[rank]),
        timeline=predicted,
        exit_times=half,
        closed_form=_closed_form(network, dataset, predicted),
        alignment=alignment_times(
            run, alignment(frozen_residual(network, dataset)), _first(begin, predicted)
        ),
        convergence=convergence(run),
    )


def _require_whole(run: Trajectory) -> None:
    if run.status.failed:
        raise ValueError(
            f"run: got one that broke off ({run.status}) at t = {float(run.end_time):g}, wanted "
            f"one that went on; allow it more steps or events, or a larger rtol"
        )


def _require_births(predicted: Timeline) -> None:
    if not len(predicted.exit_times):
        raise ValueError(
            "trajectory: got a run in which no neuron can grow, wanted one with a neuron active at "
            "a datum whose label has its sign; a wider network has one"
        )


def _first(begin: np.ndarray, predicted: Timeline) -> float:
    """When the first saddle is left, by the prediction where the run is too short."""
    return float(np.min(begin)) if np.isfinite(begin).any() else float(predicted.exit_times[0])


def _ranks(limit, predicted) -> np.ndarray:
    """For each birth of the jump process the entry of the timeline with the same data.

    Where near ties make the two differ, the order of the timeline stands.
    """
    limit, predicted = np.asarray(limit), np.asarray(predicted)
    same = [np.flatnonzero(np.all(predicted == row, axis=1)) for row in limit]
    if len(limit) != len(predicted) or any(found.size != 1 for found in same):
        return np.arange(len(limit)) % len(predicted)
    return np.array([found[0] for found in same])


def _closed_form(network: ReluNetwork, dataset: Dataset, predicted: Timeline):
    """Exit times of the closed form in the order of the timeline, None outside its class."""
    signs = np.sign(np.asarray(dataset.y))
    if np.any(signs == 0) or len(np.unique(signs)) < len(signs):
        return None
    times = np.asarray(single_datum_trajectory(network, dataset).exit_times(predicted.fraction))
    return times[np.argmax(predicted.fitted, axis=1)]
