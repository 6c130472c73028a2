"""Initialisation scales λ, also those far below the least float64."""

import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

DEFAULT_SCALES = ("1e-3", "1e-10", "1e-30", "1e-100", "1e-300")
"""About equally spaced in log log(1/λ): the limit is approached at the rate λ^separation."""


def log_of(scale: str | float) -> float:
    """log λ of a positive scale; text such as "1e-10000" may be below the least float64.

    Raises:
        ValueError: not a positive number.
    """
    try:
        number = Decimal(str(scale))
    except InvalidOperation:
        number = Decimal(0)
    if not (number.is_finite() and number > 0):
        raise ValueError(f"scale: got {scale!r}, wanted a positive number such as 1e-12")
    exponent = number.adjusted()
    return math.log(float(number.scaleb(-exponent))) + exponent * math.log(10)


def decreasing(scales: Sequence[str | float]) -> tuple[list[str], list[float]]:
    """Labels and logarithms of the scales, largest first.

    Raises:
        ValueError: no scale, one that is not positive, or the same one twice.
    """
    chosen = [scales] if isinstance(scales, str | float | int) else list(scales)
    pairs = sorted({log_of(scale): str(scale) for scale in chosen}.items(), reverse=True)
    if not chosen or len(pairs) < len(chosen):
        raise ValueError(f"scales: got {chosen!r}, wanted at least one and none twice")
    return [label for _, label in pairs], [log for log, _ in pairs]
