"""The end of a run, and how many of its pairs of neuron and datum slide."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.compilation import program
from jaxflow.dataset import Dataset
from jaxflow.flow.field import residual
from jaxflow.flow.gradient_flow import fly
from jaxflow.flow.lane import Lane
from jaxflow.flow.log import SLIDE
from jaxflow.flow.settings import Settings
from jaxflow.modes import codes
from jaxflow.network import ReluNetwork


class SlidingEnd(eqx.Module):
    """The end of a run.

    Attributes:
        code: the `Status` as an integer.
        residual: r_k at the end.
        variation_norm: Σ_j |a_j| ‖w_j‖ at the end.
        slid: share of the m n pairs that slid at some time.
        sliding: share of the m n pairs that slide at the end.
    """

    code: Int[Array, ""]
    residual: Float[Array, " n"]
    variation_norm: Float[Array, ""]
    slid: Float[Array, ""]
    sliding: Float[Array, ""]


@program(lambda network, dataset, settings: network.width * dataset.n)
def sliding_end(network: ReluNetwork, dataset: Dataset, settings: Settings) -> SlidingEnd:
    """Integrate one run to its end, by one compiled program for each shape.

    On inputs that are not orthogonal `settings.max_events` is the room for changes of activation,
    from which the pairs that slid are read; a run that needs more ends as `event limit`.
    """
    plan, lane = fly(network, dataset, settings)
    return SlidingEnd(
        code=lane.status,
        residual=residual(plan.problem, lane.modes, lane.state),
        variation_norm=plan.network(lane.state).variation_norm(),
        slid=jnp.mean(_slid(lane), dtype=jnp.float64),
        sliding=jnp.mean(lane.modes.codes == codes.SLIDING, dtype=jnp.float64),
    )


def _slid(lane: Lane) -> Bool[Array, "n m"]:
    """Which pairs slid at some time; on orthogonal inputs none ever does."""
    never = jnp.zeros_like(lane.modes.active)
    if lane.modes.slide is None:
        return never
    log = lane.log  # blank places have the kind −1
    return never.at[log.datum, log.neuron].max(log.kind == SLIDE)
