"""Where computations go: some choices that are right on a CPU are wrong on an accelerator."""

import jax


def is_cpu() -> bool:
    """Whether computations go to a CPU, by JAX's default device or else its default platform."""
    device = jax.config.jax_default_device
    where = jax.default_backend() if device is None else getattr(device, "platform", device)
    return where == "cpu"
