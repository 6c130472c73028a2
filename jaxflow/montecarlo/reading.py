"""A sweep read back as labelled arrays."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from jaxflow.montecarlo.plan import Plan, Stretch
from jaxflow.montecarlo.quantities import attributes
from jaxflow.montecarlo.sections import word_of
from jaxflow.montecarlo.store import Store

RUN_AXES = ("data", "width", "scale", "seed")
"""Every run has one place on these axes; further axes belong to a quantity."""


def open_sweep(path: str | Path, quantities: Sequence[str] | None = None) -> xr.Dataset:
    """The results of `jaxflow sweep` as labelled arrays with axes data, width, scale and seed.

    Runs that are not done have the status 0 (running), NaN, and counts of −1. Axes of unequal
    length, such as the data of different families, are filled up with NaN at their ends. `run` is
    the number that `jaxflow replay PATH --run` takes.

    Args:
        path: the folder that the sweep made; the sweep may be still going on.
        quantities: names of what to read, by default all that was kept.

    Raises:
        ValueError: no sweep there, a quantity that was not kept, a damaged file.
    """
    store = Store.open(path)
    known = tuple(store.kept)
    wanted = known if quantities is None else tuple(quantities)
    wanted = tuple(word_of(known)("quantities", name) for name in wanted)
    arrays = {name: _empty(store, name) for name in wanted}
    for runs, values in store.done(wanted):
        place = _place(store.plan, runs)
        for name, array in arrays.items():
            inner = tuple(slice(length) for length in values[name].shape[1:])
            array[(*place, *inner)] = values[name]
    runs = xr.Dataset(
        {
            name: ((*RUN_AXES, *store.kept[name].axes), array, attributes(name, store.kept[name]))
            for name, array in arrays.items()
        },
        coords=_coordinates(store.plan),
    )
    return runs.assign_attrs(_attributes(store))


def _place(plan: Plan, runs: Stretch) -> tuple:
    """Where some runs belong in arrays with the axes of `RUN_AXES`."""
    scale, draw, seed = runs.locate()
    family, width = runs.block.index
    return _first_data(plan)[family] + draw, np.full(seed.shape, width), scale, seed


def _first_data(plan: Plan) -> np.ndarray:
    """Index of the first data set of every family."""
    return np.concatenate([[0], np.cumsum([family.draws for family in plan.spec.families])])


def _lengths(plan: Plan) -> dict[str, int]:
    spec = plan.spec
    shapes = [family.shape for family in spec.families]
    return {
        "data": int(_first_data(plan)[-1]),
        "width": len(spec.widths),
        "scale": len(spec.scales),
        "seed": spec.seeds,
        "save": spec.times,
        "datum": max(n for n, _ in shapes),
        "input": max(d for _, d in shapes),
        "neuron": max(spec.widths),
    }


def _empty(store: Store, name: str) -> np.ndarray:
    lengths, quantity = _lengths(store.plan), store.kept[name]
    shape = tuple(lengths[axis] for axis in (*RUN_AXES, *quantity.axes))
    return np.full(shape, quantity.missing, dtype=quantity.dtype)


def _coordinates(plan: Plan) -> dict:
    spec = plan.spec
    draws = [(family, draw) for family in spec.families for draw in range(family.draws)]
    shapes = np.array([family.shape for family, _ in draws])
    return {
        "data": [family.label(draw) for family, draw in draws],
        "width": ("width", list(spec.widths), {"long_name": "number of neurons"}),
        "scale": list(spec.scales),
        "seed": spec.first_seed + np.arange(spec.seeds),
        "family": ("data", [family.name for family, _ in draws]),
        "n": ("data", shapes[:, 0], {"long_name": "number of data"}),
        "dim": ("data", shapes[:, 1], {"long_name": "dimension of the inputs"}),
        "log_scale": ("scale", list(spec.log_scales), {"long_name": "log of the scale"}),
        "run": (RUN_AXES, _run_numbers(plan), {"long_name": "number of the run in the sweep"}),
    }


def _run_numbers(plan: Plan) -> np.ndarray:
    lengths = _lengths(plan)
    numbers = np.zeros([lengths[axis] for axis in RUN_AXES], dtype=np.int64)
    for block in plan.blocks:
        own = block.first_run + np.arange(block.size)
        family, width = block.index
        first = _first_data(plan)[family]
        by_scale = own.reshape(block.scales, block.family.draws, block.seeds)
        numbers[first : first + block.family.draws, width] = np.moveaxis(by_scale, 0, 1)
    return numbers


def _attributes(store: Store) -> dict:
    spec = store.plan.spec
    versions = {f"version_{name}": text for name, text in store.header["versions"].items()}
    horizon = np.nan if spec.horizon is None else spec.horizon
    settings = {"rtol": spec.rtol, "max_steps": spec.max_steps, "horizon": horizon, "key": spec.key}
    return {
        "title": "jaxflow sweep",
        **settings,
        **versions,
        "specification": json.dumps(store.header["spec"]),
    }
