"""Initialisations by counters: a run's random numbers depend on the run alone.

The key of a run is, with the key k of the sweep,

    fold_in(fold_in(fold_in(key(k), crc32(name of the family)), number of the data set), seed),

whatever its place in the sweep, its batch, device or machine. Runs that differ only in the scale λ
or the width share a key, so that they can be compared run by run; runs on different data sets do
not, so that counts over data sets are sums of independent trials.
"""

import zlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxflow import init
from jaxflow.montecarlo.families import Family
from jaxflow.montecarlo.plan import Block
from jaxflow.montecarlo.spec import Spec
from jaxflow.network import ReluNetwork


def networks(spec: Spec, block: Block, places: np.ndarray) -> ReluNetwork:
    """Stacked initialisations of runs counted within a block, as NumPy arrays."""
    scale, draw, seed = block.locate(places)
    stacked = _networks(
        sweep_key(spec.key, block.family),
        jnp.asarray(block.family.first + draw, dtype=jnp.uint32),
        jnp.asarray(spec.first_seed + seed, dtype=jnp.uint32),
        jnp.asarray(np.array(spec.log_scales)[scale]),
        (block.width, block.family.shape[1], block.family.bias),
    )
    return jax.tree.map(np.asarray, stacked)


def sweep_key(key: int, family: Family):
    """The random key of all runs on a family of data sets."""
    return jax.random.fold_in(jax.random.key(key), zlib.crc32(family.name.encode()))


@eqx.filter_jit
def _networks(key, draws, seeds, log_scales, sizes: tuple[int, int, bool]) -> ReluNetwork:
    width, dim, bias = sizes

    def one(draw, seed, log_scale):
        own = jax.random.fold_in(jax.random.fold_in(key, draw), seed)
        return init.balanced(own, width, dim, log_scale=log_scale, bias=bias)

    return jax.vmap(one)(draws, seeds, log_scales)
