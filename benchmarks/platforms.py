"""The same runs on a CPU and on an accelerator: times, errors, and seeds a second of ensembles.

    python benchmarks/platforms.py [--platforms cpu cuda] [--out FILE.json]

Every platform has a process of its own, and all its cores. One run alone is followed at 21 times,
its error as in `peers.py`, against a Taylor series that shares nothing with jaxflow. An ensemble
has the batch that is usual on the platform, and twice as many batches as are under way at the same
time; `ends` is the largest relative difference in the variation norm from the ends of the same
seeds on the first platform. Times are medians after a first call, whose excess is the compilation.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

PREPARED, FOUND = "prepared.pickle", "{}.json"
PROBE = "import jax; jax.devices()"


def main() -> None:
    """Measure one platform after the other, print the table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--platforms", nargs="+", default=["cpu", "cuda"], help="as JAX names them")
    parser.add_argument("--quick", action="store_true", help="the smallest problem, to see it work")
    parser.add_argument("--out", help="JSON file")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        measure_here(Path(asked.child), asked)
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), asked.quick)
        results = {p: found for p in asked.platforms if (found := on_platform(p, folder, asked))}
    print(table(results))
    if asked.out:
        Path(asked.out).write_text(json.dumps(results, indent=1))


def prepare(folder: Path, quick: bool) -> None:
    """Problems and their references, computed on the CPU, for every platform to read."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    from comparison import measure, problems

    chosen = [p for p in problems.chosen(quick, False) if p.orthogonal]
    known = [(problem, measure.reference(problem)) for problem in chosen]
    (folder / PREPARED).write_bytes(pickle.dumps(known))


def on_platform(platform: str, folder: str, asked) -> dict | None:
    """What a process on that platform measures; None if it is not here or breaks off."""
    there = os.environ | {"JAX_PLATFORMS": platform}
    if subprocess.run([sys.executable, "-c", PROBE], env=there, capture_output=True).returncode:
        print(f"left out, not here: {platform}")
        return None
    print(f"{platform} ...", flush=True)
    command = [sys.executable, __file__, "--child", folder, "--platforms", platform]
    command += ["--repeats", str(asked.repeats), *(["--quick"] if asked.quick else [])]
    code = subprocess.run(command, env=there).returncode
    if code:
        print(f"left out, ended with {code}: {platform}")
        return None
    return json.loads((Path(folder) / FOUND.format(platform)).read_text())


def measure_here(folder: Path, asked) -> None:
    """All measurements on the platform of this process."""
    from comparison import platform

    known = pickle.loads((folder / PREPARED).read_bytes())
    results = platform.measured(known, asked.quick, asked.repeats, folder / "ends.npz")
    (folder / FOUND.format(asked.platforms[0])).write_text(json.dumps(results))


def table(results: dict) -> str:
    """All measurements in Markdown, a column for each platform."""
    lines = [f"| | {' | '.join(found['device'] for found in results.values())} |"]
    lines.append("|---" * (len(results) + 1) + "|")
    names = dict.fromkeys(name for found in results.values() for name in found["rows"])
    for name in names:
        cells = [found["rows"].get(name, {}).get("text", "") for found in results.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
