"""How a run is judged: what must hold of it, at which scale, and with which error.

Let f = λ^min(separation, 1) be the size that the closest competitor of a birth, or else an unborn
neuron, has at that time. A finite λ departs from the jump process by

* terms of order f² within the theorem's hypothesis, where one neuron of each sign fits all data
  of its sign and every other neuron adds h of the order of its size squared;
* terms of order f outside of it, where a neuron is born that still sees, with weight f, data that
  another one has fitted; the two then share them.

So the statements are, with V the variation norm at the end and relative to the norm predicted:

1. always: V is at least the minimum for the labels that the network fits (weak duality);
2. the run interpolates, or rests at the loss of the last plateau, as the jump process says;
3. |V − V_jump| ≤ 100 f² within the hypothesis, 10 f outside: the constants leave room for a
   hundred competitors of the size of the born neuron at the start;
4. within the hypothesis the excess of V over the minimum does not grow as λ decreases.

Statements 2 to 4 are about f → 0. Runs with f > 1e-3 are near ties: listed, not judged. A run that
broke off, or was still moving at its horizon, decides nothing: listed as undecided. All are
up to the accuracy of V: ten times the tolerance per step, and the certified way to the limit.
"""

from enum import IntEnum

import numpy as np
import xarray as xr

from jaxflow.flow.status import Status

NEAR_TIE = 1e-3
FIRST_ORDER, SECOND_ORDER = 10.0, 100.0
ROUNDING = 1e-12
"""Relative rounding of weak duality: sums of at most some thousand products."""


class Verdict(IntEnum):
    """What became of a run."""

    not_run = 0
    agrees = 1
    near_tie = 2
    undecided = 3
    counterexample = 4

    def __str__(self) -> str:
        return self.name.replace("_", " ")


class Finding(IntEnum):
    """The statement that a counterexample contradicts."""

    none = 0
    below_the_minimum = 1
    wrong_end = 2
    wrong_norm = 3
    growing_excess = 4

    def __str__(self) -> str:
        return self.name.replace("_", " ")


def judge(runs: xr.Dataset, rtol: float) -> xr.Dataset:
    """Add `excess`, `disagreement`, `allowed`, `verdict` and `finding` to the table of runs.

    `excess` and `disagreement` are relative: (V − V_min)/V_min, first-order corrected for the
    residual that is left, and |V − V_jump|/V_jump.
    """
    runs = runs.assign(
        excess=runs.excess_estimate / runs.minimum,
        disagreement=np.abs(runs.variation_norm - runs.jump_norm) / runs.jump_norm,
        allowed=allowed_disagreement(runs, rtol),
    )
    finding = findings(runs, rtol)
    verdict = xr.where(runs.near_tie_factor > NEAR_TIE * (1 + 1e-9), Verdict.near_tie, 1)
    broken = (finding == Finding.below_the_minimum) | (
        (finding != Finding.none) & (verdict != Verdict.near_tie)
    )
    undecided = (runs.status != Status.interpolated) & (runs.status != Status.stationary)
    verdict = xr.where(undecided, Verdict.undecided, verdict)
    verdict = xr.where(broken & ~undecided, Verdict.counterexample, verdict)
    verdict = xr.where(runs.status == Status.running, Verdict.not_run, verdict)
    judged = (verdict == Verdict.counterexample).astype(np.int8)
    return runs.assign(verdict=verdict.astype(np.int8), finding=finding.astype(np.int8) * judged)


def accuracy(runs: xr.Dataset, rtol: float) -> xr.DataArray:
    """Relative accuracy of V as the variation norm of the limit t → ∞."""
    return 10 * rtol + 4 * runs.movement


def allowed_disagreement(runs: xr.Dataset, rtol: float) -> xr.DataArray:
    """The bound of statement 3."""
    f = runs.near_tie_factor
    return xr.where(runs.hypothesis, SECOND_ORDER * f**2, FIRST_ORDER * f) + accuracy(runs, rtol)


def findings(runs: xr.Dataset, rtol: float) -> xr.DataArray:
    """The first statement that each run contradicts, whether or not it is to be judged by it."""
    below = runs.excess_upper < -ROUNDING * runs.variation_norm
    finding = xr.where(_growing(runs, rtol), Finding.growing_excess, Finding.none)
    finding = xr.where(runs.disagreement > runs.allowed, Finding.wrong_norm, finding)
    finding = xr.where(_wrong_end(runs), Finding.wrong_end, finding)
    return xr.where(below, Finding.below_the_minimum, finding).transpose(*runs.status.dims)


def _wrong_end(runs: xr.Dataset) -> xr.DataArray:
    interpolates = runs.status == Status.interpolated
    other_loss = np.abs(runs.loss - runs.jump_loss) > 1e-9 * runs.jump_loss + ROUNDING
    return (interpolates != runs.jump_interpolates) | other_loss


def _growing(runs: xr.Dataset, rtol: float) -> xr.DataArray:
    """Excess larger than at the next larger scale, where both are to be judged."""
    tie = runs.near_tie_factor > NEAR_TIE * (1 + 1e-9)
    judged = (runs.status == Status.interpolated) & ~tie & runs.hypothesis
    excess = runs.excess.where(judged)
    before = excess.shift(scale=1)
    return excess > np.maximum(before, 0.0) + accuracy(runs, rtol)
