"""The NumPy engine: the same LSTM to read, to test against, and to run where JAX is not installed.

Each function has the name, the arguments and the result of its counterpart in lstmcore; beside
each stands its backward pass, written by hand. Read `cell` first. The backward passes take
activations by name. Weights are float32 or float64, and nothing here imports JAX.

A model runs in NumPy when its `apply` is given this module, `model.apply(params, x,
ops=reference)`; `load` reads one from a file.

A backward function takes the gradient of a loss with respect to the outputs of its forward
function (a cotangent, of the same type and shape; None stands for zeros) and returns the
gradient with respect to the inputs.
"""

import numpy as np

from lstmcore.arrays import as_values as as_array
from lstmcore.reference.activations import activate
from lstmcore.reference.attention import attend, attend_backward
from lstmcore.reference.cell import lstm_step, lstm_step_backward, zero_state
from lstmcore.reference.layers import (
    dense,
    dense_backward,
    embedding,
    embedding_backward,
    length_mask,
    repeat_vector,
    repeat_vector_backward,
    time_distributed,
)
from lstmcore.reference.loading import load
from lstmcore.reference.loops import cumulative_max, scan, zero_state_like
from lstmcore.reference.sequence import bidirectional, lstm, lstm_backward

__all__ = [
    "activate",
    "as_array",
    "attend",
    "attend_backward",
    "bidirectional",
    "cumulative_max",
    "dense",
    "dense_backward",
    "embedding",
    "embedding_backward",
    "length_mask",
    "load",
    "lstm",
    "lstm_backward",
    "lstm_step",
    "lstm_step_backward",
    "np",
    "repeat_vector",
    "repeat_vector_backward",
    "scan",
    "time_distributed",
    "zero_state",
    "zero_state_like",
]
