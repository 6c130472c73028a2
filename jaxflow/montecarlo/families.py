"""Families of data sets: one shape, and as many numbered draws of it as wanted."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import equinox as eqx
import jax
import numpy as np

from jaxflow import datasets
from jaxflow.dataset import Dataset
from jaxflow.montecarlo.sections import (
    Section,
    counters,
    integer_from,
    numbers,
    several,
    text,
    truth,
    word_of,
)

FIXED = {
    "toy": (datasets.toy, (2, 2)),
    "five points": (datasets.five_points, (5, 2)),
    "three points": (datasets.three_points, (3, 2)),
}
"""Single data sets and their shapes; the last input of each is the constant 1."""
RANDOM = {
    "orthogonal": (datasets.random_orthogonal, ("n", "d")),
    "gaussian teacher": (datasets.gaussian_teacher, ("n", "d", "neurons")),
}
"""Random data sets: the function that draws one from a key, and its sizes."""
ORTHOGONAL = ("toy", "orthogonal")
"""Kinds that are known to be orthogonal without a look at the data."""
GIVEN = "given"
FAMILIES = (*FIXED, *RANDOM, GIVEN)


@dataclass(frozen=True)
class Family:
    """Data sets of one shape; they share one compiled program.

    Draw k of a random family is made by its function from `jax.random.key(k)`.

    Attributes:
        kind: one of `FAMILIES`.
        sizes: arguments of the random families, such as (n, d).
        first, draws: number of the first data set, and how many.
        bias: whether the last input is the constant 1.
        given: name, x and y of data written into the specification.
    """

    kind: str
    sizes: tuple[int, ...] = ()
    first: int = 0
    draws: int = 1
    bias: bool = False
    given: tuple[str, tuple, tuple] | None = None

    @property
    def name(self) -> str:
        """Name of the family in labels and tables, such as `orthogonal-4-6`."""
        if self.given:
            return self.given[0]
        return "-".join((self.kind.replace(" ", "-"), *map(str, self.sizes)))

    def label(self, draw: int) -> str:
        """Name of one data set, such as `orthogonal-4-6-0`."""
        return f"{self.name}-{self.first + draw}" if self.kind in RANDOM else self.name

    @property
    def shape(self) -> tuple[int, int]:
        """Number of data n and dimension d."""
        if self.kind in RANDOM:
            return self.sizes[0], self.sizes[1]
        if self.given:
            return len(self.given[1]), len(self.given[1][0])
        return FIXED[self.kind][1]

    @property
    def is_orthogonal(self) -> bool:
        """Whether all inputs are known to be orthogonal; it is not held against given data."""
        return self.kind in ORTHOGONAL

    def dataset(self, draw: int) -> Dataset:
        """Data set number `draw`, counted from zero.

        Raises:
            ValueError: data of the specification that are none, as `jaxflow.Dataset`.
        """
        if self.kind in FIXED:
            return FIXED[self.kind][0]()
        if self.given:
            name, x, y = self.given
            return Dataset(x, y, name=name)
        x, y = _random_arrays(self.kind, self.sizes, np.uint32(self.first + draw))
        return Dataset(np.asarray(x), np.asarray(y), name=self.name)

    def stack(self, draws: np.ndarray) -> Dataset:
        """The data sets of several runs: one data set if there is only one draw, else a stack."""
        if self.draws == 1:
            return self.dataset(0)
        different, place = np.unique(draws, return_inverse=True)
        chosen = [self.dataset(int(draw)) for draw in different]
        return jax.tree.map(lambda *parts: np.stack([np.asarray(p) for p in parts])[place], *chosen)

    def as_dict(self) -> dict:
        """The entry of a specification that describes exactly this family."""
        if self.given:
            name, x, y = self.given
            return {"family": GIVEN, "name": name, "x": x, "y": y, "bias": self.bias}
        if self.kind in FIXED:
            return {"family": self.kind}
        sizes = dict(zip(RANDOM[self.kind][1], self.sizes, strict=True))
        draws = {"first": self.first, "count": self.draws}
        return {"family": self.kind, **sizes, "draws": draws}


@eqx.filter_jit
def _random_arrays(kind: str, sizes: tuple[int, ...], number):
    draw: Callable = RANDOM[kind][0]
    data = draw(jax.random.key(number), *sizes)
    return data.x, data.y


def read_families(place: str, entries: object) -> tuple[Family, ...]:
    """The families that a list of tables describes, each with the product of its sizes.

    Raises:
        ValueError: no list, unknown families or keys, wrong values, the same data set twice.
    """
    if isinstance(entries, dict):
        entries = [entries]
    if not isinstance(entries, list | tuple) or not entries:
        raise ValueError(f"{place}: got {entries!r}, wanted at least one [[{place}]] table")
    found = [
        family
        for number, entry in enumerate(entries)
        for family in _families_of(f"{place}[{number}]", entry)
    ]
    _refuse_twice(place, found)
    return tuple(found)


def _families_of(place: str, entry: object) -> list[Family]:
    named = entry.get("family") if isinstance(entry, dict) else None
    if named is None:
        raise ValueError(f"{place}.family: missing, wanted one of {', '.join(FAMILIES)}")
    kind = word_of(FAMILIES)(f"{place}.family", named)
    if kind in FIXED:
        Section(place, entry, ("family",))
        return [Family(kind, bias=True)]
    if kind == GIVEN:
        return [_given(place, entry)]
    names = RANDOM[kind][1]
    section = Section(place, entry, ("family", *names, "draws"))
    first, draws = section.read("draws", counters, (0, 1))
    sizes = [section.read(name, several(integer_from(1))) for name in names]
    families = [Family(kind, chosen, first, draws) for chosen in product(*sizes)]
    for family in families:
        if kind == "orthogonal" and family.sizes[0] > family.sizes[1]:
            raise ValueError(
                f"{place}.n: got {family.sizes[0]} with d = {family.sizes[1]}, wanted n ≤ d for "
                f"orthogonal inputs; two tables can have sizes of their own"
            )
    return families


def _given(place: str, entry: dict) -> Family:
    section = Section(place, entry, ("family", "name", "x", "y", "bias"))
    bias = section.read("bias", truth, False)
    name = section.read("name", text, "data")
    x, y = (section.read(axis, numbers) for axis in "xy")
    if not isinstance(x, tuple) or not x or not all(isinstance(row, tuple) for row in x):
        raise ValueError(
            f"{place}.x: got {entry['x']!r}, wanted a list of rows such as [[1.0, 0.0], [0.0, 2.0]]"
        )
    return Family(GIVEN, bias=bias, given=(name, x, y))


def check_given(families: tuple[Family, ...]) -> None:
    """Check the data that are written into a specification.

    Raises:
        ValueError: as `jaxflow.Dataset`.
    """
    for family in families:
        if family.given:
            try:
                family.dataset(0)
            except ValueError as error:
                raise ValueError(f"data {family.name!r}, {error}") from None


def _refuse_twice(place: str, families: list[Family]) -> None:
    names = [family.name for family in families]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"{place}: got the family {name!r} twice, wanted every one once; one table can "
                f"hold all its draws"
            )
