"""Models: LSTM layers in reading order.

A model is a frozen dataclass of hyperparameters: hashable, without arrays, so it can be an
argument of `jax.jit` and be written to a file. `init` draws its weights; `apply` runs it and is
the whole data flow. Weights and traces are plain dicts with one name per layer, the same in all
three places: `params["encoder_0"]`, `traces["encoder_0"]`, `edits={"encoder_0": ...}`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore import layout
from lstmcore.activations import Activation
from lstmcore.hyperparameters import activations_of, check_activations
from lstmcore.layers import dense, time_distributed
from lstmcore.stack import Edits, States, check_edits, init_layers, run_stack
from lstmcore.types import Trace

__all__ = ["Autoencoder", "CompositeAutoencoder", "StackedLSTM"]


@dataclass(frozen=True)
class Autoencoder:
    """LSTM autoencoder: read a sequence into one vector, write a sequence out of it.

    The encoder's layers have the sizes `units`, the decoder's the same in reverse. The decoder
    sees nothing but the encoder's final hidden state, repeated at each step (Srivastava et al.
    2015, "Unsupervised Learning of Video Representations using LSTMs", the unconditioned
    decoder). Whether the model reconstructs or predicts is a matter of `steps` and of the target
    it is trained on.

    Attributes:
      features: F, size of the sequence at each step, in and out.
      units: sizes of the encoder's layers, such as (128, 64); one number for one layer.
      activation: of every layer, see `lc.lstm`; a name or a function.
      steps: number of steps the decoder writes; None writes as many as were read.
      recurrent_activation: of every layer's gates.
      output_activation: of every layer's cell on its way out, if it differs from `activation`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.Autoencoder(features=2, units=(8, 4))
      >>> params = model.init(jax.random.key(0))
      >>> x_hat, traces = model.apply(params, jnp.ones((5, 3, 2)))
      >>> x_hat.shape, list(traces)
      ((5, 3, 2), ['encoder_0', 'encoder_1', 'decoder_0', 'decoder_1'])
    """

    features: int
    units: tuple[int, ...]
    activation: Activation = "tanh"
    steps: int | None = None
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None

    def __post_init__(self):
        _normalise(self)

    @property
    def layers(self) -> dict[str, layout.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return layout.autoencoder(self.features, self.units, self.steps)

    def init(self, key: jax.Array, dtype=jnp.float32) -> dict:
        """Fresh weights, drawn as by `init_lstm` and `init_dense`."""
        return init_layers(key, self.layers, dtype)

    def apply(
        self, params: dict, x: jax.Array, *, mask: jax.Array | None = None, edits: Edits = None
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Encode, repeat, decode.

        Args:
          params: what `init` returned, trained or not. Any LSTM layer may be given a peephole:
            `params["encoder_0"]._replace(peephole=jnp.zeros((3, units)))`; a projection is refused.
          x: [B, T, F].
          mask: bool [B, T], True = real step. The decoder is masked likewise if `steps` is None.
          edits: for any layer by name, the `edit` of `lc.lstm`.

        Returns:
          (output [B, steps or T, F], Trace of each LSTM layer by name).

        Raises:
          ValueError: shapes that do not fit, or an unknown name in `edits`.
        """
        _check(self, params, edits)
        stack: Callable = partial(run_stack, params, edits=edits, **activations_of(self))
        head = partial(dense, params["head"])

        states, _, encoded = stack("encoder", x, mask=mask)
        steps, mask = (x.shape[1], mask) if self.steps is None else (self.steps, None)
        _, h, decoded = stack("decoder", states[-1].h, repeat=steps, mask=mask)
        return time_distributed(head, h), encoded | decoded


@dataclass(frozen=True)
class CompositeAutoencoder:
    """One encoder with two decoders: one writes the input again, one what comes next.

    Having to serve both keeps the code from memorising (which reconstruction alone rewards) and
    from dropping the past (which prediction alone rewards): Srivastava et al. 2015, section 2.3.

    Attributes:
      features: F, size of the sequence at each step, in and out.
      units: sizes of the encoder's layers; each decoder has the same in reverse.
      steps: number of steps the prediction writes; the reconstruction writes as many as were read.
      activation, recurrent_activation, output_activation: as in `Autoencoder`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.CompositeAutoencoder(features=1, units=100, steps=8)
      >>> params = model.init(jax.random.key(0))
      >>> (reconstruction, prediction), traces = model.apply(params, jnp.ones((1, 9, 1)))
      >>> reconstruction.shape, prediction.shape
      ((1, 9, 1), (1, 8, 1))
    """

    features: int
    units: tuple[int, ...]
    steps: int
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None

    def __post_init__(self):
        _normalise(self)

    @property
    def layers(self) -> dict[str, layout.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return layout.composite_autoencoder(self.features, self.units, self.steps)

    def init(self, key: jax.Array, dtype=jnp.float32) -> dict:
        """Fresh weights, drawn as by `init_lstm` and `init_dense`."""
        return init_layers(key, self.layers, dtype)

    def apply(
        self, params: dict, x: jax.Array, *, mask: jax.Array | None = None, edits: Edits = None
    ) -> tuple[tuple[jax.Array, jax.Array], dict[str, Trace]]:
        """Encode once, decode twice; arguments and errors as in `Autoencoder.apply`.

        Returns:
          ((reconstruction [B, T, F], prediction [B, steps, F]), Trace of each LSTM layer).
        """
        _check(self, params, edits)
        stack: Callable = partial(run_stack, params, edits=edits, **activations_of(self))
        past_head = partial(dense, params["reconstruction_head"])
        future_head = partial(dense, params["prediction_head"])

        states, _, encoded = stack("encoder", x, mask=mask)
        code = states[-1].h
        _, past, recalled = stack("reconstruction", code, repeat=x.shape[1], mask=mask)
        _, future, foreseen = stack("prediction", code, repeat=self.steps, mask=None)
        outputs = time_distributed(past_head, past), time_distributed(future_head, future)
        return outputs, encoded | recalled | foreseen


@dataclass(frozen=True)
class StackedLSTM:
    """The plain stack, without a bottleneck: LSTM layers, then a dense layer at each step.

    Attributes:
      features: F, size of the input at each step.
      units: sizes of the layers; one number for one layer.
      outputs: U, size of the output at each step.
      activation, recurrent_activation, output_activation: as in `Autoencoder`.
      residual: each layer but the first adds what it read to what it shows, where sizes agree (Wu
        et al. 2016, section 3.1); its trace holds what it showed before.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.StackedLSTM(features=2, units=(8, 4), outputs=1)
      >>> y, traces = model.apply(model.init(jax.random.key(0)), jnp.ones((5, 3, 2)))
      >>> y.shape, list(traces)
      ((5, 3, 1), ['lstm_0', 'lstm_1'])
    """

    features: int
    units: tuple[int, ...]
    outputs: int
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None
    residual: bool = False

    def __post_init__(self):
        _normalise(self)

    @property
    def layers(self) -> dict[str, layout.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return layout.stacked_lstm(self.features, self.units, self.outputs, self.residual)

    def init(self, key: jax.Array, dtype=jnp.float32) -> dict:
        """Fresh weights, drawn as by `init_lstm` and `init_dense`."""
        return init_layers(key, self.layers, dtype)

    def apply(
        self,
        params: dict,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        states: States = None,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Run the stack; arguments and errors as in `Autoencoder.apply`.

        `states` gives the layers LSTMStates to start from, by name, such as
        `lc.final_states(traces)` of the call before; layers that it does not name start from zeros.

        Returns:
          (output [B, T, U], Trace of each LSTM layer by name).
        """
        _check(self, params, edits)
        check_edits(states, self.layers, "states")
        stack: Callable = partial(run_stack, params, edits=edits, **activations_of(self))
        _, h, traces = stack("lstm", x, mask=mask, states=states, residual=self.residual)
        return time_distributed(partial(dense, params["head"]), h), traces


def _normalise(model) -> None:
    """Check the sizes and turn them into plain ints, which compare, hash and save well."""
    features, units = layout.check_sizes(model.features, model.units)
    object.__setattr__(model, "features", features)
    object.__setattr__(model, "units", units)
    for name in ("steps", "outputs"):
        if isinstance(getattr(model, name, None), np.integer):
            object.__setattr__(model, name, int(getattr(model, name)))
    check_activations(model)
    _ = model.layers  # describing them checks what is left: steps, outputs


def _check(model, params, edits) -> None:
    layout.check_params(params, model.layers)
    check_edits(edits, model.layers)
