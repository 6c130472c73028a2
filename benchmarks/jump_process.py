"""Two hundred random orthogonal problems at λ = 1e-300 held against the jump process.

n = 4 to 12 data in dimension 12, widths 2 to 200, balanced initialisations. The problems are padded
to three sizes, so that three programs are compiled. A run whose λ^separation is above 1e-3 is a
near tie: it is named, with the birth and the other neuron, and flown again at the smaller scale at
which λ^separation = 1e-4, where it has no excuse. Plateaus that are too short to be judged at
1e-300 are judged at 1e-30000.

    python benchmarks/jump_process.py [number of problems] [largest width]
"""

import sys
import time

import jax
import numpy as np

import jaxflow
from jaxflow.analysis import padded, saddle_visits

jax.config.update("jax_enable_x64", True)

DIM, LOG = 12, np.log(1e-300)
FAR = np.log(10) * -30_000
NEAR_TIE, NO_TIE = 1e-3, 1e-4
MOST_OFF = 1e-10
"""Outputs on a plateau: the fits stop relaxing at the flow's tolerance, 1e-11."""
MOST_TIMES = 3.0
"""Final norm, in units of λ^separation, whose O(1) factor was 1.4 at most."""
PADDED_WIDTHS = (16, 64, 200)


def problem(key, most):
    """A random data set and a network of log-uniform width, cut from one of the largest width."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    n, width = int(rng.integers(4, DIM + 1)), round(float(np.exp(rng.uniform(*np.log([2, most])))))
    data = jaxflow.datasets.random_orthogonal(key, n, DIM)
    whole = jaxflow.init.balanced(jax.random.fold_in(key, 7), 200, DIM, scale=1.0)
    cut = jax.tree.map(lambda leaf: np.asarray(leaf)[:width], whole)
    return jaxflow.ReluNetwork(np.asarray(cut.w), np.asarray(cut.a)), data


def fly(problems, width, log_scales):
    pairs = [padded(network, data, DIM, width) for network, data in problems]
    return saddle_visits(*map(list, zip(*pairs, strict=True)), log_scales)


count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
most = int(sys.argv[2]) if len(sys.argv) > 2 else 200
drawn = [problem(key, most) for key in jax.random.split(jax.random.key(0), count)]
failures = 0
previous = 1
for width in PADDED_WIDTHS:
    started = time.perf_counter()
    own = [case for case in drawn if previous < case[0].width <= width]
    previous = width
    if not own:
        continue
    found = fly(own, width, np.full(len(own), LOG))
    ties = np.flatnonzero(found.near_tie_factors > NEAR_TIE)
    clear = np.setdiff1d(np.arange(len(own)), ties)
    print(
        f"widths to {width}: {len(own)} problems, {len(ties)} near ties, "
        f"{time.perf_counter() - started:.0f} s"
    )
    if clear.size:
        excess = found.norms[clear] / (found.near_tie_factors[clear] + 1e-9)
        print(
            f"  others: outputs on plateaus off by {found.outputs[clear].max():.1e}, losses "
            f"{found.losses[clear].max():.1e}, final norm {found.norms[clear].max():.1e}, at most "
            f"{excess.max():.2g} (λ^separation + 1e-9); {found.judged.mean():.1%} of the plateaus "
            f"long enough to be judged"
        )
        failures += np.sum(~((found.outputs[clear] <= MOST_OFF) & (excess <= MOST_TIMES)))
    far = fly(own, width, np.full(len(own), FAR))
    print(
        f"  at 1e-30000 {far.judged.mean():.1%} of the plateaus are judged, outputs off by "
        f"{far.outputs.max():.1e}"
    )
    failures += np.sum(~(far.outputs <= MOST_OFF))
    if not ties.size:
        continue
    scales = [np.log(NO_TIE) / float(found.processes[i].separation) for i in ties]
    again = fly([own[i] for i in ties], width, np.array(scales))
    for row, i in enumerate(ties):
        print(
            f"  near tie (n = {own[i][1].n}, m = {own[i][0].width}): {found.near_tie(i)}; norm off "
            f"by {found.norms[i]:.1e}, at λ = 1e{scales[row] / np.log(10):.0f} by "
            f"{again.norms[row]:.1e}, outputs there by {again.outputs[row]:.1e}"
        )
        fits = (again.norms[row] <= MOST_TIMES * NO_TIE) & (again.outputs[row] <= MOST_OFF)
        failures += not fits
print(f"{count} problems, {failures} unexplained")
sys.exit(int(failures > 0))
