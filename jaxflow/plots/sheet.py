"""What the figures share: a sheet to draw on, colours, files and films."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MEASURED, PREDICTED = "#1b4f8a", "#e08a1e"
"""Dark and light also in grey; predictions are dashed besides."""
ITERATION = 0.002
"""Time of one iteration of the loop that accompanies arXiv 2206.00939: step 0.001 on the loss
without the factor 1/2."""
DPI = 120


def sheet(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, drawn without a window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """Write a figure in the format of the file name's ending, as a whole or not at all."""
    with whole(path) as unfinished:
        figure.savefig(unfinished, dpi=DPI)
    return path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Another name of the same ending to write to; takes its place once that is done."""
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def film(figure: Figure, draw: Callable[[int], None], frames: int, path: Path) -> Path:
    """Write a GIF of `frames` pictures, each drawn by `draw(index)` on the same figure."""
    draw(frames - 1)
    figure.canvas.draw()  # the layout of the last frame is that of all
    figure.set_layout_engine("none")
    moving = FuncAnimation(figure, draw, frames=frames, init_func=lambda: None, blit=False)
    with whole(path) as unfinished:
        moving.save(unfinished, writer=PillowWriter(fps=12), dpi=80)
    return path


def iterations_on_top(axes: Axes) -> Axes:
    """A second axis above: iterations of the paper's loop in thousands, time/0.002."""
    unit = 1000 * ITERATION
    top = axes.secondary_xaxis("top", functions=(lambda t: t / unit, lambda i: i * unit))
    top.set_xlabel("thousands of iterations (time / 0.002)")
    return top
