"""The parts of `lstmcore.seq2seq`: token vectors, noise, and the decoder, at once or by steps.

`model` is a Seq2Seq throughout, `params` its weights.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore import checks
from lstmcore.attention import attend
from lstmcore.hyperparameters import activations_of
from lstmcore.layers import check_ids, dense, embedding
from lstmcore.noise import dropout_mask
from lstmcore.stack import Noise, run_stack, step_stack
from lstmcore.types import LSTMState, Trace


def write(model, params, before, state, mask, edits, noise):
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


def write_sampled(model, params, before, state, mask, edits, noise, *, probability, key):
    """As `write`, but step by step, reading now and then what was written itself.

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
