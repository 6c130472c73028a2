"""How gradient descent departs from the flow: step, precision, momentum, Adam, on the toy.

python descent_against_flow.py [picture] [steps ...]
"""

import sys

import jax

import jaxflow.experiments

jax.config.update("jax_enable_x64", True)

picture = sys.argv[1] if len(sys.argv) > 1 else "descent_against_flow.png"
steps = [float(step) for step in sys.argv[2:]] or jaxflow.experiments.DEFAULT_STEPS
study = jaxflow.experiments.descent_study(steps, show_progress=True)
print(study)
study.plot(picture)
