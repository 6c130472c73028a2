"""Pictures show what the run did."""

import jax
import numpy as np
import pytest
from matplotlib.image import imread

import jaxflow
from jaxflow.plots.principal_plane import draw_principal_plane, explained_variance
from jaxflow.plots.trajectory import plateaus


@pytest.fixture(scope="module")
def run():
    network = jaxflow.init.balanced(jax.random.key(1), 60, 2, scale=1e-6, bias=True)
    return jaxflow.gradient_flow(network, jaxflow.datasets.toy())


def test_plateaus_of_the_toy_are_its_two_saddles(run):
    found = plateaus(np.asarray(run.ts), np.asarray(run.loss))
    levels = [np.interp((start + end) / 2, run.ts, run.loss) for start, end in found]
    assert np.allclose(levels, [0.5, 0.25], atol=2e-3)
    assert found[0][0] == 0.0 and found[0][1] < found[1][0]


def test_plot_writes_a_picture_with_every_event(run, tmp_path):
    path = tmp_path / "run.png"
    figure = run.plot(path)
    assert imread(path).std() > 0.05
    labels = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert f"die ({len(run.events)})" in labels


def test_plot_of_a_batch_is_refused(run):
    batch = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), run)
    with pytest.raises(ValueError, match="one trajectory"):
        batch.plot()


def test_principal_plane_of_two_directions_explains_everything(run, tmp_path):
    shares = explained_variance(run)
    assert shares.sum() == pytest.approx(1.0, abs=1e-12) and shares.size == 2
    draw_principal_plane(run, [0.0, 12.0, 40.0], tmp_path / "plane.png")
    assert imread(tmp_path / "plane.png").std() > 0.05
