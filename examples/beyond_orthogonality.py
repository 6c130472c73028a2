"""The flow on inputs that are not orthogonal: who fits, at which norm, and how many pairs slide.

python beyond_orthogonality.py [picture] [draws] [scale ...]
"""

import sys

import jax

import jaxflow.experiments

jax.config.update("jax_enable_x64", True)

picture = sys.argv[1] if len(sys.argv) > 1 else "beyond_orthogonality.png"
draws = int(sys.argv[2]) if len(sys.argv) > 2 else 32
scales = sys.argv[3:] or ("1e-6", "1e-30")
study = jaxflow.experiments.beyond_orthogonality(scales=scales, draws=draws, show_progress=True)
print(study)
study.plot(picture)
