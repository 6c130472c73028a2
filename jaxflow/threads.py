"""Threads on which JAX computes as on the one that asks.

The default device and the precision may be set for one thread alone, by `with
jax.default_device(…)` and `with jax.enable_x64(…)`; other threads know nothing of it.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import ParamSpec, TypeVar

import jax

Given, Result = ParamSpec("Given"), TypeVar("Result")


def as_here(call: Callable[Given, Result]) -> Callable[Given, Result]:
    """The same call for another thread, with the default device and the precision of this one."""
    device, float64 = _device(), _float64()

    def there(*given: Given.args, **named: Given.kwargs) -> Result:
        with ExitStack() as own:
            if _float64() != float64:
                own.enter_context(_with_precision(float64))
            if _device() != device:
                own.enter_context(jax.default_device(device))
            return call(*given, **named)

    return there


class Threads(ThreadPoolExecutor):
    """A pool whose calls run with the default device and the precision of the one who submits."""

    def submit(
        self, call: Callable[Given, Result], /, *given: Given.args, **named: Given.kwargs
    ) -> Future[Result]:
        """As of any pool."""
        return super().submit(as_here(call), *given, **named)


def _device():
    return jax.config.jax_default_device


def _float64() -> bool:
    return jax.config.jax_enable_x64


def _with_precision(float64: bool):
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(float64)
    from jax.experimental import enable_x64  # before jax 0.8

    return enable_x64(float64)
