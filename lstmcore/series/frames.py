"""Make data frames of any library that narwhals knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def make_frame(columns: Mapping[str, Any], library: str = "pandas") -> Any:
    """Return columns as a data frame.

    Args:
      columns: by name, each an array [rows] or a list of so many values.
      library: "pandas", "polars", "pyarrow", or another one that narwhals knows.

    Returns:
      A data frame of that library; a Table of pyarrow.

    Raises:
      ImportError: narwhals or the library is not installed.
      ValueError: narwhals does not know the library.
    """
    nw = narwhals()
    whole = {
        name: np.asarray(values) if hasattr(values, "__array__") else values
        for name, values in columns.items()
    }
    try:
        return nw.from_dict(whole, backend=library).to_native()
    except ModuleNotFoundError as error:
        raise ImportError(
            f"a frame of {library} needs that package: pip install {library}"
        ) from error
    except (ValueError, TypeError) as error:
        if library in ("pandas", "polars", "pyarrow"):
            raise
        raise ValueError(
            f"library must be 'pandas', 'polars' or 'pyarrow', got {library!r} ({error})"
        ) from error


def narwhals() -> Any:
    """Return the module narwhals, through which frames of all libraries are read and made."""
    try:
        import narwhals
    except ImportError as error:
        raise ImportError("data frames need the package narwhals: pip install narwhals") from error
    return narwhals
