"""What each layer of Keras is as parts of an `lc.Chain`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.formatting import excerpt
from lstmcore.interop.keras.config import KerasLayer, NotAChain, field, kind_of
from lstmcore.interop.keras.weights import from_keras
from lstmcore.models import chain_parts as parts
from lstmcore.types import DenseParams, EmbeddingParams, LayerNormParams, LSTMParams

__all__ = ["LSTM_KINDS", "SUPPORTED", "Converted", "Converter", "weight_places"]

LSTM_KINDS = ("LSTM", "CuDNNLSTM", "Bidirectional")
MERGES = {"concat": "concat", "sum": "sum", "ave": "mean", "mul": "mul"}
BESIDE_LSTM = {"swish": "silu", "silu": "silu", "softmax": "softmax", "exponential": "exponential"}
NO_EFFECT = ("GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization")


class Converted(NamedTuple):
    """What a layer has become.

    Attributes:
      parts: of a chain; none for a layer that computes nothing.
      params: the weights of these parts, by name.
    """

    parts: list[parts.Part]
    params: dict[str, Any]


def weight_places(layer: KerasLayer, file: str) -> list[tuple[str, int]]:
    """Return where a layer keeps its weights in the layout of Keras 3, and how many at a place."""
    where, config = layer.where(file), layer.config
    if layer.kind not in SUPPORTED:
        raise NotAChain(f"{where} is not supported; these are: {', '.join(SUPPORTED)}")
    bias = int(config.get("use_bias", True) is not False)
    match layer.kind:
        case "LSTM" | "CuDNNLSTM":
            return [("cell/", 2 + bias)]
        case "Bidirectional":
            inner = _inner(layer, "layer", file)
            return [
                (f"{direction}/{place}", number)
                for direction in ("forward_layer", "backward_layer")
                for place, number in weight_places(inner, file)
            ]
        case "TimeDistributed":
            places = weight_places(_inner(layer, "layer", file), file)
            return [(f"layer/{place}", number) for place, number in places]
        case "Dense":
            return [("", 1 + bias)]
        case "Embedding":
            return [("", 1)]
        case "LayerNormalization":
            flags = [field(config, name, bool, where, True) for name in ("scale", "center")]
            return [("", sum(flags))] if any(flags) else []
    return []


class Converter:
    """Makes parts of layers, one after the other, in the order of the data.

    Attributes:
      file: its name, for messages.
      keras_2: whether it was written by Keras 2, in which `hard_sigmoid` is another function.
      notes: what has no effect here, or differs.
      in_time: whether there is a time axis after the layers so far.
    """

    def __init__(self, file: str, *, keras_2: bool) -> None:
        self.file, self.keras_2 = file, keras_2
        self.notes: list[str] = []
        self.in_time = True

    def convert(self, layer: KerasLayer, weights: list[np.ndarray]) -> Converted:
        """Return the parts of one layer.

        Raises:
          ValueError: a layer or an option of it that is not supported, or weights that do not fit.
        """
        self.where, self.config = layer.where(self.file), layer.config
        if _policy(layer.config).startswith("mixed"):
            self.note("computed in lower precision in Keras; here in that of its weights")
        name = layer.name.replace("/", "_")
        try:
            return SUPPORTED[layer.kind](self, layer, name, weights)
        except (TypeError, ValueError) as error:  # of parts, about their arguments
            if self.where in str(error):
                raise
            raise ValueError(f"{self.where}: {error}") from error

    def note(self, text: str) -> None:
        self.notes.append(f"{self.where}: {text}")

    def get(self, name: str, kinds: type | tuple, *default: Any) -> Any:
        """Return an option of the layer."""
        return field(self.config, name, kinds, self.where, *default)

    def activation(self, name: str, *, inside: bool, default: str | None = None) -> str:
        """Return the name of an activation here; `inside` an LSTM there are fewer."""
        value = self.get(name, (str, type(None), dict), default)
        value = "linear" if value is None else value
        if value == "hard_sigmoid" and self.keras_2:
            return "hard_sigmoid_keras2"
        if value in checks.ACTIVATIONS and value != "hard_sigmoid_keras2":
            return value
        if not inside and value in BESIDE_LSTM:
            return BESIDE_LSTM[value]
        known = [name for name in checks.ACTIVATIONS if name != "hard_sigmoid_keras2"]
        known += [] if inside else [*BESIDE_LSTM, "leaky_relu"]
        raise ValueError(
            f"{self.where}: {name} {excerpt(value, 60)} is not supported; these are: "
            f"{', '.join(known)}"
        )

    # One method for each kind of layer: (layer, name, weights) -> Converted.

    def nothing(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        """A layer that returns its input."""
        if layer.kind in NO_EFFECT:
            self.note("left out, since it has an effect only in training")
        return Converted([], {})

    def identity(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        """Flatten and Reshape, where they change nothing."""
        target = self.config.get("target_shape")
        if self.in_time or (layer.kind == "Reshape" and not _is_vector(target)):
            raise ValueError(
                f"{self.where} changes the shape of its input, which is not supported: it can be "
                "read where it returns one vector unchanged"
            )
        return Converted([], {})

    def masking(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        return Converted(
            [parts.Masking(float(self.get("mask_value", (int, float))), name=name)], {}
        )

    def embedding(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        (table,) = weights
        sizes = self.get("input_dim", int), self.get("output_dim", int)
        padding = 0 if self.get("mask_zero", bool, False) else None
        part = parts.Embedding(*sizes, padding=padding, name=name)
        return Converted([part], {name: EmbeddingParams(table)})

    def dense(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        units = self.get("units", int)
        kernel, bias = (
            weights if len(weights) == 2 else (*weights, np.zeros(units, weights[0].dtype))
        )
        params = {name: DenseParams(kernel, bias)}
        if self.config.get("activation") == "leaky_relu":
            after = parts.LeakyReLU(0.2, name=f"{name}_leaky_relu")
            return Converted([parts.Dense(units, name=name), after], params)
        activation: str | None = self.activation("activation", inside=False)
        activation = None if activation == "linear" else activation
        return Converted([parts.Dense(units, activation, name=name)], params)

    def alone(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        """An activation that is a layer."""
        if self.config.get("activation") == "leaky_relu":
            return Converted([parts.LeakyReLU(0.2, name=name)], {})
        return Converted(
            [parts.Activation(self.activation("activation", inside=False), name=name)], {}
        )

    def relu(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        number = (int, float)
        slope = self.get("negative_slope", number, 0.0)
        most = self.get("max_value", (*number, type(None)), None)
        threshold = self.get("threshold", number, 0.0)
        if threshold == 0 and most is None and slope:
            return Converted([parts.LeakyReLU(float(slope), name=name)], {})
        if threshold or slope or most not in (None, 6):
            raise ValueError(
                f"{self.where}: max_value {most}, negative_slope {slope} and threshold {threshold} "
                "are not supported together: max_value may be 6 or null, the threshold 0"
            )
        return Converted([parts.Activation("relu" if most is None else "relu6", name=name)], {})

    def leaky_relu(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        old = self.config.get("alpha", 0.3)  # its name in Keras 2
        slope = self.get("negative_slope", (int, float), old)
        return Converted([parts.LeakyReLU(float(slope), name=name)], {})

    def elu(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        if (alpha := self.get("alpha", (int, float), 1.0)) != 1:
            raise ValueError(f"{self.where}: alpha must be 1, got {alpha}")
        return Converted([parts.Activation("elu", name=name)], {})

    def softmax(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        self.check_axis("axis")
        return Converted([parts.Activation("softmax", name=name)], {})

    def layer_norm(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        self.check_axis("axis")
        if self.config.get("rms_scaling"):
            raise ValueError(f"{self.where}: rms_scaling is not supported")
        has_scale, has_offset = self.get("scale", bool, True), self.get("center", bool, True)
        if not weights:
            raise ValueError(f"{self.where} has neither scale nor centre, which is not supported")
        given = iter(weights)
        scale = next(given) if has_scale else np.ones_like(weights[0])
        offset = next(given) if has_offset else np.zeros_like(weights[0])
        epsilon = float(self.get("epsilon", (int, float), 1e-3))
        params = {name: LayerNormParams(scale, offset)}
        return Converted([parts.LayerNorm(epsilon, name=name)], params)

    def check_axis(self, name: str) -> None:
        """Raise unless an axis is the last one."""
        axis = self.config.get(name, -1)
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        if axis not in (-1, 2 if self.in_time else 1):
            raise ValueError(f"{self.where}: {name} must be the last, -1, got {excerpt(axis, 40)}")

    def dropout(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        shape = self.config.get("noise_shape")
        if shape is not None and not (isinstance(shape, list) and shape[1:2] == [1]):
            self.note(f"noise_shape {excerpt(shape, 40)} has no effect here")
        same = layer.kind == "SpatialDropout1D" or (isinstance(shape, list) and shape[1:2] == [1])
        return Converted(
            [parts.Dropout(float(self.get("rate", (int, float))), same, name=name)], {}
        )

    def repeat(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        self.in_time = True
        return Converted([parts.RepeatVector(self.get("n", int), name=name)], {})

    def time_distributed(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        inner = _inner(layer, "layer", self.file)
        if inner.kind not in AT_EACH_STEP:
            raise ValueError(
                f"{self.where} holds {excerpt(inner.kind, 40)}, which is not supported there; "
                f"these are: {', '.join(AT_EACH_STEP)}"
            )
        self.config, self.in_time = inner.config, False
        converted = SUPPORTED[inner.kind](self, inner._replace(name=layer.name), name, weights)
        self.in_time = True
        return converted

    def lstm(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        params = from_keras(weights, self.where)
        options = self.lstm_options(layer.kind)
        backwards = self.get("go_backwards", bool, False)
        direction = "backward" if backwards else "forward"
        made: list[parts.Part] = self.input_dropout(name)
        made.append(parts.LSTM(**options, direction=direction, name=name))
        if backwards and not options["last"]:
            made.append(parts.Reverse(reverse_mask=False))
        return Converted(made, {name: self.of_units(params, options["units"])})

    def bidirectional(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        merge = self.get("merge_mode", (str, type(None)), "concat")
        if merge not in MERGES:
            raise ValueError(
                f"{self.where}: merge_mode must be one of {', '.join(MERGES)}, got {excerpt(merge)}"
            )
        inner = _inner(layer, "layer", self.file)
        if inner.kind not in ("LSTM", "CuDNNLSTM"):
            raise ValueError(
                f"{self.where} holds {excerpt(inner.kind, 40)}, expected LSTM or CuDNNLSTM"
            )
        backward = (
            _inner(layer, "backward_layer", self.file) if "backward_layer" in self.config else None
        )
        self.config = inner.config
        options, dropout = self.lstm_options(inner.kind), self.input_dropout(name)
        if backward is not None:
            self.config = backward.config
            if backward.kind != inner.kind or self.lstm_options(inner.kind) != options:
                raise ValueError(f"{self.where}: its two directions differ, which is not supported")
        self.config = inner.config
        if self.get("go_backwards", bool, False):
            raise ValueError(f"{self.where}: its forward layer goes backwards: not supported")
        # Keras sets it in both directions; unrolled it does nothing.
        zero = not options["last"] and not self.config.get("unroll", False)
        options |= {"zero_output_for_mask": zero, "merge": MERGES[merge]}
        pair = from_keras(weights, self.where)
        part = parts.LSTM(**options, direction="bidirectional", name=name)
        names = (f"{name}_forward", f"{name}_backward")
        params = [self.of_units(each, options["units"]) for each in pair]
        return Converted([*dropout, part], dict(zip(names, params, strict=True)))

    def lstm_options(self, kind: str) -> dict[str, Any]:
        """Return the arguments of a part LSTM, but for its direction."""
        for option in ("return_state", "time_major"):
            if self.get(option, bool, False):
                raise ValueError(f"{self.where}: {option}=True is not supported")
        if self.get("stateful", bool, False):
            self.note("stateful in Keras; here each call starts from zeros, and lc.stream goes on")
        activations = {"activation": "tanh", "recurrent_activation": "sigmoid"}
        if kind == "LSTM":
            activations = {
                name: self.activation(name, inside=True, default=default)
                for name, default in activations.items()
            }
        self.in_time = self.get("return_sequences", bool, False)
        zero = self.get("zero_output_for_mask", bool, False)
        return {
            "units": self.get("units", int),
            **activations,
            "last": not self.in_time,
            "recurrent_dropout": float(self.get("recurrent_dropout", (int, float), 0.0)),
            "zero_output_for_mask": zero and not self.get("unroll", bool, False),
        }

    def input_dropout(self, name: str) -> list[parts.Part]:
        """Return the dropout on the input of an LSTM, which is a part of its own here."""
        rate = float(self.get("dropout", (int, float), 0.0))
        return [parts.Dropout(rate, True, name=f"{name}_dropout")] if rate else []

    def of_units(self, params: LSTMParams, units: int) -> LSTMParams:
        """Return weights if they are of so many units."""
        if (found := params.recurrent_kernel.shape[0]) != units:
            raise ValueError(f"{self.where}: the weights are of {found} units, expected {units}")
        return params


Method = Callable[[Converter, KerasLayer, str, list], Converted]
SUPPORTED: Mapping[str, Method] = {
    "InputLayer": Converter.nothing,
    "LSTM": Converter.lstm,
    "CuDNNLSTM": Converter.lstm,
    "Bidirectional": Converter.bidirectional,
    "Embedding": Converter.embedding,
    "Masking": Converter.masking,
    "Dense": Converter.dense,
    "TimeDistributed": Converter.time_distributed,
    "RepeatVector": Converter.repeat,
    "LayerNormalization": Converter.layer_norm,
    "Activation": Converter.alone,
    "ReLU": Converter.relu,
    "LeakyReLU": Converter.leaky_relu,
    "ELU": Converter.elu,
    "Softmax": Converter.softmax,
    "Dropout": Converter.dropout,
    "SpatialDropout1D": Converter.dropout,
    **dict.fromkeys(NO_EFFECT, Converter.nothing),
    "Identity": Converter.nothing,
    "Flatten": Converter.identity,
    "Reshape": Converter.identity,
}
AT_EACH_STEP = (
    "Dense", "Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "LayerNormalization", "Dropout",
)  # fmt: skip


def _inner(layer: KerasLayer, name: str, file: str) -> KerasLayer:
    """Return the layer within a TimeDistributed or Bidirectional one."""
    where = layer.where(file)
    described = field(layer.config, name, dict, where)
    config = field(described, "config", dict, where)
    return layer._replace(kind=kind_of(described, where), config=config)


def _policy(config: dict[str, Any]) -> str:
    """Return the name of the dtype policy of a layer, such as "float32" or "mixed_bfloat16"."""
    policy = config.get("dtype")
    if isinstance(policy, dict) and isinstance(policy.get("config"), dict):
        policy = policy["config"].get("name")
    return policy if isinstance(policy, str) else ""


def _is_vector(target: Any) -> bool:
    """Return whether the target of a Reshape is one axis."""
    return isinstance(target, list) and len(target) == 1
