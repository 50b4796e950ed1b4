"""The NumPy engine: the same LSTM to read, to test against, and to run where JAX is not installed.

Each function has the name, the arguments and the result of its counterpart in lstmcore; beside
each stands its backward pass, written by hand. Read `cell` first. Activations are given by name,
weights are float32 or float64, and nothing here imports JAX.

A backward function takes the gradient of a loss with respect to the outputs of its forward
function (a cotangent, of the same type and shape; None stands for zeros) and returns the
gradient with respect to the inputs.
"""

from lstmcore.reference.cell import lstm_step, lstm_step_backward, zero_state
from lstmcore.reference.layers import (
    dense,
    dense_backward,
    length_mask,
    repeat_vector,
    repeat_vector_backward,
)
from lstmcore.reference.models import (
    apply_autoencoder,
    apply_composite_autoencoder,
    apply_dense_autoencoder,
    apply_forecaster,
    apply_stacked_lstm,
    load,
)
from lstmcore.reference.sequence import bidirectional, lstm, lstm_backward

__all__ = [
    "apply_autoencoder",
    "apply_composite_autoencoder",
    "apply_dense_autoencoder",
    "apply_forecaster",
    "apply_stacked_lstm",
    "bidirectional",
    "dense",
    "dense_backward",
    "length_mask",
    "load",
    "lstm",
    "lstm_backward",
    "lstm_step",
    "lstm_step_backward",
    "repeat_vector",
    "repeat_vector_backward",
    "zero_state",
]
