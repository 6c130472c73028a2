"""From a trajectory back to what it started from, and on to other save times."""

import jax
import numpy as np
from jaxtyping import Float

from jaxflow.dataset import Dataset
from jaxflow.flow.gradient_flow import GRID, gradient_flow
from jaxflow.flow.trajectory import Trajectory
from jaxflow.network import ReluNetwork
from jaxflow.validation import is_traced

MANY = 1000
"""More save times than this are not saved again."""


def require_single(run: Trajectory, purpose: str) -> None:
    """Raise unless the trajectory is one concrete run.

    Raises:
        ValueError: a batch, a traced run, or another type.
    """
    if not isinstance(run, Trajectory):
        raise ValueError(
            f"trajectory: {purpose} got {type(run).__name__}, wanted what jaxflow.gradient_flow "
            f"returns"
        )
    if is_traced(run.code) or run.code.ndim:
        raise ValueError(
            f"trajectory: {purpose} got a traced or batched run, wanted one; pick it with "
            f"jax.tree.map(lambda leaf: leaf[i], batch)"
        )


def initial_network(run: Trajectory) -> ReluNetwork:
    """The initialisation of a run."""
    return run.launch.network(run.launch.state)


def data_of(run: Trajectory) -> Dataset:
    """The data set of a run, to rounding."""
    span = run.launch.problem.span
    x = span.rows[:, None] * span.basis if span.orthogonal else span.rows @ span.basis
    return Dataset(x, run.launch.problem.y)


def networks_of(run: Trajectory) -> ReluNetwork:
    """The networks at all save times, stacked.

    Dead pairs are zero to rounding only; use `run.modes` where it matters which pairs are active.
    """
    return jax.vmap(run.launch.network)(run.states)


def number_of_saves(run: Trajectory) -> int:
    """For another look at a run: as many as it has, as then the same programs serve.

    The usual number where that is smaller, or so large that it would take long.
    """
    count = run.ts.shape[0]
    return count if GRID <= count <= MANY else GRID


def saved_at(run: Trajectory, ts: Float[np.ndarray, " T"]) -> Trajectory:
    """The same flow from the same initialisation and tolerance, saved at other times."""
    return gradient_flow(initial_network(run), data_of(run), ts, rtol=run.rtol)
