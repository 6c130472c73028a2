"""Reference solutions for the tests of the theory, and independent evaluations in mpmath."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jaxflow import Dataset, ReluNetwork

SHARED = Path(__file__).resolve().parents[3] / "shared" / "oracle"
COPY = Path(__file__).resolve().parents[1] / "data" / "oracle"


@pytest.fixture(scope="session")
def oracle():
    """Load a reference solution by name, from the shared folder or the copy beside the tests."""

    def load(name: str) -> SimpleNamespace:
        folder = SHARED if (SHARED / f"{name}.json").exists() else COPY
        case = json.loads((folder / f"{name}.json").read_text())
        return SimpleNamespace(
            dataset=Dataset(np.array(case["X"]), np.array(case["y"]), name=name),
            network=ReluNetwork(np.array(case["W0"]), np.array(case["a0"])),
            events=case["events"],
            states=case["states"],
        )

    return load
