"""The specification of a sweep: what is run, how accurately, what is kept and where."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from jaxflow.flow.gradient_flow import settings_of
from jaxflow.flow.lockstep import usual_batch
from jaxflow.flow.settings import DEFAULT_RTOL, Settings
from jaxflow.montecarlo.chunk_length import chunk_length
from jaxflow.montecarlo.families import Family, read_families
from jaxflow.montecarlo.quantities import DEFAULT_SUMMARIES, SUMMARIES, TRAJECTORIES, kept
from jaxflow.montecarlo.sections import (
    COUNTERS,
    Section,
    counters,
    integer_from,
    positive,
    scale,
    several,
    text,
    word_of,
)
from jaxflow.scales import log_of

SECTIONS = ("data", "runs", "solver", "keep", "output")


@dataclass(frozen=True)
class Spec:
    """A declared product of data sets, widths, scales and seeds, checked.

    Attributes:
        families: data sets, by shape.
        widths: numbers of neurons.
        scales: initialisation scales λ as text.
        first_seed, seeds: number of the first initialisation, and how many.
        key: the random key of the whole sweep is `jax.random.key(key)`.
        rtol, horizon, max_steps: as in `jaxflow.gradient_flow`.
        summaries, trajectories, times: what is kept of a run, and at how many times of it.
        chunk: runs that are stored together; a part of the specification, not of the machine.
        batch: runs in one compiled call on one device.
        path: where the results belong; None if it was not said.
    """

    families: tuple[Family, ...]
    widths: tuple[int, ...]
    scales: tuple[str, ...]
    first_seed: int
    seeds: int
    key: int
    rtol: float
    horizon: float | None
    max_steps: int
    summaries: tuple[str, ...]
    trajectories: tuple[str, ...]
    times: int
    chunk: int
    batch: int
    path: str | None = None

    @property
    def log_scales(self) -> tuple[float, ...]:
        """log λ of every scale."""
        return tuple(log_of(label) for label in self.scales)

    @property
    def settings(self) -> Settings:
        """Settings of the integrator."""
        return settings_of(self.rtol, self.horizon, self.max_steps)

    def as_dict(self) -> dict:
        """The specification in full, without the path; `spec_of` reads it back."""
        keep = {
            "summaries": self.summaries,
            "trajectories": self.trajectories,
            "times": self.times,
        }
        horizon = {} if self.horizon is None else {"horizon": self.horizon}
        return {
            "data": tuple(family.as_dict() for family in self.families),
            "runs": {
                "width": self.widths,
                "scale": self.scales,
                "seeds": {"first": self.first_seed, "count": self.seeds},
                "key": self.key,
            },
            "solver": {"rtol": self.rtol, **horizon, "max_steps": self.max_steps},
            "keep": keep,
            "output": {"chunk": self.chunk, "batch": self.batch},
        }


def spec_of(source: str | Path | Mapping | Spec) -> Spec:
    """Read and check a specification: a TOML file, or the same tables as a mapping.

    Raises:
        ValueError: unknown keys, with the nearest known one; values of a wrong type or range;
            empty products; text that is not TOML. Names the key, what came and what is wanted.
        OSError: a file that cannot be read.
    """
    if isinstance(source, Spec):
        return source
    if isinstance(source, Mapping):
        return _read(source)
    path = Path(source)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a TOML file: {error}") from None
    try:
        return _read(tables)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _read(tables: Mapping) -> Spec:
    top = Section("", tables, SECTIONS)
    families = top.read("data", read_families)
    runs = top.read("runs", _section("width", "scale", "seeds", "key"))
    solver = top.read("solver", _section("rtol", "horizon", "max_steps"), _none("solver"))
    keep = top.read("keep", _section("summaries", "trajectories", "times"), _none("keep"))
    output = top.read("output", _section("path", "chunk", "batch"), _none("output"))
    first_seed, seeds = runs.read("seeds", counters)
    widths = runs.read("width", several(integer_from(1)))
    summaries = _with_status(keep.read("summaries", _words(SUMMARIES), DEFAULT_SUMMARIES))
    trajectories = keep.read("trajectories", _words(TRAJECTORIES), ())
    times = keep.read("times", integer_from(2), 101)
    quantities = kept(summaries, trajectories).values()
    fitting = partial(chunk_length, families, widths, quantities, times)
    chunk, batch = _lengths(output, fitting, _usual_batch(families, widths))
    spec = Spec(
        families=families,
        widths=widths,
        scales=_distinct(runs.read("scale", several(scale))),
        first_seed=first_seed,
        seeds=seeds,
        key=runs.read("key", integer_from(0, COUNTERS), 0),
        rtol=solver.read("rtol", positive, DEFAULT_RTOL),
        horizon=solver.read("horizon", positive, None),
        max_steps=solver.read("max_steps", integer_from(1), 100_000),
        summaries=summaries,
        trajectories=trajectories,
        times=times,
        chunk=chunk,
        batch=batch,
        path=output.read("path", text, None),
    )
    try:
        spec.settings  # noqa: B018
    except ValueError as error:
        raise ValueError(f"solver.{error}") from None
    return spec


def _usual_batch(families: tuple[Family, ...], widths: tuple[int, ...]) -> int:
    """The batch that suits the largest runs."""
    each = product(families, widths)
    return min(usual_batch(f.shape[0] * width, f.is_orthogonal) for f, width in each)


def _lengths(output: Section, fitting: Callable[[int], int], usual: int) -> tuple[int, int]:
    """Runs in a chunk and in a batch; `fitting` says the first for the second if it is not said."""
    chunk = output.read("chunk", integer_from(1), None)
    batch = output.read("batch", integer_from(1), min(usual, chunk or usual))
    if chunk is not None and batch > chunk:
        raise ValueError(f"output.batch: got {batch}, wanted at most output.chunk = {chunk}")
    return chunk or fitting(batch), batch


def _section(*known: str):
    return lambda name, value: Section(name, value, known)


def _none(place: str) -> Section:
    return Section(place, {}, ())


def _words(known: Mapping):
    def read(name: str, value: object) -> tuple[str, ...]:
        return several(word_of(tuple(known)))(name, value) if value not in ([], ()) else ()

    return read


def _with_status(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names in the order of the table, the status always among them."""
    return tuple(name for name in SUMMARIES if name in names or name == "status")


def _distinct(scales: tuple[str, ...]) -> tuple[str, ...]:
    if len({log_of(label) for label in scales}) < len(scales):
        raise ValueError(f"runs.scale: got {list(scales)}, wanted no scale twice")
    return scales


def differences(ours: Spec, theirs: dict) -> list[str]:
    """What a specification says otherwise than the one in a file, one line for each key."""
    here, there = _flat(ours.as_dict()), _flat(theirs)
    return [
        f"{key}: {there.get(key, 'nothing')!r} in the file, {here.get(key, 'nothing')!r} now"
        for key in {**there, **here}
        if here.get(key) != there.get(key)
    ]


def _flat(tree, place: str = "") -> dict:
    if isinstance(tree, dict):
        entries = ((f"{place}.{key}" if place else key, value) for key, value in tree.items())
    elif isinstance(tree, list | tuple) and any(isinstance(value, dict) for value in tree):
        entries = ((f"{place}[{number}]", value) for number, value in enumerate(tree))
    elif isinstance(tree, list | tuple):
        return {place: _tuples(tree)}
    else:
        return {place: tree}
    return {key: leaf for at, value in entries for key, leaf in _flat(value, at).items()}


def _tuples(values):
    return tuple(map(_tuples, values)) if isinstance(values, list | tuple) else values
