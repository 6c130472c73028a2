"""Closed forms by two ways: XLA's programs, and calls of what was compiled from C."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow.flow import compiled, compiled_feedback, decoupled
from jaxflow.flow.gradient_flow import at_start, settings_of

needs_c = pytest.mark.skipif(not compiled.are_compiled(), reason="no C compiler")
"""Nothing is left out where there is a compiler: a test of `test_quiet.py` says so."""
ways = [pytest.param(False, id="XLA"), pytest.param(True, id="C", marks=needs_c)]
both_ways = pytest.mark.parametrize("in_c", ways)


def begun(data, network):
    """The problem, the tolerance and the lane of a run at time zero."""
    settings = settings_of(1e-11, None, 1000)
    plan, settings, lane, _ = at_start(network, data, settings, jnp.zeros(0), True)
    return plan.problem, settings.frozen_tolerance, lane


def flown(monkeypatch, in_c, fly, *given):
    """What a closed form makes of what is given, by one of the two ways."""
    with monkeypatch.context() as patch:
        if not in_c:
            patch.setattr(compiled_feedback, "can_be_called", lambda: False)
            patch.setattr(decoupled, "can_be_called", lambda: False)
        return jax.jit(lambda *given: fly(*given))(*given)


def both(monkeypatch, *given):
    """By the one and by the other."""
    return [flown(monkeypatch, in_c, *given) for in_c in (False, True)]


def same(one, other, digits=1e-13):
    """Whether two flights are the same to rounding."""
    np.testing.assert_allclose(one.state, other.state, rtol=digits, atol=digits)
    np.testing.assert_array_equal(one.modes.active, other.modes.active)
    np.testing.assert_allclose(one.log.times, other.log.times, rtol=digits, atol=digits)
