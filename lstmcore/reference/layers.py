"""Layers around the LSTM, each with its backward pass below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lstmcore import checks
from lstmcore.arrays import as_params, as_values
from lstmcore.types import DenseParams, EmbeddingParams


def dense(params: DenseParams, x: np.ndarray) -> np.ndarray:
    """Compute y = x W + b over the last axis: [..., F] -> [..., U]."""
    params, x = as_params(params, read=as_values), as_values("x", x)
    features = checks.check_dense_params(params)
    checks.check_array("x", x, "... " * (max(getattr(x, "ndim", 1), 1) - 1) + "features")
    checks.check_floating("x", x)
    checks.check_features("x", x, features, "params.kernel")
    return x.astype(params.kernel.dtype) @ params.kernel + params.bias


def dense_backward(
    params: DenseParams, x: np.ndarray, d_y: np.ndarray
) -> tuple[DenseParams, np.ndarray]:
    """Compute d(W) = x^T d(y), d(b) = sum of d(y), d(x) = d(y) W^T; leading axes are batch."""
    rows, d_rows = x.reshape(-1, x.shape[-1]), d_y.reshape(-1, d_y.shape[-1])
    return DenseParams(rows.T @ d_rows, d_rows.sum(axis=0)), d_y @ params.kernel.T


def embedding(
    params: EmbeddingParams, ids: np.ndarray, *, padding: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the vector of each token [..., E], and where it is not padding [...] (or None)."""
    params, ids = as_params(params, read=as_values), as_values("ids", ids)
    checks.check_layer_params(params, EmbeddingParams)
    checks.check_ids("ids", ids, len(params.table))
    vectors = np.asarray(params.table)[ids]
    return vectors, None if padding is None else np.asarray(ids != padding)


def embedding_backward(
    params: EmbeddingParams, ids: np.ndarray, d_y: np.ndarray
) -> EmbeddingParams:
    """Add up the gradients of all places at which a token stands."""
    d_table = np.zeros_like(np.asarray(params.table))
    np.add.at(d_table, ids, d_y)
    return EmbeddingParams(d_table)


def time_distributed(fn: Callable, x: np.ndarray) -> Any:
    """Apply `fn`, such as `dense`, to all steps at once: its leading axes are batch."""
    return fn(x)


def repeat_vector(x: np.ndarray, n: int) -> np.ndarray:
    """Repeat a vector at each of n steps: [B, F] -> [B, n, F]."""
    x = as_values("x", x)
    checks.check_array(
        "x", x, "batch features", "it repeats one vector per example, such as state.h"
    )
    n = checks.check_count("n", n, minimum=0)
    return np.repeat(x[:, None, :], n, axis=1)


def repeat_vector_backward(d_y: np.ndarray) -> np.ndarray:
    """Sum the gradient over the n copies: [B, n, F] -> [B, F]."""
    return d_y.sum(axis=1)


def length_mask(lengths: np.ndarray, timesteps: int) -> np.ndarray:
    """Return bool [B, T], True where the step is real, from the length [B] of each example."""
    listed = isinstance(lengths, list | tuple)
    lengths = np.asarray(lengths) if listed else as_values("lengths", lengths)
    checks.check_array("lengths", lengths, "batch")
    checks.check_integers("lengths", lengths)
    return np.arange(checks.check_count("timesteps", timesteps, minimum=0)) < lengths[:, None]
