"""Figure 5 of arXiv 2206.00939: the same five points from a large initialisation, the lazy regime.

python figure5_large_start.py [picture]
"""

import sys

import jax
import numpy as np

import jaxflow
from jaxflow.plots.figure_five_points import draw_five_points

jax.config.update("jax_enable_x64", True)

data = jaxflow.datasets.five_points()
network = jaxflow.init.balanced(jax.random.key(0), 60, data.dim, scale=10.0, bias=True)
run = jaxflow.gradient_flow(network, data, np.linspace(0, 10, 256))
print(run, jaxflow.minimum_variation_norm(data), sep="\n")
figure = draw_five_points(run, data, [0, 0.1, 0.5, 2, 10], log_loss=True)
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "figure5.png", dpi=120)
