"""Chains as `.keras` files, which Keras 3 loads with `keras.models.load_model`.

Such a file is a zip of the architecture (config.json), what wrote it (metadata.json) and the
weights (model.weights.h5), which lie in groups numbered by class: lstm, lstm_1, ...
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import lstmcore as lc
from lstmcore.interop.as_chain import as_chain
from lstmcore.interop.keras.config import snake_case
from lstmcore.interop.keras.layers import MERGES
from lstmcore.interop.keras.weights import to_keras
from lstmcore.io.atomic import atomic_path
from lstmcore.models import chain_parts as parts
from lstmcore.specs import check_params, direction_names

__all__ = ["write"]

MERGE_MODES = {ours: theirs for theirs, ours in MERGES.items()}
VERSION = "3.0.0"  # the oldest Keras that has all of this
OLDEST_DATE = (1980, 1, 1, 0, 0, 0)  # so that equal models make equal files

Weights = dict[str, list[np.ndarray]]  # by the place within the group of the layer


def write(path: str | os.PathLike, model: Any, params: Mapping[str, Any]) -> None:
    """Write a model to a `.keras` file; see `lc.interop.write`.

    Args:
      path: the file; an existing one is replaced, in one step, once the new one is complete.
      model: an lc.Chain, lc.Autoencoder (with steps=) or lc.StackedLSTM.
      params: its weights; of one dtype, float16, float32 or float64.

    Raises:
      ValueError: a part or an option that Keras cannot express, or params that do not fit.
      TypeError: params of a wrong kind.
      ImportError: h5py is not installed.
    """
    where = os.fspath(path)
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f'{where} needs the package h5py: pip install "lstmcore[keras]"'
        ) from error
    try:
        chain = as_chain(model)
        params = {
            name: type(layer)(*(None if leaf is None else np.asarray(leaf) for leaf in layer))
            for name, layer in check_params(params, chain.layers).items()
        }
        dtype = _dtype_of(params)
        layers = list(_layers(chain, params, dtype))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from error
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {
            "name": "lstmcore",
            "trainable": True,
            "dtype": dtype,
            "layers": [_input(chain, dtype), *(described for described, _ in layers)],
        },
        "registered_name": None,
    }
    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        counts: dict[str, int] = {}
        for described, arrays in layers:
            kind = snake_case(described["class_name"])
            counts[kind] = place = counts.get(kind, -1) + 1
            group = f"layers/{kind}_{place}" if place else f"layers/{kind}"
            weights.create_group(f"{group}/vars")
            for inner, values in arrays.items():
                for number, value in enumerate(values):
                    weights[f"{group}/{inner}vars/{number}"] = value
    contents = {
        "metadata.json": json.dumps({"keras_version": VERSION, "written_by": "lstmcore"}).encode(),
        "config.json": json.dumps(config).encode(),
        "model.weights.h5": file.getvalue(),
    }
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name, OLDEST_DATE), data)


def _dtype_of(params: Mapping[str, Any]) -> str:
    """Return the dtype of all weights."""
    dtypes = {str(leaf.dtype) for layer in params.values() for leaf in layer if leaf is not None}
    if len(dtypes) > 1 or not dtypes <= {"float16", "float32", "float64"}:
        raise ValueError(
            f"the weights are of {', '.join(sorted(dtypes))}: a .keras file takes one of float16, "
            "float32 and float64"
        )
    return dtypes.pop() if dtypes else "float32"


def _input(chain: lc.Chain, dtype: str) -> dict[str, Any]:
    """Return the description of the input."""
    tokens = chain.features is None
    shape = [None, None] if tokens else [None, None, chain.features]
    config = {"batch_shape": shape, "dtype": "int32" if tokens else dtype, "name": "input"}
    return _described("InputLayer", config)


def _described(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": config,
        "registered_name": None,
    }


def _layers(
    chain: lc.Chain, params: Mapping[str, Any], dtype: str
) -> Iterator[tuple[dict[str, Any], Weights]]:
    """Yield the description and the weights of each layer of Keras."""
    masked, in_time = False, True
    waiting: str | None = None  # an LSTM that goes backwards, whose output must be reversed
    for name, part in chain.named_parts():
        if waiting and not _reverses_as_keras(part):
            raise ValueError(_BACKWARD.format(waiting))
        if isinstance(part, parts.Reverse):
            if not waiting:
                raise ValueError(
                    f"{name} cannot be written: Keras has no layer that reverses time, but an LSTM "
                    "that goes backwards, which is LSTM(direction='backward') before "
                    "Reverse(reverse_mask=False)"
                )
            waiting = None
            continue
        if isinstance(part, parts.Masking):
            masked = True
        if isinstance(part, parts.Embedding):
            masked = part.padding is not None
        if isinstance(part, parts.LSTM):
            _check_lstm(name, part, masked)
            waiting = name if part.direction == "backward" and not part.last else None
            masked &= not part.last
        in_time = in_time and not getattr(part, "last", False)
        in_time |= isinstance(part, parts.RepeatVector)
        if isinstance(part, parts.Dropout) and not in_time:
            part = replace(part, same_at_all_steps=False)  # which has no meaning there
        kind, config, weights = _keras_layer(name, part, params)
        yield _described(kind, {"name": name, "dtype": dtype, **config}), weights
    if waiting:
        raise ValueError(_BACKWARD.format(waiting))


_BACKWARD = (
    "{} cannot be written: an LSTM of Keras that goes backwards returns its steps in the order in "
    "which it took them: put Reverse(reverse_mask=False) after it, or give it last=True"
)


def _reverses_as_keras(part: parts.Part) -> bool:
    return isinstance(part, parts.Reverse) and not part.reverse_mask


def _keras_layer(
    name: str, part: parts.Part, params: Mapping[str, Any]
) -> tuple[str, dict[str, Any], Weights]:
    """Return the class of one layer in Keras, its arguments and its weights."""
    config: dict[str, Any]
    match part:
        case parts.LSTM():
            return _lstm(name, part, params)
        case parts.Embedding(vocabulary=vocabulary, units=units, padding=padding):
            if padding not in (None, 0):
                raise ValueError(f"{name}: the padding is {padding}, but in Keras it can only be 0")
            config = {"input_dim": vocabulary, "output_dim": units, "mask_zero": padding == 0}
            return "Embedding", config, {"": [params[name].table]}
        case parts.Masking(value=value):
            return "Masking", {"mask_value": value}, {}
        case parts.Dense(units=units, activation=activation):
            config = {"units": units, "activation": _activation(name, activation or "linear")}
            return "Dense", config, {"": list(params[name])}
        case parts.Activation(activation=activation):
            return "Activation", {"activation": _activation(name, activation)}, {}
        case parts.LeakyReLU(slope=slope):
            return "LeakyReLU", {"negative_slope": slope}, {}
        case parts.LayerNorm(epsilon=epsilon):
            return "LayerNormalization", {"epsilon": epsilon}, {"": list(params[name])}
        case parts.Dropout(rate=rate, same_at_all_steps=same):
            return "SpatialDropout1D" if same else "Dropout", {"rate": rate}, {}
        case parts.RepeatVector(steps=steps):
            return "RepeatVector", {"n": steps}, {}
    raise ValueError(f"{name}, {type(part).__name__}, cannot be written to a file of Keras")


def _lstm(
    name: str, part: parts.LSTM, params: Mapping[str, Any]
) -> tuple[str, dict[str, Any], Weights]:
    """Return an LSTM layer of Keras, or a Bidirectional one."""
    config: dict[str, Any] = {
        "units": part.units,
        "activation": _activation(name, part.activation),
        "recurrent_activation": _activation(name, part.recurrent_activation),
        "return_sequences": not part.last,
        "recurrent_dropout": part.recurrent_dropout,
        "zero_output_for_mask": part.zero_output_for_mask,
    }
    if part.direction != "bidirectional":
        config["go_backwards"] = part.direction == "backward"
        return "LSTM", config, {"cell/": to_keras(params[name])}
    inner = [
        _described("LSTM", {"name": f"{direction}_{name}", "go_backwards": backwards, **config})
        for direction, backwards in (("forward", False), ("backward", True))
    ]
    outer = {"merge_mode": MERGE_MODES[part.merge], "layer": inner[0], "backward_layer": inner[1]}
    weights = {
        f"{direction}_layer/cell/": to_keras(params[layer])
        for direction, layer in zip(("forward", "backward"), direction_names(name), strict=True)
    }
    return "Bidirectional", outer, weights


def _check_lstm(name: str, part: parts.LSTM, masked: bool) -> None:
    """Raise if an LSTM has an option that Keras's has not."""
    problem = None
    if part.output_activation not in (None, part.activation):
        problem = "an output_activation other than its activation"
    for option in ("peephole", "projection", "residual"):
        if getattr(part, option):
            problem = f"a {option}" if option != "residual" else "a residual connection"
    if problem:
        raise ValueError(f"{name} cannot be written: the LSTM of Keras has not got {problem}")
    zero = not part.last
    if masked and part.direction == "bidirectional" and part.zero_output_for_mask != zero:
        raise ValueError(
            f"{name} cannot be written as it is: a Bidirectional layer of Keras "
            f"{'returns zeros' if zero else 'repeats the state'} at masked steps. Give it "
            f"zero_output_for_mask={zero}"
        )


def _activation(name: str, activation: Any) -> str:
    """Return the name of an activation in Keras 3."""
    if not isinstance(activation, str):
        raise ValueError(
            f"{name} cannot be written: give its activation by name, not as a function"
        )
    if activation == "hard_sigmoid_keras2":
        raise ValueError(
            f"{name} cannot be written: Keras 3 has no hard_sigmoid_keras2; its hard_sigmoid is "
            "another function"
        )
    return activation
