"""Forecasts in units of the data, with an interval from quantiles or samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.display import displayed
from lstmcore.display.arrays import number_text
from lstmcore.display.html import sparkline, table, titled
from lstmcore.formatting import count, shorten

MOST_SHOWN = 4  # targets of a forecast in a notebook


@displayed
class Forecast(NamedTuple):
    """Forecasts in units of the data.

    Attributes:
      origins: int [N], the row that each starts with.
      targets: names of the columns that are forecast.
      point: [N, horizon, targets]: the mean; the median if there are quantiles; with samples, the
        mean over the dropout masks, without the noise.
      levels: the Q levels of the quantiles.
      quantiles: [N, horizon, targets, Q], or None.
      samples: [N, horizon, targets, S], or None.
    """

    origins: np.ndarray
    targets: tuple[str, ...]
    point: np.ndarray
    levels: tuple[float, ...] = ()
    quantiles: np.ndarray | None = None
    samples: np.ndarray | None = None

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
        header = [f"row {self.origins[0]:,} +", *(name for name, _ in columns)]
        rows: list[list[str]] = [["", *(sparkline(values, name) for name, values in columns)]]
        for step in range(horizon):
            rows.append([f"{step}", *(number_text(values[step]) for _, values in columns)])
        hidden = len(self.targets) - MOST_SHOWN
        more = f"and {count(hidden, 'more target')}" if hidden > 0 else ""
        drawn = "" if self.samples is None else f"{self.samples.shape[-1]:,} samples each"
        return titled(title, ", ".join(filter(None, [drawn, more])), table(header, rows, words=0))

    def interval(self, level: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
        """Return (low, high), [N, horizon, targets] each, which should cover `level` of the truth.

        An interval from samples covers the uncertainty of the model, from dropout, and the noise of
        the data, from the validation part; without a validation part it is far too narrow.

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
                "a point forecast has no interval: train with quantiles=(0.1, 0.5, 0.9), or with "
                "dropout and forecast with samples=100"
            )
        places = [np.flatnonzero(np.isclose(self.levels, end)) for end in ends]
        if not all(map(len, places)):
            raise ValueError(
                f"an interval of {level:.0%} lies between the quantiles {ends[0]:.4g} and "
                f"{ends[1]:.4g}, but the model was trained for {self.levels}"
            )
        return self.quantiles[..., places[0][0]], self.quantiles[..., places[1][0]]
