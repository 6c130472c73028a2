"""Births one after the other: the loop of the jump process on activation patterns alone."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Births(eqx.Module):
    """State of the process: what is born so far, and every neuron's level, rate and data left."""

    times: Float[Array, " J"]
    neurons: Int[Array, " J"]
    fitted: Bool[Array, "J n"]
    count: Int[Array, ""]
    separation: Float[Array, ""]
    closest: Int[Array, " 2"]
    """The birth and the competitor that the separation belongs to, −1 without competitors."""
    now: Float[Array, ""]
    levels: Float[Array, " m"]
    rates: Float[Array, " m"]
    remaining: Int[Array, " m"]
    done: Bool[Array, " n"]


@jax.jit
def run_births(patterns: Bool[Array, "m n"], strengths: Float[Array, " n"]) -> Births:
    """Run the process; `strengths` are |y_k| ‖x_k‖/n, the rates of single data."""
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
        now=jnp.asarray(0.0),
        levels=jnp.ones(m),
        rates=_rates(patterns, nothing, strengths),
        remaining=jnp.sum(patterns, axis=1, dtype=jnp.int32),
        done=nothing,
    )
    return jax.lax.while_loop(
        lambda state: jnp.any(state.rates > 0), partial(_next_birth, patterns, strengths), start
    )


def _rates(patterns, done, strengths) -> Float[Array, " m"]:
    """G_j = ‖Σ_{k ∈ A_j∖F} y_k x_k‖/n for orthogonal inputs."""
    largest = jnp.maximum(jnp.max(strengths), jnp.finfo(strengths.dtype).tiny)
    squares = jnp.where(patterns & ~done, (strengths / largest) ** 2, 0.0)
    return largest * jnp.sqrt(jnp.sum(squares, axis=1))


def _next_birth(patterns, strengths, state: Births) -> Births:
    growing = state.rates > 0
    waits = jnp.where(growing, state.levels / jnp.where(growing, state.rates, 1.0), jnp.inf)
    born = jnp.argmin(waits)
    levels = jnp.maximum(state.levels - state.rates * waits[born], 0.0)
    fitted = patterns[born] & ~state.done
    shared = jnp.sum(patterns & fitted, axis=1, dtype=jnp.int32)
    done, now = state.done | fitted, state.now + waits[born]
    rivals = _rival_levels(levels, shared, state.remaining, born)
    rival = jnp.argmin(rivals).astype(jnp.int32)
    nearer = rivals[rival] < state.separation
    return Births(
        times=state.times.at[state.count].set(now),
        neurons=state.neurons.at[state.count].set(born.astype(jnp.int32)),
        fitted=state.fitted.at[state.count].set(fitted),
        count=state.count + 1,
        separation=jnp.minimum(state.separation, rivals[rival]),
        closest=jnp.where(nearer, jnp.stack([state.count, rival]), state.closest),
        now=now,
        levels=levels,
        rates=_rates(patterns, done, strengths),
        remaining=state.remaining - shared,
        done=done,
    )


def _rival_levels(levels, shared, remaining, born) -> Float[Array, " m"]:
    """Levels of competitors, infinite elsewhere: some data shared with the born neuron, not all."""
    same_data = (shared == remaining) & (shared == remaining[born])
    return jnp.where((shared > 0) & ~same_data, levels, jnp.inf)
