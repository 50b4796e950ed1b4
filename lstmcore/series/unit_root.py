"""Two tests of whether a series is stationary or should be differenced."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from lstmcore.formatting import count
from lstmcore.series.arguments import as_table
from lstmcore.series.arrays import check_size, is_table

LEVEL = 0.05  # of significance, of both tests
FEWEST, MOST = 20, 2_000  # rows to test; the time grows with their square

# (ADF rejects a unit root, KPSS rejects stationarity) -> verdict
VERDICTS = {
    (True, False): "stationary",
    (False, True): "not stationary: take differences",
    (False, False): "stationary around a trend, or too short to tell: take differences",
    (True, True): "stationary after differences: take differences",
}


class Stationarity(NamedTuple):
    """Results of two tests of one series; `str()` of it is one line.

    Attributes:
      verdict: conclusion from both tests; "constant" for a series that never changes.
      adf: p-value of the augmented Dickey-Fuller test; if small, there is no unit root, which
        speaks for stationarity. NaN for a constant series.
      kpss: p-value of the KPSS test, between 0.01 and 0.1; if small, the series is not stationary
        around a level. NaN for a constant series.
      rows: number of rows that were tested.
    """

    verdict: str
    adf: float
    kpss: float
    rows: int

    def __str__(self) -> str:
        return f"{self.verdict} (ADF p = {self.adf:.3f}, KPSS p = {self.kpss:.3f})"


def stationarity(values) -> Stationarity | tuple[Stationarity, ...]:
    """Test whether a series varies about one level, or wanders off and is better differenced.

    The two tests have opposite null hypotheses, so that they confirm or question each other:

        ADF rejects    KPSS does not    stationary
        does not       rejects          not stationary
        does not       does not         stationary around a trend (or the series is short)
        rejects        rejects          stationary after differences

    Neither detects a season: a series with a regular season passes as stationary.

    Sources: Said & Dickey (1984), "Testing for unit roots in autoregressive-moving average models
    of unknown order"; Kwiatkowski, Phillips, Schmidt & Shin (1992), "Testing the null hypothesis of
    stationarity against the alternative of a unit root"; the table is that of statsmodels'
    "Stationarity and detrending (ADF/KPSS)", at a level of 5 %.

    Args:
      values: numbers [rows] or [rows, F], without missing values, of the training part; of more
        than 2,000 rows the last 2,000 are tested.

    Returns:
      Stationarity, or for [rows, F] a tuple of F.

    Raises:
      ValueError: fewer than 20 rows, missing values, infinities.
      ImportError: statsmodels is not installed.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import series
      >>> walk = np.random.default_rng(0).normal(size=200).cumsum()
      >>> print(series.stationarity(walk))
      not stationary: take differences (ADF p = 0.447, KPSS p = 0.010)
      >>> print(series.stationarity(np.diff(walk)))
      stationary (ADF p = 0.000, KPSS p = 0.100)
    """
    table = as_table(values, name="values").astype(float)
    if len(table) < FEWEST:
        raise ValueError(
            f"values has {count(len(table), 'row')}: tests of stationarity need at least {FEWEST}"
        )
    if np.isnan(table).any():
        raise ValueError("values has missing values: fill them first, see fit_filling")
    check_size(table)
    results = tuple(_test(column[-MOST:]) for column in table.T)
    is_single = not is_table(values) and np.ndim(values) == 1
    return results[0] if is_single else results


def _test(column: np.ndarray) -> Stationarity:
    try:
        from statsmodels.tsa.stattools import adfuller, kpss
    except ImportError as error:
        raise ImportError(
            "tests of stationarity need the package statsmodels: pip install statsmodels"
        ) from error
    rows, spread = len(column), np.ptp(column)
    if spread == 0:
        return Stationarity("constant", np.nan, np.nan, rows)
    column = (column - column.min()) / spread  # avoids overflow; the tests do not depend on scale
    # They warn of p-values beyond their tables, of exact fits, and of deprecations.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        adf, stationary = _p_value(adfuller(column)), _p_value(kpss(column))
    verdict = VERDICTS[adf < LEVEL, stationary < LEVEL]
    return Stationarity(verdict, adf, stationary, rows)


def _p_value(result) -> float:
    """Return the p-value of a plain tuple or, from statsmodels 0.16 on, of an object."""
    return float(result.pvalue if hasattr(result, "pvalue") else result[1])
