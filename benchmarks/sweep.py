"""Overhead of a sweep over the integration alone, its results, and peak memory.

    python benchmarks/sweep.py [--runs 40960] [--repeats 9]

Overhead: wall and processor time of `jaxflow.experiments.sweep` with its own chunks over those of
(1) `jaxflow.ensemble` with the same runs, and (2) what both call, `run_all`, with all
initialisations made at once; toy, m = 60, λ = 1e-6, the lightest runs there are. All is compiled
before; in every round each has its turn, the order being reversed in every other one; ratios are
medians over the rounds. Beside them stands the ratio of the least times, which tells more where
other programs use the machine too.
Results: largest difference between the sweep's and the ensemble's.
Memory: largest resident size of a process that plans a sweep and finishes a few chunks of it, for
specifications of 10^3, 10^6 and 10^9 runs (toy, m = 4); most of it is the compiler's.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

import jaxflow
from jaxflow.experiments import sweep
from jaxflow.montecarlo.ensemble import run_all
from jaxflow.montecarlo.plan import Plan
from jaxflow.montecarlo.spec import spec_of
from jaxflow.montecarlo.starts import networks, sweep_key

jax.config.update("jax_enable_x64", True)
WIDTH, SCALE = 60, "1e-6"
SMALL_WIDTH, SMALL_CHUNK = 4, 64
CHUNKS = 8
"""Chunks finished by the process whose memory is measured."""


def specification(seeds: int, width: int = WIDTH, **output) -> dict:
    """A sweep over initialisations of the toy."""
    runs = {"width": width, "scale": SCALE, "seeds": seeds}
    return {"data": [{"family": "toy"}], "runs": runs, "output": output}


class Contest:
    """The same runs in three ways; every method integrates all of them."""

    def __init__(self, runs: int):
        self.spec = spec_of(specification(runs))
        self.block = Plan(self.spec).blocks[0]
        self.toy = jaxflow.datasets.toy()
        first = jax.random.fold_in(sweep_key(0, self.block.family), 0)
        self.keys = jax.vmap(jax.random.fold_in, (None, 0))(first, np.arange(runs, dtype="uint32"))

    def ensemble(self):
        """What a user calls who stores nothing."""
        return jaxflow.ensemble(self.toy, self.keys, width=WIDTH, scale=float(SCALE), bias=True)

    def integration(self):
        """What the ensemble and the sweep have in common."""
        starts = networks(self.spec, self.block, np.arange(self.block.size))
        return run_all(starts, self.toy, self.spec.settings, batch=self.spec.batch)

    def sweep(self):
        """All runs stored, and read again."""
        with tempfile.TemporaryDirectory() as folder:
            return sweep(self.spec, out=Path(folder) / "out").open().squeeze()


def timed(call) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def overhead(runs: int, repeats: int) -> None:
    """Print times of the sweep and of what it is held against, and their ratios."""
    contest = Contest(runs)
    compare(contest.sweep(), contest.ensemble())
    calls = {"sweep": contest.sweep, "ensemble": contest.ensemble, "run_all": contest.integration}
    contest.integration()
    times = {name: np.empty((repeats, 2)) for name in calls}
    for number in range(repeats):
        for name in list(calls)[:: 1 if number % 2 else -1]:
            times[name][number] = timed(calls[name])
        print(".", end="", flush=True)
    print(f"\n{runs} runs, chunks of {contest.spec.chunk}, medians of {repeats} rounds")
    for name, columns in times.items():
        wall, processor = np.median(columns, axis=0)
        rate = f"{1e3 * wall / runs:.3f} ms a run"
        print(f"{name:9}{wall:8.2f} s wall {processor:8.2f} s processor   {rate}")
    for name in ("ensemble", "run_all"):
        wall, processor = 100 * (np.median(times["sweep"] / times[name], axis=0) - 1)
        least, _ = 100 * (times["sweep"].min(axis=0) / times[name].min(axis=0) - 1)
        print(
            f"sweep over {name}: {wall:+.1f} % wall time (least times {least:+.1f} %), "
            f"{processor:+.1f} % processor time"
        )


def compare(stored, bare) -> None:
    """Print how far the results of a sweep are from those of the ensemble."""
    same = int(np.sum(stored.status.values == np.asarray(bare.code)))
    ours, theirs = stored.variation_norm.values, np.asarray(bare.variation_norm)
    apart = np.nanmax(np.abs(ours - theirs) / theirs)
    print(
        f"results: {same} of {len(bare)} statuses the same; largest relative difference of the "
        f"variation norm {apart:.1g}, {int(np.sum(ours == theirs))} the same to the last bit"
    )


def peak_memory(seeds: int) -> None:
    """Print the peak of this process after planning and a few chunks; for a process of its own."""
    done = []

    def a_few(*arguments, **options):
        if len(done) == CHUNKS:
            raise KeyboardInterrupt
        done.append(1)
        return run_all(*arguments, **options)

    with tempfile.TemporaryDirectory() as folder:
        small = specification(seeds, SMALL_WIDTH, chunk=SMALL_CHUNK)
        report = sweep(small, out=Path(folder) / "out", integrate=a_few)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"runs": report.planned, "done": report.done, "peak_MiB": round(peak, 1)}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40960)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--memory", type=int, help="only the peak memory for so many runs")
    asked = parser.parse_args()
    if asked.memory:
        return peak_memory(asked.memory)
    for runs in (10**3, 10**6, 10**9):
        subprocess.run([sys.executable, __file__, "--memory", str(runs)], check=True)
    return overhead(asked.runs, asked.repeats)


if __name__ == "__main__":
    main()
