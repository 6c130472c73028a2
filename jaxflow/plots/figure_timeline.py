"""Figure 1: the timeline of phases, with the times of a run and the predicted exits."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxflow.analysis import Phases
from jaxflow.plots.sheet import MEASURED, PREDICTED, iterations_on_top, sheet

FILLS = ("0.93", "0.80")
"""Waiting and moving, told apart by their grey."""


@dataclass(frozen=True)
class Span:
    """One phase: from when to when, its name, and whether the loss falls."""

    begin: float
    end: float
    name: str
    falls: bool


def phase_spans(report: Phases) -> list[Span]:
    """Alignment, then waiting at a saddle and fitting in turns, then convergence."""
    aligned = report.alignment.measured
    first = float(np.max(aligned[np.isfinite(aligned)], initial=0.0))
    y = np.asarray(report.run.launch.problem.y)
    spans = [Span(0.0, first, "neurons\nalign", False)]
    begin, known = first, np.zeros(len(y), bool)
    for number, here in enumerate(report.plateaus[:-1]):
        after = report.plateaus[number + 1]
        spans.append(Span(begin, here.time_out, f"saddle\n{number + 1}", False))
        fitted = y[after.fitted & ~known]
        spans.append(Span(here.time_out, after.time_in, f"{_signs(fitted)}\nfitted", True))
        begin, known = after.time_in, after.fitted
    end = float(report.run.ts[-1])
    return [span for span in [*spans, Span(begin, end, "convergence", False)] if span.begin < end]


def draw_timeline(report: Phases) -> Figure:
    """Names of the phases above; loss, sizes of the neurons and angles below, on one axis."""
    spans = phase_spans(report)
    figure = sheet(10.5, 6.4)
    names, loss, sizes = figure.subplots(
        3, 1, sharex=True, gridspec_kw=dict(height_ratios=[0.62, 1, 1])
    )
    draw_names(names, spans)
    draw_loss(loss, report)
    draw_sizes(sizes, report)
    for axes in (loss, sizes):
        for span in spans:
            axes.axvspan(span.begin, span.end, color=FILLS[span.falls], lw=0, zorder=0)
    iterations_on_top(names)
    sizes.set(xlabel="time t", xlim=(0, float(report.run.ts[-1])))
    return figure


def draw_names(axes: Axes, spans: list[Span]) -> None:
    """A bar of named phases with the times of their ends."""
    for span in spans:
        axes.axvspan(span.begin, span.end, color=FILLS[span.falls], lw=0)
        middle = (span.begin + span.end) / 2
        axes.text(middle, 0.6, span.name, ha="center", va="center", fontsize=10)
    for span in spans[1:]:
        axes.axvline(span.begin, color="white", lw=1.5)
        axes.text(span.begin, 0.06, f"{span.begin:.2f}", ha="center", va="bottom", fontsize=8.5)
    axes.set(yticks=[], ylim=(0, 1))
    axes.spines[["left", "right"]].set_visible(False)


def draw_loss(axes: Axes, report: Phases) -> None:
    """The loss and the predicted times at which half of each birth is done."""
    run = report.run
    axes.plot(run.ts, run.loss, color="black", lw=1.8)
    for number, time in enumerate(report.timeline.exit_times):
        label = None if number else "half fitted, predicted"
        axes.axvline(time, color=PREDICTED, ls="--", lw=1.3, label=label)
    axes.set(ylabel="loss", ylim=(0, 1.12 * float(run.loss[0])))
    axes.legend(loc="upper right", fontsize=9, framealpha=0.95)


def draw_sizes(axes: Axes, report: Phases) -> None:
    """log10 of the size of each neuron."""
    run = report.run
    t, sizes = np.asarray(run.ts), np.asarray(run.log_norms) / np.log(10)
    signs = np.sign(np.asarray(run.final.a_mantissa))
    for sign, colour, style, label in (
        (1, MEASURED, "-", "a > 0"),
        (-1, PREDICTED, "--", "a < 0"),
    ):
        lines = axes.plot(t, sizes[:, signs == sign], color=colour, ls=style, lw=0.8, alpha=0.7)
        if lines:
            lines[0].set_label(label)
    axes.set(ylabel=r"$\log_{10}$ size of each neuron")
    axes.legend(loc="center right", fontsize=9, framealpha=0.95)


def _signs(labels: np.ndarray) -> str:
    if np.all(labels > 0):
        return "positive\nlabels"
    return "negative\nlabels" if np.all(labels < 0) else "labels"
