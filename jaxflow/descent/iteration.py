"""Iterations of descent: gradient, optimiser, changes of activation, in the precision asked for."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxflow.descent.clock import Clock


class Data(eqx.Module):
    """Training data in the precision of the descent."""

    x: Float[Array, "n d"]
    y: Float[Array, " n"]


class Weights(eqx.Module):
    """What the optimiser moves."""

    w: Float[Array, "m d"]
    a: Float[Array, " m"]


class Walker(eqx.Module):
    """State of a descent between two iterations."""

    weights: Weights
    state: optax.OptState
    clock: Clock
    active: Bool[Array, "m n"]
    iteration: Int[Array, ""]
    flips: Int[Array, ""]
    finite: Bool[Array, ""]


def begin(optimizer: optax.GradientTransformation, weights: Weights, data: Data) -> Walker:
    """Before the first iteration."""
    return Walker(
        weights=weights,
        state=optimizer.init(weights),
        clock=Clock.start(optimizer),
        active=weights.w @ data.x.T > 0,
        iteration=jnp.zeros((), jnp.int64),
        flips=jnp.zeros((), jnp.int64),
        finite=jnp.ones((), bool),
    )


def gradient(weights: Weights, data: Data) -> Weights:
    """Gradient of 1/(2n) Σ_k (h(x_k) − y_k)²: −a_j D_j and −⟨w_j, D_j⟩, with relu'(0) = 0."""
    u = weights.w @ data.x.T
    r = data.y - weights.a @ jax.nn.relu(u)
    force = jnp.where(u > 0, r, 0) @ data.x / len(data.y)
    return Weights(-weights.a[:, None] * force, -jnp.sum(weights.w * force, axis=1))


def step(optimizer: optax.GradientTransformation, data: Data, walker: Walker) -> Walker:
    """One iteration."""
    force = gradient(walker.weights, data)
    move, state = optimizer.update(force, walker.state, walker.weights)
    weights = optax.apply_updates(walker.weights, move)
    active = weights.w @ data.x.T > 0
    return Walker(
        weights=weights,
        state=state,
        clock=walker.clock.tick(optimizer),
        active=active,
        iteration=walker.iteration + 1,
        flips=walker.flips + jnp.sum(active != walker.active),
        finite=jnp.all(jnp.isfinite(weights.w)) & jnp.all(jnp.isfinite(weights.a)),
    )


@eqx.filter_jit
def advance(
    optimizer: optax.GradientTransformation, data: Data, walker: Walker, target: Int[Array, ""]
) -> Walker:
    """Iterate until `target` iterations are made or a weight is no longer finite."""

    def going(walker):
        return (walker.iteration < target) & walker.finite

    return jax.lax.while_loop(going, lambda now: step(optimizer, data, now), walker)
