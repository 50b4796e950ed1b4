"""Initial weights for the layers that a model describes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore.attention import init_attention
from lstmcore.cell import init_lstm
from lstmcore.dtypes import check_drawn
from lstmcore.layers import init_dense, init_embedding
from lstmcore.specs import Layer
from lstmcore.types import (
    AdditiveAttention,
    BiasParams,
    DenseParams,
    EmbeddingParams,
    GeneralAttention,
    LSTMParams,
)

__all__ = ["init_layers"]

INIT: dict[type, Callable] = {
    LSTMParams: init_lstm,
    DenseParams: init_dense,
    BiasParams: lambda key, features, units, dtype: BiasParams(jnp.zeros(units, dtype)),
    EmbeddingParams: init_embedding,
    GeneralAttention: lambda key, memory, units, dtype: init_attention(
        key, "general", units, memory, dtype=dtype
    ),
    AdditiveAttention: lambda key, memory, units, dtype: init_attention(
        key, "additive", units, memory, dtype=dtype
    ),
}


def init_layers(key: jax.Array, layers: Mapping[str, Layer], dtype: Any = jnp.float32) -> dict:
    """Draw the initial weights of each layer, as `init_lstm`, `init_dense`, ... do.

    Args:
      key: random key.
      layers: {name: Layer}, as a model's `layers` describes them.
      dtype: of all weights.

    Returns:
      {name: LSTMParams, DenseParams, ...}.

    Raises:
      ValueError: a dtype that is not floating point, or weights that do not fit into memory.

    Examples:
      >>> import jax, lstmcore as lc
      >>> layers = {"lstm": lc.Layer(lc.LSTMParams, 2, 8), "head": lc.Layer(lc.DenseParams, 8, 1)}
      >>> params = lc.init_layers(jax.random.key(0), layers)
      >>> params["lstm"].kernel.shape, params["head"].kernel.shape
      ((2, 32), (8, 1))
    """
    shapes = [shape for layer in layers.values() for shape in layer.shapes().values()]
    check_drawn(key, sum(map(math.prod, shapes)), dtype)
    keys = jax.random.split(key, len(layers))
    return {
        name: INIT[layer.kind](layer_key, layer.features, layer.units, dtype=dtype)
        for layer_key, (name, layer) in zip(keys, layers.items(), strict=True)
    }
