"""Models: LSTM layers in reading order.

A model is a frozen dataclass of hyperparameters: hashable, without arrays, so it can be an
argument of `jax.jit` and be written to a file. `init` draws its weights; `apply` runs it and is
the whole data flow (with `decode`, for what a decoder does). Weights and traces are plain
dicts with one name per layer, the same in all three places: `params["encoder_0"]`,
`traces["encoder_0"]`, `edits={"encoder_0": ...}`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from lstmcore import checks, specs
from lstmcore.activations import Activation, resolve
from lstmcore.dtypes import memory_dtype
from lstmcore.layers import dense, repeat_vector, time_distributed
from lstmcore.models.stack import (
    Edits,
    activations_of,
    check_edits,
    init_layers,
    normalise,
    run_stack,
    step_stack,
)
from lstmcore.types import DenseParams, LSTMState, Trace

__all__ = ["Autoencoder", "CompositeAutoencoder", "DenseAutoencoder"]


def decode(
    model, params, name: str, code, *, steps, mask, target, edits: Edits
) -> tuple[jax.Array, dict[str, Trace]]:
    """What the decoder writes, [B, steps, F], and the Trace of each of its layers."""
    stack: Callable = partial(
        run_stack, params, name, mask=mask, edits=edits, **activations_of(model)
    )
    if not model.conditional:
        _, h, traces = stack(code, repeat=steps)
    elif target is None:
        return decode_autoregressively(model, params, name, code, steps, mask, edits)
    else:
        before = previous_steps(jnp.asarray(target, code.dtype), mask)
        _, h, traces = stack(jnp.concatenate([repeat_vector(code, steps), before], axis=-1))
    return time_distributed(partial(dense, params[head_of(name)]), h), traces


def decode_autoregressively(model, params, name: str, code, steps, mask, edits: Edits):
    """As `decode`, step by step, each reading what was written at the last real step before."""

    def body(carry, inputs):
        states, wrote = carry
        t, keep = inputs
        x_t = jnp.concatenate([code, wrote.astype(code.dtype)], axis=-1)
        shown, states, gates = step_stack(
            params, name, x_t, states, t=t, edits=edits, keep=keep, **activations_of(model)
        )
        y = dense(params[head_of(name)], shown)
        traces = {
            layer: Trace(*state, gates[layer]) for layer, state in zip(gates, states, strict=True)
        }
        return (states, y if keep is None else jnp.where(keep, y, wrote)), (y, traces)

    def zeros(size, dtype):  # sharded as the code is, and of a symbolic batch where it has one
        return jnp.broadcast_to(jnp.zeros_like(code[:, :1], dtype), (code.shape[0], size))

    states = []
    for place in range(len(model.units)):
        layer = f"{name}_{place}"
        units, dtype = model.layers[layer].units, params[layer].kernel.dtype
        checks.check_edit((edits or {}).get(layer), code.shape[0], steps, units)
        states.append(LSTMState(zeros(units, dtype), zeros(units, memory_dtype(dtype))))
    wrote = zeros(model.features, params[head_of(name)].kernel.dtype)
    keep = None if mask is None else mask.T[:, :, None]
    _, written = jax.lax.scan(body, (tuple(states), wrote), (jnp.arange(steps), keep))
    return jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), written)


def head_of(name: str) -> str:
    """The dense layer behind a decoder; the only one of a model has no name of its own."""
    return "head" if name == "decoder" else f"{name}_head"


def previous_steps(target, mask):
    """What a conditional decoder reads at each step: the last real step before it, or zeros."""
    zeros = jnp.zeros_like(target[:, :1])
    if mask is None:
        return jnp.concatenate([zeros, target], axis=1)[:, :-1]
    steps = jnp.arange(1, mask.shape[1] + 1)
    last = jax.lax.cummax(jnp.where(mask, steps, 0), axis=1)  # real step so far, 0 if none
    last = jnp.concatenate([jnp.zeros_like(last[:, :1]), last], axis=1)[:, :-1]
    return jnp.take_along_axis(jnp.concatenate([zeros, target], axis=1), last[:, :, None], axis=1)


def check_target(model, name: str, target, batch: int, steps: int) -> None:
    """`target`, if there is one, is what a conditional decoder is to write."""
    if target is None:
        return
    if not model.conditional:
        raise ValueError(
            f"{name} is what a conditional decoder reads, and this one reads the code alone: make "
            f"the model with conditional=True, or leave {name} out"
        )
    checks.check_array(name, target, "batch time features", "what the decoder is to write")
    checks.check_floating(name, target)
    shape = batch, steps, model.features
    if tuple(target.shape) != shape:
        raise ValueError(
            f"{name} has shape {tuple(target.shape)} but the decoder writes {shape}: it must hold "
            "one row for each step that is written"
        )


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
    def layers(self) -> dict[str, specs.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return specs.autoencoder(self.features, self.units, self.steps, self.conditional)

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
        output, decoded = decode(
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
    def layers(self) -> dict[str, specs.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return specs.composite_autoencoder(self.features, self.units, self.steps, self.conditional)

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
        decoder: Callable = partial(decode, self, params, code=code, edits=edits)
        reconstruction, recalled = decoder(
            "reconstruction", steps=x.shape[1], mask=mask, target=past
        )
        prediction, foreseen = decoder("prediction", steps=self.steps, mask=None, target=future)
        return (reconstruction, prediction), encoded | recalled | foreseen


def _encode(model, params, x, mask, edits) -> tuple[jax.Array, dict[str, Trace]]:
    _check(model, params, edits)
    states, _, traces = run_stack(
        params, "encoder", x, mask=mask, edits=edits, **activations_of(model)
    )
    return states[-1].h, traces


def _check(model, params, edits) -> None:
    specs.check_params(params, model.layers)
    check_edits(edits, model.layers)


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

    def __post_init__(self):
        normalise(self)

    @property
    def layers(self) -> dict[str, specs.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return specs.dense_autoencoder(self.features, self.units, self.tied)

    def init(self, key: jax.Array, dtype=jnp.float32) -> dict:
        """Fresh weights, drawn as by `init_dense`; a tied layer has a bias of zeros alone."""
        return init_layers(key, self.layers, dtype)

    def encode(self, params: dict, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The first half of `apply`.

        Returns:
          (code [B, units[-1]], what each layer of the encoder shows [B, U], by name).
        """
        specs.check_params(params, self.layers)
        advice = "a window [B, T, F] is flattened with x.reshape(len(x), -1)"
        checks.check_array("x", x, "batch features", advice)
        squash, shown = resolve("activation", self.activation), {}
        for place in range(len(self.units)):
            x = shown[f"encoder_{place}"] = squash(dense(params[f"encoder_{place}"], x))
        return x, shown

    def apply(self, params: dict, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Encode, decode.

        Args:
          params: what `init` returned, trained or not.
          x: [B, F].

        Returns:
          (x_hat [B, F], what each layer shows [B, U], by name; the last is x_hat itself).

        Raises:
          ValueError: shapes that do not fit.
          TypeError: arguments of another kind.
        """
        h, shown = self.encode(params, x)
        squash, last = resolve("activation", self.activation), len(self.units) - 1
        for place in range(len(self.units)):
            layer = params[f"decoder_{place}"]
            if self.tied:
                layer = DenseParams(params[f"encoder_{last - place}"].kernel.T, layer.bias)
            y = dense(layer, h)
            h = shown[f"decoder_{place}"] = y if place == last else squash(y)
        return h, shown
