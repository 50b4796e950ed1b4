"""Truncated backpropagation through time: against a loop of its own, and that gradients are cut."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from strategies import weights

import lstmcore as lc
from lstmcore.batching import Buckets

RNG = np.random.default_rng(0)
ADAM = optax.adam(0.05)
PARAMS = {"u": np.float32(0.7), "w": np.array([0.3, -0.2], np.float32)}
X = RNG.normal(size=(5, 7, 2)).astype(np.float32)
GOAL = RNG.normal(size=5).astype(np.float32)  # one number for each example
DATA = {"x": X, "goal": GOAL}
close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)


def recurrent(params, chunk, state):
    """Compute a recurrent loss: each step updates the state, which is compared with the goal."""
    value = jnp.zeros(())
    for t in range(chunk["x"].shape[1]):
        state = jnp.tanh(params["u"] * state + chunk["x"][:, t] @ params["w"])
        value += jnp.mean((state - chunk["goal"]) ** 2)
    return value / chunk["x"].shape[1], state


def zeros(params, batch):
    return jnp.zeros(len(batch["x"]))


def fit(data=DATA, loss=recurrent, params=PARAMS, **changes):
    options = {
        "optimizer": ADAM,
        "epochs": 3,
        "batch_size": 2,
        "tbptt_steps": 3,
        "initial_state": zeros,
    }
    return lc.fit(loss, params, data, **options | changes)


def chunks(batch, chunk):
    for first in range(0, batch["x"].shape[1], chunk):
        yield batch | {"x": batch["x"][:, first : first + chunk]}


def mean_loss(params, data, tbptt_steps=3):
    """Over all steps, with the state carried."""
    state, total = zeros(params, data), 0.0
    for chunk in chunks(data, tbptt_steps):
        value, state = recurrent(params, chunk, state)
        total += float(value) * chunk["x"].shape[1]
    return total / data["x"].shape[1]


def simple_loop(parts, epochs=3, batch_size=2, tbptt_steps=3):
    """Train in a plain Python loop."""
    gradient = jax.jit(jax.value_and_grad(recurrent, has_aux=True))
    params, optimizer_state, losses = PARAMS, ADAM.init(PARAMS), []
    for _ in range(epochs):
        total = 0.0
        for part in parts:
            for row in range(0, len(part["x"]), batch_size):
                batch = jax.tree.map(lambda leaf, row=row: leaf[row : row + batch_size], part)
                state = zeros(params, batch)
                for chunk in chunks(batch, tbptt_steps):
                    (value, state), gradients = gradient(params, chunk, state)
                    with jax.numpy_dtype_promotion("standard"):
                        updates, optimizer_state = ADAM.update(gradients, optimizer_state, params)
                        params = optax.apply_updates(params, updates)
                    rows, steps = chunk["x"].shape[:2]
                    total += float(value) * rows * steps / batch["x"].shape[1]
        losses.append(total / sum(len(part["x"]) for part in parts))
    return params, losses


def test_fit_is_the_simple_loop_with_its_shorter_last_chunk_and_batch():
    result = fit()
    params, losses = simple_loop([DATA])
    jax.tree.map(close, result.params, params)
    close(result.history["loss"], losses)


def test_buckets_in_chunks_are_the_simple_loop_too():
    short = {"x": X[:3, :2], "goal": GOAL[:3]}
    parts = (short, DATA)
    data = Buckets(parts, order=np.arange(8), padding=0.0)
    result = fit(data)
    params, losses = simple_loop(parts)
    jax.tree.map(close, result.params, params)
    close(result.history["loss"], losses)
    # With params that stay as they are, the order of the batches does not matter to the loss.
    still = fit(data, key=jax.random.key(0), optimizer=optax.sgd(0.0))
    expected = (3 * mean_loss(PARAMS, short) + 5 * mean_loss(PARAMS, DATA)) / 8
    close(still.history["loss"], [expected] * 3)


def test_one_chunk_is_full_backpropagation(rng):
    model = lc.StackedLSTM(2, 3, outputs=1)
    data = X[:, :6], rng.normal(size=(5, 6, 1)).astype(np.float32)

    def whole(params, batch):
        y, _ = model.apply(params, batch[0])
        return jnp.mean((y - batch[1]) ** 2)

    def truncated(params, batch, states):
        y, traces = model.apply(params, batch[0], states=states)
        return jnp.mean((y - batch[1]) ** 2), lc.final_states(traces)

    train = partial(lc.fit, params=weights(model), data=data, epochs=3, batch_size=5)
    usual, ours = train(whole), train(truncated, tbptt_steps=100)
    jax.tree.map(close, ours.params, usual.params)
    close(ours.history["loss"], usual.history["loss"])


def test_no_gradient_passes_from_a_chunk_to_the_one_before():
    """Each chunk is scored by the output of the one before: it knows its value, not its cause."""

    def scored_by_the_past(params, chunk, state):
        return jnp.mean((state - 1.0) ** 2), params["w"] * chunk[:, 0]

    params = {"w": np.float32(2.0)}
    x = np.ones((2, 6), np.float32)
    options = {"loss": scored_by_the_past, "params": params, "optimizer": optax.sgd(0.1)}
    start = lambda params, batch: jnp.ones(len(batch))  # noqa: E731
    result = fit(x, **options, initial_state=start, epochs=1)
    assert result.params == params  # though its loss says that w should be 1:
    close(result.history["loss"], [(0.0 + 1.0) / 2])


def test_the_first_state_can_be_learned():
    def loss(params, chunk, state):
        return jnp.mean((state - 3.0) ** 2) + 0.0 * chunk.sum(), state

    params = {"first": np.float32(0.0)}
    start = lambda params, batch: jnp.broadcast_to(params["first"], len(batch))  # noqa: E731
    x = np.ones((2, 6), np.float32)
    result = fit(
        x,
        loss=loss,
        params=params,
        initial_state=start,
        epochs=30,
        optimizer=optax.sgd(0.3),
        tbptt_steps=3,
    )
    close(result.params["first"], 3.0, rtol=1e-3)


def test_validation_and_patience_carry_the_state_too():
    held_out = {"x": X[:2, :5], "goal": GOAL[:2]}
    result = fit(validation=held_out, epochs=2)
    close(result.history["validation_loss"][-1], mean_loss(result.params, held_out))
    far = {"x": X, "goal": -GOAL}
    stopped = fit(validation=far, patience=2, epochs=200)
    losses = stopped.history["validation_loss"]
    assert len(losses) == losses.argmin() + 1 + 2
    close(losses.min(), mean_loss(stopped.params, far))


def test_nan_stops_in_the_chunk_that_meets_it():
    bad = {"x": np.where(np.arange(7)[:, None] == 4, np.nan, X[:2]), "goal": GOAL[:2]}
    with pytest.raises(lc.NonFiniteLossError, match="in epoch 1 of 3") as error:
        fit(bad)
    first_chunk, _ = simple_loop([{"x": X[:2, :3], "goal": GOAL[:2]}], epochs=1)
    jax.tree.map(close, error.value.result.params, first_chunk)


@pytest.mark.thorough
def test_memory_reaches_further_than_the_gradient(rng):
    """The last mark must be held for up to 24 steps; chunks of 4 steps suffice to learn it."""
    marks = rng.choice([-1.0, 1.0], (64, 24)) * (rng.random((64, 24)) < 0.15)
    marks[:, 0] = rng.choice([-1.0, 1.0], 64)
    held = marks.copy()
    for t in range(1, 24):
        held[:, t] = np.where(marks[:, t] == 0, held[:, t - 1], marks[:, t])
    model = lc.StackedLSTM(1, 6, outputs=1)

    def loss(params, batch, states):
        y, traces = model.apply(params, batch[0], states=states)
        return jnp.mean((y - batch[1]) ** 2), lc.final_states(traces)

    data = jax.tree.map(lambda a: a[..., None].astype(np.float32), (marks, held))
    key = jax.random.key(0)
    options = {"optimizer": optax.adam(0.02), "epochs": 60, "batch_size": 16, "key": key}
    result = lc.fit(loss, model.init(key), data, tbptt_steps=4, **options)
    # A model that knew each chunk alone could only guess 0 at steps before its first mark.
    unknown = (np.cumsum(marks.reshape(-1, 4) ** 2, axis=1) == 0).mean()
    assert unknown > 0.5
    assert result.history["loss"][-1] < unknown / 5


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"tbptt_steps": 0}, ValueError, "tbptt_steps must be at least 1, got 0"),
        ({"tbptt_steps": None}, ValueError, "initial_state is for truncated backprop"),
        (
            {"initial_state": 3},
            TypeError,
            r"initial_state must be a function \(params, batch\) -> state, got int",
        ),
        ({"devices": jax.devices()}, ValueError, "tbptt_steps does not go together with devices"),
        ({"initial_state": None}, ValueError, "there is no LSTM layer among the params"),
        (
            {"data": GOAL},
            ValueError,
            r"arrays of data have \[\] steps along axis 1: with tbptt_steps",
        ),
        ({"data": {"a": X, "b": X[:, :3]}}, ValueError, r"arrays of data have \[3, 7\] steps"),
        ({"validation": X[:, :0]}, ValueError, r"the arrays of validation have \[0\] steps"),
        (
            {"loss": lambda params, chunk, state: chunk["x"].mean()},
            ValueError,
            r"with tbptt_steps, loss must return \(scalar, state\), got ShapeDtypeStruct: for a",
        ),
        (
            {"loss": lambda params, chunk, state: (chunk["x"].mean((1, 2)), state)},
            ValueError,
            r"loss must return a scalar, got shape \(2,\)",
        ),
        (
            {"loss": lambda params, chunk, state: (chunk["x"].mean(), {"h": state[:, None]})},
            ValueError,
            r"differ in all: float32\[2\] and nothing; \['h'\]: nothing and float32\[2, 1\] \(giv",
        ),
        (
            {"loss": lambda params, chunk, state: (chunk["x"].mean(), state[:1])},
            ValueError,
            r"differ in all: float32\[2\] and float32\[1\]",
        ),
    ],
)
def test_errors(changes, error, message):
    with pytest.raises(error, match=message):
        fit(**changes)
