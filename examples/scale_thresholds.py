"""How small is small: the scale below which the final norm is within one per cent of its limit.

python scale_thresholds.py [picture] [initialisations]
"""

import sys

import jax

import jaxflow
from jaxflow.analysis import scale_thresholds
from jaxflow.plots import draw_scale_thresholds

jax.config.update("jax_enable_x64", True)

count = int(sys.argv[2]) if len(sys.argv) > 2 else 24
data = jaxflow.datasets.random_orthogonal(jax.random.key(1), 4, 6)
found = scale_thresholds(data, jax.random.split(jax.random.key(0), count), width=8)
print(found)
draw_scale_thresholds(found, sys.argv[1] if len(sys.argv) > 1 else "scale_thresholds.png")
