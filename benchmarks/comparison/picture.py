"""Work-precision picture: error against the time of a run, one panel for each problem."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from comparison.measure import WANTED

STYLES = (
    ("#1b4f8a", "o", "-"),
    ("#e08a1e", "s", "-"),
    ("#5a9367", "^", "--"),
    ("#a02c5a", "D", "--"),
    ("#7a6fb0", "v", ":"),
    ("#555555", "P", ":"),
)
"""Colour, marker and line of each tool; markers tell them apart without colour."""


def draw(results: dict, path: str) -> None:
    """Draw the problems on which every error is against an independent reference."""
    chosen = {k: v for k, v in results["problems"].items() if v["independent"]}
    columns = 2 if len(chosen) > 1 else 1
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.9 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    tools = list(dict.fromkeys(t for problem in chosen.values() for t in problem["tools"]))
    style = dict(zip(tools, STYLES, strict=False))
    for axis, (name, problem) in zip(axes, chosen.items(), strict=False):
        _panel(axis, name, problem, style)
        axis.tick_params(labelbottom=True, labelleft=True)
    for axis in axes[len(chosen) :]:
        axis.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=150)


def _panel(axis, name: str, problem: dict, style: dict) -> None:
    for tool, rows in problem["tools"].items():
        done = [row for row in rows if row["error"] is not None]
        colour, marker, line = style[tool]
        times = [row["time_s"] for row in done]
        errors = [row["error"] for row in done]
        axis.plot(times, errors, color=colour, marker=marker, linestyle=line, ms=5, label=tool)
    axis.axhline(WANTED, color="0.6", linewidth=0.8, zorder=0)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set(xscale="log", yscale="log", title=name, xlabel="seconds a run, after set-up")
    axis.set_ylabel("largest error of the outputs")
    axis.grid(True, which="major", color="0.92", linewidth=0.6)
