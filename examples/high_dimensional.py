"""The high-dimensional experiment: Gaussian inputs, labels of a teacher, sliding neurons.

n = 75 inputs in dimension 150, labels of a 6-neuron teacher, 200 neurons, λ = 1e-20, to t = 400,
as Figures 6 and 7 of arXiv 2206.00939. Takes one to two minutes; smaller sizes can be given.
Thousands of changes of mode cut the steps short, so that a method of few stages does best here:

    python high_dimensional.py [picture] [n] [d] [width] [end time]
"""

import sys
import time

import diffrax
import jax
import numpy as np

import jaxflow
from jaxflow.plots.principal_plane import draw_principal_plane, explained_variance

jax.config.update("jax_enable_x64", True)

given = sys.argv[1:]
picture = given[0] if given else "high_dimensional.png"
n, d, width = map(int, given[1:4]) if len(given) > 3 else (75, 150, 200)
end = float(given[4]) if len(given) > 4 else 400.0

data = jaxflow.datasets.gaussian_teacher(jax.random.key(0), n, d, 6)
network = jaxflow.init.balanced(jax.random.key(1), width, d, scale=1e-20)
started = time.perf_counter()
run = jaxflow.gradient_flow(
    network,
    data,
    np.linspace(0, end, 201),
    rtol=1e-8,
    solver=diffrax.Tsit5(),
    max_events=200_000,
    max_steps=1_000_000,
)
print(run)
print(f"  {time.perf_counter() - started:.0f} s, compilation included")

kinds, numbers = np.unique(run.events.kind, return_counts=True)
print("  " + ", ".join(f"{number} {kind}" for kind, number in zip(kinds, numbers, strict=True)))
sliding = np.sum(np.asarray(run.modes) == 2, axis=2)
print(
    f"  a neuron slides on {sliding[-1].mean():.1f} boundaries at the end, {sliding.max()} at most"
)
sizes = np.abs(np.asarray(run.final.a))
print(f"  neurons larger than 1 % of the largest at the end: {np.sum(sizes > 0.01 * sizes.max())}")
print("  explained variance:", np.array2string(explained_variance(run)[:6], precision=4))

draw_principal_plane(run, [0.0, 0.1 * end, 0.2 * end, 0.3 * end, 0.5 * end, end], picture)
