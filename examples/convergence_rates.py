"""How the rate of convergence falls with the number of data, between 1/sqrt(n) and 1/n.

python convergence_rates.py [picture] [largest n]
"""

import sys

import jax
import numpy as np

from jaxflow.analysis import rate_study
from jaxflow.plots import draw_rate_studies

jax.config.update("jax_enable_x64", True)

largest = int(sys.argv[2]) if len(sys.argv) > 2 else 128
sizes = [int(n) for n in 2 ** np.arange(3, np.log2(largest) + 0.5, 2)]
keys = jax.random.split(jax.random.key(0), 10)
studies = {
    "width 10 n": rate_study(sizes, keys),
    "width 4 log n": rate_study(sizes, keys, width=lambda n: round(4 * np.log(n))),
    "one neuron a sign": rate_study(sizes, keys, width=lambda n: 0),
}
for name, study in studies.items():
    print(f"{name}: {study}")
draw_rate_studies(studies, sys.argv[1] if len(sys.argv) > 1 else "convergence_rates.png")
