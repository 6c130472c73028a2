"""Figure 3 of arXiv 2206.00939: the loss, its saddles, and when each is predicted to be left.

python figure3_loss.py [picture]
"""

import sys

import jax
import numpy as np

import jaxflow
from jaxflow.analysis import phases
from jaxflow.plots.figure_loss import draw_loss_profile
from jaxflow.theory import timeline

jax.config.update("jax_enable_x64", True)

data = jaxflow.datasets.toy()
network = jaxflow.init.balanced(jax.random.key(0), 60, data.dim, scale=1e-6, bias=True)
report = phases(jaxflow.gradient_flow(network, data, np.linspace(0, 40, 256)))
left = timeline(network, data, fraction=0.01)
print(left)
print("measured:", [f"{plateau.time_out:.9g}" for plateau in report.plateaus[:-1]])
print("iterations of the paper's loop:", np.round(left.exit_times / 0.002), "(5000 and 11000)")
figure = draw_loss_profile(report, left.exit_times)
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "figure3.png", dpi=120)
