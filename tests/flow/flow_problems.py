"""Random small problems with inputs that are not orthogonal, and their trajectories."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

import jaxflow

STENCIL = 1e-4 * np.arange(-2, 3)
CENTRES = np.array([0.3, 1.0, 2.5, 5.0, 9.0, 14.0, 20.0])
TIMES = np.concatenate([[0.0], (CENTRES[:, None] + STENCIL).reshape(-1)])
"""Zero, and groups of five close times for finite differences."""

MAX_EVENTS = 500
SCALES = (0.01, 0.1, 0.3, 1.0)
RATIOS = (1.0, 0.6, 1.7)
SHAPES = {(4, 2, 6): 80, (3, 4, 8): 70, (5, 3, 4): 70}
"""Number of data, dimension and width, and how many problems of that shape."""


def inputs(generator, n, d, dependent):
    """Gaussian inputs of different lengths; dependent ones are collinear or in one plane."""
    x = generator.normal(size=(n, d))
    x *= np.exp(0.3 * generator.normal(size=(n, 1))) / np.linalg.norm(x, axis=1, keepdims=True)
    if dependent == 1:
        x[1] = x[0]
    elif dependent == 2:
        x[1] = 1.5 * x[0]
        x[2] = -0.5 * x[0]
    elif dependent == 3:
        x[2] = x[0] + 0.5 * x[1]
    return x


def problem(seed, n, d, m):
    """A data set and an initialisation, of scale 0.01 to 1, balanced or not."""
    generator = np.random.default_rng([seed, n, d, m])
    x = inputs(generator, n, d, seed % 4 if d == 3 else 0)
    y = generator.choice([-1, 1], size=n) * np.exp(0.4 * generator.normal(size=n))
    w = SCALES[seed % len(SCALES)] * generator.normal(size=(m, d))
    sign = generator.choice([-1, 1], size=m)
    a = RATIOS[seed % len(RATIOS)] * np.linalg.norm(w, axis=1) * sign
    return jaxflow.Dataset(x, y), jaxflow.ReluNetwork(w, a)


def fly(dataset, network, **options):
    """The trajectory at `TIMES`."""
    return jaxflow.gradient_flow(network, dataset, TIMES, max_events=MAX_EVENTS, **options)


class Run:
    """A problem with its trajectory as plain arrays."""

    def __init__(self, seed, dataset, network, trajectory):
        self.seed, self.dataset, self.network, self.trajectory = seed, dataset, network, trajectory
        self.x, self.y = np.asarray(dataset.x), np.asarray(dataset.y)
        self.a, self.w = np.asarray(trajectory.a), np.asarray(trajectory.w)
        self.modes, self.loss = np.asarray(trajectory.modes), np.asarray(trajectory.loss)
        self.status, self.events = trajectory.status, trajectory.events

    @property
    def size(self):
        """‖(a_j, w_j)‖ at every save time."""
        return np.sqrt(self.a**2 + np.sum(self.w**2, axis=-1))

    @property
    def residuals(self):
        """y − h(x) at every save time, from the weights alone."""
        u = np.maximum(np.einsum("tjd,kd->tjk", self.w, self.x), 0.0)
        return self.y - np.einsum("tj,tjk->tk", self.a, u)


def run_of(seed, dataset, network, **options):
    """Integrate one problem."""
    return Run(seed, dataset, network, fly(dataset, network, **options))


@cache
def runs(shape, rtol=1e-11):
    """All random problems of a shape, integrated one by one."""
    return [run_of(s, *problem(s, *shape), rtol=rtol) for s in range(SHAPES[shape])]


def stacked(items):
    """Modules of one shape as one batch for `jax.vmap`."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *items)


def difference(one, other):
    """Largest difference of the weights of two runs, relative to the largest weight."""
    scale = max(np.abs(one.a).max(), np.abs(one.w).max())
    return max(np.abs(one.a - other.a).max(), np.abs(one.w - other.w).max()) / scale
