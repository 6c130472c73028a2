"""Our loop over the stages takes the step that diffrax takes."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow.flow.stages import runge_kutta_step


def field(z):
    """Two coupled parts of different shape."""
    return {
        "p": jnp.sin(z["q"][:2]) - z["p"],
        "q": jnp.outer(jnp.ones(2), z["p"])[0].sum() * z["q"],
    }


@pytest.mark.parametrize("solver", [diffrax.Dopri8(), diffrax.Tsit5(), diffrax.Dopri5()])
def test_end_error_and_slopes_are_those_of_diffrax(solver):
    start = {"p": jnp.array([0.3, -1.1]), "q": jnp.array([1.0, 0.2, -0.7])}
    length = jnp.array(0.37)
    term = diffrax.ODETerm(lambda t, z, args: field(z))
    memory = solver.init(term, 0.0, length, start, None)
    wanted_end, wanted_error, dense, _, _ = solver.step(
        term, 0.0, length, start, None, memory, False
    )
    end, error, slopes = jax.jit(lambda z, h: runge_kutta_step(solver, field, z, h))(start, length)
    pairs = [(end, wanted_end), (error, wanted_error), (slopes, dense["k"])]
    for ours, theirs in pairs:
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            assert np.abs(np.asarray(a - b)).max() <= 1e-15
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted_error)) > 1e-12
