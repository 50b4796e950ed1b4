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
    LayerNormParams,
    LSTMParams,
)

__all__ = ["init_layers"]


def _init_lstm(key: jax.Array, layer: Layer, dtype: Any) -> LSTMParams:
    return init_lstm(
        key,
        layer.features,
        layer.units,
        dtype=dtype,
        peephole=layer.peephole,
        projection=layer.projection,
    )


INIT: dict[type, Callable[[jax.Array, Layer, Any], Any]] = {
    LSTMParams: _init_lstm,
    DenseParams: lambda key, layer, dtype: init_dense(
        key, layer.features, layer.units, dtype=dtype
    ),
    BiasParams: lambda key, layer, dtype: BiasParams(jnp.zeros(layer.units, dtype)),
    EmbeddingParams: lambda key, layer, dtype: init_embedding(
        key, layer.features, layer.units, dtype=dtype
    ),
    LayerNormParams: lambda key, layer, dtype: LayerNormParams(
        jnp.ones(layer.units, dtype), jnp.zeros(layer.units, dtype)
    ),
    GeneralAttention: lambda key, layer, dtype: init_attention(
        key, "general", layer.units, layer.features, dtype=dtype
    ),
    AdditiveAttention: lambda key, layer, dtype: init_attention(
        key, "additive", layer.units, layer.features, dtype=dtype
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
        name: INIT[layer.kind](layer_key, layer, dtype)
        for layer_key, (name, layer) in zip(keys, layers.items(), strict=True)
    }
