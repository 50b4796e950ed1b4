"""Forecasts in units of the data, with an interval from quantiles or samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.display import displayed
from lstmcore.display.arrays import number_text
from lstmcore.display.html import sparkline, table, titled
from lstmcore.formatting import count, few, shorten
from lstmcore.series.row_index import RowIndex

MOST_SHOWN = 4  # targets of a forecast in a notebook


@displayed
class Forecast(NamedTuple):
    """Forecasts in units of the data.

    Attributes:
      origins: int [N], the row that each starts with.
      targets: names of the columns that are forecast.
      point: [N, horizon, targets]: the mean; the median of a model that forecasts quantiles; with
        samples, the mean over the dropout masks, without the errors.
      levels: the Q levels of the quantiles: those of the model or, around a mean, 0.1 and 0.9.
      quantiles: [N, horizon, targets, Q], or None.
      samples: [N, horizon, targets, S], or None.
      row_index: `series.row_index.RowIndex` of the data frame that was forecast; None of an array.
    """

    origins: np.ndarray
    targets: tuple[str, ...]
    point: np.ndarray
    levels: tuple[float, ...] = ()
    quantiles: np.ndarray | None = None
    samples: np.ndarray | None = None
    row_index: RowIndex | None = None

    def to_frame(self, library: str | None = None, *, level: float = 0.8):
        """Return the forecasts as a data frame with one row for each forecast row.

        Args:
          library: "pandas", "polars" or "pyarrow"; None takes that of the table that was forecast,
            and pandas for an array.
          level: of the interval, where there are samples.

        Returns:
          Data frame. Its index, or its column of times, goes on after that of the table; of an
          array it is the number of the row. Columns: one for each target, "NAME 0.1" and so on for
          the quantiles, or the ends of the interval from samples; and, with several forecasts,
          "step", from 1 to the horizon, before these.

        Raises:
          ValueError: an index that does not say what comes after the last row, two columns of one
            name, an unknown library, or a level outside of 0 to 1.
          ImportError: narwhals or the library is not installed.

        Examples:
          >>> from lstmcore import forecasting
          >>> settings = forecasting.Settings(window=10, horizon=3, units=4, epochs=1)
          >>> trained = forecasting.train(np.sin(np.arange(200) / 5), ["wave"], settings)
          >>> trained.forecast(np.sin(np.arange(200) / 5)).to_frame().index.tolist()
          [200, 201, 202]
        """
        index = self.row_index or RowIndex.numbered()
        return index.frame(self.columns(level), self.rows, library)

    @property
    def rows(self) -> np.ndarray:
        """Return the row of the table that each forecast row is, int [N * horizon]."""
        return (self.origins[:, None] + np.arange(self.point.shape[1])).ravel()

    def columns(self, level: float = 0.8) -> dict[str, np.ndarray]:
        """Return the columns of `to_frame`, [N * horizon] each.

        Raises:
          ValueError: two of one name.
        """
        forecasts, horizon, _ = self.point.shape
        steps = np.tile(np.arange(horizon) + 1, forecasts)
        named = [("step", steps)] if forecasts > 1 else []
        for place, target in enumerate(self.targets):
            named.append((target, self.point[:, :, place].ravel()))
            spread = self._spread(place, level)
            named += [(f"{target} {name}", values.ravel()) for name, values in spread]
        columns = dict(named)
        if len(columns) < len(named):
            twice = Counter(name for name, _ in named).most_common(1)[0][0]
            raise ValueError(
                f"the frame would have two columns {shorten(twice)!r}, since a target has this "
                "name: rename it and train again, or use point itself"
            )
        return columns

    def _spread(self, place: int, level: float) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, [N, horizon]) of a target's quantiles, or of the ends of its interval."""
        if self.samples is not None:
            names = f"{(1 - level) / 2:.4g}", f"{(1 + level) / 2:.4g}"
            for name, end in zip(names, self.interval(level), strict=True):
                yield name, end[:, :, place]
        elif self.quantiles is not None:
            for number, quantile in enumerate(self.levels):
                if quantile != 0.5:  # the point
                    yield f"{quantile:.4g}", self.quantiles[:, :, place, number]

    def _repr_html_(self) -> str:
        """Return the first forecast as a table, one row for each step, and its curves."""
        forecasts, horizon, _ = self.point.shape
        title = f"{count(forecasts, 'forecast')} of {count(horizon, 'row')}"
        if not forecasts:
            return titled(title)
        columns: list[tuple[str, np.ndarray]] = []
        for place, target in enumerate(self.targets[:MOST_SHOWN]):
            columns.append((shorten(target), self.point[0, :, place]))
            if self.quantiles is not None:
                of_levels = zip(self.levels, self.quantiles[0, :, place].T, strict=True)
                columns += [(f"{q:g} quantile", values) for q, values in of_levels if q != 0.5]
        positions = self.origins[0] + np.arange(horizon)
        try:
            labels = (self.row_index or RowIndex.numbered()).texts(positions)
        except ValueError:  # names that do not say what comes after the last row
            labels = list(map(str, positions))
        header = ["row", *(name for name, _ in columns)]
        rows: list[list[str]] = [["", *(sparkline(values, name) for name, values in columns)]]
        for step, label in enumerate(labels):
            rows.append([label, *(number_text(values[step]) for _, values in columns)])
        hidden = len(self.targets) - MOST_SHOWN
        more = f"and {count(hidden, 'more target')}" if hidden > 0 else ""
        drawn = "" if self.samples is None else f"{self.samples.shape[-1]:,} samples each"
        return titled(title, ", ".join(filter(None, [drawn, more])), table(header, rows, words=0))

    def interval(self, level: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
        """Return (low, high), [N, horizon, targets] each, which should cover `level` of the truth.

        It is made from errors in rows that were not trained on and, with samples, from dropout.

        Raises:
          ValueError: there are neither samples nor quantiles, or not the quantiles of this level.
        """
        checks.check_rate("level", level)
        ends = (1 - level) / 2, (1 + level) / 2
        if self.samples is not None:
            low, high = np.quantile(self.samples, ends, axis=-1)
            return low, high
        if self.quantiles is None:
            raise ValueError(
                "this forecast has no interval: the LSTM forecasts alone, and its errors in rows "
                "that were not trained on are unknown; train with a validation part"
            )
        places = [np.flatnonzero(np.isclose(self.levels, end)) for end in ends]
        if not all(map(len, places)):
            raise ValueError(
                f"an interval of {level:.0%} lies between the quantiles {ends[0]:.4g} and "
                f"{ends[1]:.4g}, but the forecast has {few(list(map(str, self.levels)))}: train "
                "with these quantiles, or forecast with samples=500, which have all levels"
            )
        return self.quantiles[..., places[0][0]], self.quantiles[..., places[1][0]]
