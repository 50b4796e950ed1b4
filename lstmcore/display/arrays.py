"""One array in a few words: dtype, shape and range."""

from __future__ import annotations

from typing import Any

import numpy as np

MOST = 2**24  # numbers of an array that are looked at, a few hundredths of a second; of more, none


def is_array(value: Any) -> bool:
    """Return whether `value` has a shape and a dtype: an array, a tracer, a ShapeDtypeStruct."""
    shape = None if isinstance(value, type) else getattr(value, "shape", None)
    return isinstance(shape, tuple) and hasattr(value, "dtype")


def array_text(array: Any) -> str:
    """Return dtype, shape and, where the values are known, their range.

    Examples:
      >>> array_text(np.array([[0.5, np.nan, -2.0]])), array_text(np.zeros((0, 3), np.int32))
      ('float64[1, 3] -2 to 0.5 (1 NaN)', 'int32[0, 3]')
      >>> array_text(np.ones(4)), array_text(np.array([True, False, True]))
      ('float64[4] all 1', 'bool[3] 2 of 3 True')
    """
    return f"{array.dtype}{shape_text(array)} {range_text(array)}".rstrip()


def shape_text(array: Any) -> str:
    """Return the shape in square brackets.

    Examples:
      >>> shape_text(np.zeros((5, 3)))
      '[5, 3]'
    """
    return f"[{', '.join(map(str, array.shape))}]"


def range_text(array: Any) -> str:
    """Return the range of the values of an array; "" where they are not known, or not numbers."""
    if _is_deleted(array):
        return "deleted"
    values = values_of(array)
    if values is None or not values.size:
        return ""
    if values.dtype == bool:
        return f"{np.count_nonzero(values):,} of {values.size:,} True"
    missing = int(np.isnan(values).sum())
    note = f" ({missing:,} NaN)" if missing else ""
    if missing == values.size:
        return "NaN" if missing == 1 else "all NaN"
    # The reductions that skip NaN are slower.
    low, high = (np.nanmin(values), np.nanmax(values)) if missing else (values.min(), values.max())
    if low == high:
        return ("all " if values.size > 1 else "") + number_text(low) + note
    return f"{number_text(low)} to {number_text(high)}{note}"


def number_text(number: Any) -> str:
    """Return a number with three digits, a whole one with all.

    Examples:
      >>> number_text(0.123456), number_text(12345), number_text(np.int32(-7))
      ('0.123', '12,345', '-7')
    """
    return f"{number:,}" if isinstance(number, int | np.integer) else f"{number:.3g}"


def values_of(array: Any) -> np.ndarray | None:
    """Return the values of an array as real numbers of NumPy or bool.

    None if there are none to see (a tracer, a ShapeDtypeStruct, an array that was deleted or lies
    on another host), if they are no real numbers, or more than `MOST`.
    """
    # What `np.asarray` raises is up to the library of the array, and a `repr` must not fail.
    try:
        if array.size > MOST or not hasattr(array, "__array__"):
            return None
        values = np.asarray(array)
        if values.dtype.kind == "V" and values.dtype.names is None:  # bfloat16, float8, int4
            values = values.astype(np.float32)
    except Exception:
        return None
    return values if values.dtype.kind in "biuf" and values.shape == tuple(array.shape) else None


def _is_deleted(array: Any) -> bool:
    """Return whether the memory of a JAX array was freed, such as by donating it."""
    try:
        return bool(array.is_deleted())
    except Exception:  # not a JAX array, or a tracer, which has no memory
        return False
