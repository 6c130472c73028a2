"""Neurons in blocks that fit into a core's cache, where each of them can be followed on its own.

All arrays of `neurons`, and of what is found for each of them, have the neurons along their last
axis. Those that are shared out over the devices of a mesh are followed where they are.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from jaxflow.platform import is_cpu
from jaxflow.sharing import AXIS

BLOCK = 4096
"""Neurons in a block. Of 2048 to 16384 the fastest; a single one takes twice as long for 10^5."""

Neurons = TypeVar("Neurons")


def sum_over_blocks(part: Callable, neurons, mesh: Mesh | None = None, whole: bool = False):
    """Σ over blocks of the array that `part` makes of the neurons of one of them.

    `whole` is for a `part` that divides them into blocks of its own.
    """

    def own(neurons):
        blocks = _Blocks.of(neurons, whole)
        if blocks.number == 1:
            return part(neurons)
        found = blocks.shapes(part, neurons)

        def add(i, total):
            return total + part(blocks.one_without_those_before(i, neurons))

        return jax.lax.fori_loop(0, blocks.number, add, jnp.zeros(found.shape, found.dtype))

    if mesh is None:
        return own(neurons)

    def added(neurons):
        return jax.lax.psum(own(neurons), AXIS)

    specs = (_along_neurons(neurons),)
    return jax.shard_map(
        added, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), check_vma=False
    )(neurons)


def block_by_block(
    follow: Callable, neurons: Neurons, mesh: Mesh | None = None, whole: bool = False
):
    """What `follow` makes of all neurons, one block after the other; `whole` as above."""

    def own(neurons):
        blocks = _Blocks.of(neurons, whole)
        if blocks.number == 1:
            return follow(neurons)
        found = blocks.shapes(follow, neurons)

        def put(i, whole):
            return blocks.put(i, whole, follow(blocks.one(i, neurons)))

        return jax.lax.fori_loop(0, blocks.number, put, blocks.room_for(found))

    if mesh is None:
        return own(neurons)
    specs = (_along_neurons(neurons),)
    found = _along_neurons(jax.eval_shape(own, neurons))
    return jax.shard_map(own, mesh=mesh, in_specs=specs, out_specs=found, check_vma=False)(neurons)


def device_by_device(part: Callable, neurons, mesh: Mesh | None = None):
    """What `part` makes of the neurons of each device, an array, along a leading axis."""

    def own(neurons):
        return part(neurons)[None]

    if mesh is None:
        return own(neurons)
    specs = (_along_neurons(neurons),)
    return jax.shard_map(
        own, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(AXIS), check_vma=False
    )(neurons)


def _along_neurons(arrays):
    """How arrays are shared out: along their last axis."""

    def last(array):
        return PartitionSpec(*[None] * (array.ndim - 1), AXIS)

    return jax.tree.map(last, arrays)


class _Blocks(NamedTuple):
    """How `count` neurons are divided into blocks of one size; the last may overlap with others.

    Accelerators get a single block.
    """

    count: int
    number: int
    size: int

    @classmethod
    def of(cls, neurons, whole: bool) -> "_Blocks":
        count = jax.tree.leaves(neurons)[0].shape[-1]
        number = -(-count // BLOCK) if is_cpu() and not whole else 1
        return cls(count, number, -(-count // number))

    def start(self, i):
        """Where block i starts."""
        return jnp.minimum(i * self.size, self.count - self.size)

    def one(self, i, neurons: Neurons) -> Neurons:
        """The neurons of block i."""

        def part(leaf):
            return jax.lax.dynamic_slice_in_dim(leaf, self.start(i), self.size, axis=-1)

        return jax.tree.map(part, neurons)

    def shapes(self, follow: Callable, neurons):
        """The shapes of what `follow` makes of a block."""
        return jax.eval_shape(lambda whole: follow(self.one(0, whole)), neurons)

    def one_without_those_before(self, i, neurons: Neurons) -> Neurons:
        """The neurons of block i, those that are in any before replaced by zeros.

        These are neurons that see nothing and stay where they are.
        """
        new = self.start(i) + jnp.arange(self.size) >= i * self.size

        def counted(leaf):
            return jnp.where(new, leaf, jnp.zeros_like(leaf))

        return jax.tree.map(counted, self.one(i, neurons))

    def room_for(self, found: Neurons) -> Neurons:
        """Empty arrays for the results of all blocks, given the shapes of one's."""

        def empty(leaf):
            return jnp.zeros((*leaf.shape[:-1], self.count), leaf.dtype)

        return jax.tree.map(empty, found)

    def put(self, i, whole: Neurons, found: Neurons) -> Neurons:
        """The results of all blocks with those of block i."""

        def placed(leaf, part):
            return jax.lax.dynamic_update_slice_in_dim(leaf, part, self.start(i), axis=-1)

        return jax.tree.map(placed, whole, found)
