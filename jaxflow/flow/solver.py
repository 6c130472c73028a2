"""The Dormand-Prince 8(7) method of diffrax with its stages unrolled.

diffrax runs the stages of a Runge-Kutta method in a loop, which compiles fast and suits large
states. The states here are small, and unrolled stages let XLA fuse them: on 2 cores a step of 60
neurons on 10 data takes half the time. The coefficients, the error estimate and the interpolation
are diffrax's.
"""

import diffrax
import jax.numpy as jnp
from diffrax import RESULTS


class UnrolledDopri8(diffrax.Dopri8):
    """Dormand-Prince 8(7), Prince and Dormand (1981), as `diffrax.Dopri8` but with unrolled stages.

    The state is one array.
    """

    def init(self, terms, t0, t1, y0, args):
        """No state: the first stage is evaluated in every step, because modes may have changed."""
        return None

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        """One step from t0 to t1: the end, the error estimate, and the stages for dense output."""
        control = t1 - t0
        stages = [control * terms.vf(t0, y0, args)]
        for row in self.tableau.a_lower:
            increment = _combination(row, stages)
            stages.append(control * terms.vf(t0, y0 + increment, args))
        y1 = y0 + _combination(self.tableau.b_sol, stages)
        error = _combination(self.tableau.b_error, stages)
        dense = dict(y0=y0, y1=y1, k=jnp.stack(stages))
        return y1, error, dense, None, RESULTS.successful


def _combination(weights, stages):
    return sum(float(b) * k for b, k in zip(weights, stages, strict=True) if b != 0)
