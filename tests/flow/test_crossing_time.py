"""The first crossing of a margin within a step, judged by the cubic through both ends."""

import numpy as np
import pytest

from jaxflow.flow.crossing import earliest_possible, first_crossing, hermite


def cubic_with_roots(*roots, factor=1.0):
    """Value and slope at 0 and 1 of factor · Π (θ − root)."""
    cubic = factor * np.poly1d(roots, r=True)
    return cubic(0.0), cubic.deriv()(0.0), cubic(1.0), cubic.deriv()(1.0)


@pytest.mark.parametrize(
    ("roots", "factor", "first"),
    [
        ((0.4, 2.0, 3.0), -1.0, 0.4),
        ((0.4, 0.7), 1.0, 0.4),
        ((-0.5, 0.4, 0.7), 1.0, 0.4),
        ((0.3, 0.6, 0.9), -1.0, 0.3),
        ((-1e-14, 0.5), -1.0, 0.5),
        ((1e-14, 0.5), -1.0, 0.5),
        ((2.0, 3.0), 1.0, np.inf),
        ((0.0, -1.0), 1.0, np.inf),
    ],
)
def test_the_first_crossing_of_a_known_cubic(roots, factor, first):
    """Also an even number in the step, three, and a start at zero within rounding."""
    ends = cubic_with_roots(*roots, factor=factor)
    if abs(ends[0]) > 0 and min(roots) == 1e-14:
        ends = (-abs(ends[0]), *ends[1:])
    assert float(first_crossing(*ends)) == pytest.approx(first, abs=1e-6)


def test_rounding_below_zero_is_no_crossing():
    """A margin that hovers at zero by rounding has not crossed."""
    assert np.isinf(first_crossing(-1e-16, 2e-17, -1.4e-16, -7e-17))


def test_random_cubics_agree_with_a_fine_grid():
    """Whether and where 5000 random cubics first fall below zero."""
    generator = np.random.default_rng(3)
    g0, slope0, g1, slope1 = generator.normal(size=(4, 5000)) * [[1], [3], [1], [3]]
    g0 = np.abs(g0)
    found = np.asarray(first_crossing(g0, slope0, g1, slope1))
    grid = np.linspace(0, 1, 4001)
    values, _ = hermite(*(np.asarray(v)[:, None] for v in (g0, slope0, g1, slope1)), grid)
    clear = np.abs(values.min(axis=1)) > 1e-6
    below = values < 0
    first = np.where(below.any(axis=1), grid[below.argmax(axis=1)], np.inf)
    assert np.array_equal(np.isinf(found[clear]), np.isinf(first[clear]))
    crossing = clear & np.isfinite(first)
    assert crossing.sum() > 1500
    assert np.max(np.abs(found[crossing] - first[crossing])) < 0.02


def test_no_cubic_crosses_before_it_is_said_to_be_possible():
    """Random cubics, a third of them positive throughout, against a fine grid."""
    generator = np.random.default_rng(5)
    g0, slope0, g1, slope1 = generator.normal(size=(4, 5000)) * [[1], [2], [1], [2]]
    g0, g1 = np.abs(g0), np.where(generator.random(5000) < 0.6, np.abs(g1), g1)
    earliest = np.asarray(earliest_possible(g0, slope0, g1, slope1, 1e-12))
    grid = np.linspace(0, 1, 4001)
    values, _ = hermite(*(v[:, None] for v in (g0, slope0, g1, slope1)), grid)
    below = values < -1e-12
    first = np.where(below.any(axis=1), grid[below.argmax(axis=1)], np.inf)
    assert np.all(earliest <= first)
    crossing = np.isfinite(first)
    assert 1500 < crossing.sum() < 4000
    assert np.isinf(earliest[~crossing]).mean() > 0.5
    assert np.median(first[crossing] - earliest[crossing]) < 0.2
