"""One run of a sweep again, alone, from the folder of the sweep."""

from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from jaxflow.dataset import Dataset
from jaxflow.flow.gradient_flow import gradient_flow
from jaxflow.flow.settings import ROOM_FOR_EVENTS
from jaxflow.flow.status import Status
from jaxflow.flow.trajectory import Trajectory
from jaxflow.montecarlo.starts import networks
from jaxflow.montecarlo.store import Store
from jaxflow.network import outputs

COMPARED = ("end_time", "loss", "variation_norm", "movement", "steps", "events")


@dataclass(frozen=True)
class SweepReplay:
    """A single run of a sweep.

    Attributes:
        run: its number.
        label: name of the data set.
        scale, width, seed: where it is in the product.
        trajectory: the run, integrated again.
        stored: what the sweep keeps of it; empty if the run was not done yet.
    """

    run: int
    label: str
    dataset: Dataset
    scale: str
    width: int
    seed: int
    trajectory: Trajectory
    stored: dict[str, float]

    @property
    def again(self) -> dict[str, float]:
        """The summaries of the run as it was integrated now."""
        run = self.trajectory
        residual = np.asarray(self.dataset.y - outputs(run.final, self.dataset.x))
        return {
            "status": int(run.code),
            "end_time": float(run.end_time),
            "loss": float(0.5 * np.mean(residual**2)),
            "variation_norm": float(run.final.variation_norm()),
            "movement": float(run.evidence.movement),
            "steps": int(run.counts.attempted),
            "events": int(run.events.count),
        }

    def plot(self, path: str | Path) -> Path:
        """Draw the trajectory to a PNG file."""
        self.trajectory.plot(path)
        return Path(path)

    def __str__(self) -> str:
        where = f"{self.label}, width {self.width}, scale {self.scale}, seed {self.seed}"
        return f"run {self.run}: {where}\n{self.trajectory}\n{self._comparison()}"

    def _comparison(self) -> str:
        if not self.stored:
            return "  the sweep has not done this run yet"
        again = self.again
        ends = Status(int(self.stored["status"])), Status(again["status"])
        lines = [
            f"  {'':16}{'in the sweep':>22}{'now':>22}",
            "  {:16}{!s:>22}{!s:>22}".format("status", *ends),
        ]
        for name in COMPARED:
            if name in self.stored:
                lines.append(f"  {name:16}{self.stored[name]:22.15g}{again[name]:22.15g}")
        return "\n".join(lines)


def replay_sweep(path: str | Path, run: int) -> SweepReplay:
    """Integrate run number `run` of a sweep again, alone.

    Args:
        path: the folder that the sweep made.
        run: number of the run, from 0; the array `run` of `jaxflow.open_sweep` has them all.

    Raises:
        ValueError: no sweep there, or no such run.
    """
    store = Store.open(path)
    spec = store.plan.spec
    chunk, place = store.plan.chunk_of_run(run)
    block, at = chunk.block, np.array([chunk.start + place])
    scale, draw, seed = (int(index[0]) for index in block.locate(at))
    network = jax.tree.map(lambda leaf: leaf[0], networks(spec, block, at))
    data = block.family.dataset(draw)
    names = tuple(name for name in ("status", *COMPARED) if name in store.kept)
    stored = store.read_run(run, names) or {}
    trajectory = gradient_flow(
        network,
        data,
        rtol=spec.rtol,
        horizon=spec.horizon,
        max_steps=spec.max_steps,
        max_events=max(ROOM_FOR_EVENTS, 2 * int(stored.get("events", 0))),
    )
    return SweepReplay(
        run=run,
        label=block.family.label(draw),
        dataset=data,
        scale=spec.scales[scale],
        width=block.width,
        seed=spec.first_seed + seed,
        trajectory=trajectory,
        stored={name: value.item() for name, value in stored.items()},
    )
