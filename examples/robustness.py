"""Lipschitz constants of what the flow learns and of the minimum-norm interpolator.

No neuron is active at all data of its sign here, so that the variation norms differ, 3.46 and 2.89.
The Lipschitz constants do not: where all neurons are active, the gradients of both functions are
Σ_k (y_k/‖x_k‖²) x_k.

    python robustness.py [picture] [perturbed data sets]
"""

import sys

import jax

import jaxflow
from jaxflow.analysis import robustness
from jaxflow.plots import draw_robustness

jax.config.update("jax_enable_x64", True)

data = jaxflow.datasets.random_orthogonal(jax.random.key(6), 3, 3)
network = jaxflow.init.balanced(jax.random.key(5), 8, data.dim, scale=1e-6)
count = int(sys.argv[2]) if len(sys.argv) > 2 else 4
found = robustness(network, data, jax.random.key(1), perturbations=count)
print(found)
draw_robustness(found, sys.argv[1] if len(sys.argv) > 1 else "robustness.png")
