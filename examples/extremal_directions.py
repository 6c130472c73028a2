"""Extremal directions of inputs that are not orthogonal: which exist, which attracts each neuron.

python extremal_directions.py [picture]
"""

import sys

import jax

import jaxflow
from jaxflow.plots import draw_early_directions
from jaxflow.theory import early_path, extremal_directions

jax.config.update("jax_enable_x64", True)

data = jaxflow.datasets.five_points()
network = jaxflow.init.balanced(jax.random.key(2), 24, data.dim, scale=1e-6, bias=True)
extremal = extremal_directions(data)
print(extremal)
early = early_path(network, data, 200.0)
reached = early.attractors(extremal, 1e-6)
for number, rate in enumerate(extremal.rates):
    own = (reached == number).nonzero()[0].tolist()
    if own:
        print(f"  neurons {own} end in direction {number}, growing at the rate {abs(rate):.6g}")
print(f"  {(reached < 0).sum()} neurons have died or not arrived")
draw_early_directions(
    network, data, 30.0, sys.argv[1] if len(sys.argv) > 1 else "extremal_directions.png"
)
