"""Descriptions of layers: kinds, sizes and shapes of the weights, without the weights.

A model describes itself by its `layers`, {name: Layer}; `check_params` compares params with that.
Neither JAX nor NumPy is needed here, so the NumPy engine checks files by the same descriptions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MethodType
from typing import Any, NamedTuple

from lstmcore import checks
from lstmcore.arrays import as_params
from lstmcore.types import (
    AdditiveAttention,
    BiasParams,
    DenseParams,
    EmbeddingParams,
    GeneralAttention,
    LayerNormParams,
    LSTMParams,
)


class Layer(NamedTuple):
    """Kind and sizes of one layer.

    Attributes:
      kind: type of its weights.
      features: size of its input; of an embedding the number of tokens, of an attention the size of
        the memory.
      units: size of its output; of an LSTM with a projection that of its cell.
      projection: size of the hidden state of an LSTM, if it is not that of its cell.
      peephole: whether an LSTM must have a peephole; any may be given one.
    """

    kind: type
    features: int
    units: int
    projection: int | None = None
    peephole: bool = False

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each of its weights."""
        shapes = SHAPES[self.kind](self.features, self.units)
        if self.peephole:
            shapes["peephole"] = (3, self.units)
        if self.projection is not None:
            shapes["recurrent_kernel"] = (self.projection, 4 * self.units)
            shapes["projection"] = (self.units, self.projection)
        return shapes

    def optional_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each of the weights that it may have or not."""
        if self.kind is not LSTMParams or self.peephole:
            return {}
        return {"peephole": (3, self.units)}


SHAPES: dict[type, Callable[[int, int], dict[str, tuple[int, ...]]]] = {
    LSTMParams: lambda features, units: {
        "kernel": (features, 4 * units),
        "recurrent_kernel": (units, 4 * units),
        "bias": (4 * units,),
    },
    DenseParams: lambda features, units: {"kernel": (features, units), "bias": (units,)},
    BiasParams: lambda features, units: {"bias": (units,)},
    EmbeddingParams: lambda tokens, units: {"table": (tokens, units)},
    LayerNormParams: lambda features, units: {"scale": (units,), "offset": (units,)},
    GeneralAttention: lambda memory, units: {"weight": (units, memory)},
    AdditiveAttention: lambda memory, units: {
        "query": (units, units),
        "memory": (memory, units),
        "score": (units,),
    },
}


KINDS = {  # as Keras names them
    LSTMParams: "LSTM",
    DenseParams: "Dense",
    BiasParams: "Dense",
    EmbeddingParams: "Embedding",
    LayerNormParams: "LayerNorm",
    GeneralAttention: "GeneralAttention",
    AdditiveAttention: "AdditiveAttention",
}


def stack(name: str, features: int, units: tuple[int, ...]) -> dict[str, Layer]:
    """Return layers name_0, name_1, ...: the first reads `features`, each other the one below."""
    below = (features, *units[:-1])
    return {f"{name}_{i}": Layer(LSTMParams, below[i], units[i]) for i in range(len(units))}


def direction_names(name: str) -> list[str]:
    """Return the names of the two directions of a bidirectional layer."""
    return [f"{name}_forward", f"{name}_backward"]


def parameters_of(model: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a model's `apply`, by name."""
    function = getattr(model.apply, "__func__", None)
    return inspect.signature(model.apply).parameters if function is None else _of_method(function)


@lru_cache(64)  # a signature takes longer than the run of a small model
def _of_method(function: Callable) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(MethodType(function, function)).parameters


def knows_its_masks(model: Any) -> bool:
    """Return whether a model tells which steps it masks by itself, as all of lstmcore's do."""
    return hasattr(model, "masks") or type(model).__module__.startswith("lstmcore.")


def takes_target(model: Any) -> bool:
    """Return whether the `apply` of a model needs a target beside its input."""
    target = parameters_of(model).get("target")
    return target is not None and target.default is inspect.Parameter.empty


def check_params(params: Any, layers: Mapping[str, Layer]) -> dict[str, Any]:
    """Return the params as arrays; raise unless they are of these layers, kinds and shapes."""
    if not isinstance(params, Mapping):
        raise TypeError(
            f"params must be a dict of layers, got {type(params).__name__}: call model.init(key)"
        )
    if set(params) != set(layers):
        raise ValueError(
            f"params has the layers {', '.join(map(str, params)) or '(none)'} but the model has "
            f"{', '.join(layers)}: were they made by another model?"
        )
    params = {name: as_params(weights, f"params[{name!r}]") for name, weights in params.items()}
    for name, layer in layers.items():
        checks.check_layer_params(params[name], layer.kind, f"params[{name!r}]")
        if layer.projection is None and getattr(params[name], "projection", None) is not None:
            raise ValueError(
                f"params[{name!r}] has a projection, but that layer of the model has none: an "
                "lc.Chain describes one, lc.chain.LSTM(units, projection=...)"
            )
        for field, shape in layer.shapes().items():
            weights = getattr(params[name], field)
            advice = "were they made by another model?"
            if weights is None:
                raise ValueError(f"params[{name!r}].{field} is missing: the model needs {shape}")
            checks.check_shape(
                f"params[{name!r}].{field}", weights, shape, "the model needs", advice
            )
    return params
