"""What all workloads share: their form, their data, and training steps in each library."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.speed.grid import Cell
from benchmarks.speed.seq2seq.model import gradients_by_name


class Workload(NamedTuple):
    """A computation in one library.

    run: computes once and blocks until the result is there
    read: returns that result by name, as NumPy arrays in lstmcore's layout
    """

    run: Callable[[], object]
    read: Callable[[object], dict[str, np.ndarray]]


def draw_sequences(cell: Cell, rng: np.random.Generator) -> np.ndarray:
    """Draw sequences [B, T, F]."""
    return rng.normal(size=(cell.batch, cell.time, cell.features)).astype(np.float32)


def jax_step(
    loss: Callable, weights, *data, in_our_layout: Callable = lambda gradients: gradients
) -> Workload:
    """Return the training step of `loss(weights, *data)`.

    `in_our_layout` makes params by layer, as lstmcore has them, of gradients of `weights`.
    """
    step = jax.jit(jax.value_and_grad(loss))
    arguments = jax.tree.map(jnp.asarray, (weights, *data))

    def read(result):
        value, gradients = result
        return {"loss": np.asarray(value)} | gradients_by_name(in_our_layout(gradients))

    return Workload(lambda: jax.block_until_ready(step(*arguments)), read)


def keras_step(model, params: dict, x: np.ndarray, target: np.ndarray) -> Workload:
    """Return the training step of a Keras model, called as Keras's own trainer on JAX calls it.

    The layers with weights must be named as in `params`. The loss is the mean squared error.
    """
    import keras

    names = [layer.name for layer in model.layers if layer.weights]
    for name in names:
        model.get_layer(name).set_weights([a for a in params[name] if a is not None])
    criterion = keras.losses.MeanSquaredError()
    rest = [variable.value for variable in model.non_trainable_variables]

    def loss(weights, x, target):
        y, _ = model.stateless_call(weights, rest, x, training=True)
        return criterion(target, y)

    def in_our_layout(gradients):
        left = iter(gradients)
        return {name: jax.tree.map(lambda _: next(left), params[name]) for name in names}

    weights = [variable.value for variable in model.trainable_variables]
    return jax_step(loss, weights, x, target, in_our_layout=in_our_layout)


def torch_step(
    network, x: np.ndarray, target: np.ndarray, in_our_layout: Callable[[dict], dict]
) -> Workload:
    """Return the training step of a PyTorch module, whose data are time-major, its default.

    `in_our_layout` makes params by layer of gradients by the module's names. The loss is the mean
    squared error.
    """
    import torch

    names, weights = zip(*network.named_parameters(), strict=True)
    x, target = (torch.from_numpy(array.swapaxes(0, 1).copy()) for array in (x, target))

    def run():
        loss = torch.nn.functional.mse_loss(network(x), target)
        return loss, torch.autograd.grad(loss, weights)

    def read(result):
        loss, gradients = result
        arrays = {name: array.numpy() for name, array in zip(names, gradients, strict=True)}
        return {"loss": loss.detach().numpy()} | gradients_by_name(in_our_layout(arrays))

    return Workload(run, read)
