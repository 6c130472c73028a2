"""Imports point downward only, and theory, comparator and integrator know nothing of each other."""

import ast
import tomllib
from pathlib import Path

import pytest

import jaxflow

ROOT = Path(jaxflow.__file__).parent
FLOORS = [
    {"platform", "precision", "programs", "threads", "versions"},
    {"lapack"},
    {"validation", "scales"},
    {"dataset"},
    {"network"},
    {"compilation"},
    {"modes", "init", "datasets", "sharing"},
    {"flow", "descent", "theory", "minnorm"},
    {"montecarlo"},
    {"analysis"},
    {"plots"},
    {"experiments"},
    {"cli"},
    {"__main__"},
]
FLOOR = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}


def part_of(module: str) -> str:
    """The part of the package that a module such as `jaxflow.flow.field` belongs to."""
    return module.split(".")[1]


def imported_parts(path: Path) -> set[str]:
    """Parts of the package that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jaxflow"):
            whole = node.module == "jaxflow"
            names = [f"jaxflow.{alias.name}" for alias in node.names] if whole else [node.module]
            found |= {part_of(name) for name in names}
        elif isinstance(node, ast.Import):
            found |= {part_of(a.name) for a in node.names if a.name.startswith("jaxflow.")}
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"relative import in {path}"
    return found


def files() -> list[Path]:
    """Every file of the package but the front page."""
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path):
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert part in FLOOR, f"{part} has no floor in this test: give it one"
    for other in imported_parts(path) - {part}:
        assert FLOOR[other] < FLOOR[part], f"{path.relative_to(ROOT)} imports jaxflow.{other}"


def test_the_reader_of_imports_sees_them():
    seen = imported_parts(ROOT / "experiments" / "verify.py")
    assert {"montecarlo", "flow", "dataset"} <= seen
    assert imported_parts(ROOT / "datasets.py") >= {"dataset", "network", "precision"}


def test_every_file_says_what_it_is():
    for path in files():
        text = path.read_text()
        assert not text or ast.get_docstring(ast.parse(text)), f"{path} has no docstring"


def test_the_build_knows_all_sources_in_c():
    """A source that it does not know is left out where the package is packed."""
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    (library,) = project["tool"]["setuptools"]["ext-modules"]
    known = {*library["sources"], *library["depends"]}
    there = [*ROOT.rglob("*.c"), *ROOT.rglob("*.h")]
    assert known == {str(path.relative_to(ROOT.parent)) for path in there}
