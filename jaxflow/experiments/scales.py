"""The scales λ of `verify`."""

from collections.abc import Sequence

from jaxflow.scales import log_of as log_of

DEFAULT_SCALES = ("1e-3", "1e-10", "1e-30", "1e-100", "1e-300")
"""About equally spaced in log log(1/λ): the limit is approached at the rate λ^separation."""


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
