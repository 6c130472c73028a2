"""What a person may get wrong in any command: a folder, a word, an option."""

import tempfile
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path


def writable_folder(out: str | Path) -> Path:
    """Make a folder if need be and try to write there.

    Raises:
        ValueError: if that is not possible.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ValueError(
            f"out: got {str(out)!r}, wanted a folder that can be written to ({error.strerror})"
        ) from error


def hint(wanted: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, empty if none is near."""
    near = get_close_matches(wanted, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def require_values(options: dict) -> None:
    """Raise unless every option was given.

    Raises:
        ValueError: naming those that were not.
    """
    missing = [name for name, value in options.items() if value is None]
    if missing:
        raise ValueError(f"{', '.join(missing)}: missing, wanted a value")


def refuse_values(options: dict, reason: str) -> None:
    """Raise if any of the options was given.

    Raises:
        ValueError: naming the first one, with the reason.
    """
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name}: got {value!r}, wanted none: {reason}")
