"""The public verb: gradient descent by any optimiser of optax, in float64 or float32."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from jaxflow.dataset import Dataset
from jaxflow.descent.iteration import Data, Walker, Weights, advance, begin, step
from jaxflow.descent.status import DescentStatus
from jaxflow.descent.trajectory import Descent
from jaxflow.network import ReluNetwork, require_pair
from jaxflow.validation import is_traced, positive_integer

SAVES = 201
"""Number of saved iterations when none are given."""
UNINTERRUPTED = 50_000
"""Iterations after which an interrupt is heard."""
PRECISIONS = ("float64", "float32")


def gradient_descent(
    network: ReluNetwork,
    dataset: Dataset,
    optimizer: optax.GradientTransformation | None = None,
    *,
    steps: int,
    saved: Int[np.ndarray, " T"] | None = None,
    precision: str = "float64",
    progress: Callable[[int], None] | None = None,
) -> Descent:
    """Descend the loss 1/(2n) Σ_k (h(x_k) − y_k)² by full-batch gradients.

    One iteration of `optax.sgd(step)` is `step` units of the flow's time. The loop that accompanies
    arXiv 2206.00939, step 0.001 on the loss without the factor 1/2, is `optax.sgd(0.002)`. How the
    time is measured for other optimisers: `jaxflow.descent.clock`.

    Args:
        network: the initialisation; its weights have to fit in the precision.
        dataset: training data.
        optimizer: any optimiser of optax whose update needs no more than gradients and parameters;
            by default `optax.sgd(1e-3)`.
        steps: number of iterations.
        saved: increasing iterations to save, between 0 and `steps`; by default 201 equally spaced.
        precision: `float64` or `float32`, of all arithmetic of the descent.
        progress: called with the number of iterations made, at every saved one.

    Returns:
        A `Descent`; a descent that diverges ends with that status and does not raise.

    Raises:
        ValueError: an argument of the wrong type, shape or range; neurons so small that their
            weights would lose digits or vanish in the precision.
    """
    require_pair(network, dataset)
    optimizer = _checked(optax.sgd(1e-3) if optimizer is None else optimizer)
    iterations = _iterations(positive_integer("steps", steps), saved)
    dtype = _precision(precision)
    network = _fitting(network, dtype)
    weights = Weights(network.w.astype(dtype), network.a.astype(dtype))
    data = Data(dataset.x.astype(dtype), dataset.y.astype(dtype))
    start = _begin(optimizer, weights, data)
    if any(map(is_traced, jax.tree.leaves(start))):
        last, history = _walk_traced(optimizer, data, start, iterations)
    else:
        last, history = _walk(optimizer, data, start, iterations, progress)
    return _descent(dataset, iterations, last, history)


def _walk(optimizer, data, walker: Walker, iterations, progress) -> tuple[Walker, tuple]:
    """Piece by piece, so that the run can be interrupted and its progress shown."""
    history = []
    for iteration in iterations:
        for target in [*range(int(walker.iteration), iteration, UNINTERRUPTED)[1:], iteration]:
            walker = jax.block_until_ready(advance(optimizer, data, walker, jnp.array(target)))
        history.append(_shown(walker))
        if progress is not None:
            progress(int(iteration))
    return walker, tuple(jnp.asarray(np.stack(rows)) for rows in zip(*history, strict=True))


def _walk_traced(optimizer, data, walker: Walker, iterations) -> tuple[Walker, tuple]:
    """The same as one program, for `jax.vmap` and `jax.jit`."""

    def onward(walker, target):
        walker = advance(optimizer, data, walker, target)
        return walker, _shown(walker)

    return jax.lax.scan(onward, walker, jnp.asarray(iterations))


def _shown(walker: Walker) -> tuple[Array, Array, Array, Array]:
    """What is saved: time, weights, changes of activation."""
    return walker.clock.time, walker.weights.w, walker.weights.a, walker.flips


def _descent(dataset, iterations, last: Walker, history) -> Descent:
    ts, w, a, flips = history
    return Descent(
        ts=ts,
        iterations=jnp.asarray(iterations),
        w=w,
        a=a,
        flips=flips,
        dataset=dataset,
        stopped=last.iteration,
        code=jnp.where(last.finite, int(DescentStatus.done), int(DescentStatus.diverged)),
    )


def _begin(optimizer, weights: Weights, data: Data) -> Walker:
    """The start, after a trial iteration on shapes alone."""
    try:
        start = begin(optimizer, weights, data)
        eqx.filter_eval_shape(step, optimizer, data, start)
    except TypeError as error:
        raise ValueError(
            f"optimizer: got one that fails on gradients and parameters ({error}), wanted an "
            f"optimiser of optax that needs nothing else, such as optax.sgd(1e-3)"
        ) from error
    return start


def _checked(optimizer) -> optax.GradientTransformation:
    if not isinstance(optimizer, optax.GradientTransformation):
        raise ValueError(
            f"optimizer: got {optimizer!r}, wanted an optimiser of optax, such as optax.sgd(1e-3)"
        )
    return optimizer


def _iterations(steps: int, saved) -> Int[np.ndarray, " T"]:
    if saved is None:
        return np.unique(np.linspace(0, steps, min(SAVES, steps + 1)).round().astype(np.int64))
    given = np.asarray(saved)
    whole = given.ndim == 1 and given.size > 0 and np.issubdtype(given.dtype, np.integer)
    if not whole or given[0] < 0 or given[-1] > steps or np.any(np.diff(given) <= 0):
        raise ValueError(
            f"saved: got {saved!r}, wanted increasing whole numbers from 0 to steps = {steps}"
        )
    return given.astype(np.int64)


def _precision(precision: str):
    if precision not in PRECISIONS:
        raise ValueError(f"precision: got {precision!r}, wanted 'float64' or 'float32'")
    return jnp.dtype(precision)


def _fitting(network: ReluNetwork, dtype) -> ReluNetwork:
    """Refuse neurons whose weights would lose digits to underflow; zero neurons are let through."""
    log_norms = network.log_norms()
    limits = jnp.finfo(dtype)
    least, most = float(limits.tiny) / float(limits.eps), float(limits.max) / 2
    small = (log_norms < np.log(least)) & (log_norms > -jnp.inf)
    large = log_norms > np.log(most)
    if is_traced(log_norms):
        message = f"network: got neurons that do not fit in {dtype}"
        checked = eqx.error_if(network.a_mantissa, jnp.any(small | large), message)
        return eqx.tree_at(lambda n: n.a_mantissa, network, checked)
    for wrong, bound in ((small, f"at least {least:.1g}"), (large, f"at most {most:.1g}")):
        if jnp.any(wrong):
            size = float(log_norms[jnp.argmax(wrong)]) / np.log(10)
            raise ValueError(
                f"network: got a neuron of size 10^{size:.4g}, wanted {bound} in {dtype}; use "
                f"another scale or precision, or jaxflow.gradient_flow, which has no such limit"
            )
    return network
