"""Births one after the other: the loop of the jump process on activation patterns alone."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

BISECTIONS = 55
"""Halvings of the interval of an eigenvalue: to rounding."""


class Births(eqx.Module):
    """State of the process: what is born so far, and every neuron's level, rate and data left."""

    times: Float[Array, " J"]
    neurons: Int[Array, " J"]
    fitted: Bool[Array, "J n"]
    count: Int[Array, ""]
    separation: Float[Array, ""]
    closest: Int[Array, " 2"]
    """The birth and the other neuron that the separation belongs to, −1 without one."""
    fit_rates: Float[Array, " n"]
    """The slowest rate at which the fit of each datum relaxes."""
    fit_times: Float[Array, " n"]
    fitters: Int[Array, " n"]
    """The neuron that fits each datum, −1 so far."""
    now: Float[Array, ""]
    levels: Float[Array, " m"]
    rates: Float[Array, " m"]
    remaining: Int[Array, " m"]
    done: Bool[Array, " n"]


@jax.jit
def run_births(
    patterns: Bool[Array, "m n"], strengths: Float[Array, " n"], sizes: Float[Array, " n"]
) -> Births:
    """Run the process, from the rates |y_k| ‖x_k‖/n of single data and their sizes |y_k|/‖x_k‖."""
    m, n = patterns.shape
    capacity = min(m, n)
    nothing = jnp.zeros(n, bool)
    start = Births(
        times=jnp.full(capacity, jnp.inf),
        neurons=jnp.full(capacity, -1, jnp.int32),
        fitted=jnp.zeros((capacity, n), bool),
        count=jnp.zeros((), jnp.int32),
        separation=jnp.asarray(jnp.inf),
        closest=jnp.full(2, -1, jnp.int32),
        fit_rates=jnp.zeros(n),
        fit_times=jnp.zeros(n),
        fitters=jnp.full(n, -1, jnp.int32),
        now=jnp.asarray(0.0),
        levels=jnp.ones(m),
        rates=_rates(patterns, nothing, strengths),
        remaining=jnp.sum(patterns, axis=1, dtype=jnp.int32),
        done=nothing,
    )
    return jax.lax.while_loop(
        lambda state: jnp.any(state.rates > 0),
        partial(_next_birth, patterns, strengths, sizes),
        start,
    )


def _rates(patterns, done, strengths) -> Float[Array, " m"]:
    """G_j = ‖Σ_{k ∈ A_j∖F} y_k x_k‖/n for orthogonal inputs."""
    largest = jnp.maximum(jnp.max(strengths), jnp.finfo(strengths.dtype).tiny)
    squares = jnp.where(patterns & ~done, (strengths / largest) ** 2, 0.0)
    return largest * jnp.sqrt(jnp.sum(squares, axis=1))


def _next_birth(patterns, strengths, sizes, state: Births) -> Births:
    growing = state.rates > 0
    waits = jnp.where(growing, state.levels / jnp.where(growing, state.rates, 1.0), jnp.inf)
    born = jnp.argmin(waits)
    levels = jnp.maximum(state.levels - state.rates * waits[born], 0.0)
    fitted = patterns[born] & ~state.done
    shared = jnp.sum(patterns & fitted, axis=1, dtype=jnp.int32)
    done, now = state.done | fitted, state.now + waits[born]
    level, rival = _closest(levels, shared, born, patterns[born] & state.done, now, state)
    nearer = level < state.separation
    born = born.astype(jnp.int32)
    return Births(
        times=state.times.at[state.count].set(now),
        neurons=state.neurons.at[state.count].set(born),
        fitted=state.fitted.at[state.count].set(fitted),
        count=state.count + 1,
        separation=jnp.minimum(state.separation, level),
        closest=jnp.where(nearer, jnp.stack([state.count, rival]), state.closest),
        fit_rates=jnp.where(fitted, slowest_fit(fitted, strengths, sizes), state.fit_rates),
        fit_times=jnp.where(fitted, now, state.fit_times),
        fitters=jnp.where(fitted, born, state.fitters),
        now=now,
        levels=levels,
        rates=_rates(patterns, done, strengths),
        remaining=state.remaining - shared,
        done=done,
    )


def _closest(levels, shared, born, seen, now, state: Births):
    """Least level at a birth, and whose: of a competitor, or of an earlier fit of data it sees."""
    rivals = _rival_levels(levels, shared, state.remaining, born)
    rival = jnp.argmin(rivals).astype(jnp.int32)
    relaxed = jnp.where(seen, state.fit_rates * (now - state.fit_times), jnp.inf)
    datum = jnp.argmin(relaxed)
    fit_is_nearer = relaxed[datum] < rivals[rival]
    other = jnp.where(fit_is_nearer, state.fitters[datum], rival)
    return jnp.minimum(rivals[rival], relaxed[datum]), other


def _rival_levels(levels, shared, remaining, born) -> Float[Array, " m"]:
    """Levels of competitors, infinite elsewhere: some data shared with the born neuron, not all."""
    same_data = (shared == remaining) & (shared == remaining[born])
    return jnp.where((shared > 0) & ~same_data, levels, jnp.inf)


def slowest_fit(
    fitted: Bool[Array, " n"], strengths: Float[Array, " n"], sizes: Float[Array, " n"]
) -> Float[Array, ""]:
    """Least eigenvalue of K/n on the data that one neuron fits.

    With g_k = |y_k| ‖x_k‖/n, v_k = |y_k|/‖x_k‖ and a² = ‖v‖, K/n is diag(a² g_k/v_k) + z zᵀ,
    z_k² = g_k v_k/a². The least eigenvalue is the root of 1 + Σ z_k²/(d_k − μ) between the two
    smallest d_k, or below d_1 + ‖z‖²; it is found by bisection.
    """
    squared = jnp.sqrt(jnp.sum(jnp.where(fitted, sizes, 0.0) ** 2))
    squared = jnp.where(squared > 0, squared, 1.0)
    diagonal = jnp.where(fitted, squared * strengths / jnp.where(fitted, sizes, 1.0), jnp.inf)
    weights = jnp.where(fitted, strengths * sizes / squared, 0.0)
    least = jnp.argmin(diagonal)
    second = jnp.min(diagonal.at[least].set(jnp.inf))
    low, high = diagonal[least], jnp.minimum(second, diagonal[least] + jnp.sum(weights))

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        gaps = jnp.where(fitted & (diagonal != middle), diagonal - middle, jnp.inf)
        too_far = 1 + jnp.sum(weights / gaps) > 0
        return jnp.where(too_far, low, middle), jnp.where(too_far, middle, high)

    return jnp.mean(jnp.stack(jax.lax.fori_loop(0, BISECTIONS, halve, (low, high))))
