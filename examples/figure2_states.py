"""Figure 2 of arXiv 2206.00939: data, network and neurons at several times of training.

python figure2_states.py [picture] [film.gif]
"""

import sys
from pathlib import Path

import jax
import numpy as np

import jaxflow
from jaxflow.plots.figure_states import draw_states, film_states
from jaxflow.theory import timeline

jax.config.update("jax_enable_x64", True)

data = jaxflow.datasets.toy()
network = jaxflow.init.balanced(jax.random.key(0), 60, data.dim, scale=1e-6, bias=True)
run = jaxflow.gradient_flow(network, data, np.linspace(0, 40, 256))
print(run)

first, second = timeline(network, data).exit_times
moments = [
    (0.0, "start"),
    (0.7 * first, "aligned"),
    (first, "first datum half fitted"),
    ((first + second) / 2, "second saddle"),
    (second, "second datum half fitted"),
    (40.0, "end"),
]
figure = draw_states(run, data, moments)
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "figure2.png", dpi=120)
if len(sys.argv) > 2:
    film_states(run, data, Path(sys.argv[2]))
