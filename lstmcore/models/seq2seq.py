"""Sequence to sequence: an encoder reads, its final states are the context, a decoder writes.

    source -> embedding -> encoder -> states -> (bridge) -> decoder -> (attention) -> head -> logits

Sources: Sutskever, Vinyals & Le (2014), "Sequence to Sequence Learning with Neural Networks";
attention after the decoder, as in Luong, Pham & Manning (2015), "Effective Approaches to
Attention-based Neural Machine Translation", section 3, without input feeding: so that the whole
target is one call of `lc.lstm`.
"""

from __future__ import annotations

from collections.abc import Callable
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
    Edits,
    Noise,
    activations_of,
    check_activations,
    check_edits,
    init_layers,
    run_both_ways,
    run_stack,
    sizes_of,
    step_stack,
)
from lstmcore.regularization import dropout_mask
from lstmcore.types import LSTMState, Trace
from lstmcore.vocabulary import PADDING, START

__all__ = ["DecoderState", "Seq2Seq"]


def decode_with_targets(model, params, before, state, mask, edits, noise):
    """All steps at once, each with the true token before it: (logits [B, T, V], traces)."""
    _, shown, traces = run_stack(
        params,
        "decoder",
        vectors(model, params, "target", before),
        mask=mask,
        edits=edits,
        states={f"decoder_{place}": layer for place, layer in enumerate(state.layers)},
        noise=noise,
        residual=model.residual,
        **activations_of(model),
    )
    logits, looked = head(model, params, shown, state, noise)
    return logits, traces | looked


def decode_with_sampling(model, params, before, state, mask, edits, noise, *, probability, key):
    """As `decode_with_targets`, but step by step, reading now and then what was written itself.

    Sources: Bengio, Vinyals, Jaitly & Shazeer (2015), "Scheduled Sampling for Sequence Prediction
    with Recurrent Neural Networks".
    """
    real_valued = model.embedding[1] is None

    def body(carry, inputs):
        state, wrote = carry
        token, keep, step_key = inputs
        coin_key, draw_key = jax.random.split(step_key)
        own = wrote if real_valued else jax.random.categorical(draw_key, wrote)
        coin = jax.random.bernoulli(coin_key, probability, state.t.shape) & (state.t > 0)
        token = jnp.where(coin[:, None] if real_valued else coin, own.astype(token.dtype), token)
        x_t = vectors(model, params, "target", token)
        shown, layers, gates = advance(model, params, x_t, state, edits, noise, keep[:, None])
        traces = {
            name: Trace(*layer, gates[name]) for name, layer in zip(gates, layers, strict=True)
        }
        logits, looked = head(model, params, shown[:, None], state, noise)
        logits, looked = jax.tree.map(lambda leaf: leaf[:, 0], (logits, looked))
        return (state._replace(layers=layers, t=state.t + 1), logits), (logits, traces | looked)

    batch, timesteps = before.shape[:2]
    for name, edit in (edits or {}).items():
        if name.startswith("decoder"):
            checks.check_edit(edit, batch, timesteps, model.layers[name].units)
    keep = jnp.ones((batch, timesteps), bool) if mask is None else mask
    wrote = jnp.zeros((batch, model.target), state.layers[0].h.dtype)
    inputs = before.swapaxes(0, 1), keep.T, jax.random.split(key, timesteps)
    _, written = jax.lax.scan(body, (state, wrote), inputs)
    return jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), written)


def advance(model, params, x_t, state, edits, noise, keep=None):
    """One step of all layers: (what the last one shows, their states, {name: gates})."""
    return step_stack(
        params,
        "decoder",
        x_t,
        state.layers,
        t=state.t[0] if state.t.shape[0] != 0 else 0,
        edits=edits,
        keep=keep,
        noise=noise,
        residual=model.residual,
        **activations_of(model),
    )


def head(model, params, shown, state, noise):
    """From what the decoder shows, [B, T, H], to (logits, {"attention": weights} or {})."""
    y, looked = shown, {}
    if model.attention is not None:
        context, weights = attend(params.get("attention"), shown, state.memory, mask=state.mask)
        y, looked = jnp.concatenate([context, shown], axis=-1), {"attention": weights}
    if noise is not None:
        y = y * noise["head"].x[:, None]
    if "combine" in params:
        y = jnp.tanh(dense(params["combine"], y))
    if "head" in params:
        return dense(params["head"], y), looked
    return y @ params[table_of(model, "target")].table.T, looked


def bridge(params, place: int, state: LSTMState) -> LSTMState:
    """Where layer `place` of the decoder starts: where the encoder ended, in the right size."""
    if f"bridge_{place}_h" not in params:
        return state
    h = jnp.tanh(dense(params[f"bridge_{place}_h"], state.h))
    c = dense(params[f"bridge_{place}_c"], state.c.astype(h.dtype))
    return LSTMState(h, c.astype(state.c.dtype))


def vectors(model, params, side: str, sequence):
    """What the first layer of a side reads."""
    table = params.get(table_of(model, side))
    return sequence if table is None else embedding(table, sequence)[0]


def table_of(model, side: str) -> str:
    """The name of the layer with the token vectors of a side."""
    return "embedding" if model.tie in ("source", "all") else f"{side}_embedding"


def draw_noise(model, params, stack: str, key, batch: int) -> dict[str, Noise] | None:
    """Factors of dropout for the layers of a stack and, for the decoder's, for the head."""
    if key is None or not (model.dropout or model.recurrent_dropout):
        return None
    layers = model.layers
    names = [name for name in layers if name.startswith(f"{stack}_")]
    keys = iter(jax.random.split(key, 2 * len(names) + 1))
    dtype = params[names[0]].kernel.dtype

    def draw(width, rate):
        return dropout_mask(next(keys), (batch, width), rate, dtype)

    recurrent = model.recurrent_dropout
    noise = {
        name: Noise(
            x=draw(layers[name].features, model.dropout),
            h=draw(layers[name].units, recurrent) if recurrent else None,
        )
        for name in names
    }
    if stack == "decoder":
        reader = layers.get("combine") or layers.get("head")
        width = reader.features if reader else model.decoder_units[-1]
        noise["head"] = Noise(x=draw(width, model.dropout), h=None)
    return noise


def check_token(model, token, state) -> None:
    """`token` is what `model.step` reads for the examples of `state`."""
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


def check_probability(name: str, value) -> None:
    """A number from 0 to 1; one that is only known when the program runs is taken as it is."""
    if isinstance(value, jax.core.Tracer):
        return
    if np.ndim(value) or np.asarray(value).dtype.kind not in "iufV":  # V: bfloat16
        raise TypeError(f"{name} must be a number from 0 to 1, got {value!r}")
    if not 0 <= float(value) <= 1:
        raise ValueError(f"{name} is a probability, from 0 to 1, got {value!r}")


class DecoderState(NamedTuple):
    """What the decoder carries from one token to the next; batch first in every array.

    Attributes:
      layers: LSTMState [B, H] of each layer of the decoder.
      memory: [B, S, M], what the encoder showed at each step; None without attention.
      mask: bool [B, S], where the source is real; None if all is, or without attention.
      t: int32 [B], how many tokens have been written.
    """

    layers: tuple[LSTMState, ...]
    memory: jax.Array | None
    mask: jax.Array | None
    t: jax.Array


@dataclass(frozen=True)
class Seq2Seq:
    """Encoder, context, decoder.

    Each decoder layer starts from the final state of the encoder layer at its height (of the
    highest, if there are fewer), through a dense bridge where sizes differ. Tokens are numbered as
    in `lc.Vocabulary`: 0 is padding, which is masked by itself, 1 starts, 2 ends.

    Attributes:
      source: V, number of different tokens in the source; or F, its features, if it is real-valued.
      target: the same of the target.
      units: sizes of the encoder's layers; one number for one layer.
      embedding: E, size of the vectors of tokens; None for real-valued sequences. A pair (source,
        target), or one for both.
      decoder_units: sizes of the decoder's layers; none for those of the encoder.
      attention: None, "dot", "general" or "additive", see `lstmcore.attention`.
      bidirectional: read the source in both directions.
      merge: of the two: "concat", "sum", "mean" or "mul".
      reverse_source: read the source from its end (Sutskever et al. 2014, section 3.3): its first
        word is then the last to be read, close to the first to be written.
      residual: each layer but the first adds what it read to what it shows, where sizes agree (Wu
        et al. 2016, section 3.1).
      tie: one table for both sides ("source"), for target tokens and the head ("output", Press &
        Wolf 2017), or for all three ("all").
      dropout: rate, on what each LSTM layer and the head read; the same numbers at every step of a
        sequence (Gal & Ghahramani 2016). Acts only where `apply` is given a key.
      recurrent_dropout: rate, on the hidden state that each LSTM layer hands to its next step.
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

    def __post_init__(self):
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
        # Numbers of NumPy compare and hash well, but a file cannot hold them.
        for name in ("bidirectional", "reverse_source", "residual"):
            object.__setattr__(self, name, bool(getattr(self, name)))
        for name in ("dropout", "recurrent_dropout"):
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def layers(self) -> dict[str, specs.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return specs.seq2seq(**sizes_of(self))

    def init(self, key: jax.Array, dtype=jnp.float32) -> dict:
        """Fresh weights, drawn as by `init_embedding`, `init_lstm`, `init_dense`, ..."""
        return init_layers(key, self.layers, dtype)

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
        """Write `target` for `source`, with the true token before each step at hand.

        This is teacher forcing: at step t the decoder has read START and target[:, :t], and its
        logits are those of target[:, t]. So they line up with the target, which holds no START:
        `lc.cross_entropy(logits, target, mask=target != 0)`. To look at the gates of a decode, hand
        its tokens back as the target.

        Args:
          params: what `init` returned, trained or not.
          source: integers [B, S] of tokens, or [B, S, F] without an embedding.
          target: integers [B, T] of tokens ending in END, padded at the end; or [B, T, F].
          source_mask: bool [B, S], True = real step; None: where there is a token.
          target_mask: bool [B, T], likewise.
          edits: for any LSTM layer by name, the `edit` of `lc.lstm`.
          key: random key for dropout and for `sampling`; None leaves dropout out.
          sampling: probability at each step that the decoder reads what it wrote itself, drawn from
            its own distribution (or its own output, if real-valued), in place of the true token:
            scheduled sampling (Bengio et al. 2015). One step then waits for the one before. No
            gradient passes through a drawn token; through its own real-valued output it does.

        Returns:
          (logits [B, T, V], or output [B, T, F], {name: Trace of each LSTM layer}, with
          "attention": its weights [B, T, S], if there is attention).

        Raises:
          ValueError: shapes or tokens that do not fit, `sampling` without a key, or an unknown name
            in `edits`.
          TypeError: arguments of another kind.
        """
        self._check(params, edits, key)
        keys = [None, None, None] if key is None else jax.random.split(key, 3)
        state, encoded = self.encode(params, source, mask=source_mask, edits=edits, key=keys[0])
        target, mask = self._sequence("target", target, target_mask)
        batch = source.shape[0]  # not its len, which an export for any batch does not have
        if target.shape[0] != batch:
            raise ValueError(
                f"source has {batch} examples but target has {target.shape[0]}: they must agree"
            )
        noise = draw_noise(self, params, "decoder", keys[1], batch)
        first = jnp.full_like(target[:, :1], 0 if self.embedding[1] is None else START)
        before = jnp.concatenate([first, target[:, :-1]], axis=1)
        decode: Callable = decode_with_targets
        if sampling is not None:
            if key is None:
                raise ValueError("sampling draws at random: pass key=jax.random.key(...)")
            check_probability("sampling", sampling)
            decode = partial(decode_with_sampling, probability=sampling, key=keys[2])
        logits, decoded = decode(self, params, before, state, mask, edits, noise)
        return logits, encoded | decoded

    def encode(
        self,
        params: dict,
        source: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        key: jax.Array | None = None,
    ) -> tuple[DecoderState, dict[str, Trace]]:
        """Read the source; arguments and errors as in `apply`.

        Returns:
          (what the decoder starts from, {name: Trace of each LSTM layer of the encoder}).
        """
        self._check(params, edits, key)
        source, mask = self._sequence("source", source, mask)
        options = {
            "mask": mask,
            "edits": edits,
            "noise": draw_noise(self, params, "encoder", key, source.shape[0]),
            "residual": self.residual,
            **activations_of(self),
        }
        x = vectors(self, params, "source", source)
        if self.bidirectional:
            finals, memory, traces = run_both_ways(
                params, "encoder", x, merge=self.merge, **options
            )
        else:
            options["reverse"] = self.reverse_source
            finals, memory, traces = run_stack(params, "encoder", x, **options)
        highest = len(finals) - 1
        layers = tuple(
            bridge(params, place, finals[min(place, highest)])
            for place in range(len(self.decoder_units))
        )
        t = jnp.zeros(source.shape[:1], jnp.int32)
        if self.attention is None:
            return DecoderState(layers, None, None, t), traces
        return DecoderState(layers, memory, mask, t), traces

    def step(
        self, params: dict, token: jax.Array, state: DecoderState, *, edits: Edits = None
    ) -> tuple[jax.Array, DecoderState]:
        """One step of the decoder, as `lc.greedy` and the like repeat it.

        Args:
          params: as in `apply`.
          token: integers [B], the token before (START at first), or [B, F] without an embedding.
          state: from `encode`, or from the step before.
          edits: for layers of the decoder; their `t` is that of the first example.

        Returns:
          (logits [B, V], or output [B, F], DecoderState after the step).

        Raises:
          ValueError: a token that does not fit the model or the state, or an unknown name in
            `edits`.
          TypeError: arguments of another kind.
        """
        self._check(params, edits)
        check_token(self, token, state)
        x_t = vectors(self, params, "target", token)
        shown, layers, _ = advance(self, params, x_t, state, edits, None)
        logits, _ = head(self, params, shown[:, None], state, None)
        return logits[:, 0], state._replace(layers=layers, t=state.t + 1)

    def check_sequences(self, source: jax.Array, target: jax.Array) -> None:
        """Errors as in `apply`, if the sequences do not fit the model."""
        self._sequence("source", source, None)
        self._sequence("target", target, None)

    def _check(self, params, edits, key=None) -> None:
        if key is not None:
            check_key(key)
        specs.check_params(params, self.layers)
        check_edits(edits, self.layers)

    def _sequence(self, side: str, x, mask):
        """A sequence of tokens or vectors, and which of its steps are real; both checked."""
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
