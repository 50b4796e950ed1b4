"""Attention: for each step of the decoder, a weighted mean of the encoder's hidden states.

    score(t, s)  = h_t . m_s                                  dot
                 = h_t . W . m_s                              general
                 = v . tanh(Q h_t + K m_s)                    additive
    weight(t, s) = softmax over s of score(t, s)
    context_t    = sum over s of weight(t, s) m_s

Sources: Luong, Pham & Manning (2015), "Effective Approaches to Attention-based Neural Machine
Translation", section 3.1 (dot, general); Bahdanau, Cho & Bengio (2015), "Neural Machine Translation
by Jointly Learning to Align and Translate", appendix A.1.2 (additive).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.arrays import as_array, as_params
from lstmcore.dtypes import accumulation_dtype, check_key, floating_dtype
from lstmcore.types import AdditiveAttention, GeneralAttention

__all__ = ["attend", "init_attention"]

AttentionParams = GeneralAttention | AdditiveAttention | None


def init_attention(
    key: jax.Array,
    kind: str,
    queries: int,
    memory: int,
    *,
    units: int | None = None,
    dtype: Any = jnp.float32,
) -> AttentionParams:
    """Draw the initial weights, Glorot-uniform.

    Args:
      key: random key.
      kind: "dot" (no weights: None), "general" or "additive".
      queries: H, size of the decoder's hidden state.
      memory: M, size of the encoder's hidden state.
      units: A, size of the hidden layer of the additive score; None stands for `queries`.
      dtype: of all arrays.

    Returns:
      None, GeneralAttention [H, M] or AdditiveAttention [H, A], [M, A], [A].

    Raises:
      ValueError: an unknown kind, sizes below 1, or "dot" for two unequal sizes.

    Examples:
      >>> import jax, lstmcore as lc
      >>> lc.init_attention(jax.random.key(0), "general", queries=4, memory=6).weight.shape
      (4, 6)
    """
    check_key(key)
    queries, memory = checks.check_count("queries", queries), checks.check_count("memory", memory)
    units = queries if units is None else checks.check_count("units", units)
    dtype = floating_dtype(dtype)
    draw = jax.nn.initializers.glorot_uniform()
    if kind == "dot":
        checks.check_dot_attention(queries, memory)
        return None
    if kind == "general":
        return GeneralAttention(draw(key, (queries, memory), dtype))
    if kind == "additive":
        keys = jax.random.split(key, 3)
        return AdditiveAttention(
            query=draw(keys[0], (queries, units), dtype),
            memory=draw(keys[1], (memory, units), dtype),
            score=draw(keys[2], (units, 1), dtype)[:, 0],
        )
    raise ValueError(f"there is no attention {kind!r}: use 'dot', 'general' or 'additive'")


def attend(
    params: AttentionParams, queries: jax.Array, memory: jax.Array, *, mask: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Attend to the memory from each query, by the equations at the top of this module.

    The additive score computes a vector for each pair of steps, an array [B, T, S, A]: the other
    two need far less memory on long sequences.

    Args:
      params: None for the dot product, GeneralAttention or AdditiveAttention.
      queries: [B, T, H], the decoder's hidden states.
      memory: [B, S, M], the encoder's hidden states.
      mask: bool [B, S], True where the memory is real. Where a row has no real step, all of its
        weights are 0, and so is the context.

    Returns:
      (context [B, T, M], weights [B, T, S], which sum to 1 over S).

    Raises:
      ValueError: shapes that do not fit.
      TypeError: arguments of another kind.

    Examples:
      >>> import jax.numpy as jnp, lstmcore as lc
      >>> memory = jnp.array([[[1.0, 0.0], [0.0, 1.0]]])
      >>> context, weights = lc.attend(None, jnp.array([[[9.0, 0.0]]]), memory)
      >>> weights.round(3).tolist()
      [[[1.0, 0.0]]]
    """
    params = as_params(params)
    queries, memory = as_array("queries", queries), as_array("memory", memory)
    checks.check_attention(params, queries, memory)
    queries, memory = jnp.asarray(queries), jnp.asarray(memory)
    if mask is not None:
        mask = checks.check_mask(mask, memory.shape[0], memory.shape[1], owner="memory")
        # The values of padding must not matter, not even NaN: 0 * NaN would reach the context.
        memory = jnp.where(mask[:, :, None], memory, 0)
    scores = _scores(params, queries, memory)
    if mask is not None:
        scores = jnp.where(mask[:, None], scores, jnp.finfo(scores.dtype).min)
    weights = jax.nn.softmax(scores, axis=-1)
    if mask is not None:
        weights = jnp.where(mask[:, None], weights, 0)
    weights = weights.astype(memory.dtype)
    return weights @ memory, weights


def _scores(params: AttentionParams, queries: jax.Array, memory: jax.Array) -> jax.Array:
    """Compute the scores [B, T, S], at least float32: bfloat16 is off by up to 0.06 at 30."""
    times = partial(jnp.matmul, preferred_element_type=accumulation_dtype(memory.dtype))
    keys = memory.swapaxes(1, 2)
    if params is None:
        return times(queries, keys)
    if isinstance(params, GeneralAttention):
        return times(queries @ params.weight, keys)
    sums = (queries @ params.query)[:, :, None] + (memory @ params.memory)[:, None]
    return times(jnp.tanh(sums), params.score)
