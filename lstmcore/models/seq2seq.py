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
from typing import TYPE_CHECKING, Any

import numpy as np

import lstmcore as lc
from lstmcore import checks
from lstmcore.arrays import is_traced
from lstmcore.display.text import given_fields
from lstmcore.models.seq2seq_decoder import (
    DecoderState,
    decode_with_scheduled_sampling,
    decode_with_teacher_forcing,
    head,
    step_decoder,
)
from lstmcore.models.seq2seq_layers import (
    ATTENTIONS,
    TIES,
    check_tie,
    checked_embedding,
    draw_dropout_masks,
    layers_of,
    summary_rows,
    vectors,
)
from lstmcore.models.stack import (
    MERGE,
    Edits,
    activations_of,
    check_activations,
    check_edits,
    check_key,
    not_called,
    run_bidirectional,
    run_stack,
    set_plain,
    summary_html,
)
from lstmcore.specs import Layer, check_params
from lstmcore.types import (
    LSTMParams,
    LSTMState,
    Trace,
)
from lstmcore.vocabulary import PADDING, START

if TYPE_CHECKING:
    import jax

    from lstmcore.activations import Activation

__all__ = ["Seq2Seq"]


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

    causal = False  # nothing comes out before the sequence has ended

    __call__ = not_called
    __repr__ = given_fields
    _repr_html_ = summary_html

    def __post_init__(self) -> None:
        pair = self.embedding
        if not isinstance(pair, tuple | list):
            pair = (pair, pair)
        if len(pair) != 2:
            raise ValueError(f"embedding must be one size or a pair of them, got {self.embedding}")
        units = checks.check_units("units", self.units)
        decoder_units = units if self.decoder_units in (None, (), []) else self.decoder_units
        for name in ("bidirectional", "residual", "reverse_source"):
            checks.check_choice(name, getattr(self, name), (False, True))
        checks.check_rate("dropout", self.dropout)
        checks.check_rate("recurrent_dropout", self.recurrent_dropout)
        set_plain(
            self,
            source=checks.check_count("source", self.source),
            target=checks.check_count("target", self.target),
            units=units,
            embedding=tuple(map(checked_embedding, pair)),
            decoder_units=checks.check_units("decoder_units", decoder_units),
            bidirectional=bool(self.bidirectional),
            residual=bool(self.residual),
            reverse_source=bool(self.reverse_source),
            dropout=float(self.dropout),
            recurrent_dropout=float(self.recurrent_dropout),
        )
        checks.check_choice("attention", self.attention, (None, *ATTENTIONS))
        checks.check_choice("merge", self.merge, tuple(MERGE))
        checks.check_choice("tie", self.tie, (None, *TIES))
        check_activations(self)
        if self.bidirectional and self.reverse_source:
            raise ValueError(
                "reverse_source is for an encoder that reads in one direction: drop one"
            )
        check_tie(self)
        _ = self.layers  # raises where the sizes of an attention do not fit

    @property
    def layers(self) -> dict[str, Layer]:
        """Return {name: Layer(kind, features, units)}, in reading order.

        These are the encoder, the state projections, the decoder and what makes its logits.
        """
        return layers_of(self)

    def init(self, key: jax.Array, dtype: Any = "float32") -> dict:
        """Return new weights, drawn by `init_embedding`, `init_lstm`, `init_dense`, ..."""
        return lc.init_layers(key, self.layers, dtype)

    def encode(
        self,
        params: dict,
        source: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        key: jax.Array | None = None,
        ops: Any = lc.ops,
    ) -> tuple[DecoderState, dict[str, Trace]]:
        """Run the encoder; arguments and errors as in `apply`.

        Returns:
          (DecoderState that the decoder starts from, Trace of each LSTM layer of the encoder by
          name).
        """
        params = self._checked(ops, params, edits, key)
        source, mask = self._sequence(ops, "source", source, mask)
        options = {
            "mask": mask,
            "edits": edits,
            "dropout_masks": draw_dropout_masks(self, ops, params, "encoder", key, source.shape[0]),
            "residual": self.residual,
            **activations_of(self),
        }
        x = vectors(self, ops, params, "source", source)
        if self.bidirectional:
            finals, memory, traces = run_bidirectional(
                ops, params, "encoder", x, merge=self.merge, **options
            )
        else:
            options["reverse"] = self.reverse_source
            finals, memory, traces = run_stack(ops, params, "encoder", x, **options)
        layers = _initial_states(self, ops, params, finals)
        t = ops.np.zeros(source.shape[:1], "int32")
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
        ops: Any = lc.ops,
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
          ops: `lc.ops` to compute by JAX, `lc.reference` by NumPy.

        Returns:
          (logits [B, T, V], or output [B, T, F], {name: Trace of each LSTM layer}, with
          "attention": its weights [B, T, S], if there is attention).

        Raises:
          ValueError: shapes or tokens that do not fit, `sampling` without a key, or an unknown name
            in `edits`.
          TypeError: arguments of another kind.
        """
        params = self._checked(ops, params, edits, key)
        keys: Any = [None, None, None] if key is None else ops.random.split(key, 3)
        state, encoded = self.encode(
            params, source, mask=source_mask, edits=edits, key=keys[0], ops=ops
        )
        target, mask = self._sequence(ops, "target", target, target_mask)
        batch = source.shape[0]  # not its len, which an export for any batch does not have
        if target.shape[0] != batch:
            raise ValueError(
                f"source has {batch} examples but target has {target.shape[0]}: they must agree"
            )
        dropout_masks = draw_dropout_masks(self, ops, params, "decoder", keys[1], batch)
        first = ops.np.full_like(target[:, :1], 0 if self.embedding[1] is None else START)
        previous = ops.np.concatenate([first, target[:, :-1]], axis=1)
        decode: Callable = decode_with_teacher_forcing
        if sampling is not None:
            if key is None:
                raise ValueError("sampling draws at random: pass key=jax.random.key(...)")
            _check_probability("sampling", sampling)
            decode = partial(decode_with_scheduled_sampling, probability=sampling, key=keys[2])
        logits, decoded = decode(self, ops, params, previous, state, mask, edits, dropout_masks)
        return logits, encoded | decoded

    def step(
        self,
        params: dict,
        token: jax.Array,
        state: DecoderState,
        *,
        edits: Edits = None,
        ops: Any = lc.ops,
    ) -> tuple[jax.Array, DecoderState]:
        """Run one step of the decoder, as `lc.greedy` and the other decoders repeat it.

        Args:
          params: as in `apply`.
          token: integers [B], the previous token (START at first), or [B, F] without an embedding.
          state: from `encode`, or from the previous step.
          edits: for layers of the decoder; their `t` is that of the first example.
          ops: as in `apply`.

        Returns:
          (logits [B, V], or output [B, F], DecoderState after the step).

        Raises:
          ValueError: a token that does not fit the model or the state, or an unknown name in
            `edits`.
          TypeError: arguments of another kind.
        """
        params, token = self._checked(ops, params, edits), ops.as_array("token", token)
        _check_token(self, token, state)
        x_t = vectors(self, ops, params, "target", token)
        h, layers, _ = step_decoder(self, ops, params, x_t, state, edits, None)
        logits, _ = head(self, ops, params, h[:, None], state, None)
        return logits[:, 0], state._replace(layers=layers, t=state.t + 1)

    def summary_rows(self, timesteps: int | None) -> list[tuple[str, str, tuple]]:
        """Return (name, type, output shape) of each layer, for `lc.summary`.

        The target has another number of steps than the source, which has `timesteps`.
        """
        return summary_rows(self, timesteps)

    def masks(
        self, source: jax.Array, target: jax.Array, *, mask: jax.Array | None = None
    ) -> dict[str, jax.Array | None]:
        """Return where the steps of each LSTM layer are real, bool [B, S] or [B, T], or None.

        `mask` is that of the source, if one was given to `apply`.
        """
        _, of_source = self._sequence(lc.ops, "source", source, mask)
        _, of_target = self._sequence(lc.ops, "target", target, None)
        return {
            name: of_target if name.startswith("decoder") else of_source
            for name, layer in self.layers.items()
            if layer.kind is LSTMParams
        }

    def check_sequences(self, source: jax.Array, target: jax.Array) -> None:
        """Raise as `apply` does if the sequences do not fit the model."""
        self._sequence(lc.ops, "source", source, None)
        self._sequence(lc.ops, "target", target, None)

    def _checked(self, ops: Any, params: dict, edits: Edits, key: jax.Array | None = None) -> dict:
        """Return params as arrays; raise unless they, the edits and the key fit the model."""
        if key is not None:
            check_key(ops, key)
        params = check_params(params, self.layers)
        check_edits(edits, self.layers)
        return params

    def _sequence(
        self, ops: Any, side: str, x: jax.Array, mask: jax.Array | None
    ) -> tuple[jax.Array, jax.Array | None]:
        """Check a sequence of tokens or vectors and its mask; return both."""
        size, width = getattr(self, side), self.embedding[side == "target"]
        x = ops.as_array(side, x)
        if width is None:
            checks.check_array(
                side, x, "batch time features", "a model of tokens has an `embedding`"
            )
            checks.check_floating(side, x)
            checks.check_features(side, x, size, f"the model's {side}")
        else:
            checks.check_array(side, x, "batch time", "one token id for each step")
            checks.check_ids(side, x, size)
        x = ops.np.asarray(x)
        if mask is not None:
            name = f"{side}_mask"
            mask = ops.as_array(name, mask)
            mask = checks.check_mask(mask, x.shape[0], x.shape[1], name=name, owner=side)
        elif width is not None:
            mask = x != PADDING
        return x, mask


def _initial_states(
    model: Seq2Seq, ops: Any, params: dict, finals: Sequence[LSTMState]
) -> tuple[LSTMState, ...]:
    """Return the states that the decoder's layers start from: the encoder's final ones."""
    highest = len(finals) - 1
    return tuple(
        _project_state(ops, params, place, finals[min(place, highest)])
        for place in range(len(model.decoder_units))
    )


def _project_state(ops: Any, params: dict, place: int, state: LSTMState) -> LSTMState:
    """Bring a state to the size of decoder layer `place`, by a dense layer where sizes differ."""
    if f"bridge_{place}_h" not in params:
        return state
    h = ops.np.tanh(ops.dense(params[f"bridge_{place}_h"], state.h))
    c = ops.dense(params[f"bridge_{place}_c"], state.c.astype(h.dtype))
    return LSTMState(h, c.astype(state.c.dtype))


def _check_token(model: Seq2Seq, token: jax.Array, state: DecoderState) -> None:
    """Raise unless `token` is one input of `model.step` for each example of `state`."""
    if model.embedding[1] is None:
        checks.check_array("token", token, "batch features", "one step for each example")
        checks.check_floating("token", token)
        checks.check_features("token", token, model.target, "the model's target")
    else:
        checks.check_array("token", token, "batch", "one token id for each example")
        checks.check_ids("token", token, model.target)
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
    if is_traced(value):
        return
    if np.ndim(value) or np.asarray(value).dtype.kind not in "iufV":  # V: bfloat16
        raise TypeError(f"{name} must be a number from 0 to 1, got {value!r}")
    if not 0 <= float(value) <= 1:
        raise ValueError(f"{name} is a probability, from 0 to 1, got {value!r}")
