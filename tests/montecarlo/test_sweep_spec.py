"""Specifications: what is wrong with one is said before work starts; runs are found by counting."""

import itertools
import tracemalloc
import zlib
from pathlib import Path

import jax
import numpy as np
import pytest
from sweep_stub import ends_of, spec

import jaxflow
from jaxflow.cli import main
from jaxflow.experiments import sweep
from jaxflow.flow.lockstep import usual_batch
from jaxflow.montecarlo.plan import Plan
from jaxflow.montecarlo.spec import differences, spec_of
from jaxflow.montecarlo.starts import networks

EXAMPLE = Path(__file__).parents[2] / "examples" / "sweep.toml"
GIVEN = {"family": "given", "name": "mine", "x": [[1.0, 0.0], [0.0, 2.0]], "y": [1.0, -1.0]}
REFUSED = {
    "section": ({"runz": {}}, "runz: unknown key, the nearest known one is 'runs'"),
    "key": (spec(runs={"sclae": 1}), "runs.sclae: unknown key, the nearest known one is 'scale'"),
    "far key": (spec(solver={"xyz": 1}), "solver.xyz: unknown key, the nearest known one is"),
    "data key": (spec(data=[{"family": "toy", "n": 3}]), "data[0].n: unknown key, the nearest"),
    "counter key": (spec(runs={"seeds": {"frist": 1}}), "runs.seeds.frist: unknown key, the near"),
    "family": (spec(data=[{"family": "ortogonal"}]), "data[0].family: got 'ortogonal', the neare"),
    "no family": (spec(data=[{"n": 3}]), "data[0].family: missing"),
    "no data": (spec(data=[]), "data: got [], wanted at least one"),
    "no table": (spec() | {"runs": 3}, "runs: got 3, wanted a table"),
    "missing": (spec() | {"runs": {"width": 3, "scale": 1}}, "runs.seeds: missing"),
    "no runs": ({"data": [{"family": "toy"}]}, "runs: missing"),
    "text width": (spec(runs={"width": "3"}), "runs.width: got '3', wanted an integer of at least"),
    "width 0": (spec(runs={"width": [3, 0]}), "runs.width: got 0, wanted an integer of at least 1"),
    "width true": (spec(runs={"width": True}), "runs.width: got True"),
    "no width": (spec(runs={"width": []}), "runs.width: got an empty list, wanted at least one"),
    "width twice": (spec(runs={"width": [3, 3]}), "runs.width: got [3, 3], wanted no value twice"),
    "no scale": (spec(runs={"scale": []}), "runs.scale: got an empty list"),
    "scale −1": (spec(runs={"scale": ["-1"]}), "runs.scale: got '-1', wanted a positive number"),
    "scale true": (spec(runs={"scale": True}), "runs.scale: got True"),
    "scale word": (spec(runs={"scale": "tiny"}), "runs.scale: got 'tiny'"),
    "scale twice": (spec(runs={"scale": ["1e-3", 0.001]}), "runs.scale: got"),
    "seeds 0": (spec(runs={"seeds": 0}), "runs.seeds: got 0, wanted an integer of at least 1"),
    "seeds −3": (spec(runs={"seeds": -3}), "runs.seeds: got -3"),
    "seeds 2.5": (spec(runs={"seeds": 2.5}), "runs.seeds: got 2.5"),
    "first seed": (spec(runs={"seeds": {"first": -1, "count": 2}}), "runs.seeds.first: got -1"),
    "past the counters": (
        spec(runs={"seeds": {"first": 2**32 - 1, "count": 2}}),
        "runs.seeds.first + runs.seeds.count: got 4294967297",
    ),
    "key −1": (spec(runs={"key": -1}), "runs.key: got -1, wanted an integer of at least 0"),
    "draws": (
        spec(data=[{"family": "orthogonal", "n": 2, "d": 2, "draws": -2}]),
        "data[0].draws: got -2",
    ),
    "n > d": (spec(data=[{"family": "orthogonal", "n": [1, 3], "d": 2}]), "data[0].n: got 3 with"),
    "same data": (spec(data=[{"family": "toy"}] * 2), "data: got the family 'toy' twice"),
    "same family": (
        spec(data=[{"family": "orthogonal", "n": 2, "d": [2, 3], "draws": 3},
                   {"family": "orthogonal", "n": 2, "d": 3, "draws": {"first": 2, "count": 1}}]),
        "data: got the family 'orthogonal-2-3' twice",
    ),
    "zero row": (spec(data=[GIVEN | {"x": [[0, 0], [1, 1]]}]), "data 'mine', x: got a zero row"),
    "ragged x": (spec(data=[GIVEN | {"x": [[1.0], [1, 1]]}]), "data 'mine', x: got"),
    "x in one row": (spec(data=[GIVEN | {"x": [1.0, 2.0]}]), "data[0].x: got [1.0, 2.0], wanted a"),
    "no x": (spec(data=[GIVEN | {"x": []}]), "data[0].x: got [], wanted a list of rows"),
    "x of words": (spec(data=[GIVEN | {"x": [["a"]]}]), "data[0].x: got 'a'"),
    "rtol": (spec(solver={"rtol": 0.5}), "solver.rtol: got 0.5, wanted between"),
    "rtol text": (spec(solver={"rtol": "small"}), "solver.rtol: got 'small'"),
    "horizon": (spec(solver={"horizon": -1.0}), "solver.horizon: got -1.0"),
    "steps": (spec(solver={"max_steps": 0}), "solver.max_steps: got 0"),
    "summary": (
        spec(keep={"summaries": ["los"]}),
        "keep.summaries: got 'los', the nearest known one is 'loss'",
    ),
    "trajectory": (spec(keep={"trajectories": ["lose"]}), "keep.trajectories: got 'lose'"),
    "times": (spec(keep={"trajectories": "loss", "times": 1}), "keep.times: got 1"),
    "chunk": (spec(output={"chunk": 0}), "output.chunk: got 0"),
    "batch": (spec(output={"batch": 5}), "output.batch: got 5, wanted at most output.chunk = 4"),
    "path": (spec(output={"path": 3}), "output.path: got 3"),
    "no path": (spec(), "output.path: missing"),
}  # fmt: skip


def never(*_, **__):
    raise AssertionError("work was started")


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_specification_is_refused_before_work_starts(case):
    tables, message = REFUSED[case]
    with pytest.raises(ValueError) as refusal:
        sweep(tables, integrate=never)
    assert str(refusal.value).startswith(message), refusal.value


def test_unwritable_paths_are_refused_before_work_starts(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=r"output\.path: cannot write to .*file/below"):
        sweep(spec(tmp_path / "file" / "below"), integrate=never)
    with pytest.raises(ValueError, match=r"output\.path: got .*wanted a new folder"):
        sweep(spec(tmp_path), integrate=never)
    with pytest.raises(ValueError, match=r"output\.path: got .*wanted a new folder"):
        sweep(spec(tmp_path / "file"), integrate=never)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("devices", [0, -1, 1000, 1.5, True])
def test_devices_that_are_not_there(devices, tmp_path):
    with pytest.raises(ValueError, match=r"devices: got .*wanted an integer from 1 to"):
        sweep(spec(tmp_path / "out"), devices=devices)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text, said",
    [
        ("[runs]\nwidht = 3", "runs.widht: unknown key, the nearest known one is 'width'"),
        ("[runs\n", "not a TOML file"),
        ("", "data: missing"),
    ],
)
def test_the_command_explains_a_bad_file(text, said, tmp_path, capsys):
    path = tmp_path / "spec.toml"
    path.write_text('[[data]]\nfamily = "toy"\n' * bool(text) + text)
    with pytest.raises(SystemExit) as end:
        main(["sweep", str(path)])
    printed = capsys.readouterr().err
    assert end.value.code == 2 and said in printed and str(path) in printed


@pytest.mark.parametrize(
    "line, said",
    [
        ("sweep nowhere.toml", "nowhere.toml"),
        ("sweep", "SPEC"),
        ("summary nowhere.sweep", "wanted a folder that `jaxflow sweep` made"),
        ("replay nowhere.sweep", "--run: missing"),
        ("replay nowhere.sweep --run 3", "wanted a folder"),
        ("replay nowhere.sweep --run 3 --seed 1", "--seed: got 1, wanted none"),
        ("replay --run 3", "--run: got 3, wanted none"),
        ("replay --dataset toy", "--seed, --scale: missing"),
    ],
)
def test_typing_errors_on_sweeps_are_explained(line, said, capsys):
    with pytest.raises(SystemExit) as end:
        main(line.split())
    captured = capsys.readouterr()
    assert end.value.code not in (0, None)
    assert said in captured.out + captured.err and "Traceback" not in captured.err


@pytest.mark.parametrize("line", ["sweep --help", "summary --help"])
def test_help_of_sweeps(line, capsys):
    with pytest.raises(SystemExit) as end:
        main(line.split())
    assert end.value.code == 0 and "Usage: jaxflow" in capsys.readouterr().out


def test_a_specification_says_itself_in_full():
    whole = spec_of(spec(data=[GIVEN, *spec()["data"]]))
    again = spec_of(whole.as_dict())
    assert again == whole and differences(again, whole.as_dict()) == []
    other = spec_of(spec(data=[GIVEN, *spec()["data"]], solver={"rtol": 1e-9, "horizon": 3}))
    assert differences(other, whole.as_dict()) == [
        "solver.rtol: 1e-11 in the file, 1e-09 now",
        "solver.horizon: 'nothing' in the file, 3.0 now",
    ]


def test_the_specification_of_the_examples():
    plan = Plan(spec_of(EXAMPLE))
    assert plan.runs == (2 * 4 + 1) * 2 * 3 * 32 and len(plan.blocks) == 6


KEEP_ALL = {"keep": {"trajectories": ["a", "w"], "times": 101}}
LARGE = {"data": [{"family": "gaussian teacher", "n": 50, "d": 100, "neurons": 3, "draws": 9}]}


@pytest.mark.parametrize(
    "changes, chunk, batch",
    [
        ({}, 1024, 256),
        ({"output": {"batch": 3}}, 1023, 3),
        ({"output": {"batch": 600}}, 600, 600),
        ({"output": {"chunk": 7}}, 7, 7),
        (LARGE | {"runs": {"width": [5, 400]}}, 160, 32),  # 8 · (400 · 102 + 50 · 101 + 8) bytes
        (KEEP_ALL | {"runs": {"width": 1000}}, 32, 32),
    ],
)
def test_a_chunk_not_said_is_of_whole_batches_and_fits_into_the_memory(changes, chunk, batch):
    tables = spec(**changes)
    tables["output"] = changes.get("output", {})
    checked = spec_of(tables)
    assert (checked.chunk, checked.batch) == (chunk, batch)
    assert spec_of(checked.as_dict()) == checked


@pytest.mark.parametrize("pairs, runs", [(1, 256), (120, 256), (500, 64), (1000, 32), (10**6, 32)])
def test_a_batch_not_said_has_fewer_runs_where_they_are_larger(pairs, runs):
    assert usual_batch(pairs, orthogonal=True) == runs
    assert usual_batch(pairs, orthogonal=False) <= runs


def test_a_batch_not_said_has_fewer_runs_where_neurons_may_slide():
    data = [{"family": "toy"}, {"family": "five points"}]
    batches = [
        spec_of({"data": [one], "runs": {"width": 12, "scale": "1e-3", "seeds": 2}}).batch
        for one in data
    ]
    assert batches == [256, 64]


def test_every_run_is_in_one_chunk_and_the_product_is_complete():
    plan = Plan(spec_of(spec()))
    places, numbers = [], []
    for chunk in map(plan.chunk, range(plan.chunks)):
        numbers += range(chunk.first_run, chunk.first_run + chunk.count)
        name, width = chunk.block.family.name, chunk.block.width
        places += [(name, width, *map(int, at)) for at in zip(*chunk.locate(), strict=True)]
    assert numbers == list(range(plan.runs)) and plan.runs == (1 + 3 + 3) * 2 * 2 * 5
    wanted = {
        (name, *at)
        for name, draws in (("toy", 1), ("orthogonal-2-4", 3), ("orthogonal-3-4", 3))
        for at in itertools.product((3, 5), range(2), range(draws), range(5))
    }
    assert len(places) == len(wanted) and set(places) == wanted
    for run in range(plan.runs):
        chunk, place = plan.chunk_of_run(run)
        assert chunk.first_run + place == run and 0 <= place < chunk.count


def test_the_key_of_a_run_is_the_documented_one():
    """Built here from the formula; a run does not depend on what else is in the sweep."""
    checked = spec_of(spec(runs={"key": 11}))
    plan = Plan(checked)
    block = plan.blocks[2]
    assert (block.family.name, block.width) == ("orthogonal-2-4", 3)
    place = 15 + 2 * 5 + 4  # second scale, third data set, fifth seed
    key = jax.random.key(11)
    for counter in (zlib.crc32(b"orthogonal-2-4"), 5 + 2, 7 + 4):
        key = jax.random.fold_in(key, counter)
    wanted = jaxflow.init.balanced(key, 3, 4, log_scale=-400 * np.log(10))
    alone = networks(checked, block, np.array([place]))
    among = networks(checked, block, np.arange(30))
    for ours, others, theirs in zip(*map(jax.tree.leaves, (alone, among, wanted)), strict=True):
        assert np.array_equal(ours[0], others[place])
        assert np.allclose(ours[0], theirs, rtol=1e-12, atol=0)


def test_planning_takes_no_room_for_runs():
    big = spec(
        data=[{"family": "orthogonal", "n": [2, 3], "d": 4, "draws": 10**6}],
        runs={"seeds": 10**6},
        output={"chunk": 8},
    )
    Plan(spec_of(big))
    tracemalloc.start()
    plan = Plan(spec_of(big))
    chunk, place = plan.chunk_of_run(plan.runs - 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert plan.runs == 8 * 10**12 and chunk.first_run + place == plan.runs - 1
    assert peak < 100_000


def test_data_sets_are_those_of_the_library():
    toy, two, _ = spec_of(spec()).families
    wanted = jaxflow.datasets.random_orthogonal(jax.random.key(6), 2, 4)
    assert np.array_equal(toy.dataset(0).x, jaxflow.datasets.toy().x)
    assert two.label(1) == "orthogonal-2-4-6"
    assert np.allclose(two.dataset(1).x, wanted.x, rtol=0, atol=1e-14)
    stacked = two.stack(np.array([2, 0, 0]))
    assert stacked.is_orthogonal and np.array_equal(stacked.x[1], two.dataset(0).x)


def test_a_run_is_the_same_in_any_chunk(tmp_path):
    one = {"data": spec()["data"][1:], "runs": {"width": 3}}
    one["data"][0]["n"] = 2
    runs = [
        sweep(
            spec(tmp_path / str(length), output={"chunk": length, "batch": 1}, **one),
            integrate=ends_of,
        ).open()
        for length in (3, 300)
    ]
    for other in runs[1:]:
        assert all(runs[0][name].equals(other[name]) for name in runs[0])
