"""The command line: parsing of arguments, nothing else."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, Parameter

from jaxflow.experiments import figures as paper_figures
from jaxflow.experiments import replay as replay_run
from jaxflow.experiments import verify as verify_runs
from jaxflow.experiments.cases import DEFAULT_DATASETS, DEFAULT_DATASETS_IN_WORDS
from jaxflow.experiments.scales import DEFAULT_SCALES
from jaxflow.flow.settings import DEFAULT_RTOL
from jaxflow.precision import enable_float64

app = App(
    name="jaxflow",
    help="The exact gradient flow of one-hidden-layer ReLU networks with the square loss.",
    suppress_keyboard_interrupt=False,
)
"""The command `jaxflow`."""

Datasets = Annotated[
    tuple[str, ...],
    Parameter(negative=(), consume_multiple=True, show_default=lambda _: DEFAULT_DATASETS_IN_WORDS),
]
Scales = Annotated[
    tuple[str, ...],
    Parameter(negative=(), consume_multiple=True, show_default=lambda _: " ".join(DEFAULT_SCALES)),
]


@app.command
def verify(
    *,
    dataset: Datasets = DEFAULT_DATASETS,
    seeds: int = 10,
    scale: Scales = DEFAULT_SCALES,
    width: int | None = None,
    rtol: float = DEFAULT_RTOL,
    out: Path = Path("."),
) -> int:
    """Integrate many runs and judge them by the theory and by the certified minimum.

    On orthogonal inputs every run is held against the theory. On any other inputs, where no theory
    says where the flow ends, it is reported whether the end is of minimum variation norm, with
    the certified interval of the excess.

    Prints a table for each kind, writes jaxflow-verify.nc and jaxflow-verify.png, and exits with 0
    if every run on orthogonal inputs that can be judged ends where the theory says and no end has
    a norm below the certified bound, with 1 if not.

    Parameters
    ----------
    dataset
        Data sets: toy, or orthogonal-n-d-number for random ones such as orthogonal-10-20-0; not
        orthogonal are five-points, three-points, and gaussian-n-d-number such as gaussian-8-8-0.
    seeds
        Number of initialisations of each data set.
    scale
        Initialisation scales; 1e-10000 works too.
    width
        Number of neurons; by default 60 for the toy and 10 n otherwise.
    rtol
        Error allowed per step.
    out
        Folder for the result file and the picture.
    """
    report = verify_runs(
        dataset, seeds=seeds, scales=scale, width=width, rtol=rtol, show_progress=True
    )
    print(report)
    print("Written:", *report.save(out))
    return report.exit_status


@app.command
def replay(
    *,
    dataset: str,
    seed: int,
    scale: str,
    width: int | None = None,
    rtol: float = DEFAULT_RTOL,
) -> int:
    """Integrate one run of `jaxflow verify` again, alone, and print all about it.

    Parameters
    ----------
    dataset
        As in `jaxflow verify`.
    seed
        Number of the initialisation.
    scale
        Initialisation scale.
    width
        Number of neurons; by default 60 for the toy and 10 n otherwise.
    rtol
        Error allowed per step.
    """
    print(replay_run(dataset, seed=seed, scale=scale, width=width, rtol=rtol))
    return 0


@app.command
def figures(*names: str, out: Path = Path("."), pdf: bool = False, animate: bool = False) -> int:
    """Draw the figures of arXiv 2206.00939 as the flow, with their numbers beside.

    Parameters
    ----------
    names
        1 or timeline, 2 or states, 3 or loss, 4 or five-points, 5 or large-start, 6 or
        principal-plane, 7 or high-dimensional; all by default. 6 and 7 take minutes.
    out
        Folder for the pictures.
    pdf
        Write PDF in place of PNG.
    animate
        Write a GIF of figures 2 and 6 besides.
    """
    drawings = paper_figures(names, out=out, pdf=pdf, animate=animate, show_progress=True)
    for drawing in drawings:
        print(drawing, flush=True)
    return 0


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; wrong arguments end it with a message and exit status 2."""
    enable_float64()
    try:
        sys.exit(app(arguments, result_action="return_value") or 0)
    except (ValueError, OSError) as error:
        print(f"jaxflow: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("jaxflow: interrupted", file=sys.stderr)
        leave_at_once(130)


def leave_at_once(status: int) -> NoReturn:
    """End the process without waiting for a compiled program that is still running."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
