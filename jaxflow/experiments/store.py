"""The result file: labelled arrays as netCDF, with all settings and versions in its attributes."""

from importlib.metadata import version
from pathlib import Path

import xarray as xr

from jaxflow.experiments.verdict import FIRST_ORDER, NEAR_TIE, SECOND_ORDER, Finding, Verdict
from jaxflow.flow.status import Status

PACKAGES = ("jaxflow", "jax", "diffrax", "equinox", "numpy", "scipy", "xarray")

MEANINGS = {
    "log_scale": "logarithm of the initialisation scale",
    "n": "number of data",
    "dim": "input dimension",
    "width": "number of neurons",
    "minimum": "minimum variation norm of any interpolating network",
    "lower_bound": "certified lower bound of the minimum, from a feasible dual",
    "hypothesis": "a neuron of each sign is active on all data of that sign",
    "separation": "least level left to a competitor at a birth of the jump process",
    "jump_norm": "variation norm of the limit of the jump process",
    "jump_interpolates": "whether the limit of the jump process has zero loss",
    "jump_loss": "loss of the last plateau of the jump process",
    "births": "number of births in the jump process",
    "near_tie_factor": "scale ** min(separation, 1)",
    "variation_norm": "variation norm at the end of the run",
    "excess_estimate": "variation norm less the minimum, corrected for the residual left",
    "excess_upper": "variation norm less the dual bound for the labels fitted; never negative",
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
}
FLAGS = {"status": Status, "verdict": Verdict, "finding": Finding}


def described(runs: xr.Dataset, settings: dict) -> xr.Dataset:
    """The same arrays with a meaning for each, the settings, and the versions that made them."""
    versions = {f"version_{name}": version(name) for name in PACKAGES}
    rules = {"near_tie": NEAR_TIE, "first_order": FIRST_ORDER, "second_order": SECOND_ORDER}
    runs = runs.assign_attrs(title="jaxflow verify", **settings, **rules, **versions)
    for name, meaning in MEANINGS.items():
        runs[name].attrs["long_name"] = meaning
    for name, words in FLAGS.items():
        runs[name].attrs["flag_values"] = [int(word) for word in words]
        runs[name].attrs["flag_meanings"] = " ".join(word.name for word in words)
    return runs


def write(runs: xr.Dataset, path: Path) -> None:
    """Write the arrays to a netCDF file."""
    plain = runs.map(lambda array: array.astype("i1") if array.dtype == bool else array)
    plain.attrs = runs.attrs
    for name in plain.variables:
        plain[name].attrs = runs[name].attrs
    plain.to_netcdf(path, engine="h5netcdf")
