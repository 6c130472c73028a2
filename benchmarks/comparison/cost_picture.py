"""The cost curves, one panel each."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

LABELS = {
    "width": "neurons m",
    "data": "orthogonal data n",
    "scale": "scale λ",
    "seeds": "seeds together",
}
COMPILED = 1.0
"""Seconds above which what a first call takes longer is compilation."""


def draw(curves: dict, path: str) -> None:
    """Seconds against every size, both logarithmic, with the slope in the title."""
    figure = Figure(figsize=(3.4 * len(curves), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (name, measured) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        axis.plot(measured["sizes"], measured["seconds"], color="#1b4f8a", marker="o", label="run")
        setup = np.array(measured["setup_s"])
        compiled = np.where(setup > COMPILED, setup, np.nan)
        axis.plot(measured["sizes"], compiled, "s", color="#e08a1e", label="compilation")
        axis.set(xscale="log", yscale="log", xlabel=LABELS[name])
        axis.set_title(f"run ~ size^{measured['slope']:.2f}", fontsize=10)
        axis.grid(True, color="0.92", linewidth=0.6)
        if name == "data":
            axis.set_xticks(measured["sizes"], [str(n) for n in measured["sizes"]])
            axis.xaxis.set_minor_locator(NullLocator())
        if name == "scale":
            axis.set_xticks([1.0, 1e-100, 1e-200, 1e-300])
            axis.invert_xaxis()
    figure.axes[0].set_ylabel("seconds")
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)
