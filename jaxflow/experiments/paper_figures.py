"""The figures of arXiv 2206.00939: what each one shows, and its numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jaxflow.analysis.phases import LEFT
from jaxflow.experiments.paper_runs import PaperRuns
from jaxflow.minnorm import minimum_variation_norm
from jaxflow.plots.figure_five_points import draw_five_points
from jaxflow.plots.figure_high_dimensional import draw_high_dimensional, film_principal_plane
from jaxflow.plots.figure_loss import draw_loss_profile
from jaxflow.plots.figure_states import draw_states, film_states
from jaxflow.plots.figure_timeline import draw_timeline, phase_spans
from jaxflow.plots.principal_plane import draw_principal_plane, explained_variance
from jaxflow.plots.sheet import ITERATION
from jaxflow.theory import timeline

SMALL_TIMES = (0.0, 0.06, 0.14, 0.3, 1.0)
LARGE_TIMES = (0.0, 0.01, 0.05, 0.2, 1.0)
"""Moments of Figures 4 and 5, as shares of the whole run."""
PLANE_TIMES = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True)
class PaperFigure:
    """Which run a figure shows, how to draw it, to say its numbers, and to animate it where that
    makes sense."""

    number: int
    name: str
    run: str
    """What it needs of `PaperRuns`."""
    draw: Callable[[PaperRuns], Figure]
    numbers: Callable[[PaperRuns], list[str]]
    film: Callable[[PaperRuns, Path], Path] | None = None


def _timeline_numbers(runs: PaperRuns) -> list[str]:
    report = runs.toy_phases
    rows = [
        f"t = {span.begin:8.4f} to {span.end:8.4f}  {' '.join(span.name.split())}"
        for span in phase_spans(report)
    ]
    found = report.alignment
    last, predicted = np.nanmax(found.measured), np.nanmax(found.predicted)
    return [
        *rows,
        f"last neuron within {found.wanted:g} rad of its limit: t = {last:.6f}, "
        f"predicted {predicted:.6f}",
    ]


def _moments(runs: PaperRuns) -> list[tuple[float, str]]:
    """Times of Figure 2, from the phases of the run."""
    spans = phase_spans(runs.toy_phases)
    half = runs.toy_phases.exit_times
    moments = [(0.0, "start"), (spans[0].end, "aligned")]
    for number, time in enumerate(half):
        moments.append((float(time), "half fitted"))
        if number + 1 < len(half):
            waiting = spans[2 * number + 3]
            moments.append(((waiting.begin + waiting.end) / 2, f"saddle {number + 2}"))
    return [*moments, (float(runs.toy.ts[-1]), "end")]


def _state_numbers(runs: PaperRuns) -> list[str]:
    return [*_end(runs.toy, runs.toy_data), f"changes of activation: {len(runs.toy.events)}"]


def _leaving(runs: PaperRuns) -> np.ndarray:
    """Predicted times at which a hundredth of each birth is fitted."""
    return timeline(runs.toy_start, runs.toy_data, fraction=LEFT).exit_times


def _loss_numbers(runs: PaperRuns) -> list[str]:
    report = runs.toy_phases
    rows = ["             left (1 % fitted)             half fitted                  iteration"]
    said = ["the paper: about 5000", "the paper: about 11000"]
    plateaus = report.plateaus[: len(report.exit_times)]
    for number, (here, early) in enumerate(zip(plateaus, _leaving(runs), strict=True)):
        half, late = report.exit_times[number], report.timeline.exit_times[number]
        rows.append(
            f"saddle {number + 1}  t = {here.time_out:.6f} ({early:.6f})  t = {half:.6f} "
            f"({late:.6f})  {here.time_out / ITERATION:.0f} to {half / ITERATION:.0f} "
            f"({said[number] if number < len(said) else 'not in the paper'})"
        )
    return [
        *rows,
        "in parentheses: predicted from the initialisation",
        *_end(runs.toy, runs.toy_data),
    ]


def _end(run, dataset) -> list[str]:
    """Final loss and norm beside the minimum."""
    norm, least = float(run.final.variation_norm()), float(minimum_variation_norm(dataset).value)
    return [
        f"end at t = {float(run.end_time):g}: {run.status}, loss {float(run.loss[-1]):.3g}",
        f"variation norm {norm:.9g}, certified minimum {least:.9g}, ratio {norm / least:.6f}",
    ]


def _five_numbers(run, dataset) -> list[str]:
    first, last = run.network(0), run.final
    moved = np.sqrt(
        np.sum((np.asarray(last.w) - np.asarray(first.w)) ** 2)
        + np.sum((np.asarray(last.a) - np.asarray(first.a)) ** 2)
    )
    size = np.sqrt(np.sum(np.asarray(first.w) ** 2) + np.sum(np.asarray(first.a) ** 2))
    kinds, numbers = np.unique(run.events.kind, return_counts=True)
    events = ", ".join(f"{count} {kind}" for kind, count in zip(kinds, numbers, strict=True))
    return [
        *_end(run, dataset),
        f"weights move by {moved / size:.3g} times their size at the start",
        f"changes of activation: {len(run.events)} ({events or 'none'})",
    ]


def _five(run, dataset, shares, log_loss: bool) -> Figure:
    times = [share * float(run.ts[-1]) for share in shares]
    return draw_five_points(run, dataset, times, log_loss=log_loss)


def _high_numbers(runs: PaperRuns) -> list[str]:
    run = runs.high
    sizes = np.abs(np.asarray(run.final.a))
    shares = ", ".join(f"{share:.3f}" for share in explained_variance(run)[:4])
    return [
        f"end at t = {float(run.end_time):g}: {run.status}, loss {float(run.loss[-1]):.3g}",
        f"variation norm {float(run.final.variation_norm()):.9g}",
        f"changes of activation: {len(run.events)}",
        f"neurons larger than 1 % of the largest: {np.sum(sizes > 0.01 * sizes.max())}",
        f"explained variance: {shares}, …",
    ]


def _plane(runs: PaperRuns) -> Figure:
    return draw_principal_plane(runs.high, [runs.sizes.high_end * share for share in PLANE_TIMES])


FIGURES = (
    PaperFigure(
        1, "timeline", "toy_phases", lambda runs: draw_timeline(runs.toy_phases), _timeline_numbers
    ),
    PaperFigure(
        2,
        "states",
        "toy_phases",
        lambda runs: draw_states(runs.toy, runs.toy_data, _moments(runs)),
        _state_numbers,
        lambda runs, path: film_states(runs.toy, runs.toy_data, path),
    ),
    PaperFigure(
        3,
        "loss",
        "toy_phases",
        lambda runs: draw_loss_profile(runs.toy_phases, _leaving(runs)),
        _loss_numbers,
    ),
    PaperFigure(
        4,
        "five-points",
        "small",
        lambda runs: _five(runs.small, runs.five_data, SMALL_TIMES, log_loss=False),
        lambda runs: _five_numbers(runs.small, runs.five_data),
    ),
    PaperFigure(
        5,
        "large-start",
        "large",
        lambda runs: _five(runs.large, runs.five_data, LARGE_TIMES, log_loss=True),
        lambda runs: _five_numbers(runs.large, runs.five_data),
    ),
    PaperFigure(
        6,
        "principal-plane",
        "high",
        _plane,
        _high_numbers,
        lambda runs, path: film_principal_plane(runs.high, path),
    ),
    PaperFigure(
        7, "high-dimensional", "high", lambda runs: draw_high_dimensional(runs.high), _high_numbers
    ),
)
"""All figures: number, name, run, drawing."""
