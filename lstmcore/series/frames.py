"""Data frames of pandas, polars, pyarrow and others, read and made through narwhals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from lstmcore.arrays import frame_library
from lstmcore.formatting import few, shorten

LIBRARIES = ("pandas", "polars", "pyarrow")


@dataclass(frozen=True, eq=False)
class Frame:
    """A data frame, taken apart.

    Attributes:
      columns: {name: series of narwhals} of all columns but that of the times.
      is_named: whether these are names; False of a series without one, and of the numbers 0, 1, 2,
        ..., by which pandas calls the columns of a frame without names.
      times: series of narwhals, of dates or times with the name of their column or index; None if
        the frame has none.
      index: the index of pandas; else None.
      times_in_column: whether the times are a column, not the index.
      library: as narwhals names it.
    """

    columns: dict[str, Any]
    is_named: bool
    times: Any
    index: Any
    times_in_column: bool
    library: Any

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        columns = [*self.columns.values()] or [self.times]
        return 0 if columns[0] is None else len(columns[0])


def read_frame(name: str, value: Any) -> Frame | None:
    """Take a data frame or a series apart; None if `value` is something else.

    The times of its rows are the index of pandas, if that holds dates or times, or else its only
    column of dates or times.

    Args:
      name: name of the argument, for errors.
      value: anything.

    Raises:
      TypeError: a frame that holds no rows yet, such as a LazyFrame of polars.
      ValueError: a name that stands for several columns, numbered columns in another order, or
        times in a zone without a name.
    """
    library = frame_library(value)
    if library is None:
        return None
    nw = narwhals()
    if library != "polars":
        _check_names(name, value)
    try:
        frame = nw.from_native(value, eager_only=True, allow_series=True)
    except TypeError as error:
        raise TypeError(
            f"{name} is a {type(value).__name__} of {library}, which cannot be read as a table: "
            "make it a data frame of pandas or polars (a LazyFrame by collect())"
        ) from error
    index, times = _index_of(nw, value, library)
    in_column = False
    if isinstance(frame, nw.Series):
        columns = {frame.name: frame}
    else:
        columns = {label: frame.get_column(label) for label in frame.columns}
        if times is None:
            dated = [label for label, column in columns.items() if _holds_times(nw, column)]
            in_column = len(dated) == 1
            times = columns.pop(dated[0]) if in_column else None
    labels = list(columns)
    is_named = labels != list(range(len(labels))) and labels not in ([None], [""])
    by_name = {str(label): column for label, column in columns.items()}
    if times is not None:
        _check_zone(name, times)
    return Frame(by_name, is_named, times, index, in_column, frame.implementation)


def numbers_of(name: str, label: str, column: Any) -> np.ndarray:
    """Return a series of narwhals as float64 [rows]; what the frame marks as missing is NaN.

    Raises:
      ValueError: the column holds something else than real numbers.
    """
    if not column.dtype.is_numeric():
        native = column.to_native()
        kind = getattr(native, "dtype", getattr(native, "type", column.dtype))
        raise ValueError(
            f"{name} must hold real numbers, but its column {shorten(label)!r} is of type "
            f"{shorten(kind)}: convert it, or leave it out"
        )
    return column.cast(narwhals().Float64()).to_numpy()


def type_of_times(times: Any) -> Any:
    """Return the type of a series of narwhals, of dates or times.

    Narwhals does not recognise all names of zones in pandas, such as America/New_York.
    """
    nw = narwhals()
    native: Any = getattr(times.to_native(), "dtype", None)
    if isinstance(times.dtype, nw.Unknown) and getattr(native, "tz", None) is not None:
        return nw.Datetime(native.unit, str(native.tz))
    return times.dtype


def to_utc(times: Any) -> Any:
    """Return times in a zone, a series of narwhals, as times in UTC."""
    if isinstance(times.dtype, narwhals().Unknown):  # see `type_of_times`
        return narwhals().from_native(times.to_native().dt.tz_convert("UTC"), series_only=True)
    return times.dt.convert_time_zone("UTC")


def make_frame(columns: Mapping[str, Any], library: Any = "pandas") -> Any:
    """Return columns as a data frame.

    Args:
      columns: by name, each an array [rows], a list of so many values or a series of narwhals.
      library: "pandas", "polars" or "pyarrow", or another one that narwhals knows.

    Returns:
      A data frame of that library; a Table of pyarrow.

    Raises:
      ImportError: narwhals or the library is not installed.
      ValueError: narwhals does not know the library.

    Examples:
      >>> from lstmcore.series.frames import make_frame
      >>> print(make_frame({"load": [5.0, 6.0], "temp": [20.0, 21.0]}))
         load  temp
      0   5.0  20.0
      1   6.0  21.0
    """
    nw = narwhals()
    try:
        whole = {name: _plain(values) for name, values in columns.items()}
        return nw.from_dict(whole, backend=library).to_native()
    except ModuleNotFoundError as error:
        raise ImportError(
            f"a frame of {library} needs that package: pip install {library}"
        ) from error
    except ValueError as error:
        if library in LIBRARIES:
            raise
        raise ValueError(
            f"library must be 'pandas', 'polars' or 'pyarrow', got {library!r}"
        ) from error


def with_column_before(frame: Any, name: str, column: Any) -> Any:
    """Return a data frame with a series of narwhals, of its own library, as the first column."""
    nw = narwhals()
    first = column.alias(name).to_frame()
    whole = nw.concat([nw.maybe_reset_index(first), nw.from_native(frame)], how="horizontal")
    return whole.to_native()


def installed_library() -> str | None:
    """Return the first of LIBRARIES that is installed beside narwhals; None if none is."""
    libraries = LIBRARIES if find_spec("narwhals") else ()
    return next((library for library in libraries if find_spec(library)), None)


def is_pandas(library: Any) -> bool:
    """Return whether a library, named as in `make_frame`, is pandas or has frames like it."""
    try:
        return narwhals().Implementation.from_backend(library).is_pandas_like()
    except (TypeError, ValueError):
        return False


def narwhals() -> Any:
    """Return the module narwhals, which knows the data frames of all libraries."""
    try:
        import narwhals
    except ImportError as error:
        raise ImportError("data frames need the package narwhals: pip install narwhals") from error
    return narwhals


def _plain(values: Any) -> Any:
    """Return a column as an array of NumPy or a list, which every library reads."""
    if hasattr(values, "to_list"):  # of narwhals or pandas
        return values.to_list()
    return np.asarray(values) if hasattr(values, "__array__") else values


def _check_names(name: str, value: Any) -> None:
    """Raise ValueError if names of pandas or pyarrow do not tell the columns apart."""
    names = getattr(value, "column_names", None)
    names = list(getattr(value, "columns", []) if names is None else names)
    texts = list(map(str, names))
    if len(set(texts)) < len(texts):
        twice = Counter(texts).most_common(1)[0][0]
        raise ValueError(f"{name} has more than one column {shorten(twice)!r}: rename them")
    numbers = list(range(len(names)))
    if names != numbers and set(names) == set(numbers):
        # In order these numbers are no names, and nothing would match the columns by them.
        raise ValueError(
            f"{name} has the columns {few(texts)}, numbered but not in order: sort them "
            "(sort_index(axis=1) in pandas), or give them names"
        )


def _index_of(nw: Any, value: Any, library: str) -> tuple[Any, Any]:
    """Return (index, its times as a series of narwhals or None) of pandas; else (None, None)."""
    index = getattr(value, "index", None)
    if library in ("polars", "pyarrow") or index is None or callable(index):
        return None, None
    dated = index.to_timestamp() if hasattr(index, "to_timestamp") else index  # of periods
    if str(dated.dtype).startswith(("datetime64", "date", "timestamp")):
        times = dated.to_series(name=index.name).reset_index(drop=True)
        return index, nw.from_native(times, series_only=True)
    return index, None


def _holds_times(nw: Any, column: Any) -> bool:
    return isinstance(type_of_times(column), nw.Date | nw.Datetime)


def _check_zone(name: str, times: Any) -> None:
    """Raise ValueError for a zone that is a file, as dateutil has them."""
    zone = getattr(type_of_times(times), "time_zone", None)
    if zone is not None and "(" in zone and not zone.startswith("pytz"):
        raise ValueError(
            f"{name} has times in the zone {shorten(zone)}, which has no name: convert them to one "
            "that has, for instance by tz_convert('Europe/Berlin')"
        )
