"""Many random initialisations at once: a status and a summary for every one."""

import os
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow import init
from jaxflow.compilation import program
from jaxflow.dataset import Dataset
from jaxflow.flow.compiled import are_compiled
from jaxflow.flow.ending import evidence
from jaxflow.flow.field import residual
from jaxflow.flow.gradient_flow import fly, settings_of
from jaxflow.flow.lane import Lane
from jaxflow.flow.launch import Launch
from jaxflow.flow.lockstep import (
    LEAST_BATCH,
    fly_all,
    pairs_in_lanes,
    power_of_two,
    usual_batch,
)
from jaxflow.flow.settings import DEFAULT_RTOL, Settings
from jaxflow.flow.sides import rooms_of
from jaxflow.flow.status import Status
from jaxflow.network import ReluNetwork
from jaxflow.platform import is_cpu
from jaxflow.programs import make_room
from jaxflow.threads import Threads
from jaxflow.validation import is_anything_traced, positive_integer

IN_ROUNDS = 4
"""How many times as many runs are in a batch whose sides are flown in compiled rounds, in which no
run waits for another: what is left of the work for a batch is then shared by more of them."""
ON_ACCELERATORS = 2**23
"""Pairs in a batch on an accelerator, where more hardly make it busier; they take some 3 GiB."""
BASES = 4
"""Room there of a number of a sliding basis, in units of that of a pair on orthogonal inputs."""
WAVES = 2
"""Batches under way on an accelerator, so that none waits for the other's share of the host."""


class Ensemble(eqx.Module):
    """Summaries of many runs; every array has one entry for each run.

    Attributes:
        code: the `Status` of each run as an integer.
        end_time: the time at which the run ended.
        loss: 1/(2n) Σ_k r_k² at the end.
        residual: r_k at the end, shape (runs, n).
        variation_norm: Σ_j |a_j| ‖w_j‖ at the end.
        movement: certified bound on how far log norms and directions still move; inf if unknown.
        fitted: whether all data are fitted in the limit.
        steps: attempted steps; those of both signs where these are integrated one by one.
        events: changes of activation.
    """

    code: Int[Array, " runs"]
    end_time: Float[Array, " runs"]
    loss: Float[Array, " runs"]
    residual: Float[Array, "runs n"]
    variation_norm: Float[Array, " runs"]
    movement: Float[Array, " runs"]
    fitted: Bool[Array, " runs"]
    steps: Int[Array, " runs"]
    events: Int[Array, " runs"]

    @property
    def status(self) -> list[Status]:
        """How each run ended."""
        return [Status(int(code)) for code in np.atleast_1d(np.asarray(self.code))]

    def __len__(self) -> int:
        return int(self.code.shape[0])

    def counts(self) -> dict[str, int]:
        """Number of runs for each status that occurred."""
        codes, numbers = np.unique(np.asarray(self.code), return_counts=True)
        return {str(Status(int(c))): int(k) for c, k in zip(codes, numbers, strict=True)}

    def __repr__(self) -> str:
        norms = np.asarray(self.variation_norm)
        ends = ", ".join(f"{number} {word}" for word, number in self.counts().items())
        return (
            f"ensemble of {len(self)} runs: {ends}\n"
            f"  variation norm  median {np.median(norms):.10g}, "
            f"{norms.min():.10g} to {norms.max():.10g}\n"
            f"  loss            largest {np.max(np.asarray(self.loss)):.3g}\n"
            f"  steps           median {int(np.median(np.asarray(self.steps)))}"
        )


def ensemble(
    dataset: Dataset,
    keys: Array,
    *,
    width: int,
    scale: float | None = None,
    log_scale: float | None = None,
    bias: bool = False,
    rtol: float = DEFAULT_RTOL,
    horizon: float | None = None,
    max_steps: int = 100_000,
    batch: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Ensemble:
    """Integrate the flow from one balanced initialisation for each key, to its certified end.

    A run depends on its key alone, never on the batch that it is in.

    Args:
        dataset: training data.
        keys: random keys, shape (runs,), as `jax.random.split` gives.
        width, scale, log_scale, bias: as in `jaxflow.init.balanced`.
        rtol, horizon, max_steps: as in `jaxflow.gradient_flow`.
        batch: number of runs in one compiled call; by default `default_batch`.
        progress: called with the number of runs just finished.

    Raises:
        ValueError: as `jaxflow.init.balanced` and `jaxflow.gradient_flow`; keys that are none.
    """
    keys = _checked_keys(keys)
    shape = (width, dataset.dim, bias)
    init.balanced(keys[0], width, dataset.dim, scale=scale, log_scale=log_scale, bias=bias)
    given = {"scale": scale} if log_scale is None else {"log_scale": log_scale}
    networks = _start_all(keys, shape, {name: jnp.asarray(v) for name, v in given.items()})
    settings = settings_of(rtol, horizon, max_steps)
    return run_all(networks, dataset, settings, batch=batch, progress=progress)


def default_batch(dataset: Dataset, width: int, runs: int) -> int:
    """Runs in a batch on the platform at hand: as many as fit, and on a CPU a batch for each core.

    On a CPU `usual_batch`, more where sides fly in compiled rounds, or a smaller power of two, at
    least 32, where so few runs would leave cores idle. On an accelerator memory counts: a pair that
    may slide has bases of min(n, d).
    """
    pairs = width * dataset.n
    if is_cpu():
        share = max(power_of_two(runs / os.cpu_count()), LEAST_BATCH)
        in_rounds = are_compiled() and rooms_of(dataset, width) is not None
        counted = pairs / IN_ROUNDS if in_rounds else pairs
        return min(usual_batch(counted, dataset.is_orthogonal), share)
    room = pairs if dataset.is_orthogonal else BASES * min(dataset.n, dataset.dim) * pairs
    return max(power_of_two(ON_ACCELERATORS / room), LEAST_BATCH)


@eqx.filter_jit
def _start_all(keys: Array, shape: tuple[int, int, bool], size: dict) -> ReluNetwork:
    """Balanced initialisations for many keys; one program whatever the scale."""
    width, dim, bias = shape
    return jax.vmap(lambda key: init.balanced(key, width, dim, bias=bias, **size))(keys)


def run_all(
    networks: ReluNetwork,
    dataset: Dataset,
    settings: Settings,
    *,
    batch: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Ensemble:
    """Integrate stacked networks, each on one data set or on its own of a stack of as many.

    The runs are done in batches of one size, so that the same compiled programs serve them all, on
    as many threads as there are cores, or on two for an accelerator.
    """
    make_room()
    runs, width = networks.exponent.shape
    batch = default_batch(dataset, width, runs) if batch is None else batch
    batch = positive_integer("batch", batch)
    batch = min(batch, runs)
    own_data = dataset.x.ndim == 3
    kept = np.asarray if is_cpu() else jnp.asarray
    whole = jax.tree.map(kept, (networks, dataset if own_data else None))
    pieces = [np.arange(first, first + batch) % runs for first in range(0, runs, batch)]

    def work(piece):
        part = jax.tree.map(lambda leaf: leaf[piece], whole)
        result = integrate_batch(part[0], part[1] if own_data else dataset, settings)
        result = jax.tree.map(np.asarray, result)
        if progress is not None:
            progress(min(batch, runs - int(piece[0])))
        return result

    with Threads(os.cpu_count() if is_cpu() else WAVES) as pool:
        results = list(pool.map(work, pieces))
    joined = jax.tree.map(lambda *parts: np.concatenate(parts)[:runs], *results)
    return jax.tree.map(jnp.asarray, joined)


def integrate_batch(networks: ReluNetwork, dataset: Dataset, settings: Settings) -> Ensemble:
    """Integrate one batch in lockstep; may be called while a program is traced."""
    if not is_anything_traced((networks, dataset, settings)):
        return _summaries(*fly_all(networks, dataset, settings), settings)

    def one(network, data):
        return _summary(*fly(network, data, settings))

    own_data = dataset.x.ndim == 3
    return jax.vmap(one, (0, 0 if own_data else None))(networks, dataset)


@program(lambda plans, lanes, settings: pairs_in_lanes(lanes, settings))
def _summaries(plans: Launch, lanes: Lane, settings: Settings) -> Ensemble:
    return jax.vmap(_summary)(plans, lanes)


def _summary(plan: Launch, lane: Lane) -> Ensemble:
    found = evidence(plan.problem, lane.modes, lane.state)
    r = residual(plan.problem, lane.modes, lane.state)
    return Ensemble(
        code=lane.status,
        end_time=lane.t,
        loss=0.5 * jnp.mean(r**2),
        residual=r,
        variation_norm=plan.network(lane.state).variation_norm(),
        movement=found.movement,
        fitted=found.fitted,
        steps=lane.counts.attempted,
        events=lane.log.count,
    )


def _checked_keys(keys) -> Array:
    typed = isinstance(keys, jax.Array) and jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
    raw = isinstance(keys, jax.Array) and keys.dtype == jnp.uint32
    if not ((typed and keys.ndim == 1) or (raw and keys.ndim == 2)) or keys.shape[0] == 0:
        raise ValueError(
            f"keys: got {keys!r}, wanted a vector of random keys, as "
            f"jax.random.split(jax.random.key(0), 100) gives"
        )
    return keys
