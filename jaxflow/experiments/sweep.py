"""A declared product of runs, integrated chunk by chunk, resumable at any moment."""

import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from pathlib import Path

from jaxflow.experiments.sweep_progress import sweep_progress
from jaxflow.experiments.sweep_report import SweepReport
from jaxflow.montecarlo.cluster import cluster_results, require_distributed
from jaxflow.montecarlo.devices import integrator
from jaxflow.montecarlo.families import check_given
from jaxflow.montecarlo.local import local_results
from jaxflow.montecarlo.plan import Plan
from jaxflow.montecarlo.spec import Spec, spec_of
from jaxflow.montecarlo.store import Store
from jaxflow.montecarlo.tally import Tally
from jaxflow.montecarlo.work import Integrate, Values
from jaxflow.montecarlo.writer import Writer
from jaxflow.precision import require_float64


def sweep(
    spec: str | Path | Mapping,
    *,
    out: str | Path | None = None,
    devices: int | None = None,
    cluster: str | None = None,
    show_progress: bool = False,
    integrate: Integrate | None = None,
) -> SweepReport:
    """Integrate every run that a specification declares and that is not in its folder yet.

    Results are added to the folder chunk by chunk, each as a whole and some seconds after it is
    finished; the same call after any end, an interrupt, a kill or a full disk included, goes on
    with the chunks that are missing. A run that fails numerically is kept with its status.

    Args:
        spec: a TOML file, or the same tables as a mapping; see `docs/sweeps.md`.
        out: the folder of the results; by default `output.path` of the specification, or else the
            name of its file with the ending `.sweep`, in the current folder.
        devices: number of local devices to use; by default all.
        cluster: address or scheduler file of a Dask cluster that does the work; by default it is
            done here. Needs the extra `cluster`.
        show_progress: whether to report on the terminal.
        integrate: what integrates stacked networks; by default `jaxflow.ensemble`'s on all devices.

    Returns:
        A `SweepReport`. An interrupt (Ctrl-C) ends the work early, and the report says so.

    Raises:
        ValueError: a specification with unknown keys, wrong values or an empty product, or one that
            differs from the folder's; nothing has been integrated then.
        OSError: the folder cannot be written, or a cluster went away; what is in the folder stays
            intact.
    """
    require_float64()
    checked = spec_of(spec)
    check_given(checked.families)
    if cluster is not None and (devices is not None or integrate is not None):
        raise ValueError("devices: got a choice together with cluster, wanted only one of them: "
                         "workers use all devices that they see")  # fmt: skip
    engine = _engine(integrate, devices, cluster)
    store = Store.create_or_continue(_folder(spec, checked, out), checked)
    with store.alone():
        if show_progress and store.changed_versions():
            print("Other versions now, noted in every chunk:", *store.changed_versions(),
                  sep="\n  ", file=sys.stderr)  # fmt: skip
        interrupted = _go_on(store, engine, show_progress)
    return SweepReport.of(store.path, interrupted)


def _folder(source: str | Path | Mapping, spec: Spec, out: str | Path | None) -> Path:
    if out is not None or spec.path is not None:
        return Path(out if out is not None else spec.path)
    if isinstance(source, Mapping):
        raise ValueError("output.path: missing, wanted the folder for the results")
    return Path(Path(source).with_suffix(".sweep").name)


Engine = Callable[[Plan, Iterable[int]], Generator[tuple[int, Values]]]
"""Integrates chunks and yields each one as it is finished."""


def _engine(integrate: Integrate | None, devices: int | None, cluster: str | None) -> Engine:
    if cluster is not None:
        require_distributed()
        return partial(cluster_results, address=cluster)
    return partial(local_results, integrate=integrate or integrator(devices))


def _go_on(store: Store, engine: Engine, show_progress: bool) -> bool:
    """Integrate what is missing; whether that was interrupted."""
    counts = Tally(store.plan)
    with sweep_progress(store, show_progress) as advance:
        results, writer = engine(store.plan, store.missing()), Writer(store)
        try:
            for runs, values in store.done(("status",)):
                counts.add(runs, values)
            if counts.runs < store.plan.runs:
                advance(counts, 0)
            for number, values in results:
                writer.add(number, values)
                chunk = store.plan.chunk(number)
                counts.add(chunk, {"status": values["status"]})
                if counts.runs < store.plan.runs:  # the last one is said when it is on the disk
                    advance(counts, chunk.count)
            writer.close()
            advance(counts, 0)
        except KeyboardInterrupt:
            return True
        finally:
            results.close()
            writer.close()
    return False
