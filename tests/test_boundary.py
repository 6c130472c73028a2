"""Bad input is refused at the door with a message that names the argument and what was wanted."""

import subprocess
import sys

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxflow
from jaxflow import Dataset, ReluNetwork, init

KEY = jax.random.key(0)
TOY = jaxflow.datasets.toy()
X, Y = [[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0]
OBLIQUE = Dataset([[1.0, 0.0], [0.6, 0.8]], Y)


def network(dim=2):
    return init.balanced(KEY, 4, dim, scale=1e-3)


def flow(**options):
    return jaxflow.gradient_flow(network(), TOY, **options)


def ensemble(**options):
    options = {"width": 4, "scale": 1e-3, **options}
    keys = options.pop("keys", jax.random.split(KEY, 2))
    return jaxflow.ensemble(TOY, keys, **options)


REFUSED = {
    "x of one axis": (lambda: Dataset([1.0, 2.0], Y), "x", "shape (2,)", "(n, d)"),
    "x of three axes": (lambda: Dataset([X], Y), "x", "(1, 2, 2)", "(n, d)"),
    "ragged x": (
        lambda: Dataset([[1.0], [1.0, 2.0]], Y),
        "x",
        "[[1.0], [1.0, 2.0]]",
        "rectangular",
    ),
    "y of two axes": (lambda: Dataset(X, [Y]), "y", "shape (1, 2)", "(2,)"),
    "y of another length": (lambda: Dataset(X, [1.0]), "y", "shape (1,)", "(2,)"),
    "no data": (lambda: Dataset(np.zeros((0, 2)), []), "x", "shape (0, 2)", "not empty"),
    "no inputs": (lambda: Dataset(np.zeros((2, 0)), Y), "x", "shape (2, 0)", "not empty"),
    "words": (lambda: Dataset([["a", "b"]], [1.0]), "x", "<U1", "numbers"),
    "truth values": (lambda: Dataset([[True, False]], [1.0]), "x", "bool", "numbers"),
    "complex labels": (lambda: Dataset(X, [1j, 2.0]), "y", "complex128", "numbers"),
    "nothing": (lambda: Dataset(None, Y), "x", "object", "numbers"),
    "NaN in x": (lambda: Dataset([[np.nan, 1.0]], [1.0]), "x", "nan at index (0, 0)", "finite"),
    "infinite label": (lambda: Dataset(X, [1.0, np.inf]), "y", "inf at index (1,)", "finite"),
    "float32 x": (lambda: Dataset(np.float32(X), Y), "x", "float32", "float64"),
    "float32 y": (lambda: Dataset(X, jnp.float32(Y)), "y", "float32", "float64"),
    "zero row": (lambda: Dataset([[1.0, 0.0], [0.0, 0.0]], Y), "x", "index 1", "nonzero"),
    "float32 w": (lambda: ReluNetwork(np.float32(X), Y), "w", "float32", "float64"),
    "a of another width": (lambda: ReluNetwork(X, [1.0]), "a", "shape (1,)", "(2,)"),
    "NaN in w": (lambda: ReluNetwork([[np.nan, 0.0]], [1.0]), "w", "nan", "finite"),
    "width 0": (lambda: init.balanced(KEY, 0, 2, scale=1.0), "width", "got 0", "at least 1"),
    "width 2.5": (lambda: init.balanced(KEY, 2.5, 2, scale=1.0), "width", "2.5", "integer"),
    "dim 0": (lambda: init.balanced(KEY, 1, 0, scale=1.0), "dim", "got 0", "at least 1"),
    "only a bias": (lambda: init.balanced(KEY, 1, 1, scale=1.0, bias=True), "dim", "1", "2"),
    "scale 0": (lambda: init.balanced(KEY, 4, 2, scale=0.0), "scale", "got 0.0", "positive"),
    "scale −1": (lambda: init.balanced(KEY, 4, 2, scale=-1), "scale", "got -1", "positive"),
    "scale inf": (lambda: init.balanced(KEY, 4, 2, scale=np.inf), "scale", "inf", "finite"),
    "log_scale NaN": (
        lambda: init.balanced(KEY, 4, 2, log_scale=np.nan),
        "log_scale",
        "nan",
        "fin",
    ),
    "no scale": (lambda: init.balanced(KEY, 4, 2), "scale", "None", "exactly one"),
    "two scales": (
        lambda: init.balanced(KEY, 4, 2, scale=1.0, log_scale=0.0),
        "scale",
        "1.0",
        "exactly one",
    ),
    "a seed as key": (lambda: init.balanced(0, 4, 2, scale=1.0), "key", "got 0", "jax.random.key"),
    "ratio −1": (
        lambda: init.unbalanced(KEY, 4, 2, ratio=-1, scale=1.0),
        "ratio",
        "-1",
        "at least 0",
    ),
    "n > d": (lambda: jaxflow.datasets.random_orthogonal(KEY, 3, 2), "n", "got 3", "at most d = 2"),
    "norms of 0": (
        lambda: jaxflow.datasets.random_orthogonal(KEY, 2, 2, norms=(0, 1)),
        "norms",
        "0",
        "positive",
    ),
    "no teacher": (
        lambda: jaxflow.datasets.gaussian_teacher(KEY, 2, 2, 0),
        "neurons",
        "0",
        "at least 1",
    ),
    "other dimension": (
        lambda: jaxflow.gradient_flow(network(3), TOY),
        "network",
        "dimension 3",
        "wanted 2",
    ),
    "no network": (lambda: jaxflow.gradient_flow(X, TOY), "network", "list", "ReluNetwork"),
    "no dataset": (lambda: jaxflow.gradient_flow(network(), X), "dataset", "list", "Dataset"),
    "rtol 0": (lambda: flow(rtol=0.0), "rtol", "got 0.0", "wanted between"),
    "rtol −1": (lambda: flow(rtol=-1.0), "rtol", "got -1.0", "wanted between"),
    "rtol NaN": (lambda: flow(rtol=np.nan), "rtol", "nan", "finite"),
    "decreasing ts": (lambda: flow(ts=[0.0, 2.0, 1.0]), "ts", "1.0 after 2.0", "increasing"),
    "equal ts": (lambda: flow(ts=[0.0, 0.0]), "ts", "0.0 after 0.0", "increasing"),
    "negative ts": (lambda: flow(ts=[-1.0, 0.0]), "ts", "-1.0", "at least 0"),
    "no ts": (lambda: flow(ts=[]), "ts", "shape (0,)", "not empty"),
    "NaN in ts": (lambda: flow(ts=[0.0, np.nan]), "ts", "nan", "finite"),
    "horizon 0": (lambda: flow(horizon=0.0), "horizon", "got 0.0", "positive"),
    "max_steps 0": (lambda: flow(max_steps=0), "max_steps", "got 0", "at least 1"),
    "implicit solver": (lambda: flow(solver=diffrax.Kvaerno5()), "solver", "Kvaerno5", "explicit"),
    "oblique jump process": (
        lambda: jaxflow.jump_process(network(), OBLIQUE),
        "dataset",
        "got 0.6",
        "orthogonal",
    ),
    "unbalanced jump process": (
        lambda: jaxflow.jump_process(init.unbalanced(KEY, 4, 2, ratio=0.5, scale=1.0), TOY),
        "network",
        "0.5",
        "at least 1",
    ),
    "uninterpolable": (
        lambda: jaxflow.minimum_variation_norm(Dataset([[1.0], [2.0]], [1.0, 1.0])),
        "dataset",
        "",
        "",
    ),
    "ensemble of no keys": (lambda: ensemble(keys=3), "keys", "got 3", "random keys"),
    "ensemble width 0": (lambda: ensemble(width=0), "width", "got 0", "at least 1"),
    "ensemble scale 0": (lambda: ensemble(scale=0.0), "scale", "got 0.0", "positive"),
    "ensemble batch 0": (lambda: ensemble(batch=0), "batch", "got 0", "at least 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusal_names_argument_got_and_wanted(case):
    call, argument, got, wanted = REFUSED[case]
    with pytest.raises(ValueError) as refusal:
        call()
    message = str(refusal.value)
    assert message.startswith(f"{argument}:"), message
    assert got in message and wanted in message, message


@pytest.mark.parametrize(
    "call",
    [
        "jaxflow.Dataset([[1.0]], [1.0])",
        "jaxflow.ReluNetwork([[1.0]], [1.0])",
        "jaxflow.datasets.toy()",
        "jaxflow.init.balanced(jax.random.key(0), 2, 2, scale=1.0)",
        "jaxflow.experiments.verify()",
    ],
)
def test_float64_switched_off_is_refused_with_the_line_that_mends_it(call):
    program = (
        "import jax, jaxflow, jaxflow.experiments\n"
        f"try:\n    {call}\nexcept ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "needs float64" in done.stdout, done.stderr
    assert 'jax.config.update("jax_enable_x64", True)' in done.stdout


def test_traced_values_are_checked_while_the_program_runs():
    @jax.jit
    def scaled(scale):
        return init.balanced(KEY, 4, 2, scale=scale).log_norms()

    assert np.all(np.isfinite(scaled(1e-3)))
    with pytest.raises(Exception, match="scale: wanted a positive number"):
        jax.block_until_ready(scaled(-1.0))


def test_integers_count_as_numbers():
    assert Dataset([[1, 0], [0, 1]], [1, -1]).x.dtype == jnp.float64
