"""What a C compiler has made of this package's C sources at installation, if there was one.

Without, and on accelerators, XLA's programs do the same.
"""

from functools import cache
from threading import Lock

import jax

from jaxflow.platform import is_cpu

try:
    from jaxflow.flow import _compiled as library
except ImportError:
    library = None

CALLS = {"jaxflow_frozen_outputs": "frozen_outputs", "jaxflow_follow": "follow"}
"""Functions of the library that XLA's programs call, by the names that they have there."""

_registering = Lock()


def are_compiled() -> bool:
    """Whether there is a compiled library and computations go to a CPU."""
    return library is not None and is_cpu()


def can_be_called() -> bool:
    """Whether programs that go to a CPU can call functions of the library."""
    with _registering:
        return are_compiled() and _are_registered()


@cache
def _are_registered() -> bool:
    """Make the calls known to XLA, which takes them if it is not too new for them.

    A call that it does not take would cost the CPU where it is made known before there is one.
    """
    try:
        for name, function in CALLS.items():
            jax.ffi.register_ffi_target(name, getattr(library, function), platform="cpu")
    except jax.errors.JaxRuntimeError:
        return False
    return True
