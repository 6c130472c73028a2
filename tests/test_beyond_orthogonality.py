"""Beyond orthogonal inputs: the data as promised, shares by hand, nothing goes unreported."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxflow
from jaxflow.experiments import beyond_orthogonality
from jaxflow.experiments.beyond_orthogonality import MAX_STEPS, ROOM
from jaxflow.experiments.correlated_runs import Inputs, Work
from jaxflow.experiments.minimality import Minimality
from jaxflow.experiments.shares import wilson
from jaxflow.experiments.sliding_end import SlidingEnd, sliding_end
from jaxflow.flow.gradient_flow import settings_of

N, WIDTH = 5, 24


def cosines(x) -> np.ndarray:
    unit = np.asarray(x) / np.linalg.norm(x, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(unit), 1)]


def test_correlated_inputs_differ_in_the_cosine_only():
    draws = [
        [jaxflow.datasets.random_correlated(jax.random.key(k), 6, cosine=c) for c in (0, 0.3, 0.5)]
        for k in range(4)
    ]
    found = np.concatenate([cosines(row[1].x) for row in draws])
    assert np.allclose(np.abs(found), 0.3, atol=1e-14) and found.min() < 0 < found.max()
    for first, second, third in draws:
        assert first.is_orthogonal and not second.is_orthogonal
        assert np.array_equal(first.y, third.y) and first.y.min() < 0 < first.y.max()
        norms = [np.linalg.norm(data.x, axis=1) for data in (first, second, third)]
        assert np.allclose(norms, norms[0], rtol=1e-14) and np.all(np.abs(norms[0] - 1.25) <= 0.75)
        assert np.array_equal(np.sign(cosines(second.x)), np.sign(cosines(third.x)))


def test_subspaces_have_their_dimension():
    for rank in (2, 3, 6):
        data = jaxflow.datasets.random_subspace(jax.random.key(rank), 7, 9, rank=rank)
        sizes = np.linalg.svd(data.x, compute_uv=False)
        assert sizes[rank - 1] > 1e-3 and np.all(sizes[rank:] < 1e-14)
        assert np.all(np.abs(np.linalg.norm(data.x, axis=1) - 1.25) <= 0.75)


@pytest.mark.parametrize("cosine", [-0.1, 1.0, np.nan, "much"])
def test_impossible_cosines_are_refused(cosine):
    with pytest.raises(ValueError, match="cosine: got"):
        jaxflow.datasets.random_correlated(jax.random.key(0), 3, cosine=cosine)


@pytest.mark.parametrize("rank", [1, 5, 2.0])
def test_impossible_ranks_are_refused(rank):
    with pytest.raises(ValueError, match="rank: got"):
        jaxflow.datasets.random_subspace(jax.random.key(0), 3, 4, rank=rank)


def test_wilson_interval_by_its_formula():
    share, low, high = wilson(7, 9)
    z = 1.959963984540054  # Φ^-1(0.975)
    centre = (share + z**2 / 18) / (1 + z**2 / 9)
    half = z * np.sqrt(share * (1 - share) / 9 + z**2 / 324) / (1 + z**2 / 9)
    assert share == 7 / 9 and np.allclose([low, high], [centre - half, centre + half], rtol=1e-12)
    assert np.all(np.isnan(wilson(0, 0)))


@pytest.fixture(scope="module")
def study():
    return beyond_orthogonality([0.0, 0.2], [3], n=N, width=WIDTH, scales=["1e-6"], draws=4)


def start(work, k) -> jaxflow.ReluNetwork:
    return jaxflow.init.balanced(work.keys[1][k], WIDTH, N + 1, log_scale=work.log_scales[0])


def ended(work, data, k) -> SlidingEnd:
    settings = settings_of(1e-11, None, MAX_STEPS, max_events=ROOM * N * WIDTH)
    return sliding_end(start(work, k), jaxflow.Dataset(data.x, data.y), settings)


def test_sliding_pairs_are_those_of_the_trajectory():
    work = Work([Inputs("cosine", 0.2)], [np.log(1e-6)], N, WIDTH, 1, 0)
    data = work.data[0][0]
    end, run = ended(work, data, 0), jaxflow.gradient_flow(start(work, 0), data)
    modes = np.asarray(run.modes)
    begun = run.events.kind == "slide"
    pairs = set(
        zip(run.events.neuron[begun].tolist(), run.events.datum[begun].tolist(), strict=True)
    )
    assert end.slid == len(pairs) / (N * WIDTH) > 0
    assert np.mean(np.any(modes == 2, axis=0)) <= end.slid  # 201 times may miss a short slide
    assert end.sliding == np.mean(modes[-1] == 2)
    assert np.isclose(end.variation_norm, run.final.variation_norm(), rtol=1e-10)


def test_ends_are_held_against_the_minimum(study, tmp_path):
    assert study.code.shape == (3, 1, 4) and study.done.all()
    assert study.certain.all() and not np.any(study.minimality == Minimality.below_the_bound)
    assert np.all(study.excess[study.fits, 2] - study.excess[study.fits, 0] < 1e-8)
    assert np.all(study.slid[0] == 0) and np.all(study.slid[1] > 0.05)
    assert study.fitted(0, 0)[0] == study.certified(0, 0)[0] == 1
    lower, median, upper = study.excess_quartiles(1, 0)
    ends = np.sort(study.excess[1, 0, study.fits[1, 0], 1])
    assert ends[0] <= lower <= median <= upper <= ends[-1] and median > 1e-4
    assert sum(study.ends(2, 0).values()) == 4 and "cosine 0.2" in str(study)
    study.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_orthogonal_excess_by_the_closed_form_of_the_minimum(study):
    """V/V* − 1 of the same runs alone, V* = Σ over signs of sqrt(Σ (y_k/‖x_k‖)²)."""
    work = Work(study.inputs, [np.log(1e-6)], N, WIDTH, 4, 0)
    for k, data in enumerate(work.data[0]):
        end = ended(work, data, k)
        sizes = np.asarray(data.y) / np.linalg.norm(data.x, axis=1)
        least = sum(np.linalg.norm(sizes[sign * sizes > 0]) for sign in (1, -1))
        expected = float(end.variation_norm) / least - 1
        assert study.excess[0, 0, k, 1] == pytest.approx(expected, abs=1e-9)


def test_runs_that_miss_or_are_missing_are_named(study):
    code, residual = study.code.copy(), study.residual.copy()
    code[1, 0] = [jaxflow.Status.stationary, jaxflow.Status.step_limit, 0, 1]
    residual[1, 0] = [0.3, 0.1, np.nan, 1e-12]
    found = replace(study, code=code, residual=residual)
    assert found.fitted(1, 0)[0] == 1 / 3
    expected = {"interpolated": 1, "stationary, labels missed": 1, "step limit, labels missed": 1}
    assert found.ends(1, 0) == expected
    assert "1 step limit" in str(found) and "Interrupted: 11 of 12 runs" in str(found)


def test_an_interrupt_keeps_what_was_done(monkeypatch):
    def broken_off(work, settings):
        y = np.asarray(work.data[0][1].y)
        yield (0, 0, 1), SlidingEnd(np.int64(1), 0 * y, np.array(100.0), *np.array([0.25, 0.125]))
        raise KeyboardInterrupt

    monkeypatch.setattr(Work, "integrated", broken_off)
    found = beyond_orthogonality([0.1], [], n=3, width=4, scales=["1e-3"], draws=3)
    assert found.done.tolist() == [[[False, True, False]]] and found.mean_slid(0, 0)[0] == 0.25
    assert found.excess[0, 0, 1, 0] > 1 and "Interrupted: 1 of 3 runs" in str(found)


def test_no_inputs_are_refused():
    with pytest.raises(ValueError, match="cosines, dimensions: got none"):
        beyond_orthogonality([], [])
