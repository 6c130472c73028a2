"""The main job finds nothing where nothing is wrong, and finds violations that are planted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import jaxflow
from jaxflow.cli import main
from jaxflow.experiments import replay, verify
from jaxflow.experiments.minimality import Minimality
from jaxflow.experiments.scales import decreasing, log_of
from jaxflow.experiments.verdict import Finding, Verdict
from jaxflow.experiments.verify_report import VerifyReport
from jaxflow.flow.gradient_flow import settings_of
from jaxflow.flow.status import Status
from jaxflow.montecarlo.ensemble import run_all
from jaxflow.network import ReluNetwork

SMALL = {"seeds": 3, "scales": ("1e-3", "1e-100", "1e-300"), "width": 12}
DATA = ("orthogonal-4-4-0", "orthogonal-4-4-1")
SCALES = np.log([1e-3, 1e-100, 1e-300])


@pytest.fixture(scope="module")
def honest():
    return verify(DATA, **SMALL)


def with_ghosts(networks, dataset, settings):
    """Integrates with inactive pairs left at a tiny positive value, where they grow."""
    u = jnp.einsum("rmd,rkd->rmk", networks.w_mantissa, dataset.x)
    squares = jnp.sum(dataset.x**2, axis=-1)[:, None, :]
    lift = jnp.where(u <= 0, 1e-18 - u, 0.0) / squares
    w = networks.w_mantissa + jnp.einsum("rmk,rkd->rmd", lift, dataset.x)
    a = jnp.sign(networks.a_mantissa) * jnp.linalg.norm(w, axis=-1)
    return run_all(ReluNetwork.from_mantissa(w, a, networks.exponent), dataset, settings)


def with_absolute_errors(networks, dataset, settings):
    """Integrates after an error of 1e-12 in every weight, as an absolute tolerance allows."""
    noise = 1e-12 * jax.random.normal(jax.random.key(5), networks.w.shape)
    w = networks.w + noise
    a = jnp.sign(networks.a_mantissa) * jnp.linalg.norm(w, axis=-1)
    return run_all(jax.vmap(ReluNetwork)(w, a), dataset, settings)


def stopping_early(networks, dataset, settings):
    """Integrates, but gives up after twenty steps."""
    return run_all(networks, dataset, settings_of(settings.rtol, None, 20, None))


def test_every_run_is_judged_and_agrees(honest):
    runs = honest.runs
    assert honest.passed and honest.exit_status == 0
    assert not honest.counterexamples and not honest.undecided
    assert set(np.unique(runs.verdict)) == {Verdict.agrees, Verdict.near_tie}
    assert np.all(runs.status == Status.interpolated) == bool(runs.jump_interpolates.all())
    assert np.any((runs.verdict == Verdict.agrees) & runs.hypothesis)


def test_excess_is_measured_to_rounding(honest):
    """Where λ^(2 separation) is below rounding, so is the excess of the hypothesis's class."""
    runs = honest.runs
    tiny = (runs.near_tie_factor < 1e-10) & runs.hypothesis
    assert bool(tiny.any())
    assert float(np.abs(runs.excess.where(tiny)).max()) < 1e-14


def test_within_the_hypothesis_a_tiny_initialisation_ends_at_the_minimum(honest):
    runs = honest.runs.sel(scale="1e-300")
    inside = runs.hypothesis & (runs.near_tie_factor < 1e-10)
    assert bool(inside.any())
    assert set(runs.minimality.values[inside.values]) == {Minimality.minimal}
    elsewhere = runs.minimality.values[~runs.hypothesis.values]
    assert set(elsewhere) <= {Minimality.not_minimal, Minimality.unfitted}


def test_predictions_do_not_come_from_the_runs(honest):
    case = replay(DATA[0], seed=1, scale="1e-100", width=12)
    at = honest.runs.sel(dataset=DATA[0], seed=1, scale="1e-100")
    assert float(at.jump_norm) == pytest.approx(float(case.limit.variation_norm), rel=1e-14)
    assert float(at.minimum) == float(case.case.minimum.value)


def test_replay_is_the_same_run(honest):
    at = honest.runs.sel(dataset=DATA[1], seed=2, scale="1e-3")
    again = replay(DATA[1], seed=2, scale="1e-3", width=12)
    assert float(at.variation_norm) == pytest.approx(float(again.excess.norm), rel=1e-11)
    assert int(at.events) == len(again.trajectory.events)
    for part in ("gradient flow of 12 neurons", "JumpProcess", "λ^separation", "Interpolator"):
        assert part in str(again)


@pytest.mark.parametrize("integrate", [with_ghosts, with_absolute_errors])
def test_a_planted_violation_is_found(integrate):
    report = verify(DATA, **SMALL, integrate=integrate)
    assert report.exit_status == 1 and report.counterexamples
    assert {run.finding for run in report.counterexamples} <= {
        Finding.wrong_norm,
        Finding.wrong_end,
        Finding.growing_excess,
    }
    assert report.counterexamples[0].replay_command in str(report)
    assert "Contradicted" in str(report)


def test_the_command_exits_with_one_when_a_violation_is_planted(monkeypatch, tmp_path, capsys):
    def planted(*arguments, **options):
        return verify(*arguments, **options, integrate=with_absolute_errors)

    monkeypatch.setattr("jaxflow.cli.verify_runs", planted)
    with pytest.raises(SystemExit) as end:
        main(f"verify --dataset {' '.join(DATA)} --seeds 3 --width 12 --out {tmp_path}".split())
    assert end.value.code == 1
    assert "jaxflow replay --dataset" in capsys.readouterr().out


@pytest.mark.parametrize("rtol, said", [(1e-11, ""), (1e-9, " --rtol 1e-09")])
def test_the_command_that_replays_a_run_names_its_tolerance(honest, rtol, said):
    verdict = xr.full_like(honest.runs.verdict, Verdict.counterexample)
    report = VerifyReport(honest.runs.assign(verdict=verdict).assign_attrs(rtol=rtol))
    wanted = f"jaxflow replay --dataset '{DATA[0]}' --width 12 --seed 0 --scale 1e-3{said}"
    assert report.counterexamples[0].replay_command == wanted
    assert f"{wanted}   # " in str(report)


def test_runs_that_break_off_are_undecided():
    report = verify(DATA, **SMALL, integrate=stopping_early)
    assert report.exit_status == 1 and not report.counterexamples
    assert len(report.undecided) == report.runs.verdict.size
    assert {run.status for run in report.undecided} == {Status.step_limit}
    assert "step limit" in str(report)


def test_an_interrupt_keeps_what_was_finished(tmp_path):
    finished = []

    def interrupted(networks, dataset, settings):
        if len(finished) == 2:
            raise KeyboardInterrupt
        finished.append(1)
        return run_all(networks, dataset, settings)

    report = verify(DATA, **SMALL, integrate=interrupted)
    done = int(np.sum(report.runs.verdict != Verdict.not_run))
    assert 0 < done < report.runs.verdict.size
    assert report.interrupted and report.exit_status == 1
    assert f"Interrupted: {done} of 18 runs" in str(report)
    report.save(tmp_path)


def test_the_result_file_holds_everything(honest, tmp_path):
    data, picture = honest.save(tmp_path)
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with xr.open_dataset(data, engine="h5netcdf") as stored:
        assert stored.sizes == honest.runs.sizes
        assert list(stored.scale.values) == ["1e-3", "1e-100", "1e-300"]
        for name in honest.runs:
            assert np.array_equal(stored[name], honest.runs[name], equal_nan=True), name
            assert stored[name].attrs["long_name"]
        assert stored.attrs["rtol"] == 1e-11 and stored.attrs["version_jax"] == jax.__version__
        assert stored.verdict.attrs["flag_meanings"].split()[4] == "counterexample"


def test_data_of_ones_own():
    own = jaxflow.Dataset([[2.0, 0.0], [0.0, 1.0]], [1.0, 2.0], name="mine")
    report = verify([own], seeds=4, scales=["1e-200"], width=12)
    assert report.passed
    assert list(report.runs.dataset.values) == ["mine"]


@pytest.mark.parametrize(
    "text, log", [("1e-10000", -23025.850929940457), (0.5, -0.6931471805599453)]
)
def test_scales_below_the_least_float(text, log):
    assert log_of(text) == pytest.approx(log, rel=2e-16)


def test_scales_are_sorted_and_distinct():
    assert decreasing([1e-9, "1e-3"])[0] == ["1e-3", "1e-09"]
    assert np.allclose(decreasing(("1e-300", "1e-100", "1e-3"))[1], SCALES, rtol=1e-15, atol=0)


REFUSED = {
    "label": ({"datasets": ["tyo"]}, "dataset: got 'tyo'"),
    "no data": ({"datasets": []}, "datasets: got"),
    "twice": ({"datasets": ["toy", "toy"]}, "datasets: got"),
    "seeds": ({"seeds": 0}, "seeds: got 0"),
    "scale": ({"scales": ["-1"]}, "scale: got '-1'"),
    "word": ({"scales": ["tiny"]}, "scale: got 'tiny'"),
    "no scale": ({"scales": []}, "scales: got"),
    "same scale": ({"scales": [1e-3, "0.001"]}, "scales: got"),
    "width": ({"width": 0}, "width: got 0"),
    "rtol": ({"rtol": 0.0}, "rtol: got 0.0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options_are_refused(case):
    options, message = REFUSED[case]
    with pytest.raises(ValueError) as refusal:
        verify(**options)
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(
    "line, said",
    [
        ("verfy", 'Did you mean "verify"'),
        ("verify --sclae 1e-3", "Did you mean --scale"),
        ("verify --seeds many", "many"),
        ("verify --dataset tyo", "did you mean 'toy'?"),
        ("verify --dataset toy --out /dev/null/folder", "out: got '/dev/null/folder'"),
        ("sweep nowhere.toml", "jaxflow: nowhere.toml: No such file"),
        ("replay --dataset toy --seed -1 --scale 1e-3", "seed: got -1"),
        ("replay --dataset toy --seed 1", "--scale"),
    ],
)
def test_typing_errors_are_explained(line, said, capsys):
    with pytest.raises(SystemExit) as end:
        main(line.split())
    captured = capsys.readouterr()
    assert end.value.code not in (0, None)
    assert said in captured.out + captured.err
    assert "Traceback" not in captured.out + captured.err


@pytest.mark.parametrize("line", ["--help", "verify --help", "replay --help"])
def test_help(line, capsys):
    with pytest.raises(SystemExit) as end:
        main(line.split())
    assert end.value.code == 0
    assert "Usage: jaxflow" in capsys.readouterr().out
