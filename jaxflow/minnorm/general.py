"""Arbitrary inputs: the cone programme over activation patterns, polished and certified."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.dataset import Dataset
from jaxflow.minnorm.branching import SphereMaximum
from jaxflow.minnorm.column_generation import Limits, generate_columns, highest_peaks
from jaxflow.minnorm.dual_function import Peak, distinct
from jaxflow.minnorm.extreme import cheapest_combination, extreme_network, is_unique, mended
from jaxflow.minnorm.interpolator import BRACKETED, CERTIFIED, HEURISTIC, Interpolator
from jaxflow.minnorm.polish import neurons_as_found, neurons_in_use, polish
from jaxflow.minnorm.reduction import Problem, reduced
from jaxflow.minnorm.spanning import label_costs, spanning_directions
from jaxflow.network import ReluNetwork
from jaxflow.validation import is_traced

CERTIFIED_GAP = 1e-10
"""Relative gap up to which a rigorous bound makes the value certified."""

GUESSES = (
    (neurons_in_use, 1e-6, 1e-4),
    (neurons_in_use, 1e-4, 1e-6),
    (neurons_as_found, 1e-6, 1e-5, 1e-5),
    (neurons_as_found, 1e-4, 1e-6, 1e-6),
    (neurons_as_found, 1e-4, 1e-8, 1e-5),
    (neurons_in_use, 1e-9, 1e-4),
)
"""Ways to tell which neurons of the cone programme are in use, tried in turn until polishing works:
the interior-point method blurs the distinction."""

POLISH_ROUNDS = 8
"""Times that polishing is repeated with the peaks that the certificate found above one."""


class _Answer(NamedTuple):
    """Peaks with norms that (nearly) fit, a dual, and the dual function's maximum."""

    peaks: list[Peak]
    norms: Float[np.ndarray, " q"]
    beta: Float[np.ndarray, " p"]
    search: SphereMaximum
    fits: bool


def general_minimum(dataset: Dataset, *, limits: Limits | None = None) -> Interpolator:
    """Minimum variation norm for arbitrary inputs.

    The inputs are reduced to distinct unit vectors spanning their space, the cone programme is
    solved over as many activation patterns as its dual asks for, the neurons in use are polished
    by Newton's method, and the dual is certified over the whole sphere.

    Args:
        dataset: the data set; concrete, not traced.
        limits: how long one search over the sphere may be; the default visits 20000 nodes.

    Raises:
        ValueError: traced data; labels that no network can interpolate.

    Source: the programme over patterns is that of arXiv 2002.10553 (Pilanci and Ergen), Theorem 1,
    with interpolation in place of a loss.
    """
    if is_traced(dataset.x) or is_traced(dataset.y):
        raise ValueError(
            "dataset: got traced data with inputs not known to be orthogonal, wanted a concrete "
            "data set: the cone programme runs outside jit and vmap; for orthogonal inputs build "
            "the Dataset before tracing"
        )
    limits = limits or Limits()
    problem = reduced(dataset)
    if not problem.labels.any():
        return _zero_network(dataset, problem)
    directions = spanning_directions(problem.points)
    answer = _solved(problem, directions, limits)
    return _interpolator(dataset, problem, answer, directions)


def _solved(problem: Problem, directions, limits: Limits) -> _Answer:
    """Cone programme, then polishing; linear programming over directions if that fails."""
    points, labels = problem.points, problem.labels
    solution, cells = generate_columns(points, labels, directions, limits)
    for guess, *tolerances in GUESSES:
        peaks, norms = guess(points, solution, cells, *tolerances)
        answer = _polished(points, labels, solution.beta, peaks, norms, limits)
        if answer is not None:
            return answer
    search = highest_peaks(points, solution.beta, peaks, limits)
    everywhere = [peak.direction for peak in peaks + search.peaks]
    everywhere += [v / np.linalg.norm(v) for v in solution.neurons if v @ v > 1e-20]
    everywhere = np.concatenate([np.stack(everywhere), directions])
    peaks, norms = cheapest_combination(points, labels, everywhere)
    return _Answer(peaks, norms, solution.beta, search, False)


def _polished(points, labels, beta, peaks: list[Peak], norms, limits: Limits) -> _Answer | None:
    """Polish until the certificate finds no peak above one; nothing if that does not happen."""
    for _ in range(POLISH_ROUNDS):
        if not peaks:
            return None
        polished = polish(points, labels, beta, peaks, norms)
        if polished.error > 1e-9:
            return None
        search = highest_peaks(points, polished.beta, polished.peaks, limits)
        rounding = 16 * np.finfo(float).eps * float(np.sum(np.abs(polished.beta)))
        if search.value <= 1 + max(0.1 * CERTIFIED_GAP, rounding):
            return _Answer(polished.peaks, polished.norms, polished.beta, search, True)
        beta, peaks, norms = polished.beta, *_with_new(polished, search.peaks)
    return None


def _with_new(polished, found: list[Peak]) -> tuple[list[Peak], Float[np.ndarray, " q"]]:
    """The polished peaks, and with norm zero those that the certificate found beside them."""
    peaks = distinct(polished.peaks + found)
    known = {id(peak): norm for peak, norm in zip(polished.peaks, polished.norms, strict=True)}
    return peaks, np.array([known.get(id(peak), 0.0) for peak in peaks])


def _interpolator(dataset, problem: Problem, answer: _Answer, directions) -> Interpolator:
    neurons, used = extreme_network(problem.points, problem.labels, answer.peaks, answer.norms)
    neurons, used = mended(problem.points, problem.labels, neurons, used, directions)
    signs = np.array([peak.sign for peak in used])
    value = problem.scale * float(np.sum(np.linalg.norm(neurons, axis=1)))
    search = answer.search
    total = problem.scale * float(answer.beta @ problem.labels)
    rigorous = total / search.bound
    lower = rigorous if search.complete else total / search.value
    touching = [peak for peak in search.peaks if peak.value >= search.value * (1 - 1e-11)]
    decidable = search.complete and answer.fits and value - lower <= CERTIFIED_GAP * value
    unique = is_unique(problem.points, problem.labels, used, touching) if decidable else None
    dual = np.zeros(dataset.n)
    dual[problem.datum] = answer.beta / problem.length[problem.datum] * (lower / total)
    return Interpolator(
        dataset=dataset,
        value=jnp.asarray(value),
        network=_balanced(problem, neurons, signs),
        dual=jnp.asarray(dual),
        lower_bound=jnp.asarray(lower),
        rigorous_bound=jnp.asarray(rigorous),
        label_cost=_label_costs(problem, directions),
        status=_status(value, lower, search.complete),
        unique=unique,
    )


def _status(value: float, lower: float, complete: bool) -> str:
    if not complete:
        return HEURISTIC
    return CERTIFIED if value - lower <= CERTIFIED_GAP * value else BRACKETED


def _balanced(problem: Problem, neurons, signs) -> ReluNetwork:
    """a_i = s_i √(scale ‖v_i‖) and w_i = frame v_i √scale / √‖v_i‖, so that |a_i| = ‖w_i‖."""
    norm = np.linalg.norm(neurons, axis=1)
    root = np.sqrt(problem.scale * norm)
    w = (neurons / norm[:, None] * root[:, None]) @ problem.frame.T
    return ReluNetwork(w, signs * root)


def _label_costs(problem: Problem, directions) -> Float[Array, " n"]:
    """κ of every datum, in the lengths of the data set."""
    return jnp.asarray(label_costs(problem.points, directions)[problem.ray] / problem.length)


def _zero_network(dataset: Dataset, problem: Problem) -> Interpolator:
    """All labels vanish: the zero network, with the zero dual."""
    zero = jnp.asarray(0.0)
    return Interpolator(
        dataset=dataset,
        value=zero,
        network=ReluNetwork(np.zeros((1, dataset.dim)), np.zeros(1)),
        dual=jnp.zeros(dataset.n),
        lower_bound=zero,
        rigorous_bound=zero,
        label_cost=_label_costs(problem, spanning_directions(problem.points)),
        status=CERTIFIED,
        unique=True,
    )
