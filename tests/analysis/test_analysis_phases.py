"""Predicted phases against the flow: the toy over many scales, and three births of a sign."""

import jax
import numpy as np
import pytest

import jaxflow
from jaxflow.analysis import convergence, phases

SCALES = (1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-100)


def toy_report(scale):
    network = jaxflow.init.balanced(jax.random.key(0), 12, 2, scale=scale, bias=True)
    return phases(jaxflow.gradient_flow(network, jaxflow.datasets.toy(), rtol=1e-13))


@pytest.fixture(scope="module")
def reports():
    return {scale: toy_report(scale) for scale in SCALES}


def test_exit_times_of_the_toy_depart_like_the_square_of_the_scale(reports):
    coarse, fine = (
        np.abs(reports[scale].exit_times - reports[scale].closed_form) / scale**2
        for scale in (1e-2, 1e-4)
    )
    np.testing.assert_allclose(coarse, fine, rtol=5e-4)
    assert np.all(fine > 0.1)


@pytest.mark.parametrize("scale", SCALES[2:])
def test_the_closed_form_is_the_flow(reports, scale):
    report = reports[scale]
    assert np.max(np.abs(report.exit_times - report.closed_form)) < 1e-11
    assert np.max(np.abs(report.exit_errors)) < 2e-11  # the timeline integrates its orbits
    assert report.in_order and report.indices_decrease


def test_alignment_of_the_toy(reports):
    found = reports[1e-12].alignment
    aligned = np.isfinite(found.predicted)
    assert aligned.sum() == 3 and np.all(np.isfinite(found.measured) == aligned)
    assert found.largest_error < 1e-13


def test_plateaus_of_the_toy(reports):
    last = reports[1e-100].plateaus
    assert [plateau.morse_index for plateau in last][-1] == 0
    for plateau in last[:2]:
        assert abs(plateau.loss_measured - plateau.loss) < 1e-13
        assert plateau.distance < 1e-12 and plateau.rate_error < 1e-4
        assert plateau.time_in < plateau.time_out
    assert last[0].distance < 1e-50 and last[2].distance < 1e-12


@pytest.fixture(scope="module")
def shared():
    """Four data, two births of one sign: neurons are carried through fits that they share."""
    data = jaxflow.datasets.random_orthogonal(jax.random.key(6), 4, 4)
    network = jaxflow.init.balanced(jax.random.key(4), 8, 4, scale=1e-30)
    return jaxflow.gradient_flow(network, data).phases()


def test_a_run_whose_neurons_share_data(shared):
    assert len(shared.exit_times) == 3 and shared.closed_form is None
    assert np.max(np.abs(shared.exit_errors)) < 1e-10  # tolerance 1e-11 over a time of 256
    assert [plateau.morse_index for plateau in shared.plateaus] == [8, 6, 1, 0]
    assert shared.in_order and shared.indices_decrease
    # what is left of a fit halfway to the next birth, exp(−2 · 0.35 · 18)
    assert all(abs(p.loss_measured - p.loss) < 1e-10 and p.distance < 1e-5
               for p in shared.plateaus)  # fmt: skip
    assert max(p.rate_error for p in shared.plateaus[:3]) < 1e-3


def test_the_rate_seen_is_that_of_the_last_birth(shared):
    found = shared.convergence
    assert abs(found.last / found.visible - 1) < 1e-6 and found.visible > 1.5 * found.asymptote


def test_the_rate_near_the_end_is_the_least_eigenvalue(reports):
    found = reports[1e-100].convergence
    assert abs(found.last / found.asymptote - 1) < 1e-6
    rates = np.sqrt([1.25, 5.0])  # |y| ‖x‖ 2/n
    np.testing.assert_allclose(found.rates, rates, rtol=1e-10)
    assert found.visible == found.asymptote == found.rates[0]
    assert np.nanmin(found.constant) < 1e-30


def test_the_report_reads(reports):
    text = str(reports[1e-12])
    assert "plateau 1" in text and "in the predicted order" in text and "its least is" in text


def test_refuses_what_has_no_phases():
    with pytest.raises(ValueError, match="trajectory: phases got int"):
        phases(3)
    with pytest.raises(ValueError, match="trajectory: convergence got"):
        convergence(None)
