"""The boundary choice: modes, α and force of one neuron right after an event.

A neuron on boundaries u_k = ⟨w, x_k⟩ = 0 follows the Filippov system dw/dt = a D,
D = 1/n Σ_k α_k r_k x_k. The rule, with reasons, is in docs/modes.md.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.modes import codes
from jaxflow.modes.boundaries import Boundaries
from jaxflow.modes.settling import Settlement, settle
from jaxflow.modes.situation import Situation, situation

IN_SPAN = 1e-12
"""A unit vector at most this far from the span of the free ones belongs to it."""

SLOTS = (24,)
"""Sizes to which boundary sets are padded; larger ones are padded to n."""


class BoundaryChoice(eqx.Module):
    """Modes, α and force of one neuron, and what is needed to follow them between its events.

    While the modes last, with F(t) = N(t) + Σ_{k not free} α_k J_k(t) x_k over leaders,

        n D(t) = (I − X_freeᵀ E) F(t),      (α_k J_k)_free = −E F(t),

    where J = r and N = 0 unless inputs are collinear (see `Boundaries`).

    Attributes:
        mode: mode of every datum; `codes.SLIDING` means that u_k = 0 stays.
        alpha: α of every datum.
        force: D.
        free: leaders whose α is strictly inside (0, 1), or at a bound and about to move inwards;
            their inputs are linearly independent.
        still: leaders on the boundary that are not free, whose u_k stays exactly 0 whatever the
            residuals do until the next event: they depend on the free ones, or are inactive and
            orthogonal to all that acts. The others on the boundary leave it.
        dual: rows E_k of the dual basis of the free inputs, ⟨E_k, x_l⟩ = δ_kl; zero for the others.
        flag: sum of the reports of `codes`; 0 if the choice is unique.
    """

    mode: Int[Array, " n"]
    alpha: Float[Array, " n"]
    force: Float[Array, " q"]
    free: Bool[Array, " n"]
    still: Bool[Array, " n"]
    dual: Float[Array, "n q"]
    flag: Int[Array, ""]


def boundary_choice(
    a: Float[Array, ""],
    boundaries: Boundaries,
    r: Float[Array, " n"],
    mode: Int[Array, " n"],
    boundary: Bool[Array, " n"],
    direction: Int[Array, " n"],
    r_rate: Float[Array, " n"] | None = None,
) -> BoundaryChoice:
    """Choose modes and α on the whole boundary set of one neuron.

    For a batch of neurons use `boundary_choices`: `vmap` of this one pays for all paddings.

    Args:
        a: output weight, of which only the sign matters; where it is 0, its derivative.
        boundaries: the hyperplanes of the data.
        r: residuals.
        mode: modes off the boundary; on it the modes until now, inactive at the start.
        boundary: data with u_k = 0 now. Of collinear inputs only the leader is read.
        direction: sign of the velocity with which u_k arrives at 0 and goes on, or leaves 0
            because its α met a bound (`leaving_direction`); 0 otherwise.
        r_rate: dr/dt, which decides for α at a bound with velocity zero, where r alone does not.
    """
    count = jnp.sum(boundary & boundaries.is_leader)
    branches = [_with_slots(s) for s in _paddings(r.shape[0])]
    rate = jnp.zeros_like(r) if r_rate is None else r_rate
    arguments = (a, boundaries, r, mode, boundary, direction, rate)
    return jax.lax.switch(_padding_index(count, r.shape[0]), branches, *arguments)


def boundary_choices(
    a: Float[Array, " m"],
    boundaries: Boundaries,
    r: Float[Array, " n"],
    mode: Int[Array, "m n"],
    boundary: Bool[Array, "m n"],
    direction: Int[Array, "m n"],
    r_rate: Float[Array, " n"] | None = None,
) -> BoundaryChoice:
    """`boundary_choice` of m neurons at once, padded to the largest boundary set among them."""
    count = jnp.max(jnp.sum(boundary & boundaries.is_leader, axis=1))
    axes = (0, None, None, 0, 0, 0, None)
    branches = [jax.vmap(_with_slots(s), in_axes=axes) for s in _paddings(r.shape[0])]
    rate = jnp.zeros_like(r) if r_rate is None else r_rate
    arguments = (a, boundaries, r, mode, boundary, direction, rate)
    return jax.lax.switch(_padding_index(count, r.shape[0]), branches, *arguments)


def leaving_direction(
    a: Float[Array, ""], jump: Float[Array, " n"], alpha: Float[Array, " n"]
) -> Int[Array, " n"]:
    """Direction in which a sliding datum leaves when its α meets the bound nearer to it.

    α = 1 leads to the active side of an attracting boundary, a J < 0, and to the inactive side of
    one that has become repelling; α = 0 the other way round.
    """
    bound = jnp.where(alpha > 0.5, 1, -1)
    return (bound * jnp.where(a * jump < 0, 1, -1)).astype(jnp.int8)


def _paddings(n: int) -> list[int]:
    return [s for s in SLOTS if s < n] + [n]


def _padding_index(count: Int[Array, ""], n: int) -> Int[Array, ""]:
    return jnp.sum(count > jnp.asarray(_paddings(n)[:-1], dtype=int))


def _with_slots(slots: int):
    """The choice for boundary sets of at most `slots` hyperplanes: gather, settle, scatter."""

    def choice(a, boundaries, r, mode, boundary, direction, r_rate) -> BoundaryChoice:
        boundary = boundary & boundaries.is_leader
        index = jnp.nonzero(boundary, size=slots, fill_value=r.shape[0])[0]
        acting = ~boundary & boundaries.is_leader & (mode == codes.ACTIVE)
        here = situation(a, boundaries, r, r_rate, mode, acting, direction, index)
        found = settle(here)
        return _described(here, found, boundaries, acting, boundary, index)

    return choice


def _described(here, found: Settlement, boundaries, acting, boundary, index) -> BoundaryChoice:
    """Read modes from velocities, name what stays on the boundary, and scatter back to the data."""
    slot_of = jnp.clip(jnp.cumsum(boundary) - 1, 0, index.shape[0] - 1)

    def scattered(values, elsewhere):
        on_boundary = boundary[:, None] if values.ndim == 2 else boundary
        return jnp.where(on_boundary, values[slot_of], elsewhere)

    alpha = _alpha(here, found)
    across = _across(here.vectors, found)
    held = _held(found, across)
    mode = jnp.where(found.free | held, codes.SLIDING, alpha.astype(jnp.int8))
    still = ~found.free & (found.velocity == 0)
    fixed = scattered(alpha * ~found.free, acting)
    still = jax.lax.cond(
        jnp.any(still), lambda s: s & _untouched(across, boundaries, fixed > 0), lambda s: s, still
    )
    norms = jnp.linalg.norm(boundaries.rows, axis=1)
    return BoundaryChoice(
        mode=boundaries.mode_of_data(scattered(mode, acting)),
        alpha=boundaries.alpha_of_data(scattered(alpha, acting.astype(float))),
        force=(here.force + found.coefficient @ here.vectors) / boundary.shape[0],
        free=scattered(found.free, False),
        still=scattered(still, False),
        dual=scattered(found.dual, 0.0) / norms[:, None],
        flag=_report(here, found, held, jnp.any(boundary)),
    )


def _alpha(here: Situation, found: Settlement) -> Float[Array, " s"]:
    """α = b/J; where J = 0, and so α has no effect, the side to which the neuron moves."""
    neutral = here.jump == 0
    side = jnp.where(found.velocity != 0, found.velocity > 0, found.side)
    return jnp.where(neutral, side, found.coefficient / jnp.where(neutral, 1.0, here.jump))


def _across(vectors: Float[Array, "s q"], found: Settlement) -> Float[Array, "s q"]:
    """Parts of all vectors orthogonal to the free ones, projected twice."""
    across = vectors - (vectors @ found.dual.T) @ vectors
    return across - (across @ found.dual.T) @ vectors


def _held(found: Settlement, across: Float[Array, "s q"]) -> Bool[Array, " s"]:
    """Boundaries that the neuron cannot leave while it slides on the free ones."""
    dependent = jnp.linalg.norm(across, axis=1) <= IN_SPAN
    return jnp.any(found.free) & ~found.free & (found.velocity == 0) & dependent


def _untouched(across, boundaries: Boundaries, acting: Bool[Array, " n"]) -> Bool[Array, " s"]:
    """Which vectors, after projection, are orthogonal to every input that acts on the neuron."""
    acting = acting | boundaries.has_opposite
    unit = boundaries.rows / jnp.linalg.norm(boundaries.rows, axis=1)[:, None]
    products = jnp.abs(across @ unit.T) * acting
    return jnp.max(products, axis=1) <= IN_SPAN


def _report(here: Situation, found: Settlement, held, anywhere) -> Int[Array, ""]:
    """Sum of the codes that apply."""
    pinned = here.repelling & ~found.boxed
    resting = pinned & (found.velocity == 0) & ~held & ~found.side & (here.direction == 0)
    at_rest = jnp.any(resting) | ((here.sign == 0) & anywhere)
    ambiguous = found.alternative | jnp.any(pinned & held)
    unstable = jnp.any(found.boxed & here.staying & (found.free | held))
    return (
        codes.AT_REST * at_rest
        + codes.NON_UNIQUE * ambiguous
        + codes.UNSTABLE * unstable
        + codes.FAILED * ~found.trusted
    )
