"""What all pictures share: colours that stay apart in grey, and writing the file."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MEASURED, PREDICTED = "#1b4f8a", "#e08a1e"
"""Dark and light also in grey; predictions are dashed besides."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that needs no display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | Path | None) -> Figure:
    """Save to a PNG file if a path is given, and return the figure."""
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
