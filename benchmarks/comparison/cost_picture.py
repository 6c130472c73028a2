"""The cost curves, one panel each."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

LABELS = {
    "width": "neurons m",
    "data": "orthogonal data n",
    "scale": "scale λ",
    "seeds": "seeds together",
}


def draw(curves: dict, path: str) -> None:
    """Seconds against every size, both logarithmic, with the slope in the title."""
    figure = Figure(figsize=(3.4 * len(curves), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (name, measured) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        axis.plot(measured["sizes"], measured["seconds"], color="#1b4f8a", marker="o", label="run")
        axis.plot(measured["sizes"], measured["setup_s"], color="#e08a1e", marker="s",
                  linestyle="", label="compilation")  # fmt: skip
        axis.set(xscale="log", yscale="log", xlabel=LABELS[name])
        axis.set_title(f"run ~ size^{measured['slope']:.2f}", fontsize=10)
        axis.grid(True, color="0.92", linewidth=0.6)
        if name == "scale":
            axis.set_xticks([1.0, 1e-100, 1e-200, 1e-300])
            axis.invert_xaxis()
    figure.axes[0].set_ylabel("seconds")
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)
