"""Errors of predicted exit times against the scale of the initialisation."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxflow.plots.canvas import MEASURED, PREDICTED, new_figure, save

STYLES = ((MEASURED, "o", "-"), (PREDICTED, "s", "--"), ("0.35", "^", ":"))
SMALLEST = 1e-15


def draw_exit_errors(
    scales: Float[np.ndarray, " S"],
    errors: dict[str, Float[np.ndarray, "S J"]],
    path: str | Path | None = None,
) -> Figure:
    """Draw the largest |measured − predicted| exit time for each prediction, and the law λ².

    Args:
        scales: λ, decreasing.
        errors: measured less predicted times of J births, by the name of the prediction.
        path: where to save the picture.
    """
    figure = new_figure(6.6, 4.4)
    axes = figure.subplots()
    decades = -np.log10(np.asarray(scales))
    for (name, values), (colour, marker, line) in zip(errors.items(), STYLES, strict=False):
        worst = np.maximum(np.max(np.abs(values), axis=1), SMALLEST)
        axes.plot(decades, worst, color=colour, marker=marker, ls=line, label=name)
    guide = np.linspace(decades[0], min(decades[-1], 7), 50)
    axes.plot(guide, 10 ** (-2 * guide), color="0.6", lw=1, label=r"$\lambda^2$")
    axes.set(xscale="log", yscale="log", ylabel="error of exit times")
    axes.set_xticks(decades, [f"$10^{{-{d:g}}}$" for d in decades])
    axes.minorticks_off()
    axes.set(xlabel="initialisation scale λ  (smaller to the right)")
    axes.set_title("Exit times: measured less predicted", fontsize=11)
    axes.legend(fontsize=8.5, framealpha=0.95)
    return save(figure, path)
