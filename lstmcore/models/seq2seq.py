"""Sequence to sequence: an encoder reads the source, and a decoder starts from its final states.

    source -> embedding -> encoder -> states -> (state projection) -> decoder
    previous token -> embedding -> decoder -> (attention) -> head -> logits

Sources: Sutskever, Vinyals & Le (2014), "Sequence to Sequence Learning with Neural Networks";
attention after the decoder, as in Luong, Pham & Manning (2015), "Effective Approaches to
Attention-based Neural Machine Translation", section 3, without input feeding, so that decoding a
whole target is one call of `lc.lstm`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore import checks, specs
from lstmcore.activations import Activation
from lstmcore.attention import attend
from lstmcore.dtypes import check_key
from lstmcore.layers import check_ids, dense, embedding
from lstmcore.models.stack import (
    DropoutMasks,
    Edits,
    LayerDropout,
    activations_of,
    batch_major,
    check_activations,
    check_edit_shapes,
    check_edits,
    init_layers,
    run_bidirectional,
    run_stack,
    sizes_of,
    step_stack,
    traces_of_step,
)
from lstmcore.regularization import dropout_mask
from lstmcore.types import Gates, LSTMState, Trace
from lstmcore.vocabulary import PADDING, START

__all__ = ["DecoderState", "Seq2Seq"]


class DecoderState(NamedTuple):
    """State that the decoder carries from one token to the next; batch first in every array.

    Attributes:
      layers: LSTMState [B, H] of each layer of the decoder.
      memory: [B, S, M], the encoder's output at each step; None without attention.
      mask: bool [B, S], True = real step of the source; None if all are, or without attention.
      t: int32 [B], the number of tokens decoded so far.
    """

    layers: tuple[LSTMState, ...]
    memory: jax.Array | None
    mask: jax.Array | None
    t: jax.Array


@dataclass(frozen=True)
class Seq2Seq:
    """Encoder and decoder of tokens or real-valued sequences, with or without attention.

    Each decoder layer starts from the final state of the encoder layer at its height (of the
    highest, if there are fewer), through a dense state projection where sizes differ: the layers
    `bridge_0_h` and `bridge_0_c`, .... Tokens are numbered as in `lc.Vocabulary`: 0 is padding,
    which is masked automatically, 1 starts a sequence, 2 ends it.

    Attributes:
      source: V, number of different tokens in the source; or F, its features, if it is real-valued.
      target: likewise for the target.
      units: sizes of the encoder's layers; one number for one layer.
      embedding: E, size of the vectors of tokens; None for real-valued sequences. A pair (source,
        target), or one for both.
      decoder_units: sizes of the decoder's layers; () for those of the encoder.
      attention: None, "dot", "general" or "additive", see `lstmcore.attention`.
      bidirectional: read the source in both directions.
      merge: how the two directions are merged: "concat", "sum", "mean" or "mul".
      reverse_source: read the source from its end (Sutskever et al. 2014, section 3.3): its first
        word is then the last to be read, close to the first to be decoded.
      residual: each layer but the first adds its input to its hidden states, where sizes agree (Wu
        et al. 2016, section 3.1).
      tie: one table for both sides ("source"), for target tokens and the head ("output", Press &
        Wolf 2017), or for all three ("all").
      dropout: rate, on the input of each LSTM layer and of the head; the same mask at every step of
        a sequence (Gal & Ghahramani 2016). Applied only if `apply` is given a key.
      recurrent_dropout: rate, on the hidden state that each LSTM layer passes to its next step.
      activation, recurrent_activation, output_activation: of every LSTM layer, see `lc.lstm`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.Seq2Seq(source=30, target=12, units=8, embedding=4, attention="general")
      >>> params = model.init(jax.random.key(0))
      >>> source, target = jnp.array([[5, 9, 2], [7, 2, 0]]), jnp.array([[4, 2], [11, 2]])
      >>> logits, traces = model.apply(params, source, target)
      >>> logits.shape, traces["decoder_0"].gates.forget.shape, traces["attention"].shape
      ((2, 2, 12), (2, 2, 8), (2, 2, 3))
    """

    source: int
    target: int
    units: tuple[int, ...]
    embedding: tuple[int | None, int | None] = (None, None)
    decoder_units: tuple[int, ...] = ()
    attention: str | None = None
    bidirectional: bool = False
    merge: str = "concat"
    reverse_source: bool = False
    residual: bool = False
    tie: str | None = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None

    def __post_init__(self) -> None:
        pair = self.embedding
        if not isinstance(pair, tuple | list):
            pair = (pair, pair)
        if len(pair) != 2:
            raise ValueError(f"embedding must be one size or a pair of them, got {self.embedding}")
        units = checks.check_units("units", self.units)
        decoder_units = units if self.decoder_units in (None, (), []) else self.decoder_units
        plain = {
            "source": checks.check_count("source", self.source),
            "target": checks.check_count("target", self.target),
            "units": units,
            "embedding": tuple(size and checks.check_count("embedding", size) for size in pair),
            "decoder_units": checks.check_units("decoder_units", decoder_units),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        check_activations(self)
        _ = self.layers  # describing them checks what is left
        # NumPy's numbers compare and hash well, but cannot be written to a file.
        for name in ("bidirectional", "reverse_source", "residual"):
            object.__setattr__(self, name, bool(getattr(self, name)))
        for name in ("dropout", "recurrent_dropout"):
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def layers(self) -> dict[str, specs.Layer]:
        """Return {name: Layer(kind, features, units)}, in reading order."""
        return specs.seq2seq(**sizes_of(self))

    def init(self, key: jax.Array, dtype: Any = jnp.float32) -> dict:
        """Return new weights, drawn by `init_embedding`, `init_lstm`, `init_dense`, ..."""
        return init_layers(key, self.layers, dtype)

    def encode(
        self,
        params: dict,
        source: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        key: jax.Array | None = None,
    ) -> tuple[DecoderState, dict[str, Trace]]:
        """Run the encoder; arguments and errors as in `apply`.

        Returns:
          (DecoderState that the decoder starts from, Trace of each LSTM layer of the encoder by
          name).
        """
        self._check(params, edits, key)
        source, mask = self._sequence("source", source, mask)
        options = {
            "mask": mask,
            "edits": edits,
            "dropout_masks": _draw_dropout_masks(self, params, "encoder", key, source.shape[0]),
            "residual": self.residual,
            **activations_of(self),
        }
        x = _vectors(self, params, "source", source)
        if self.bidirectional:
            finals, memory, traces = run_bidirectional(
                params, "encoder", x, merge=self.merge, **options
            )
        else:
            options["reverse"] = self.reverse_source
            finals, memory, traces = run_stack(params, "encoder", x, **options)
        layers = _initial_states(self, params, finals)
        t = jnp.zeros(source.shape[:1], jnp.int32)
        if self.attention is None:
            return DecoderState(layers, None, None, t), traces
        return DecoderState(layers, memory, mask, t), traces

    def apply(
        self,
        params: dict,
        source: jax.Array,
        target: jax.Array,
        *,
        source_mask: jax.Array | None = None,
        target_mask: jax.Array | None = None,
        edits: Edits = None,
        key: jax.Array | None = None,
        sampling: float | jax.Array | None = None,
    ) -> tuple[jax.Array, dict[str, Any]]:
        """Return the logits of `target` given `source`, each step reading the true previous token.

        This is teacher forcing: at step t the decoder has read START and target[:, :t], and its
        logits are those of target[:, t]. They are aligned with the target, which holds no START:
        `lc.cross_entropy(logits, target, mask=target != 0)`. To inspect the gates of a decoded
        sequence, pass its tokens as the target.

        Args:
          params: what `init` returned, trained or not.
          source: integers [B, S] of tokens, or [B, S, F] without an embedding.
          target: integers [B, T] of tokens ending in END, padded at the end; or [B, T, F].
          source_mask: bool [B, S], True = real step; None for every step with a token.
          target_mask: bool [B, T], likewise.
          edits: for any LSTM layer by name, the `edit` of `lc.lstm`.
          key: random key for dropout and for `sampling`; None for no dropout.
          sampling: probability at each step that the decoder reads, in place of the true token, one
            drawn from its own previous logits (or its previous output, if real-valued): scheduled
            sampling (Bengio et al. 2015). The steps then run one after another. No gradient passes
            through a drawn token; through a real-valued output it does.

        Returns:
          (logits [B, T, V], or output [B, T, F], {name: Trace of each LSTM layer}, with
          "attention": its weights [B, T, S], if there is attention).

        Raises:
          ValueError: shapes or tokens that do not fit, `sampling` without a key, or an unknown name
            in `edits`.
          TypeError: arguments of another kind.
        """
        self._check(params, edits, key)
        keys: Any = [None, None, None] if key is None else jax.random.split(key, 3)
        state, encoded = self.encode(params, source, mask=source_mask, edits=edits, key=keys[0])
        target, mask = self._sequence("target", target, target_mask)
        batch = source.shape[0]  # not its len, which an export for any batch does not have
        if target.shape[0] != batch:
            raise ValueError(
                f"source has {batch} examples but target has {target.shape[0]}: they must agree"
            )
        dropout_masks = _draw_dropout_masks(self, params, "decoder", keys[1], batch)
        first = jnp.full_like(target[:, :1], 0 if self.embedding[1] is None else START)
        previous = jnp.concatenate([first, target[:, :-1]], axis=1)
        decode: Callable = _decode_with_teacher_forcing
        if sampling is not None:
            if key is None:
                raise ValueError("sampling draws at random: pass key=jax.random.key(...)")
            _check_probability("sampling", sampling)
            decode = partial(_decode_with_scheduled_sampling, probability=sampling, key=keys[2])
        logits, decoded = decode(self, params, previous, state, mask, edits, dropout_masks)
        return logits, encoded | decoded

    def step(
        self, params: dict, token: jax.Array, state: DecoderState, *, edits: Edits = None
    ) -> tuple[jax.Array, DecoderState]:
        """Run one step of the decoder, as `lc.greedy` and the other decoders repeat it.

        Args:
          params: as in `apply`.
          token: integers [B], the previous token (START at first), or [B, F] without an embedding.
          state: from `encode`, or from the previous step.
          edits: for layers of the decoder; their `t` is that of the first example.

        Returns:
          (logits [B, V], or output [B, F], DecoderState after the step).

        Raises:
          ValueError: a token that does not fit the model or the state, or an unknown name in
            `edits`.
          TypeError: arguments of another kind.
        """
        self._check(params, edits)
        _check_token(self, token, state)
        x_t = _vectors(self, params, "target", token)
        h, layers, _ = _step_decoder(self, params, x_t, state, edits, None)
        logits, _ = _head(self, params, h[:, None], state, None)
        return logits[:, 0], state._replace(layers=layers, t=state.t + 1)

    def check_sequences(self, source: jax.Array, target: jax.Array) -> None:
        """Raise as `apply` does if the sequences do not fit the model."""
        self._sequence("source", source, None)
        self._sequence("target", target, None)

    def _check(self, params: dict, edits: Edits, key: jax.Array | None = None) -> None:
        if key is not None:
            check_key(key)
        specs.check_params(params, self.layers)
        check_edits(edits, self.layers)

    def _sequence(
        self, side: str, x: jax.Array, mask: jax.Array | None
    ) -> tuple[jax.Array, jax.Array | None]:
        """Check a sequence of tokens or vectors and its mask; return both."""
        size, width = getattr(self, side), self.embedding[side == "target"]
        if width is None:
            checks.check_array(
                side, x, "batch time features", "a model of tokens has an `embedding`"
            )
            checks.check_floating(side, x)
            checks.check_features(side, x, size, f"the model's {side}")
        else:
            checks.check_array(side, x, "batch time", "one token id for each step")
            check_ids(side, x, size)
        x = jnp.asarray(x)
        if mask is not None:
            checks.check_mask(mask, x.shape[0], x.shape[1], name=f"{side}_mask", owner=side)
        elif width is not None:
            mask = x != PADDING
        return x, mask


def _decode_with_teacher_forcing(
    model: Seq2Seq,
    params: dict,
    previous: jax.Array,
    state: DecoderState,
    mask: jax.Array | None,
    edits: Edits,
    dropout_masks: DropoutMasks,
) -> tuple[jax.Array, dict[str, Any]]:
    """Decode all steps at once from the true `previous` tokens: (logits [B, T, V], traces)."""
    _, h, traces = run_stack(
        params,
        "decoder",
        _vectors(model, params, "target", previous),
        mask=mask,
        edits=edits,
        states={f"decoder_{place}": layer for place, layer in enumerate(state.layers)},
        dropout_masks=dropout_masks,
        residual=model.residual,
        **activations_of(model),
    )
    logits, attention = _head(model, params, h, state, dropout_masks)
    return logits, traces | attention


def _decode_with_scheduled_sampling(
    model: Seq2Seq,
    params: dict,
    previous: jax.Array,
    state: DecoderState,
    mask: jax.Array | None,
    edits: Edits,
    dropout_masks: DropoutMasks,
    *,
    probability: float | jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, dict[str, Any]]:
    """Decode step by step, at random from the true previous token or from the previous output.

    Sources: Bengio, Vinyals, Jaitly & Shazeer (2015), "Scheduled Sampling for Sequence Prediction
    with Recurrent Neural Networks".
    """
    real_valued = model.embedding[1] is None

    def body(carry: tuple, inputs: tuple) -> tuple:
        state, output = carry
        token, keep, step_key = inputs
        coin_key, draw_key = jax.random.split(step_key)
        own = output if real_valued else jax.random.categorical(draw_key, output)
        coin = jax.random.bernoulli(coin_key, probability, state.t.shape) & (state.t > 0)
        token = jnp.where(coin[:, None] if real_valued else coin, own.astype(token.dtype), token)
        x_t = _vectors(model, params, "target", token)
        h, layers, gates = _step_decoder(
            model, params, x_t, state, edits, dropout_masks, keep[:, None]
        )
        logits, attention = _head(model, params, h[:, None], state, dropout_masks)
        logits, attention = jax.tree.map(lambda leaf: leaf[:, 0], (logits, attention))
        traces = traces_of_step(layers, gates) | attention
        return (state._replace(layers=layers, t=state.t + 1), logits), (logits, traces)

    batch, timesteps = previous.shape[:2]
    check_edit_shapes(edits, model.layers, "decoder", batch, timesteps)
    keep = jnp.ones((batch, timesteps), bool) if mask is None else mask
    first = jnp.zeros((batch, model.target), state.layers[0].h.dtype)
    inputs = previous.swapaxes(0, 1), keep.T, jax.random.split(key, timesteps)
    return batch_major(jax.lax.scan(body, (state, first), inputs)[1])


def _step_decoder(
    model: Seq2Seq,
    params: dict,
    x_t: jax.Array,
    state: DecoderState,
    edits: Edits,
    dropout_masks: DropoutMasks,
    keep: jax.Array | None = None,
) -> tuple[jax.Array, tuple[LSTMState, ...], dict[str, Gates]]:
    """Run one step of the decoder's layers; returns what `step_stack` returns."""
    return step_stack(
        params,
        "decoder",
        x_t,
        state.layers,
        t=state.t[0] if state.t.shape[0] != 0 else 0,
        edits=edits,
        keep=keep,
        dropout_masks=dropout_masks,
        residual=model.residual,
        **activations_of(model),
    )


def _head(
    model: Seq2Seq, params: dict, h: jax.Array, state: DecoderState, dropout_masks: DropoutMasks
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return, for the decoder's output h [B, T, H], (logits, {"attention": weights} or {})."""
    y, attention = h, {}
    if model.attention is not None:
        memory: Any = state.memory  # there is one
        context, weights = attend(params.get("attention"), h, memory, mask=state.mask)
        y, attention = jnp.concatenate([context, h], axis=-1), {"attention": weights}
    if dropout_masks is not None:
        y = y * dropout_masks["head"].x[:, None]
    if "combine" in params:
        y = jnp.tanh(dense(params["combine"], y))
    if "head" in params:
        return dense(params["head"], y), attention
    return y @ params[_table_of(model, "target")].table.T, attention


def _initial_states(
    model: Seq2Seq, params: dict, finals: Sequence[LSTMState]
) -> tuple[LSTMState, ...]:
    """Return the states that the decoder's layers start from: the encoder's final ones."""
    highest = len(finals) - 1
    return tuple(
        _project_state(params, place, finals[min(place, highest)])
        for place in range(len(model.decoder_units))
    )


def _project_state(params: dict, place: int, state: LSTMState) -> LSTMState:
    """Bring a state to the size of decoder layer `place`, by a dense layer where sizes differ."""
    if f"bridge_{place}_h" not in params:
        return state
    h = jnp.tanh(dense(params[f"bridge_{place}_h"], state.h))
    c = dense(params[f"bridge_{place}_c"], state.c.astype(h.dtype))
    return LSTMState(h, c.astype(state.c.dtype))


def _vectors(model: Seq2Seq, params: dict, side: str, sequence: jax.Array) -> jax.Array:
    """Return the input of the first layer of a side: embedded tokens, or the sequence itself."""
    table = params.get(_table_of(model, side))
    return sequence if table is None else embedding(table, sequence)[0]


def _table_of(model: Seq2Seq, side: str) -> str:
    """Return the name of the embedding of a side."""
    return "embedding" if model.tie in ("source", "all") else f"{side}_embedding"


def _draw_dropout_masks(
    model: Seq2Seq, params: dict, stack: str, key: jax.Array | None, batch: int
) -> DropoutMasks:
    """Return the dropout masks of a stack's layers, by name, and of the head after a decoder."""
    if key is None or not (model.dropout or model.recurrent_dropout):
        return None
    layers = model.layers
    names = [name for name in layers if name.startswith(f"{stack}_")]
    keys = iter(jax.random.split(key, 2 * len(names) + 1))
    dtype = params[names[0]].kernel.dtype

    def draw(width: int, rate: float) -> Any:
        return dropout_mask(next(keys), (batch, width), rate, dtype)

    recurrent = model.recurrent_dropout
    dropout_masks = {
        name: LayerDropout(
            x=draw(layers[name].features, model.dropout),
            h=draw(layers[name].units, recurrent) if recurrent else None,
        )
        for name in names
    }
    if stack == "decoder":
        reader = layers.get("combine") or layers.get("head")
        width = reader.features if reader else model.decoder_units[-1]
        dropout_masks["head"] = LayerDropout(x=draw(width, model.dropout), h=None)
    return dropout_masks


def _check_token(model: Seq2Seq, token: jax.Array, state: DecoderState) -> None:
    """Raise unless `token` is one input of `model.step` for each example of `state`."""
    if model.embedding[1] is None:
        checks.check_array("token", token, "batch features", "one step for each example")
        checks.check_floating("token", token)
        checks.check_features("token", token, model.target, "the model's target")
    else:
        checks.check_array("token", token, "batch", "one token id for each example")
        check_ids("token", token, model.target)
    batch = getattr(getattr(state, "t", None), "shape", None)
    if batch is None:
        raise TypeError(
            f"state must be a DecoderState, got {type(state).__name__}: model.encode returns one"
        )
    if token.shape[:1] != batch:
        raise ValueError(
            f"token has {token.shape[0]} examples but state has {batch[0]}: they must agree"
        )


def _check_probability(name: str, value: Any) -> None:
    """Raise unless `value` is a number from 0 to 1; one that is being traced is not checked."""
    if isinstance(value, jax.core.Tracer):
        return
    if np.ndim(value) or np.asarray(value).dtype.kind not in "iufV":  # V: bfloat16
        raise TypeError(f"{name} must be a number from 0 to 1, got {value!r}")
    if not 0 <= float(value) <= 1:
        raise ValueError(f"{name} is a probability, from 0 to 1, got {value!r}")
