"""A crossing is located by Newton's method or by a bracket: both lead to the same time."""

import jax
import numpy as np
import pytest

import jaxflow
from jaxflow.flow import landing

TIMES = np.linspace(0.0, 20.0, 201)


@pytest.fixture
def without_newton(monkeypatch):
    """Call it for programs in which no event is met by Newton's method; they are forgotten."""

    def begin():
        monkeypatch.setattr(landing, "NEWTON_ACCEPTS", 0.0)
        jax.clear_caches()

    yield begin
    jax.clear_caches()


def test_brackets_lead_where_newtons_method_does(without_newton):
    """A sliding neuron leaves where its margin falls by 2.7e-6 in a unit of time: the noise of
    margins, 1e-14, is 3.8e-9 of time there."""
    data = jaxflow.datasets.gaussian_teacher(jax.random.key(2), 4, 3, 2)
    key = jax.random.split(jax.random.key(3), 4)[3]
    start = jaxflow.init.balanced(key, 8, data.dim, scale=1e-3)
    by_newton = jaxflow.gradient_flow(start, data, TIMES).events
    without_newton()
    by_brackets = jaxflow.gradient_flow(start, data, TIMES).events
    assert len(by_newton) == len(by_brackets) == 24
    assert np.array_equal(by_newton.neuron, by_brackets.neuron)
    assert np.max(np.abs(by_newton.time - by_brackets.time)) <= 1e-10
