"""Neurons in blocks: every one is counted once, wherever the last block overlaps with others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow.flow import blocks

COUNTS = [1, 7, 8, 45, 48, 49, 50]
"""Below, at and above multiples of the block."""


@pytest.fixture
def short_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 7)


def _neurons(count: int):
    numbers = np.arange(3.0 * count).reshape(3, count) ** 1.5
    return jnp.asarray(numbers), jnp.asarray(numbers[0] > 20)


@pytest.mark.parametrize("count", COUNTS)
def test_sums_count_every_neuron_once(short_blocks, count):
    neurons = _neurons(count)

    def part(some):
        numbers, flags = some
        assert flags.dtype == bool
        return jnp.stack([jnp.sum(numbers), jnp.sum(flags), jnp.sum(numbers[2])])

    found = jax.jit(lambda given: blocks.sum_over_blocks(part, given))(neurons)
    numbers, flags = (np.asarray(leaf) for leaf in neurons)
    np.testing.assert_allclose(found, [numbers.sum(), flags.sum(), numbers[2].sum()], rtol=1e-14)


@pytest.mark.parametrize("count", COUNTS)
def test_results_are_where_their_neurons_are(short_blocks, count):
    numbers, flags = _neurons(count)

    def follow(some):
        values, marks = some
        return ~marks, values[1:] * 2

    inverse, twice = jax.jit(lambda *given: blocks.block_by_block(follow, given))(numbers, flags)
    np.testing.assert_array_equal(inverse, ~np.asarray(flags))
    np.testing.assert_array_equal(twice, 2 * np.asarray(numbers)[1:])
