"""The model in Keras on JAX, called as Keras's own trainer calls it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import layers

from benchmarks.speed.seq2seq.model import gradients_by_name
from lstmcore.vocabulary import START


def network(attention, params) -> keras.Model:
    """Return the model, with layers that are named as in `params` and have its weights."""
    tokens, size = params["source_embedding"].table.shape
    units = params["head"].kernel.shape[0]
    source, previous = (layers.Input((None,), dtype="int32") for _ in range(2))
    embedded = layers.Embedding(tokens, size, name="source_embedding")(source)
    memory, *state = layers.LSTM(units, return_sequences=True, return_state=True, name="encoder_0")(
        embedded
    )
    vectors = layers.Embedding(tokens, size, name="target_embedding")(previous)
    hidden = layers.LSTM(units, return_sequences=True, name="decoder_0")(
        vectors, initial_state=state
    )
    if attention:
        query = layers.Dense(units, use_bias=False, name="attention")(hidden)
        context = layers.Attention(name="look")([query, memory])
        both = layers.Concatenate()([context, hidden])
        hidden = layers.Dense(units, activation="tanh", name="combine")(both)
    model = keras.Model([source, previous], layers.Dense(tokens, name="head")(hidden))
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([array for array in params[layer.name] if array is not None])
    return model


class Translator:
    """One training step in Keras; see `benchmarks.speed.seq2seq.model.Translator`."""

    def __init__(self, attention, params, source, target):
        model = network(attention, params)
        criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rest = [variable.value for variable in model.non_trainable_variables]

        def loss(weights, source, previous, target):
            logits, _ = model.stateless_call(weights, rest, [source, previous], training=True)
            return criterion(target, logits)

        previous = np.insert(target[:, :-1], 0, START, axis=1)
        weights = [variable.value for variable in model.trainable_variables]
        self.layers, self.params = [layer.name for layer in model.layers if layer.weights], params
        self.step = jax.jit(jax.value_and_grad(loss))
        self.arguments = weights, *map(jnp.asarray, (source, previous, target))

    def run(self):
        return jax.block_until_ready(self.step(*self.arguments))

    def read(self, result) -> dict[str, np.ndarray]:
        loss, gradients = result
        left = iter(gradients)
        found = {
            name: jax.tree.map(lambda _: next(left), self.params[name]) for name in self.layers
        }
        return {"loss": np.asarray(loss)} | gradients_by_name(found)
