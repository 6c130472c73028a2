"""Real sweeps in real processes: killed, interrupted, without room, on eight devices."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sweep_children as children

import jaxflow
from jaxflow.flow.status import Status

KILLS, LANES = 20, 2
SPEC = """
[[data]]
family = "toy"

[runs]
width = 4
scale = ["1e-6", "1e140"]
seeds = 160

[solver]
max_steps = 200

[keep]
summaries = ["status", "end_time", "loss", "variation_norm", "movement", "residual", "steps"]

[output]
chunk = 4
batch = 4
"""
ON_EIGHT_DEVICES = """
import jax, sys
from jaxflow.experiments import sweep
jax.config.update("jax_enable_x64", True)
assert jax.local_device_count() == 8
one = {"data": [{"family": "toy"}], "runs": {"width": 4, "scale": "1e-6", "seeds": 75},
       "solver": {"max_steps": 200}, "output": {"chunk": 50, "batch": 4}}
print(sweep(one, out=sys.argv[1]).counts())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    before = dict(os.environ)
    os.environ.update(children.compiled_programs_in(folder / "compiled"))
    children.CONTEXT.set_forkserver_preload(["jaxflow.cli"])
    yield folder
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def spec(folder):
    path = folder / "spec.toml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def undisturbed(folder, spec):
    children.finish(spec, folder / "undisturbed")
    return jaxflow.open_sweep(folder / "undisturbed")


def test_failures_are_in_the_file_with_their_status(undisturbed):
    small, huge = undisturbed.sel(scale="1e-6"), undisturbed.sel(scale="1e140")
    assert small.status.isin([Status.interpolated, Status.stationary]).all()
    assert (huge.status == Status.step_limit).sum() > 62 and (huge.status > 0).all()
    steps = huge.steps.values[huge.status.values == Status.step_limit]
    assert np.all((steps >= 200) & (steps <= 400))  # of both signs, where they go on by themselves
    norms = small.variation_norm.where(small.status == Status.interpolated)
    assert float(norms.min()) >= np.sqrt(1.8) * (1 - 1e-10)  # the toy's minimum, 6/√20


def killed(folder, spec, name):
    """A sweep killed again and again, and then let run to its end."""
    random, out = np.random.default_rng(), folder / name
    for _ in range(KILLS // LANES):
        child = children.start(spec, out)
        begun = len(children.chunks(out)) + int(random.integers(0, 3))
        children.wait_for_chunks(child, out, begun)
        time.sleep(random.uniform(0, 0.05))
        children.signal(child, signal.SIGKILL)
        assert child.exitcode == -signal.SIGKILL, "the sweep ended before it was killed"
    assert not jaxflow.open_sweep(out).status.all()
    children.finish(spec, out)
    return jaxflow.open_sweep(out)


def test_killed_at_random_moments_it_resumes_to_the_same_bits(folder, spec, undisturbed):
    with ThreadPoolExecutor(LANES) as pool:
        names = [f"killed-{lane}" for lane in range(LANES)]
        for runs in pool.map(lambda name: killed(folder, spec, name), names):
            assert runs.identical(undisturbed)


def test_interrupted_without_room_and_resumed_it_has_the_same_bits(folder, spec, undisturbed):
    out = folder / "interrupted"
    child = children.start(spec, out)
    children.wait_for_chunks(child, out, 3)
    children.signal(child, signal.SIGINT)
    printed = out.with_suffix(".txt").read_text()
    assert child.exitcode == 130 and "the same command goes on where it stopped" in printed
    before = {path: path.read_bytes() for path in children.files(out)}

    child = children.start(spec, out, largest_file=4096)
    child.join()
    printed = out.with_suffix(".txt").read_text()
    assert child.exitcode == 2 and "Traceback" not in printed
    assert "File too large. All that was written before is intact" in printed
    assert {path: path.read_bytes() for path in children.files(out)} == before
    assert not list(out.rglob("*.part"))

    children.finish(spec, out)
    assert jaxflow.open_sweep(out).identical(undisturbed)


def test_eight_devices_give_the_results_of_one(folder, undisturbed):
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    command = [sys.executable, "-c", ON_EIGHT_DEVICES, str(folder / "eight")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    eight = jaxflow.open_sweep(folder / "eight")
    one = undisturbed.sel(scale=["1e-6"]).isel(seed=slice(75))
    assert one.status.equals(eight.status) and (eight.status > 0).all()
    for name in set(one) & set(eight):
        assert np.allclose(one[name], eight[name], rtol=1e-12, atol=1e-12), name
