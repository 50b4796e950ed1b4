"""Forecasts of many series, and their data frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.many.panel import SERIES, column_of_names
from lstmcore.formatting import few, shorten
from lstmcore.series.frames import make_frame
from lstmcore.series.row_index import ROW, RowIndex


@dataclass(frozen=True, eq=False, repr=False)
class ForecastOfMany:
    """Forecasts of several series.

    Attributes:
      forecasts: {name of a series: Forecast}.
      left_out: {name of a series: why it could not be forecast}.
      id: names of the columns that name a series.
    """

    forecasts: dict[str, Forecast]
    left_out: dict[str, str]
    id: tuple[str, ...] = (SERIES,)

    def __getitem__(self, series: Any) -> Forecast:
        name = str(series)
        if name not in self.forecasts:
            why = self.left_out.get(name, f"the forecasts are of {few(list(self.forecasts))}")
            raise KeyError(f"{shorten(name)} was not forecast: {why}")
        return self.forecasts[name]

    def __repr__(self) -> str:
        left_out = f", {len(self.left_out):,} left out" if self.left_out else ""
        return f"ForecastOfMany({len(self.forecasts):,} series{left_out})"

    def to_frame(self, library: str | None = None, *, level: float = 0.8) -> Any:
        """Return all forecasts as one long data frame.

        Args:
          library: "pandas", "polars" or "pyarrow"; None takes that of the series, and pandas for
            arrays.
          level: of the interval, where there are samples.

        Returns:
          Data frame with a row for each series and row forecast: the name of the series, the time
          of the row or its number, and the columns of `Forecast.to_frame`.

        Raises:
          ValueError, ImportError: as `Forecast.to_frame`; or two columns of one name.
        """
        parts = []
        for name, forecast in self.forecasts.items():
            index = forecast.row_index or RowIndex.numbered()
            columns = forecast.columns(level)
            label = _label_name(index)
            labels = {label: list(index.labels(forecast.rows, index.library))}
            names = {column_of_names(self.id): [name] * len(forecast.rows)}
            if clash := (names.keys() & columns.keys()) | (labels.keys() & columns.keys()):
                raise ValueError(
                    f"the frame would have two columns {shorten(min(clash))!r}: rename that column "
                    "of the series"
                )
            parts.append((index.library, names | labels | columns))
        library = parts[0][0] if library is None else library
        whole = {
            name: [value for _, columns in parts for value in columns[name]] for name in parts[0][1]
        }
        return make_frame(whole, library)


def _label_name(index: RowIndex) -> str:
    """Return the name of the column of row names: that of the times, or "row"."""
    if index.times is not None:
        return str(index.times.name or "time")
    return str(getattr(index.index, "name", None) or ROW)
