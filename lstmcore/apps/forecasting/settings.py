"""The settings of a forecaster, and the order in which its model reads columns."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from lstmcore import checks
from lstmcore.apps.forecasting.linear import linear_rows
from lstmcore.apps.settings import Fraction, Part, Season, SeriesSettings
from lstmcore.formatting import count, few, shorten
from lstmcore.models.forecaster import Forecaster
from lstmcore.series import arguments


def check_names(name: str, value: Any) -> tuple[str, ...]:
    """Return names of columns as a tuple, each of them once."""
    try:
        names = value if isinstance(value, str) else tuple(value)
    except TypeError:
        names = (value,)
    if isinstance(names, str) or not all(isinstance(one, str) for one in names):
        raise TypeError(
            f"{name} must be names such as ('load', 'price'), got {reprlib.repr(names)}"
        )
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ValueError(f"{name} holds a name twice: {few([twice, twice])}")
    return names


def check_quantiles(name: str, value: Any) -> tuple[float, ...]:
    """Return levels of quantiles in rising order, 0.5 among them; or none."""
    quantiles = checks.check_quantiles(value)
    if quantiles and 0.5 not in quantiles:
        raise ValueError(
            f"{name} must hold 0.5, the point forecast, got {quantiles}: pass for instance "
            "(0.1, 0.5, 0.9)"
        )
    return quantiles


Names = Annotated[tuple[str, ...], check_names, "NAMES"]


@dataclass(frozen=True, kw_only=True)
class Settings(SeriesSettings):
    """The settings of a forecaster.

    The fields of `apps.settings.SeriesSettings`, with other defaults, and:

    Attributes:
      mode: how several rows are forecast: "direct", all at once, or "recursive", row by row, each
        from the one before. See `lc.Forecaster`.
      targets: columns to forecast; if none is named, all except the future covariates.
      future_covariates: columns known in advance, such as calendar, plans and prices; for a
        forecast after the last row, append rows to the table with these alone, the others empty.
        (In Python, pass `future`.)
      season: rows in a season; auto looks for it in the training part, 0 is none. It is used for
        differences, MASE and the seasonal naive forecast. None is 0.
      linear: forecast by a linear map of the window, plus what the LSTM learns of the rest (direct
        mode only). The map is fitted in closed form. Off, the LSTM forecasts alone.
      search: choose the differences to take, unless some are given. Tried are none, lag 1, the
        season and both, by the error of the linear map in rolling origins before the test part.
      quantiles: rising, 0.5 among them, which is the point forecast; () forecasts the mean.
      dropout: fraction of units dropped in training; if above 0, samples with dropout give the
        forecast an interval.
      nonnegative: forecast no value below 0 of a column that has none before the test part, nor
        before the forecast. Its interval ends at 0, too.
      test: rows to evaluate on, the last in time: a fraction of all, or from 1 on their number.
      horizon: rows to forecast.
      validation: rows used for early stopping, those before the test part: a fraction of all, or
        from 1 on their number.
      learning_rate: step size of Adam. Gradients are clipped to a norm of 1.

    Raises:
      ValueError: numbers out of range, or choices that do not fit together.
      TypeError: arguments of another kind.
    """

    mode: Literal["direct", "recursive"] = "direct"
    targets: Names = ()
    future_covariates: Names = ()
    season: Season | None = "auto"
    linear: bool = True
    search: bool = True
    quantiles: Annotated[tuple[float, ...], check_quantiles] = ()
    dropout: Fraction = 0.0
    nonnegative: bool = True
    test: Part = 0.15
    validation: Part = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        Forecaster(  # raises where its hyperparameters do not fit
            1,
            self.units,
            self.horizon,
            mode=self.mode,
            quantiles=self.quantiles,
            dropout=self.dropout,
        )
        short = [lag for lag in self.preprocessing.difference if lag < self.horizon]
        if self.quantiles and short:
            raise ValueError(
                f"differences of lag {short[0]} are added up to forecast "
                f"{count(self.horizon, 'row')}, and quantiles of sums are not sums of quantiles: "
                "take lags of at least the horizon, or dropout and samples instead of quantiles"
            )

    @property
    def season_rows(self) -> int | None:
        """Return the season; None if there is none, or none has been looked for yet."""
        return self.season if isinstance(self.season, int) else None


class Columns(NamedTuple):
    """The columns of a table in the order of a model.

    order: positions in the table: targets, past covariates, future covariates
    targets, future_covariates: number of each
    """

    order: list[int]
    targets: int
    future_covariates: int


def arrange(columns: Sequence[str], settings: Settings) -> Columns:
    """Return the columns of a table in the order of the model.

    Raises:
      ValueError: a name is not that of a column, or is given twice, or as target and covariate.
    """
    names = check_names("columns", columns)
    every = set(names)
    for kind in ("targets", "future_covariates"):
        for name in getattr(settings, kind):
            if name not in every:
                raise ValueError(f"{kind} names {shorten(name)!r} but the columns are {few(names)}")
    if both := set(settings.targets) & set(settings.future_covariates):
        raise ValueError(
            f"{min(both)!r} is among targets and future_covariates: name it in one of them"
        )
    covariates = set(settings.future_covariates)
    targets = settings.targets or tuple(name for name in names if name not in covariates)
    if not targets:
        raise ValueError("all columns are future covariates: leave one to forecast")
    place = {name: number for number, name in enumerate(names)}
    others = place.keys() - {*targets, *settings.future_covariates}
    past = [name for name in names if name in others]
    order = [place[name] for name in (*targets, *past, *settings.future_covariates)]
    return Columns(order, len(targets), len(settings.future_covariates))


def build(settings: Settings, columns: Sequence[str]) -> Forecaster:
    """Return the model for settings and columns."""
    order, targets, future_covariates = arrange(columns, settings)
    return Forecaster(
        len(order),
        settings.units,
        settings.horizon,
        targets=targets,
        future_covariates=future_covariates,
        mode=settings.mode,
        quantiles=settings.quantiles,
        dropout=settings.dropout,
        linear_rows=_linear_rows(settings, len(order), future_covariates),
    )


def _linear_rows(settings: Settings, features: int, future_covariates: int) -> int:
    """Return how many rows the linear path reads, 0 without one."""
    if not settings.linear or settings.mode == "recursive":
        return 0
    return linear_rows(settings.window, features, settings.horizon * future_covariates)


def names_of(values, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of a table's columns: those given, its own, or column_0, column_1, ...

    Raises:
      ValueError, TypeError: one is not a name, or is given twice.
    """
    if isinstance(columns, Settings):
        raise TypeError("columns must be names of columns, got Settings: write settings=settings")
    own = arguments.column_names(values)
    if columns is not None:
        return check_names("columns", columns)
    if own is not None:
        return own
    return tuple(f"column_{place}" for place in range(arguments.as_table(values).shape[1]))
