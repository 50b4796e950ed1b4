"""Autoencoders: an encoder reads a sequence into one vector, a decoder reconstructs it from that.

    x [B, T, F] -> encoder -> code [B, H] -> decoder -> head -> output [B, steps, F]

`Autoencoder` has one decoder, `CompositeAutoencoder` one that reconstructs and one that predicts.
Below the classes are the functions that encode and decode.

A model is a frozen dataclass of hyperparameters: hashable, without arrays, so it can be an
argument of `jax.jit` and be written to a file. `init` draws its weights; `apply` runs it and is
the whole data flow. Weights and traces are plain dicts with one name per layer, the same in all
three places: `params["encoder_0"]`, `traces["encoder_0"]`, `edits={"encoder_0": ...}`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import lstmcore as lc
from lstmcore import checks
from lstmcore.display.text import given_fields
from lstmcore.models.stack import (
    Edits,
    activations_of,
    check_activations,
    check_edit_shapes,
    check_edits,
    not_called,
    run_stack,
    set_plain,
    step_stack,
    summary_html,
    traces_of_step,
)
from lstmcore.specs import Layer, check_params, stack
from lstmcore.types import DenseParams, Trace

if TYPE_CHECKING:
    import jax

    from lstmcore.activations import Activation

__all__ = ["Autoencoder", "CompositeAutoencoder"]


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

    causal = False  # nothing comes out before the sequence has ended

    __call__ = not_called
    __repr__ = given_fields
    _repr_html_ = summary_html

    def __post_init__(self) -> None:
        _check_sizes(self)
        if self.steps is not None:
            set_plain(self, steps=checks.check_count("steps", self.steps))

    @property
    def layers(self) -> dict[str, Layer]:
        """Return {name: Layer(kind, features, units)}, in reading order."""
        return stack("encoder", self.features, self.units) | _decoder(self, "decoder")

    def init(self, key: jax.Array, dtype: Any = "float32") -> dict:
        """Return new weights, drawn by `init_lstm` and `init_dense`."""
        return lc.init_layers(key, self.layers, dtype)

    def encode(
        self,
        params: dict,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        ops: Any = lc.ops,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Return the code, which is all that the decoder learns of the sequence, and the traces.

        Args:
          params, x, mask, edits, ops: as in `apply`; edits of the decoder have no effect.

        Returns:
          (code [B, units[-1]], the final hidden state; Trace of each layer of the encoder).
        """
        return _encode(self, ops, check_params(params, self.layers), x, mask, edits)

    def apply(
        self,
        params: dict,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        target: jax.Array | None = None,
        ops: Any = lc.ops,
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
          ops: `lc.ops` to compute by JAX, `lc.reference` by NumPy.

        Returns:
          (output [B, steps or T, F], Trace of each LSTM layer by name).

        Raises:
          ValueError: shapes that do not fit, an unknown name in `edits`, or a `target` for a
            decoder that is not conditional.
        """
        params = check_params(params, self.layers)
        x, mask = ops.as_array("x", x), ops.as_array("mask", mask)
        code, encoded = _encode(self, ops, params, x, mask, edits)
        steps, mask = (x.shape[1], mask) if self.steps is None else (self.steps, None)
        target = ops.as_array("target", target)
        _check_target(self, "target", target, x.shape[0], steps)
        decode = partial(_decode, self, ops, params, "decoder")
        output, decoded = decode(code, steps=steps, mask=mask, edits=edits, target=target)
        return output, encoded | decoded

    def summary_rows(self, timesteps: int | None) -> list[tuple[str, str, tuple]]:
        """Return (name, type, output shape) of each layer, for `lc.summary`."""
        return _summary_rows(self, timesteps, {"decoder": self.steps or timesteps})


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

    causal = False  # nothing comes out before the sequence has ended

    __call__ = not_called
    __repr__ = given_fields
    _repr_html_ = summary_html

    def __post_init__(self) -> None:
        _check_sizes(self)
        set_plain(self, steps=checks.check_count("steps", self.steps))

    @property
    def layers(self) -> dict[str, Layer]:
        """Return {name: Layer(kind, features, units)}, in reading order."""
        return {
            **stack("encoder", self.features, self.units),
            **_decoder(self, "reconstruction"),
            **_decoder(self, "prediction"),
        }

    def init(self, key: jax.Array, dtype: Any = "float32") -> dict:
        """Return new weights, drawn by `init_lstm` and `init_dense`."""
        return lc.init_layers(key, self.layers, dtype)

    def encode(
        self,
        params: dict,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        ops: Any = lc.ops,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Return the code [B, units[-1]] and the encoder's traces, as `Autoencoder.encode`."""
        return _encode(self, ops, check_params(params, self.layers), x, mask, edits)

    def apply(
        self,
        params: dict,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        target: tuple[jax.Array | None, jax.Array | None] = (None, None),
        ops: Any = lc.ops,
    ) -> tuple[tuple[jax.Array, jax.Array], dict[str, Trace]]:
        """Encode once and decode twice; arguments and errors as in `Autoencoder.apply`.

        `target` is a pair, (past [B, T, F], future [B, steps, F]), each of which may be None.

        Returns:
          ((reconstruction [B, T, F], prediction [B, steps, F]), Trace of each LSTM layer).
        """
        params = check_params(params, self.layers)
        x, mask = ops.as_array("x", x), ops.as_array("mask", mask)
        code, encoded = _encode(self, ops, params, x, mask, edits)
        if not (isinstance(target, tuple | list) and len(target) == 2):
            raise TypeError(
                f"target must be a pair (past, future), got {type(target).__name__}: one of them "
                "may be None"
            )
        past, future = (ops.as_array(f"target[{i}]", part) for i, part in enumerate(target))
        _check_target(self, "target[0]", past, x.shape[0], x.shape[1])
        _check_target(self, "target[1]", future, x.shape[0], self.steps)
        decoder: Callable = partial(_decode, self, ops, params, code=code, edits=edits)
        reconstruction, past_traces = decoder(
            "reconstruction", steps=x.shape[1], mask=mask, target=past
        )
        prediction, future_traces = decoder(
            "prediction", steps=self.steps, mask=None, target=future
        )
        return (reconstruction, prediction), encoded | past_traces | future_traces

    def summary_rows(self, timesteps: int | None) -> list[tuple[str, str, tuple]]:
        """Return (name, type, output shape) of each layer, for `lc.summary`."""
        steps = {"reconstruction": timesteps, "prediction": self.steps}
        return _summary_rows(self, timesteps, steps)


def _check_sizes(model: Any) -> None:
    """Check what both LSTM autoencoders have in common, and make it plain values."""
    features, units = checks.check_sizes(model.features, model.units)
    checks.check_choice("conditional", model.conditional, (False, True))
    set_plain(model, features=features, units=units, conditional=bool(model.conditional))
    check_activations(model)


def _decoder(model: Any, name: str) -> dict[str, Layer]:
    """Return the layers of a decoder: the encoder's in reverse and a head.

    A conditional one also reads its previous output.
    """
    read = model.units[-1] + model.features * model.conditional
    head = Layer(DenseParams, model.units[0], model.features)
    return stack(name, read, model.units[::-1]) | {_head_of(name): head}


def _summary_rows(
    model: Any, timesteps: int | None, decoders: dict[str, int | None]
) -> list[tuple[str, str, tuple]]:
    """Return the rows of an LSTM autoencoder, given the steps of each decoder.

    They include the inputs of the decoders, which have no weights.
    """
    *lower, last = stack("encoder", model.features, model.units).items()
    rows: list[tuple] = [(name, "LSTM", (None, timesteps, layer.units)) for name, layer in lower]
    rows.append((last[0], "LSTM", (None, model.units[-1])))  # only its final state is passed on
    for decoder, steps in decoders.items():
        prefix = "" if decoder == "decoder" else f"{decoder}_"
        rows.append((f"{prefix}repeat", "RepeatVector", (None, steps, model.units[-1])))
        if model.conditional:
            rows.append((f"{prefix}previous", "PreviousOutput", (None, steps, model.features)))
        *layers, (head, _) = _decoder(model, decoder).items()
        rows += [(name, "LSTM", (None, steps, layer.units)) for name, layer in layers]
        rows.append((head, "TimeDistributed(Dense)", (None, steps, model.features)))
    return rows


def _encode(
    model: Any, ops: Any, params: dict, x: jax.Array, mask: jax.Array | None, edits: Edits
) -> tuple[jax.Array, dict[str, Trace]]:
    """Return the code, the last layer's final hidden state, and the encoder's traces."""
    check_edits(edits, model.layers)
    states, _, traces = run_stack(
        ops, params, "encoder", x, mask=mask, edits=edits, **activations_of(model)
    )
    return states[-1].h, traces


def _decode(
    model: Any,
    ops: Any,
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
    run: Callable = partial(
        run_stack, ops, params, name, mask=mask, edits=edits, **activations_of(model)
    )
    if not model.conditional:
        _, h, traces = run(code, repeat=steps)
    elif target is None:
        return _decode_autoregressively(model, ops, params, name, code, steps, mask, edits)
    else:
        previous = _previous_steps(ops, ops.np.asarray(target, code.dtype), mask)
        codes = ops.repeat_vector(code, steps)
        _, h, traces = run(ops.np.concatenate([codes, previous], axis=-1))
    return ops.time_distributed(partial(ops.dense, params[_head_of(name)]), h), traces


def _decode_autoregressively(
    model: Any,
    ops: Any,
    params: dict,
    name: str,
    code: jax.Array,
    steps: int,
    mask: jax.Array | None,
    edits: Edits,
) -> tuple[jax.Array, dict[str, Trace]]:
    """As `_decode`, in a loop: each step reads the output of the last real step before it."""
    check_edit_shapes(edits, model.layers, name, code.shape[0], steps)
    activations = activations_of(model)

    def step(carry: tuple, keep: Any, t: Any) -> tuple:
        states, previous = carry
        keep = None if keep is None else keep[:, None]
        x_t = ops.np.concatenate([code, previous.astype(code.dtype)], axis=-1)
        h, states, gates = step_stack(
            ops, params, name, x_t, states, t=t, edits=edits, keep=keep, **activations
        )
        y = ops.dense(params[_head_of(name)], h)
        previous = y if keep is None else ops.np.where(keep, y, previous)
        return (states, previous), (y, traces_of_step(states, gates))

    layers = [f"{name}_{place}" for place in range(len(model.units))]
    states = tuple(ops.zero_state_like(params[layer], code) for layer in layers)
    column = ops.np.zeros_like(code[:, :1], params[_head_of(name)].kernel.dtype)
    first = ops.np.broadcast_to(column, (code.shape[0], model.features))
    return ops.scan(step, (states, first), mask, steps)[1]


def _previous_steps(ops: Any, target: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Return, for each step, the last real step of `target` before it, or zeros."""
    np = ops.np
    rows = np.concatenate([np.zeros_like(target[:, :1]), target], axis=1)
    if mask is None:
        return rows[:, :-1]
    steps = np.arange(1, mask.shape[1] + 1)
    last = ops.cumulative_max(np.where(mask, steps, 0), axis=1)  # real step so far, 0 if none
    last = np.concatenate([np.zeros_like(last[:, :1]), last], axis=1)[:, :-1]
    return np.take_along_axis(rows, last[:, :, None], axis=1)


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
