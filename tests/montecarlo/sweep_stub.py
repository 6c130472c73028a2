"""Sweeps without the integrator: an engine whose ends are simple functions of the start."""

import numpy as np

from jaxflow.flow.status import Status
from jaxflow.montecarlo.ensemble import Ensemble


def spec(path=None, **changes) -> dict:
    """A small specification; `changes` are sections to be updated."""
    tables = {
        "data": [
            {"family": "toy"},
            {"family": "orthogonal", "n": [2, 3], "d": 4, "draws": {"first": 5, "count": 3}},
        ],
        "runs": {"width": [3, 5], "scale": ["1e-3", "1e-400"], "seeds": {"first": 7, "count": 5}},
        "output": {"chunk": 4, "batch": 2},
    }
    for section, entries in changes.items():
        own = tables.get(section, {})
        tables[section] = entries if section == "data" else {**own, **entries}
    if path is not None:
        tables["output"]["path"] = str(path)
    return tables


def ends_of(networks, dataset, settings, *, batch, progress=None) -> Ensemble:
    """Ends that depend on the start and the data of a run, two of seven being failures."""
    w, a = np.asarray(networks.w_mantissa), np.asarray(networks.a_mantissa)
    y = np.broadcast_to(np.asarray(dataset.y), (a.shape[0], dataset.y.shape[-1]))
    size = np.sum(np.abs(a) * np.linalg.norm(w, axis=-1), axis=1)
    kind = (np.floor(size * 1e6) % 7).astype(int)
    failures = {5: Status.not_finite, 6: Status.step_underflow}
    code = np.array([failures.get(k, Status(1 + k % 2)) for k in kind])
    loss = np.where(kind >= 5, np.nan, np.abs(y).sum(axis=1))
    if progress is not None:
        progress(size.size)
    return Ensemble(
        code=code,
        end_time=size * 2,
        loss=loss,
        residual=y * size[:, None],
        variation_norm=size,
        movement=np.where(kind >= 5, np.inf, 1e-13),
        fitted=code == 1,
        steps=kind + 10,
        events=np.sum(np.asarray(networks.exponent), axis=1),
    )
