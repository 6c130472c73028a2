"""The time of an iteration, for any optimiser, in the flow's own unit.

Beside the network a single parameter rides along whose gradient is always −1. The time is how far
it has moved. For gradient descent of step η on the loss 1/(2n) Σ r² this is η an iteration, with a
schedule the sum of the steps, and with momentum β it tends to η/(1 − β) an iteration: in each case
the flow's time, to first order in η. For optimisers that rescale the gradient (Adam) it is the time
of a flow whose gradients were of size one, and no more than a name for η k.
"""

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float


class Clock(eqx.Module):
    """The parameter that rides along, in float64 whatever the precision of the network."""

    state: optax.OptState
    time: Float[Array, ""]

    @classmethod
    def start(cls, optimizer: optax.GradientTransformation) -> "Clock":
        """The clock at time zero."""
        return cls(optimizer.init(jnp.zeros(())), jnp.zeros(()))

    def tick(self, optimizer: optax.GradientTransformation) -> "Clock":
        """One iteration on; the parameter shown to the optimiser is 0, so that it never decays."""
        move, state = optimizer.update(-jnp.ones(()), self.state, jnp.zeros(()))
        return Clock(state, self.time + move)
