"""One run of a sweep again, alone; and trajectories kept by the sweep itself."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.image import imread
from sweep_stub import ends_of, spec

import jaxflow
from jaxflow.cli import main
from jaxflow.experiments import replay_sweep, sweep, sweep_replay
from jaxflow.flow.status import Status
from jaxflow.montecarlo.plan import Plan
from jaxflow.montecarlo.spec import spec_of
from jaxflow.montecarlo.starts import networks
from jaxflow.montecarlo.store import Store
from jaxflow.network import loss

TOY = {"data": [{"family": "toy"}], "runs": {"width": 60, "scale": "1e-6"}}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("replay") / "out"
    return sweep(spec(path, **TOY), integrate=ends_of).path


@pytest.fixture(scope="module")
def again(path):
    return replay_sweep(path, 3)


def start_of(run):
    plan = Plan(spec_of(spec(**TOY)))
    stacked = networks(plan.spec, plan.blocks[0], np.array([run]))
    return jaxflow.ReluNetwork.from_mantissa(
        stacked.w_mantissa[0], stacked.a_mantissa[0], jnp.asarray(stacked.exponent[0])
    )


def test_a_replayed_run_is_the_flow_from_that_run_s_start(again, path):
    assert (again.label, again.width, again.scale, again.seed) == ("toy", 60, "1e-6", 7 + 3)
    run, start = again.trajectory, start_of(3)
    assert np.allclose(run.network(0).a, start.a, rtol=1e-13, atol=0)
    assert run.status == Status.interpolated and again.again["loss"] < 1e-20
    assert again.again["variation_norm"] == pytest.approx(np.sqrt(1.8), rel=1e-9)
    stored = jaxflow.open_sweep(path).isel(data=0, width=0, scale=0).sel(seed=10)
    assert again.stored["variation_norm"] == float(stored.variation_norm)
    assert int(stored.run) == 3


def test_there_is_room_for_all_events_that_the_sweep_counted(path, monkeypatch):
    asked = {}
    monkeypatch.setattr(Store, "read_run", lambda *_: {"events": np.int64(30_000)})
    monkeypatch.setattr(sweep_replay, "gradient_flow", lambda *_, **given: asked.update(given))
    replay_sweep(path, 0)
    assert asked["max_events"] == 60_000


def test_the_command_shows_the_trajectory(again, path, tmp_path, capsys):
    picture = tmp_path / "run.png"
    with pytest.raises(SystemExit) as end:
        main(["replay", str(path), "--run", "3", "--picture", str(picture)])
    printed = capsys.readouterr().out
    assert end.value.code in (0, None) and str(again) in printed
    assert "run 3: toy, width 60, scale 1e-6, seed 10" in printed and "in the sweep" in printed
    assert imread(picture).std() > 0.05


@pytest.mark.parametrize("run", [-1, 5, 2.0, True])
def test_runs_that_are_not_there(run, path):
    with pytest.raises(ValueError, match=r"run: got .*, wanted an integer from 0 to 4"):
        replay_sweep(path, run)


def test_trajectories_on_request(again, tmp_path):
    """Every 50th of the 201 times of the replay, of the run and of one that did not arrive."""
    run = again.trajectory

    def ending(*arguments, **options):
        times = np.full(arguments[0].exponent.shape[0], float(run.end_time))
        times[1] = np.nan
        return replace(ends_of(*arguments, **options), end_time=times)

    keep = {"trajectories": ["loss", "outputs", "a", "w"], "times": 5}
    seeds = {"seeds": {"first": 10, "count": 2}}
    own = spec(tmp_path / "out", keep=keep, **(TOY | {"runs": TOY["runs"] | seeds}))
    kept = sweep(own, integrate=ending).open().isel(data=0, width=0, scale=0)
    mine, lost = kept.isel(seed=0), kept.isel(seed=1)
    assert np.allclose(mine.trajectory_time, run.ts[::50], rtol=1e-14, atol=0)
    for name in ("loss", "outputs", "a", "w"):
        theirs = np.asarray(getattr(run, name))[::50]
        assert np.allclose(mine[f"trajectory_{name}"], theirs, rtol=1e-9, atol=1e-10), name
        assert lost[f"trajectory_{name}"].isnull().all()
    assert mine.trajectory_loss[0] == pytest.approx(
        float(loss(start_of(3), again.dataset)), rel=1e-14
    )
    assert mine.trajectory_w.attrs["long_name"] == "hidden weights"
