"""The float64 requirement: checked where numbers enter, switched on by nobody's import."""

import jax

MEND = 'call jax.config.update("jax_enable_x64", True) before creating any array'


def require_float64() -> None:
    """Raise unless JAX computes in float64.

    Raises:
        ValueError: if `jax_enable_x64` is off, with the line that switches it on.
    """
    if not jax.config.jax_enable_x64:
        raise ValueError(
            f"jaxflow needs float64: got jax_enable_x64=False, wanted True; to mend it, {MEND}"
        )


def enable_float64() -> None:
    """Switch float64 on, for programs (command line, examples, benchmarks), never for imports."""
    jax.config.update("jax_enable_x64", True)
