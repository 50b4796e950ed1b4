"""Keras on TensorFlow: `keras.layers.LSTM` in a `tf.function`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from benchmarks.speed.peers import keras_lstm, layer
from lstmcore.types import LSTMParams


class Layer(layer.Layer):
    """TensorFlow on a CPU returns when the result is ready, so that nothing needs to block."""

    def __init__(self, weights, x):
        self.last, self.all = keras_lstm.layers(weights, x)
        self.x = tf.constant(x)
        self.d_h = tf.constant(layer.gradient_of_h(x, self.all.units))
        functions = {"forward": self.last, "forward_all": self.all, "train": self.train}
        self.programs = {case: tf.function(function) for case, function in functions.items()}

    def train(self, x, d_h):
        variables = [variable.value for variable in self.all.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(x)
            all_h = self.all(x)[0]
        *gradients, dx = tape.gradient(all_h, [*variables, x], output_gradients=d_h)
        return gradients, dx

    def run(self, case):
        arguments = (self.x, self.d_h) if case == "train" else (self.x,)
        return self.programs[case](*arguments)

    def read(self, case, result):
        if case == "train":
            gradients, dx = result
            result = LSTMParams(*gradients), dx
        else:
            all_h, h, c = result
            result = (h, c) if case == "forward" else all_h
        return layer.named(case, result)

    def stream(self):
        step = tf.function(lambda x_t, state: self.last.cell(x_t, state)[1])
        zeros = np.zeros((1, self.last.units), np.float32)
        state = [tf.constant(zeros), tf.constant(zeros)]

        def feed(x_t):
            nonlocal state
            state = step(tf.constant(x_t), state)  # a NumPy argument would be traced each time
            return state[0].numpy()

        return feed
