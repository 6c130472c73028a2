"""Room for compiled programs, in a process that compiles many of them.

On Linux a compiled program holds hundreds of memory maps, of which a process may have 65,530
(`vm.max_map_count`). The compiler does not notice: the process ends with a segmentation fault. A
problem of a new shape takes about 1,000 maps, so that this happens after some sixty shapes.
"""

import time
import warnings
from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock

import jax

SHARE = 0.5
"""Share of the allowed memory maps from which on compiled programs are forgotten."""
INTERVAL = 2.0
"""Seconds between two looks; to compile a thousand maps takes longer."""

_called: set[Hashable] = set()
_compiling: dict[Hashable, Lock] = {}
_looking_up = Lock()

_MAPS = Path("/proc/self/maps")
_ALLOWED = Path("/proc/sys/vm/max_map_count")
_last_look = -INTERVAL


def make_room() -> bool:
    """Forget all compiled programs if the process runs short of memory maps.

    Results do not change; programs that are used again are compiled again. A `RuntimeWarning` says
    so. Looks at most every two seconds, and does nothing on systems without `/proc`.

    Returns:
        Whether programs were forgotten.
    """
    global _last_look
    if time.monotonic() - _last_look < INTERVAL:
        return False
    _last_look = time.monotonic()
    if memory_maps() <= SHARE * allowed_maps():
        return False
    jax.clear_caches()
    _called.clear()
    warnings.warn(
        f"compiled programs took more than {SHARE:.0%} of the {allowed_maps():.0f} memory maps of "
        f"this process and were forgotten; `sysctl vm.max_map_count` raises the limit",
        RuntimeWarning,
        stacklevel=2,
    )
    return True


@contextmanager
def compiled_once(program: Hashable) -> Iterator[None]:
    """Where to call a program, named by anything that tells shapes apart.

    Threads that share a program that is not compiled yet would each compile it: here the first one
    compiles it while the others wait. Nobody waits once it has been called, until programs are
    forgotten.
    """
    if program in _called:
        yield
        return
    with _looking_up:
        alone = _compiling.setdefault(program, Lock())
    with ExitStack() as held:
        held.enter_context(alone)
        if program in _called:
            held.close()
        yield
        _called.add(program)


def memory_maps() -> int:
    """Number of memory maps of this process; zero where the system does not tell."""
    try:
        with _MAPS.open("rb") as lines:
            return sum(1 for _ in lines)
    except OSError:
        return 0


def allowed_maps() -> float:
    """Number of memory maps that a process may have."""
    try:
        return float(_ALLOWED.read_text())
    except OSError:
        return float("inf")
