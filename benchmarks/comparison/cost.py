"""Times of jaxflow against one size at a time."""

import time
from collections.abc import Callable, Iterator

import jax
import numpy as np

import jaxflow

WIDTHS = (100, 1000, 10_000, 100_000, 1_000_000)
NUMBERS = (2, 4, 8, 16, 32, 64)
MORE_NUMBERS = (128, 256)
EXPONENTS = (-3, -6, -12, -30, -100, -300)
SEEDS = (1, 10, 100, 1000, 10_000, 100_000)
WIDE = 10_000
"""Width from which on neurons are shared out, where there are several devices."""
CHUNK = 8192
"""Seeds initialised at once."""
TOY_WIDTH, TOY_END = 60, 60.0
DATA_WIDTH = 100
ENOUGH = 10.0
"""Seconds after which a measurement is not repeated."""


def split_cpu(devices: int) -> None:
    """Let the CPU count as so many devices; before anything is computed."""
    jax.config.update("jax_num_cpu_devices", devices)


def curves(quick: bool, full: bool, repeats: int, only: str | None) -> Iterator[tuple[str, dict]]:
    """Name and measurements of each curve, or of one."""
    if quick:
        yield "scale", curve([1e-6, 1e-300], scale, 1)
        return
    sizes = {
        "width": WIDTHS,
        "data": NUMBERS + (MORE_NUMBERS if full else ()),
        "scale": [10.0**e for e in EXPONENTS],
        "seeds": SEEDS,
    }
    for name in [only] if only else sizes:
        times = min(repeats, 3) if name == "seeds" else repeats
        yield name, curve(sizes[name], CURVES[name], times)


def curve(sizes, case: Callable, repeats: int) -> dict:
    """Median seconds at every size, and what the first call took above that."""
    measured = {"sizes": list(sizes), "seconds": [], "setup_s": []}
    for size in sizes:
        _, setup, seconds = timed(case(size), repeats)
        measured["seconds"].append(seconds)
        measured["setup_s"].append(setup)
    return measured | {"slope": slope(measured["sizes"], measured["seconds"])}


def slope(sizes, seconds) -> float:
    """Exponent of the power law that fits best."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def text(name: str, measured: dict) -> str:
    """A curve in lines of text."""
    rows = zip(measured["sizes"], measured["seconds"], measured["setup_s"], strict=True)
    lines = [f"{name:8}{size:<12g}{1e3 * s:12.3f} ms   set-up {c:.2f} s" for size, s, c in rows]
    sizes, seconds = np.array(measured["sizes"]), np.array(measured["seconds"])
    end = f"{name}: time ~ size^{measured['slope']:.3f}"
    if name == "width":
        end += f", {1e6 * np.polyfit(sizes, seconds, 1)[0]:.4f} µs a neuron"
    if name == "scale":
        middle = seconds[np.argmin(np.abs(np.log(sizes / 1e-6)))]
        end += f", {sizes[-1]:g} takes {seconds[-1] / middle:.2f} times as long as 1e-6"
    if name == "seeds":
        end += f", {sizes[-1] / seconds[-1]:.0f} seeds a second at the most seeds"
    return "\n".join([*lines, end])


def width(m: int) -> Callable:
    """A toy run of width m, on all devices if it is wide."""
    network, dataset = _toy(m, 1e-6)
    shared = m >= WIDE and jax.local_device_count() > 1
    return _flow(jaxflow.share_out(network) if shared else network, dataset, TOY_END)


def data(n: int) -> Callable:
    """A run on n random orthogonal inputs in R^n; rates are of the order of 1/n."""
    dataset = jaxflow.datasets.random_orthogonal(jax.random.key(0), n, n)
    network = jaxflow.init.balanced(jax.random.key(1), DATA_WIDTH, n, scale=1e-6)
    return _flow(network, dataset, 30.0 * n)


def scale(value: float) -> Callable:
    """A toy run from a given scale, until long after its second birth at 1.79 log(1/λ)."""
    return _flow(*_toy(TOY_WIDTH, value), 30 - 1.8 * np.log(value))


def seeds(number: int) -> Callable:
    """Toy runs from many initialisations, in chunks."""
    dataset, keys = jaxflow.datasets.toy(), jax.random.split(jax.random.key(2), number)
    options = dict(width=TOY_WIDTH, scale=1e-6, bias=True, horizon=TOY_END)

    def run():
        chunks = [keys[first : first + CHUNK] for first in range(0, number, CHUNK)]
        return [jaxflow.ensemble(dataset, chunk, **options).loss for chunk in chunks]

    return run


CURVES = {"width": width, "data": data, "scale": scale, "seeds": seeds}


def _toy(m: int, value: float):
    dataset = jaxflow.datasets.toy()
    options = dict(scale=value, bias=True)
    return jaxflow.init.balanced(jax.random.key(1), m, dataset.dim, **options), dataset


def _flow(network, dataset, end: float) -> Callable:
    return lambda: jaxflow.gradient_flow(network, dataset, [end]).last


def timed(run: Callable, repeats: int):
    """The result, what the first call took above the others, and their median, in seconds."""
    first, result = _once(run)
    times = []
    while not times or (len(times) < repeats and sum(times) < ENOUGH):
        seconds, result = _once(run)
        times.append(seconds)
    median = float(np.median(times))
    return result, max(0.0, first - median), median


def _once(run: Callable):
    started = time.perf_counter()
    result = jax.block_until_ready(run())
    return time.perf_counter() - started, result
