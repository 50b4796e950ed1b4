"""Models as files of ONNX, in which each LSTM layer is one LSTM node of the same name.

The batch and the time axis are of any size; inputs and outputs are batch-major, as those of `apply`
are, and inputs are named as its arguments. There is no input for a mask: an Embedding with padding
and a Masking find the steps to leave out themselves, wherever these are. Weights are
float32: onnxruntime has an LSTM only for these. What reads its own output step by step is refused:
a conditional decoder, a recursive forecaster, a Seq2Seq.

onnxruntime, among others, runs such files: https://onnxruntime.ai
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lstmcore.arrays import as_params, as_values
from lstmcore.interop.as_chain import as_chain
from lstmcore.interop.onnx.builder import INT64, Graph
from lstmcore.interop.onnx.described import describe
from lstmcore.interop.onnx.lstm import OnnxLSTM
from lstmcore.interop.onnx.nodes import (
    activated,
    activation_attributes,
    dense,
    listed_activations,
    lstm,
)
from lstmcore.io.atomic import atomic_path
from lstmcore.models import chain_parts as parts
from lstmcore.models.autoencoders import Autoencoder, CompositeAutoencoder
from lstmcore.models.chain import Chain
from lstmcore.models.dense_autoencoder import DenseAutoencoder
from lstmcore.models.forecaster import Forecaster
from lstmcore.models.seq2seq import Seq2Seq
from lstmcore.models.stack import activations_of
from lstmcore.models.stacked import StackedLSTM
from lstmcore.specs import check_params
from lstmcore.types import DenseParams

__all__ = ["write"]


def write(path: str | os.PathLike, model: Any, params: Mapping[str, Any]) -> None:
    """Write a model into a file of ONNX; see `lc.interop.write`.

    Raises:
      ValueError: params that do not fit the model or are not of float32; a layer or an activation
        that ONNX does not have; a model that reads its own output.
      ImportError: onnx is not installed.
    """
    where = os.fspath(path)
    if isinstance(model, Seq2Seq):
        raise ValueError(
            f"{where}: a Seq2Seq cannot be written: its decoder reads the tokens that it chose "
            "itself, and an LSTM node reads a sequence that is complete"
        )
    if type(model) not in MODELS:
        known = ", ".join(kind.__name__ for kind in MODELS)
        raise ValueError(f"{where}: {type(model).__name__} cannot be written: only {known} can")
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'{where} needs the package onnx: pip install "lstmcore[onnx]"'
        ) from error
    graph = Graph(where)
    MODELS[type(model)](graph, model, _values(where, model, params))
    proto = graph.model()
    describe(proto, model)
    contents = proto.SerializeToString()
    with atomic_path(path) as temporary:
        temporary.write_bytes(contents)


def _values(where: str, model: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params of a model as arrays of NumPy; raise unless all are of float32."""
    checked = {
        name: as_params(weights, f"params[{name!r}]", read=as_values)
        for name, weights in check_params(params, model.layers).items()
    }
    for name, weights in checked.items():
        for field, array in zip(weights._fields, weights, strict=True):
            if array is not None and array.dtype != np.float32:
                raise ValueError(
                    f"{where}: params[{name!r}].{field} is {array.dtype}, expected "
                    "float32: onnxruntime has an LSTM only for these: round them first, "
                    'jax.tree.map(lambda w: w.astype("float32"), params)'
                )
    return checked


# Each model


def _write_chain(graph: Graph, model: Chain, params: dict) -> None:
    if model.features is None:
        x = graph.input("x", "int64", "batch", "time")
    else:
        x = graph.input("x", "float32", "batch", "time", model.features)
    mask: str | None = None
    axes: tuple = ()
    time: Any = "time"
    for name, part, _, after in model._walk():
        x, mask = CHAIN_PARTS[type(part)](graph, name, part, params, x, mask)
        time = part.steps_after(time)
        axes = ("batch", *(time,) * after.in_time, after.features)
    graph.output("output", x, *axes)


def _write_autoencoder(graph: Graph, model: Autoencoder, params: dict) -> None:
    x = graph.input("x", "float32", "batch", "time", model.features)
    code = _encoded(graph, model, params, x)
    output = _decoded(graph, model, params, "decoder", code, _steps(graph, x, model.steps))
    graph.output("output", output, "batch", model.steps or "time", model.features)


def _write_composite(graph: Graph, model: CompositeAutoencoder, params: dict) -> None:
    x = graph.input("x", "float32", "batch", "time", model.features)
    code = _encoded(graph, model, params, x)
    for name, steps in {"reconstruction": None, "prediction": model.steps}.items():
        output = _decoded(graph, model, params, name, code, _steps(graph, x, steps))
        graph.output(name, output, "batch", steps or "time", model.features)


def _write_stacked(graph: Graph, model: StackedLSTM, params: dict) -> None:
    _write_chain(graph, as_chain(model), params)


def _write_dense_autoencoder(graph: Graph, model: DenseAutoencoder, params: dict) -> None:
    h = graph.input("x", "float32", "batch", model.features)
    last = len(model.units) - 1
    for place in range(len(model.units)):
        name = f"encoder_{place}"
        h = activated(graph, name, model.activation, dense(graph, name, params[name], h))
    for place in range(len(model.units)):
        name = f"decoder_{place}"
        layer = params[name]
        if model.tied:
            layer = DenseParams(params[f"encoder_{last - place}"].kernel.T, layer.bias)
        h = dense(graph, name, layer, h)
        if place < last:
            h = activated(graph, name, model.activation, h)
    graph.output("output", h, "batch", model.features)


def _write_forecaster(graph: Graph, model: Forecaster, params: dict) -> None:
    if model.mode == "recursive":
        raise ValueError(
            f"{graph.where}: a Forecaster with mode='recursive' reads its own forecasts, and an "
            "LSTM node reads a sequence that is complete: use mode='direct'"
        )
    x = graph.input("x", "float32", "batch", "time", model.features)
    known, of_series = _beside(graph, model, params)
    rows = x if model.lstm_rows is None else _last_rows(graph, "lstm_rows", x, model.lstm_rows)
    code = _final(graph, model, params, "lstm", rows)
    read = _concatenated(graph, "head", [code, *known, *of_series])
    forecast = dense(graph, "head", params["head"], read)
    if model.linear_rows:
        past = _last_rows(graph, "linear_rows", x, model.linear_rows)
        flat = graph.integers(0, model.linear_rows * model.features)
        past = graph.node("Reshape", "linear/Reshape", past, flat)
        read = _concatenated(graph, "linear", [past, *known])
        linear = dense(graph, "linear", params["linear"], read)
        forecast = graph.node("Add", "head/linear", forecast, linear)
    shape = model.horizon, model.targets, *(len(model.quantiles),) * bool(model.quantiles)
    forecast = graph.node("Reshape", "head/Reshape", forecast, graph.integers(-1, *shape))
    if model.quantiles:  # in increasing order
        count = graph.integers(len(model.quantiles))
        outputs = ["Values", "Indices"]
        graph.node("TopK", "head/sorted", forecast, count, outputs=outputs, axis=-1, largest=0)
        forecast = "head/sorted/Values"
    graph.output("output", forecast, "batch", *shape)


def _write_lstm(graph: Graph, model: OnnxLSTM, params: dict) -> None:
    x = graph.input("x", "float32", "batch", "time", model.features)
    attributes: dict[str, Any] = listed_activations(model.activations or ())
    if model.clip is not None:
        attributes["clip"] = model.clip
    if model.input_forget:
        attributes["input_forget"] = 1
    direction = "backward" if model.direction == "reverse" else model.direction
    weights = list(params.values())
    output = lstm(graph, "lstm_0", weights, x, attributes, direction=direction)
    graph.output("output", output, "batch", "time", len(weights) * model.units)


# What the models share


def _layer(graph: Graph, model: Any, params: dict, name: str, x: str, *, last: bool = False) -> str:
    """Return the output of one LSTM layer of a model, whose layers all have its activations."""
    attributes = activation_attributes(graph, name, activations_of(model))
    return lstm(graph, name, [params[name]], x, attributes, last=last)


def _final(graph: Graph, model: Any, params: dict, name: str, x: str) -> str:
    """Return the last hidden state [B, H] of the stack of layers name_0, name_1, ..."""
    last = len(model.units) - 1
    for place in range(len(model.units)):
        layer = f"{name}_{place}"
        x = _layer(graph, model, params, layer, x, last=place == last)
    return x


def _encoded(graph: Graph, model: Any, params: dict, x: str) -> str:
    """Return the code of an autoencoder, [B, H]."""
    if model.conditional:
        raise ValueError(
            f"{graph.where}: the decoder of an {type(model).__name__} with conditional=True reads "
            "its own output, and an LSTM node reads a sequence that is complete: use "
            "conditional=False"
        )
    return _final(graph, model, params, "encoder", x)


def _decoded(graph: Graph, model: Any, params: dict, name: str, code: str, steps: str) -> str:
    """Return the output of the decoder `name`, [B, steps, F], which reads the code at each step."""
    h = _repeated(graph, f"{name}_repeat", code, steps)
    for place in range(len(model.units)):
        layer = f"{name}_{place}"
        h = _layer(graph, model, params, layer, h)
    head = "head" if name == "decoder" else f"{name}_head"
    return dense(graph, head, params[head], h)


def _steps(graph: Graph, x: str, steps: int | None) -> str:
    """Return a number of steps, as a vector of one integer; None for those of x."""
    if steps is not None:
        return graph.integers(steps)
    return graph.node("Shape", "steps", x, start=1, end=2)


def _repeated(graph: Graph, name: str, vector: str, steps: str) -> str:
    """Return a vector [B, F] at each of so many steps."""
    column = graph.node("Unsqueeze", f"{name}/Unsqueeze", vector, graph.integers(1))
    one = graph.integers(1)
    shape = graph.node("Concat", f"{name}/shape", one, steps, one, axis=0)
    return graph.node("Expand", name, column, shape)


def _last_rows(graph: Graph, name: str, x: str, count: int) -> str:
    """Return the last rows of x [B, T, F], or all if there are no more."""
    start, end, axis = graph.integers(-count), graph.integers(2**62), graph.integers(1)
    return graph.node("Slice", name, x, start, end, axis)


def _concatenated(graph: Graph, name: str, values: list[str]) -> str:
    """Return values [B, ...] side by side."""
    return values[0] if len(values) == 1 else graph.node("Concat", f"{name}/read", *values, axis=1)


def _beside(graph: Graph, model: Forecaster, params: dict) -> tuple[list[str], list[str]]:
    """Add the inputs of a forecaster beside x.

    Returns:
      (what is known of the rows to forecast, what tells the series apart): values [B, ...], in the
      order in which the head reads them.
    """
    known, of_series = [], []
    if size := model.future_covariates:
        future = graph.input("future", "float32", "batch", model.horizon, size)
        flat = graph.integers(0, model.horizon * size)
        known.append(graph.node("Reshape", "future/Reshape", future, flat))
    if model.calendar:
        known.append(graph.input("calendar", "float32", "batch", model.calendar))
    if model.static:
        of_series.append(graph.input("static", "float32", "batch", model.static))
    if model.series:  # one below 0 has no vector of its own, and is given the mean of all
        series, table = graph.input("series", "int64", "batch"), params["series"].table
        zero = graph.integers(0)
        place = graph.node("Max", "series/place", series, zero)
        own = graph.node("Gather", "series/own", graph.constant("series/table", table), place)
        unknown = graph.node("Less", "series/Less", series, zero)
        unknown = graph.node("Unsqueeze", "series/unknown", unknown, graph.integers(1))
        mean = graph.constant("series/mean", table.mean(axis=0))
        of_series.append(graph.node("Where", "series/vector", unknown, mean, own))
    return known, of_series


# Each part of a chain: (graph, name of the layer, part, params, x, mask) -> (output, its mask)

Result = tuple[str, str | None]


def _lstm(graph: Graph, name: str, part: parts.LSTM, params: dict, x: str, mask: Any) -> Result:
    layers = list(part.layers(name, 0))
    h = lstm(
        graph,
        name,
        [params[layer] for layer in layers],
        x,
        activation_attributes(graph, name, activations_of(part), len(layers)),
        direction=part.direction,
        merge=part.merge,
        last=part.last,
        mask=mask,
        zero_output_for_mask=part.zero_output_for_mask,
    )
    if part.residual:
        h = graph.node("Add", f"{name}/residual", h, x)
    return h, None if part.last else mask


def _dense(graph: Graph, name: str, part: parts.Dense, params: dict, x: str, mask: Any) -> Result:
    return activated(graph, name, part.activation, dense(graph, name, params[name], x)), mask


def _embedding(
    graph: Graph, name: str, part: parts.Embedding, params: dict, x: str, mask: Any
) -> Result:
    table = graph.constant(f"{name}/table", params[name].table)
    if part.padding is not None:
        mask = graph.node("Equal", f"{name}/padding", x, graph.integers(part.padding))
        mask = graph.node("Not", f"{name}/mask", mask)
    return graph.node("Gather", name, table, x), mask


def _masking(
    graph: Graph, name: str, part: parts.Masking, params: dict, x: str, mask: Any
) -> Result:
    value, zero = (graph.constant(f"{name}/{n}", np.float32(n)) for n in (part.value, 0))
    same = graph.node("Equal", f"{name}/Equal", x, value)
    same = graph.node("Cast", f"{name}/same", same, to=INT64)
    least = graph.node("ReduceMin", f"{name}/all_same", same, graph.integers(-1))  # keeps the axis
    real = graph.node("Equal", f"{name}/real", least, graph.integers(0))
    mask = graph.node("Squeeze", f"{name}/mask", real, graph.integers(-1))
    return graph.node("Where", name, real, x, zero), mask


def _activation(
    graph: Graph, name: str, part: parts.Activation, params: dict, x: str, mask: Any
) -> Result:
    return activated(graph, name, part.activation, x), mask


def _leaky_relu(
    graph: Graph, name: str, part: parts.LeakyReLU, params: dict, x: str, mask: Any
) -> Result:
    return graph.node("LeakyRelu", name, x, alpha=part.slope), mask


def _layer_norm(
    graph: Graph, name: str, part: parts.LayerNorm, params: dict, x: str, mask: Any
) -> Result:
    weights = [graph.constant(f"{name}/{key}", w) for key, w in params[name]._asdict().items()]
    return graph.node("LayerNormalization", name, x, *weights, epsilon=part.epsilon), mask


def _dropout(
    graph: Graph, name: str, part: parts.Dropout, params: dict, x: str, mask: Any
) -> Result:
    return x, mask  # only for training


def _repeat(
    graph: Graph, name: str, part: parts.RepeatVector, params: dict, x: str, mask: Any
) -> Result:
    return _repeated(graph, name, x, graph.integers(part.steps)), None


def _reverse(
    graph: Graph, name: str, part: parts.Reverse, params: dict, x: str, mask: Any
) -> Result:
    places = graph.integers(-1), graph.integers(-(2**62)), graph.integers(1), graph.integers(-1)
    if mask is not None and part.reverse_mask:
        mask = graph.node("Slice", f"{name}/mask", mask, *places)
    return graph.node("Slice", name, x, *places), mask


CHAIN_PARTS: dict[type, Callable[..., Result]] = {
    parts.LSTM: _lstm,
    parts.Dense: _dense,
    parts.Embedding: _embedding,
    parts.Masking: _masking,
    parts.Activation: _activation,
    parts.LeakyReLU: _leaky_relu,
    parts.LayerNorm: _layer_norm,
    parts.Dropout: _dropout,
    parts.RepeatVector: _repeat,
    parts.Reverse: _reverse,
}
MODELS: dict[type, Callable[[Graph, Any, dict], None]] = {
    Chain: _write_chain,
    Autoencoder: _write_autoencoder,
    CompositeAutoencoder: _write_composite,
    StackedLSTM: _write_stacked,
    DenseAutoencoder: _write_dense_autoencoder,
    Forecaster: _write_forecaster,
    OnnxLSTM: _write_lstm,
}
