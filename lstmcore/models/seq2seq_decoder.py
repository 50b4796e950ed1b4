"""The decoder of an encoder-decoder: its state, one step, and a whole target.

`decode_with_teacher_forcing` reads the true previous tokens, all steps at once;
`decode_with_scheduled_sampling` reads some of its own outputs instead, step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lstmcore.display import displayed
from lstmcore.models.seq2seq_layers import table_of, vectors
from lstmcore.models.stack import (
    DropoutMasks,
    Edits,
    activations_of,
    check_edit_shapes,
    run_stack,
    step_stack,
    traces_of_step,
)
from lstmcore.types import Gates, LSTMState

if TYPE_CHECKING:
    import jax

__all__ = ["DecoderState"]


@displayed
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


def decode_with_teacher_forcing(
    model: Any,
    ops: Any,
    params: dict,
    previous: jax.Array,
    state: DecoderState,
    mask: jax.Array | None,
    edits: Edits,
    dropout_masks: DropoutMasks,
) -> tuple[jax.Array, dict[str, Any]]:
    """Decode all steps at once from the true `previous` tokens: (logits [B, T, V], traces)."""
    _, h, traces = run_stack(
        ops,
        params,
        "decoder",
        vectors(model, ops, params, "target", previous),
        mask=mask,
        edits=edits,
        states={f"decoder_{place}": layer for place, layer in enumerate(state.layers)},
        dropout_masks=dropout_masks,
        residual=model.residual,
        **activations_of(model),
    )
    logits, attention = head(model, ops, params, h, state, dropout_masks)
    return logits, traces | attention


def decode_with_scheduled_sampling(
    model: Any,
    ops: Any,
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
    batch, timesteps = previous.shape[:2]
    check_edit_shapes(edits, model.layers, "decoder", batch, timesteps)
    keys = ops.random.split(key, timesteps)[None]  # one for all examples of a step

    def step(carry: tuple, inputs: tuple, t: jax.Array) -> tuple:
        state, output = carry
        token, keep, step_key = inputs
        coin_key, draw_key = ops.random.split(step_key[0])
        own = output if real_valued else ops.random.categorical(draw_key, output)
        coin = ops.random.bernoulli(coin_key, probability, state.t.shape) & (state.t > 0)
        coin = coin[:, None] if real_valued else coin
        token = ops.np.where(coin, own.astype(token.dtype), token)
        x_t = vectors(model, ops, params, "target", token)
        h, layers, gates = step_decoder(
            model, ops, params, x_t, state, edits, dropout_masks, keep[:, None]
        )
        logits, attention = head(model, ops, params, h[:, None], state, dropout_masks)
        weights = {name: of_step[:, 0] for name, of_step in attention.items()}
        state = state._replace(layers=layers, t=state.t + 1)
        return (state, logits[:, 0]), (logits[:, 0], traces_of_step(layers, gates) | weights)

    keep = ops.np.ones((batch, timesteps), bool) if mask is None else mask
    first = ops.np.zeros((batch, model.target), state.layers[0].h.dtype)
    return ops.scan(step, (state, first), (previous, keep, keys), timesteps)[1]


def step_decoder(
    model: Any,
    ops: Any,
    params: dict,
    x_t: jax.Array,
    state: DecoderState,
    edits: Edits,
    dropout_masks: DropoutMasks,
    keep: jax.Array | None = None,
) -> tuple[jax.Array, tuple[LSTMState, ...], dict[str, Gates]]:
    """Run one step of the decoder's layers; returns what `step_stack` returns."""
    return step_stack(
        ops,
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


def head(
    model: Any,
    ops: Any,
    params: dict,
    h: jax.Array,
    state: DecoderState,
    dropout_masks: DropoutMasks,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return, for the decoder's output h [B, T, H], (logits, {"attention": weights} or {})."""
    y, attention = h, {}
    if model.attention is not None:
        memory: Any = state.memory  # there is one
        context, weights = ops.attend(params.get("attention"), h, memory, mask=state.mask)
        y, attention = ops.np.concatenate([context, h], axis=-1), {"attention": weights}
    if dropout_masks is not None:
        y = y * dropout_masks["head"].x[:, None]
    if "combine" in params:
        y = ops.np.tanh(ops.dense(params["combine"], y))
    if "head" in params:
        return ops.dense(params["head"], y), attention
    return y @ params[table_of(model, "target")].table.T, attention
