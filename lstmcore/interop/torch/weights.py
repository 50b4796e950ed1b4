"""Weights of PyTorch's nn.LSTM and nn.LSTMCell, under the names that their state dicts have.

weight_ih_l{k}   [4H, F], gates in the order i, f, g, o, as here; of every layer k
weight_hh_l{k}   [4H, H]; [4H, P] with a projection (proj_size)
bias_ih_l{k}     [4H], and bias_hh_l{k} [4H]: the two are added; both are left out by bias=False
weight_hr_l{k}   [P, H], the projection

The backward direction of a layer has `_reverse` after each of its names. An nn.LSTMCell has the
same weights as one layer, without `_l{k}`.
https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lstmcore.arrays import as_params, as_values
from lstmcore.checks import check_lstm_params
from lstmcore.formatting import few, listed, shorten
from lstmcore.interop.gates import lstm_params, refuse_path
from lstmcore.specs import direction_names
from lstmcore.types import LSTMParams

__all__ = ["from_torch", "to_torch"]

NAME = re.compile(
    r"(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)((?:_l(?:0|[1-9]\d{0,3})(?:_reverse)?)?)"
)
LAYER = re.compile(r"(.+)_(0|[1-9]\d{0,3})(|_forward|_backward)")


def from_torch(state_dict: Any, prefix: str = "") -> dict[str, LSTMParams]:
    """Return the weights of an nn.LSTM or nn.LSTMCell.

    Args:
      state_dict: {name: tensor or array}, as `module.state_dict()` returns it, or the module.
      prefix: what the names of this LSTM begin with, such as "encoder.lstm", in the state dict of a
        larger module.

    Returns:
      {"lstm_0": LSTMParams, "lstm_1": ...}, NumPy arrays that share no memory with the tensors. Of
      a bidirectional LSTM "lstm_0_forward", "lstm_0_backward", ...; an nn.LSTMCell is "lstm_0".

    Raises:
      ValueError: no LSTM under the prefix, a missing or unknown weight, or shapes that do not fit,
        such as those of a GRU; the message names the tensors.
      TypeError: no state dict, or a tensor that NumPy cannot read, such as one on a GPU.

    Examples:
      >>> import numpy as np
      >>> weights = {"weight_ih_l0": np.ones((16, 3)), "weight_hh_l0": np.ones((16, 4))}
      >>> from_torch(weights)["lstm_0"].recurrent_kernel.shape
      (4, 16)
    """
    refuse_path("from_torch", state_dict)
    prefix, found = _weights(state_dict, prefix)
    if "" in found and len(found) > 1:
        raise ValueError(
            f"{prefix}weight_ih is of an nn.LSTMCell and {prefix}weight_ih_l0 of an nn.LSTM: the "
            "weights of only one are expected here"
        )
    directions = ("", "_reverse") if any(end.endswith("_reverse") for end in found) else ("",)
    count = max((int(re.findall(r"\d+", end)[0]) for end in found if end), default=0) + 1
    params: dict[str, LSTMParams] = {}
    for k in range(count):
        names = direction_names(f"lstm_{k}") if len(directions) > 1 else [f"lstm_{k}"]
        for name, direction in zip(names, directions, strict=True):
            end = "" if "" in found else f"_l{k}{direction}"
            params[name] = _layer(prefix, end, found.get(end, {}))
    _check_same_weights(prefix, found)
    stack(params, lambda name, field: prefix + _torch_name(name, field, "" in found))
    return params


def to_torch(
    params: Mapping[str, LSTMParams], prefix: str = "", *, cell: bool = False
) -> dict[str, np.ndarray]:
    """Return the state dict of an nn.LSTM with the given weights.

        state_dict = {name: torch.from_numpy(a) for name, a in to_torch(params).items()}
        module.load_state_dict(state_dict)

    Args:
      params: {name: LSTMParams}, named as by `from_torch`: one name for all layers and the number
        of each, such as "lstm_0", "lstm_1"; with "_forward", "_backward" after it if there are two
        directions.
      prefix: what the names shall begin with, such as "encoder.lstm".
      cell: return the weights of an nn.LSTMCell.

    Returns:
      {name: array}. All of the bias is in bias_ih, and bias_hh is zeros.

    Raises:
      ValueError: weights that an nn.LSTM cannot have: a peephole, layers of different sizes or
        dtypes, missing layers; of an nn.LSTMCell more than one layer or a projection.
      TypeError: no dict of LSTMParams.

    Examples:
      >>> import jax, lstmcore as lc
      >>> params = {"lstm_0": lc.init_lstm(jax.random.key(0), 3, 4)}
      >>> to_torch(params, "encoder")["encoder.weight_ih_l0"].shape
      (16, 3)
    """
    layers = stack(params)
    if cell and (len(params) > 1 or layers[0][0].projection is not None):
        raise ValueError(
            "an nn.LSTMCell has one layer, one direction and no projection, got "
            f"{listed(list(params))}: leave out cell=True for an nn.LSTM"
        )
    prefix = with_dot(prefix)
    state_dict: dict[str, np.ndarray] = {}
    for k, directions in enumerate(layers):
        for direction, layer in zip(("", "_reverse"), directions, strict=False):
            end = "" if cell else f"_l{k}{direction}"
            arrays = {
                "weight_ih": layer.kernel.T,
                "weight_hh": layer.recurrent_kernel.T,
                "bias_ih": layer.bias,
                "bias_hh": np.zeros_like(layer.bias),
            }
            if layer.projection is not None:
                arrays["weight_hr"] = layer.projection.T
            state_dict |= {f"{prefix}{name}{end}": _copy(a) for name, a in arrays.items()}
    return state_dict


def prefixes(names: Iterable[str]) -> list[str]:
    """Return the prefixes, in order, under which a state dict has weights named as an LSTM's.

    A GRU and a simple RNN of PyTorch have the same names.

    Examples:
      >>> prefixes(["embedding.weight", "encoder.weight_ih_l0", "encoder.weight_hh_l0"])
      ['encoder.']
    """
    split = (name.rpartition(".") for name in names)
    found = (first + dot for first, dot, last in split if NAME.fullmatch(last))
    return list(dict.fromkeys(found))


def stack(params: Any, called: Any = None) -> list[list[LSTMParams]]:
    """Return layers by number, each with its directions; all of the sizes that PyTorch demands.

    Args:
      params: {name: LSTMParams}, named as by `from_torch`.
      called: function (name of the layer, field) -> what messages call the array.

    Raises:
      ValueError, TypeError: as `to_torch`.
    """
    called = called or (lambda name, field: f"params[{name!r}].{field}")
    named = _by_number(params)
    layers = [[as_params(params[n], f"params[{n!r}]", as_values) for n in names] for names in named]
    first = layers[0][0]
    for k, names in enumerate(named):
        for name, layer in zip(names, layers[k], strict=True):
            check_lstm_params(layer, f"params[{name!r}]")
            features = len(names) * first.recurrent_kernel.shape[0] if k else first.kernel.shape[0]
            _check_alike(name, layer, named[0][0], first, features, called)
    return layers


def _check_alike(
    name: str, layer: LSTMParams, first_name: str, first: LSTMParams, features: int, called: Any
) -> None:
    """Raise unless a layer reads so many features and is like the first of its nn.LSTM."""
    if layer.peephole is not None:
        raise ValueError(
            f"{called(name, 'peephole')} has no place in an nn.LSTM, whose gates do not see the "
            "cell"
        )
    recurrent, kernel = first.recurrent_kernel.shape, (features, first.kernel.shape[1])
    for field, shape in (("recurrent_kernel", recurrent), ("kernel", kernel)):
        if getattr(layer, field).shape != shape:
            raise ValueError(
                f"{called(name, field)} is of {_sizes(layer)}, but {called(first_name, field)} of "
                f"{_sizes(first)}: all layers of an nn.LSTM have the same units, and each reads "
                "all that the one before returns"
            )
    if (layer.projection is None) != (first.projection is None):
        raise ValueError(
            f"{called(name, 'projection')} and {called(first_name, 'projection')} must both be "
            "there or both not: all layers of an nn.LSTM have the same projection"
        )
    if layer.kernel.dtype != first.kernel.dtype:
        raise ValueError(
            f"{called(name, 'kernel')} is {layer.kernel.dtype}, but {called(first_name, 'kernel')} "
            f"{first.kernel.dtype}: all layers of an nn.LSTM have the same dtype"
        )


def _by_number(params: Any) -> list[list[str]]:
    """Return the names of the layers by number, each with its one or two directions."""
    if not isinstance(params, Mapping) or not params:
        raise TypeError(
            f"params must be a dict of the layers, got {type(params).__name__}: write "
            '{"lstm_0": params}'
        )
    for name, layer in params.items():
        if hasattr(layer, "_fields") and not isinstance(layer, LSTMParams):
            raise TypeError(
                f"params[{name!r}] must be LSTMParams, got {type(layer).__name__}: pass only the "
                "LSTM layers"
            )
    matches = [LAYER.fullmatch(str(name)) for name in params]
    stems = {match and match[1] for match in matches}
    backward = any(match and match[3] for match in matches)
    stem = next(iter(stems))
    numbers = [f"{stem}_{k}" for k in range(len(params) // (2 if backward else 1))]
    names = [direction_names(name) if backward else [name] for name in numbers]
    if len(stems) > 1 or {name for pair in names for name in pair} != set(params):
        raise ValueError(
            f"the layers are named {listed(list(map(str, params)))}: expected one name with "
            "numbers from 0, such as lstm_0, lstm_1, or lstm_0_forward, lstm_0_backward"
        )
    return names


def _weights(state_dict: Any, prefix: str) -> tuple[str, dict[str, dict[str, np.ndarray]]]:
    """Return the full prefix, and {end of the name such as "_l0": {"weight_ih": array, ...}}."""
    if hasattr(state_dict, "state_dict"):
        state_dict = state_dict.state_dict()
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"state_dict must be a dict of tensors, got {type(state_dict).__name__}: write "
            "from_torch(module.state_dict())"
        )
    prefix = with_dot(prefix)
    names = [name for name in state_dict if isinstance(name, str) and name.startswith(prefix)]
    own = [name for name in names if "." not in name.removeprefix(prefix)]
    matches = {name: NAME.fullmatch(name.removeprefix(prefix)) for name in own}
    if not any(matches.values()):
        raise ValueError(_nothing_found(list(map(str, state_dict)), prefix))
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, match in matches.items():
        if match is None:
            raise ValueError(
                f"{shorten(name)} is not a weight of an nn.LSTM, which has {prefix}weight_ih_l0, "
                "weight_hh_l0, bias_ih_l0, bias_hh_l0 and weight_hr_l0: leave it out if the LSTM "
                "does not depend on it"
            )
        found.setdefault(match[2], {})[match[1]] = _as_numpy(name, state_dict[name])
    return prefix, found


def _nothing_found(names: list[str], prefix: str) -> str:
    others = [other.removesuffix(".") for other in prefixes(names)]
    if others:
        where = f"there is one under {listed(list(map(repr, others)))}"
        where += f": write prefix={others[0]!r}"
    else:
        where = f"its weights are called weight_ih_l0, ..., but there is {few(names) or 'nothing'}"
    return f"there is no LSTM under the prefix {prefix.removesuffix('.')!r}: {where}"


def _layer(prefix: str, end: str, arrays: dict[str, np.ndarray]) -> LSTMParams:
    """Return the weights of one layer in one direction; `end` is that of its names."""
    called = {name: f"{prefix}{name}{end}" for name in ("weight_ih", "weight_hh")}
    for name, full in called.items():
        if name not in arrays:
            raise ValueError(f"{full} is missing: an nn.LSTM has it in every layer and direction")
        if arrays[name].ndim != 2:
            raise ValueError(f"{full} must have two axes, got shape {arrays[name].shape}")
    biases = [name for name in ("bias_ih", "bias_hh") if name in arrays]
    if len(biases) == 1:
        other = {"bias_ih": "bias_hh", "bias_hh": "bias_ih"}[biases[0]]
        raise ValueError(f"{prefix}{other}{end} is missing beside {prefix}{biases[0]}{end}")
    w, u = arrays["weight_ih"], arrays["weight_hh"]
    shapes = f"{called['weight_ih']} {w.shape} and {called['weight_hh']} {u.shape}"
    rows, hidden = u.shape
    for gates, kind in ((3, "nn.GRU"), (1, "nn.RNN")):
        if rows == gates * hidden == len(w) and "weight_hr" not in arrays:
            raise ValueError(f"{shapes} are of an {kind}, not an LSTM, which has 4 rows to a unit")
    if len(w) != rows or rows % 4:
        raise ValueError(f"{shapes} do not fit: both must have the 4 gates of H units as rows")
    bias = None
    if biases:
        for name in biases:
            if arrays[name].shape != (len(w),):
                raise ValueError(
                    f"{prefix}{name}{end} has shape {arrays[name].shape} but "
                    f"{called['weight_ih']} needs ({len(w)},)"
                )
        bias = arrays["bias_ih"] + arrays["bias_hh"]
    hr = arrays.get("weight_hr")
    if hr is not None and (hr.ndim != 2 or hr.shape != (hidden, len(w) // 4)):
        raise ValueError(
            f"{prefix}weight_hr{end} has shape {hr.shape} but {called['weight_hh']} {u.shape} "
            f"needs ({hidden}, {len(w) // 4})"
        )
    where = f"{shapes} do not fit"
    return lstm_params(where, _copy(w.T), _copy(u.T), bias, None, hr if hr is None else _copy(hr.T))


def _check_same_weights(prefix: str, found: dict[str, dict[str, np.ndarray]]) -> None:
    """Raise unless every layer and direction has the same kinds of weights."""
    (first, weights), *others = found.items()
    for end, more in others:
        for name in sorted(weights.keys() ^ more.keys()):
            there, missing = (first, end) if name in weights else (end, first)
            raise ValueError(
                f"{prefix}{name}{missing} is missing, but there is {prefix}{name}{there}: all "
                "layers of an nn.LSTM have the same weights"
            )


def _torch_name(name: str, field: str, cell: bool) -> str:
    """Return what PyTorch calls a field of one layer."""
    match = LAYER.fullmatch(name)
    assert match is not None
    kind = {"kernel": "weight_ih", "recurrent_kernel": "weight_hh", "projection": "weight_hr"}
    reverse = "_reverse" if match[3] == "_backward" else ""
    return kind[field] + ("" if cell else f"_l{match[2]}{reverse}")


def _sizes(layer: LSTMParams) -> str:
    features, units = layer.kernel.shape[0], layer.kernel.shape[1] // 4
    projected = "" if layer.projection is None else f" projected to {layer.projection.shape[1]}"
    return f"{features} features and {units} units{projected}"


def _as_numpy(name: str, tensor: Any) -> np.ndarray:
    """Return a tensor as an array; NumPy by itself reads neither parameters nor bfloat16."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach()
    if str(getattr(tensor, "dtype", "")) == "torch.bfloat16":
        import ml_dtypes

        return np.asarray(as_values(name, tensor.float())).astype(ml_dtypes.bfloat16)
    return np.asarray(as_values(name, tensor))


def _copy(array: np.ndarray) -> np.ndarray:
    return np.array(array, order="C")


def with_dot(prefix: str) -> str:
    """Return a prefix as it stands before a name: "" or with a dot at its end."""
    return prefix if prefix.endswith(".") or not prefix else f"{prefix}."
