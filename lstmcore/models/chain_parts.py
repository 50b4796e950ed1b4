"""The parts of a chain: what each computes, and what it makes of the shape of its input.

Embedding, Masking      read the input, and say which steps are real
LSTM                    in one direction or both, every step or the last state
Dense, Activation, LeakyReLU, LayerNorm, Dropout       at each step
RepeatVector            a vector at each of n steps
Reverse                 the last step first
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from lstmcore import checks
from lstmcore.display.text import given_fields
from lstmcore.models.stack import MERGE, activations_of, check_activations, set_plain
from lstmcore.specs import Layer, direction_names
from lstmcore.types import DenseParams, EmbeddingParams, LayerNormParams, LSTMParams

if TYPE_CHECKING:
    import jax

    from lstmcore.activations import Activation as ActivationFunction

__all__ = [
    "LSTM",
    "Activation",
    "Dense",
    "Dropout",
    "Embedding",
    "LayerNorm",
    "LeakyReLU",
    "Masking",
    "RepeatVector",
    "Reverse",
]


_ADVICE = {  # names that Keras has
    "Bidirectional": 'LSTM(8, direction="bidirectional")',
    "TimeDistributed": "Dense(1), which is applied at each step",
    "Input": "the argument features= of lc.Chain",
    "InputLayer": "the argument features= of lc.Chain",
    "LayerNormalization": "LayerNorm()",
}


def __getattr__(name: str) -> Any:
    advice = f": it is {_ADVICE[name]} here" if name in _ADVICE else ""
    raise AttributeError(f"module 'lstmcore.chain' has no attribute {name!r}{advice}")


class Shape(NamedTuple):
    """Shape of what passes from one part to the next.

    Attributes:
      features: size of the last axis.
      in_time: whether there is a time axis: [B, T, features], not [B, features].
    """

    features: int
    in_time: bool


class Flow(NamedTuple):
    """What a chain hands to each of its parts as it runs.

    Attributes:
      ops: `lc.ops` or `lc.reference`.
      params, edits, states: by the name of the layer.
      key: random key for dropout, or None.
      traces: Trace of each LSTM layer so far, by name; parts add theirs.
    """

    ops: Any
    params: dict
    edits: Any
    states: Any
    key: Any
    traces: dict


@dataclass(frozen=True, repr=False)
class Part(ABC):
    """Base of the parts of a chain; a part that has weights or another shape overrides more.

    Attributes:
      name: of the layer; None names it by its place, such as "lstm_0".
    """

    name: str | None = field(default=None, kw_only=True)
    default_name: ClassVar[str]
    causal: ClassVar[Any] = True  # the output at a step depends on no later one

    __repr__ = given_fields

    def shape_after(self, name: str, shape: Shape) -> Shape:
        """Return the shape of the output; raise ValueError if the input does not fit."""
        return shape

    def layers(self, name: str, features: int) -> dict[str, Layer]:
        """Return the layers with weights by name, for an input of so many features."""
        return {}

    def steps_after(self, steps: int | None) -> int | None:
        """Return the number of steps of the output."""
        return steps

    def type_name(self, in_time: bool) -> str:
        """Return the type of the layer, as `lc.summary` prints it."""
        return type(self).__name__

    @abstractmethod
    def run(self, name: str, x: Any, mask: Any, flow: Flow) -> tuple[Any, Any]:
        """Return the output, and the mask of its steps."""


def _key(name: str, flow: Flow) -> Any:
    """Return a random key for one layer, or None: other layers do not change it."""
    if flow.key is None:
        return None
    return flow.ops.random.fold_in(flow.key, zlib.crc32(name.encode()))


@dataclass(frozen=True, repr=False)
class Embedding(Part):
    """One vector for each token, as `lc.embedding`; reads integers [B, T].

    Attributes:
      vocabulary: V, number of different tokens.
      units: E, size of a vector.
      padding: id of the token that is no step, which LSTM layers then skip; None if there is none.
    """

    vocabulary: int
    units: int
    padding: int | None = None
    default_name = "embedding"

    def __post_init__(self) -> None:
        vocabulary = checks.check_count("vocabulary", self.vocabulary)
        set_plain(self, vocabulary=vocabulary, units=checks.check_count("units", self.units))
        if self.padding is not None:
            padding = checks.check_count("padding", self.padding, minimum=0, maximum=vocabulary - 1)
            set_plain(self, padding=padding)

    def shape_after(self, name: str, shape: Shape) -> Shape:
        return Shape(self.units, in_time=True)

    def layers(self, name: str, features: int) -> dict[str, Layer]:
        return {name: Layer(EmbeddingParams, self.vocabulary, self.units)}

    def mask_of(self, ids: jax.Array, mask: jax.Array | None) -> jax.Array | None:
        """Return where there is a token, combined with the given mask."""
        if self.padding is None:
            return mask
        return ids != self.padding if mask is None else mask & (ids != self.padding)

    def run(self, name: str, x: Any, mask: Any, flow: Flow) -> tuple[Any, Any]:
        return flow.ops.embedding(flow.params[name], x)[0], self.mask_of(x, mask)


@dataclass(frozen=True, repr=False)
class Masking(Part):
    """Mask the steps at which all features have one value, as Keras's layer of this name.

    Masked steps become zeros, so that a layer which knows no mask sees nothing there.

    Attributes:
      value: the value that stands for "no step".
    """

    value: float = 0.0
    default_name = "masking"

    def __post_init__(self) -> None:
        value = checks.check_number("value", self.value)
        if value != value:
            raise ValueError("value is NaN, which equals nothing: pass the mask itself, mask=")
        set_plain(self, value=value)

    def mask_of(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """Return where any feature differs from the value, combined with the given mask."""
        real = (x != self.value).any(axis=-1)
        return real if mask is None else mask & real

    def run(self, name: str, x: Any, mask: Any, flow: Flow) -> tuple[Any, Any]:
        mask = self.mask_of(x, mask)
        return flow.ops.np.where(mask[:, :, None], x, 0), mask


@dataclass(frozen=True, repr=False)
class LSTM(Part):
    """One LSTM layer, as `lc.lstm`; reads [B, T, F].

    Attributes:
      units: H, size of the cell.
      activation, recurrent_activation, output_activation: as in `lc.lstm`.
      direction: "forward", "backward" (from the last step to the first; the output stays aligned
        with the input) or "bidirectional".
      merge: of both directions: "concat", "sum", "mean" or "mul".
      last: hand on the state after the last step taken, [B, H], instead of every step.
      residual: add the input to the output, which must be of one size.
      peephole: let the gates see the cell (Gers & Schmidhuber 2000).
      projection: size of the hidden state, if smaller than the cell (Sak et al. 2014).
      recurrent_dropout: rate, on the hidden state that is passed to the next step; the same units
        at every step (Gal & Ghahramani 2016). Applied only if `apply` is given a key.
      zero_output_for_mask: hand on zeros at masked steps, not the hidden state before; the trace
        stays as it is. Keras's Bidirectional does so if it returns sequences. With `last`, the
        output is zeros where the last step taken is masked, as in Keras.
    """

    units: int
    activation: ActivationFunction = "tanh"
    recurrent_activation: ActivationFunction = "sigmoid"
    output_activation: ActivationFunction | None = None
    direction: Literal["forward", "backward", "bidirectional"] = "forward"
    merge: Literal["concat", "sum", "mean", "mul"] = "concat"
    last: bool = False
    residual: bool = False
    peephole: bool = False
    projection: int | None = None
    recurrent_dropout: float = 0.0
    zero_output_for_mask: bool = False
    default_name = "lstm"

    def __post_init__(self) -> None:
        check_activations(self)
        checks.check_choice("direction", self.direction, ("forward", "backward", "bidirectional"))
        checks.check_choice("merge", self.merge, tuple(MERGE))
        for flag in ("last", "residual", "peephole", "zero_output_for_mask"):
            checks.check_choice(flag, getattr(self, flag), (False, True))
            set_plain(self, **{flag: bool(getattr(self, flag))})
        checks.check_rate("recurrent_dropout", self.recurrent_dropout)
        set_plain(
            self,
            units=checks.check_count("units", self.units),
            recurrent_dropout=float(self.recurrent_dropout),
        )
        if self.projection is not None:
            set_plain(self, projection=checks.check_count("projection", self.projection))

    @property
    def causal(self) -> bool:
        return self.direction == "forward" and not self.last

    def shape_after(self, name: str, shape: Shape) -> Shape:
        if not shape.in_time:
            raise ValueError(
                f"{name} reads a sequence, but the layer before it hands on one vector: give that "
                "LSTM last=False, or put a RepeatVector between"
            )
        features = self.projection or self.units
        if self.direction == "bidirectional" and self.merge == "concat":
            features *= 2
        if self.residual and (self.last or features != shape.features):
            raise ValueError(
                f"{name} cannot add its input of {shape.features} features to an output of "
                f"{features}{' at one step' * self.last}: residual needs equal shapes"
            )
        return Shape(features, in_time=not self.last)

    def layers(self, name: str, features: int) -> dict[str, Layer]:
        layer = Layer(LSTMParams, features, self.units, self.projection, self.peephole)
        return dict.fromkeys(self._names(name), layer)

    def _names(self, name: str) -> list[str]:
        return direction_names(name) if self.direction == "bidirectional" else [name]

    def run(self, name: str, x: Any, mask: Any, flow: Flow) -> tuple[Any, Any]:
        np, results = flow.ops.np, []
        for layer in self._names(name):
            reverse = self.direction == "backward" or layer == f"{name}_backward"
            state, trace = flow.ops.lstm(
                flow.params[layer],
                x,
                flow.states.get(layer),
                mask=mask,
                reverse=reverse,
                edit=flow.edits.get(layer),
                recurrent_dropout=self._dropout_mask(layer, x, flow),
                **activations_of(self),
            )
            flow.traces[layer] = trace
            h = state.h if self.last else trace.h
            if self.zero_output_for_mask and mask is not None:
                real = mask[:, 0 if reverse else -1] if self.last else mask
                h = np.where(real[..., None], h, 0)
            results.append(h)
        h = results[0] if len(results) == 1 else MERGE[self.merge](flow.ops, *results)
        if self.residual:
            h = h + np.asarray(x, h.dtype)
        return h, None if self.last else mask

    def _dropout_mask(self, layer: str, x: jax.Array, flow: Flow) -> jax.Array | None:
        if flow.key is None or not self.recurrent_dropout:
            return None
        shape = x.shape[0], self.projection or self.units
        dtype = flow.params[layer].kernel.dtype
        return flow.ops.dropout_mask(_key(layer, flow), shape, self.recurrent_dropout, dtype)


@dataclass(frozen=True, repr=False)
class Dense(Part):
    """A dense layer over the last axis, at each step if there are steps.

    Attributes:
      units: U, size of the output.
      activation: a name or a function, or "softmax", "silu" or "exponential"; None for none.
    """

    units: int
    activation: ActivationFunction | None = None
    default_name = "dense"

    def __post_init__(self) -> None:
        set_plain(self, units=checks.check_count("units", self.units))
        _check_activation(self.activation)

    def shape_after(self, name: str, shape: Shape) -> Shape:
        return shape._replace(features=self.units)

    def layers(self, name: str, features: int) -> dict[str, Layer]:
        return {name: Layer(DenseParams, features, self.units)}

    def type_name(self, in_time: bool) -> str:
        return "TimeDistributed(Dense)" if in_time else "Dense"

    def run(self, name: str, x: Any, mask: Any, flow: Flow) -> tuple[Any, Any]:
        return _activated(flow.ops, self.activation, flow.ops.dense(flow.params[name], x)), mask


@dataclass(frozen=True, repr=False)
class Activation(Part):
    """An activation by itself.

    Attributes:
      activation: a name or a function, or "softmax", "silu" or "exponential".
    """

    activation: ActivationFunction
    default_name = "activation"

    def __post_init__(self) -> None:
        _check_activation(self.activation)

    def run(self, name: str, x: Any, mask: Any, flow: Flow) -> tuple[Any, Any]:
        return _activated(flow.ops, self.activation, x), mask


@dataclass(frozen=True, repr=False)
class LeakyReLU(Part):
    """Numbers below 0 are multiplied by a slope (Maas et al. 2013).

    Attributes:
      slope: Keras's default for its layer; the default is 0.2 for its activation "leaky_relu", and
        0.01 in PyTorch.
    """

    slope: float = 0.3
    default_name = "leaky_relu"

    def __post_init__(self) -> None:
        set_plain(self, slope=checks.check_number("slope", self.slope))

    def run(self, name: str, x: Any, mask: Any, flow: Flow) -> tuple[Any, Any]:
        return flow.ops.np.where(x > 0, x, x * self.slope), mask


@dataclass(frozen=True, repr=False)
class LayerNorm(Part):
    """Normalise the features to mean 0 and variance 1, then scale and shift them (Ba et al. 2016).

    Attributes:
      epsilon: added to the variance; Keras's default.
    """

    epsilon: float = 1e-3
    default_name = "layer_norm"

    def __post_init__(self) -> None:
        if (epsilon := checks.check_number("epsilon", self.epsilon)) <= 0:
            raise ValueError(f"epsilon must be above 0, got {epsilon}")
        set_plain(self, epsilon=epsilon)

    def layers(self, name: str, features: int) -> dict[str, Layer]:
        return {name: Layer(LayerNormParams, features, features)}

    def run(self, name: str, x: Any, mask: Any, flow: Flow) -> tuple[Any, Any]:
        scale, offset = map(flow.ops.np.asarray, flow.params[name])
        centred = flow.ops.np.asarray(x, scale.dtype)
        centred = centred - centred.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        axes = tuple(range(x.ndim - 1))
        scale, offset = (flow.ops.np.expand_dims(leaf, axes) for leaf in (scale, offset))
        return centred / flow.ops.np.sqrt(variance + self.epsilon) * scale + offset, mask


@dataclass(frozen=True, repr=False)
class Dropout(Part):
    """Drop numbers at random, and scale up the others (Srivastava et al. 2014).

    Applied only if the chain's `apply` is given a key.

    Attributes:
      rate: probability of each number to be dropped.
      same_at_all_steps: drop the same features at every step (Gal & Ghahramani 2016).
    """

    rate: float
    same_at_all_steps: bool = False
    default_name = "dropout"

    def __post_init__(self) -> None:
        checks.check_rate("rate", self.rate)
        checks.check_choice("same_at_all_steps", self.same_at_all_steps, (False, True))
        same = bool(self.same_at_all_steps)
        set_plain(self, rate=float(self.rate), same_at_all_steps=same)

    def run(self, name: str, x: Any, mask: Any, flow: Flow) -> tuple[Any, Any]:
        if flow.key is None or not self.rate:
            return x, mask
        shared = (1,) if self.same_at_all_steps and x.ndim == 3 else ()
        return flow.ops.dropout(_key(name, flow), x, self.rate, shared_axes=shared), mask


@dataclass(frozen=True, repr=False)
class RepeatVector(Part):
    """Repeat a vector [B, F] at each of n steps, as an autoencoder hands its code to the decoder.

    Attributes:
      steps: n.
    """

    steps: int
    default_name = "repeat"
    causal = False

    def __post_init__(self) -> None:
        set_plain(self, steps=checks.check_count("steps", self.steps))

    def shape_after(self, name: str, shape: Shape) -> Shape:
        if shape.in_time:
            raise ValueError(
                f"{name} repeats one vector, but the layer before it hands on a sequence: give "
                "that LSTM last=True"
            )
        return shape._replace(in_time=True)

    def steps_after(self, steps: int | None) -> int | None:
        return self.steps

    def run(self, name: str, x: Any, mask: Any, flow: Flow) -> tuple[Any, Any]:
        return flow.ops.repeat_vector(x, self.steps), None


@dataclass(frozen=True, repr=False)
class Reverse(Part):
    """Reverse the time axis: the last step comes first.

    After an LSTM of direction "backward" it hands on the steps in the order in which they were
    taken, as an LSTM of Keras with go_backwards=True does.

    Attributes:
      reverse_mask: reverse the mask, too, so that it stays with its steps. Keras's go_backwards
        leaves the mask as it was: False computes the same as its models do.
    """

    reverse_mask: bool = True
    default_name = "reverse"
    causal = False

    def __post_init__(self) -> None:
        checks.check_choice("reverse_mask", self.reverse_mask, (False, True))
        set_plain(self, reverse_mask=bool(self.reverse_mask))

    def shape_after(self, name: str, shape: Shape) -> Shape:
        if not shape.in_time:
            raise ValueError(
                f"{name} reverses a sequence, but the layer before it hands on one vector: give "
                "that LSTM last=False"
            )
        return shape

    def mask_after(self, mask: Any) -> Any:
        """Return the mask of the steps after they are reversed."""
        return mask if mask is None or not self.reverse_mask else mask[:, ::-1]

    def run(self, name: str, x: Any, mask: Any, flow: Flow) -> tuple[Any, Any]:
        return x[:, ::-1], self.mask_after(mask)


PARTS: dict[str, type] = {name: globals()[name] for name in __all__}

# Not for the inside of an LSTM: the derivative must follow from the value there, and the values of
# "exponential" outgrow every number.
BEYOND_LSTM = ("softmax", "silu", "exponential")


def _check_activation(activation: Any) -> None:
    if activation is not None and activation not in BEYOND_LSTM:
        checks.check_activation("activation", activation)


def _activated(ops: Any, activation: Any, x: jax.Array) -> jax.Array:
    if activation is None:
        return x
    if activation == "softmax":
        exponentials = ops.np.exp(x - x.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)
    if activation == "silu":
        return x * ops.activate("sigmoid", x)
    if activation == "exponential":
        return ops.np.exp(x)
    return ops.activate(activation, x)
