"""The shared types: parameters, state, gates and trace.

Each is a NamedTuple of arrays, hence a pytree: `jax.grad`, `jax.tree.map`, `optax` and
indexing work on them directly. Printed, an array is its shape and range, never its numbers. Axes
are written B (batch), T (time), F (features), H (units of a layer), P (size of a projection), U
(outputs of a dense layer), V (tokens of a vocabulary) and E (size of their vectors). This module
needs NumPy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lstmcore.display import displayed

if TYPE_CHECKING:
    from jax import Array  # or np.ndarray in lstmcore.reference
else:
    Array = Any

__all__ = [
    "AdditiveAttention",
    "BiasParams",
    "DenseParams",
    "EmbeddingParams",
    "Gates",
    "GeneralAttention",
    "LSTMParams",
    "LSTMState",
    "Trace",
]


@displayed
class LSTMParams(NamedTuple):
    """Weights of one LSTM layer, fused over the gates in Keras's order: i, f, g, o.

    The weights of a Keras layer therefore fit unchanged: `LSTMParams(*layer.get_weights())`.
    A field that is None is not a leaf of the pytree: `jax.tree.leaves` returns the arrays alone.

    Attributes:
      kernel: [F, 4H], from the input to the four gates.
      recurrent_kernel: [H, 4H], from the previous hidden state to the four gates; [P, 4H] with a
        projection.
      bias: [4H].
      peephole: [3, H], from each cell to its own gates i, f, o, or None: the gates then see the
        cell itself, not only what the output gate lets through (Gers & Schmidhuber 2000,
        "Recurrent nets that time and count"; Gers et al. 2002).
      projection: [H, P], from the units to a smaller hidden state, or None. The hidden state is
        then [B, P], beside a cell of [B, H] (Sak et al. 2014, "Long short-term memory recurrent
        neural network architectures for large scale acoustic modeling"; `proj_size` of PyTorch,
        which stores it as [P, H]).
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    peephole: Array | None = None
    projection: Array | None = None


@displayed
class LSTMState(NamedTuple):
    """State that an LSTM carries from one step to the next.

    Attributes:
      h: [B, H], hidden state: the layer's output; [B, P] with a projection.
      c: [B, H], cell state: the layer's memory.
    """

    h: Array
    c: Array


@displayed
class Gates(NamedTuple):
    """Activations of one LSTM step (or, inside a `Trace`, of every step).

    With the default activations the three gates lie in (0, 1), the candidate in (-1, 1).

    Attributes:
      input: [..., H], i: how much of the candidate is written into the cell.
      forget: [..., H], f: how much of the old cell is kept (1 keeps all, 0 forgets).
      candidate: [..., H], g: the value that may be written.
      output: [..., H], o: how much of the cell becomes the hidden state.
    """

    input: Array
    forget: Array
    candidate: Array
    output: Array


@displayed
class Trace(NamedTuple):
    """Record of every step of a layer, aligned with the time axis of its input.

    Attributes:
      h: [B, T, H], hidden state after each step (the layer's output sequence); [B, T, P] with a
        projection.
      c: [B, T, H], cell state after each step.
      gates: Gates of [B, T, H], all 0 where a step was masked.
    """

    h: Array
    c: Array
    gates: Gates


@displayed
class DenseParams(NamedTuple):
    """Weights of one dense layer.

    Attributes:
      kernel: [F, U].
      bias: [U].
    """

    kernel: Array
    bias: Array


@displayed
class BiasParams(NamedTuple):
    """Weights of a dense layer whose kernel is that of another layer, transposed.

    Attributes:
      bias: [U].
    """

    bias: Array


@displayed
class EmbeddingParams(NamedTuple):
    """Weights of an embedding: one vector for each token.

    Attributes:
      table: [V, E].
    """

    table: Array


@displayed
class LayerNormParams(NamedTuple):
    """Weights of a layer normalisation (Ba, Kiros & Hinton 2016, "Layer normalization").

    Attributes:
      scale: [F].
      offset: [F].
    """

    scale: Array
    offset: Array


@displayed
class GeneralAttention(NamedTuple):
    """Weights of the score `query . weight . memory` (Luong et al. 2015, "general").

    Attributes:
      weight: [H, M], between the decoder's hidden state and the encoder's.
    """

    weight: Array


@displayed
class AdditiveAttention(NamedTuple):
    """Weights of the score `score . tanh(query + memory)`, each side projected first.

    Bahdanau et al. (2015), "Neural machine translation by jointly learning to align and
    translate", equation of appendix A.1.2.

    Attributes:
      query: [H, A], for the decoder's hidden state.
      memory: [M, A], for the encoder's hidden states.
      score: [A].
    """

    query: Array
    memory: Array
    score: Array
