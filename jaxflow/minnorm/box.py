"""Nearest point to the origin of a linear image of a box: the convex problem of every bound."""

import numpy as np
from jaxtyping import Float

GRADIENT_TOLERANCE = 1e-14
"""A bound of the box is left only for a gradient of at least this, relative to the largest t."""


def shortest_combination(
    gram: Float[np.ndarray, "p p"],
    low: Float[np.ndarray, " p"],
    high: Float[np.ndarray, " p"],
    start: Float[np.ndarray, " p"] | None = None,
) -> Float[np.ndarray, " p"]:
    """Coefficients t that minimise ‖Σ_k t_k x_k‖ over the box low ≤ t ≤ high.

        minimise tᵀ G t,   G_kl = ⟨x_k, x_l⟩,   low_k ≤ t_k ≤ high_k, infinite bounds allowed

    An active-set method: solve on the free coefficients, stop at the first bound that is met, free
    the bound with the steepest gradient. Any t in the box is a valid answer for the bounds built
    on it, so that an early end (more than 8p + 20 changes) costs tightness, never validity.

    Args:
        gram: Gram matrix of the points.
        low, high: the box, with at least one finite bound for each coefficient.
        start: coefficients to start from; they are clipped to the box.

    Source: P. B. Stark and R. L. Parker, Computational Statistics 10 (1995), 129-141.
    """
    t = np.clip(np.zeros_like(low) if start is None else start, low, high)
    free = (t > low) & (t < high)
    movable = low < high
    refused = np.zeros_like(free)
    newest, origin = -1, 0.0
    for _ in range(8 * low.size + 20):
        if free.any():
            blocked = _move_towards_solution(gram, low, high, t, free)
            if blocked:
                pushed_back = newest >= 0 and not free[newest] and t[newest] == origin
                refused[newest if pushed_back else slice(None)] = pushed_back
                continue
            refused[:] = False
        newest = _steepest_bound(gram, low, high, t, movable & ~free & ~refused)
        if newest < 0:
            break
        free[newest], origin = True, t[newest]
    return t


def _move_towards_solution(gram, low, high, t, free) -> bool:
    """Move the free coefficients to their optimum, or to the first bound; whether one was met."""
    index = np.flatnonzero(free)
    block = gram[np.ix_(index, index)]
    gradient = gram[index] @ t
    try:
        change = np.linalg.solve(block, -gradient)
    except np.linalg.LinAlgError:
        change = np.linalg.lstsq(block, -gradient, rcond=None)[0]
    here = t[index]
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(change > 0, (high[index] - here) / change, np.inf)
        room = np.where(change < 0, (low[index] - here) / change, room)
    step = max(float(room.min()), 0.0)
    if step >= 1.0:
        t[index] = here + change
        return False
    t[index] = np.clip(here + step * change, low[index], high[index])
    met = index[room <= step]
    t[met] = np.where(change[room <= step] > 0, high[met], low[met])
    free[met] = False
    return True


def _steepest_bound(gram, low, high, t, candidates) -> int:
    """The bound that the gradient asks to leave most, −1 if there is none."""
    gradient = gram @ t
    pull = np.where(t <= low, -gradient, np.where(t >= high, gradient, 0.0))
    pull = np.where(candidates, pull, 0.0)
    best = int(np.argmax(pull))
    return best if pull[best] > GRADIENT_TOLERANCE * max(np.max(np.abs(t)), 1e-300) else -1
