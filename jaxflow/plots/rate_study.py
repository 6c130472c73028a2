"""How the rate of convergence depends on the number of data."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from jaxflow.analysis.rate_study import RateStudy
from jaxflow.plots.canvas import MEASURED, PREDICTED, new_figure, save

STYLES = ((MEASURED, "o"), (PREDICTED, "s"), ("0.35", "^"))


def draw_rate_studies(studies: dict[str, RateStudy], path: str | Path | None = None) -> Figure:
    """Draw the rates of every draw and their means, beside 1/n and 1/sqrt(n).

    Args:
        studies: up to three studies by name.
        path: where to save the picture.
    """
    figure = new_figure(7.2, 4.8)
    axes = figure.subplots()
    for (name, study), (colour, marker) in zip(studies.items(), STYLES, strict=False):
        x = np.repeat(study.sizes, study.rates.shape[1])
        axes.plot(x, study.rates.ravel(), marker, color=colour, ms=3, alpha=0.25, mew=0)
        mean = np.exp(np.mean(np.log(study.rates), axis=1))
        label = f"{name}: slope {study.slope:.2f} ± {study.slope_error:.2f}"
        axes.plot(study.sizes, mean, color=colour, marker=marker, ms=7, mec="white", label=label)
    sizes = np.unique(np.concatenate([study.sizes for study in studies.values()]))
    top = max(np.max(study.rates[0]) for study in studies.values())
    for power, line in ((-0.5, ":"), (-1.0, "--")):
        values = 1.3 * top * (sizes / sizes[0]) ** power
        axes.plot(sizes, values, color="0.6", lw=1, ls=line, label=f"slope {power:g}")
    axes.set(
        xscale="log", yscale="log", xlabel="number of data n", ylabel=r"least eigenvalue of $K/n$"
    )
    axes.set_xticks(sizes, [f"{n:g}" for n in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title("Rate of convergence of the limits λ → 0", fontsize=11)
    axes.legend(fontsize=8.5, framealpha=0.95)
    return save(figure, path)
