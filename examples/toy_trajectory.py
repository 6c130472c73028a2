"""The gradient flow on two orthogonal points from a tiny initialisation, and its picture."""

import sys

import jax
import matplotlib.pyplot as plt

import jaxflow

jax.config.update("jax_enable_x64", True)
plt.switch_backend("Agg")

data = jaxflow.datasets.toy()
network = jaxflow.init.balanced(jax.random.key(0), 60, data.dim, scale=1e-30, bias=True)
run = jaxflow.gradient_flow(network, data)
limit = jaxflow.jump_process(network, data)
print(run)
print(limit)

figure, (above, below) = plt.subplots(2, 1, sharex=True, layout="constrained")
above.plot(run.ts, run.loss)
for plateau in limit.plateau_losses:
    above.axhline(plateau, color="0.6", ls=":", lw=1)
above.set(ylabel="loss", title="Saddle to saddle: dotted, the plateaus of the jump process")
below.plot(run.ts, run.log_norms, color="0.3", lw=0.6)
below.set(xlabel="time t", ylabel="log size of each neuron")
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "toy_trajectory.png", dpi=150)
