"""The examples run as they are, and print what they promise."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, *arguments) -> str:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_toy_trajectory(tmp_path):
    picture = tmp_path / "picture.png"
    printed = run("toy_trajectory.py", picture)
    assert "gradient flow of 60 neurons on 2 data: interpolated" in printed
    assert picture.stat().st_size > 10_000


def test_seeds_and_scales(monkeypatch, capsys):
    run_here(monkeypatch, "seeds_and_scales.py")
    lines = capsys.readouterr().out.splitlines()
    medians = [float(line.split()[-1]) for line in lines if "median excess" in line]
    assert len(medians) == 5 and all("32" in line for line in lines[1:])
    assert medians[0] > 1e-3 and medians[-1] < 1e-8
    resolved = [max(median, 1e-11) for median in medians]  # runs end at a residual of rtol
    assert resolved == sorted(resolved, reverse=True)


def test_high_dimensional_in_small(tmp_path):
    picture = tmp_path / "picture.png"
    printed = run("high_dimensional.py", picture, 10, 20, 20, 60)
    assert "gradient flow of 20 neurons on 10 data" in printed
    assert " slide" in printed and picture.stat().st_size > 10_000


def run_here(monkeypatch, name: str, *arguments) -> dict:
    """In this process, so that compiled programs are shared; returns what the example defined."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    return runpy.run_path(str(EXAMPLES / name))


def test_descent_against_flow(tmp_path, monkeypatch):
    picture = tmp_path / "picture.png"
    study = run_here(monkeypatch, "descent_against_flow.py", picture, 0.02, 0.01)["study"]
    plain, single, momentum, adam = range(4)
    assert abs(study.order - 1) < 0.02
    for method in (plain, single):
        assert np.allclose(study.delays[method], study.predicted_delays[method], rtol=0.02)
    assert np.allclose(study.delays[momentum, 1], study.predicted_delays[momentum, 1], rtol=0.1)
    assert np.all(study.excess[plain] < 1e-10) and np.all(study.excess[adam] > 0.01)
    assert np.all(study.losses[single] > 1e5 * study.losses[plain])
    assert np.all(study.flips[plain] == study.flips[single])
    assert picture.stat().st_size > 10_000


FIGURES = [
    "figure1_timeline.py",
    "figure2_states.py",
    "figure3_loss.py",
    "figure4_five_points.py",
    "figure5_large_start.py",
]


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_the_paper(name, tmp_path, monkeypatch, capsys):
    picture = tmp_path / "picture.png"
    run_here(monkeypatch, name, picture)
    assert capsys.readouterr().out and picture.stat().st_size > 10_000


def test_phases(tmp_path, monkeypatch, capsys):
    picture = tmp_path / "picture.png"
    run_here(monkeypatch, "phases.py", picture)
    printed = capsys.readouterr().out
    assert "births       in the predicted order; Morse indices never increase" in printed
    assert printed.count("Decoupling:") == 3 and picture.stat().st_size > 10_000


def test_exit_times(tmp_path, monkeypatch):
    picture = tmp_path / "picture.png"
    errors = run_here(monkeypatch, "exit_times.py", picture)["errors"]["closed form"]
    worst = np.max(np.abs(errors), axis=1)
    assert len(worst) == 7 and np.max(worst[3:]) < 1e-11
    assert abs(worst[0] / worst[1] / 100 - 1) < 0.01  # λ²
    assert picture.stat().st_size > 10_000


def test_scale_thresholds(tmp_path, monkeypatch, capsys):
    picture = tmp_path / "picture.png"
    run_here(monkeypatch, "scale_thresholds.py", picture, 6)
    printed = capsys.readouterr().out
    assert "ScaleThresholds of 6 initialisations" in printed and "separations" in printed
    assert picture.stat().st_size > 10_000


def test_convergence_rates(tmp_path, monkeypatch, capsys):
    picture = tmp_path / "picture.png"
    run_here(monkeypatch, "convergence_rates.py", picture, 32)
    assert capsys.readouterr().out.count("slope") == 3 and picture.stat().st_size > 10_000


def test_robustness(tmp_path, monkeypatch):
    picture = tmp_path / "picture.png"
    found = run_here(monkeypatch, "robustness.py", picture, 1)["found"]
    assert found.flow.exact and found.minimum.exact and picture.stat().st_size > 10_000


def test_extremal_directions(tmp_path, monkeypatch, capsys):
    picture = tmp_path / "picture.png"
    run_here(monkeypatch, "extremal_directions.py", picture)
    printed = capsys.readouterr().out
    assert "ExtremalDirections: 7" in printed and "end in direction" in printed


def test_overparametrisation(tmp_path, monkeypatch):
    picture = tmp_path / "picture.png"
    study = run_here(monkeypatch, "overparametrisation.py", picture, 20, 50)["study"]
    shares = [study.probability(0, j)[0] for j in range(len(study.widths[0]))]
    assert shares[0] < 0.3 and shares[-1] > 0.7
    assert picture.stat().st_size > 10_000


def test_beyond_orthogonality(tmp_path, monkeypatch):
    picture = tmp_path / "picture.png"
    study = run_here(monkeypatch, "beyond_orthogonality.py", picture, 2, "1e-6")["study"]
    assert study.done.all() and np.all(study.slid[0] == 0) and np.all(study.slid[1:8] > 0)
    assert picture.stat().st_size > 10_000


def test_every_example_is_tested():
    tested = Path(__file__).read_text()
    assert all(f'"{path.name}"' in tested for path in EXAMPLES.glob("*.py"))
