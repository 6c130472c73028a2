"""From a network and data to log-scale coordinates, and back."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.dataset import Dataset
from jaxflow.flow.activation import Modes, first_modes
from jaxflow.flow.coordinates import (
    Balance,
    State,
    assemble,
    balance_of,
    hidden_parts,
    log_norms,
    output_parts,
)
from jaxflow.flow.field import residual
from jaxflow.flow.problem import Problem, problem_of
from jaxflow.flow.rows import sum_of_rows
from jaxflow.flow.span import Span
from jaxflow.modes import codes
from jaxflow.network import LOG2, ReluNetwork, split_exponential


class Launch(eqx.Module):
    """A run about to start: the problem, the moving part of every neuron, and the part at rest.

    With orthogonal inputs the coordinates of inactive pairs never move and belong to the part at
    rest, as does everything outside the span of the data: w_j = w_rest,j + Σ_k p_jk e_k, where
    w_rest,j = 2^exponent_j · rest_j with the exponents of the network.
    """

    problem: Problem
    state: State
    modes: Modes
    balance: Balance
    rest: Float[Array, "m d"]
    exponent: Int[Array, " m"]

    @eqx.filter_jit
    def hidden_weights(self, states: Float[Array, "*t q+2 m"]) -> Float[Array, "*t m d"]:
        """w_j at given states."""
        moving = jnp.exp(log_norms(states))[..., None, :] * hidden_parts(states)
        rest = jnp.ldexp(self.rest, self.exponent[..., None])
        return rest + jnp.swapaxes(moving, -1, -2) @ self.problem.span.basis

    @eqx.filter_jit
    def network(self, state: State) -> ReluNetwork:
        """The network at a state, exact at any scale."""
        exponent, factor = split_exponential(log_norms(state))
        shift = jnp.clip(self.exponent - exponent, -2000, 2000)
        rest = jnp.ldexp(self.rest, shift[:, None])
        w = rest + (factor * hidden_parts(state)).T @ self.problem.span.basis
        return ReluNetwork.from_mantissa(w, factor * output_parts(state), exponent)


def launch(network: ReluNetwork, dataset: Dataset) -> Launch:
    """Coordinates of a network in the span of the data."""
    problem = problem_of(dataset)
    span = problem.span
    w, a = network.w_mantissa, network.a_mantissa
    u = dataset.x @ w.T
    p = _coordinates(span, w, u > 0)
    norm = jnp.sqrt(a**2 + sum_of_rows(p**2))
    safe = jnp.where(norm > 0, norm, 1.0)
    rho = jnp.where(norm > 0, network.exponent * LOG2 + jnp.log(safe), 0.0)
    state = assemble(rho, a / safe, p / safe)
    balance = balance_of(a, p, norm, rho)
    modes = report_starts(problem, first_modes(problem, u), state, u)
    return Launch(problem, state, modes, balance, w - p.T @ span.basis, network.exponent)


def report_starts(problem: Problem, modes: Modes, state: State, u: Float[Array, "n m"]) -> Modes:
    """Report neurons that start on a boundary that repels them: their start is not unique.

    Such a pair is inactive at first, because relu'(0) = 0; to leave to the active side would be
    another solution. On orthogonal inputs, where the pair stays at rest for good, nothing is said.
    """
    if modes.slide is None:
        return modes
    push = output_parts(state) * residual(problem, modes, state)[:, None]
    repelled = jnp.any((u == 0) & (push > 0))
    flag = jnp.where(repelled, codes.NON_UNIQUE, codes.UNIQUE)
    return Modes(modes.active, replace(modes.slide, flag=flag))


def _coordinates(span: Span, w, active):
    p = span.basis @ w.T
    return jnp.where(active, p, 0.0) if span.orthogonal else p
