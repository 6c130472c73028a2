"""Lipschitz constants of the flow's end and of the minimum-norm interpolator."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jaxflow.analysis.robustness import Robustness
from jaxflow.plots.canvas import MEASURED, PREDICTED, new_figure, save


def draw_robustness(found: Robustness, path: str | Path | None = None) -> Figure:
    """Draw both constants with their bounds, and their changes when the inputs move."""
    figure = new_figure(8.4, 3.9)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
    for place, bounds, colour in ((0, found.flow, MEASURED), (1, found.minimum, PREDICTED)):
        left.bar(place, bounds.upper, 0.6, color=colour)
        if not bounds.exact:
            left.vlines(place, bounds.lower, bounds.upper, color="black", lw=2)
        left.text(place, bounds.upper, f"{bounds.upper:.5g}", ha="center", va="bottom")
    left.set_xticks([0, 1], ["end of the flow", "minimum norm"])
    left.set(
        ylabel="Lipschitz constant", ylim=(0, 1.12 * max(found.flow.upper, found.minimum.upper))
    )
    count = np.arange(1, found.flow_perturbed.size + 1)
    for shift, values, base, colour, marker, name in (
        (-0.1, found.flow_perturbed, found.flow.upper, MEASURED, "o", "end of the flow"),
        (0.1, found.minimum_perturbed, found.minimum.upper, PREDICTED, "s", "minimum norm"),
    ):
        change = (values - base) / found.size
        right.vlines(count + shift, 0, change, color=colour, lw=1)
        right.plot(count + shift, change, marker, color=colour, label=name)
    right.axhline(0, color="0.6", lw=0.8)
    right.set_xticks(count)
    right.set(xlabel="perturbed data set", ylabel="change of the constant, in units of ε")
    right.set_title(f"Inputs moved by ε = {found.size:g}", fontsize=11)
    right.legend(fontsize=8.5, framealpha=0.95)
    left.set_title("Lipschitz constant", fontsize=11)
    return save(figure, path)
