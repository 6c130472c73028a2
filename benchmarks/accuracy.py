"""The flow beside eight reference solutions of 70 digits, at the default and tightest tolerance.

    python benchmarks/accuracy.py [--rtol 1e-11 1e-13] [--names toy_m60 ...]

The references (tests/oracle) were integrated in other software with 70 digits. Errors are the
largest difference in any weight at any save time, relative to the largest output weight then; event
times are compared as sets, without slides that last less than 1e-6.
"""

import argparse
import sys
from pathlib import Path

import jax
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "flow"))
from oracle import GENERAL, ORTHOGONAL, Reference, event_list, lasting, worst_event

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Integrate, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rtol", type=float, nargs="+", default=[1e-11, 1e-13])
    parser.add_argument("--names", nargs="+", default=ORTHOGONAL + GENERAL)
    asked = parser.parse_args()
    table = Table("reference", "n", "width", "events", *columns(asked.rtol), box=None)
    table.columns[0].no_wrap = True
    for name in track(asked.names, "integrating", console=Console(stderr=True)):
        table.add_row(*row(name, asked.rtol))
    Console(width=110).print(table)


def columns(tolerances: list[float]) -> list[str]:
    """Two columns for each tolerance."""
    return [f"{what}, rtol {rtol:g}" for rtol in tolerances for what in ("weights", "event times")]


def row(name: str, tolerances: list[float]) -> list[str]:
    """Sizes of a problem, and its errors."""
    reference = Reference(name)
    wanted = lasting(reference.events)
    sizes = [reference.dataset.n, reference.network.width, len(wanted)]
    errors = []
    for rtol in tolerances:
        run = reference.run(rtol=rtol)
        errors += [reference.errors(run).max(), worst_event(lasting(event_list(run)), wanted)]
    return [name, *map(str, sizes), *(f"{error:.1e}" for error in errors)]


if __name__ == "__main__":
    main()
