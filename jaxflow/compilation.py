"""Programs that are compiled in half the time where they have little to do.

XLA has had two generators of code for CPUs. The newer one, its default, sets up a compiler of its
own for every loop, which takes some 6 ms, and a leg of a run has hundreds of loops. Its code is up
to a quarter faster, but not where there are fewer than some 10,000 pairs of a neuron and a datum,
and seconds of compilation saved are worth more there. From jaxlib 0.11.1 on there is no older
generator: all programs are then compiled in the same way.
"""

from collections.abc import Callable
from functools import cache, wraps

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxflow.dataset import Dataset
from jaxflow.network import ReluNetwork
from jaxflow.validation import is_anything_traced

QUICK = {"xla_cpu_use_fusion_emitters": False}
"""Compiler options that choose the older generator; without effect on an accelerator."""
FEW = 10_000
"""Pairs of a neuron and a datum up to which its code is as fast."""
AT_ONCE = 32
"""Runs as which a batch counts there, whatever their number: how a run is compiled must not depend
on how many others there are, as last digits may depend on it."""


def program(pairs: Callable[..., int]) -> Callable[[Callable], Callable]:
    """`equinox.filter_jit`, quickly compiled where `pairs(*args)` are few.

    Something in the arguments must be traced wherever the function is part of another program.
    """

    def decorate(function: Callable) -> Callable:
        usual = eqx.filter_jit(function)
        quick = eqx.filter_jit(function, compiler_options=QUICK)

        @wraps(function)
        def called(*args):
            alone = not is_anything_traced(args)
            few = alone and pairs(*args) <= FEW and has_quick_way()
            return quick(*args) if few else usual(*args)

        return called

    return decorate


def seldom(*_) -> int:
    """No pairs, for a program that is run too seldom for its speed to matter."""
    return 0


def pairs_in_batch(networks: ReluNetwork, dataset: Dataset, *_) -> int:
    """Pairs of a neuron and a datum as they count where many runs are flown at once."""
    return AT_ONCE * networks.width * dataset.n


@cache
def has_quick_way() -> bool:
    """Whether this version of XLA has the older generator."""
    try:
        jax.jit(lambda: jnp.zeros(()), compiler_options=QUICK)()
    except jax.errors.JaxRuntimeError:
        return False
    return True
