"""One file for each tool, with the same three names in each.

NAME for tables; LADDER of tolerances, loosest first; and
prepare(problem, rtol, limit), which compiles and returns a function without arguments that
integrates the problem and returns the outputs at its save times, shape (T, n). That function raises
`NotFinished` with the time reached when it takes longer than `limit` seconds.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType

TOOLS = (
    "jaxflow_flow",
    "heyoka_events",
    "dop853_restarts",
    "diffrax_tsit5",
    "cvode_roots",
    "torch_dopri5",
)
PACKAGES = ("jaxflow", "jax", "heyoka", "scipy", "diffrax", "scikit-sundae", "torchdiffeq", "torch")


def installed() -> tuple[list[ModuleType], list[str]]:
    """The tools that can be run here, and the modules that the others lack."""
    tools, missing = [], []
    for name in TOOLS:
        try:
            tools.append(importlib.import_module(f"comparison.tools.{name}"))
        except ModuleNotFoundError as error:
            if find_spec(error.name.split(".")[0]) is not None:
                raise
            missing.append(error.name)
    return tools, missing


def versions() -> dict[str, str]:
    """Versions of everything that is compared, where it is installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
