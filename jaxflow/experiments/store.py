"""The result file: labelled arrays as netCDF, with all settings and versions in its attributes."""

from pathlib import Path

import xarray as xr

from jaxflow.experiments.design import RUN
from jaxflow.experiments.minimality import TOLERANCE, Minimality
from jaxflow.experiments.verdict import FIRST_ORDER, NEAR_TIE, SECOND_ORDER, Finding, Verdict
from jaxflow.flow.status import Status
from jaxflow.versions import versions_of

ENDS = "ends"
"""Group of the runs on inputs that are not orthogonal."""

PACKAGES = ("jaxflow", "jax", "diffrax", "equinox", "numpy", "scipy", "xarray")

MEANINGS = {
    "log_scale": "logarithm of the initialisation scale",
    "n": "number of data",
    "dim": "input dimension",
    "width": "number of neurons",
    "minimum": "minimum variation norm of any interpolating network",
    "lower_bound": "certified lower bound of the minimum, from a feasible dual",
    "certificate": "how sure the minimum is",
    "hypothesis": "a neuron of each sign is active on all data of that sign",
    "separation": "least level left to a competitor at a birth of the jump process",
    "jump_norm": "variation norm of the limit of the jump process",
    "jump_interpolates": "whether the limit of the jump process has zero loss",
    "jump_loss": "loss of the last plateau of the jump process",
    "births": "number of births in the jump process",
    "near_tie_factor": "scale ** min(separation, 1)",
    "variation_norm": "variation norm at the end of the run",
    "excess_estimate": "variation norm less the minimum, corrected for the residual left",
    "excess_lower": "least that the variation norm is above the minimum for the labels fitted",
    "excess_upper": "variation norm less the dual bound for the labels fitted; never negative",
    "label_change": "most that the minimum for the labels fitted differs from the minimum",
    "residual": "largest residual of any label at the end of the run",
    "excess": "excess_estimate / minimum",
    "disagreement": "|variation_norm - jump_norm| / jump_norm",
    "allowed": "bound of the disagreement where the run is judged",
    "loss": "loss at the end of the run",
    "movement": "bound on how far log norms and directions still move",
    "end_time": "time at which the run ended",
    "steps": "attempted steps",
    "events": "changes of activation",
    "status": "how the run ended",
    "verdict": "what became of the run",
    "finding": "the statement that a counterexample contradicts",
    "minimality": "whether the end is of minimum variation norm",
}
FLAGS = {"status": Status, "verdict": Verdict, "finding": Finding, "minimality": Minimality}


def described(runs: xr.Dataset, settings: dict) -> xr.Dataset:
    """The same arrays with a meaning for each, the settings, and the versions that made them."""
    versions = {f"version_{name}": text for name, text in versions_of(PACKAGES).items()}
    rules = {"near_tie": NEAR_TIE, "first_order": FIRST_ORDER, "second_order": SECOND_ORDER}
    rules["minimal_within"] = TOLERANCE
    runs = runs.assign_attrs(title="jaxflow verify", **settings, **rules, **versions)
    for name in set(runs.variables) - set(RUN):
        runs[name].attrs["long_name"] = MEANINGS[name]
    for name in FLAGS.keys() & runs.keys():
        words = FLAGS[name]
        runs[name].attrs["flag_values"] = [int(word) for word in words]
        runs[name].attrs["flag_meanings"] = " ".join(word.name for word in words)
    return runs


def write(runs: xr.Dataset | None, ends: xr.Dataset | None, path: Path) -> None:
    """Write a netCDF file: runs on orthogonal inputs, and in the group `ends` all others."""
    _plain(xr.Dataset() if runs is None else runs).to_netcdf(path, engine="h5netcdf")
    if ends is not None:
        _plain(ends).to_netcdf(path, mode="a", group=ENDS, engine="h5netcdf")


def _plain(runs: xr.Dataset) -> xr.Dataset:
    """With numbers for booleans."""
    plain = runs.map(lambda array: array.astype("i1") if array.dtype == bool else array)
    plain.attrs = runs.attrs
    for name in plain.variables:
        plain[name].attrs = runs[name].attrs
    return plain
