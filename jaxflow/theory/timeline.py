"""When each saddle is left: birth times with their O(1) terms, for any width, on orthogonal inputs.

Neurons with the same sign and pattern become parallel and act as one of amplitude
c = sqrt(Σ_j c_j²), c_j from the early phase in closed form. A group grows like c exp(G t) until it
is born along the orbit that leaves the saddle in its direction; that orbit does not depend on the
initialisation, up to a shift of time that c fixes. A group that shares data with the born one is
carried through the fit by its own linear equation with the residuals of the orbit, and continues
with its new rate.

What is neglected vanishes with λ: like λ² where no unborn neuron shares data with a born one. A
competitor of level ℓ at a birth (see the jump process) disturbs that birth like λ^(2ℓ) or λ,
whichever is slower, and its own birth, later, carries an error like λ^(1 − ℓ), because it is not
yet fully aligned when it is carried through.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from jaxflow.dataset import Dataset
from jaxflow.network import ReluNetwork
from jaxflow.theory.frozen_residual import EarlyPhase, frozen_residual

START = 1e-7
"""Amplitude of a group, relative to its final one, from which its birth is integrated."""
FITTED = 1e-11
"""Largest relative residual at which a fit counts as over."""
RTOL = 1e-11


@dataclass(frozen=True, eq=False)
class Timeline:
    """Predicted exit times, in physical time."""

    exit_times: Float[np.ndarray, " J"]
    """When Σ y_k h(x_k)/Σ y_k² over the data of each birth passes the fraction asked for."""
    neurons: Int[np.ndarray, " J"]
    """The largest neuron of the group that is born."""
    fitted: np.ndarray
    """(J, n), the data that each birth fits."""
    fraction: float

    def __repr__(self) -> str:
        rows = (
            f"  t = {time:.9g}: neuron {neuron} and its like fit {np.flatnonzero(data).tolist()}"
            for time, neuron, data in zip(self.exit_times, self.neurons, self.fitted, strict=True)
        )
        return "\n".join([f"Timeline (outputs at {self.fraction:g} of the labels):", *rows])


@dataclass(eq=False)
class _Groups:
    """Effective neurons: amplitude exp(base + rate · t) in the growing direction of their data."""

    base: np.ndarray
    rate: np.ndarray
    data: np.ndarray
    leader: np.ndarray


def timeline(network: ReluNetwork, dataset: Dataset, *, fraction: float = 0.5) -> Timeline:
    """Predict when each saddle is left, with the O(1) terms, for the scale at hand.

    Args:
        network: initialisation, every |a_j| ≥ ‖w_j‖; its scale counts, and may be below 1e-308.
        dataset: orthogonal inputs.
        fraction: of the labels that the outputs reach at the times given, between 0 and 1.

    Raises:
        ValueError: a fraction outside (0, 1), inputs not orthogonal, dimensions that differ, a
            neuron with |a_j| < ‖w_j‖.

    Source: arXiv 2206.00939, section 4, with its estimates replaced by the orbits themselves.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: got {fraction!r}, wanted a number between 0 and 1")
    y, norms = np.abs(np.asarray(dataset.y)), np.linalg.norm(np.asarray(dataset.x), axis=1)
    pull = norms / dataset.n
    groups = _effective_neurons(frozen_residual(network, dataset))
    births = []
    while np.any(groups.data):
        born = _next(groups, y / norms)
        data = groups.data[born].copy()
        begin, orbit = _leave_saddle(groups, born, y, pull, norms)
        births.append((_passing(orbit, y, norms, fraction, data), groups.leader[born], data))
        _carry_through(groups, data, begin, orbit, y, pull, norms)
    births.sort(key=lambda birth: birth[0])
    times, leaders, fits = zip(*births, strict=True) if births else ((), (), ())
    shape = (len(births), dataset.n)
    return Timeline(
        np.array(times), np.array(leaders, int), np.array(fits, bool).reshape(shape), fraction
    )


def _effective_neurons(early: EarlyPhase) -> _Groups:
    """One effective neuron for each sign and pattern of the end of the early phase."""
    labelled = np.asarray(early.active) & (np.asarray(early.dataset.y) != 0)
    amplitude, rate = np.asarray(early.log_growing), np.asarray(early.rates)
    patterns, group = np.unique(labelled, axis=0, return_inverse=True)
    group = group.ravel()  # all neurons of a pattern have one sign: that of its labels
    members = [np.flatnonzero((group == g) & (rate > 0)) for g in range(len(patterns))]
    kept = [g for g, own in enumerate(members) if own.size]
    members = [members[g] for g in kept]
    return _Groups(
        base=np.array([0.5 * np.logaddexp.reduce(2 * amplitude[own]) for own in members]),
        rate=np.array([rate[own[0]] for own in members]),
        data=patterns[kept],
        leader=np.array([own[np.argmax(amplitude[own])] for own in members], int),
    )


def _next(groups: _Groups, sizes: np.ndarray) -> int:
    """The group whose growth first reaches its final amplitude sqrt(‖v‖)."""
    final = 0.25 * np.log(np.maximum(groups.data @ sizes**2, np.finfo(float).tiny))
    growing = groups.rate > 0
    times = np.where(growing, (final - groups.base) / np.where(growing, groups.rate, 1), np.inf)
    return int(np.argmin(times))


def _leave_saddle(groups: _Groups, born: int, y, pull, norms):
    """The orbit of the born group, a' = Σ v_k r_k ‖x_k‖/n, v_k' = a r_k ‖x_k‖/n, from its start.

    Signs are turned so that everything is positive; v_k = u_k/‖x_k‖ and r_k = |y_k| − ‖x_k‖ a v_k.
    """
    data, rate = groups.data[born], groups.rate[born]
    small = START * (data @ (y / norms) ** 2) ** 0.25
    begin = (np.log(small) - groups.base[born]) / rate
    start = small * np.concatenate([[1.0], np.where(data, y * pull / rate, 0.0)])

    def field(_, z):
        force = np.where(data, (y - norms * z[0] * z[1:]) * pull, 0.0)
        return np.concatenate([[z[1:] @ force], z[0] * force])

    def unfitted(_, z):
        relative = 1 - norms[data] * z[0] * z[1:][data] / y[data]
        return np.max(np.abs(relative)) - FITTED

    unfitted.terminal = True
    longest = 1e4 * np.log(1 / START) / rate
    return begin, solve_ivp(
        field, (begin, begin + longest), start, "DOP853", dense_output=True, events=unfitted,
        rtol=RTOL, atol=RTOL * START * small,
    )  # fmt: skip


def _passing(orbit, y, norms, fraction: float, data) -> float:
    """When the outputs on the data of the birth pass the fraction of the labels."""

    def missing(time):
        z = orbit.sol(time)
        outputs = np.where(data, norms * z[0] * z[1:], 0.0)
        return (y[data] @ outputs[data]) / (y[data] @ y[data]) - fraction

    return float(brentq(missing, orbit.t[0], orbit.t[-1], xtol=1e-13, rtol=1e-14))


def _carry_through(groups: _Groups, data, begin: float, orbit, y, pull, norms) -> None:
    """Carry the groups that share data through the fit, with ρ = log a and q_k = v_k/a."""
    touched = np.flatnonzero(np.any(groups.data & data, axis=1))
    sets = groups.data[touched]
    rate = groups.rate[touched]
    forces = np.where(sets, y * pull, 0.0)
    start = np.concatenate([np.zeros((touched.size, 1)), forces / rate[:, None]], axis=1)

    def field(time, state):
        z = orbit.sol(time)
        residual = np.where(data, y - norms * z[0] * z[1:], y)
        q = state.reshape(touched.size, -1)[:, 1:]
        force = np.where(sets & ~((q <= 0) & (residual < 0)), residual * pull, 0.0)
        growth = np.sum(q * force, axis=1, keepdims=True)
        return np.concatenate([growth, force - q * growth], axis=1).ravel()

    end = float(orbit.t[-1])
    run = solve_ivp(field, (begin, end), start.ravel(), "DOP853", rtol=RTOL, atol=RTOL)
    state = run.y[:, -1].reshape(touched.size, -1)
    left = sets & ~data
    new_forces = np.where(left, y * pull, 0.0)
    new_rate = np.linalg.norm(new_forces, axis=1)
    along = np.sum(state[:, 1:] * new_forces, axis=1) / np.where(new_rate > 0, new_rate, 1.0)
    reached = groups.base[touched] + rate * begin + state[:, 0] + np.log((1 + along) / 2)
    groups.base[touched] = reached - new_rate * end
    groups.rate[touched] = new_rate
    groups.data[touched] = left
