"""Reading a declared specification: every key known, every value of the wanted kind."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from jaxflow.scales import log_of
from jaxflow.validation import finite_number, positive_number

T = TypeVar("T")
COUNTERS = 2**32
"""Counters of random keys are below this number."""


class Section:
    """One table of a specification.

    Args:
        place: its name in messages, such as `runs`.
        values: what was written there.
        known: the keys that it may have.

    Raises:
        ValueError: not a table, or an unknown key, with the nearest known one.
    """

    def __init__(self, place: str, values: object, known: Sequence[str]):
        if not isinstance(values, Mapping):
            raise ValueError(f"{place}: got {values!r}, wanted a table with {_listed(known)}")
        for key in values:
            if key not in known:
                nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
                raise ValueError(
                    f"{_join(place, key)}: unknown key, the nearest known one is {nearest!r}; "
                    f"known are {_listed(known)}"
                )
        self.place, self.values = place, values

    def read(self, key: str, reader: Callable[[str, Any], T], default: Any = ...) -> T:
        """The value of a key as `reader` understands it; without a default it must be there.

        Raises:
            ValueError: the key is missing, or as `reader`.
        """
        name = _join(self.place, key)
        if key in self.values:
            return reader(name, self.values[key])
        if default is ...:
            raise ValueError(f"{name}: missing, wanted a value")
        return default


def integer_from(least: int, below: int = 2**63) -> Callable[[str, object], int]:
    """A reader of integers of at least `least`."""

    def read(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < below:
            top = f" and below {below}" if below <= COUNTERS else ""
            raise ValueError(f"{name}: got {value!r}, wanted an integer of at least {least}{top}")
        return value

    return read


def several(reader: Callable[[str, Any], T]) -> Callable[[str, object], tuple[T, ...]]:
    """A reader of one value or a list of values, none twice."""

    def read(name: str, value: object) -> tuple[T, ...]:
        entries = value if isinstance(value, list | tuple) else [value]
        if not entries:
            raise ValueError(f"{name}: got an empty list, wanted at least one value: with none the "
                             f"product of all choices is empty")  # fmt: skip
        found = tuple(reader(name, entry) for entry in entries)
        if len(set(found)) < len(found):
            raise ValueError(f"{name}: got {value!r}, wanted no value twice")
        return found

    return read


def word_of(known: Sequence[str]) -> Callable[[str, object], str]:
    """A reader of one of the known words."""

    def read(name: str, value: object) -> str:
        if value not in known:
            nearest = difflib.get_close_matches(str(value), known, n=1, cutoff=0.0)[0]
            raise ValueError(
                f"{name}: got {value!r}, the nearest known one is {nearest!r}; "
                f"known are {_listed(known)}"
            )
        return value

    return read


def counters(name: str, value: object) -> tuple[int, int]:
    """First number and how many: from `100` or from `{first = 0, count = 100}`."""
    if not isinstance(value, Mapping):
        return 0, integer_from(1, COUNTERS)(name, value)
    section = Section(name, value, ("first", "count"))
    first = section.read("first", integer_from(0, COUNTERS), 0)
    count = section.read("count", integer_from(1, COUNTERS))
    integer_from(1, COUNTERS + 1)(f"{name}.first + {name}.count", first + count)
    return first, count


def scale(name: str, value: object) -> str:
    """A positive scale as text; text may be below the least float64."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f'{name}: got {value!r}, wanted a positive number such as "1e-12"')
    try:
        log_of(value)
    except ValueError as error:
        raise ValueError(f"{name}: {str(error).removeprefix('scale: ')}") from None
    return str(value)


def positive(name: str, value: object) -> float:
    """A positive number."""
    return positive_number(name, value)


def numbers(name: str, value: object) -> tuple:
    """A list of numbers, or of lists of them, as it is."""
    if isinstance(value, list | tuple):
        return tuple(numbers(name, entry) for entry in value)
    return finite_number(name, value)


def text(name: str, value: object) -> str:
    """A word that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: got {value!r}, wanted a text")
    return value


def truth(name: str, value: object) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}: got {value!r}, wanted true or false")
    return value


def _join(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
