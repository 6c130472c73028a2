"""How the excess over the minimum variation norm shrinks with the scale of the initialisation."""

import jax
import numpy as np

import jaxflow

jax.config.update("jax_enable_x64", True)

data = jaxflow.datasets.random_orthogonal(jax.random.key(1), 4, 6)
least = jaxflow.minimum_variation_norm(data)
keys = jax.random.split(jax.random.key(0), 32)
print(least)
for scale in (1e-3, 1e-10, 1e-30, 1e-100, 1e-300):
    runs = jaxflow.ensemble(data, keys, width=40, scale=scale)
    excess = np.asarray(runs.variation_norm) / float(least.value) - 1
    print(f"{scale:7.0e}  {runs.counts()}  median excess {np.median(excess):.2e}")
