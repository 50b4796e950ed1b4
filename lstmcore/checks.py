"""The questions that public functions ask of their arguments before they compute.

Each answers with an error that names the argument, what was expected, what came, and what to
do about it, so that no shape error from inside JAX reaches the caller. Shapes and dtypes are
known while tracing: under `jax.jit` the checks run once and cost nothing afterwards. The NumPy
engine asks the same questions, so this module does not import JAX.
"""

from __future__ import annotations

import operator
import os
from itertools import pairwise

import numpy as np

from lstmcore.formatting import count, excerpt
from lstmcore.types import DenseParams, EmbeddingParams, Gates, LSTMParams, LSTMState

MOST = 2**31 - 1
MOST_LAYERS = 1000  # of one stack; a file that names more would only take memory


def as_array(name: str, value):
    """An array of another library (PyTorch, pandas, polars), as NumPy reads it; others as is."""
    if isinstance(value, np.ndarray) or hasattr(value, "aval") or not hasattr(value, "__array__"):
        return value
    try:
        return np.asarray(value)
    except Exception as error:  # a tensor on another device, or with a gradient
        raise TypeError(
            f"{name}, {type(value).__name__}, cannot be read as an array ({error}): convert it to "
            "an array of NumPy or JAX"
        ) from error


def check_array(name: str, value, axes: str, advice: str = "") -> None:
    """`value` is an array with as many axes as `axes` names ("batch time features")."""
    expected = axes.split()
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        raise TypeError(
            f"{name} must be an array [{', '.join(expected)}], got {type(value).__name__}: "
            f"convert it, for instance np.asarray({name})"
        )
    if len(value.shape) != len(expected):
        raise ValueError(
            f"{name} must have {len(expected)} axes [{', '.join(expected)}], got shape "
            f"{tuple(value.shape)}" + (f": {advice}" if advice else "")
        )


def check_floating(name: str, value) -> None:
    """`value` holds real floating-point numbers."""
    if not str(value.dtype).startswith(("float", "bfloat")):
        raise ValueError(
            f"{name} must be floating point, got {value.dtype}: convert it, for instance "
            f"{name}.astype('float32'), or np.asarray({name}) if it is not of NumPy or JAX"
        )


def check_integers(name: str, value) -> None:
    """`value` holds whole numbers."""
    if not str(value.dtype).startswith(("int", "uint")):
        raise ValueError(f"{name} must be integers, got {value.dtype}: write {name}.astype(int)")


def check_count(name: str, value, minimum: int = 1, maximum: int = MOST) -> int:
    """`value` is a whole number within bounds; returned as a plain int.

    The default bound is that of an int32, in which sizes and steps are counted.
    """
    try:
        count = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = None
    if count is None:
        raise TypeError(f"{name} must be a whole number, got {_short(value)}")
    if count < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {_short(value)}")
    if count > maximum:
        raise ValueError(f"{name} must be at most {maximum:,}, got {_short(value)}")
    return count


def check_number(name: str, value) -> float:
    """`value` is one real number, or can be read as one; returned as a plain float."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {_short(value)}") from None
    except OverflowError:
        raise ValueError(f"{name} must be a number of float64, got {_short(value)}") from None


def check_seed(name: str, value) -> int:
    """`value` is a whole number from 0 on that fits 64 bits; returned as a plain int."""
    return check_count(name, value, minimum=0, maximum=2**63 - 1)


def check_memory(numbers: int, itemsize: int) -> None:
    """So many parameters fit into the memory of this computer.

    Asked before any is drawn: a request for more than there is ends in a message of the compiler,
    or ends the process.
    """
    if numbers * itemsize > (memory := _memory()):
        raise ValueError(
            f"{numbers:,} parameters take {numbers * itemsize / 1e9:,.1f} GB, but this computer "
            f"has {memory / 1e9:,.1f} GB of memory: choose fewer units or smaller sizes"
        )


def _memory() -> int:
    """Bytes of memory that this computer has; 1 TB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        return 10**12


def check_input(x, features: int, *, repeated: bool) -> None:
    """What a layer reads: [B, T, F], or [B, F] at each step."""
    if repeated:
        check_array("x", x, "batch features", "with repeat, x has no time axis")
    else:
        hint = "x[None] adds a batch axis, x[..., None] a feature axis"
        check_array("x", x, "batch time features", hint)
    check_floating("x", x)
    check_features("x", x, features, "params.kernel")


def check_features(name: str, value, features: int, owner: str) -> None:
    """The last axis of `value` is what the weights `owner` expect."""
    if value.shape[-1] != features:
        raise ValueError(
            f"{name} has {count(value.shape[-1], 'feature')} but {owner} expects {features}: "
            f"{name} has shape {tuple(value.shape)}, its last axis must be {features}"
        )


def check_state(
    state: LSTMState, batch: int, units: int, name: str = "state", hidden: int | None = None
) -> None:
    """The state belongs to this batch and this layer; `hidden` is the size of h, if projected."""
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
        if tuple(value.shape) != (batch, size):
            what = count(units, "unit") if size == units else f"projection to {size}"
            raise ValueError(
                f"{name}.{field} has shape {tuple(value.shape)} but the batch of {batch} and the "
                f"{what} of params need ({batch}, {size}): "
                f"lc.zero_state({batch}, {units}{projected}) makes a fresh one"
            )


def check_mask(mask, batch: int, timesteps: int, name: str = "mask", owner: str = "x") -> None:
    """The mask is bool [batch, time] for the array `owner`."""
    check_array(name, mask, "batch time", "one value for each step of each example")
    if mask.dtype != bool:
        raise ValueError(
            f"{name} must be bool (True = real step), got {mask.dtype}: write {name}.astype(bool)"
        )
    if tuple(mask.shape) != (batch, timesteps):
        raise ValueError(
            f"{name} has shape {tuple(mask.shape)} but {owner} needs ({batch}, {timesteps}): "
            "lc.length_mask(lengths, timesteps) makes one from the length of each example"
        )


def check_recurrent_dropout(factors, batch: int, hidden: int) -> None:
    """One factor for each number of the hidden state."""
    if factors is None:
        return
    name = "recurrent_dropout"
    advice = f"lc.dropout_mask(key, ({batch}, {hidden}), rate) makes it"
    check_array(name, factors, "batch units", f"the same at every step, {advice}")
    check_floating(name, factors)
    if tuple(factors.shape) != (batch, hidden):
        raise ValueError(
            f"{name} has shape {tuple(factors.shape)} but the batch of {batch} and a hidden state "
            f"of {hidden} need ({batch}, {hidden}): {advice}"
        )


def check_zoneout(zoneout, batch: int, timesteps, units: int, hidden: int) -> None:
    """Shares of the old state that fit every step; an axis of 1 stands for all."""
    if zoneout is None:
        return
    if not isinstance(zoneout, LSTMState):
        raise TypeError(
            f"zoneout must be LSTMState(h, c) of shares to keep, got {type(zoneout).__name__}: "
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


def check_checkpoint_every(every, timesteps) -> int | str | None:
    """None, "auto" or a number of steps."""
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


def check_edit(edit, batch=None, timesteps=None, units=None) -> None:
    """An edit is a function, if there is one; if it can be asked whether it fits, it does."""
    if edit is not None and not callable(edit):
        raise TypeError(f"edit must be a function (gates, t) -> gates, got {type(edit).__name__}")
    if units is not None and hasattr(edit, "check"):
        edit.check(batch, timesteps, units)


def check_edited(edited, gates: Gates) -> None:
    """What an edit returned can stand for the gates it was given."""
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


def _short(value) -> str:
    """`value` as text; of a number with a thousand digits the first ones."""
    if isinstance(value, int) and value.bit_length() > 256:  # Python may refuse to print it
        return f"a number of about {int(value.bit_length() * 0.30103):,} digits"
    return excerpt(repr(value), 100)


def check_lstm_params(params: LSTMParams, name: str = "params") -> tuple[int, int]:
    """The arrays fit together; returns (features, units)."""
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
        _check_peephole(f"{name}.peephole", peephole, units)
    if projection is not None:
        _check_projection(name, projection, units, hidden)
    _check_same_dtype(name, params)
    return features, units


def _check_peephole(name: str, peephole, units: int) -> None:
    check_array(name, peephole, "3 units", "one row for each of the gates i, f and o")
    if tuple(peephole.shape) != (3, units):
        raise ValueError(
            f"{name} has shape {tuple(peephole.shape)} but the {units} units of the bias need "
            f"(3, {units}): one row for each of the gates i, f and o"
        )


def _check_projection(name: str, projection, units: int, hidden: int) -> None:
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


def check_dense_params(params: DenseParams, name: str = "params") -> int:
    """The two arrays fit together; returns the number of features."""
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


def check_layer_params(params, kind, name: str) -> None:
    """The weights of a layer are of the right kind and, where that can be told, fit together."""
    if kind is LSTMParams:
        check_lstm_params(params, name)
    elif kind is DenseParams:
        check_dense_params(params, name)
    else:
        if not isinstance(params, kind):
            raise TypeError(f"{name} must be {kind.__name__}, got {type(params).__name__}")
        for field in kind._fields:
            value = getattr(params, field)
            if not hasattr(value, "shape"):
                raise TypeError(f"{name}.{field} must be an array, got {type(value).__name__}")
        _check_same_dtype(name, params)


def check_embedding_params(params: EmbeddingParams, name: str = "params") -> None:
    """`params` holds one vector for each token."""
    check_layer_params(params, EmbeddingParams, name)
    check_array(f"{name}.table", params.table, "tokens features")


def _check_same_dtype(name: str, params) -> None:
    arrays = {field: value for field, value in params._asdict().items() if value is not None}
    for field, value in arrays.items():
        check_floating(f"{name}.{field}", value)
    dtypes = [str(value.dtype) for value in arrays.values()]
    if len(set(dtypes)) > 1:
        raise ValueError(
            f"{name} mixes dtypes {', '.join(dtypes)}: convert them with astype to the same one"
        )


def check_sizes(features, units) -> tuple[int, tuple[int, ...]]:
    """`features` and `units` as plain ints; a single number of units stands for one layer."""
    return check_count("features", features), check_units("units", units)


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
    return tuple(check_count(name, size) for size in sizes)


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


def is_value(value) -> bool:
    """Whether equal means the same: a model, for instance, made again with the same sizes."""
    try:
        hash(value)
    except TypeError:
        return False
    parameters = getattr(value, "__dataclass_params__", None)
    return parameters is not None and parameters.frozen
