"""The phases of one run beside what the theory predicts for it, in words and as a picture.

python phases.py [picture]
"""

import sys

import jax

import jaxflow
from jaxflow.plots import draw_phases
from jaxflow.theory import decoupling

jax.config.update("jax_enable_x64", True)

data = jaxflow.datasets.random_orthogonal(jax.random.key(6), 4, 4)
network = jaxflow.init.balanced(jax.random.key(4), 8, data.dim, scale=1e-30)
run = jaxflow.gradient_flow(network, data)
report = run.phases()
print(report)
print("couplings of the field in the middle of each birth")
for time in report.exit_times:
    index = int(abs(run.ts - time).argmin())
    print(f"  t = {float(run.ts[index]):.5g}: {decoupling(run.network(index), data)}")
draw_phases(report, sys.argv[1] if len(sys.argv) > 1 else "phases.png")
