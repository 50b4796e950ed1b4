"""The figures that Keras publishes in its own tests of the LSTM layer, for both engines.

They come from `keras/src/layers/rnn/lstm_test.py` of Keras 3 and do not depend on the Keras that
is installed. There x counts up from 0 and each kind of weight is one constant, which cannot show
two gates exchanged (all but the forget gate, whose bias is 1 unless the layer says otherwise): the
other Keras tests have random weights for that.
"""

from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras_parity import fresh_weights, keras_promotion

import lstmcore as lc
from lstmcore import reference

KERNEL, RECURRENT_KERNEL, BIAS = 0.01, 0.02, 0.03
COUNTED = np.arange(4, dtype=np.float32).reshape(2, 2)
PADDED = np.array([[True, True, True, False], [True, True, False, False]])


class Figure(NamedTuple):
    """One published result.

    shape: of x, [B, T, F]
    units: H
    expected: final h [B, H], or every h [B, T, H]; H is 1 where all units have one value
    layer: what the Keras layer is made with
    state, mask: what it is called with
    """

    shape: tuple
    units: int
    expected: list
    layer: dict
    state: lc.LSTMState | None = None
    mask: np.ndarray | None = None


FIGURES = {
    "default": Figure((3, 6, 4), 3, [[0.6288687], [0.86899155], [0.9460773]], {}),
    "backwards": Figure(
        (3, 6, 4), 3, [[0.35622165], [0.74789524], [0.8872726]], {"go_backwards": True}
    ),
    "forget bias as the others": Figure(
        (3, 6, 4), 3, [[0.57019705], [0.8661914], [0.9459622]], {"unit_forget_bias": False}
    ),
    "no bias": Figure((3, 6, 4), 3, [[0.54986924], [0.86226785], [0.9443936]], {"use_bias": False}),
    "initial state": Figure(
        (2, 4, 3),
        2,
        [[0.20574439, 0.3558822], [0.64930826, 0.66276]],
        {},
        state=lc.LSTMState(COUNTED, COUNTED),
    ),
    "initial state, backwards": Figure(
        (2, 4, 3),
        2,
        [[0.13281618, 0.2790356], [0.5839337, 0.5992567]],
        {"go_backwards": True},
        state=lc.LSTMState(COUNTED, COUNTED),
    ),
    "mask": Figure((2, 4, 3), 2, [[0.11755939], [0.28556206]], {}, mask=PADDED),
    "mask, every step": Figure(
        (2, 4, 3),
        2,
        [
            [[0.0158891], [0.05552048], [0.11755939], [0.11755939]],
            [[0.14185596], [0.28556206], [0.28556206], [0.28556206]],
        ],
        {"return_sequences": True},
        mask=PADDED,
    ),
    "mask, backwards": Figure(
        (2, 4, 3),
        2,
        [[0.15341201], [0.3844719]],
        {"go_backwards": True},
        mask=PADDED[:, ::-1],
    ),
}
figures = pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
engines = pytest.mark.parametrize("engine", [lc, reference], ids=["JAX", "NumPy"])


@figures
@engines
def test_figure(engine, figure):
    state, trace = engine.lstm(
        constant_params(figure),
        counted(figure.shape),
        figure.state,
        mask=figure.mask,
        reverse=figure.layer.get("go_backwards", False),
    )
    assert_figure(figure, trace.h if np.ndim(figure.expected) == 3 else state.h)


@engines
def test_carried_state(engine):
    """Keras's stateful=True: a second run over the same x starts where the first one ended."""
    figure = Figure((2, 3, 4), 4, [[0.3124785], [0.6863672]], {})
    params, x = constant_params(figure), counted(figure.shape)
    state, _ = engine.lstm(params, x)
    state, _ = engine.lstm(params, x, state)
    assert_figure(figure, state.h)


@figures
def test_figure_is_read_as_keras_reads_it(figure):
    """The layer made as in Keras's test has our constant weights and gives the same numbers."""
    layer = keras.layers.LSTM(
        figure.units,
        kernel_initializer=keras.initializers.Constant(KERNEL),
        recurrent_initializer=keras.initializers.Constant(RECURRENT_KERNEL),
        bias_initializer=keras.initializers.Constant(BIAS),
        **figure.layer,
    )
    state = figure.state and list(figure.state)
    with keras_promotion():
        h = layer(counted(figure.shape), initial_state=state, mask=figure.mask)
    assert_figure(figure, h)
    for ours, theirs in zip(constant_params(figure), fresh_weights(layer), strict=False):
        np.testing.assert_array_equal(ours, theirs)  # without a bias, theirs are only two


def constant_params(figure: Figure) -> lc.LSTMParams:
    features, units = figure.shape[-1], figure.units
    forget_bias = 1.0 if figure.layer.get("unit_forget_bias", True) else BIAS
    bias = np.repeat([BIAS, forget_bias, BIAS, BIAS], units)
    arrays = (
        np.full((features, 4 * units), KERNEL),
        np.full((units, 4 * units), RECURRENT_KERNEL),
        bias * figure.layer.get("use_bias", True),
    )
    return lc.LSTMParams(*(array.astype(np.float32) for array in arrays))


def counted(shape: tuple) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def assert_figure(figure: Figure, h) -> None:
    expected = np.broadcast_to(figure.expected, (*np.shape(figure.expected)[:-1], figure.units))
    np.testing.assert_allclose(h, expected, rtol=0, atol=1e-5)
