"""Arrays as arguments: those of NumPy and JAX as they are, those of other libraries as NumPy's.

as_array    an array of any kind, also one that JAX is tracing
as_values   an array of NumPy, where the values are needed
as_params   the params of one layer, a NamedTuple of arrays
as_state    an LSTMState

Whatever cannot be read is refused by name, with what to write instead. Objects that are no arrays,
such as lists, are returned as they are: the checks that follow name the axes that they expect. JAX
is not imported here, so that the NumPy engine reads its arguments by the same functions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from lstmcore.types import LSTMState

NamedArrays = TypeVar("NamedArrays")
FRAMES = ("DataFrame", "Series", "LazyFrame", "Table", "ChunkedArray", "RecordBatch")


def as_array(name: str, value: Any) -> Any:
    """Return an array of another library (PyTorch, xarray, polars) as NumPy's; JAX's as it is.

    Raises:
      TypeError: a data frame, a sparse or a masked array, or one whose memory NumPy cannot reach,
        such as a tensor on a GPU.

    Examples:
      >>> import pandas
      >>> as_array("y", pandas.Series([2, 3]))
      array([2, 3])
      >>> as_array("x", [2, 3])
      [2, 3]
    """
    if type(value) is np.ndarray or hasattr(value, "aval"):  # of JAX, also while tracing
        return value
    refuse_frame(name, value)
    kind = type(value).__name__
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be lost: write {name}.filled(0), and name "
            "the steps that are real in mask="
        )
    if hasattr(value, "toarray"):  # of scipy.sparse, which NumPy would take for one object
        raise TypeError(f"{name} is sparse, {kind}: write {name}.toarray()")
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        return _converted(name, value, np.asarray)
    if hasattr(value, "__dlpack__"):
        return _converted(name, value, np.from_dlpack)
    if hasattr(value, "__cuda_array_interface__"):
        raise TypeError(
            f"{name}, {kind}, lies on a GPU: copy it to NumPy first, for instance {name}.get()"
        )
    return value


def as_values(name: str, value: Any) -> Any:
    """Return an array whose values are needed as NumPy's; objects that are no arrays as they are.

    Raises:
      TypeError: as `as_array`, or an array that JAX is tracing.
    """
    if type(value) is np.ndarray:
        return value
    check_known(name, value)
    value = as_array(name, value)
    return np.asarray(value) if hasattr(value, "shape") and hasattr(value, "dtype") else value


def as_params(
    params: NamedArrays, name: str = "params", read: Callable[[str, Any], Any] = as_array
) -> NamedArrays:
    """Return the params of one layer with each array as `read` returns it; others as they are."""
    if not hasattr(params, "_fields"):
        return params
    fields = params._asdict().items()  # type: ignore[attr-defined]
    return type(params)(*(read(f"{name}.{field}", value) for field, value in fields))


def as_state(
    state: Any, name: str = "state", read: Callable[[str, Any], Any] = as_array
) -> LSTMState | Any:
    """Return an LSTMState with each array as `read` returns it; anything else as it is."""
    return as_params(state, name, read) if isinstance(state, LSTMState) else state


def are_unequal_sequences(value: Any) -> bool:
    """Return whether `value` holds sequences of unequal lengths: a list, or an array of objects."""
    is_list = isinstance(value, list | tuple)
    if not is_list and str(getattr(value, "dtype", "")) != "object":
        return False
    try:
        lengths = set(map(len, value))
    except TypeError:  # numbers, or an array without axes
        return False
    return len(lengths) > 1 and not any(isinstance(one, str) for one in value)


def refuse_frame(name: str, value: Any, single: bool = True) -> None:
    """Raise TypeError if `value` is a data frame: an array function would lose its names.

    With `single`, a single column, such as a pandas Series, is read as an array.
    """
    library = frame_library(value)
    if library is None or (single and len(getattr(value, "shape", ())) == 1):
        return
    lazy = ".collect()" if hasattr(value, "collect") and not hasattr(value, "shape") else ""
    to_array = f"{name}{lazy}.to_numpy()"
    if not lazy and not hasattr(value, "to_numpy"):
        to_array = f"np.asarray({name})"
    raise TypeError(
        f"{name} is a {type(value).__name__} of {library}, whose names would be lost here: pass "
        f"{to_array}, with the columns in the order that is needed"
    )


def frame_library(value: Any) -> str | None:
    """Return the library of a data frame or of a series of one, such as "pandas"; else None."""
    if isinstance(value, np.ndarray | list | tuple | dict):
        return None
    kinds = type(value).__mro__
    libraries = [kind.__module__.partition(".")[0] for kind in kinds if kind.__name__ in FRAMES]
    return next((library for library in libraries if library not in ("builtins", "lstmcore")), None)


def is_traced(value: Any) -> bool:
    """Return whether JAX is tracing: the shape of the array is known, its values are not."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


def check_known(name: str, value: Any) -> None:
    """Raise TypeError if an array of the pytree `value` is being traced by JAX."""
    jax = sys.modules.get("jax")
    if jax is None:
        return
    leaves = [value] if hasattr(value, "aval") else jax.tree.leaves(value)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        raise TypeError(
            f"{name} is being traced by JAX, which knows its shape but no values, and these are "
            "needed here: call this function outside of jax.jit, jax.grad and jax.vmap"
        )


def _converted(name: str, value: Any, convert: Callable[[Any], np.ndarray]) -> np.ndarray:
    try:
        return convert(value)
    except Exception as error:  # a tensor on another device, or with a gradient
        if hasattr(value, "detach"):
            advice = f"write {name}.detach().cpu().numpy()"
        elif hasattr(value, "get"):  # of CuPy
            advice = f"write {name}.get()"
        else:
            advice = "convert it to an array of NumPy or JAX"
        raise TypeError(
            f"{name}, {type(value).__name__}, cannot be read as an array ({error}): {advice}"
        ) from error
