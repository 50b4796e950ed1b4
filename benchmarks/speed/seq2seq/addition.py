"""Epochs of Keras's example `addition_rnn` in lstmcore and in Keras, on the same batches.

The example's optimizer, batches and model, without metrics and validation, whose time is not that
of the model. Initial weights and the order of the questions are equal. Before anything is timed,
loss and gradients of the first batch must agree, and after some steps the loss to 1 %: Keras's Adam
has another epsilon and adds it elsewhere, which shows in the first steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from benchmarks.speed import parity
from benchmarks.speed.seq2seq.model import gradients_by_name
from benchmarks.speed.timing import Budget, Record, measure_slow
from benchmarks.studies.addition import BATCH, MODEL, loss
from benchmarks.studies.tasks import addition

EPOCHS, QUICK_QUESTIONS = 2, 3_200
STEPS_COMPARED, TOLERANCE = 20, 1e-2


class Run(NamedTuple):
    """A model with its training, always from the same initial weights.

    gradients: returns loss and gradients of a batch, by name
    train: returns the weights after some epochs over (question, answer)
    """

    gradients: Callable[[dict], dict[str, np.ndarray]]
    train: Callable[[dict, int], dict]


def in_lstmcore(params) -> Run:
    """Return the run in lstmcore, from `params`."""
    step = jax.jit(jax.value_and_grad(loss))
    devices = jax.local_devices() if len(jax.local_devices()) > 1 else None

    def gradients(batch):
        value, found = step(params, batch)
        return {"loss": np.asarray(value)} | gradients_by_name(found)

    def train(data, epochs):
        result = lc.fit(loss, params, data, epochs=epochs, batch_size=BATCH, devices=devices)
        return jax.block_until_ready(result.params)

    return Run(gradients, train)


def in_keras(params, steps_per_execution: int = 1) -> Run:
    """Return the run in Keras on JAX, from `params`."""
    import keras
    from keras import layers

    units = MODEL.units[0]
    model = keras.Sequential(
        [
            layers.Input((addition.QUESTION, MODEL.features)),
            layers.LSTM(units),
            layers.RepeatVector(addition.ANSWER),
            layers.LSTM(units, return_sequences=True),
            layers.Dense(MODEL.features, activation="softmax"),
        ]
    )
    criterion = keras.losses.CategoricalCrossentropy()
    model.compile(loss=criterion, optimizer="adam", steps_per_execution=steps_per_execution)
    start = [
        np.asarray(array) for name in MODEL.layers for array in params[name] if array is not None
    ]

    def named(arrays) -> dict:
        left = iter(arrays)
        return {name: jax.tree.map(lambda _: next(left), params[name]) for name in MODEL.layers}

    def gradients(batch):
        def loss(weights):
            y, _ = model.stateless_call(weights, rest, batch["question"], training=True)
            return criterion(batch["answer"], y)

        rest = [variable.value for variable in model.non_trainable_variables]
        model.set_weights(start)
        value, found = jax.value_and_grad(loss)([v.value for v in model.trainable_variables])
        return {"loss": np.asarray(value)} | gradients_by_name(named(found))

    def train(data, epochs):
        model.set_weights(start)
        for variable in model.optimizer.variables:
            if "learning_rate" not in variable.path:
                variable.assign(jnp.zeros_like(variable.value))
        model.fit(
            data["question"],
            data["answer"],
            batch_size=BATCH,
            epochs=epochs,
            shuffle=False,
            verbose=0,
        )
        return named(variable.value for variable in model.trainable_variables)

    return Run(gradients, train)


def records(peer: str, cores: str, budget: Budget, *, quick: bool) -> Iterator[Record]:
    """Time `EPOCHS` epochs of all questions, compiled before, in turn."""
    params = jax.tree.map(np.asarray, MODEL.init(jax.random.key(0)))
    data, _ = addition.arrays(seed=0)
    if quick:
        data = {name: array[:QUICK_QUESTIONS] for name, array in data.items()}
    runs = in_lstmcore(params), in_keras(params)
    check(*runs, data)
    ours, theirs = (lambda run=run: run.train(data, EPOCHS) for run in runs)
    yield Record.of("addition", None, cores, peer, measure_slow(ours, theirs, budget))


def check(ours: Run, theirs: Run, data) -> None:
    """Check that both have the same first gradients, and the same loss after some steps.

    Raises:
      ParityError: they differ; it names which array, and by how much.
    """
    batch = {name: array[:BATCH] for name, array in data.items()}
    check_gradients(ours, theirs, batch)
    few = {name: array[: STEPS_COMPARED * BATCH] for name, array in data.items()}
    expected, actual = (
        {"loss": np.asarray(loss(run.train(few, 1), batch))} for run in (ours, theirs)
    )
    parity.compare(f"addition, {STEPS_COMPARED} steps", expected, actual, TOLERANCE)


def check_gradients(ours: Run, theirs: Run, batch) -> None:
    """Check that both have the same loss and gradients at the initial weights."""
    expected = ours.gradients(batch)
    parity.compare("addition", expected, theirs.gradients(batch), parity.TOLERANCE)
