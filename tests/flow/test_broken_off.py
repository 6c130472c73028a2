"""A run that breaks off says so, and shows nothing at times that it did not reach."""

import jax
import numpy as np
import pytest

import jaxflow


@pytest.fixture(scope="module")
def run():
    """Five points with too few steps for the whole way."""
    data = jaxflow.datasets.five_points()
    network = jaxflow.init.balanced(jax.random.key(0), 12, 2, scale=0.1, bias=True)
    times = np.array([0.0, 1e-3, *np.linspace(50.0, 100.0, 14)])
    return jaxflow.gradient_flow(network, data, times, max_steps=12)


def test_status_and_time(run):
    assert run.status == jaxflow.Status.step_limit and run.status.failed
    assert 1e-3 < float(run.end_time) < 50


def test_times_that_were_not_reached_are_nan(run):
    reached = np.array([True] * 2 + [False] * 14)
    for quantity in (run.loss, run.variation_norm, run.a.sum(1), run.w.sum((1, 2))):
        np.testing.assert_array_equal(np.isfinite(quantity), reached)
    np.testing.assert_array_equal(np.all(np.asarray(run.modes) == -1, axis=(1, 2)), ~reached)
    assert np.isfinite(run.final.variation_norm())


def test_summary_counts_what_was_saved(run):
    assert "2 of 16 saved" in repr(run)
    assert f"to {float(run.loss[1]):.6g}" in repr(run)


def test_it_is_drawn_up_to_there(run, tmp_path):
    run.plot(tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 10_000


def test_phases_need_a_whole_run():
    network = jaxflow.init.balanced(jax.random.key(0), 8, 2, scale=1e-3, bias=True)
    data = jaxflow.datasets.toy()
    run = jaxflow.gradient_flow(network, data, rtol=1e-13, max_steps=3, closed_form=False)
    with pytest.raises(ValueError, match="broke off \\(step limit\\)"):
        run.phases()
