"""Shared by all tests: float64, and where the reference solutions lie."""

import jax

jax.config.update("jax_enable_x64", True)
