"""Random Keras models that are chains, drawn from a number alone, with random weights."""

import keras
import numpy as np
from keras_parity import keras_promotion

L = keras.layers
B, T, F, TOKENS = 3, 5, 2, 9


def drawn_model(number: int, dtype: str = "float32"):
    """Return a Sequential or functional model, of one to three LSTM layers and others between.

    On JAX, Keras computes tanh, means and some constants in float32, whatever the dtype: a float64
    model here has none of them.
    """
    rng = np.random.default_rng(number)
    with keras_promotion():
        layers = list(_layers(rng, dtype))
        tokens = isinstance(layers[0], L.Embedding)
        x = keras.Input((T,) if tokens else (T, F), dtype="int32" if tokens else dtype)
        if rng.random() < 0.5:
            model = keras.Sequential([x, *layers])
        else:
            y = x
            for layer in layers:
                y = layer(y)
            model = keras.Model(x, y)
        for variable in model.trainable_variables:
            variable.assign(rng.normal(0, 0.5, variable.shape))
    return model


def _layers(rng, dtype):
    """Yield the layers of a model."""
    some = lambda *choices: choices[rng.integers(len(choices))]  # noqa: E731
    first, options = some("embedding", "masking", "numbers"), {"dtype": dtype}
    tanh = tanh_for(dtype)
    if first == "embedding":
        yield L.Embedding(TOKENS, 3, mask_zero=some(True, False), **options)
    elif first == "masking":
        yield L.Masking(-1.0, **options)
    depth = int(rng.integers(1, 4))
    for place in range(depth):
        last = place == depth - 1 and some(True, False)
        layer = L.LSTM(
            int(rng.integers(2, 5)),
            activation=some(tanh, "relu", "softsign"),
            recurrent_activation=some("sigmoid", "hard_sigmoid"),
            use_bias=some(True, True, False),
            return_sequences=not last,
            unroll=some(True, False, False),
            dropout=some(0.0, 0.1),
            recurrent_dropout=some(0.0, 0.1),
            zero_output_for_mask=some(True, False),
            **options,
        )
        match some("plain", "backwards", "bidirectional", "nested"):
            case "plain":
                yield layer
            case "backwards":
                yield L.LSTM.from_config({**layer.get_config(), "go_backwards": True})
            case "bidirectional":
                merge = some("concat", "sum", "ave", "mul")
                yield L.Bidirectional(layer, merge_mode=merge, **options)
            case "nested":
                yield keras.Sequential([layer, L.Activation(tanh, **options)])
        yield from _between(rng, dtype, not last)
        if last and some(True, False):
            yield L.RepeatVector(3, **options)
            yield L.LSTM(3, activation=tanh, return_sequences=True, **options)
    yield L.Dense(
        3,
        activation=some("softmax", None, "leaky_relu" if dtype == "float32" else "silu"),
        **options,
    )


def tanh_for(dtype):
    return "tanh" if dtype == "float32" else "sigmoid"


def _between(rng, dtype, in_time):
    """Yield up to one layer that stands between two LSTM layers."""
    options, tanh = {"dtype": dtype}, tanh_for(dtype)
    makers = [
        lambda: L.Dense(3, activation="silu", **options),
        lambda: L.Dense(3, use_bias=False, activation="exponential", **options),
        lambda: L.Activation("relu6", **options),
        lambda: L.ReLU(**options),
        lambda: L.ReLU(6, **options),
        lambda: L.LeakyReLU(0.25, **options),
        lambda: L.ELU(**options),
        lambda: L.Dropout(0.3, **options),
        lambda: L.GaussianNoise(0.1, **options),
    ]
    makers += (
        [
            lambda: L.TimeDistributed(L.Dense(2, activation=tanh, **options), **options),
            lambda: L.SpatialDropout1D(0.2, **options),
        ]
        if in_time
        else [lambda: L.Flatten(**options)]
    )
    if dtype == "float32":
        makers.append(lambda: L.LayerNormalization(epsilon=1e-2, **options))
        makers += [lambda: L.TimeDistributed(L.LayerNormalization())] * in_time
    if rng.random() < 0.8:
        yield makers[rng.integers(len(makers))]()


def drawn_input(model, number: int) -> np.ndarray:
    """Return an input with steps that a mask leaves out, at the end, at the start and inside."""
    rng = np.random.default_rng(number + 1000)
    masked = np.array([[0, 0, 0, 1, 1], [1, 1, 0, 0, 1], [0, 0, 1, 0, 0]], bool)
    if isinstance(model.layers[0], L.Embedding) or "int" in str(model.inputs[0].dtype):
        return np.where(masked, 0, rng.integers(1, TOKENS, size=(B, T)))
    dtype = str(model.inputs[0].dtype)
    return np.where(masked[:, :, None], -1, rng.normal(size=(B, T, F))).astype(dtype)


def output_of(model, x) -> np.ndarray:
    """Return what the model makes of x, outside of training."""
    with keras_promotion():
        return np.asarray(model(x, training=False))


def cudnn_layout(params):
    """Return the weights as CuDNNLSTM stores them, by Keras 2's own formula for saving them.

    Its `_convert_rnn_weights` keeps the numbers of `gate.T`, row by row, in the shape of the gate,
    and gives each of two biases one half.
    """
    kernels = [gate.T.reshape(gate.shape) for gate in np.split(params.kernel, 4, axis=1)]
    recurrent = [gate.T for gate in np.split(params.recurrent_kernel, 4, axis=1)]
    return [np.hstack(kernels), np.hstack(recurrent), np.tile(params.bias / 2, 2)]
