"""The public verb: integrate the gradient flow of a network on a data set."""

from dataclasses import replace

import diffrax
import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.compilation import program
from jaxflow.dataset import Dataset
from jaxflow.flow.coordinates import log_norms
from jaxflow.flow.ending import evidence
from jaxflow.flow.integrate import integrate, take_off
from jaxflow.flow.lane import Lane, Record
from jaxflow.flow.launch import Launch, launch
from jaxflow.flow.legs import closed_form_leg, typed
from jaxflow.flow.noting import blank_record
from jaxflow.flow.problem import Problem
from jaxflow.flow.settings import DEFAULT_RTOL, ROOM_FOR_EVENTS, SMALLEST_RTOL, Settings
from jaxflow.flow.trajectory import Trajectory
from jaxflow.network import ReluNetwork, require_pair
from jaxflow.programs import make_room
from jaxflow.sharing import devices_of
from jaxflow.validation import (
    finite_number,
    float64_array,
    is_traced,
    positive_integer,
    positive_number,
)

GRID = 201
"""Number of save times when none are given."""
FOLDS = 60.0
"""What a fit is given, in units of its time."""
PATIENCE = 1e4
"""By how much more than that a slow fit is given, as neurons may have become smaller before."""
LATEST = 1e30
"""The end of time."""
LONG = 4.0
"""Runs longer than this many times the time of births and fits are shown on two scales."""


def gradient_flow(
    network: ReluNetwork,
    dataset: Dataset,
    ts: Float[Array, " T"] | None = None,
    *,
    rtol: float = DEFAULT_RTOL,
    horizon: float | None = None,
    max_steps: int = 100_000,
    max_events: int = ROOM_FOR_EVENTS,
    solver: diffrax.AbstractERK | None = None,
    closed_form: bool = True,
) -> Trajectory:
    """Integrate the gradient flow dw_j/dt = a_j D_j, da_j/dt = ⟨w_j, D_j⟩ from t = 0.

    D_j = 1/n Σ_k 1[⟨w_j, x_k⟩ > 0] r_k x_k, r = y − h(x), on the loss 1/(2n) Σ_k r_k². Every neuron
    has relative accuracy, however small; every change of activation is located to rounding, and a
    pair that dies is exactly zero for good.

    Args:
        network: the initialisation.
        dataset: training data.
        ts: increasing save times, shape (T,), the last one being the end; may include 0. Without
            them the run goes on until its limit is certified, or to the horizon, and is saved at
            201 equally spaced times; where the end is far beyond all births and fits, three
            quarters of them lie before, and the others up to the end in a constant ratio.
        rtol: error allowed per step in the log norm and direction of each neuron, relative to it.
        horizon: with `ts=None`, the time at which to stop at the latest. The default is four times
            the longest time that any birth and fit can take; on general inputs also that in which
            neurons of the initial size fit a zero label, which grows like λ⁻², up to 1e30.
        max_steps: attempted steps after which the run ends with the status `step limit`.
        max_events: room for changes of activation on inputs that are not orthogonal; a run that
            needs more ends with the status `event limit`.
        solver: an explicit Runge-Kutta method of diffrax with first-same-as-last stages, such as
            `diffrax.Tsit5()`; by default Dormand-Prince 8(7).
        closed_form: False leaves all to the solver, as a check on the closed forms; slower, and
            slower the smaller the scale.

    Returns:
        A `Trajectory`; its `status` says how the run ended, and no numerical outcome raises.

    Raises:
        ValueError: an argument of the wrong type, shape or range.

    Source: arXiv 2206.00939, equation 2.
    """
    require_pair(network, dataset)
    if not (is_traced(network.w_mantissa) or is_traced(dataset.x)):
        make_room()
    settings = settings_of(rtol, horizon, max_steps, solver, max_events, closed_form)
    settings = replace(settings, mesh=devices_of(network))
    times = _times_to_the_end(network, dataset, settings) if ts is None else save_times(ts)
    plan, settings, lane, record = _fly(network, dataset, settings, times, np.array(False))
    return _trajectory(plan, settings, times, record, lane)


def save_times(ts) -> Float[Array, " T"]:
    """Check save times: a non-empty increasing vector that starts at zero or later.

    Raises:
        ValueError: negative or decreasing times, or not a float64 vector.
    """
    times = float64_array("ts", ts, ("T",))
    if is_traced(times):
        return eqx.error_if(times, jnp.any(jnp.diff(times) <= 0), "ts: wanted increasing times")
    values = np.asarray(times)
    if values[0] < 0:
        raise ValueError(f"ts: got {values[0]} first, wanted times of at least 0")
    if np.any(np.diff(values) <= 0):
        at = int(np.argmax(np.diff(values) <= 0))
        raise ValueError(
            f"ts: got {values[at + 1]} after {values[at]}, wanted strictly increasing times"
        )
    return times


def _times_to_the_end(network: ReluNetwork, dataset: Dataset, settings: Settings):
    """Times up to the end, which takes a run of its own to find.

    The same compiled program then saves on the way.
    """
    plan, _, lane, _ = _fly(network, dataset, settings, np.zeros(GRID), np.array(True))
    return _grid(plan, lane.t)


@eqx.filter_jit
def _grid(plan: Launch, end: Float[Array, ""]) -> Float[Array, " T"]:
    """Equally spaced times; in a long run up to all births and fits, then in a constant ratio."""
    usual = births_and_fits(plan)
    early = 3 * GRID // 4
    later = usual * (jnp.maximum(end / usual, 2.0)) ** jnp.linspace(0.0, 1.0, GRID - early + 1)[1:]
    both = jnp.concatenate([jnp.linspace(0.0, usual, early), later])
    return jnp.where(end > LONG * usual, both.at[-1].set(end), jnp.linspace(0.0, end, GRID))


def fly(network: ReluNetwork, dataset: Dataset, settings: Settings) -> tuple[Launch, Lane]:
    """Integrate to the end that evidence gives, saving nothing on the way."""
    plan, _, lane, _ = _fly(network, dataset, settings, jnp.zeros(0), True)
    return plan, lane


def _fly(network: ReluNetwork, dataset: Dataset, settings: Settings, ts, seeking):
    """The launch, the settings with a horizon, and lane and record at the end."""
    plan, settings, *carry = begin(network, dataset.for_programs(), settings, ts, seeking)
    return plan, settings, *integrate(plan.problem, settings, ts, tuple(carry))


@program(lambda network, dataset, *_: network.width * dataset.n)
def begin(network: ReluNetwork, dataset: Dataset, settings: Settings, ts, seeking):
    """As `at_start`, but with lane and record after a first leg, in closed form."""
    plan, settings, *carry = at_start(network, dataset, settings, ts, seeking)
    return plan, settings, *closed_form_leg(plan.problem, settings, ts, tuple(carry))


@eqx.filter_jit
def at_start(network: ReluNetwork, dataset: Dataset, settings: Settings, ts, seeking):
    """The launch, the settings with a horizon, and lane and record at time zero."""
    plan = launch(network, dataset)
    settings = _with_horizon(plan, settings)
    lane = take_off(plan.problem, settings, plan.modes, plan.state, plan.balance)
    return plan, settings, *typed((lane, blank_record(lane, ts, seeking)))


def _with_horizon(plan: Launch, settings: Settings) -> Settings:
    horizon = jnp.where(jnp.isfinite(settings.horizon), settings.horizon, longest_time(plan))
    return eqx.tree_at(lambda s: s.horizon, settings, horizon)


def longest_time(plan: Launch) -> Float[Array, ""]:
    """Four times the longest time that all births and fits can take on orthogonal inputs.

    On general inputs also the time in which a neuron of its initial size fits a zero label, which
    grows like λ⁻², up to 1e30.
    """
    usual = 4 * births_and_fits(plan)
    if plan.problem.boundaries is None:
        return usual
    smallest = jnp.min(2 * log_norms(plan.state)) + 2 * jnp.log(jnp.min(plan.problem.span.norms()))
    slow = jnp.exp(jnp.log(PATIENCE * FOLDS * plan.problem.n) - smallest)
    return jnp.maximum(usual, jnp.minimum(slow, LATEST))


def births_and_fits(plan: Launch) -> Float[Array, ""]:
    """The longest time that all births and fits can take on orthogonal inputs.

    An unborn neuron that can grow does so at least at the rate min_k |y_k| ‖x_k‖/n, and a fit
    converges at that rate too.
    """
    problem = plan.problem
    pull = jnp.abs(problem.y) * problem.span.norms() / problem.n
    slowest = jnp.min(jnp.where(pull > 0, pull, jnp.inf))
    slowest = jnp.where(jnp.isfinite(slowest), slowest, 1.0)
    return (FOLDS + jnp.max(jnp.abs(log_norms(plan.state)))) / slowest


def _trajectory(plan: Launch, settings: Settings, ts, record: Record, lane: Lane) -> Trajectory:
    """What a run has been, and the evidence at its end."""
    found, modes, reports = _at_end(plan.problem, lane, record)
    return Trajectory(
        ts=ts,
        states=record.states,
        launch=plan,
        modes=modes,
        log=lane.log,
        last=lane.state,
        end_time=lane.t,
        evidence=found,
        counts=lane.counts,
        code=lane.status,
        rtol=settings.rtol,
        reports=reports,
    )


@program(lambda problem, lane, record: lane.modes.active.size)
def _at_end(problem: Problem, lane: Lane, record: Record):
    """Evidence, modes at save times with the neurons first, and what the choices reported."""
    modes = jnp.swapaxes(record.modes, 1, 2)
    return evidence(problem, lane.modes, lane.state), modes, lane.modes.reports


def settings_of(rtol, horizon, max_steps, solver=None, max_events=0, closed_form=True) -> Settings:
    """Checked settings; an absent horizon is infinite here and replaced by `longest_time`.

    Raises:
        ValueError: rtol, horizon, max_steps or solver of the wrong kind.
    """
    return Settings(
        rtol=_tolerance(rtol),
        horizon=np.asarray(np.inf) if horizon is None else _horizon(horizon),
        max_steps=_steps(max_steps),
        max_events=max_events and positive_integer("max_events", max_events),
        solver=_solver(solver),
        closed_form=closed_form,
    )


def _tolerance(rtol):
    if is_traced(rtol):
        return eqx.error_if(
            rtol, ~(rtol >= SMALLEST_RTOL), f"rtol: wanted at least {SMALLEST_RTOL}"
        )
    value = finite_number("rtol", rtol)
    if not SMALLEST_RTOL <= value <= 1e-2:
        raise ValueError(
            f"rtol: got {rtol!r}, wanted between {SMALLEST_RTOL:g} (rounding) and 0.01"
        )
    return np.asarray(value)


def _steps(max_steps):
    if is_traced(max_steps):
        return eqx.error_if(max_steps, max_steps < 1, "max_steps: wanted at least 1")
    return np.asarray(positive_integer("max_steps", max_steps))


def _horizon(horizon):
    if is_traced(horizon):
        return eqx.error_if(horizon, ~(horizon > 0), "horizon: wanted a positive time")
    return np.asarray(positive_number("horizon", horizon))


def _solver(solver):
    if solver is None:
        return diffrax.Dopri8()
    usable = isinstance(solver, diffrax.AbstractERK) and getattr(solver.tableau, "fsal", False)
    if not usable:
        raise ValueError(
            f"solver: got {solver!r}, wanted an explicit Runge-Kutta method of diffrax whose last "
            f"stage is the slope at the end, such as diffrax.Tsit5() or diffrax.Dopri8()"
        )
    return solver
