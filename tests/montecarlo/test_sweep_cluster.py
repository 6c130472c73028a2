"""A sweep on a Dask cluster of two processes, one of which is killed while it works."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import sweep_children as children

from jaxflow.experiments import sweep
from jaxflow.montecarlo import writer

distributed = pytest.importorskip("distributed")

RUNS = 1200

SPEC = {
    "data": [{"family": "toy"}],
    "runs": {"width": 4, "scale": "1e-6", "seeds": RUNS},
    "output": {"chunk": 8, "batch": 4},
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two processes that share compiled programs, so that a new one is at work after a moment."""
    own = children.compiled_programs_in(tmp_path_factory.mktemp("compiled"))
    before = dict(os.environ)
    os.environ.update(own)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    ) as cluster:
        yield cluster
    os.environ.clear()
    os.environ.update(before)


def kill_one_at_work(cluster, out, done: list):
    """Wait until a worker is at work and some chunks are there; kill it with SIGKILL."""
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        pids, busy = client.run(os.getpid), []
        while len(children.chunks(out)) < 3:
            time.sleep(0.001)
        while not busy and len(children.chunks(out)) < RUNS // 8:
            busy = [address for address, tasks in client.processing().items() if tasks]
        pid = pids[busy[0]]
        os.kill(pid, signal.SIGKILL)
        done.append((pid, len(children.chunks(out))))


def test_a_worker_is_killed_and_nothing_is_missing(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "EVERY", 0.0)  # so that there is something to be seen at once
    out, killed = tmp_path / "out", []
    killer = threading.Thread(target=kill_one_at_work, args=(cluster, out, killed))
    killer.start()
    report = sweep(SPEC, out=out, cluster=cluster.scheduler_address)
    killer.join()
    [(_, chunks_then)] = killed
    assert chunks_then < RUNS // 8 and report.complete and report.planned == RUNS

    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2)
    scheduler = tmp_path / "scheduler.json"
    scheduler.write_text(json.dumps({"address": cluster.scheduler_address}))
    again = sweep(SPEC, out=tmp_path / "again", cluster=str(scheduler))
    assert again.open().identical(report.open())
    runs = report.open()
    assert runs.status.isin([1, 2]).all() and np.unique(runs.variation_norm).size > 100


def test_no_scheduler_there(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxflow.montecarlo.cluster.PATIENCE", "1s")
    with pytest.raises(ValueError, match=r"cluster: got 'tcp://127.0.0.1:9', wanted the address"):
        sweep(SPEC, out=tmp_path / "out", cluster="tcp://127.0.0.1:9")


def test_devices_of_a_cluster_are_its_own_choice(tmp_path):
    with pytest.raises(ValueError, match=r"devices: got a choice together with cluster"):
        sweep(SPEC, out=tmp_path / "out", cluster="tcp://127.0.0.1:9", devices=1)


def test_without_dask_the_cluster_is_refused_and_all_else_works(tmp_path):
    program = (
        "import sys\n"
        "sys.modules['distributed'] = sys.modules['dask'] = None\n"
        "import jax\n"
        "from jaxflow.experiments import sweep\n"
        "jax.config.update('jax_enable_x64', True)\n"
        f"try:\n    sweep({SPEC!r}, out='out', cluster='tcp://127.0.0.1:9')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert 'pip install ".[cluster]"' in done.stdout, done.stderr
    assert not (tmp_path / "out").exists()
