"""The settings of a forecaster, and the order in which its model reads columns."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, NamedTuple

from lstmcore import checks
from lstmcore.apps.forecasting.linear import most_rows
from lstmcore.apps.settings import Count, Fraction, Part, Season, SeriesSettings
from lstmcore.formatting import count, did_you_mean, few, shorten
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


def check_rows_read(name: str, value: Any) -> int | str:
    """Return a number of rows, or "auto"."""
    return value if isinstance(value, str) and value == "auto" else checks.check_count(name, value)


Names = Annotated[tuple[str, ...], check_names, "NAMES"]
RowsRead = Annotated[int | str, check_rows_read, "ROWS"]


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
      linear: forecast by a linear map of the last rows, plus what the LSTM learns of the rest
        (direct mode only). The map is fitted in closed form. Off, the LSTM forecasts alone.
      linear_rows: rows that the linear map reads; auto takes as many as the maps that `search`
        chooses, or the window.
      calendar: read the time of day, of the week and of the year from the times of the table, in
        the linear map and in the head of the LSTM (direct mode only). auto does so if that lowers
        the error in the origins of `search` by more than chance.
      search: try linear maps of several lengths, and of differences of lag 1, the season and both,
        in rolling origins before the test part, and take a mean of the best. Without a linear map
        it chooses the differences that the LSTM reads. Differences that are given are kept, and
        only the penalty of the map is chosen; so it is with `linear_rows`.
      quantiles: rising, 0.5 among them, which is the point forecast; () forecasts the mean.
      dropout: fraction of units dropped in training; if above 0, samples with dropout widen the
        interval of the forecast.
      ensemble: networks that are trained at once from different initial weights, each with `units`,
        and whose forecasts are averaged (direct mode only).
      nonnegative: forecast no value below 0 of a column that has none before the test part, nor
        before the forecast. Its interval ends at 0, too.
      test: rows to evaluate on, the last in time: a fraction of all, or from 1 on their number.
      horizon: rows to forecast.
      validation: rows used for early stopping, those before the test part: a fraction of all, or
        from 1 on their number.

    Raises:
      ValueError: numbers out of range, or choices that do not fit together.
      TypeError: arguments of another kind.
    """

    mode: Literal["direct", "recursive"] = "direct"
    targets: Names = ()
    future_covariates: Names = ()
    season: Season | None = "auto"
    linear: bool = True
    linear_rows: RowsRead = "auto"
    calendar: Literal["auto", "on", "off"] = "auto"
    search: bool = True
    quantiles: Annotated[tuple[float, ...], check_quantiles] = ()
    dropout: Fraction = 0.0
    ensemble: Count = 1
    nonnegative: bool = True
    test: Part = 0.15
    validation: Part = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.calendar == "on" and not self.has_map:
            raise ValueError(
                "calendar='on' needs a linear map, which reads the calendar: use mode='direct' and "
                "linear=True, or name columns of the calendar as future_covariates"
            )
        if self.ensemble > 1 and self.mode == "recursive":
            raise ValueError(
                f"ensemble={self.ensemble} needs mode='direct': each network of a recursive "
                "ensemble would have to read its own forecasts; use ensemble=1"
            )
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

    @property
    def has_map(self) -> bool:
        """Return whether there may be a linear map, unless there are too many columns."""
        return self.linear and self.mode == "direct"

    @property
    def rows_read(self) -> int:
        """Return how many rows before a forecast the model reads, the LSTM or the linear map."""
        of_map = self.linear_rows if self.has_map and isinstance(self.linear_rows, int) else 0
        return max(self.window, of_map)


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
                raise ValueError(
                    f"{kind} names {shorten(name)!r}{did_you_mean(name, names)} but the columns "
                    f"are {few(names)}"
                )
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


def build(settings: Settings, columns: Sequence[str], calendar: int = 0) -> Forecaster:
    """Return the model for settings, columns and numbers of the calendar.

    That of an ensemble has the units of all members.
    """
    order, targets, future_covariates = arrange(columns, settings)
    return Forecaster(
        len(order),
        tuple(settings.ensemble * size for size in settings.units),
        settings.horizon,
        targets=targets,
        future_covariates=future_covariates,
        mode=settings.mode,
        quantiles=settings.quantiles,
        dropout=settings.dropout,
        calendar=calendar,
        linear_rows=_linear_rows(settings, len(order), future_covariates),
        lstm_rows=settings.window if settings.rows_read > settings.window else None,
    )


def continued(settings: Settings, columns: Sequence[str], start: Any, name: str) -> Settings:
    """Return the settings of a training that continues from an earlier one, once they fit it.

    Args:
      settings: as they are asked for.
      columns: of the table, or of all tables.
      start: `Trained` or `TrainedMany`.
      name: of the argument that holds the columns, for errors.

    Raises:
      ValueError: other columns, or settings of another model or preprocessing.
    """
    if tuple(columns) != start.columns:
        raise ValueError(
            f"start was trained on the columns {few(start.columns)}, but {name} has "
            f"{few(list(columns))}: pass the same ones, in the same order"
        )
    model = replace(start.model, static=0, series=0, embedding=0)  # which no settings describe
    steps = [
        (each.preprocessing, each.season_rows, each.ensemble) for each in (settings, start.settings)
    ]
    if build(settings, columns, model.calendar) != model or steps[0] != steps[1]:
        raise ValueError(
            "settings describe another model or preprocessing than those of start: leave them out, "
            "or change those of the training alone, as in dataclasses.replace(start.settings, "
            "epochs=5)"
        )
    return replace(settings, season=start.settings.season, search=False)


def _linear_rows(settings: Settings, features: int, future_covariates: int) -> int:
    """Return how many rows the linear path reads, 0 without one."""
    if not settings.has_map:
        return 0
    if isinstance(settings.linear_rows, int):
        return settings.linear_rows
    return min(settings.window, most_rows(features, settings.horizon * future_covariates))


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
