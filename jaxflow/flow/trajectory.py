"""A trajectory: states at the save times, changes of activation, and how the run ended."""

from functools import partial
from importlib import import_module

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.flow.activation import Modes
from jaxflow.flow.coordinates import State, log_norms, output_parts
from jaxflow.flow.ending import Evidence
from jaxflow.flow.field import outputs
from jaxflow.flow.lane import Counts
from jaxflow.flow.launch import Launch
from jaxflow.flow.log import DeathTable, EventBuffer
from jaxflow.flow.problem import Problem
from jaxflow.flow.status import Status
from jaxflow.modes import codes
from jaxflow.network import ReluNetwork
from jaxflow.validation import is_traced

KINDS = np.array(["die", "revive", "slide", "leave_on", "leave_off"])
"""Words for the kinds of `jaxflow.flow.log`."""
CHOICES = {
    codes.AT_REST: "at rest",
    codes.NON_UNIQUE: "not unique",
    codes.UNSTABLE: "unstable",
    codes.FAILED: "not solved",
}
"""Words for the reports of boundary choices."""


class Events(eqx.Module):
    """Changes of activation in the order of time.

    Arrays of equal length; under `jax.vmap` they are padded (time inf, neuron and datum −1) and
    `count` says how many are real.
    """

    time: Float[Array, " e"]
    neuron: Int[Array, " e"]
    datum: Int[Array, " e"]
    code: Int[Array, " e"]
    count: Int[Array, ""]

    @property
    def kind(self) -> np.ndarray:
        """`die`, `revive`, `slide`, `leave_on` or `leave_off`; empty where padded."""
        code = np.asarray(self.code)
        return np.where(code >= 0, KINDS[code], "")

    def __len__(self) -> int:
        return int(self.count)


class Trajectory(eqx.Module):
    """The gradient flow from one initialisation.

    Attributes:
        ts: save times, in units of the flow's own time. At those that a run which broke off did not
            reach, all quantities are NaN, and `modes` −1.
        modes: 1 active, 0 inactive, 2 sliding, for every save time, neuron and datum.
        log: the record of changes of activation, which `events` puts in order.
        evidence: what is known of the limit t → ∞ (`movement`, `fitted`, `residual`).
        counts: step statistics.
        end_time: the time at which the run ended.
        rtol: the tolerance it was run with.
        reports: what the boundary choices had to report, a sum of `jaxflow.modes.codes`; see
            `choices`.
    """

    ts: Float[Array, " T"]
    states: Float[Array, "T q+2 m"]
    launch: Launch
    log: DeathTable | EventBuffer
    modes: Int[Array, "T m n"]
    last: State
    end_time: Float[Array, ""]
    evidence: Evidence
    counts: Counts
    code: Int[Array, ""]
    rtol: Float[Array, ""]
    reports: Int[Array, ""]

    @property
    def events(self) -> Events:
        """Changes of activation in the order of time; sorted each time they are asked for."""
        if is_traced(self.code):
            return padded_events(self.log)
        batches = jnp.ndim(self.code)
        return _padded_in_batches(self.log, batches) if batches else events_in_order(self.log)

    @property
    def choices(self) -> tuple[str, ...]:
        """In words, where the choice on boundaries was not the only solution; empty if it was.

        `at rest`: held on a repelling boundary by relu'(0) = 0 alone; `not unique`: several
        repelling boundaries at once; `unstable`: sliding on where leaving was a solution, too.
        """
        return tuple(word for code, word in CHOICES.items() if int(self.reports) & code)

    @property
    def status(self) -> Status | Array:
        """How the run ended; prints as one of the words of `jaxflow.Status`."""
        traced_or_batched = is_traced(self.code) or jnp.ndim(self.code) > 0
        return self.code if traced_or_batched else Status(int(self.code))

    @property
    def log_norms(self) -> Float[Array, "T m"]:
        """log of the size of the moving part (a_j, p_j) of every neuron, exact at any scale."""
        return log_norms(self.states)

    @property
    def a(self) -> Float[Array, "T m"]:
        """Output weights; zero where they are below the least float64."""
        return _output_weights(self.states)

    @property
    def w(self) -> Float[Array, "T m d"]:
        """Hidden weights; zero where they are below the least float64."""
        return self.launch.hidden_weights(self.states)

    @property
    def outputs(self) -> Float[Array, "T n"]:
        """Network outputs h(x_k) at the data."""
        return _outputs(self.launch.problem, self.modes, self.states)

    @property
    def loss(self) -> Float[Array, " T"]:
        """Square loss 1/(2n) Σ_k (h(x_k) − y_k)²."""
        return _loss(self.outputs, self.launch.problem.y)

    @property
    def variation_norm(self) -> Float[Array, " T"]:
        """Σ_j |a_j| ‖w_j‖."""
        return _variation_norm(self.a, self.w)

    @property
    def final(self) -> ReluNetwork:
        """The network at the end of the run, exact at any scale."""
        return self.launch.network(self.last)

    def network(self, index: int) -> ReluNetwork:
        """The network at save time `ts[index]`, exact at any scale."""
        return self.launch.network(self.states[index])

    def plot(self, path: str | None = None):
        """Draw loss, sizes, directions, events and modes against time; see `jaxflow.plots`.

        Returns the matplotlib figure, saved to `path` if given. The picture stands above the
        integrator and is looked up only when it is wanted.
        """
        return import_module("jaxflow.plots.trajectory").draw_trajectory(self, path)

    def phases(self):
        """Alignment, saddles, exit times and convergence beside what the theory predicts.

        Returns the report of `jaxflow.analysis.phases`, which prints well. Like the picture it
        stands above the integrator and is looked up only when it is wanted.

        Raises:
            ValueError: as `jaxflow.analysis.phases`.
        """
        return import_module("jaxflow.analysis").phases(self)

    def __repr__(self) -> str:
        if is_traced(self.code) or jnp.ndim(self.code) > 0:
            return f"Trajectory(batch or traced, states {self.states.shape})"
        return _summary(self)


@eqx.filter_jit
def _outputs(problem: Problem, modes: Int[Array, "T m n"], states) -> Float[Array, "T n"]:
    def at(modes, state):
        return outputs(problem, Modes(modes.T == 1, None), state)

    return jax.vmap(at)(modes, states)


@jax.jit
def _output_weights(states) -> Float[Array, "T m"]:
    return jnp.exp(log_norms(states)) * output_parts(states)


@jax.jit
def _loss(h: Float[Array, "T n"], y: Float[Array, " n"]) -> Float[Array, " T"]:
    return 0.5 * jnp.mean((h - y) ** 2, axis=-1)


@jax.jit
def _variation_norm(a: Float[Array, "T m"], w: Float[Array, "T m d"]) -> Float[Array, " T"]:
    return jnp.sum(jnp.abs(a) * jnp.linalg.norm(w, axis=-1), axis=-1)


def _summary(run: Trajectory) -> str:
    n, width = run.launch.modes.active.shape
    counts = run.counts
    loss = np.asarray(run.loss)
    reached = loss[~np.isnan(loss)]
    lines = [
        f"gradient flow of {width} neurons on {n} data: {run.status}",
        f"  time     0 to {float(run.end_time):.6g}, {_number_saved(reached.size, loss.size)}",
        f"  loss     {_course(reached)}",
        f"  norm     {float(run.final.variation_norm()):.12g} (variation norm at the end)",
        f"  limit    {_limit(run)}",
        f"  events   {len(run.events)} changes of activation{_choices(run)}",
        f"  steps    {int(counts.accepted)} accepted, {int(counts.rejected)} rejected, "
        f"{int(counts.landings)} repeated to meet an event; {int(counts.frozen)} legs in closed "
        f"form; rtol {float(run.rtol):.3g}",
    ]
    return "\n".join(lines)


def _number_saved(reached: int, wanted: int) -> str:
    return f"{wanted} saved" if reached == wanted else f"{reached} of {wanted} saved"


def _course(loss: np.ndarray) -> str:
    return f"{loss[0]:.6g} to {loss[-1]:.6g}" if loss.size else "not saved"


def _choices(run: Trajectory) -> str:
    return f"; boundary choices: {', '.join(run.choices)}" if run.choices else ""


def _limit(run: Trajectory) -> str:
    movement = float(run.evidence.movement)
    ended = run.status in (Status.interpolated, Status.stationary)
    if ended and bool(run.evidence.certified):
        return f"exists; log norms and directions still move by at most {movement:.2g}"
    if ended:
        return "not certified; no force is left at this tolerance"
    return "not certified at this time"


def padded_events(log: DeathTable | EventBuffer) -> Events:
    """Events in the order of time, padded to the room that there is; under transformations."""
    time, *columns = log.columns()
    order = jnp.argsort(time, stable=True)
    time = time[order]
    real = jnp.isfinite(time)
    columns = [jnp.where(real, column[order], -1) for column in columns]
    return Events(time, *columns, jnp.sum(real))


@partial(jax.jit, static_argnums=1)
def _padded_in_batches(log: DeathTable | EventBuffer, batches: int) -> Events:
    ordered = padded_events
    for _ in range(batches):
        ordered = jax.vmap(ordered)
    return ordered(log)


def events_in_order(log: DeathTable | EventBuffer) -> Events:
    """Events in the order of time, of a run that is done.

    NumPy sorts what happened only: for a million neurons that takes a fifth of the time in which
    XLA sorts all pairs.
    """
    time, *columns = log.events()
    order = np.argsort(time, kind="stable")
    parts = (jnp.asarray(column[order]) for column in (time, *columns))
    return Events(*parts, jnp.asarray(time.size))
