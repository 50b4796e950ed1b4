"""What a layer is: kind, sizes, shapes of its weights; and whether params fit. See `layouts`.

This module needs neither JAX nor NumPy, so the NumPy engine checks files by the same description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

from lstmcore import checks
from lstmcore.param_checks import check_layer_params
from lstmcore.types import (
    AdditiveAttention,
    BiasParams,
    DenseParams,
    EmbeddingParams,
    GeneralAttention,
    LSTMParams,
)

MOST_LAYERS = 1000  # of one stack; a file that names more would only take memory


class Layer(NamedTuple):
    """kind: type of its weights; features: size of its input; units: of its output.

    An embedding reads `features` different tokens, an attention a memory of that size.
    """

    kind: type
    features: int
    units: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of its weights."""
        return SHAPES[self.kind](self.features, self.units)

    def optional_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of the weights that it may have or not."""
        return {"peephole": (3, self.units)} if self.kind is LSTMParams else {}


SHAPES: dict[type, Callable[[int, int], dict[str, tuple[int, ...]]]] = {
    LSTMParams: lambda features, units: {
        "kernel": (features, 4 * units),
        "recurrent_kernel": (units, 4 * units),
        "bias": (4 * units,),
    },
    DenseParams: lambda features, units: {"kernel": (features, units), "bias": (units,)},
    BiasParams: lambda features, units: {"bias": (units,)},
    EmbeddingParams: lambda tokens, units: {"table": (tokens, units)},
    GeneralAttention: lambda memory, units: {"weight": (units, memory)},
    AdditiveAttention: lambda memory, units: {
        "query": (units, units),
        "memory": (memory, units),
        "score": (units,),
    },
}


def activations(kind: str) -> tuple[str, ...]:
    """Which hyperparameters of a model are functions, by the name of its class."""
    if kind == "DenseAutoencoder":  # it has no gates
        return ("activation",)
    return ("activation", "recurrent_activation", "output_activation")


def both_ways(name: str) -> list[str]:
    """The names of the two directions of a bidirectional layer."""
    return [f"{name}_forward", f"{name}_backward"]


def stack(name: str, features: int, units: tuple[int, ...]) -> dict[str, Layer]:
    """name_0, name_1, ...: the first layer reads `features`, each other the one below."""
    below = (features, *units[:-1])
    return {f"{name}_{i}": Layer(LSTMParams, below[i], units[i]) for i in range(len(units))}


def check_sizes(features, units) -> tuple[int, tuple[int, ...]]:
    """`features` and `units` as plain ints; a single number of units stands for one layer."""
    return checks.check_count("features", features), check_units("units", units)


def check_units(name: str, units) -> tuple[int, ...]:
    """`units` as plain ints, one for each layer."""
    sizes = units if isinstance(units, tuple | list) else (units,)
    if not sizes:
        raise ValueError(f"{name} is empty: name at least one layer, for instance {name}=(64,)")
    if len(sizes) > MOST_LAYERS:
        raise ValueError(
            f"{name} names {len(sizes):,} layers, expected at most {MOST_LAYERS:,}: one size for "
            "each layer"
        )
    return tuple(checks.check_count(name, size) for size in sizes)


def check_choice(name: str, value, choices) -> None:
    """`value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_rate(name: str, rate) -> None:
    """A number, at least 0 and below 1."""
    try:
        fits = bool(0 <= rate < 1)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {rate!r}") from None
    if not fits:
        raise ValueError(f"{name} must be at least 0 and below 1, got {rate!r}")


def check_quantiles(quantiles) -> tuple[float, ...]:
    """Numbers between 0 and 1 in rising order; returned as plain floats."""
    try:
        found = tuple(map(float, quantiles))
    except (TypeError, ValueError):
        raise TypeError(
            f"quantiles must be numbers such as (0.1, 0.5, 0.9), got {quantiles!r}"
        ) from None
    rising = all(a < b for a, b in pairwise(found))
    if not (rising and all(0 < quantile < 1 for quantile in found)):
        raise ValueError(
            f"quantiles must rise, between 0 and 1, got {found}: write (0.1, 0.5, 0.9)"
        )
    return found


def check_params(params, layers: Mapping[str, Layer]) -> None:
    """`params` holds just these layers, each of the right kind and shapes."""
    if not isinstance(params, Mapping):
        raise TypeError(
            f"params must be a dict of layers, got {type(params).__name__}: call model.init(key)"
        )
    if set(params) != set(layers):
        raise ValueError(
            f"params has the layers {', '.join(map(str, params)) or '(none)'} but the model has "
            f"{', '.join(layers)}: were they made by another model?"
        )
    for name, layer in layers.items():
        check_layer_params(params[name], layer.kind, f"params[{name!r}]")
        if getattr(params[name], "projection", None) is not None:
            raise ValueError(
                f"params[{name!r}] has a projection, but the layers of a model are sized by their "
                "units: run such a layer with lc.lstm"
            )
        for field, shape in layer.shapes().items():
            found = tuple(getattr(params[name], field).shape)
            if found != shape:
                raise ValueError(
                    f"params[{name!r}].{field} has shape {found} but the model needs {shape}: were "
                    "they made by another model?"
                )
