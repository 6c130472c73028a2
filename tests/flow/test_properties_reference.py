"""The flow against a plain integrator that shares no code with it."""

import numpy as np
import pytest
from flow_problems import TIMES, fly, problem, runs
from flow_reference import reference

import jaxflow

LAST = 26
"""Save times compared: up to t = 9."""
RTOL = 1e-12
"""Below the bounds of the comparison: errors add up over a run, and an event time has the error of
a margin over its slope."""


def perturbed(run):
    """The same run with its initialisation changed in the last digit."""
    network = jaxflow.ReluNetwork(run.w[0] * (1 + 2e-16), run.a[0] * (1 - 2e-16))
    return fly(run.dataset, network, rtol=RTOL)


def neuron_events(run):
    """Time and neuron of every event up to the last time; pairs that change together once."""
    times, neurons = np.asarray(run.events.time), np.asarray(run.events.neuron)
    pairs = zip(times[times <= TIMES[LAST - 1]].tolist(), neurons.tolist(), strict=False)
    return list(dict.fromkeys(pairs))


@pytest.mark.parametrize("shape", [(4, 2, 6), (3, 4, 8)], ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_a_plain_integrator_gives_the_same(shape, seed):
    """States to 1e-11, or as far as one rounding of the start is amplified; modes and events."""
    run = runs(shape, RTOL)[seed]
    _, network = problem(seed, *shape)
    start = (np.asarray(network.w), np.asarray(network.a))
    a, w, modes, events = reference(run.x, run.y, *start, TIMES[:LAST])
    scale = max(np.abs(run.a).max(), np.abs(run.w).max())
    other = perturbed(run)
    amplified = np.max(np.abs(np.asarray(other.w) - run.w)[:LAST]) / scale
    bound = max(1e-11, 1e3 * amplified)
    assert bound <= 1e-9
    assert np.max(np.abs(a - run.a[:LAST])) <= bound * scale
    assert np.max(np.abs(w - run.w[:LAST])) <= bound * scale
    assert np.array_equal(modes, run.modes[:LAST])
    found = neuron_events(run)
    assert [j for _, j in found] == [j for _, j, _ in events]
    assert np.max([abs(s - t) for (s, _), (t, _, _) in zip(found, events, strict=True)]) <= 1e-10
