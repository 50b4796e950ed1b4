"""Which layers a model has and how large they are: what weights, tables and files agree on.

This module needs neither JAX nor NumPy, so the NumPy engine checks files by the same description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lstmcore import checks
from lstmcore.types import DenseParams, LSTMParams


class Layer(NamedTuple):
    """kind: LSTMParams or DenseParams; features: size of its input; units: of its output."""

    kind: type[LSTMParams] | type[DenseParams]
    features: int
    units: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of its weights."""
        features, units = self.features, self.units
        if self.kind is DenseParams:
            return {"kernel": (features, units), "bias": (units,)}
        return {
            "kernel": (features, 4 * units),
            "recurrent_kernel": (units, 4 * units),
            "bias": (4 * units,),
        }

    def optional_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of the weights that it may have or not."""
        return {"peephole": (3, self.units)} if self.kind is LSTMParams else {}


def autoencoder(features: int, units: tuple[int, ...], steps: int | None = None) -> dict:
    """{name: Layer} of an Autoencoder: the encoder, its mirror image, a head."""
    if steps is not None:
        checks.check_count("steps", steps)
    return stack("encoder", features, units) | _decoder("decoder", "head", features, units)


def composite_autoencoder(features: int, units: tuple[int, ...], steps: int) -> dict:
    """{name: Layer} of a CompositeAutoencoder: the encoder, then two mirror images with heads."""
    checks.check_count("steps", steps)
    return {
        **stack("encoder", features, units),
        **_decoder("reconstruction", "reconstruction_head", features, units),
        **_decoder("prediction", "prediction_head", features, units),
    }


def stacked_lstm(features: int, units: tuple[int, ...], outputs: int) -> dict:
    """{name: Layer} of a StackedLSTM: the stack and a head."""
    outputs = checks.check_count("outputs", outputs)
    layers = stack("lstm", features, units)
    return layers | {"head": Layer(DenseParams, units[-1], outputs)}


LAYOUTS: dict[str, Callable[..., dict[str, Layer]]] = {
    "Autoencoder": autoencoder,
    "CompositeAutoencoder": composite_autoencoder,
    "StackedLSTM": stacked_lstm,
}


def stack(name: str, features: int, units: tuple[int, ...]) -> dict[str, Layer]:
    """name_0, name_1, ...: the first layer reads `features`, each other the one below."""
    below = (features, *units[:-1])
    return {f"{name}_{i}": Layer(LSTMParams, below[i], units[i]) for i in range(len(units))}


def check_sizes(features, units) -> tuple[int, tuple[int, ...]]:
    """`features` and `units` as plain ints; a single number of units stands for one layer."""
    sizes = units if isinstance(units, tuple | list) else (units,)
    if not sizes:
        raise ValueError("units is empty: name at least one layer, for instance units=(64,)")
    units = tuple(checks.check_count("units", size) for size in sizes)
    return checks.check_count("features", features), units


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
    check: dict[type, Callable] = {
        LSTMParams: checks.check_lstm_params,
        DenseParams: checks.check_dense_params,
    }
    for name, layer in layers.items():
        check[layer.kind](params[name], f"params[{name!r}]")
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


def _decoder(name: str, head: str, features: int, units: tuple[int, ...]) -> dict[str, Layer]:
    mirrored = units[::-1]
    decoder = stack(name, mirrored[0], mirrored)
    return decoder | {head: Layer(DenseParams, mirrored[-1], features)}
