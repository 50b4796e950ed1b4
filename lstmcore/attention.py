"""Attention: for each step of the decoder, a weighted mean of all that the encoder showed.

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

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.dtypes import check_key, floating_dtype, memory_dtype
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
    dtype=jnp.float32,
) -> AttentionParams:
    """Fresh weights, Glorot-uniform.

    Args:
      key: random key.
      kind: "dot" (no weights: None), "general" or "additive".
      queries: H, size of what the decoder shows at a step.
      memory: M, size of what the encoder showed at a step.
      units: A, size of the sum within the additive score; None stands for `queries`.
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
        _check_dot(queries, memory)
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
    """Look at the memory from each query; the equations stand at the top of this module.

    The additive score takes a sum for each pair of steps, an array [B, T, S, A]: the other two need
    far less memory on long sequences.

    Args:
      params: None for the dot product, GeneralAttention or AdditiveAttention.
      queries: [B, T, H], what the decoder shows.
      memory: [B, S, M], what the encoder showed.
      mask: bool [B, S], True where there is something to look at. Where a row has nothing, all of
        its weights are 0, and so is the context.

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
    checks.check_array("queries", queries, "batch time units")
    checks.check_array("memory", memory, "batch source units")
    checks.check_floating("queries", queries)
    checks.check_floating("memory", memory)
    if queries.shape[0] != memory.shape[0]:
        raise ValueError(
            f"queries has {queries.shape[0]} examples but memory has {memory.shape[0]}: they must "
            "agree"
        )
    queries, memory = jnp.asarray(queries), jnp.asarray(memory)
    if mask is not None:
        checks.check_mask(mask, memory.shape[0], memory.shape[1], owner="memory")
        # What stands in padding must not matter, not even NaN: 0 * NaN would reach the context.
        memory = jnp.where(mask[:, :, None], memory, 0)
    scores = _scores(params, queries, memory)
    if mask is not None:
        scores = jnp.where(mask[:, None], scores, jnp.finfo(scores.dtype).min)
    weights = jax.nn.softmax(scores, axis=-1)
    if mask is not None:
        weights = jnp.where(mask[:, None], weights, 0)
    weights = weights.astype(memory.dtype)
    return weights @ memory, weights


def _scores(params: AttentionParams, queries, memory):
    """[B, T, S], at least float32: in bfloat16 a score of 30 is off by up to 0.06."""
    times = partial(jnp.matmul, preferred_element_type=memory_dtype(memory.dtype))
    keys = memory.swapaxes(1, 2)
    width = queries.shape[2], memory.shape[2]
    if params is None:
        _check_dot(*width)
        return times(queries, keys)
    if isinstance(params, GeneralAttention):
        _check_shape("params.weight", params.weight, width)
        return times(queries @ params.weight, keys)
    if isinstance(params, AdditiveAttention):
        units = params.score.shape[0]
        _check_shape("params.query", params.query, (width[0], units))
        _check_shape("params.memory", params.memory, (width[1], units))
        sums = (queries @ params.query)[:, :, None] + (memory @ params.memory)[:, None]
        return times(jnp.tanh(sums), params.score)
    raise TypeError(
        f"params must be None, GeneralAttention or AdditiveAttention, got {type(params).__name__}: "
        "make them with lc.init_attention"
    )


def _check_dot(queries: int, memory: int) -> None:
    if queries != memory:
        raise ValueError(
            f"dot attention needs queries and memory of one size, got {queries} and {memory}: use "
            "'general' or 'additive'"
        )


def _check_shape(name: str, weights, shape: tuple[int, int]) -> None:
    if tuple(weights.shape) != shape:
        raise ValueError(
            f"{name} has shape {tuple(weights.shape)} but queries and memory need {shape}: were "
            "they made for other sizes?"
        )
