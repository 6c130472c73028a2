"""The examples run as they are, and print what they promise."""

import subprocess
import sys
from pathlib import Path

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


def test_seeds_and_scales():
    lines = run("seeds_and_scales.py").splitlines()
    medians = [float(line.split()[-1]) for line in lines if "median excess" in line]
    assert len(medians) == 5 and all("32" in line for line in lines[1:])
    assert medians[0] > 1e-3 and medians[-1] < 1e-8
    assert medians == sorted(medians, reverse=True)


def test_high_dimensional_in_small(tmp_path):
    picture = tmp_path / "picture.png"
    printed = run("high_dimensional.py", picture, 10, 20, 20, 60)
    assert "gradient flow of 20 neurons on 10 data" in printed
    assert " slide" in printed and picture.stat().st_size > 10_000


def test_every_example_is_tested():
    tested = Path(__file__).read_text()
    assert all(f'"{path.name}"' in tested for path in EXAMPLES.glob("*.py"))
