"""The neurons of a wide network shared out over several devices."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxflow.network import ReluNetwork

AXIS = "neurons"
"""Name of the axis of devices along which neurons are shared out."""


def share_out(network: ReluNetwork, devices: Sequence[jax.Device] | None = None) -> ReluNetwork:
    """The same network with equal numbers of its neurons on several devices.

    `gradient_flow` follows each neuron where it is; only sums over neurons pass between devices.
    Trajectories are shared out in the same way. It pays from some 30,000 neurons on. A CPU counts
    as several devices after `jax.config.update("jax_num_cpu_devices", 2)`, which must come before
    anything is computed.

    Args:
        network: one network, not a stack of them.
        devices: all local ones of the default platform if not given.

    Raises:
        ValueError: no network, or a width that is no multiple of the number of devices.
    """
    if not isinstance(network, ReluNetwork) or network.exponent.ndim != 1:
        kind = type(network).__name__
        raise ValueError(f"network: got {kind}, wanted one jaxflow.ReluNetwork(w, a), no stack")
    devices = jax.local_devices() if devices is None else list(devices)
    if not devices or network.width % len(devices):
        raise ValueError(
            f"network: got {network.width} neurons for {len(devices)} devices, wanted a multiple "
            f"of their number: choose another width, or fewer `devices`"
        )
    mesh = Mesh(np.array(devices), (AXIS,))
    return jax.device_put(network, NamedSharding(mesh, PartitionSpec(AXIS)))


def devices_of(network: ReluNetwork) -> Mesh | None:
    """The devices over which the neurons are shared out; None if they are not, or traced."""
    sharding = getattr(network.exponent, "sharding", None)
    if not isinstance(sharding, NamedSharding) or sharding.mesh.axis_names != (AXIS,):
        return None
    return sharding.mesh if sharding.mesh.size > 1 else None
