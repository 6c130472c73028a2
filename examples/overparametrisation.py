"""How many neurons interpolate n orthogonal data as λ → 0, and at which norm, n up to 10^4.

python overparametrisation.py [picture] [draws] [n ...]
"""

import sys

import jax

import jaxflow.experiments

jax.config.update("jax_enable_x64", True)

picture = sys.argv[1] if len(sys.argv) > 1 else "overparametrisation.png"
draws = int(sys.argv[2]) if len(sys.argv) > 2 else 200
sizes = [int(n) for n in sys.argv[3:]] or (100, 1000, 10_000)
study = jaxflow.experiments.overparametrisation(sizes, draws=draws, show_progress=True)
print(study)
study.plot(picture)
