"""Exit times of the toy's saddles: measured, in closed form, and by the timeline, for many scales.

python exit_times.py [picture] [tolerance]
"""

import sys
from functools import partial

import jax
import numpy as np

import jaxflow
from jaxflow.analysis import exit_times
from jaxflow.plots import draw_exit_errors
from jaxflow.theory import single_datum_trajectory, timeline

jax.config.update("jax_enable_x64", True)

SCALES = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-12, 1e-100)
array2string = partial(np.array2string, formatter={"float": "{:8.1e}".format})
tolerance = float(sys.argv[2]) if len(sys.argv) > 2 else 1e-13
data = jaxflow.datasets.toy()
errors = {"closed form": [], "timeline": []}
for scale in SCALES:
    network = jaxflow.init.balanced(jax.random.key(0), 12, data.dim, scale=scale, bias=True)
    predicted = timeline(network, data)
    closed = np.asarray(single_datum_trajectory(network, data).exit_times())[::-1]
    run = jaxflow.gradient_flow(network, data, rtol=tolerance)
    measured = exit_times(run, predicted.fitted)[0]
    errors["closed form"].append(measured - closed)
    errors["timeline"].append(measured - predicted.exit_times)
    off = ", ".join(f"{name} off by {array2string(e[-1])}" for name, e in errors.items())
    print(f"λ = {scale:5.0e}: saddles left at {measured.round(6)}, {off}")
draw_exit_errors(SCALES, errors, sys.argv[1] if len(sys.argv) > 1 else "exit_times.png")
