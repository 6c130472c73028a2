"""Consecutive chunks as one netCDF-4 file, made in memory and put in place as a whole."""

import io
import os
from pathlib import Path

import h5netcdf
import h5py
import numpy as np

from jaxflow.montecarlo.plan import Stretch
from jaxflow.montecarlo.quantities import Quantity, attributes
from jaxflow.montecarlo.work import Values

RUN = "run"
UNFINISHED = ".part"
"""Ending of files that are being written; whatever bears it is not a part of the results."""


def encode(runs: Stretch, values: Values, kept: dict[str, Quantity], attrs: dict) -> bytes:
    """The netCDF file of some runs: their quantities and numbers, and what describes them."""
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        file.dimensions = _lengths(runs, values, kept)
        for name, value in attrs.items():
            file.attrs[name] = value
        run = file.create_variable(RUN, (RUN,), "i8", data=_numbers(runs))
        run.attrs["long_name"] = "number of the run in the sweep"
        for name, quantity in kept.items():
            axes = (RUN, *quantity.axes)
            variable = file.create_variable(name, axes, quantity.dtype, data=values[name])
            for key, value in attributes(name, quantity).items():
                variable.attrs[key] = value
    return buffer.getvalue()


def _numbers(runs: Stretch) -> np.ndarray:
    return np.arange(runs.first_run, runs.first_run + runs.count)


def _lengths(runs: Stretch, values: Values, kept: dict[str, Quantity]) -> dict[str, int]:
    lengths = {RUN: runs.count}
    for name, quantity in kept.items():
        lengths |= dict(zip(quantity.axes, values[name].shape[1:], strict=True))
    return lengths


def put(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all: under another name, to the disk, then renamed.

    Raises:
        OSError: what the system says; nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with open(unfinished, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """Make the renaming itself survive a power failure, where the system lets a folder be opened"""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def decode(path: Path, runs: Stretch, names: tuple[str, ...]) -> Values:
    """Chosen quantities of stored runs.

    Raises:
        ValueError: a file that cannot be read, or holds other runs.
    """
    try:
        with h5py.File(path, "r") as file:
            if not np.array_equal(file[RUN][...], _numbers(runs)):
                raise KeyError(f"holds other runs than {runs.first_run} and on")
            return {name: file[name][...] for name in names}
    except (OSError, KeyError) as error:
        raise ValueError(
            f"{path}: damaged ({error}); delete it, and the same `jaxflow sweep` command "
            f"integrates its {runs.count} runs again"
        ) from None
