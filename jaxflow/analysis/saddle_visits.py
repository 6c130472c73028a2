"""Whether runs visit the saddles of the jump process, all of them, in its order.

Every run is saved in the middle of every predicted plateau. There the outputs over the labels must
be 1 on the data born so far and 0 on all others, which is the order of births, the fitted sets and
the loss of the plateau at once; at the end the variation norm must be that of the jump process.
"""

import os
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxflow.compilation import pairs_in_batch, program
from jaxflow.dataset import Dataset
from jaxflow.flow.gradient_flow import gradient_flow
from jaxflow.flow.settings import DEFAULT_RTOL
from jaxflow.network import LOG2, ReluNetwork
from jaxflow.theory import JumpProcess, jump_process
from jaxflow.threads import Threads

CLEAR = 16.0
"""A plateau is judged where each of its halves lasts this many times 1/min_k(|y_k| ‖x_k‖/n), the
slowest relaxation or growth: what is left of a fit or seen of the next birth is exp(−32) then,
times powers of the O(1) factors of the amplitudes."""
BATCH = 10
"""Runs integrated in lockstep."""


@dataclass(frozen=True, eq=False)
class SaddleVisits:
    """How far each run is from the jump process."""

    processes: list[JumpProcess]
    log_scales: Float[np.ndarray, " runs"]
    outputs: Float[np.ndarray, " runs"]
    """Largest |h_k/y_k − prediction| in the middle of a plateau."""
    losses: Float[np.ndarray, " runs"]
    """Largest |loss − prediction| there."""
    norms: Float[np.ndarray, " runs"]
    """|V − V_0|/V_0 at the end; 0 where nothing is born."""
    judged: Float[np.ndarray, " runs"]
    """Share of the plateaus that are long enough to be judged."""

    @property
    def near_tie_factors(self) -> Float[np.ndarray, " runs"]:
        """λ^separation of every run."""
        pairs = zip(self.processes, self.log_scales, strict=True)
        return np.array([float(process.near_tie_factor(log)) for process, log in pairs])

    def near_tie(self, run: int) -> str:
        """The birth and competitor nearest to a tie in a run, in words."""
        return self.processes[run].near_tie(self.log_scales[run])


def saddle_visits(
    networks: list[ReluNetwork],
    datasets: list[Dataset],
    log_scales: Float[np.ndarray, " runs"],
    rtol: float = DEFAULT_RTOL,
) -> SaddleVisits:
    """Hold runs beside their jump processes; one compiled program serves all of them.

    Args:
        networks: initialisations of one width; `padded` makes problems of different sizes alike.
        datasets: orthogonal inputs of one shape; data with the label zero are left out.
        log_scales: log λ, by which each network is multiplied.
        rtol: tolerance of the flow. A fit stops relaxing when its neuron's weights are within this
            of their limits, relative to the neuron's norm, and so does an output on a plateau.

    Raises:
        ValueError: as `jump_process`, and as `gradient_flow`.
    """
    networks = [_scaled(*pair) for pair in zip(networks, log_scales, strict=True)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *zip(networks, datasets, strict=True))
    processes = _processes(*stacked)
    slowest = np.array([_slowest_rate(dataset) for dataset in datasets])
    cases = list(zip(processes, slowest, log_scales, strict=True))
    middles = np.stack([_save_times(*case) for case in cases])
    outputs, norms = _fly_all(stacked, middles, rtol)
    found = [
        _departures(*case, dataset, h, norm)
        for case, dataset, h, norm in zip(cases, datasets, outputs, norms, strict=True)
    ]
    return SaddleVisits(processes, np.asarray(log_scales), *np.array(found).T)


def _scaled(network: ReluNetwork, log_scale: float) -> ReluNetwork:
    shift = network.exponent * LOG2 + log_scale
    return ReluNetwork.from_log_norm(network.w_mantissa, network.a_mantissa, shift)


def _processes(networks, datasets) -> list[JumpProcess]:
    batch = jax.tree.map(np.asarray, eqx.filter_jit(jax.vmap(jump_process))(networks, datasets))
    return [jax.tree.map(lambda leaf, i=i: leaf[i], batch) for i in range(len(batch.count))]


def _slowest_rate(dataset: Dataset) -> float:
    rates = np.abs(dataset.y) * np.linalg.norm(dataset.x, axis=1) / dataset.n
    return float(np.min(rates[rates > 0]))


def _save_times(process: JumpProcess, slowest, log_scale) -> Float[np.ndarray, " J+1"]:
    """Middles of the plateaus before each birth, then the end and later."""
    births = np.append(0.0, process.times[: process.count]) * -log_scale
    middles = (births[1:] + births[:-1]) / 2
    later = np.arange(len(process.times) + 1 - len(middles))
    return np.concatenate([middles, births[-1] + 60 / slowest + later])


@program(pairs_in_batch)
def _fly(networks, datasets, ts, rtol):
    def one(network, dataset, times):
        run = gradient_flow(network, dataset, times, rtol=rtol)
        return run.outputs, run.variation_norm[-1]

    return jax.vmap(one)(networks, datasets, ts)


def _fly_all(stacked, ts, rtol) -> tuple[np.ndarray, np.ndarray]:
    """All runs, in batches of one size on as many threads as there are cores."""
    runs = len(ts)
    pieces = [np.arange(first, first + BATCH) % runs for first in range(0, runs, BATCH)]

    def work(piece):
        networks, datasets = jax.tree.map(lambda leaf: leaf[piece], stacked)
        return jax.tree.map(np.asarray, _fly(networks, datasets, jnp.asarray(ts[piece]), rtol))

    first = work(pieces[0])
    with Threads(max_workers=os.cpu_count()) as pool:
        results = [first, *pool.map(work, pieces[1:])]
    outputs, norms = (np.concatenate(parts)[:runs] for parts in zip(*results, strict=True))
    return outputs, norms


def _departures(process: JumpProcess, slowest, log_scale, dataset: Dataset, outputs, norm):
    """Errors of outputs, losses and the norm, and the share of plateaus that could be judged."""
    y, count = np.asarray(dataset.y), int(process.count)
    births = np.concatenate([[0.0], process.times[:count], [np.inf]]) * -log_scale
    clear = slowest * np.diff(births) / 2 > CLEAR
    none = np.zeros(dataset.n)
    fitted = np.cumsum(np.vstack([none, process.fitted[:count]]), axis=0)
    found, known = outputs[: count + 1], y != 0
    off = np.max(np.abs(found[:, known] / y[known] - fitted[:, known]), axis=1)
    losses = 0.5 * np.mean((found - y) ** 2, axis=1)
    loss = np.abs(losses - process.plateau_losses[: count + 1])
    limit = float(process.variation_norm)
    relative = abs(norm - limit) / limit if limit else 0.0
    return np.max(off[clear]), np.max(loss[clear]), relative, clear.mean()
