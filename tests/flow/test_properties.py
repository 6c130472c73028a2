"""What every gradient flow must satisfy, on random problems where neurons slide."""

import diffrax
import jax
import numpy as np
import pytest
from boundary_reference import least_norm_force, lines, one_sided_forces
from flow_problems import (
    CENTRES,
    MAX_EVENTS,
    SHAPES,
    STENCIL,
    TIMES,
    difference,
    problem,
    run_of,
    runs,
    stacked,
)

import jaxflow

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
KINDS = {
    "die": (1, 0),
    "revive": (0, 1),
    "slide": (None, 2),
    "leave_on": (2, 1),
    "leave_off": (2, 0),
}
DERIVATIVE = np.array([1, -8, 0, 8, -1]) / (12 * (STENCIL[1] - STENCIL[0]))


def slides(run):
    """Whether a neuron slides at any time."""
    return "slide" in run.events.kind


def test_half_of_at_least_200_problems_slide():
    """The random problems are what these tests need."""
    everything = [run for shape in SHAPES for run in runs(shape)]
    assert len(everything) >= 200
    assert sum(map(slides, everything)) >= len(everything) / 2


@every_shape
def test_every_run_reaches_the_last_time(shape):
    """No run breaks off, and none reports an untrusted choice."""
    for run in runs(shape):
        assert not run.status.failed, (run.seed, str(run.status))
        assert run.trajectory.end_time == TIMES[-1]


@every_shape
def test_the_loss_never_grows(shape):
    """The loss is non-increasing to rounding, from the weights as from the modes."""
    for run in runs(shape):
        assert np.max(np.diff(run.loss)) <= 1e-15 * run.loss[0], run.seed
        from_weights = 0.5 * np.mean(run.residuals**2, axis=1)
        assert np.max(np.abs(from_weights - run.loss)) <= 1e-14 * run.loss[0], run.seed


@every_shape
def test_the_balance_is_kept(shape):
    """a_j² − ‖w_j‖² is constant."""
    for run in runs(shape):
        balance = run.a**2 - np.sum(run.w**2, axis=-1)
        scale = np.maximum(run.size, run.size[0]) ** 2
        assert np.max(np.abs(balance - balance[0]) / scale) <= 2e-14, run.seed


@every_shape
def test_modes_agree_with_preactivations(shape):
    """Active is u > 0, inactive u < 0, sliding u = 0, at every save time after the start."""
    for run in runs(shape):
        u = np.einsum("tjd,kd->tjk", run.w, run.x) / np.linalg.norm(run.x, axis=1)
        u = u / run.size[..., None]
        assert np.all(u[run.modes == 1] >= -1e-14), run.seed
        assert np.all(u[run.modes == 0] <= 1e-14), run.seed
        assert np.all(np.abs(u[run.modes == 2]) <= 1e-14), run.seed


@every_shape
def test_events_lead_from_the_first_modes_to_all_others(shape):
    """Each event starts from the mode that holds, and together they give the saved modes."""
    for run in runs(shape):
        modes, done = run.modes[0].copy(), 0
        times, kinds = np.asarray(run.events.time), run.events.kind
        pairs = list(zip(np.asarray(run.events.neuron), np.asarray(run.events.datum), strict=True))
        assert np.all(np.diff(times) >= 0)
        for t, saved in zip(TIMES[1:], run.modes[1:], strict=True):
            while done < len(times) and times[done] <= t:
                before, after = KINDS[str(kinds[done])]
                assert modes[pairs[done]] != 2 if before is None else modes[pairs[done]] == before
                modes[pairs[done]] = after
                done += 1
            assert np.array_equal(modes, saved), (run.seed, t)
        assert done == len(times)


def least_norm_choice(x, r, modes):
    """n D of one neuron from its modes: least norm over α in [0, 1] where it slides."""
    force, jumps = np.zeros(x.shape[1]), []
    for group in lines(x):
        below, above = one_sided_forces(group, x, r)
        mode = modes[group[0][0]]
        force = force + (above if mode == 1 else below)
        if mode == 2:
            jumps.append(above - below)
    return least_norm_force(force, jumps)


def quiet(run, i):
    """Neurons without an event between the five times around centre i."""
    block = slice(1 + 5 * i, 6 + 5 * i)
    times = np.asarray(run.events.time)
    inside = (times >= TIMES[block][0]) & (times <= TIMES[block][-1])
    return block, np.setdiff1d(np.arange(run.a.shape[1]), np.asarray(run.events.neuron)[inside])


def field_errors(run, i):
    """Errors of the least-norm field against finite differences, and what is left along slides."""
    block, neurons = quiet(run, i)
    a, w, modes = run.a[block], run.w[block], run.modes[block][2]
    r = run.residuals[block][2]
    unit = np.abs(run.y).max() * np.linalg.norm(run.x, axis=1).max()
    for j in neurons:
        force = least_norm_choice(run.x, r, modes[j])
        along = np.abs(run.x[modes[j] == 2] @ force).max(initial=0.0) / unit
        dw = DERIVATIVE @ w[:, j] - a[2, j] * force / len(r)
        da = DERIVATIVE @ a[:, j] - w[2, j] @ force / len(r)
        size = run.size[block][2, j]
        yield along, max(np.abs(dw).max(), abs(da)) / size / unit


@every_shape
def test_the_field_is_the_least_norm_choice(shape):
    """Finite differences of the trajectory agree with bounded least squares of SciPy.

    At a tight tolerance, because an explicit method lets stiff components hover at its own level.
    That the least norm leaves nothing along a sliding boundary says that its α is in [0, 1].
    """
    found = [
        e for run in runs(shape, 1e-13) for i in range(len(CENTRES)) for e in field_errors(run, i)
    ]
    along, field = np.transpose(found)
    assert len(found) > 5 * SHAPES[shape] * shape[2]
    assert along.max() <= 2e-14
    assert field.max() <= 1e-9


def amplified_rounding(run):
    """How far the run moves, at the tightest tolerance, when its start moves by one rounding."""
    generator = np.random.default_rng(0)

    def rounded(values):
        return values * (1 + 2.0**-52 * generator.choice([-1, 1], size=values.shape))

    found = 0.0
    for _ in range(8):
        network = jaxflow.ReluNetwork(rounded(run.w[0]), rounded(run.a[0]))
        other = run_of(run.seed, run.dataset, network, rtol=1e-13)
        found = max(found, difference(other, run))
    return found


@every_shape
def test_a_tighter_tolerance_gives_the_same(shape):
    """Default and 1e-13 agree; in one problem at most only as far as one rounding is amplified."""
    pairs = list(zip(runs(shape, 1e-13), runs(shape), strict=True))
    worst = np.array([difference(a, b) for a, b in pairs])
    assert np.median(worst) <= 1e-12
    apart = np.flatnonzero(worst > 1e-9)
    assert apart.size <= 1
    for i in apart:
        assert worst[i] <= 10 * amplified_rounding(pairs[i][0])


def test_another_solver_gives_the_same():
    """Tsitouras 5(4) and the default agree."""
    shape = (4, 2, 6)
    for run in runs(shape)[::4]:
        other = run_of(run.seed, run.dataset, run.network, solver=diffrax.Tsit5(), rtol=1e-10)
        assert difference(run, other) <= 1e-7, run.seed


def test_a_batch_gives_the_same_as_single_runs():
    """`jax.vmap` over data sets and networks."""
    shape = (3, 4, 8)
    datasets, networks = zip(*(problem(s, *shape) for s in range(8)), strict=True)

    def final(dataset, network):
        run = jaxflow.gradient_flow(network, dataset, TIMES, max_events=MAX_EVENTS)
        return run.a, run.w, run.modes, run.code, run.events.count

    a, w, modes, code, count = jax.vmap(final)(stacked(datasets), stacked(networks))
    for i, run in enumerate(runs(shape)[:8]):
        assert np.max(np.abs(a[i] - run.a)) <= 1e-11 * np.abs(run.a).max(), run.seed
        assert np.max(np.abs(w[i] - run.w)) <= 1e-11 * np.abs(run.w).max(), run.seed
        assert np.array_equal(modes[i], run.modes)
        assert (int(code[i]), int(count[i])) == (int(run.status), len(run.events))
