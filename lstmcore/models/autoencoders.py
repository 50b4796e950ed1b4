"""Autoencoders: an encoder reads a sequence into one vector, a decoder reconstructs it from that.

    x [B, T, F] -> encoder -> code [B, H] -> decoder -> head -> output [B, steps, F]

`Autoencoder` has one decoder, `CompositeAutoencoder` one that reconstructs and one that predicts.
`DenseAutoencoder` has no time axis. Below the classes are the functions that encode and decode.

A model is a frozen dataclass of hyperparameters: hashable, without arrays, so it can be an
argument of `jax.jit` and be written to a file. `init` draws its weights; `apply` runs it and is
the whole data flow. Weights and traces are plain dicts with one name per layer, the same in all
three places: `params["encoder_0"]`, `traces["encoder_0"]`, `edits={"encoder_0": ...}`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore import checks, specs
from lstmcore.activations import Activation, resolve
from lstmcore.dtypes import accumulation_dtype
from lstmcore.layers import dense, repeat_vector, time_distributed
from lstmcore.models.stack import (
    Edits,
    activations_of,
    batch_major,
    check_edit_shapes,
    check_edits,
    init_layers,
    normalise,
    run_stack,
    step_stack,
    traces_of_step,
)
from lstmcore.types import DenseParams, LSTMState, Trace

__all__ = ["Autoencoder", "CompositeAutoencoder", "DenseAutoencoder"]


@dataclass(frozen=True)
class Autoencoder:
    """LSTM autoencoder: encode a sequence into one vector, decode a sequence from it.

    The encoder's layers have the sizes `units`, the decoder's the same in reverse. The decoder
    reads nothing but the code, the encoder's final hidden state, repeated at each step; a
    conditional one also reads its previous output (Srivastava, Mansimov & Salakhutdinov 2015,
    "Unsupervised Learning of Video Representations using LSTMs", sections 2.1 to 2.3). `steps` and
    the target of training decide whether the model reconstructs or predicts.

    Attributes:
      features: F, size of the sequence at each step, in and out.
      units: sizes of the encoder's layers, such as (128, 64); one number for one layer.
      activation: of every layer, see `lc.lstm`; a name or a function.
      steps: number of steps to decode; None decodes as many as the input has.
      recurrent_activation: of every layer's gates.
      output_activation: of every layer's cell on its way to the output, if it differs from
        `activation`.
      conditional: whether the decoder reads its previous output beside the code. In a smooth series
        that alone predicts the next step well, so the decoder may rely on it and the code hold
        less.

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

    def __post_init__(self) -> None:
        normalise(self)

    @property
    def layers(self) -> dict[str, specs.Layer]:
        """Return {name: Layer(kind, features, units)}, in reading order."""
        return specs.autoencoder(self.features, self.units, self.steps, self.conditional)

    def init(self, key: jax.Array, dtype: Any = jnp.float32) -> dict:
        """Return new weights, drawn by `init_lstm` and `init_dense`."""
        return init_layers(key, self.layers, dtype)

    def encode(
        self, params: dict, x: jax.Array, *, mask: jax.Array | None = None, edits: Edits = None
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Return the code, which is all that the decoder learns of the sequence, and the traces.

        Args:
          params, x, mask, edits: as in `apply`; edits of the decoder have no effect.

        Returns:
          (code [B, units[-1]], the final hidden state; Trace of each layer of the encoder).
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
        """Encode `x`, repeat the code, decode it.

        Args:
          params: what `init` returned, trained or not. Any LSTM layer may be given a peephole:
            `params["encoder_0"]._replace(peephole=jnp.zeros((3, units)))`; a projection is refused.
          x: [B, T, F].
          mask: bool [B, T], True = real step. The decoder is masked likewise if `steps` is None.
          edits: for any layer by name, the `edit` of `lc.lstm`.
          target: for a conditional decoder, the true sequence [B, steps or T, F], of which each
            step reads the previous one (teacher forcing: fast, for training). Without it the
            decoder is autoregressive: each step reads its previous output. Masked steps are
            skipped.

        Returns:
          (output [B, steps or T, F], Trace of each LSTM layer by name).

        Raises:
          ValueError: shapes that do not fit, an unknown name in `edits`, or a `target` for a
            decoder that is not conditional.
        """
        code, encoded = self.encode(params, x, mask=mask, edits=edits)
        steps, mask = (x.shape[1], mask) if self.steps is None else (self.steps, None)
        _check_target(self, "target", target, x.shape[0], steps)
        output, decoded = _decode(
            self, params, "decoder", code, steps=steps, mask=mask, edits=edits, target=target
        )
        return output, encoded | decoded


@dataclass(frozen=True)
class CompositeAutoencoder:
    """One encoder with two decoders: one reconstructs the input, one predicts what follows.

    Serving both keeps the code from memorising (which reconstruction alone rewards) and from
    dropping the past (which prediction alone rewards): Srivastava et al. 2015, section 2.3.

    Attributes:
      features: F, size of the sequence at each step, in and out.
      units: sizes of the encoder's layers; each decoder has the same in reverse.
      steps: number of steps to predict; the reconstruction has as many as the input.
      activation, recurrent_activation, output_activation: as in `Autoencoder`.
      conditional: whether both decoders read their previous output beside the code.

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

    def __post_init__(self) -> None:
        normalise(self)

    @property
    def layers(self) -> dict[str, specs.Layer]:
        """Return {name: Layer(kind, features, units)}, in reading order."""
        return specs.composite_autoencoder(self.features, self.units, self.steps, self.conditional)

    def init(self, key: jax.Array, dtype: Any = jnp.float32) -> dict:
        """Return new weights, drawn by `init_lstm` and `init_dense`."""
        return init_layers(key, self.layers, dtype)

    def encode(
        self, params: dict, x: jax.Array, *, mask: jax.Array | None = None, edits: Edits = None
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Return the code [B, units[-1]] and the encoder's traces, as `Autoencoder.encode`."""
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
        """Encode once and decode twice; arguments and errors as in `Autoencoder.apply`.

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
        _check_target(self, "target[0]", past, x.shape[0], x.shape[1])
        _check_target(self, "target[1]", future, x.shape[0], self.steps)
        decoder: Callable = partial(_decode, self, params, code=code, edits=edits)
        reconstruction, past_traces = decoder(
            "reconstruction", steps=x.shape[1], mask=mask, target=past
        )
        prediction, future_traces = decoder(
            "prediction", steps=self.steps, mask=None, target=future
        )
        return (reconstruction, prediction), encoded | past_traces | future_traces


@dataclass(frozen=True)
class DenseAutoencoder:
    """Stacked dense layers that narrow to a code, and their mirror image (Hinton & Salakhutdinov
    2006, "Reducing the dimensionality of data with neural networks").

    A window [B, T, F] is read as one row of T * F numbers: `x.reshape(len(x), -1)`.

    Attributes:
      features: F, size of a row, in and out.
      units: sizes of the encoder's layers, such as (64, 8), the last of which is the code; the
        decoder has the same in reverse. One number for one layer.
      activation: of every layer but the decoder's last, which is linear; a name or a function.
      tied: whether the decoder's kernels are the encoder's, transposed, so that there are about
        half as many weights (Vincent et al. 2010, "Stacked denoising autoencoders", section 2).

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.DenseAutoencoder(features=6, units=(4, 2))
      >>> params, x = model.init(jax.random.key(0)), jnp.ones((5, 6))
      >>> x_hat, activations = model.apply(params, x)
      >>> x_hat.shape, list(activations)
      ((5, 6), ['encoder_0', 'encoder_1', 'decoder_0', 'decoder_1'])
      >>> code, _ = model.encode(params, x)
      >>> code.shape
      (5, 2)
    """

    features: int
    units: tuple[int, ...]
    activation: Activation = "tanh"
    tied: bool = False

    def __post_init__(self) -> None:
        normalise(self)

    @property
    def layers(self) -> dict[str, specs.Layer]:
        """Return {name: Layer(kind, features, units)}, in reading order."""
        return specs.dense_autoencoder(self.features, self.units, self.tied)

    def init(self, key: jax.Array, dtype: Any = jnp.float32) -> dict:
        """Return new weights, drawn by `init_dense`; a tied layer has only a bias, of zeros."""
        return init_layers(key, self.layers, dtype)

    def encode(self, params: dict, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the code and the encoder's outputs, the first half of `apply`.

        Returns:
          (code [B, units[-1]], output [B, U] of each layer of the encoder, by name).
        """
        specs.check_params(params, self.layers)
        advice = "a window [B, T, F] is flattened with x.reshape(len(x), -1)"
        checks.check_array("x", x, "batch features", advice)
        activation, outputs = resolve("activation", self.activation), {}
        for place in range(len(self.units)):
            x = outputs[f"encoder_{place}"] = activation(dense(params[f"encoder_{place}"], x))
        return x, outputs

    def apply(self, params: dict, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Encode `x`, decode the code.

        Args:
          params: what `init` returned, trained or not.
          x: [B, F].

        Returns:
          (x_hat [B, F], output [B, U] of each layer, by name; the last is x_hat itself).

        Raises:
          ValueError: shapes that do not fit.
          TypeError: arguments of another kind.
        """
        h, outputs = self.encode(params, x)
        activation, last = resolve("activation", self.activation), len(self.units) - 1
        for place in range(len(self.units)):
            layer = params[f"decoder_{place}"]
            if self.tied:
                layer = DenseParams(params[f"encoder_{last - place}"].kernel.T, layer.bias)
            y = dense(layer, h)
            h = outputs[f"decoder_{place}"] = y if place == last else activation(y)
        return h, outputs


def _encode(
    model: Any, params: dict, x: jax.Array, mask: jax.Array | None, edits: Edits
) -> tuple[jax.Array, dict[str, Trace]]:
    """Return the code, the last layer's final hidden state, and the encoder's traces."""
    specs.check_params(params, model.layers)
    check_edits(edits, model.layers)
    states, _, traces = run_stack(
        params, "encoder", x, mask=mask, edits=edits, **activations_of(model)
    )
    return states[-1].h, traces


def _decode(
    model: Any,
    params: dict,
    name: str,
    code: jax.Array,
    *,
    steps: int,
    mask: jax.Array | None,
    target: jax.Array | None,
    edits: Edits,
) -> tuple[jax.Array, dict[str, Trace]]:
    """Return the output of the decoder `name`, [B, steps, F], and the Trace of each of its layers.

    `name` is that of its layers in `params`; the rest is as in `Autoencoder.apply`.
    """
    stack: Callable = partial(
        run_stack, params, name, mask=mask, edits=edits, **activations_of(model)
    )
    if not model.conditional:
        _, h, traces = stack(code, repeat=steps)
    elif target is None:
        return _decode_autoregressively(model, params, name, code, steps, mask, edits)
    else:
        previous = _previous_steps(jnp.asarray(target, code.dtype), mask)
        _, h, traces = stack(jnp.concatenate([repeat_vector(code, steps), previous], axis=-1))
    return time_distributed(partial(dense, params[_head_of(name)]), h), traces


def _decode_autoregressively(
    model: Any,
    params: dict,
    name: str,
    code: jax.Array,
    steps: int,
    mask: jax.Array | None,
    edits: Edits,
) -> tuple[jax.Array, dict[str, Trace]]:
    """As `_decode`, in a loop: each step reads the output of the last real step before it."""
    check_edit_shapes(edits, model.layers, name, code.shape[0], steps)

    def body(carry: tuple, inputs: tuple) -> tuple:
        states, previous = carry
        t, keep = inputs
        x_t = jnp.concatenate([code, previous.astype(code.dtype)], axis=-1)
        h, states, gates = step_stack(
            params, name, x_t, states, t=t, edits=edits, keep=keep, **activations_of(model)
        )
        y = dense(params[_head_of(name)], h)
        previous = y if keep is None else jnp.where(keep, y, previous)
        return (states, previous), (y, traces_of_step(states, gates))

    def zeros(size: int, dtype: Any) -> jax.Array:
        # Sharded as the code is, and of a symbolic batch where it has one.
        return jnp.broadcast_to(jnp.zeros_like(code[:, :1], dtype), (code.shape[0], size))

    states = []
    for place in range(len(model.units)):
        layer = f"{name}_{place}"
        units, dtype = model.layers[layer].units, params[layer].kernel.dtype
        states.append(LSTMState(zeros(units, dtype), zeros(units, accumulation_dtype(dtype))))
    first = zeros(model.features, params[_head_of(name)].kernel.dtype)
    keep = None if mask is None else mask.T[:, :, None]
    inputs = jnp.arange(steps), keep
    return batch_major(jax.lax.scan(body, (tuple(states), first), inputs)[1])


def _previous_steps(target: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Return, for each step, the last real step of `target` before it, or zeros."""
    zeros = jnp.zeros_like(target[:, :1])
    if mask is None:
        return jnp.concatenate([zeros, target], axis=1)[:, :-1]
    steps = jnp.arange(1, mask.shape[1] + 1)
    last = jax.lax.cummax(jnp.where(mask, steps, 0), axis=1)  # real step so far, 0 if none
    last = jnp.concatenate([jnp.zeros_like(last[:, :1]), last], axis=1)[:, :-1]
    return jnp.take_along_axis(jnp.concatenate([zeros, target], axis=1), last[:, :, None], axis=1)


def _head_of(name: str) -> str:
    """Return the name of a decoder's dense layer: "head", if the model has only one decoder."""
    return "head" if name == "decoder" else f"{name}_head"


def _check_target(model: Any, name: str, target: jax.Array | None, batch: int, steps: int) -> None:
    """Raise if there is a `target` and it is not one for a conditional decoder of `model`."""
    if target is None:
        return
    if not model.conditional:
        raise ValueError(
            f"{name} is what a conditional decoder reads, and this one reads the code alone: make "
            f"the model with conditional=True, or leave {name} out"
        )
    checks.check_array(name, target, "batch time features", "the sequence to be decoded")
    checks.check_floating(name, target)
    shape = batch, steps, model.features
    if tuple(target.shape) != shape:
        raise ValueError(
            f"{name} has shape {tuple(target.shape)} but the decoder's output has {shape}: it must "
            "hold one row for each step of the output"
        )
