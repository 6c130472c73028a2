"""The reference solutions and how far a trajectory is from them."""

import json
from pathlib import Path

import numpy as np

import jaxflow as jf

FOLDER = Path(__file__).resolve().parents[1] / "oracle"
ORTHOGONAL = ["toy_m60", "toy_m8_large", "hadamard6_m16"]
GENERAL = ["fivepoint_m12_lazy", "gauss8_m10", "threepoint_m20", "unbalanced4_m6", "fivepoint_m12"]


class Reference:
    """One reference solution."""

    def __init__(self, name: str):
        content = json.loads((FOLDER / f"{name}.json").read_text())
        self.dataset = jf.Dataset(np.array(content["X"]), np.array(content["y"]), name=name)
        self.network = jf.ReluNetwork(np.array(content["W0"]), np.array(content["a0"]))
        self.ts = np.array(content["times"])
        states = content["states"]
        self.a = np.array([state["a"] for state in states])
        self.w = np.array([state["W"] for state in states])
        self.outputs = np.array([state["h"] for state in states])
        self.loss = np.array([state["loss"] for state in states])
        self.modes = np.array([state["modes"] for state in states])
        self.events = [(t, j, k, kind) for t, j, k, kind in content["events"]]

    def run(self, **options) -> jf.Trajectory:
        """The flow from the same initialisation, saved at the same times."""
        return jf.gradient_flow(self.network, self.dataset, self.ts, **options)

    def errors(self, run: jf.Trajectory) -> np.ndarray:
        """Largest error in a and w at each time, relative to max|a| at that time."""
        size = np.abs(self.a).max(axis=1)
        in_a = np.abs(np.asarray(run.a) - self.a).max(axis=1)
        in_w = np.abs(np.asarray(run.w) - self.w).max(axis=(1, 2))
        return np.maximum(in_a, in_w) / size


def event_list(run: jf.Trajectory) -> list[tuple]:
    """Events of a run as tuples (time, neuron, datum, kind)."""
    columns = (run.events.time, run.events.neuron, run.events.datum, run.events.kind)
    return [(float(t), int(j), int(k), str(c)) for t, j, k, c in zip(*columns, strict=True)]


def lasting(events: list[tuple], shortest: float = 1e-6) -> list[tuple]:
    """Events without slides that end sooner than `shortest`."""
    kept = list(events)
    for event in events:
        if event[3] != "slide":
            continue
        ends = [
            other
            for other in kept
            if other[1:3] == event[1:3]
            and other[3].startswith("leave")
            and 0 <= other[0] - event[0] < shortest
        ]
        if ends and event in kept:
            kept.remove(event)
            kept.remove(ends[0])
    return kept


def worst_event(found: list[tuple], wanted: list[tuple]) -> float:
    """Largest difference in time when both are matched as sets; inf if they do not match."""

    def by_pair(events):
        table = {}
        for time, *pair in sorted(events):
            table.setdefault(tuple(pair), []).append(time)
        return table

    ours, theirs = by_pair(found), by_pair(wanted)
    if {pair: len(times) for pair, times in ours.items()} != {
        pair: len(times) for pair, times in theirs.items()
    }:
        return np.inf
    return max(np.max(np.abs(np.subtract(ours[p], theirs[p]))) for p in theirs)
