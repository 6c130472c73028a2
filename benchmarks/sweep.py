"""Overhead of a sweep over the bare ensemble, and peak memory against the number of runs.

    python benchmarks/sweep.py [--runs 1024] [--repeats 3]

Overhead: wall and processor time of `jaxflow.experiments.sweep` over those of `jaxflow.ensemble`
for as many runs of the same kind (toy, m = 60, λ = 1e-6) in chunks of 128, both compiled before, in
turn, medians.
Memory: largest resident size of a process that plans a sweep and finishes a few chunks of it, for
specifications of 10^3, 10^6 and 10^9 runs (toy, m = 4); most of it is the compiler's.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax

import jaxflow
from jaxflow.experiments import sweep
from jaxflow.montecarlo.ensemble import run_all

jax.config.update("jax_enable_x64", True)
WIDTH, SCALE = 60, "1e-6"
SMALL_WIDTH, SMALL_CHUNK = 4, 64
CHUNKS = 8
"""Chunks finished by the process whose memory is measured."""


def specification(seeds: int, width: int = WIDTH, chunk: int = 128) -> dict:
    """A sweep over initialisations of the toy."""
    runs = {"width": width, "scale": SCALE, "seeds": seeds}
    return {"data": [{"family": "toy"}], "runs": runs, "output": {"chunk": chunk}}


def timed(call) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def overhead(runs: int, repeats: int) -> None:
    """Print times of the sweep and of the ensemble."""
    keys = jax.random.split(jax.random.key(0), runs)
    toy = jaxflow.datasets.toy()

    def bare():
        jaxflow.ensemble(toy, keys, width=WIDTH, scale=float(SCALE), bias=True)

    def swept():
        with tempfile.TemporaryDirectory() as folder:
            sweep(specification(runs), out=Path(folder) / "out")

    rows = {"ensemble": (bare, []), "sweep": (swept, [])}
    for call, _ in rows.values():
        call()
    for _ in range(repeats):
        for call, times in rows.values():
            times.append(timed(call))
    medians = {}
    for name, (_, times) in rows.items():
        medians[name] = [statistics.median(column) for column in zip(*times, strict=True)]
        wall, processor = medians[name]
        print(f"{name:10}{runs} runs  {wall:8.2f} s wall  {processor:8.2f} s processor", flush=True)
    for kind, own, base in zip(("wall", "processor"), medians["sweep"], medians["ensemble"],
                               strict=True):  # fmt: skip
        print(f"overhead  {100 * (own / base - 1):+.1f} % {kind} time", flush=True)


def peak_memory(seeds: int) -> None:
    """Print the peak of this process after planning and a few chunks; for a process of its own."""
    done = []

    def a_few(*arguments, **options):
        if len(done) == CHUNKS:
            raise KeyboardInterrupt
        done.append(1)
        return run_all(*arguments, **options)

    with tempfile.TemporaryDirectory() as folder:
        small = specification(seeds, SMALL_WIDTH, SMALL_CHUNK)
        report = sweep(small, out=Path(folder) / "out", integrate=a_few)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"runs": report.planned, "done": report.done, "peak_MiB": round(peak, 1)}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=int, help="only the peak memory for so many runs")
    asked = parser.parse_args()
    if asked.memory:
        return peak_memory(asked.memory)
    for runs in (10**3, 10**6, 10**9):
        subprocess.run([sys.executable, __file__, "--memory", str(runs)], check=True)
    return overhead(asked.runs, asked.repeats)


if __name__ == "__main__":
    main()
