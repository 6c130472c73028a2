"""The command line: parsing of arguments, nothing else."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, Parameter

from jaxflow.experiments import SweepReport, VerifyReport, replay_sweep
from jaxflow.experiments import figures as paper_figures
from jaxflow.experiments import replay as replay_run
from jaxflow.experiments import sweep as sweep_runs
from jaxflow.experiments import verify as verify_runs
from jaxflow.experiments.arguments import refuse_values, require_values, writable_folder
from jaxflow.experiments.background import interruptible, under_way
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

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

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

    Prints a table for each kind, writes jaxflow-verify.nc and, of orthogonal inputs,
    jaxflow-verify.png. Exits with 0 if every run on orthogonal inputs that is no near tie ends
    where the theory says and no end has a norm below the certified bound; with 1 if not, or if a
    run breaks off undecided; with 130 after Ctrl-C, which keeps what was finished by then.

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
    folder = writable_folder(out)
    report = verify_runs(
        dataset, seeds=seeds, scales=scale, width=width, rtol=rtol, show_progress=True
    )
    print(report)
    print("Written:", *report.save(folder))
    return _status(report)


@app.command
def sweep(
    spec: Path,
    /,
    *,
    out: Path | None = None,
    devices: int | None = None,
    cluster: str | None = None,
) -> int:
    """Integrate a declared product of data sets, widths, scales and seeds, resumably.

    Results go to a folder, chunk by chunk, each as a whole; after an interrupt, a kill or a full
    disk the same command goes on where it stopped. Ends with a table and a picture, and with exit
    status 0 if every run is done, 1 if not, 130 after Ctrl-C.

    Parameters
    ----------
    spec
        TOML file; docs/sweeps.md and examples/sweep.toml show what it may say.
    out
        Folder of the results; by default output.path of the specification, or else the name of its
        file with the ending .sweep.
    devices
        Number of local devices; by default all that JAX sees.
    cluster
        Address or scheduler file of a Dask cluster that does the work, such as tcp://host:8786;
        needs the extra `cluster`.
    """
    report = sweep_runs(spec, out=out, devices=devices, cluster=cluster, show_progress=True)
    return _shown(report)


@app.command
def summary(sweep: Path, /) -> int:
    """Print the table of a sweep and draw its picture, from its folder alone.

    Parameters
    ----------
    sweep
        Folder that `jaxflow sweep` made; the sweep may be still going on.
    """
    return _shown(SweepReport.of(sweep))


def _shown(report: SweepReport) -> int:
    print(report)
    print("Written:", report.draw(report.path / "summary.png"))
    return _status(report)


def _status(report: SweepReport | VerifyReport) -> int:
    """The exit status; after an interrupt, leaves with runs still under way."""
    if report.interrupted:
        leave_at_once(INTERRUPTED)
    return report.exit_status


@app.command
def replay(
    sweep: Path | None = None,
    /,
    *,
    run: int | None = None,
    picture: Path = Path("jaxflow-replay.png"),
    dataset: str | None = None,
    seed: int | None = None,
    scale: str | None = None,
    width: int | None = None,
    rtol: float = DEFAULT_RTOL,
) -> int:
    """Integrate one run again, alone, and print all about it.

    A run of `jaxflow sweep` is named by the folder and `--run`; its trajectory is drawn as well. A
    run of `jaxflow verify` is named by `--dataset`, `--seed`, `--scale` and `--width`.

    Parameters
    ----------
    sweep
        Folder that `jaxflow sweep` made.
    run
        Number of the run in the sweep.
    picture
        Where to draw the trajectory of a run of a sweep.
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
    named = {"--dataset": dataset, "--seed": seed, "--scale": scale}
    if sweep is not None:
        require_values({"--run": run})
        refuse_values({**named, "--width": width}, "a sweep knows its runs by their number")
        again = interruptible(lambda: replay_sweep(sweep, run))
        print(again)
        print("Written:", again.plot(picture))
        return 0
    refuse_values({"--run": run}, "it needs the folder of a sweep before it")
    require_values(named)
    print(
        interruptible(lambda: replay_run(dataset, seed=seed, scale=scale, width=width, rtol=rtol))
    )
    return 0


@app.command
def figures(*names: str, out: Path = Path("."), pdf: bool = False, animate: bool = False) -> int:
    """Draw the figures of arXiv 2206.00939 as the flow, with their numbers beside.

    Parameters
    ----------
    names
        1 or timeline, 2 or states, 3 or loss, 4 or five-points, 5 or large-start, 6 or
        principal-plane, 7 or high-dimensional; all by default. 6 and 7 take two minutes.
    out
        Folder for the pictures.
    pdf
        Write PDF in place of PNG.
    animate
        Write a GIF of figures 2 and 6 besides.
    """
    drawings = paper_figures(names, out=out, pdf=pdf, animate=animate, show_progress=True)
    drawn = 0
    try:
        for drawing in drawings:
            print(drawing, flush=True)
            drawn += 1
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(f"figures drawn: {drawn}, in the folder {out}") from interrupt
    return 0


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; wrong arguments end it with a message and exit status 2."""
    enable_float64()
    try:
        sys.exit(app(arguments, result_action="return_value") or 0)
    except (ValueError, OSError) as error:
        print(f"jaxflow: {_in_words(error)}", file=sys.stderr)
        if under_way():
            leave_at_once(2)
        sys.exit(2)
    except KeyboardInterrupt as interrupt:
        print("; ".join(["jaxflow: interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        leave_at_once(INTERRUPTED)


def _in_words(error: Exception) -> str:
    """The message, without the number that the system has for it."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def leave_at_once(status: int) -> NoReturn:
    """End the process without waiting for a compiled program that is still running."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
