"""What theory and comparator say of every run on orthogonal inputs, before it is integrated."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxflow.compilation import program, seldom
from jaxflow.experiments.batches import by_shape, stacked
from jaxflow.experiments.cases import Case, Start
from jaxflow.experiments.design import RUN, Design, table_of
from jaxflow.theory import jump_process


def predicted(cases: list[Case], design: Design) -> xr.Dataset:
    """Labelled arrays with one entry for each run: the minimum and the predictions."""
    table = table_of(cases, design)
    predictions = _predictions(cases, design.seeds)
    for name, values in predictions.items():
        table[name] = (RUN[: values.ndim], values)
    table["near_tie_factor"] = near_tie_factor(table.separation, table.log_scale)
    return table.transpose(*RUN)


def near_tie_factor(separation, log_scale):
    """λ^min(separation, 1): no neuron is born before all others had size λ."""
    return np.exp(np.minimum(separation, 1.0) * log_scale)


def _predictions(cases: list[Case], seeds: np.ndarray) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for members in by_shape(cases):
        chosen = [cases[i] for i in members]
        data = stacked([case.dataset for case in chosen], chosen[0].dataset)
        for name, values in _of_one_shape(chosen[0].start, data, jnp.asarray(seeds)).items():
            values = np.asarray(values)
            whole = found.setdefault(name, np.zeros((len(cases), *values.shape[1:]), values.dtype))
            whole[members] = values
    return found


@program(seldom)
def _of_one_shape(start: Start, data, seeds) -> dict[str, jax.Array]:
    networks = jax.vmap(lambda seed: start.network(seed, 0.0))(seeds)
    limit = jax.vmap(jax.vmap(jump_process, (0, None)), (None, 0))(networks, data)
    return {
        "hypothesis": limit.satisfies_theorem,
        "separation": limit.separation,
        "jump_norm": limit.variation_norm,
        "jump_interpolates": limit.interpolates,
        "jump_loss": limit.plateau_losses[..., -1],
        "births": limit.count,
    }
