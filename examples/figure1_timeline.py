"""Figure 1 of arXiv 2206.00939: the timeline of phases, with the times of a run.

python figure1_timeline.py [picture]
"""

import sys

import jax
import numpy as np

import jaxflow
from jaxflow.analysis import phases
from jaxflow.plots.figure_timeline import draw_timeline

jax.config.update("jax_enable_x64", True)

data = jaxflow.datasets.toy()
network = jaxflow.init.balanced(jax.random.key(0), 60, data.dim, scale=1e-6, bias=True)
report = phases(jaxflow.gradient_flow(network, data, np.linspace(0, 40, 256)))
print(report)
draw_timeline(report).savefig(sys.argv[1] if len(sys.argv) > 1 else "figure1.png", dpi=120)
