"""Neurons shared out over several devices: the same run as on one."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxflow

pytestmark = pytest.mark.usefixtures("optimised")

RTOL, BOUND = 1e-13, 2e-13
WIDTHS = {"toy": 20_000, "orthogonal": 16}
"""The first one fills three blocks on each of two devices, the last of them in part."""
ON_TWO_DEVICES = """
import sys
import jax
import numpy as np
jax.config.update("jax_enable_x64", True)
sys.path.insert(0, sys.argv[1])
import test_sharing
assert jax.local_device_count() == 2
found = {}
for case in test_sharing.WIDTHS:
    network, data, ts = test_sharing.problem(case)
    shared = test_sharing.jaxflow.share_out(network)
    run = test_sharing.jaxflow.gradient_flow(shared, data, ts, rtol=test_sharing.RTOL)
    assert len(run.last.sharding.device_set) == 2
    found |= {f"{case} {name}": array for name, array in test_sharing.of(run).items()}
np.savez(sys.argv[2], **found)
"""


def problem(case):
    """A network, data and save times; the toy is run in closed form, the other by the solver.

    The latter saves nothing between 50 and 80: there steps are as long as their stability allows,
    last digits tell which, and residuals follow from that to the tolerance.
    """
    key, width = jax.random.key(4), WIDTHS[case]
    if case == "toy":
        data, scale, ts = jaxflow.datasets.toy(), 1e-6, np.linspace(0.0, 60.0, 7)
    else:
        data, scale = jaxflow.datasets.random_orthogonal(key, 4, 6), 1e-3
        ts = np.array([0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 80.0])
    network = jaxflow.init.balanced(key, width, data.dim, scale=scale)
    return network, data, ts


def of(run):
    """What is compared."""
    events = run.events
    return {
        "states": run.states,
        "outputs": run.outputs,
        "modes": run.modes,
        "times": events.time,
        "pairs": np.sort(np.asarray(events.neuron) * run.launch.problem.n + events.datum),
        "code": run.code,
    }


@pytest.fixture(scope="module")
def on_two_devices(tmp_path_factory):
    file = tmp_path_factory.mktemp("shared") / "runs.npz"
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
    command = [sys.executable, "-c", ON_TWO_DEVICES, os.path.dirname(__file__), str(file)]
    done = subprocess.run(
        command, env={**os.environ, "XLA_FLAGS": flags}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return np.load(file)


@pytest.mark.parametrize("case", WIDTHS)
def test_shared_out_over_two_devices_it_is_the_same_run(on_two_devices, case):
    """Sums over neurons are added up in another order, and the solver's steps follow from them."""
    network, data, ts = problem(case)
    for name, one in of(jaxflow.gradient_flow(network, data, ts, rtol=RTOL)).items():
        two = on_two_devices[f"{case} {name}"]
        assert two.shape == one.shape, name
        assert np.max(np.abs(two - np.asarray(one)), initial=0.0) <= BOUND, name


def test_one_device_changes_nothing():
    network, data, ts = problem("toy")
    shared = jaxflow.share_out(network, jax.local_devices()[:1])
    alone, one = (jaxflow.gradient_flow(some, data, ts).states for some in (network, shared))
    assert np.array_equal(alone, one)


@pytest.mark.parametrize("given", ["network", [1.0]])
def test_only_networks_are_shared_out(given):
    with pytest.raises(ValueError, match=r"network: got .*wanted one jaxflow.ReluNetwork"):
        jaxflow.share_out(given)


def test_stacks_and_uneven_shares_are_refused():
    network, *_ = problem("orthogonal")
    with pytest.raises(ValueError, match=r"network: got ReluNetwork, wanted one .*no stack"):
        jaxflow.share_out(jax.tree.map(lambda leaf: leaf[None], network))
    with pytest.raises(ValueError, match=r"network: got 16 neurons for 3 devices, wanted a mul"):
        jaxflow.share_out(network, jax.local_devices() * 3)
    with pytest.raises(ValueError, match=r"network: got 16 neurons for 0 devices"):
        jaxflow.share_out(network, [])
