"""What each layer of Keras is as parts of an `lc.Chain`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.formatting import excerpt
from lstmcore.interop.keras.config import KerasLayer, NotAChain, field, kind_of
from lstmcore.interop.keras.weights import lstm_weights
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
            names = ("forward_layer", "backward_layer")
            return [
                (f"{name}/{place}", number)
                for name, inner in zip(names, _directions(layer, file), strict=True)
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
        if (policy := _policy(layer.config)).startswith("mixed"):
            self.note(
                self.file,
                f"computed in lower precision in Keras, {excerpt(policy, 40)}; here in that of the "
                "weights",
            )
        name = layer.name.replace("/", "_")
        try:
            return SUPPORTED[layer.kind](self, layer, name, weights)
        except (TypeError, ValueError) as error:  # of parts, about their arguments
            if f" of {self.file}" in str(error):
                raise
            raise ValueError(f"{self.where(layer)}: {error}") from error

    def where(self, layer: KerasLayer) -> str:
        """Return the layer and its file, for messages."""
        return layer.where(self.file)

    def note(self, where: str, text: str) -> None:
        """Add a note, once."""
        if (note := f"{where}: {text}") not in self.notes:
            self.notes.append(note)

    def get(self, layer: KerasLayer, name: str, kinds: type | tuple, *default: Any) -> Any:
        """Return an option of the layer."""
        return field(layer.config, name, kinds, self.where(layer), *default)

    def activation(
        self, layer: KerasLayer, name: str, *, inside: bool, default: str | None = None
    ) -> str:
        """Return the name of an activation here; `inside` an LSTM there are fewer."""
        value = self.get(layer, name, (str, type(None), dict), default)
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
            f"{self.where(layer)}: {name} {excerpt(value, 60)} is not supported; these are: "
            f"{', '.join(known)}"
        )

    # One method for each kind of layer: (layer, name, weights) -> Converted.

    def nothing(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        """A layer that returns its input."""
        if layer.kind in NO_EFFECT:
            self.note(self.where(layer), "left out, since it has an effect only in training")
        return Converted([], {})

    def identity(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        """Flatten and Reshape, where they change nothing."""
        target = layer.config.get("target_shape")
        if self.in_time or (layer.kind == "Reshape" and not _is_vector(target)):
            raise ValueError(
                f"{self.where(layer)} changes the shape of its input, which is not supported: it "
                "can be read where it returns one vector unchanged"
            )
        return Converted([], {})

    def masking(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        return Converted(
            [parts.Masking(float(self.get(layer, "mask_value", (int, float))), name=name)], {}
        )

    def embedding(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        (table,) = weights
        sizes = self.get(layer, "input_dim", int), self.get(layer, "output_dim", int)
        padding = 0 if self.get(layer, "mask_zero", bool, False) else None
        part = parts.Embedding(*sizes, padding=padding, name=name)
        return Converted([part], {name: EmbeddingParams(table)})

    def dense(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        units = self.get(layer, "units", int)
        kernel, bias = (
            weights if len(weights) == 2 else (*weights, np.zeros(units, weights[0].dtype))
        )
        params = {name: DenseParams(kernel, bias)}
        if layer.config.get("activation") == "leaky_relu":
            after = parts.LeakyReLU(0.2, name=f"{name}_leaky_relu")
            return Converted([parts.Dense(units, name=name), after], params)
        activation: str | None = self.activation(layer, "activation", inside=False)
        activation = None if activation == "linear" else activation
        return Converted([parts.Dense(units, activation, name=name)], params)

    def alone(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        """An activation that is a layer."""
        if layer.config.get("activation") == "leaky_relu":
            return Converted([parts.LeakyReLU(0.2, name=name)], {})
        return Converted(
            [parts.Activation(self.activation(layer, "activation", inside=False), name=name)], {}
        )

    def relu(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        number = (int, float)
        slope = self.get(layer, "negative_slope", number, 0.0)
        most = self.get(layer, "max_value", (*number, type(None)), None)
        threshold = self.get(layer, "threshold", number, 0.0)
        if threshold == 0 and most is None and slope:
            return Converted([parts.LeakyReLU(float(slope), name=name)], {})
        if threshold or slope or most not in (None, 6):
            raise ValueError(
                f"{self.where(layer)}: max_value {most}, negative_slope {slope} and threshold "
                f"{threshold} are not supported together: max_value may be 6 or null, the "
                "threshold 0"
            )
        return Converted([parts.Activation("relu" if most is None else "relu6", name=name)], {})

    def leaky_relu(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        old = layer.config.get("alpha", 0.3)  # its name in Keras 2
        slope = self.get(layer, "negative_slope", (int, float), old)
        return Converted([parts.LeakyReLU(float(slope), name=name)], {})

    def elu(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        if (alpha := self.get(layer, "alpha", (int, float), 1.0)) != 1:
            raise ValueError(f"{self.where(layer)}: alpha must be 1, got {alpha}")
        return Converted([parts.Activation("elu", name=name)], {})

    def softmax(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        self.check_axis(layer, "axis")
        return Converted([parts.Activation("softmax", name=name)], {})

    def layer_norm(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        self.check_axis(layer, "axis")
        if layer.config.get("rms_scaling"):
            raise ValueError(f"{self.where(layer)}: rms_scaling is not supported")
        has_scale, has_offset = (
            self.get(layer, "scale", bool, True),
            self.get(layer, "center", bool, True),
        )
        if not weights:
            raise ValueError(
                f"{self.where(layer)} has neither scale nor centre, which is not supported"
            )
        given = iter(weights)
        scale = next(given) if has_scale else np.ones_like(weights[0])
        offset = next(given) if has_offset else np.zeros_like(weights[0])
        epsilon = float(self.get(layer, "epsilon", (int, float), 1e-3))
        params = {name: LayerNormParams(scale, offset)}
        return Converted([parts.LayerNorm(epsilon, name=name)], params)

    def check_axis(self, layer: KerasLayer, name: str) -> None:
        """Raise unless an axis is the last one."""
        axis = layer.config.get(name, -1)
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        if axis not in (-1, 2 if self.in_time else 1):
            raise ValueError(
                f"{self.where(layer)}: {name} must be the last, -1, got {excerpt(axis, 40)}"
            )

    def dropout(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        shape = layer.config.get("noise_shape")
        if shape is not None and not (isinstance(shape, list) and shape[1:2] == [1]):
            self.note(self.where(layer), f"noise_shape {excerpt(shape, 40)} has no effect here")
        same = layer.kind == "SpatialDropout1D" or (isinstance(shape, list) and shape[1:2] == [1])
        return Converted(
            [parts.Dropout(float(self.get(layer, "rate", (int, float))), same, name=name)], {}
        )

    def repeat(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        self.in_time = True
        return Converted([parts.RepeatVector(self.get(layer, "n", int), name=name)], {})

    def time_distributed(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        inner = _inner(layer, "layer", self.file)
        if inner.kind not in AT_EACH_STEP:
            raise ValueError(
                f"{self.where(layer)} holds {excerpt(inner.kind, 40)}, which is not supported "
                f"there; these are: {', '.join(AT_EACH_STEP)}"
            )
        self.in_time = False
        converted = SUPPORTED[inner.kind](self, inner, name, weights)
        self.in_time = True
        return converted

    def lstm(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        params = lstm_weights(weights, self.where(layer))
        options = self.lstm_options(layer)
        backwards = self.get(layer, "go_backwards", bool, False)
        direction = "backward" if backwards else "forward"
        made: list[parts.Part] = self.input_dropout(layer, name)
        made.append(parts.LSTM(**options, direction=direction, name=name))
        if backwards and not options["last"]:
            made.append(parts.Reverse(reverse_mask=False))
        return Converted(made, {name: self.of_units(layer, params, options["units"])})

    def bidirectional(self, layer: KerasLayer, name: str, weights: list) -> Converted:
        merge = self.get(layer, "merge_mode", (str, type(None)), "concat")
        if merge not in MERGES:
            raise ValueError(
                f"{self.where(layer)}: merge_mode must be one of {', '.join(MERGES)}, got "
                f"{excerpt(merge)}"
            )
        forward, backward = _directions(layer, self.file)
        if forward.kind not in ("LSTM", "CuDNNLSTM"):
            raise ValueError(
                f"{self.where(layer)} holds {excerpt(forward.kind, 40)}, expected LSTM or CuDNNLSTM"
            )
        options, others = self.lstm_options(forward), self.lstm_options(backward)
        if different := [option for option in options if options[option] != others[option]]:
            raise ValueError(_DIFFER.format(self.where(layer), ", ".join(different)))
        if self.get(forward, "go_backwards", bool, False):
            raise ValueError(
                f"{self.where(layer)}: its forward layer goes backwards: not supported"
            )
        # Keras sets it in both directions; unrolled it does nothing.
        zero = not options["last"] and not forward.config.get("unroll", False)
        options |= {"zero_output_for_mask": zero, "merge": MERGES[merge]}
        pair = lstm_weights(weights, self.where(layer))
        part = parts.LSTM(**options, direction="bidirectional", name=name)
        names = (f"{name}_forward", f"{name}_backward")
        params = [self.of_units(layer, each, options["units"]) for each in pair]
        dropout = self.input_dropout(forward, name)
        return Converted([*dropout, part], dict(zip(names, params, strict=True)))

    def lstm_options(self, layer: KerasLayer) -> dict[str, Any]:
        """Return the arguments of a part LSTM, but for its direction."""
        for option in ("return_state", "time_major"):
            if self.get(layer, option, bool, False):
                raise ValueError(f"{self.where(layer)}: {option}=True is not supported")
        if self.get(layer, "stateful", bool, False):
            self.note(
                self.where(layer),
                "stateful in Keras; here each call starts from zeros, and lc.stream goes on",
            )
        activations = {"activation": "tanh", "recurrent_activation": "sigmoid"}
        if layer.kind == "LSTM":
            activations = {
                name: self.activation(layer, name, inside=True, default=default)
                for name, default in activations.items()
            }
        self.in_time = self.get(layer, "return_sequences", bool, False)
        zero = self.get(layer, "zero_output_for_mask", bool, False)
        return {
            "units": self.get(layer, "units", int),
            **activations,
            "last": not self.in_time,
            "recurrent_dropout": float(self.get(layer, "recurrent_dropout", (int, float), 0.0)),
            "zero_output_for_mask": zero and not self.get(layer, "unroll", bool, False),
        }

    def input_dropout(self, layer: KerasLayer, name: str) -> list[parts.Part]:
        """Return the dropout on the input of an LSTM, which is a part of its own here."""
        rate = float(self.get(layer, "dropout", (int, float), 0.0))
        return [parts.Dropout(rate, True, name=f"{name}_dropout")] if rate else []

    def of_units(self, layer: KerasLayer, params: LSTMParams, units: int) -> LSTMParams:
        """Return weights if they are of so many units."""
        if (found := params.recurrent_kernel.shape[0]) != units:
            raise ValueError(
                f"{self.where(layer)}: the weights are of {found} units, expected {units}"
            )
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


_DIFFER = "{}: its two directions differ in {}, which is not supported"


def _directions(layer: KerasLayer, file: str) -> tuple[KerasLayer, KerasLayer]:
    """Return the layers of both directions within a Bidirectional layer."""
    where = layer.where(file)
    forward = backward = _inner(layer, "layer", file)
    if "backward_layer" in layer.config:
        backward = _inner(layer, "backward_layer", file)
    if forward.kind != backward.kind:
        raise ValueError(_DIFFER.format(where, "class"))
    if len({each.config.get("use_bias", True) is not False for each in (forward, backward)}) > 1:
        raise ValueError(_DIFFER.format(where, "use_bias"))
    return forward, backward


def _policy(config: dict[str, Any]) -> str:
    """Return the name of the dtype policy of a layer, such as "float32" or "mixed_bfloat16"."""
    policy = config.get("dtype")
    if isinstance(policy, dict) and isinstance(policy.get("config"), dict):
        policy = policy["config"].get("name")
    return policy if isinstance(policy, str) else ""


def _is_vector(target: Any) -> bool:
    """Return whether the target of a Reshape is one axis."""
    return isinstance(target, list) and len(target) == 1
