"""The front page shows what its own commands print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
BLOCKS = dict(re.findall(r"```(python|text)\n(.*?)```", README, re.DOTALL))


def numbers(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(text)]


def test_the_python_lines_print_what_is_shown():
    """The same words, and the same variation norms; rounding differs between machines."""
    program = BLOCKS["python"]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed, shown = done.stdout.splitlines(), BLOCKS["text"].splitlines()
    assert [NUMBER.sub("#", line) for line in printed] == [NUMBER.sub("#", line) for line in shown]
    for ours, theirs in zip(printed, shown, strict=True):
        if "variation norm" in ours:
            assert numbers(ours)[0] == pytest.approx(numbers(theirs)[0], rel=1e-9)


def test_pictures_are_there():
    for link in re.findall(r"!\[.*?\]\((.*?)\)", README, re.DOTALL):
        assert (Path(__file__).parent.parent / link).stat().st_size > 10_000


def test_ci_runs_the_test_command_of_the_front_page():
    script = (Path(__file__).parent.parent / ".ci" / "run").read_text()
    install, test = '/pip" install --quiet --editable ".[test]"', '/python" -m pytest'
    assert install in script and test in script
    assert '/pip install -e ".[test]"' in README and "/python -m pytest" in README
