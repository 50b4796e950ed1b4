"""Models: LSTM layers in reading order.

A model is a frozen dataclass of hyperparameters: hashable, without arrays, so it can be an
argument of `jax.jit` and be written to a file. `init` draws its weights; `apply` runs it and is
the whole data flow (with `writer.write`, for what a decoder does). Weights and traces are plain
dicts with one name per layer, the same in all three places: `params["encoder_0"]`,
`traces["encoder_0"]`, `edits={"encoder_0": ...}`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from lstmcore import layout, layouts
from lstmcore.activations import Activation
from lstmcore.hyperparameters import activations_of, normalise
from lstmcore.layers import dense, time_distributed
from lstmcore.stack import Edits, States, check_edits, init_layers, run_stack
from lstmcore.types import Trace
from lstmcore.writer import check_target, write

__all__ = ["Autoencoder", "CompositeAutoencoder", "StackedLSTM"]


@dataclass(frozen=True)
class Autoencoder:
    """LSTM autoencoder: read a sequence into one vector, write a sequence out of it.

    The encoder's layers have the sizes `units`, the decoder's the same in reverse. The decoder
    sees nothing but the code, the encoder's final hidden state, repeated at each step; if it is
    conditional, also the step before (Srivastava, Mansimov & Salakhutdinov 2015, "Unsupervised
    Learning of Video Representations using LSTMs", sections 2.1 to 2.3). Whether the model
    reconstructs or predicts is a matter of `steps` and of the target it is trained on.

    Attributes:
      features: F, size of the sequence at each step, in and out.
      units: sizes of the encoder's layers, such as (128, 64); one number for one layer.
      activation: of every layer, see `lc.lstm`; a name or a function.
      steps: number of steps the decoder writes; None writes as many as were read.
      recurrent_activation: of every layer's gates.
      output_activation: of every layer's cell on its way out, if it differs from `activation`.
      conditional: whether the decoder reads the step before beside the code. That is an easy hint
        in a smooth series: it may come to lean on it, and leave less in the code.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.Autoencoder(features=2, units=(8, 4))
      >>> params, x = model.init(jax.random.key(0)), jnp.ones((5, 3, 2))
      >>> x_hat, traces = model.apply(params, x)
      >>> x_hat.shape, list(traces)
      ((5, 3, 2), ['encoder_0', 'encoder_1', 'decoder_0', 'decoder_1'])
      >>> code, _ = model.encode(params, x)
      >>> code.shape
      (5, 4)
    """

    features: int
    units: tuple[int, ...]
    activation: Activation = "tanh"
    steps: int | None = None
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None
    conditional: bool = False

    def __post_init__(self):
        normalise(self)

    @property
    def layers(self) -> dict[str, layout.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return layouts.autoencoder(self.features, self.units, self.steps, self.conditional)

    def init(self, key: jax.Array, dtype=jnp.float32) -> dict:
        """Fresh weights, drawn as by `init_lstm` and `init_dense`."""
        return init_layers(key, self.layers, dtype)

    def encode(
        self, params: dict, x: jax.Array, *, mask: jax.Array | None = None, edits: Edits = None
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """The first half of `apply`: what the decoder will know of the sequence.

        Args:
          params, x, mask, edits: as in `apply`; edits of the decoder have no effect here.

        Returns:
          (code [B, units[-1]], the final hidden state, Trace of each layer of the encoder).
        """
        return _encode(self, params, x, mask, edits)

    def apply(
        self,
        params: dict,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        target: jax.Array | None = None,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Encode, repeat, decode.

        Args:
          params: what `init` returned, trained or not. Any LSTM layer may be given a peephole:
            `params["encoder_0"]._replace(peephole=jnp.zeros((3, units)))`; a projection is refused.
          x: [B, T, F].
          mask: bool [B, T], True = real step. The decoder is masked likewise if `steps` is None.
          edits: for any layer by name, the `edit` of `lc.lstm`.
          target: for a conditional decoder, the true sequence [B, steps or T, F], of which each
            step reads the one before (teacher forcing: fast, for training). Without it the decoder
            reads what it wrote itself, step by step. Masked steps are passed over.

        Returns:
          (output [B, steps or T, F], Trace of each LSTM layer by name).

        Raises:
          ValueError: shapes that do not fit, an unknown name in `edits`, or a `target` for a
            decoder that is not conditional.
        """
        code, encoded = self.encode(params, x, mask=mask, edits=edits)
        steps, mask = (x.shape[1], mask) if self.steps is None else (self.steps, None)
        check_target(self, "target", target, x.shape[0], steps)
        output, decoded = write(
            self, params, "decoder", code, steps=steps, mask=mask, edits=edits, target=target
        )
        return output, encoded | decoded


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
      conditional: whether both decoders read the step before beside the code.

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
    conditional: bool = False

    def __post_init__(self):
        normalise(self)

    @property
    def layers(self) -> dict[str, layout.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return layouts.composite_autoencoder(
            self.features, self.units, self.steps, self.conditional
        )

    def init(self, key: jax.Array, dtype=jnp.float32) -> dict:
        """Fresh weights, drawn as by `init_lstm` and `init_dense`."""
        return init_layers(key, self.layers, dtype)

    def encode(
        self, params: dict, x: jax.Array, *, mask: jax.Array | None = None, edits: Edits = None
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """The code [B, units[-1]] and the encoder's traces, as in `Autoencoder.encode`."""
        return _encode(self, params, x, mask, edits)

    def apply(
        self,
        params: dict,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        target: tuple[jax.Array | None, jax.Array | None] = (None, None),
    ) -> tuple[tuple[jax.Array, jax.Array], dict[str, Trace]]:
        """Encode once, decode twice; arguments and errors as in `Autoencoder.apply`.

        `target` is a pair, (past [B, T, F], future [B, steps, F]), each of which may be None.

        Returns:
          ((reconstruction [B, T, F], prediction [B, steps, F]), Trace of each LSTM layer).
        """
        code, encoded = self.encode(params, x, mask=mask, edits=edits)
        if not (isinstance(target, tuple | list) and len(target) == 2):
            raise TypeError(
                f"target must be a pair (past, future), got {type(target).__name__}: one of them "
                "may be None"
            )
        past, future = target
        check_target(self, "target[0]", past, x.shape[0], x.shape[1])
        check_target(self, "target[1]", future, x.shape[0], self.steps)
        decode: Callable = partial(write, self, params, code=code, edits=edits)
        reconstruction, recalled = decode(
            "reconstruction", steps=x.shape[1], mask=mask, target=past
        )
        prediction, foreseen = decode("prediction", steps=self.steps, mask=None, target=future)
        return (reconstruction, prediction), encoded | recalled | foreseen


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
        normalise(self)

    @property
    def layers(self) -> dict[str, layout.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return layouts.stacked_lstm(self.features, self.units, self.outputs, self.residual)

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


def _encode(model, params, x, mask, edits) -> tuple[jax.Array, dict[str, Trace]]:
    _check(model, params, edits)
    states, _, traces = run_stack(
        params, "encoder", x, mask=mask, edits=edits, **activations_of(model)
    )
    return states[-1].h, traces


def _check(model, params, edits) -> None:
    layout.check_params(params, model.layers)
    check_edits(edits, model.layers)
