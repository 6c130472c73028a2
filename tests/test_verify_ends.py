"""Ends on inputs that are not orthogonal are compared with the certified minimum."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import jaxflow
from jaxflow.cli import main
from jaxflow.experiments import replay, verify
from jaxflow.experiments.cases import case_of
from jaxflow.experiments.minimality import Minimality
from jaxflow.experiments.verify import MAX_STEPS_GENERAL
from jaxflow.flow.status import Status
from jaxflow.montecarlo.ensemble import Ensemble, run_all
from jaxflow.network import ReluNetwork

FIVE = {"datasets": ["five-points"], "scales": ["1e-6"], "width": 12}
MINIMUM = 8.203976955807
"""Of the five points; known to all digits given."""
REFERENCE = json.loads((Path(__file__).parent / "oracle" / "fivepoint_m12.json").read_text())


@pytest.fixture(scope="module")
def honest():
    return verify(seeds=2, **FIVE)


@pytest.fixture(scope="module")
def least():
    return case_of("five-points").minimum


def reference_until_1000(networks, dataset, settings):
    """Integrates the reference problem, once for each network, and stops where it does."""
    start = ReluNetwork(np.array(REFERENCE["W0"]), np.array(REFERENCE["a0"]))
    runs = networks.exponent.shape[0]
    starts = jax.tree.map(lambda leaf: jnp.stack([leaf] * runs), start)
    until = eqx.tree_at(lambda known: known.horizon, settings, jnp.asarray(1000.0))
    return run_all(starts, dataset, until)


def ending(norms, residual=0.0, status=Status.interpolated):
    """Integrates nothing: the runs end with these norms, in the order of their seeds."""

    def integrate(networks, dataset, settings):
        runs, n = dataset.y.shape
        norm = jnp.resize(jnp.asarray(norms, dtype=float), (runs,))
        return Ensemble(
            code=jnp.full(runs, int(status)),
            end_time=jnp.ones(runs),
            loss=jnp.full(runs, 0.5 * residual**2),
            residual=jnp.full((runs, n), residual),
            variation_norm=norm,
            movement=jnp.zeros(runs),
            fitted=jnp.full(runs, residual == 0),
            steps=jnp.ones(runs, dtype=int),
            events=jnp.zeros(runs, dtype=int),
        )

    return integrate


def words(report):
    """What is said of each seed."""
    return [Minimality(int(code)) for code in report.ends.minimality.values.ravel()]


def test_the_five_points_do_not_end_at_the_minimum(honest):
    """Seed 0 interpolates above the minimum, seed 1 stops where labels are missed."""
    first, second = honest.ends.isel(dataset=0, seed=0, scale=0), honest.ends.isel(seed=1)
    assert float(first.minimum) == pytest.approx(MINIMUM, abs=1e-12)
    assert float(first.lower_bound) == pytest.approx(MINIMUM, abs=1e-11)
    assert words(honest) == [Minimality.not_minimal, Minimality.unfitted]
    assert float(first.excess_lower) <= float(first.excess_estimate) <= float(first.excess_upper)
    assert float(first.excess_lower) > 0.4347 and float(first.excess_upper) < 0.4436
    assert float(second.residual.squeeze()) > 0.1
    assert honest.runs is None and honest.passed and honest.exit_status == 0


def test_the_interval_is_that_of_the_reference(least):
    """At t = 1000, where residual is left, against 70 digits of the flow."""
    report = verify(seeds=2, **FIVE, integrate=reference_until_1000)
    state = REFERENCE["states"][-1]
    norm = np.sum(np.abs(state["a"]) * np.linalg.norm(state["W"], axis=1))
    wanted = least.excess_at(norm, np.array(state["h"]))
    end = report.ends.isel(dataset=0, seed=0, scale=0)
    assert float(end.end_time) == state["t"] == 1000.0 and int(end.status) == Status.moving
    assert float(end.excess_lower) == pytest.approx(float(wanted.lower), abs=1e-9)
    assert float(end.excess_upper) == pytest.approx(float(wanted.upper), abs=1e-9)
    assert 0.0 < float(end.excess_lower) < float(end.excess_estimate) <= float(end.excess_upper)
    assert words(report)[0] is Minimality.not_minimal


def test_replay_says_whether_the_end_is_minimal(least, monkeypatch):
    """Of the run that it is given; here one that ends at the minimum."""
    asked = {}

    def flow(network, dataset, **options):
        asked.update(options, network=network)
        return SimpleNamespace(final=least.network)

    monkeypatch.setattr(sys.modules[replay.__module__], "gradient_flow", flow)
    again = replay("five-points", seed=1, scale="1e-6", width=12)
    start = case_of("five-points", 12).start.network(1, np.log(1e-6))
    assert np.allclose(asked["network"].w, start.w, rtol=1e-14, atol=0)
    assert asked["max_steps"] == MAX_STEPS_GENERAL
    assert again.limit is None and again.minimality is Minimality.minimal
    for part in ("end: minimal", "JumpProcess: not known", "Interpolator(five points"):
        assert part in str(again)


@pytest.mark.parametrize(
    "above, residual, word",
    [
        (-1e-9, 0.0, Minimality.below_the_bound),
        (0.0, 0.0, Minimality.minimal),
        (5e-9, 0.0, Minimality.minimal),
        (2e-8, 0.0, Minimality.not_minimal),
        (0.0, 1e-3, Minimality.unfitted),
        (np.nan, np.nan, Minimality.open),
    ],
)
def test_planted_ends(least, above, residual, word):
    norm = float(least.value) * (1 + above)
    report = verify(seeds=1, **FIVE, integrate=ending([norm], residual))
    assert words(report) == [word]
    violated = word is Minimality.below_the_bound
    assert report.exit_status == int(violated) and len(report.violations) == int(violated)
    assert f"1 {word}" in str(report) and "nan" not in str(report)


def test_the_command_exits_with_one_when_weak_duality_is_violated(
    least, monkeypatch, tmp_path, capsys
):
    norms = [float(least.value), 0.999 * float(least.value)]

    def planted(*arguments, **options):
        return verify(*arguments, **options, integrate=ending(norms))

    monkeypatch.setattr("jaxflow.cli.verify_runs", planted)
    with pytest.raises(SystemExit) as end:
        main(f"verify --dataset five-points --seeds 2 --scale 1e-6 --out {tmp_path}".split())
    said = capsys.readouterr().out
    assert end.value.code == 1
    assert "jaxflow replay --dataset 'five-points' --width 50 --seed 1 --scale 1e-6" in said
    assert not (tmp_path / "jaxflow-verify.png").exists()


def test_runs_that_break_off_are_listed_and_fail_nothing():
    report = verify(seeds=1, **FIVE, integrate=ending([9.0], 0.1, Status.step_limit))
    assert report.passed and [run.status for run in report.broken_off] == [Status.step_limit]
    assert "# step limit" in str(report)


def test_both_kinds_go_into_one_file(tmp_path, least):
    """Runs on orthogonal inputs at the root, the others in the group `ends`."""
    options = {"seeds": 2, "scales": ["1e-6", "1e-9"], "width": 12}
    chosen = ["orthogonal-3-3-0", "five-points"]
    report = verify(chosen, **options, integrate=ending([9.0]))
    assert list(report.runs.dataset.values) == ["orthogonal-3-3-0"]
    path = report.save(tmp_path)[0]
    with xr.open_dataset(path, group="ends", engine="h5netcdf") as stored:
        assert list(stored.dataset.values) == ["five-points"]
        assert stored.minimality.dims == ("dataset", "seed", "scale")
        for name in report.ends.variables:
            assert np.array_equal(stored[name], report.ends[name]), name
            assert name in ("dataset", "seed", "scale") or stored[name].attrs["long_name"]
        assert stored.minimality.attrs["flag_meanings"].split()[4] == "not_minimal"
        above = stored.excess_lower.sel(dataset="five-points")
        assert np.allclose(above, 9.0 - MINIMUM, rtol=0, atol=1e-12)
    text = str(report)
    assert text.index("orthogonal inputs: 1 data sets") < text.index("five-points: n = 5, d = 2")


def test_an_interrupt_keeps_what_was_finished():
    """One data set at two scales: the second batch begins when the first one is recorded."""
    begun = []

    def interrupted(networks, dataset, settings):
        begun.append(dataset)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return ending([9.0])(networks, dataset, settings)

    report = verify(["five-points"], seeds=1, scales=[1e-6, 1e-8], integrate=interrupted)
    assert report.interrupted and report.exit_status == 1
    assert "Interrupted: 1 of 2 ends on inputs that are not orthogonal were reached" in str(report)


def test_labels_name_the_data():
    drawn = jaxflow.datasets.gaussian_teacher(jax.random.key(3), 5, 4, 6)
    case = case_of("gaussian-5-4-3")
    assert np.array_equal(case.dataset.x, drawn.x) and np.array_equal(case.dataset.y, drawn.y)
    assert case.start.width == 50 and not case.start.bias
    assert case_of("three-points").start.bias
    assert case_of(drawn, width=7).start.width == 7


def test_data_that_no_network_fits_are_refused():
    twice = jaxflow.Dataset([[1.0, 2.0], [1.0, 2.0]], [1.0, 2.0], name="twice")
    with pytest.raises(ValueError, match="on one ray"):
        verify([twice], seeds=1, scales=[1e-3])
