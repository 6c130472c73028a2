"""The figures of the paper: numbers held against closed forms and the reference; the command."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image

import jaxflow
from jaxflow import cli
from jaxflow.experiments import figures
from jaxflow.experiments.arguments import writable_folder
from jaxflow.experiments.figures import FIGURES, figure_named
from jaxflow.experiments.paper_runs import PaperRuns, Sizes
from jaxflow.plots.figure_states import film_states, kinks_and_heights, values
from jaxflow.plots.figure_timeline import phase_spans
from jaxflow.plots.sheet import whole
from jaxflow.theory import single_datum_trajectory


@pytest.fixture(scope="module")
def runs():
    """The paper's sizes, but for the high-dimensional run: there the five points stand in."""
    made = PaperRuns(Sizes(high_end=1000.0))
    made.high = made.small
    return made


@pytest.fixture(scope="module")
def drawings(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures") / "new" / "folder"
    return {drawing.number: drawing for drawing in figures(out=folder, runs=runs)}


def test_every_figure_is_a_picture_with_its_numbers(drawings):
    assert list(drawings) == [1, 2, 3, 4, 5, 6, 7]
    for drawing in drawings.values():
        (path,) = drawing.paths
        assert imread(path).std() > 0.05 and path.name.startswith(f"figure{drawing.number}-")
        assert str(path) in str(drawing) and all(row in str(drawing) for row in drawing.numbers)


def test_exit_times_of_the_loss_figure_are_those_of_the_closed_form(runs, drawings):
    exact = single_datum_trajectory(runs.toy_start, runs.toy_data)
    printed = "\n".join(drawings[3].numbers)
    for number, (early, half) in enumerate(
        zip(exact.exit_times(0.01), exact.exit_times(), strict=True)
    ):
        row = drawings[3].numbers[2 - number]  # the second datum is fitted first
        assert f"t = {early:.6f} ({early:.6f})" in row and f"t = {half:.6f} ({half:.6f})" in row
        assert f"{early / 0.002:.0f} to {half / 0.002:.0f}" in row
    assert "ratio 1.000000" in printed


def test_phases_of_the_timeline_follow_each_other(runs):
    spans = phase_spans(runs.toy_phases)
    assert [" ".join(span.name.split()) for span in spans] == [
        "neurons align", "saddle 1", "positive labels fitted", "saddle 2",
        "negative labels fitted", "convergence",
    ]  # fmt: skip
    assert all(a.end == b.begin for a, b in pairwise(spans))
    assert spans[0].begin == 0 and spans[-1].end == runs.toy.ts[-1]
    drop = [float(np.interp(s.begin, runs.toy.ts, runs.toy.loss)) for s in spans]
    assert drop[2] - drop[3] > 0.24 and drop[4] - drop[5] > 0.24
    assert drop[0] - drop[2] < 0.01 and drop[3] - drop[4] < 0.01


def test_five_points_end_where_the_reference_of_another_width_does(runs, drawings):
    """Small initialisations of any width end in nearly the same function."""
    reference = json.loads((Path(__file__).parent / "oracle" / "fivepoint_m12.json").read_text())
    end = reference["states"][-1]
    assert end["t"] == runs.small.ts[-1]
    norm = np.sum(np.abs(end["a"]) * np.linalg.norm(end["W"], axis=1))
    assert float(runs.small.final.variation_norm()) == pytest.approx(norm, rel=2e-5)
    assert "certified minimum 8.20397696" in "\n".join(drawings[4].numbers)
    moved = float(drawings[5].numbers[2].split()[3])
    assert moved < 0.5 and float(runs.large.loss[-1]) < 1e-7 * float(runs.large.loss[0])


def test_kinks_lie_where_neurons_change_activity():
    network = jaxflow.ReluNetwork([[2.0, 1.0], [-1.0, 3.0]], [1.0, -2.0])
    kinks, heights = kinks_and_heights(network)
    assert np.allclose(kinks, [-0.5, 3.0])
    assert np.allclose(heights, [np.sqrt(5), -np.sqrt(10)])
    assert np.allclose(values(network, np.array([-1.0, 0.0, 4.0])), [-8.0, 1 - 6.0, 9.0])


def test_film_has_a_picture_for_each_frame(runs, tmp_path):
    path = film_states(runs.toy, runs.toy_data, tmp_path / "states.gif", frames=3)
    assert Image.open(path).n_frames == 3


def test_pdf_and_names(runs, tmp_path):
    (drawing,) = figures(["Figure 3", "loss"], out=tmp_path, pdf=True, runs=runs)
    assert drawing.paths[0].read_bytes().startswith(b"%PDF")
    assert [figure_named(f.number) for f in FIGURES] == [figure_named(f.name) for f in FIGURES]


def test_figures_of_the_longest_run_come_last(runs, tmp_path):
    drawn = [drawing.number for drawing in figures([7, 2, 6, 1], out=tmp_path, runs=runs)]
    assert drawn == [2, 1, 7, 6]


def test_a_figure_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), whole(path) as unfinished:
        unfinished.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


def test_refusals_come_before_any_run(tmp_path):
    with pytest.raises(ValueError, match=r"figure: got 'stats'.*did you mean 'states'"):
        figures(["stats"], out=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"out: got .*file.*written"):
        writable_folder(tmp_path / "file" / "folder")


def test_the_command_names_the_nearest_figure():
    command = [sys.executable, "-m", "jaxflow", "figures", "tmeline"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "did you mean 'timeline'?" in done.stderr


def test_an_interrupt_leaves_at_once(monkeypatch, capsys):
    left = []
    monkeypatch.setattr(cli, "leave_at_once", left.append)
    monkeypatch.setattr(cli, "paper_figures", lambda *names, **options: iter(interrupted()))

    def interrupted():
        yield "Figure 3"
        raise KeyboardInterrupt

    cli.main(["figures", "loss", "4"])
    assert left == [130] and "interrupted; figures drawn: 1" in capsys.readouterr().err
