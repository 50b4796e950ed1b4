"""Attention, forward and backward; `lstmcore.attention` has the equations."""

from __future__ import annotations

import numpy as np

from lstmcore import checks
from lstmcore.arrays import as_params, as_values
from lstmcore.types import AdditiveAttention, GeneralAttention

AttentionParams = GeneralAttention | AdditiveAttention | None


def attend(
    params: AttentionParams,
    queries: np.ndarray,
    memory: np.ndarray,
    *,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Attend to memory [B, S, M] from queries [B, T, H]: (context [B, T, M], weights [B, T, S]).

    Arguments and errors as in `lstmcore.attend`.
    """
    params = as_params(params, read=as_values)
    queries, memory = as_values("queries", queries), as_values("memory", memory)
    checks.check_attention(params, queries, memory)
    mask = np.ones(memory.shape[:2], bool) if mask is None else as_values("mask", mask)
    checks.check_mask(mask, memory.shape[0], memory.shape[1], owner="memory")
    memory = np.where(mask[:, :, None], memory, 0)  # padding may be NaN
    scores = np.where(mask[:, None], _scores(params, queries, memory), -np.inf)
    highest = scores.max(axis=-1, keepdims=True, initial=np.finfo(scores.dtype).min)
    exponentials = np.exp(scores - highest)
    total = exponentials.sum(axis=-1, keepdims=True)
    weights = exponentials / np.where(total > 0, total, 1)  # 0 where no step is real
    return weights @ memory, weights


def attend_backward(
    params: AttentionParams,
    queries: np.ndarray,
    memory: np.ndarray,
    weights: np.ndarray,
    d_context: np.ndarray,
    *,
    mask: np.ndarray | None = None,
) -> tuple[AttentionParams, np.ndarray, np.ndarray]:
    """Return the gradients with respect to (params, queries, memory).

    Args:
      params, queries, memory, mask: the arguments of `attend`.
      weights: what it returned.
      d_context: [B, T, M], gradient with respect to the context.
    """
    if mask is not None:
        memory = np.where(mask[:, :, None], memory, 0)
    d_weights = d_context @ memory.swapaxes(1, 2)
    d_scores = weights * (d_weights - (weights * d_weights).sum(axis=-1, keepdims=True))
    d_memory = weights.swapaxes(1, 2) @ d_context
    d_params, d_queries, d_keys = _scores_backward(params, queries, memory, d_scores)
    d_memory = d_memory + d_keys
    return d_params, d_queries, d_memory if mask is None else d_memory * mask[:, :, None]


def _scores(params: AttentionParams, queries: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Compute the scores [B, T, S]."""
    if isinstance(params, AdditiveAttention):
        return np.tanh(_sums(params, queries, memory)) @ params.score
    if isinstance(params, GeneralAttention):
        queries = queries @ params.weight
    return queries @ memory.swapaxes(1, 2)


def _sums(params: AdditiveAttention, queries: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Compute Q h_t + K m_s for each pair of steps: [B, T, S, A]."""
    return (queries @ params.query)[:, :, None] + (memory @ params.memory)[:, None]


def _scores_backward(
    params: AttentionParams, queries: np.ndarray, memory: np.ndarray, d_scores: np.ndarray
) -> tuple[AttentionParams, np.ndarray, np.ndarray]:
    """Return the gradients with respect to (params, queries, memory) by way of the scores."""
    if isinstance(params, AdditiveAttention):
        hidden = np.tanh(_sums(params, queries, memory))
        d_sums = d_scores[..., None] * params.score * (1 - hidden**2)
        d_from, d_to = d_sums.sum(axis=2), d_sums.sum(axis=1)
        d_score = np.einsum("bts,btsa->a", d_scores, hidden)
        d_params = AdditiveAttention(_product(queries, d_from), _product(memory, d_to), d_score)
        return d_params, d_from @ params.query.T, d_to @ params.memory.T
    d_projected, d_memory = d_scores @ memory, d_scores.swapaxes(1, 2)
    if isinstance(params, GeneralAttention):
        d_weight = _product(queries, d_projected)
        return (
            GeneralAttention(d_weight),
            d_projected @ params.weight.T,
            d_memory @ (queries @ params.weight),
        )
    return None, d_projected, d_memory @ queries


def _product(x: np.ndarray, d_y: np.ndarray) -> np.ndarray:
    """Compute the gradient of W in y = x W, over batch and time."""
    return np.einsum("btf,btu->fu", x, d_y)
