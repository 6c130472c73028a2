"""The data set without what does not matter: lengths of inputs, repetitions, idle dimensions.

A neuron sees an input only through max(⟨w, x⟩, 0), which is homogeneous: x_k with label y_k asks
for the same as x_k/‖x_k‖ with label y_k/‖x_k‖. Inputs on one ray are one point, and components of w
orthogonal to all inputs cost norm and do nothing.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxflow.dataset import Dataset

SAME_RAY = 64 * np.finfo(float).eps
"""Unit vectors closer than this are rounded copies of one direction."""

SAME_LABEL = 1e-13
"""Labels of one input closer than this, relative to the largest label, are rounded copies."""


class Problem(NamedTuple):
    """Distinct unit points spanning R^r, with labels of which the largest is one in size.

    Args:
        points: unit vectors, one for each ray of inputs.
        labels: y_k/‖x_k‖, divided by `scale`.
        scale: largest |y_k|/‖x_k‖.
        frame: orthonormal columns; a neuron u in R^r is the neuron frame @ u for the data set.
        datum: index of a datum on each ray.
        ray: the ray on which each datum lies.
        length: ‖x_k‖ of every datum.
    """

    points: Float[np.ndarray, "p r"]
    labels: Float[np.ndarray, " p"]
    scale: float
    frame: Float[np.ndarray, "d r"]
    datum: Int[np.ndarray, " p"]
    ray: Int[np.ndarray, " n"]
    length: Float[np.ndarray, " n"]


def reduced(dataset: Dataset) -> Problem:
    """Normalise the inputs, merge those on one ray, and rotate into the space that they span.

    Raises:
        ValueError: two inputs x_l = c x_k with c > 0 but y_l ≠ c y_k, which no network fits.
    """
    x, y = np.asarray(dataset.x), np.asarray(dataset.y)
    largest = np.max(np.abs(x), axis=1)
    direction = x / largest[:, None]
    length = np.linalg.norm(direction, axis=1)
    direction, length = direction / length[:, None], length * largest
    size = y / length
    datum, ray = _rays(direction)
    scale = float(np.max(np.abs(size))) or 1.0
    _refuse_contradictions(size / scale, datum, ray)
    points, frame = _in_own_span(direction[datum])
    return Problem(points, size[datum] / scale, scale, frame, datum, ray, length)


def _rays(direction: Float[np.ndarray, "n d"]) -> tuple[Int[np.ndarray, " p"], np.ndarray]:
    """First datum on each ray, and the ray of each datum."""
    datum, ray = [], np.empty(len(direction), dtype=int)
    for k, unit in enumerate(direction):
        distance = [np.linalg.norm(unit - direction[first]) for first in datum]
        if distance and min(distance) <= SAME_RAY:
            ray[k] = int(np.argmin(distance))
        else:
            ray[k] = len(datum)
            datum.append(k)
    return np.array(datum), ray


def _refuse_contradictions(size, datum, ray) -> None:
    difference = np.abs(size - size[datum][ray])
    worst = int(np.argmax(difference))
    if difference[worst] > SAME_LABEL:
        first = int(datum[ray[worst]])
        raise ValueError(
            f"dataset: got inputs {first} and {worst} on one ray through the origin with labels "
            f"that are not in the ratio of their lengths, wanted labels that some network can "
            f"interpolate (y_l = c y_k wherever x_l = c x_k, c > 0); remove one of the two, or "
            f"append a constant coordinate as a bias if the inputs differ in length"
        )


def _in_own_span(unit: Float[np.ndarray, "p d"]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in an orthonormal basis of the row space, and that basis."""
    _, singular, rows = np.linalg.svd(unit, full_matrices=False)
    rank = int(np.sum(singular > max(unit.shape) * np.finfo(float).eps * singular[0]))
    if rank == unit.shape[1]:
        return unit, np.eye(rank)
    points = unit.astype(np.longdouble) @ rows[:rank].T
    points /= np.sqrt(np.sum(points**2, axis=1, keepdims=True))
    return points.astype(float), rows[:rank].T
