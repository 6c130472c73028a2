"""The flow against reference solutions of 70 digits."""

from fractions import Fraction
from itertools import pairwise

import diffrax
import jax
import numpy as np
import pytest
from oracle import GENERAL, ORTHOGONAL, Reference, event_list, lasting, worst_event

pytestmark = pytest.mark.usefixtures("optimised")

TIGHTEST = 1e-13


@pytest.fixture(scope="module", params=ORTHOGONAL + GENERAL)
def reference(request):
    return Reference(request.param)


@pytest.fixture(scope="module")
def runs(reference):
    return {rtol: reference.run(rtol=rtol) for rtol in (1e-11, TIGHTEST)}


def test_weights_at_default_settings(reference, runs):
    assert reference.errors(runs[1e-11]).max() <= 1e-11


def test_weights_at_the_tightest_tolerance(reference, runs):
    assert reference.errors(runs[TIGHTEST]).max() <= 1e-12


def test_outputs_and_loss(reference, runs):
    run = runs[TIGHTEST]
    scale = np.abs(reference.outputs).max() + np.abs(np.asarray(reference.dataset.y)).max()
    assert np.abs(np.asarray(run.outputs) - reference.outputs).max() <= 1e-12 * scale
    assert np.abs(np.asarray(run.loss) - reference.loss).max() <= 1e-12 * scale**2


def test_modes_at_the_save_times(reference, runs):
    assert np.array_equal(np.asarray(runs[1e-11].modes), reference.modes)


def test_event_times(reference, runs):
    """To 1e-10 on orthogonal inputs and 1e-7 on others, as sets, without momentary slides."""
    found = lasting(event_list(runs[1e-11]))
    bound = 1e-10 if reference.dataset.is_orthogonal else 1e-7
    assert worst_event(found, lasting(reference.events)) <= bound


def test_balance_is_kept_and_the_loss_never_grows(reference, runs):
    """a_j² − ‖w_j‖² against its exact value at the start, which rounding hides in float64."""
    run = runs[1e-11]
    a, w = np.asarray(run.a), np.asarray(run.w)
    start = np.array([exact_balance(*neuron) for neuron in neurons(reference.network)])
    drift = np.abs(a**2 - np.sum(w**2, axis=-1) - start) / (a**2 + np.sum(w**2, axis=-1))
    assert drift.max() <= 1e-13
    loss = np.asarray(run.loss)
    assert np.all(np.diff(loss) <= 1e-15 * loss[0])


def neurons(network):
    """Output weight and hidden weights of each neuron."""
    return zip(np.asarray(network.a), np.asarray(network.w), strict=True)


def exact_balance(a, w) -> float:
    """a² − ‖w‖² in exact arithmetic, rounded once."""
    return float(Fraction(float(a)) ** 2 - sum(Fraction(float(value)) ** 2 for value in w))


@pytest.mark.parametrize("name", ["toy_m60", "hadamard6_m16", "gauss8_m10"])
def test_a_tighter_tolerance_is_never_worse(name):
    """Ghost neurons would make it worse."""
    reference = Reference(name)
    tolerances = [10.0**-k for k in range(6, 14)]
    errors = [reference.errors(reference.run(rtol=rtol)).max() for rtol in tolerances]
    for looser, tighter in pairwise(errors):
        assert tighter <= max(3 * looser, 1e-12)


@pytest.mark.parametrize("solver", ["Tsit5", "Dopri8"])
def test_other_solvers_agree(solver):
    reference = Reference("hadamard6_m16")
    run = reference.run(rtol=1e-10, solver=getattr(diffrax, solver)())
    assert reference.errors(run).max() <= 1e-9


def test_vmap_over_tolerances_equals_single_runs():
    reference = Reference("toy_m8_large")
    tolerances = np.array([1e-9, 1e-11])
    batch = jax.vmap(lambda rtol: reference.run(rtol=rtol))(tolerances)
    for index, rtol in enumerate(tolerances):
        single = reference.run(rtol=float(rtol))
        assert np.abs(np.asarray(batch.a[index]) - np.asarray(single.a)).max() <= 1e-13
        assert int(batch.events.count[index]) == len(single.events)
