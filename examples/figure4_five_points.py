"""Figure 4 of arXiv 2206.00939: five points that are not orthogonal, from a small initialisation.

python figure4_five_points.py [picture]
"""

import sys

import jax
import numpy as np

import jaxflow
from jaxflow.plots.figure_five_points import draw_five_points

jax.config.update("jax_enable_x64", True)

data = jaxflow.datasets.five_points()
network = jaxflow.init.balanced(jax.random.key(0), 60, data.dim, scale=1e-6, bias=True)
run = jaxflow.gradient_flow(network, data, np.linspace(0, 1000, 256))
print(run, jaxflow.minimum_variation_norm(data), sep="\n")
figure = draw_five_points(run, data, [0, 60, 140, 300, 1000], log_loss=False)
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "figure4.png", dpi=120)
