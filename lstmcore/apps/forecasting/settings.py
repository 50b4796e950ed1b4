"""What a forecast depends on but for its data, and the order in which a model reads columns."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lstmcore import checks, specs
from lstmcore.apps.settings import SeriesSettings
from lstmcore.formatting import count, few, shorten
from lstmcore.models.forecaster import Forecaster
from lstmcore.series import arguments, stride_for

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings(SeriesSettings):
    """All that training a forecaster depends on but for the table.

    The fields of `apps.settings.SeriesSettings`, with other defaults, and:

    Attributes:
      mode: "direct", all rows at once, or "recursive", one row from which the next is forecast; see
        `lc.Forecaster`.
      targets: names of the columns to forecast; () takes all that are not future covariates.
      future_covariates: names of the columns known in advance, such as calendar, plans and prices.
      season: rows of a season, for the seasonal naive forecast and MASE; None if there is none.
      quantiles: rising, 0.5 among them, which is the point forecast; () forecasts the mean.
      dropout: fraction that is dropped, in training and for samples of the forecast.
      test: fraction of the rows, the last in time, to evaluate on.
      horizon: rows to forecast.
      validation: fraction of the rows, before the test part, that decides when training stops.
      learning_rate: of Adam; gradients are clipped to a norm of 1.

    Raises:
      ValueError: numbers out of range, or choices that do not go together.
      TypeError: arguments of another kind.
    """

    mode: str = "direct"
    targets: tuple[str, ...] = ()
    future_covariates: tuple[str, ...] = ()
    season: int | None = None
    quantiles: tuple[float, ...] = ()
    dropout: float = 0.0
    test: float = 0.15
    validation: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_counts("season")
        self._check_fractions("test")
        self._set("dropout", checks.check_number("dropout", self.dropout))
        for name in ("targets", "future_covariates"):
            self._set(name, _names(name, getattr(self, name)))
        self._set("quantiles", checks.check_quantiles(self.quantiles))
        specs.forecaster(
            1,
            self.units,
            self.horizon,
            mode=self.mode,
            quantiles=self.quantiles,
            dropout=self.dropout,
        )
        self._check_quantiles()

    def _check_quantiles(self) -> None:
        if self.quantiles and 0.5 not in self.quantiles:
            raise ValueError(
                f"quantiles must hold 0.5, the point forecast, got {self.quantiles}: write for "
                "instance (0.1, 0.5, 0.9)"
            )
        short = [lag for lag in self.preprocessing.difference if lag < self.horizon]
        if self.quantiles and short:
            raise ValueError(
                f"differences of lag {short[0]} are added up to forecast "
                f"{count(self.horizon, 'row')}, and quantiles of sums are no sums of quantiles: "
                "take lags of at least the horizon, or dropout and samples instead of quantiles"
            )

    def stride_for(self, windows: int, features: int) -> int:
        """Rows between windows, if a stride of 1 makes so many."""
        return stride_for(self.stride, windows, (self.window + self.horizon) * features)


class Columns(NamedTuple):
    """How the columns of a table stand before a model.

    order: positions in the table: targets, then those of which only the past is known, then known
    targets, known: how many
    """

    order: list[int]
    targets: int
    known: int


def arrange(columns: Sequence[str], settings: Settings) -> Columns:
    """Which columns of a table the model forecasts, reads, and knows in advance.

    Raises:
      ValueError: names that there are not, or twice, or that are on both sides.
    """
    names = _names("columns", columns)
    every = set(names)
    for kind in ("targets", "future_covariates"):
        for name in getattr(settings, kind):
            if name not in every:
                raise ValueError(f"{kind} names {shorten(name)!r} but the columns are {few(names)}")
    if both := set(settings.targets) & set(settings.future_covariates):
        raise ValueError(
            f"{min(both)!r} is among targets and known: what is known needs no forecast"
        )
    known = set(settings.future_covariates)
    targets = settings.targets or tuple(name for name in names if name not in known)
    if not targets:
        raise ValueError("all columns are known in advance: leave one to forecast")
    place = {name: number for number, name in enumerate(names)}
    others = place.keys() - {*targets, *settings.future_covariates}
    past = [name for name in names if name in others]
    order = [place[name] for name in (*targets, *past, *settings.future_covariates)]
    return Columns(order, len(targets), len(settings.future_covariates))


def build(settings: Settings, columns: Sequence[str]) -> Forecaster:
    """The model for these settings and columns."""
    order, targets, known = arrange(columns, settings)
    return Forecaster(
        len(order),
        settings.units,
        settings.horizon,
        targets=targets,
        future_covariates=known,
        mode=settings.mode,
        quantiles=settings.quantiles,
        dropout=settings.dropout,
    )


def as_table(values, columns: Sequence[str], name: str = "values") -> np.ndarray:
    """Return `values` as float64 [rows, F], one column for each name.

    Raises:
      ValueError, TypeError: they are not, see `series.arguments.as_table`.
    """
    if arguments.column_names(values) is None:
        try:
            values = np.asanyarray(values)
        except ValueError:  # which `as_table` explains
            return arguments.as_table(values, columns, name)
        if values.dtype.kind not in "iuf":
            raise TypeError(f"{name} must be real numbers, got {values.dtype}")
        checks.check_array(name, values[:, None] if values.ndim == 1 else values, "rows columns")
    return arguments.as_table(values, columns, name).astype(float)


def names_of(values, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of a table's columns: those given, its own, or column_0, column_1, ...

    Raises:
      ValueError, TypeError: names that are no names, or twice the same.
    """
    own = arguments.column_names(values)
    if columns is not None:
        return _names("columns", columns)
    if own is not None:
        return own
    shape = np.shape(values)
    return tuple(f"column_{place}" for place in range(shape[1] if len(shape) > 1 else 1))


def as_float32(prepared: np.ndarray) -> np.ndarray:
    """A prepared table as a model reads it.

    Raises:
      ValueError: numbers that are too large.
    """
    if np.abs(prepared).max() > np.finfo(np.float32).max:
        raise ValueError(
            "prepared, some values do not fit into float32: scale them (scaling='standard'), or "
            "look for a column that hardly changes in the training part"
        )
    return prepared.astype(np.float32)


def _names(what: str, names) -> tuple[str, ...]:
    try:
        names = names if isinstance(names, str) else tuple(names)
    except TypeError:
        names = (names,)
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"{what} must be names such as ('load', 'price'), got {reprlib.repr(names)}"
        )
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ValueError(f"{what} holds a name twice: {few([twice, twice])}")
    return tuple(names)
