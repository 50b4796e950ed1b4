"""The same model of Keras's layers, called as Keras's own trainer for JAX calls them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import layers

from benchmarks.seq2seq import sizes
from lstmcore.vocabulary import START


def network(attention, params) -> keras.Model:
    """Layers are named as in `params`, and hold its weights."""
    tokens, size = params["source_embedding"].table.shape
    units = params["head"].kernel.shape[0]
    source, written = (layers.Input((None,), dtype="int32") for _ in range(2))
    read = layers.Embedding(tokens, size, name="source_embedding")(source)
    memory, *state = layers.LSTM(units, return_sequences=True, return_state=True, name="encoder_0")(
        read
    )
    vectors = layers.Embedding(tokens, size, name="target_embedding")(written)
    shown = layers.LSTM(units, return_sequences=True, name="decoder_0")(
        vectors, initial_state=state
    )
    if attention:
        query = layers.Dense(units, use_bias=False, name="attention")(shown)
        context = layers.Attention(name="look")([query, memory])
        both = layers.Concatenate()([context, shown])
        shown = layers.Dense(units, activation="tanh", name="combine")(both)
    model = keras.Model([source, written], layers.Dense(tokens, name="head")(shown))
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([array for array in params[layer.name] if array is not None])
    return model


class Translator:
    """As `benchmarks.seq2seq.ours.Translator`."""

    def __init__(self, attention, params, source, target):
        model = network(attention, params)
        criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rest = [variable.value for variable in model.non_trainable_variables]

        def loss(weights, source, written, target):
            logits, _ = model.stateless_call(weights, rest, [source, written], training=True)
            return criterion(target, logits)

        written = np.insert(target[:, :-1], 0, START, axis=1)
        weights = [variable.value for variable in model.trainable_variables]
        self.layers, self.params = [layer.name for layer in model.layers if layer.weights], params
        self.step = jax.jit(jax.value_and_grad(loss))
        self.arguments = weights, *map(jnp.asarray, (source, written, target))

    def run(self):
        return jax.block_until_ready(self.step(*self.arguments))

    def read(self, result) -> dict[str, np.ndarray]:
        loss, gradients = result
        left = iter(gradients)
        found = {
            name: jax.tree.map(lambda _: next(left), self.params[name]) for name in self.layers
        }
        return {"loss": np.asarray(loss)} | sizes.named(found)
