"""Versions of packages, to be written beside results."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

NOT_INSTALLED = "not installed"
"""What stands for the version of a package that runs from its sources alone."""


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """The version of each package."""
    return {name: _version(name) for name in packages}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return NOT_INSTALLED
