"""Shared by all tests: float64, and room for the programs that they compile."""

import warnings

import jax
import pytest

from jaxflow.programs import make_room

jax.config.update("jax_enable_x64", True)


@pytest.fixture(autouse=True)
def room_for_programs():
    """Compiled programs are forgotten before the process runs out of memory maps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        make_room()
