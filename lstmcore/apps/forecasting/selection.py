"""The choice of season and of linear maps, on the rows before the test part alone.

A linear map is fitted in milliseconds, where an LSTM takes seconds. So many are tried, of several
lengths and differences, in rolling origins (Tashman 2000, "Out-of-sample tests of forecasting
accuracy"), each fitted anew on all rows before each segment. The forecast is a mean of the best:
of forecasts that are about as good, the mean is better than most, and than the one that was lucky
(Bates & Granger 1969, "The combination of forecasts"). Maps that are worse than the best by more
than chance are left out, and the weights of the others fall with the squares of their errors.

Many series that one model forecasts share one choice. Each map is fitted to all of them, and its
error is the mean of those of the series, each relative to the mean change of that series, so that
none counts for more because its numbers are larger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lstmcore import checks, series
from lstmcore.apps.forecasting import linear
from lstmcore.apps.forecasting.rolling import Fold, folds_of
from lstmcore.apps.forecasting.settings import Settings
from lstmcore.formatting import count, listed
from lstmcore.models.forecaster import Forecaster
from lstmcore.series.windowing import draw_windows
from lstmcore.types import DenseParams

FEWEST_FOLDS = 3  # by which a map is left out
MOST_EXAMPLES = 3_000  # that a map is fitted to in a fold
MOST_SEASONS = 2  # that are tried, the strongest
NEGLIGIBLE = 0.01  # of the error, for which neither a mean of maps nor the calendar is taken
MOST_NAMED = 5  # maps in a sentence
MOST_SERIES = 200  # by which is chosen; of more, so many at random
TOO_SHORT = 0.1  # fraction of the series for which a map may be too long
SURE = 2.0  # standard errors, over folds, by which a map is worse that has no part in the mean


class Candidate(NamedTuple):
    """A linear map that was tried.

    Attributes:
      rows: that it reads, after differences.
      difference: lags of the differences that it takes, see `series.difference`.
      towards: the better one of `linear.TOWARDS`.
      error: mean absolute error, relative to the mean absolute change from row to row, averaged
        over targets and folds; NaN if there were too few rows to measure it.
      weight: in the mean of all candidates; 0 of one that is worse than the best by more than
        chance.
      calendar: whether it reads the calendar.
    """

    rows: int
    difference: tuple[int, ...]
    towards: str
    error: float
    weight: float
    calendar: bool = False

    @property
    def rows_read(self) -> int:
        """Return how many rows are read, before differences."""
        return self.rows + sum(self.difference)

    def fit(self, rows: linear.Rows) -> DenseParams:
        """Return the map, fitted to these rows."""
        return linear.fit_linear(
            rows, self.rows, self.difference, self.towards, calendar=self.calendar
        )


def read_candidates(stored: Iterable[Sequence]) -> tuple[Candidate, ...]:
    """Return candidates from lists of their fields.

    Those of earlier versions, which say less, are left out.

    Raises:
      ValueError: they are not what `select` finds.
    """
    most, optional = len(Candidate._fields), len(Candidate._field_defaults)
    found = tuple(
        Candidate(int(rows), tuple(lags), str(towards), float(error), float(weight), *map(bool, on))
        for rows, lags, towards, error, weight, *on in (
            one for one in stored if most - optional <= len(one) <= most
        )
    )
    for one in found:
        checks.check_count("rows of a linear map", one.rows)
        for lag in one.difference:
            checks.check_count("lag of a linear map", lag)
        if one.towards not in linear.TOWARDS or not 0 <= one.weight <= 1 + 1e-6:
            raise ValueError(f"no linear map is {one}")
    return found


def used_of(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that have a part in the linear map.

    Raises:
      ValueError: there are none, as in models of early versions.
    """
    used = [one for one in candidates if one.weight]
    if not used:
        raise ValueError(
            "the model does not say which linear maps it is made of, as models of early versions "
            "do not: train it anew"
        )
    return used


def mean_map(candidates: Sequence[Candidate], rows: linear.Rows) -> DenseParams:
    """Return the weighted mean of the maps, fitted to these rows."""
    used = used_of(candidates)
    return linear.mean_map([one.fit(rows) for one in used], [one.weight for one in used])


class Selection(NamedTuple):
    """The result of `select`.

    Attributes:
      settings: those given, with the season, the rows that the linear map reads or, without a
        linear map, the differences that were chosen.
      candidates: all that were tried, the best first; the linear map is the `mean_map` of them. ()
        without a linear map or a choice.
    """

    settings: Settings
    candidates: tuple[Candidate, ...]

    @property
    def reads_calendar(self) -> bool:
        """Return whether the linear map reads the calendar."""
        return any(one.calendar and one.weight for one in self.candidates)


def select(
    tables: Sequence[np.ndarray],
    settings: Settings,
    splits: Sequence[series.Split],
    model: Forecaster,
    calendars: Sequence[np.ndarray] | None = None,
) -> Selection:
    """Choose the season and the linear maps or, for an LSTM alone, its differences.

    A season is looked for if it is "auto". If `settings.search` is on, maps are tried of a quarter
    of the window, half of it and all of it, that take no differences, those of lag 1, of the
    season, or of both; and a map of the window and the season before it. Otherwise the map is one
    of the window, without differences.

    Each is tried with the calendar as well, if there is one, but for those of seasonal differences.

    An LSTM alone takes the differences of the best map of its window, unless some are given.

    Args:
      tables: [rows, F] of each series, targets first, future covariates last.
      settings: as given to `train`.
      splits: of the rows of each series; the test parts are not read.
      model: the forecaster of these settings.
      calendars: [rows, K] of each series, see `linear.Rows`; None for none.
    """
    drawn = draw_windows(len(tables), MOST_SERIES).tolist()
    tables, splits = [tables[place] for place in drawn], [splits[place] for place in drawn]
    calendars = calendars and [calendars[place] for place in drawn]
    training = [table[: split.training.stop] for table, split in zip(tables, splits, strict=True)]
    known = [table[: split.validation.stop] for table, split in zip(tables, splits, strict=True)]
    found = _seasons(training, settings, model)
    if settings.season == "auto":
        settings = replace(settings, season=found[0] if found else None)
    has_map = bool(model.linear_rows)
    given = settings.preprocessing.difference or isinstance(settings.linear_rows, int)
    searches = settings.search and not given
    if not has_map and not searches:
        return Selection(settings, ())
    tried = _tried(settings, found, model) if searches else [(model.linear_rows, ())]
    enough = _most(map(len, training)) - _needed(settings, len(tables))
    tried = [(length, lags) for length, lags in tried if length + sum(lags) <= enough]
    calendars = calendars if has_map else None
    candidates = _judged(known, settings, model, tried, calendars)
    if not has_map:
        best = candidates[0].difference if candidates else ()
        preprocessing = replace(settings.preprocessing, difference=best)
        return Selection(replace(settings, preprocessing=preprocessing), candidates)
    if not candidates:
        is_on = calendars is not None and settings.calendar == "on"
        candidates = (Candidate(model.linear_rows, (), linear.TOWARDS[0], np.nan, 1.0, is_on),)
    read = max(one.rows_read for one in candidates if one.weight)
    return Selection(replace(settings, linear_rows=read), candidates)


def sentences(candidates: Sequence[Candidate], has_map: bool) -> list[str]:
    """Return sentences for the reader of a report on what was chosen.

    Args:
      candidates: from `select`.
      has_map: whether there is a linear path.
    """
    said = []
    if len(candidates) > 1 and has_map:
        named = [f"{_name(one)} ({one.error:.3g})" for one in candidates if one.weight]
        shown = named[:MOST_NAMED] + ["..."] * (len(named) > MOST_NAMED)
        chosen = f"a mean of {len(named)}" if len(named) > 1 else "one"
        said.append(
            f"the model's own linear map is {chosen} of {count(len(candidates), 'map')} that were "
            f"tried: {'; '.join(shown)} (in brackets, the error of each in earlier rows, in mean "
            "changes from row to row)"
        )
    elif len(candidates) > 1:
        tried = [f"{_name(one)} ({one.error:.3g})" for one in candidates]
        said.append(
            f"the LSTM reads {_lags(candidates[0].difference)}, with which a linear map has the "
            "least error in rolling origins before the test part, in mean changes from row to "
            f"row: {'; '.join(tried)}"
        )
    return said + _on_calendar(candidates)


def _on_calendar(candidates: Sequence[Candidate]) -> list[str]:
    """Return a sentence on the calendar, if maps that read it were tried."""
    with_it, without = (
        [one for one in candidates if one.calendar == reads and not np.isnan(one.error)]
        for reads in (True, False)
    )
    if not with_it or not without:
        return []
    is_read = any(one.weight for one in with_it)
    better = with_it[0].error < without[0].error
    return [
        f"the calendar, from the times of the rows, is {'' if is_read else 'not '}read: the best "
        f"linear map with it has an error of {with_it[0].error:.3g}, the best without it "
        f"{without[0].error:.3g}"
        + ", a gain that may be chance (--calendar on reads it)"
        * (better and not is_read)
    ]


def _name(one: Candidate) -> str:
    of = f" of {_lags(one.difference)}" if one.difference else ""
    return count(one.rows, "row") + of + " and the calendar" * one.calendar


def _lags(difference: tuple[int, ...]) -> str:
    if not difference:
        return "no differences"
    lags = listed([str(lag) for lag in difference])
    return f"differences of lag{'s' * (len(difference) > 1)} {lags}"


def _seasons(
    training: Sequence[np.ndarray], settings: Settings, model: Forecaster
) -> tuple[int, ...]:
    """Return the seasons to try: the one given, or those of the targets in the training parts.

    Those of many series are looked for in as many of their last rows as use most of the data.
    """
    if settings.season != "auto":
        return () if settings.season_rows is None else (settings.season_rows,)
    lengths = np.sort([len(table) for table in training])[::-1]
    rows = int(lengths[(lengths * np.arange(1, len(lengths) + 1)).argmax()])
    targets = [table[-rows:, : model.targets] for table in training if len(table) >= rows]
    missing = settings.preprocessing.missing
    filled = [
        series.fit_filling(values, missing).transform(values)
        for values in targets
        if missing != "forward" or np.isfinite(values[0]).all()
    ]
    if not filled:
        return ()
    found = series.seasons(np.concatenate(filled, axis=1), pooled=len(training) > 1)
    return found[:MOST_SEASONS]


def _most(numbers: Iterable[int]) -> int:
    """Return the number that all series have at least, but for a tenth of them."""
    return int(np.quantile(list(numbers), TOO_SHORT, method="lower"))


def _window(settings: Settings, model: Forecaster) -> int:
    """Return how many rows of a window a map may read."""
    known = settings.horizon * model.future_covariates
    return min(settings.window, linear.most_rows(model.features, known))


def _tried(
    settings: Settings, seasons: Sequence[int], model: Forecaster
) -> list[tuple[int, tuple[int, ...]]]:
    """Return (rows that a map reads, lags of its differences) to try."""
    window = _window(settings, model)
    lags = [(), (1,), *((season,) for season in seasons), *((s, 1) for s in seasons)]
    if not model.linear_rows:  # the LSTM itself reads the differences, and its window alone
        if settings.quantiles:  # those of sums are not sums of quantiles
            lags = [one for one in lags if all(lag >= settings.horizon for lag in one)]
        return [(window, one) for one in lags if window]
    most = linear.most_rows(model.features, settings.horizon * model.future_covariates)
    lengths = sorted({max(1, window // 4), max(1, window // 2), window})
    long = [(window + season, ()) for season in seasons if window + season <= most]
    return [(length, one) for one in lags for length in lengths] + long


def _needed(settings: Settings, tables: int) -> int:
    """Return how many rows of each table a map needs, besides those that it reads, to be fitted."""
    examples = -(-linear.FEWEST_EXAMPLES // tables)
    return settings.preprocessing.dropped_rows + settings.horizon + examples


def _judged(
    tables: Sequence[np.ndarray],
    settings: Settings,
    model: Forecaster,
    tried: Sequence[tuple[int, tuple[int, ...]]],
    calendars: Sequence[np.ndarray] | None,
) -> tuple[Candidate, ...]:
    """Return candidates for each (rows, lags) to which there are enough rows, the best first."""
    if not tried:
        return ()
    needed = _needed(settings, len(tables))
    read = [length + sum(lags) for length, lags in tried]
    # Of many series a few forecasts each are enough, so that the longest map can be tried as well.
    first = needed + (min(read) if len(tables) == 1 else max(read))
    starts = [max(len(table) // 2, first) for table in tables]
    tried = [
        (length, lags)
        for length, lags in tried
        if needed + length + sum(lags) <= _most(starts)
        and linear.is_small(linear.rows_of(model, tables[0]), length, lags)
    ]
    if not tried:
        return ()
    longest = max(length + sum(lags) for length, lags in tried)
    parts = folds_of(tables, starts, settings, model, needed + longest, calendars)
    if not parts:
        return ()
    each = [(*one, False) for one in tried] + _with_calendar(tried, parts[0].rows, settings)
    errors = np.array([_errors(fold, each) for fold in parts])  # [folds, tried, TOWARDS, targets]
    known = ~np.isnan(errors).all(axis=(1, 2))  # [folds, targets]: not all values are missing
    if not known.any():
        return ()
    by_fold = np.nanmean(errors[known.any(axis=1)], axis=3)
    kind = by_fold.mean(axis=0).argmin(axis=1)  # [tried]
    by_fold = np.take_along_axis(by_fold, kind[None, :, None], axis=2)[:, :, 0]
    means = by_fold.mean(axis=0).tolist()

    def weighted(places: Sequence[int]) -> list[Candidate]:
        """Return all candidates, those at these places weighted."""
        weights = np.zeros(len(each))
        weights[places] = _weights(by_fold[:, places])
        judged = [
            Candidate(length, lags, linear.TOWARDS[towards], mean, weight, reads)
            for (length, lags, reads), towards, mean, weight in zip(
                each, kind.tolist(), means, weights.tolist(), strict=True
            )
        ]
        return sorted(judged, key=lambda one: one.error)

    without = _simplest(weighted(range(len(tried))), parts, _window(settings, model))
    if len(each) == len(tried):
        return tuple(without)
    if settings.calendar == "on":
        return tuple(weighted(range(len(tried), len(each))))
    every = weighted(range(len(each)))
    return tuple(every if _helps(without, every, parts) else without)


def _with_calendar(
    tried: Sequence[tuple[int, tuple[int, ...]]], rows: linear.Rows, settings: Settings
) -> list[tuple[int, tuple[int, ...], bool]]:
    """Return the maps to try with the calendar as well.

    Seasonal differences leave nothing of what recurs with the calendar.
    """
    if rows.calendar is None:
        return []
    most = linear.most_rows(rows.features, rows.known) if settings.search else len(rows.values)
    is_given = len(tried) == 1
    return [
        (length, lags, True)
        for length, lags in tried
        if is_given or (length <= most and all(lag == 1 for lag in lags))
    ]


def _helps(
    without: Sequence[Candidate], candidates: Sequence[Candidate], folds: Sequence[Fold]
) -> bool:
    """Return whether the calendar lowers the error by more than chance.

    All maps without it must be worse than the best by more than chance, so that none has a part in
    the mean, and the mean of those with it must be better by more than is negligible.
    """
    if any(one.weight and not one.calendar for one in candidates):
        return False
    before, after = (np.nanmean(_errors_of_mean(some, folds)) for some in (without, candidates))
    return bool(after < (1 - NEGLIGIBLE) * before)


def _simplest(judged: list[Candidate], folds: Sequence[Fold], window: int) -> list[Candidate]:
    """Return the candidates, with all weight on a map of the rows themselves if that is as good.

    It is the map that runs beside every model: one of a window or more, without differences. Where
    the mean of maps is hardly better than that, the gain is one of chance.
    """
    plain = [one for one in judged if not one.difference and not one.calendar]
    alone = next((one for one in plain if one.rows >= window), None)
    if alone is None:
        return judged
    lone = [one._replace(weight=float(one is alone)) for one in judged]
    enough = np.nanmean(_errors_of_mean(judged, folds)) * (1 + NEGLIGIBLE)
    return lone if np.nanmean(_errors_of_mean(lone, folds)) <= enough else judged


def _errors_of_mean(candidates: Sequence[Candidate], folds: Sequence[Fold]) -> np.ndarray:
    """Return the errors of the weighted mean of maps, [folds, targets]."""
    maps = [(fold, mean_map(candidates, fold.fitted)) for fold in folds]
    return np.array([fold.error(linear.outputs_of(fitted, *fold.asked)) for fold, fitted in maps])


def _weights(errors: np.ndarray) -> np.ndarray:
    """Return the weights [tried] of maps in their mean, from their errors [folds, tried].

    Maps are left out that are worse than the best by more than chance, if there are folds enough to
    know. Weights of the others are those of Bates & Granger (1969), for errors that do not
    correlate.
    """
    means = errors.mean(axis=0)
    best, folds = int(means.argmin()), len(errors)
    weights = (means[best] / means) ** 2 if means[best] > 0 else (means == 0).astype(float)
    if folds >= FEWEST_FOLDS:
        worse = errors - errors[:, [best]]
        deviation = worse.std(axis=0, ddof=1) / np.sqrt(folds)
        weights = np.where(worse.mean(axis=0) > SURE * deviation, 0.0, weights)
    return weights / weights.sum()


def _errors(fold: Fold, tried: Sequence[tuple[int, tuple[int, ...], bool]]) -> np.ndarray:
    """Return the errors in a fold, [tried, TOWARDS, targets]."""

    def error(length: int, lags: tuple[int, ...], calendar: bool, towards: str) -> np.ndarray:
        fitted = linear.fit_linear(
            fold.fitted, length, lags, towards, MOST_EXAMPLES, calendar=calendar
        )
        return fold.error(linear.outputs_of(fitted, *fold.asked))

    return np.array([[error(*one, towards) for towards in linear.TOWARDS] for one in tried])
