"""Initialisation scales λ, also those far below the least float64."""

import math
from decimal import Decimal, InvalidOperation


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
