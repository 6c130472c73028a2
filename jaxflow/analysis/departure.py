"""How far a gradient descent is from the flow that it follows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxflow.descent.trajectory import Descent
from jaxflow.flow.gradient_flow import gradient_flow
from jaxflow.flow.trajectory import Trajectory


@dataclass(frozen=True, eq=False)
class Departure:
    """A descent beside the flow from the same initialisation at the same times."""

    descent: Descent
    flow: Trajectory

    @property
    def errors(self) -> Float[np.ndarray, "T n"]:
        """|h(x_k) − h*(x_k)|, h* being the outputs of the flow."""
        return np.abs(np.asarray(self.descent.outputs) - np.asarray(self.flow.outputs))

    @property
    def absolute(self) -> float:
        """Largest error relative to the largest label, max |h − h*|/max |y|."""
        return float(np.max(self.errors) / np.max(np.abs(self.descent.dataset.y)))

    @property
    def relative(self) -> float:
        """Largest error relative to the sum of the parts, |h − h*|/Σ_j |a_j| max(⟨w_j, x_k⟩, 0).

        It counts from the beginning, when outputs are still tiny.
        """
        u = np.maximum(np.asarray(self.flow.w) @ np.asarray(self.descent.dataset.x).T, 0)
        parts = np.einsum("tm,tmn->tn", np.abs(np.asarray(self.flow.a)), u)
        seen = parts > 0
        return float(np.max(self.errors[seen] / parts[seen], initial=0.0))

    @property
    def delays(self) -> Float[np.ndarray, " n"]:
        """How much later h(x_k) passes y_k/2 than in the flow; NaN where one never does.

        Times are interpolated between save times in log(h/(y − h)), which is a straight line where
        a datum is fitted alone.
        """
        y = np.asarray(self.descent.dataset.y)
        late, early = (
            half_times(np.asarray(run.ts), np.asarray(run.outputs), y)
            for run in (self.descent, self.flow)
        )
        return late - early


def departure(descent: Descent) -> Departure:
    """Integrate the flow from the initialisation of a descent to its save times.

    Args:
        descent: saved at 0 and at increasing times, not diverged.

    Raises:
        ValueError: a descent that diverged or was not saved at 0.
    """
    if descent.status.failed or int(descent.iterations[0]):
        raise ValueError(
            f"descent: got one that {descent.status} and is saved from iteration "
            f"{int(descent.iterations[0])} on, wanted one that is done and saved from 0 on"
        )
    flow = gradient_flow(descent.network(0), descent.dataset, np.asarray(descent.ts))
    return Departure(descent, flow)


def half_times(
    ts: Float[np.ndarray, " T"], outputs: Float[np.ndarray, "T n"], y: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """When each output first passes half of its label, NaN where it never does."""
    shares = outputs / np.where(y == 0, np.nan, y)
    return np.array([_half_time(ts, share) for share in shares.T])


def _half_time(ts, share) -> float:
    above = np.flatnonzero(share > 0.5)
    if not above.size or above[0] == 0:
        return np.nan
    near = slice(above[0] - 1, above[0] + 1)
    pair = share[near]
    if np.all((pair > 0) & (pair < 1)):
        pair = np.log(pair) - np.log1p(-pair) + 0.5
    return float(np.interp(0.5, pair, ts[near]))
