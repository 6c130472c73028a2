"""One run of `verify` again, alone."""

from dataclasses import dataclass

from jaxflow.dataset import Dataset
from jaxflow.experiments.cases import Case, case_of
from jaxflow.experiments.minimality import Minimality, minimality
from jaxflow.experiments.predictions import near_tie_factor
from jaxflow.experiments.scales import log_of
from jaxflow.experiments.verify import MAX_STEPS, MAX_STEPS_GENERAL
from jaxflow.flow.gradient_flow import gradient_flow
from jaxflow.flow.settings import DEFAULT_RTOL
from jaxflow.flow.trajectory import Trajectory
from jaxflow.minnorm import Excess
from jaxflow.theory import JumpProcess, jump_process
from jaxflow.validation import finite_number


@dataclass(frozen=True)
class Replay:
    """A single run, with what theory and comparator say of it.

    Attributes:
        case: the data set and the initialisations.
        log_scale: logarithm of the initialisation scale λ.
        trajectory: the run.
        limit: the jump process, which is known on orthogonal inputs only.
    """

    case: Case
    log_scale: float
    trajectory: Trajectory
    limit: JumpProcess | None

    @property
    def excess(self) -> Excess:
        """How far the end is above the minimum variation norm."""
        return self.case.minimum.excess(self.trajectory.final)

    @property
    def minimality(self) -> Minimality:
        """Whether the end is minimal, by the interval of `excess`."""
        return minimality(self.trajectory.final, self.case.minimum)

    def __str__(self) -> str:
        parts = (
            self.case.dataset,
            self.trajectory,
            *self._theory(),
            self.case.minimum,
            self.excess,
            f"end: {self.minimality}",
        )
        return "\n".join(map(str, parts))

    def _theory(self) -> tuple:
        if self.limit is None:
            return ("JumpProcess: not known, because the inputs are not orthogonal",)
        factor = near_tie_factor(float(self.limit.separation), self.log_scale)
        return self.limit, f"λ^separation = {factor:.3g}"


def replay(
    dataset: str | Dataset,
    *,
    seed: int,
    scale: str | float,
    width: int | None = None,
    rtol: float = DEFAULT_RTOL,
) -> Replay:
    """Integrate one run of `jaxflow.experiments.verify` again, alone.

    Args:
        dataset: label as in `jaxflow.experiments.cases.case_of`, or a data set.
        seed: number of the initialisation, `jax.random.key(seed)`.
        scale: initialisation scale λ; text may be below the least float64.
        width, rtol: as in `jaxflow.experiments.verify`.

    Raises:
        ValueError: as `jaxflow.experiments.verify`, and for a seed that is not a whole number ≥ 0.
    """
    case, log_scale = case_of(dataset, width), log_of(scale)
    if finite_number("seed", seed) != int(seed) or seed < 0:
        raise ValueError(f"seed: got {seed!r}, wanted a whole number of at least 0")
    network = case.start.network(int(seed), log_scale)
    orthogonal = case.dataset.is_orthogonal
    steps = MAX_STEPS if orthogonal else MAX_STEPS_GENERAL
    trajectory = gradient_flow(network, case.dataset, rtol=rtol, max_steps=steps)
    limit = jump_process(network, case.dataset) if orthogonal else None
    return Replay(case, log_scale, trajectory, limit)
