"""What happens at an event: the modes of the neurons concerned are settled again."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.flow.activation import Modes, Slide, driving_force, resting
from jaxflow.flow.coordinates import State, assemble, hidden_parts, log_norms, output_parts
from jaxflow.flow.field import log_scale_field, output_rate
from jaxflow.flow.log import DeathTable, EventBuffer
from jaxflow.flow.problem import Problem
from jaxflow.modes import boundary_choice, codes, leaving_direction

ORIGIN = 1e-14
"""A hidden weight this small, beside an output weight of one, is zero at the neuron's event."""


def switch_modes(
    problem: Problem,
    modes: Modes,
    log: DeathTable | EventBuffer,
    state: State,
    r: Float[Array, " n"] | None,
    t: Float[Array, ""],
    hit: Bool[Array, "p m"],
) -> tuple[State, Modes, DeathTable | EventBuffer]:
    """Change the modes whose margins are zero, `hit`, at the time t, where residuals are r.

    Orthogonal inputs: the pair dies, its coordinate is exactly zero for good. In general the whole
    boundary set of every neuron concerned is settled again, one neuron after the other.
    """
    if modes.slide is None:
        return die(modes, log, state, t, hit)
    velocity = log_scale_field(driving_force(problem, modes, r), state)
    rate = jnp.where(r == 0, 0.0, -output_rate(problem, modes, state, velocity))
    low, high = jnp.split(hit, 2)
    times = jnp.full(state.shape[1], t)
    return settle(problem, modes, log, state, velocity, times, r, rate, low, high)


def die(modes: Modes, log, state: State, t, hit):
    """Orthogonal inputs: pairs that reach zero stay there."""
    dying = modes.active & hit
    left = Modes(modes.active & ~dying, None)
    omega = jnp.where(dying, 0.0, hidden_parts(state))
    state = assemble(log_norms(state), output_parts(state), omega)
    return state, left, log.add(t, modes.codes, left.codes)


def settle(problem, modes, log, state, velocity, times, r, rate, low, high):
    """Any inputs: settle every neuron that has a pair whose margin `low` or `high` is zero.

    `times` are the neurons' own; r and `rate` are the residuals and their derivative.
    """

    def anyone_left(carry):
        return jnp.any(carry[-1])

    def settle_one(carry):
        state, modes, log, waiting = carry
        j = jnp.argmax(waiting)
        state, modes, log = _settle(
            problem, modes, log, state, velocity, times[j], r, rate, j, low[:, j], high[:, j]
        )
        return state, modes, log, waiting.at[j].set(False)

    waiting = jnp.any(low | high, axis=0)
    return jax.lax.while_loop(anyone_left, settle_one, (state, modes, log, waiting))[:-1]


def _settle(problem, modes: Modes, log, state, velocity, t, r, rate, j, low, high):
    """The boundary choice of neuron j, whose margins `low` or `high` are zero."""
    slide, lines = modes.slide, problem.boundaries
    free, mode = slide.free[:, j], slide.mode[:, j]
    eta, eta_rate = output_parts(state)[j], output_parts(velocity)[j]
    sign = jnp.where(eta != 0, eta, eta_rate)
    state, at_origin = _at_origin(state, j)
    leaving = free & (low | high)
    arriving = (low | at_origin) & ~free & ~slide.resting[:, j]
    away = leaving_direction(sign, lines.jump(r), jnp.where(high, 1.0, 0.0))
    onto = jnp.where(mode == codes.ACTIVE, -1, 1)
    direction = jnp.where(leaving, away, jnp.where(arriving, onto, 0)).astype(jnp.int8)
    boundary = arriving | free | slide.resting[:, j]
    choice = boundary_choice(sign, lines, r, mode, boundary, direction, rate)
    state = _onto_boundaries_of(problem, state, j, arriving)
    state = _onto_boundaries(problem, state, j, slide.dual.of(j))
    state = _onto_boundaries(problem, state, j, choice.dual)
    slide = Slide(
        mode=slide.mode.at[:, j].set(choice.mode),
        alpha=slide.alpha.at[:, j].set(jnp.where(choice.free, 0.0, choice.alpha)),
        free=slide.free.at[:, j].set(choice.free),
        resting=slide.resting.at[:, j].set(resting(choice)),
        dual=slide.dual.replaced(j, choice.free, choice.dual),
        side=slide.side.at[:, j].set(jnp.sign(lines.jump(r))),
        flag=slide.flag | choice.flag,
    )
    log = log.add_one(t, j, mode, choice.mode)
    return state, Modes(modes.active.at[:, j].set(choice.mode == codes.ACTIVE), slide), log


def _at_origin(state: State, j: Int[Array, ""]) -> tuple[State, Bool[Array, ""]]:
    """Whether neuron j passes w = 0, where it meets all boundaries at once; exactly zero then.

    A neuron that slides on a line through the origin does, if |a_j| > ‖w_j‖ by however little.
    """
    omega = hidden_parts(state)[:, j]
    passes = jnp.linalg.norm(omega) <= ORIGIN
    return state.at[2:, j].set(jnp.where(passes, 0.0, omega)), passes


def _onto_boundaries(problem: Problem, state: State, j: Int[Array, ""], dual) -> State:
    """Remove what rounding left of the sliding preactivations of neuron j.

    Those that slid until now and those that slide from now on: a long slide gathers rounding, and
    with it a pair that leaves would start from the wrong side of its boundary.
    """
    omega = hidden_parts(state)[:, j]
    omega = omega - (dual @ omega) @ problem.span.rows
    return state.at[2:, j].set(omega)


def _onto_boundaries_of(problem: Problem, state: State, j: Int[Array, ""], arriving) -> State:
    """Remove what the location of the event left of the preactivations that have become zero.

    They count from zero again, whatever mode is chosen; one after the other, as there is one as a
    rule.
    """
    unit = problem.span.rows / problem.span.norms()[:, None]

    def onto(k, omega):
        return omega - jnp.where(arriving[k], unit[k] @ omega, 0.0) * unit[k]

    omega = jax.lax.fori_loop(0, problem.n, onto, hidden_parts(state)[:, j])
    return state.at[2:, j].set(omega)
