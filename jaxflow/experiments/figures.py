"""The figures of arXiv 2206.00939, drawn from this library's own runs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jaxflow.experiments.arguments import hint, writable_folder
from jaxflow.experiments.background import awaited, side_by_side
from jaxflow.experiments.paper_figures import FIGURES, PaperFigure
from jaxflow.experiments.paper_runs import SIDE_BY_SIDE, TITLES, PaperRuns
from jaxflow.experiments.progress import Board
from jaxflow.plots.sheet import save

THREADS = 2
"""Runs under way at a time; each keeps one core busy."""


@dataclass(frozen=True)
class Drawing:
    """One figure: its files and the numbers that belong to it."""

    number: int
    name: str
    numbers: list[str]
    paths: list[Path]

    def __str__(self) -> str:
        rows = "\n".join(f"  {row}" for row in self.numbers)
        return f"Figure {self.number} ({self.name}): {', '.join(map(str, self.paths))}\n{rows}"


def figures(
    names: Sequence[str | int] = (),
    *,
    out: str | Path = ".",
    pdf: bool = False,
    animate: bool = False,
    runs: PaperRuns | None = None,
    show_progress: bool = False,
) -> Iterator[Drawing]:
    """Draw figures of arXiv 2206.00939 one by one.

    Their runs are integrated in the background, two at a time; figures are drawn on the thread of
    the caller, in the order given, but those of the longest run last.

    Args:
        names: numbers 1 to 7 or names, as in `FIGURES`; none for all.
        out: folder, made if it is not there.
        pdf: write PDF files in place of PNG.
        animate: write a GIF besides, of the figures that have one.
        runs: the runs to draw, such as `PaperRuns(Sizes(...), seed)`.
        show_progress: say on the terminal what is being done.

    Returns:
        An iterator of a `Drawing` for each; runs begin with the first one asked for. After an
        interrupt (Ctrl-C) the figures drawn so far are complete files.

    Raises:
        ValueError: an unknown name, or a folder that cannot be written to; at once.
    """
    chosen = list(dict.fromkeys(figure_named(name) for name in names)) or list(FIGURES)
    folder = writable_folder(out)
    draw = partial(_drawn, folder=folder, pdf=pdf, animate=animate)
    return _one_by_one(_longest_last(chosen), runs or PaperRuns(), draw, show_progress)


def _longest_last(chosen: list[PaperFigure]) -> list[PaperFigure]:
    return sorted(chosen, key=lambda figure: figure.run in SIDE_BY_SIDE[0])


def _one_by_one(
    chosen: list[PaperFigure], runs: PaperRuns, draw: Callable, visible: bool
) -> Iterator[Drawing]:
    """Begin the runs, and draw each figure as soon as its run is there."""
    board = Board(_titles(chosen), visible)
    outcomes = side_by_side(_chains(chosen, runs, board), THREADS)
    try:
        for figure in chosen:
            with board:
                awaited(outcomes[figure.run])
                with board.line(figure.name):
                    drawing = draw(figure, runs)
            yield drawing
    finally:
        for outcome in outcomes.values():
            outcome.cancel()


def _titles(chosen: list[PaperFigure]) -> dict[str, str]:
    """What the terminal says of each run and of each drawing."""
    users = {
        run: ", ".join(str(figure.number) for figure in chosen if figure.run == run)
        for run in dict.fromkeys(figure.run for figure in chosen)
    }
    return {
        **{run: f"integrating {TITLES[run]}, for figure {used}" for run, used in users.items()},
        **{figure.name: f"drawing figure {figure.number}" for figure in chosen},
    }


def _chains(chosen: list[PaperFigure], runs: PaperRuns, board: Board) -> list[dict[str, Callable]]:
    """The runs that are needed, as `side_by_side` takes them."""

    def integrate(name: str) -> None:
        with board.line(name):
            getattr(runs, name)

    needed = {figure.run for figure in chosen}
    chains = [[name for name in chain if name in needed] for chain in SIDE_BY_SIDE]
    return [{name: partial(integrate, name) for name in chain} for chain in chains if chain]


def _drawn(figure: PaperFigure, runs: PaperRuns, folder: Path, pdf: bool, animate: bool) -> Drawing:
    stem = folder / f"figure{figure.number}-{figure.name}"
    paths = [save(figure.draw(runs), stem.with_suffix(".pdf" if pdf else ".png"))]
    if animate and figure.film is not None:
        paths.append(figure.film(runs, stem.with_suffix(".gif")))
    return Drawing(figure.number, figure.name, figure.numbers(runs), paths)


def figure_named(name: str | int) -> PaperFigure:
    """The figure of a number or a name.

    Raises:
        ValueError: an unknown one, with the nearest name.
    """
    wanted = str(name).lower().removeprefix("figure").strip(" -_")
    for figure in FIGURES:
        if wanted in (str(figure.number), figure.name):
            return figure
    known = [figure.name for figure in FIGURES]
    listed = ", ".join(f"{figure.number} or {figure.name}" for figure in FIGURES)
    raise ValueError(f"figure: got {name!r}, wanted one of {listed}{hint(wanted, known)}")
