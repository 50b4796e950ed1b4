"""Checks of arguments, made by public functions before they compute.

Each raises an error that names the argument, what was expected, what was received and what to do
about it, so that no shape error from inside JAX reaches the caller: TypeError for another kind of
object, ValueError for one that does not fit. Shapes and dtypes are known while tracing: under
`jax.jit` the checks run once and cost nothing afterwards. The NumPy engine makes the same checks,
so this module does not import JAX.

In this order: arrays (rank, dtype, shape), single values (counts, numbers, choices), the arguments
of a layer (input, state, mask, noise, edit), and the params of a layer.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Collection
from itertools import pairwise
from typing import Any

import numpy as np

from lstmcore.arrays import are_unequal_sequences, as_array, is_traced
from lstmcore.formatting import count, excerpt
from lstmcore.types import (
    AdditiveAttention,
    DenseParams,
    Gates,
    GeneralAttention,
    LSTMParams,
    LSTMState,
)

ACTIVATIONS = (  # the names that mean the same in Keras, PyTorch and JAX, but for the last
    "tanh", "sigmoid", "hard_sigmoid", "relu", "relu6", "elu", "selu", "softplus", "softsign",
    "linear", "hard_sigmoid_keras2",
)  # fmt: skip
ACTIVATION_ARGUMENTS = ("activation", "recurrent_activation", "output_activation")  # of a layer
MOST = 2**31 - 1
MOST_LAYERS = 1000  # of one stack; a file that names more would only take memory


# Arrays. `value` stands for an array of NumPy or JAX, or a tracer.


def check_array(name: str, value: Any, axes: str | None = None, advice: str = "") -> None:
    """Raise unless `value` is an array with the axes that `axes` names ("batch time features").

    None stands for any number of axes. `advice` ends the message about another number.
    """
    expected = None if axes is None else axes.split()
    of_axes = "" if expected is None else f" [{', '.join(expected)}]"
    if are_unequal_sequences(value):
        raise TypeError(
            f"{name} must be an array{of_axes}, got {len(value)} sequences of unequal lengths: "
            "pad them at the end to one length T, and pass mask=lc.length_mask(lengths, T)"
        )
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        raise TypeError(
            f"{name} must be an array{of_axes}, got {type(value).__name__}: "
            f"convert it, for instance np.asarray({name})"
        )
    if expected is not None and len(value.shape) != len(expected):
        raise ValueError(
            f"{name} must have {len(expected)} axes [{', '.join(expected)}], got shape "
            f"{tuple(value.shape)}" + (f": {advice}" if advice else "")
        )


def check_floating(name: str, value: Any) -> None:
    """Raise unless the array holds real floating-point numbers."""
    if not str(value.dtype).startswith(("float", "bfloat")):
        raise ValueError(
            f"{name} must be floating point, got {value.dtype}: convert it, for instance "
            f"{name}.astype('float32'), or np.asarray({name}) if it is not of NumPy or JAX"
        )


def check_integers(name: str, value: Any) -> None:
    """Raise unless the array holds integers."""
    if not str(value.dtype).startswith(("int", "uint")):
        raise ValueError(f"{name} must be integers, got {value.dtype}: write {name}.astype(int)")


def check_shape(
    name: str, value: Any, expected: tuple, need: str = "params need", advice: str = ""
) -> None:
    """Raise unless the array has the shape that `need` ("x needs", "queries and memory need")."""
    if tuple(value.shape) != expected:
        sizes = ", ".join(map(str, expected)) + ("," if len(expected) == 1 else "")
        raise ValueError(
            f"{name} has shape {tuple(value.shape)} but {need} ({sizes})"
            + (f": {advice}" if advice else "")
        )


def check_features(name: str, value: Any, features: int, owner: str) -> None:
    """Raise unless the last axis of the array is what the weights `owner` expect."""
    if value.shape[-1] != features:
        raise ValueError(
            f"{name} has {count(value.shape[-1], 'feature')} but {owner} expects {features}: "
            f"{name} has shape {tuple(value.shape)}, its last axis must be {features}"
        )


# Single values, returned as plain Python ones.


def check_count(name: str, value: Any, minimum: int = 1, maximum: int = MOST) -> int:
    """Return an integer within bounds as a plain int.

    The default bound is that of an int32, in which sizes and steps are counted.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{name} must be a whole number, got {_short(value)}")
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {_short(value)}")
    if number > maximum:
        raise ValueError(f"{name} must be at most {maximum:,}, got {_short(value)}")
    return number


def check_seed(name: str, value: Any) -> int:
    """Return a seed, an integer from 0 on that fits 64 bits, as a plain int."""
    return check_count(name, value, minimum=0, maximum=2**63 - 1)


def check_units(name: str, units: Any) -> tuple[int, ...]:
    """Return the sizes of a stack of layers as plain ints; a single number is one layer."""
    sizes = units if isinstance(units, tuple | list) else (units,)
    if not sizes:
        raise ValueError(f"{name} is empty: name at least one layer, for instance {name}=(64,)")
    if len(sizes) > MOST_LAYERS:
        raise ValueError(
            f"{name} names {len(sizes):,} layers, expected at most {MOST_LAYERS:,}: one size for "
            "each layer"
        )
    return tuple(check_count(name, size) for size in sizes)


def check_sizes(features: Any, units: Any) -> tuple[int, tuple[int, ...]]:
    """Return `features` and `units` of a stack of layers as plain ints."""
    return check_count("features", features), check_units("units", units)


def check_number(name: str, value: Any) -> float:
    """Return a real number, or what can be read as one, as a plain float."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {_short(value)}") from None
    except OverflowError:
        raise ValueError(f"{name} must be a number of float64, got {_short(value)}") from None


def check_rate(name: str, rate: Any) -> None:
    """Raise unless `rate` is a number, at least 0 and below 1."""
    try:
        fits = bool(0 <= rate < 1)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {rate!r}") from None
    if not fits:
        raise ValueError(f"{name} must be at least 0 and below 1, got {rate!r}")


def check_quantiles(quantiles: Any) -> tuple[float, ...]:
    """Return numbers between 0 and 1 in rising order as plain floats."""
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


def check_choice(name: str, value: Any, choices: Collection) -> None:
    """Raise unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_activation(name: str, value: Any) -> None:
    """Raise unless `value` is the name of an activation, or a function."""
    if isinstance(value, str):
        if value not in ACTIVATIONS:
            raise ValueError(
                f"{name} {value!r} is not known: use one of {', '.join(ACTIVATIONS)}, "
                "or pass a function"
            )
    elif not callable(value):
        raise TypeError(f"{name} must be a name or a function, got {type(value).__name__}")


def check_memory(numbers: int, itemsize: int) -> None:
    """Raise unless so many parameters fit into the memory of this computer.

    To be called before any is drawn: a request for more than there is ends in a message of the
    compiler, or ends the process.
    """
    if numbers * itemsize > (memory := _memory()):
        raise ValueError(
            f"{numbers:,} parameters take {numbers * itemsize / 1e9:,.1f} GB, but this computer "
            f"has {memory / 1e9:,.1f} GB of memory: choose fewer units or smaller sizes"
        )


def _memory() -> int:
    """Return the bytes of memory of this computer; 1 TB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        return 10**12


def _short(value: Any) -> str:
    """Return `value` as text; for a number with a thousand digits, how many they are."""
    if isinstance(value, int) and value.bit_length() > 256:  # Python may refuse to print it
        return f"a number of about {int(value.bit_length() * 0.30103):,} digits"
    return excerpt(repr(value), 100)


# Arguments of a layer.


def check_input(x: Any, features: int, *, repeated: bool) -> None:
    """Raise unless x is the input of a layer: [B, T, F], or [B, F] if it is read repeatedly."""
    if repeated:
        check_array("x", x, "batch features", "with repeat, x has no time axis")
    else:
        hint = "x[None] adds a batch axis, x[..., None] a feature axis"
        check_array("x", x, "batch time features", hint)
    check_floating("x", x)
    check_features("x", x, features, "params.kernel")


def check_state(
    state: Any, batch: Any, units: int, name: str = "state", hidden: int | None = None
) -> None:
    """Raise unless the state fits the batch and the layer.

    `hidden` is the size of h where it is not `units`: in a layer with a projection.
    """
    if not isinstance(state, LSTMState):
        raise TypeError(
            f"{name} must be LSTMState(h, c), got {type(state).__name__}: name the two, "
            "LSTMState(h=..., c=...), since some libraries store them as (c, h)"
        )
    hidden = units if hidden is None else hidden
    projected = "" if hidden == units else f", projection={hidden}"
    for field, value, size in (("h", state.h, hidden), ("c", state.c, units)):
        check_array(f"{name}.{field}", value, "batch units")
        check_floating(f"{name}.{field}", value)
        layer = count(units, "unit") if size == units else f"projection to {size}"
        check_shape(
            f"{name}.{field}",
            value,
            (batch, size),
            f"the batch of {batch} and the {layer} of params need",
            f"lc.zero_state({batch}, {units}{projected}) makes a fresh one",
        )


def check_mask(mask: Any, batch: Any, timesteps: Any, name: str = "mask", owner: str = "x") -> Any:
    """Return the mask as an array; raise unless it is bool [batch, time] for the array `owner`."""
    mask = as_array(name, mask)
    check_array(name, mask, "batch time", "one value for each step of each example")
    if mask.dtype != bool:
        raise ValueError(
            f"{name} must be bool (True = real step), got {mask.dtype}: write {name}.astype(bool)"
        )
    advice = "lc.length_mask(lengths, timesteps) makes one from the length of each example"
    check_shape(name, mask, (batch, timesteps), f"{owner} needs", advice)
    return mask


def check_recurrent_dropout(dropout_mask: Any, batch: Any, hidden: int) -> None:
    """Raise unless the dropout mask fits the hidden state [batch, hidden], or is None."""
    if dropout_mask is None:
        return
    name = "recurrent_dropout"
    advice = f"lc.dropout_mask(key, ({batch}, {hidden}), rate) makes it"
    check_array(name, dropout_mask, "batch units", f"the same at every step, {advice}")
    check_floating(name, dropout_mask)
    need = f"the batch of {batch} and a hidden state of {hidden} need"
    check_shape(name, dropout_mask, (batch, hidden), need, advice)


def check_zoneout(zoneout: Any, batch: Any, timesteps: Any, units: int, hidden: int) -> None:
    """Raise unless zoneout fits every step, where an axis of 1 stands for all, or is None."""
    if zoneout is None:
        return
    if not isinstance(zoneout, LSTMState):
        raise TypeError(
            f"zoneout must be LSTMState(h, c) of fractions to keep, got {type(zoneout).__name__}: "
            "make it with lc.zoneout(key, batch, timesteps, units, h=..., c=...)"
        )
    for field, value, size in (("h", zoneout.h, hidden), ("c", zoneout.c, units)):
        name = f"zoneout.{field}"
        check_array(name, value, "batch time units", "an axis that does not matter has size 1")
        check_floating(name, value)
        full = batch, timesteps, size
        if any(got not in (1, want) for got, want in zip(value.shape, full, strict=True)):
            raise ValueError(
                f"{name} has shape {tuple(value.shape)} but must fit {full}, each axis of "
                "that size or 1: lc.zoneout(key, batch, timesteps, units) makes it"
            )


def check_checkpoint_every(every: Any, timesteps: Any) -> int | str | None:
    """Return `checkpoint_every`: None, "auto" or a number of steps as a plain int."""
    if every is None:
        return None
    if not isinstance(timesteps, int):
        raise ValueError(
            f"checkpoint_every={every!r} needs a known number of steps, got {timesteps}: "
            "leave it None where only the forward pass is exported"
        )
    if isinstance(every, str):
        if every != "auto":
            raise ValueError(f'checkpoint_every must be a number of steps or "auto", got {every!r}')
        return every
    return check_count("checkpoint_every", every)


def check_edit(edit: Any, batch: Any = None, timesteps: Any = None, units: Any = None) -> None:
    """Raise unless the edit is a function or None; call its own `check`, if it has one."""
    if edit is not None and not callable(edit):
        raise TypeError(f"edit must be a function (gates, t) -> gates, got {type(edit).__name__}")
    if units is not None and hasattr(edit, "check"):
        edit.check(batch, timesteps, units)


def check_edited(edited: Any, gates: Gates) -> None:
    """Raise unless what an edit returned can replace the gates it was given."""
    if not isinstance(edited, Gates):
        raise TypeError(
            f"edit must return Gates, got {type(edited).__name__}: write for instance "
            "lambda gates, t: gates._replace(forget=1 - gates.input)"
        )
    for field, new, gate in zip(Gates._fields, edited, gates, strict=True):
        if np.shape(new) not in ((), gate.shape):
            raise ValueError(
                f"edit returned gates.{field} of shape {np.shape(new)}, expected {gate.shape} "
                "or a single number"
            )


# Params of a layer.


def check_ids(name: str, ids: Any, size: int) -> None:
    """Raise unless `ids` are integers, and in 0 ... size - 1 where their values are known."""
    if not hasattr(ids, "dtype"):
        raise TypeError(
            f"{name} must be an array of token ids, got {type(ids).__name__}: convert it, for "
            f"instance np.asarray({name})"
        )
    check_integers(name, ids)
    if is_traced(ids):
        return
    values = np.asarray(ids)
    outside = values[(values < 0) | (values >= size)]
    if outside.size:
        raise ValueError(
            f"{name} holds the token id {outside[0]} but there are {size} tokens, 0 to {size - 1}: "
            "was it encoded with another vocabulary?"
        )


def check_attention(params: Any, queries: Any, memory: Any) -> None:
    """Raise unless queries [B, T, H], memory [B, S, M] and the weights of an attention agree."""
    check_array("queries", queries, "batch time units")
    check_array("memory", memory, "batch source units")
    check_floating("queries", queries)
    check_floating("memory", memory)
    if queries.shape[0] != memory.shape[0]:
        raise ValueError(
            f"queries has {queries.shape[0]} examples but memory has {memory.shape[0]}: they must "
            "agree"
        )
    width = queries.shape[2], memory.shape[2]
    explanation = "queries and memory need", "were they made for other sizes?"
    if params is None:
        check_dot_attention(*width)
    elif isinstance(params, GeneralAttention):
        check_shape("params.weight", params.weight, width, *explanation)
    elif isinstance(params, AdditiveAttention):
        units = params.score.shape[0]
        check_shape("params.query", params.query, (width[0], units), *explanation)
        check_shape("params.memory", params.memory, (width[1], units), *explanation)
    else:
        raise TypeError(
            "params must be None, GeneralAttention or AdditiveAttention, got "
            f"{type(params).__name__}: make them with lc.init_attention"
        )


def check_dot_attention(queries: int, memory: int) -> None:
    """Raise unless the two have one size, which a dot product needs."""
    if queries != memory:
        raise ValueError(
            f"dot attention needs queries and memory of one size, got {queries} and {memory}: use "
            "'general' or 'additive'"
        )


def check_lstm_params(params: Any, name: str = "params") -> tuple[int, int]:
    """Return (features, units) of LSTMParams whose arrays fit together."""
    if not isinstance(params, LSTMParams):
        raise TypeError(
            f"{name} must be LSTMParams(kernel, recurrent_kernel, bias), got "
            f"{type(params).__name__}: make one with lc.init_lstm or LSTMParams(*weights)"
        )
    kernel, recurrent_kernel, bias, peephole, projection = params
    check_array(f"{name}.kernel", kernel, "features 4*units")
    check_array(f"{name}.recurrent_kernel", recurrent_kernel, "units 4*units")
    check_array(f"{name}.bias", bias, "4*units", "add the two biases of a PyTorch layer together")
    features, hidden = kernel.shape[0], recurrent_kernel.shape[0]
    units = hidden if projection is None else bias.shape[0] // 4
    shapes = tuple(tuple(a.shape) for a in (kernel, recurrent_kernel, bias))
    if shapes != ((features, 4 * units), (hidden, 4 * units), (4 * units,)):
        rows = "H" if projection is None else "P"
        raise ValueError(
            f"{name} must have shapes [F, 4H], [{rows}, 4H], [4H] with the four gates side by side "
            f"in the last axis, got {', '.join(map(str, shapes))}: weights stored the other way "
            "round need a transpose"
        )
    if peephole is not None:
        advice = "one row for each of the gates i, f and o"
        check_array(f"{name}.peephole", peephole, "3 units", advice)
        need = f"the {units} units of the bias need"
        check_shape(f"{name}.peephole", peephole, (3, units), need, advice)
    if projection is not None:
        _check_projection(name, projection, units, hidden)
    _check_same_dtype(name, params)
    return features, units


def _check_projection(name: str, projection: Any, units: int, hidden: int) -> None:
    check_array(f"{name}.projection", projection, "units projected")
    if projection.shape[0] != units:
        raise ValueError(
            f"{name}.projection has shape {tuple(projection.shape)} but must be [H, P] with the "
            f"{units} units of the bias first: a PyTorch weight_hr needs a transpose"
        )
    if projection.shape[1] != hidden:
        raise ValueError(
            f"{name}.recurrent_kernel has {hidden} rows but the projection {name}.projection "
            f"{tuple(projection.shape)} needs {projection.shape[1]}, one for each number in the "
            "projected h: draw both with lc.init_lstm(..., projection=...)"
        )


def check_dense_params(params: Any, name: str = "params") -> int:
    """Return the number of features of DenseParams whose arrays fit together."""
    if not isinstance(params, DenseParams):
        raise TypeError(
            f"{name} must be DenseParams(kernel, bias), got {type(params).__name__}: "
            "make one with lc.init_dense or DenseParams(*weights)"
        )
    check_array(f"{name}.kernel", params.kernel, "features outputs")
    check_array(f"{name}.bias", params.bias, "outputs")
    if params.kernel.shape[1] != params.bias.shape[0]:
        raise ValueError(
            f"{name} must have shapes [F, U], [U], got {tuple(params.kernel.shape)}, "
            f"{tuple(params.bias.shape)}: a kernel stored as [U, F] needs a transpose"
        )
    _check_same_dtype(name, params)
    return params.kernel.shape[0]


def check_layer_params(params: Any, kind: Any, name: str = "params") -> None:
    """Raise unless the params of a layer are of this kind and their arrays fit together."""
    if kind is LSTMParams:
        check_lstm_params(params, name)
        return
    if kind is DenseParams:
        check_dense_params(params, name)
        return
    if not isinstance(params, kind):
        raise TypeError(f"{name} must be {kind.__name__}, got {type(params).__name__}")
    for field, value in params._asdict().items():
        check_array(f"{name}.{field}", value)
    _check_same_dtype(name, params)


def _check_same_dtype(name: str, params: Any) -> None:
    arrays = {field: value for field, value in params._asdict().items() if value is not None}
    for field, value in arrays.items():
        check_floating(f"{name}.{field}", value)
    dtypes = [str(value.dtype) for value in arrays.values()]
    if len(set(dtypes)) > 1:
        raise ValueError(
            f"{name} mixes dtypes {', '.join(dtypes)}: convert them with astype to the same one"
        )
