"""What a sweep stores: labelled, complete, resumable, and readable from the folder alone."""

import errno
import json
import time
from collections import Counter

import jax
import numpy as np
import pytest
import scipy.stats
import xarray as xr
from sweep_stub import ends_of, spec

import jaxflow
from jaxflow.experiments import SweepReport, sweep
from jaxflow.flow.status import Status
from jaxflow.montecarlo import chunk_file, chunk_names, writer
from jaxflow.montecarlo.plan import Plan
from jaxflow.montecarlo.spec import spec_of
from jaxflow.montecarlo.starts import networks
from jaxflow.montecarlo.store import Store
from jaxflow.montecarlo.tally import binomial_interval

KEEP = {"keep": {"summaries": list(jaxflow.montecarlo.quantities.SUMMARIES)}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return sweep(spec(tmp_path_factory.mktemp("sweep") / "out", **KEEP), integrate=ends_of)


@pytest.fixture(scope="module")
def runs(finished):
    return jaxflow.open_sweep(finished.path)


def files(path):
    return sorted(path.rglob("*.nc"))


def chunks(path):
    """Numbers of the chunks that are done."""
    done = set(range(Store.open(path).plan.chunks)) - set(Store.open(path).missing())
    return sorted(done)


def test_every_run_is_where_it_belongs(runs):
    """Each one integrated again by itself, from its own coordinates."""
    plan = Plan(spec_of(spec()))
    random = np.random.default_rng(0)
    for run in random.choice(plan.runs, 25, replace=False):
        at = runs.where(runs.run == run, drop=True).squeeze()
        chunk, place = plan.chunk_of_run(int(run))
        scale, draw, seed = (
            int(index[0]) for index in chunk.block.locate(np.array([chunk.start + place]))
        )
        family = chunk.block.family
        assert str(at["data"].item()) == family.label(draw) and at.width == chunk.block.width
        assert str(at.scale.item()) == plan.spec.scales[scale] and at.seed == 7 + seed
        start = networks(plan.spec, chunk.block, np.array([chunk.start + place]))
        alone = ends_of(start, family.dataset(draw), None, batch=1)
        assert at.variation_norm == alone.variation_norm[0] and at.status == alone.code[0]
        n = family.shape[0]
        assert np.array_equal(at.residual[:n], alone.residual[0]) and at.residual[n:].isnull().all()


def test_names_units_settings_versions(runs):
    assert runs.sizes["data"] == 7 and runs.sizes["seed"] == 5
    assert list(runs.scale.values) == ["1e-3", "1e-400"]
    assert runs.log_scale[1] == pytest.approx(-400 * np.log(10), rel=1e-15)
    assert all(runs[name].attrs["long_name"] and runs[name].attrs["units"] for name in runs)
    assert runs.status.attrs["flag_meanings"].split()[7] == "event_limit"
    assert runs.attrs["version_jax"] == jax.__version__ and runs.attrs["rtol"] == 1e-11
    assert json.loads(runs.attrs["specification"])["runs"]["seeds"] == {"first": 7, "count": 5}


def test_any_one_file_is_a_common_one(finished):
    with xr.open_dataset(files(finished.path)[0], engine="h5netcdf") as part:
        assert part.loss.dims == ("run",) and part.loss.attrs["units"] == "1"
        assert part.attrs["version_jax"] == jax.__version__
        assert part.attrs["data"] == "toy" and part.attrs["width"] == 3
        first, last = part.attrs["chunks"]
        assert first == 0 and part.run.size == min(4 * (last + 1), 10)


def test_failed_runs_are_kept_and_counted(finished, runs):
    failed = runs.status.isin([Status.not_finite, Status.step_underflow])
    assert 10 < int(failed.sum()) < 100
    assert runs.loss.where(failed, 0).isnull().sum() == failed.sum()
    assert not runs.end_time.isnull().any() and finished.complete and finished.exit_status == 0
    table = finished.table
    at = {"family": "orthogonal-2-4", "width": 5, "scale": "1e-3"}
    mine = runs.sel(width=5, scale="1e-3").where(runs.family == "orthogonal-2-4", drop=True)
    for status in Status:
        count = int((mine.status == status).sum())
        row = table.sel(at | {"status": status.name})
        interval = scipy.stats.binomtest(count, 15).proportion_ci(0.95, method="exact")
        assert (int(row["count"]), int(row.runs)) == (count, 15)
        assert np.allclose([row.low, row.high], interval, rtol=1e-9, atol=1e-12)
    ended = mine.variation_norm.values[np.isin(mine.status, [1, 2])]
    row = table.sel(at)
    assert float(row.norm_mean) == pytest.approx(ended.mean(), rel=1e-13)
    assert float(row.norm_deviation) == pytest.approx(ended.std(ddof=1), rel=1e-12)


def test_intervals_cover_as_often_as_they_say():
    """The exact probability of covering, summed over all outcomes."""
    for trials in (1, 7, 40):
        low, high = binomial_interval(np.arange(trials + 1), trials)
        for p in np.linspace(0.01, 0.99, 23):
            outcomes = scipy.stats.binom.pmf(np.arange(trials + 1), trials, p)
            assert outcomes[(low <= p) & (p <= high)].sum() >= 0.95
    assert binomial_interval(np.array(0), np.array(0)) == (0.0, 1.0)


def test_the_table_and_the_picture_come_from_the_folder_alone(finished, tmp_path):
    again = SweepReport.of(finished.path)
    assert str(again) == str(finished) and again.table.equals(finished.table)
    assert "140 of 140 runs are done" in str(again) and "not finite" in str(again)
    assert "orthogonal-3-4" in str(again) and f"jaxflow replay {finished.path}" in str(again)
    assert again.draw(tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def interrupted_after(number, error=KeyboardInterrupt):
    done = []

    def integrate(*arguments, **options):
        if len(done) >= number:
            raise error
        done.append(1)
        return ends_of(*arguments, **options)

    return integrate


def test_an_interrupted_sweep_goes_on(finished, runs, tmp_path):
    path = tmp_path / "out"
    part = sweep(spec(path, **KEEP), integrate=interrupted_after(9))
    before = {file: file.read_bytes() for file in files(path)}
    assert part.interrupted and part.exit_status == 1 and 7 <= len(chunks(path)) <= 9
    assert "Interrupted; the same command goes on where it stopped" in str(part)
    partial = part.open()
    assert int((partial.status != 0).sum()) == part.done
    assert partial.variation_norm.isnull().sum() == part.planned - part.done
    assert np.all(partial.steps.values[partial.status.values == 0] == -1)
    whole = sweep(spec(path, **KEEP), integrate=ends_of)
    assert not whole.interrupted and whole.open().identical(runs)
    assert all(file.read_bytes() == content for file, content in before.items())


def test_an_interrupt_while_finished_runs_are_counted_is_one_too(tmp_path, monkeypatch):
    path, done, keys = tmp_path / "out", Store.done, [KeyboardInterrupt]

    def interrupted(store, names):
        for found in done(store, names):
            yield found
            if keys:
                raise keys.pop()

    assert sweep(spec(path), integrate=interrupted_after(9)).interrupted
    before = chunks(path)
    monkeypatch.setattr(Store, "done", interrupted)
    report = sweep(spec(path), integrate=ends_of)
    assert report.interrupted and report.exit_status == 1 and chunks(path) == before
    assert sweep(spec(path), integrate=ends_of).complete


def test_an_error_in_a_chunk_is_not_hidden_and_loses_nothing(runs, tmp_path):
    path = tmp_path / "out"
    with pytest.raises(MemoryError):
        sweep(spec(path, **KEEP), integrate=interrupted_after(9, MemoryError))
    assert 7 <= len(chunks(path)) <= 9
    assert sweep(spec(path, **KEEP), integrate=ends_of).open().identical(runs)


def test_another_specification_is_refused_with_the_difference(finished):
    other = spec(finished.path, runs={"width": [3, 6]}, **KEEP)
    with pytest.raises(ValueError) as refusal:
        sweep(other, integrate=ends_of)
    assert "runs.width: (3, 5) in the file, (3, 6) now" in str(refusal.value)
    assert "solver" not in str(refusal.value)


def test_half_written_chunks_do_not_count_and_are_cleared(finished, runs, tmp_path):
    path = tmp_path / "out"
    sweep(spec(path, **KEEP), integrate=interrupted_after(3))
    store = Store.open(path)
    missing = next(store.missing())
    whole = chunk_names.file_of(path, missing, missing)
    left = whole.with_name(whole.name + chunk_file.UNFINISHED)
    left.write_bytes(files(path)[0].read_bytes()[:100])
    assert next(store.missing()) == missing
    assert sweep(spec(path, **KEEP), integrate=ends_of).open().identical(runs)
    assert not left.exists()


def test_a_full_disk_leaves_nothing_half_written(runs, tmp_path, monkeypatch):
    path, written = tmp_path / "out", []
    fsync = chunk_file.os.fsync
    monkeypatch.setattr(writer, "EVERY", 0.0)

    def full(handle):
        written.append(handle)
        if len(written) > 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(chunk_file.os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device\. All that was written"):
        sweep(spec(path, **KEEP), integrate=ends_of)
    monkeypatch.undo()
    assert files(path) and not list(path.rglob("*.part"))
    assert sweep(spec(path, **KEEP), integrate=ends_of).open().identical(runs)


def test_a_sweep_is_said_to_be_complete_when_it_is_on_the_disk(tmp_path, monkeypatch, capsys):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "out"
    Store.create_or_continue(path, spec_of(spec()))
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_check_writable", lambda store: None)
        patch.setattr("jaxflow.montecarlo.store.put", full)
        with pytest.raises(OSError, match="make room, and the same command goes on"):
            sweep(spec(path), integrate=ends_of, show_progress=True)
    assert "0 of 140 runs" in (said := capsys.readouterr().err) and "complete" not in said
    assert sweep(spec(path), integrate=ends_of, show_progress=True).complete
    assert "140 of 140 runs; complete" in capsys.readouterr().err


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "out"
    sweep(spec(path), integrate=interrupted_after(3))
    store = Store.open(path)
    broken = next(store.missing())
    chunk = store.plan.chunk(broken)
    file = chunk_names.file_of(path, broken, broken)
    file.write_bytes(b"nothing")
    said = rf"{file.name}: damaged .* integrates its {chunk.count} runs again"
    with pytest.raises(ValueError, match=said):
        jaxflow.open_sweep(path)
    file.write_bytes(files(path)[0].read_bytes())
    with pytest.raises(ValueError, match=rf"damaged .*other runs than {chunk.first_run}"):
        sweep(spec(path), integrate=ends_of)
    file.unlink()
    foreign = chunk_names.file_of(path, 2, 3)
    foreign.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"000000002-000000003.nc: not .* chunks of one block"):
        jaxflow.open_sweep(path)
    foreign.unlink()
    assert sweep(spec(path), integrate=ends_of).complete


def test_two_processes_do_not_work_on_one_sweep(tmp_path):
    path = tmp_path / "out"
    store = Store.create_or_continue(path, spec_of(spec()))
    with store.alone(), pytest.raises(ValueError, match=r"another process is at work"):
        sweep(spec(path), integrate=ends_of)
    assert sweep(spec(path), integrate=ends_of).complete


def test_reading_chosen_quantities(finished):
    chosen = jaxflow.open_sweep(finished.path, ["loss"])
    assert list(chosen) == ["loss"]
    with pytest.raises(ValueError, match="quantities: got 'los', the nearest known one is 'loss'"):
        jaxflow.open_sweep(finished.path, ["los"])
    with pytest.raises(ValueError, match="wanted a folder that `jaxflow sweep` made"):
        jaxflow.open_sweep(finished.path / "chunks")


def test_the_first_batch_of_every_program_goes_alone(tmp_path):
    """Otherwise chunks that begin together would compile the same program more than once."""
    firsts, compiled = Counter(), set()

    def integrate(networks, dataset, settings, *, batch, progress):
        shape = (networks.width, networks.dim, dataset.y.shape[-1])
        firsts[shape] += shape not in compiled
        time.sleep(0.01)
        compiled.add(shape)
        return ends_of(networks, dataset, settings, batch=batch, progress=progress)

    assert sweep(spec(tmp_path / "out"), integrate=integrate).complete
    assert len(firsts) == 6 and set(firsts.values()) == {1}


def test_a_file_appears_by_one_renaming_when_it_is_on_the_disk(tmp_path, monkeypatch):
    path, content, events = tmp_path / "chunk.nc", b"0" * 100_000, []
    fsync, replace = chunk_file.os.fsync, chunk_file.os.replace

    def on_disk(handle):
        events.append(("on disk", path.exists()))
        fsync(handle)

    def renamed(source, target):
        assert source.read_bytes() == content and source.suffix == chunk_file.UNFINISHED
        events.append(("renamed", target.exists()))
        replace(source, target)

    monkeypatch.setattr(chunk_file.os, "fsync", on_disk)
    monkeypatch.setattr(chunk_file.os, "replace", renamed)
    chunk_file.put(path, content)
    assert events == [("on disk", False), ("renamed", False), ("on disk", True)]
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]
