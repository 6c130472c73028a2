"""The reference has every public name once, under the name by which it is imported."""

import ast
import re
from collections import Counter
from pathlib import Path
from pkgutil import resolve_name

import pytest

import jaxflow

ROOT = Path(jaxflow.__file__).parent
TOP = Path(__file__).parent.parent
DOCS = TOP / "docs"
PAGES = sorted((DOCS / "reference").glob("*.md"))
DIRECTIVE = re.compile(r"^::: (\S+)(?:\n    options:\n      heading: (.+))?", re.MULTILINE)


def exports() -> dict[str, str]:
    """Public names, `import a as a` in the front page of a package, and where they are defined."""
    found = {}
    for front in [ROOT / "__init__.py", *ROOT.glob("*/__init__.py")]:
        package = ".".join(front.parent.relative_to(ROOT.parent).parts)
        for node in ast.parse(front.read_text()).body:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    assert alias.asname == alias.name, f"{front}: {alias.name} is not exported"
                    found[f"{package}.{alias.name}"] = f"{node.module}.{alias.name}"
    return found


EXPORTS = exports()


def is_module(path: str) -> bool:
    file = ROOT.parent.joinpath(*path.split("."))
    return file.is_dir() or file.with_suffix(".py").is_file()


def defined(path: str) -> str:
    """What reading the sources finds under a path: there a module hides a function of its name."""
    return path if is_module(path) else EXPORTS.get(path, path)


DIRECTIVES = [match for page in PAGES for match in DIRECTIVE.findall(page.read_text())]


def test_every_public_name_is_there_once():
    assert {"jaxflow.gradient_flow", "jaxflow.theory.timeline"} <= set(EXPORTS)
    times = Counter(defined(path) for path, _ in DIRECTIVES)
    wrong = {name: times[where] for name, where in EXPORTS.items() if times[where] != 1}
    assert not wrong, f"give each of these one directive in docs/reference: {wrong}"
    assert not [path for path, number in times.items() if number > 1]


@pytest.mark.parametrize(("path", "heading"), DIRECTIVES)
def test_directive_finds_what_its_heading_says(path, heading):
    thing = resolve_name(defined(path))
    assert thing.__doc__, f"{path} has no docstring"
    if heading.startswith("jaxflow."):
        assert EXPORTS[heading] == defined(path)
    elif heading:
        assert heading == f"jaxflow {path.removeprefix('jaxflow.cli.')}"


def test_every_command_is_there():
    functions = ast.parse((ROOT / "cli.py").read_text()).body
    commands = {
        f"jaxflow {node.name}"
        for node in functions
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    }
    assert "jaxflow verify" in commands
    assert commands == {heading for _, heading in DIRECTIVES if heading.startswith("jaxflow ")}


def test_every_page_is_in_the_navigation():
    named = re.findall(r"[\w/]+\.md\b", (TOP / "mkdocs.yml").read_text())
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert Counter(named) == Counter(pages)
