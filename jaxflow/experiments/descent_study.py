"""Gradient descent against the flow on the toy, as step, precision and optimiser change."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import optax
from jaxtyping import Float
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jaxflow import datasets, init
from jaxflow.analysis.departure import Departure, departure
from jaxflow.descent.gradient_descent import gradient_descent
from jaxflow.experiments.progress import progress_bar
from jaxflow.minnorm import minimum_variation_norm
from jaxflow.plots.descent_study import draw_descent_study
from jaxflow.theory import single_datum_trajectory
from jaxflow.validation import positive_number

MOMENTUM = 0.9
SAVES = 301
DEFAULT_STEPS = (0.1, 0.03, 0.01, 0.003, 0.002, 0.001, 0.0003)
"""Times of one iteration; 0.002 is the authors' loop."""


@dataclass(frozen=True)
class Method:
    """An optimiser, given the time of one iteration, and a precision."""

    name: str
    optimizer: Callable[[float], optax.GradientTransformation]
    precision: str = "float64"
    momentum: float | None = None
    """β of plain descent with or without momentum, None for other optimisers."""


METHODS = (
    Method("descent", optax.sgd, momentum=0.0),
    Method("descent, float32", optax.sgd, precision="float32", momentum=0.0),
    Method(
        f"momentum {MOMENTUM}",
        lambda step: optax.sgd(step * (1 - MOMENTUM), momentum=MOMENTUM),
        momentum=MOMENTUM,
    ),
    Method("Adam", optax.adam),
)


@dataclass(frozen=True, eq=False)
class DescentStudy:
    """How descents depart from the flow; `print` shows the table. NaN where one diverged."""

    methods: tuple[Method, ...]
    steps: Float[np.ndarray, " S"]
    errors: Float[np.ndarray, "M S"]
    """Largest max |h − h*|/max |y|."""
    relative: Float[np.ndarray, "M S"]
    """Largest |h − h*| relative to Σ_j |a_j| max(⟨w_j, x_k⟩, 0)."""
    delays: Float[np.ndarray, "M S n"]
    """How much later each output passes half of its label."""
    predicted_delays: Float[np.ndarray, "M S n"]
    """The same to first order in the step; see `predicted_delays`."""
    losses: Float[np.ndarray, "M S"]
    """Loss at the end."""
    excess: Float[np.ndarray, "M S"]
    """Variation norm at the end, relative to the certified minimum, less one."""
    flips: Float[np.ndarray, "M S"]
    """Changes of activation."""
    order: float
    """Slope of log error in log step of plain descent between its two smallest steps."""

    def plot(self, path: str | Path | None = None):
        """Draw error and excess against the step; saved to `path` if given."""
        return draw_descent_study(self, path)

    def __repr__(self) -> str:
        text = io.StringIO()
        console = Console(file=text, width=130, highlight=False)
        console.print(_table(self), end="")
        console.print(f"order of plain descent: {self.order:.3f}", end="")
        return text.getvalue()


def descent_study(
    steps: Sequence[float] = DEFAULT_STEPS,
    *,
    methods: tuple[Method, ...] = METHODS,
    width: int = 60,
    scale: float = 1e-6,
    seed: int = 1,
    horizon: float = 60.0,
    show_progress: bool = False,
) -> DescentStudy:
    """Descend on the toy with several optimisers and steps and measure the departure from the flow.

    Args:
        steps: times of one iteration in the flow's unit.
        methods: optimisers and precisions, such as `METHODS`.
        width, scale, seed: the balanced initialisation; `scale` has to fit the precisions.
        horizon: end time.
        show_progress: draw a bar on the terminal.

    Raises:
        ValueError: steps that are not positive, or a scale too small for a precision.
    """
    steps = np.array([positive_number("steps", step) for step in steps])
    dataset = datasets.toy()
    network = init.balanced(jax.random.key(seed), width, 2, scale=scale, bias=True)
    found = []
    with progress_bar(len(methods) * len(steps), show_progress) as done:
        for method in methods:
            for step in steps:
                found.append(_measure(network, dataset, method, float(step), horizon))
                done(len(found))
    columns = (np.array(column) for column in zip(*found, strict=True))
    errors, relative, delays, losses, norms, flips = (
        column.reshape(len(methods), len(steps), *column.shape[1:]) for column in columns
    )
    births = single_datum_trajectory(network, dataset)
    late = [[predicted_delays(births, step, m.momentum) for step in steps] for m in methods]
    excess = norms / float(minimum_variation_norm(dataset).value) - 1
    return DescentStudy(
        methods, steps, errors, relative, delays, np.array(late), losses, excess, flips,
        order=_order(steps, errors[0]),
    )  # fmt: skip


def predicted_delays(births, step: float, momentum: float | None) -> Float[np.ndarray, " n"]:
    """Delay of the births by the step h, h (1 + β)/(1 − β) (G T/2 − (3/4) log 2).

    The flow follows x' = f; to first order in the time h of an iteration, descent with momentum β
    follows x' = f − h (1 + β)/(2 (1 − β)) f' f. For a group of aligned neurons of amplitude a,
    f = G a (1 − a²/a*²), which passes a²/a*² = 1/2 at T, the delay is the integral of that term.
    What the neurons do before they are aligned is neglected beside G T.

    Args:
        births: the closed-form trajectory, with its times T and rates G.
        step: the time h of one iteration.
        momentum: β, or None for optimisers that are no discretisation of the flow.

    Source: backward error analysis; for momentum Kovachki and Stuart, JMLR 22(17), 2021.
    """
    if momentum is None:
        return np.full(births.births.shape, np.nan)
    slower = (1 + momentum) / (1 - momentum)
    return step * slower * (np.asarray(births.births * births.rates) / 2 - 0.75 * np.log(2))


def _measure(network, dataset, method: Method, step: float, horizon: float) -> tuple:
    """One descent, as a row of numbers."""
    count = int(np.ceil(horizon / step))
    saved = np.unique(np.linspace(0, count, min(SAVES, count + 1)).round().astype(int))
    descent = gradient_descent(
        network, dataset, method.optimizer(step), steps=count, saved=saved,
        precision=method.precision,
    )  # fmt: skip
    if descent.status.failed:
        return np.nan, np.nan, np.full(dataset.n, np.nan), np.nan, np.nan, np.nan
    found: Departure = departure(descent)
    ends = descent.loss[-1], descent.variation_norm[-1], descent.flips[-1]
    return found.absolute, found.relative, found.delays, *map(float, ends)


def _order(steps, errors) -> float:
    """Slope between the two smallest steps; NaN with one step only."""
    if len(steps) < 2:
        return np.nan
    two = np.argsort(steps)[:2]
    return float(np.subtract(*np.log(errors[two])) / np.subtract(*np.log(steps[two])))


def _table(study: DescentStudy) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("method", no_wrap=True)
    columns = "step", "max |h−h*|", "relative", "delays of births", "predicted"
    for heading in (*columns, "loss", "excess", "flips"):
        table.add_column(heading, justify="right", no_wrap=True)
    for i, method in enumerate(study.methods):
        for j, step in enumerate(study.steps):
            table.add_row(method.name, f"{step:g}", *_row(study, (i, j)))
    return table


def _row(study: DescentStudy, at: tuple[int, int]) -> list[str]:
    if np.isnan(study.errors[at]):
        return ["diverged"]

    def pair(values) -> str:
        return "–" if np.isnan(values).all() else " ".join(f"{value:.4g}" for value in values)

    return [
        f"{study.errors[at]:.2e}",
        f"{study.relative[at]:.2e}",
        pair(study.delays[at]),
        pair(study.predicted_delays[at]),
        f"{study.losses[at]:.1e}",
        f"{study.excess[at]:.1e}",
        f"{study.flips[at]:.0f}",
    ]
