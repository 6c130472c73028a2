"""Tolerances and limits of an integration, in one place."""

import diffrax
import equinox as eqx
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

DEFAULT_RTOL = 1e-11
SMALLEST_RTOL = 1e-14
ROOM_FOR_EVENTS = 20_000
"""Changes of activation for which a run on inputs that are not orthogonal has room by default."""

FROZEN_SHARE = 0.005
"""Share of the tolerance that one piece in closed form may use up."""

APPROACH_SHARE = 0.1
"""Share of the tolerance that the closed form of the last approach may use up."""


class Settings(eqx.Module):
    """How accurately and how far to integrate.

    Attributes:
        rtol: error allowed per step in the log norm and direction of every neuron. A datum counts
            as fitted when |r_k| ≤ rtol |y_k|: an explicit method hovers at about that level.
        horizon: last time, in units of the flow's own time.
        max_steps: number of attempted steps after which the run gives up.
        max_events: room for changes of activation on general inputs; 0 only counts them.
        solver: a diffrax explicit Runge-Kutta method with an error estimate.
        closed_form: whether to use closed forms where their error bounds allow them.
        few_runs: whether too few are to come for anything but quickly compiled programs to pay.
        mesh: the devices over which the neurons are shared out, see `jaxflow.sharing`.
    """

    rtol: Float[Array, ""]
    horizon: Float[Array, ""]
    max_steps: Int[Array, ""]
    max_events: int = eqx.field(static=True, default=0)
    solver: diffrax.AbstractERK = eqx.field(default_factory=diffrax.Dopri8)
    closed_form: bool = eqx.field(static=True, default=True)
    few_runs: bool = eqx.field(static=True, default=False)
    mesh: Mesh | None = eqx.field(static=True, default=None)

    @property
    def frozen_tolerance(self) -> Float[Array, ""]:
        """Error allowed to each closed-form piece with frozen residual."""
        return FROZEN_SHARE * jnp.minimum(self.rtol, 1e-9)

    @property
    def approach_tolerance(self) -> Float[Array, ""]:
        """Error allowed to the closed form of the last approach."""
        return APPROACH_SHARE * self.rtol
