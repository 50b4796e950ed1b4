"""Training of one forecaster on many series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lstmcore import checks, series
from lstmcore.apps.forecasting import selection
from lstmcore.apps.forecasting.calendar import check_many
from lstmcore.apps.forecasting.examples import Parts
from lstmcore.apps.forecasting.fitting import SURE, Fitted, fit_parts
from lstmcore.apps.forecasting.many.evaluation import FEWEST_SERIES, tested_over_series
from lstmcore.apps.forecasting.many.member import Member
from lstmcore.apps.forecasting.many.panel import Panel, named, why_unusable
from lstmcore.apps.forecasting.many.predictor import TrainedMany
from lstmcore.apps.forecasting.many.static import StaticEncoder
from lstmcore.apps.forecasting.paired import FEWEST, standardised_mean
from lstmcore.apps.forecasting.selection import Candidate
from lstmcore.apps.forecasting.settings import Settings, arrange, build, continued, names_of
from lstmcore.apps.forecasting.training import check_rows, nonnegative
from lstmcore.formatting import few, shorten
from lstmcore.models.forecaster import Forecaster
from lstmcore.series.arguments import as_table
from lstmcore.series.row_index import check_row_times

EMBEDDING = 4  # numbers in the vector of a series
LARGEST = 1e15  # preprocessed numbers, whose squares can be summed in float32


def train_many(
    series: Any,
    columns: Sequence[str] | None = None,
    settings: Settings | None = None,
    *,
    id: str | Sequence[str] | None = None,
    static: Any = None,
    test_from: Mapping[str, int] | None = None,
    start: TrainedMany | None = None,
    embedding: int = EMBEDDING,
    callback: Callable | None = None,
    progress: bool = False,
    checkpoint=None,
    resume: bool = False,
) -> TrainedMany:
    """Train one forecaster on many series of the same columns.

    Every series is split, preprocessed and cut into windows as `train` does with one, by itself:
    its last rows are its test part, and it is scaled by its own training part. Then all windows are
    trained on together. The season and the linear maps are chosen once, by their errors averaged
    over the series, each relative to its own mean change; each map is fitted to all series.

    What tells series apart is read by the head of the model, beside the last hidden state: static
    columns, and a learned vector of each series. The calendar is not read. The LSTM is kept only if
    it lowers the validation loss of the linear path by more than chance; so is the vector, for
    which a second model is trained. More than chance is three standard errors, both over the series
    (10 or more) and over the times of the forecasts (20 or more), as far as there are so many: what
    happens to all series at once is one event, and so is what happens to one series all the time.

    A series that cannot be trained on is left out (`TrainedMany.left_out` says why): it is too
    short, does not change, or has a column without any value, or with values that cannot be filled,
    in its training part. It can still be forecast if it has as many known rows as the model reads,
    like any series that is new.

    Args:
      series: {name: table}, with tables as `train` takes them; a list of tables or an array
        [N, T, F], whose series are called 0, 1, ...; the result of `series.read_many`, with its
        static columns; or a long table with `id`: a data frame, or a dict of columns. The rows of a
        series are in the order of time. Series may be of different lengths.
      columns: F names, as in `train`.
      settings: None takes `Settings()`. Fractions for the test and the validation part are those of
        each series.
      id: of a long table, the column that names the series of a row, or several.
      static: of a long table, the columns that do not change within a series; None takes all that
        do not, and () none. Of tables by name, {name: {column: value}}. Numbers are standardised
        over the series; each text becomes a feature of 0 and 1.
      test_from: {name: the first row of the test part}, of series whose test part is not that of
        the settings; the number of its rows, or more, for a series without one.
      start: an earlier forecaster to continue from, as in `train`, with series of the same columns,
        such as its own with more rows: the weights, the season, and the preprocessing of each
        series are kept, and the linear maps are fitted anew. A new series has its own
        preprocessing, and begins with the mean of all vectors. Series that are not there any more
        are forgotten. `id` and `embedding` are those of `start`.
      embedding: numbers in the vector of a series; 0 for none.
      callback, progress, checkpoint, resume: as in `lc.fit`, of the model without vectors.

    Returns:
      TrainedMany.

    Raises:
      ValueError: as `train`, with the name of the series, such as missing values that are refused;
        no series can be trained on; or calendar="on".
      TypeError: arguments of another kind.
      NonFiniteLossError, KeyboardInterrupt: as `lc.fit`.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import forecasting
      >>> waves = {f"wave {n}": np.sin(np.arange(80 + n) / 5 + n) for n in range(4)}
      >>> settings = forecasting.Settings(window=10, horizon=3, units=4, epochs=2)
      >>> trained = forecasting.train_many(waves, ["height"], settings, embedding=0)
      >>> forecasts = trained.forecast(waves | {"new": waves["wave 1"][:30]})
      >>> forecasts["new"].point.shape
      (1, 3, 1)
    """
    settings = settings or (Settings() if start is None else start.settings)
    check_many(settings)
    embedding = checks.check_count("embedding", embedding, minimum=0)
    kept = (*settings.targets, *settings.future_covariates)
    if start is not None and id is not None:
        raise ValueError("id is that of start, which names the column: leave it out")
    panel = Panel.of(series, id, static, kept) if start is None else start.panel_of(series, static)
    ready = _prepare(panel, columns, settings, _checked(test_from, panel), start)
    settings, members = ready.settings, ready.members
    model = replace(build(settings, ready.columns), static=ready.static)
    if start is not None and start.embedding:
        model = replace(model, series=len(members), embedding=start.embedding)
    parts = _parts(model, settings, members, ready.seen)
    running: dict[str, Any] = {
        "callback": callback,
        "progress": progress,
        "checkpoint": checkpoint,
        "resume": resume,
    }
    fit = partial(
        fit_parts,
        settings=settings,
        parts=parts,
        maps=ready.candidates,
        earlier=None if start is None else start.params_for(list(members)),
        judge=partial(_judge, parts),
        known=0 if start is None else _rows_known(parts, list(members), start),
    )
    is_possible = start is None and len(members) > 1 and settings.mode == "direct"
    tries_vectors = bool(embedding and is_possible and settings.validation)
    without = progress and ("training without vectors" if tries_vectors else True)
    fitted = fit(model, running=running | {"progress": without})
    can_tell = bool(len(fitted.result.history["loss"]))  # whether a model is any better
    if tries_vectors and can_tell:
        larger = replace(model, series=len(members), embedding=embedding * settings.ensemble)
        again: dict[str, Any] = {"progress": progress and "training with a vector of each series"}
        again |= {"checkpoint": None, "resume": False}
        with_vectors: Fitted = fit(larger, running=running | again)
        assert fitted.losses is not None
        assert with_vectors.losses is not None
        if _judge(parts, fitted.losses - with_vectors.losses, model.horizon):
            model, fitted = larger, with_vectors
    spreads = fitted.errors.spreads(len(members))
    members = {
        name: member._replace(spread=tuple(spread))
        for (name, member), spread in zip(members.items(), spreads.tolist(), strict=True)
    }
    errors = fitted.errors.scaled(1 / spreads[fitted.errors.series][:, None])
    return TrainedMany(
        settings=settings,
        columns=ready.columns,
        id=panel.id if start is None else start.id,
        encoder=ready.encoder,
        model=model,
        params=fitted.result.params,
        members=members,
        history=fitted.result.history,
        stride=parts.stride,
        errors=errors.thinned(),
        candidates=ready.candidates,
        left_out=ready.left_out,
        embedding=model.embedding,
    )


class _Prepared(NamedTuple):
    """The series, ready to be cut into windows.

    Attributes:
      settings: with what was chosen.
      columns: names.
      seen: {name: [rows, F]}, what the model sees of each: its preprocessed rows before the test
        part, columns in the order of the model.
      members: the series to train on.
      encoder: of their static columns.
      static: number of features that the model reads of these.
      candidates: linear maps that were tried.
      left_out: {name: why} of the other series.
    """

    settings: Settings
    columns: tuple[str, ...]
    seen: dict[str, np.ndarray]
    members: dict[str, Member]
    encoder: StaticEncoder
    static: int
    candidates: tuple[Candidate, ...]
    left_out: dict[str, str]


def _checked(test_from: Mapping[str, int] | None, panel: Panel) -> dict[str, int]:
    """Return where test parts begin, of series that there are."""
    starts = {str(name): row for name, row in (test_from or {}).items()}
    if unknown := [name for name in starts if name not in panel.tables]:
        raise ValueError(
            f"test_from names the series {few(unknown)}, but series holds {few(list(panel.tables))}"
        )
    return {name: checks.check_count("test_from", row, minimum=0) for name, row in starts.items()}


def _prepare(
    panel: Panel,
    columns: Sequence[str] | None,
    settings: Settings,
    test_from: Mapping[str, int],
    start: TrainedMany | None,
) -> _Prepared:
    """Split all series, choose what they share, and fit the preprocessing of each.

    What they share, and the preprocessing of series that are known, is that of `start`.
    """
    names = names_of(next(iter(panel.tables.values())), columns)
    if start is not None:
        settings = continued(settings, names, start, "series")
    tables = {name: _table(name, one, names, settings) for name, one in panel.tables.items()}
    model = build(settings, names)
    splits, short = _long_enough(tables, settings, test_from)
    usable, unknown = _known(panel.tables, splits, names, settings.preprocessing.missing)
    left_out = short | unknown
    long = [tables[name] for name in usable]
    if start is None:
        settings, candidates = selection.select(long, settings, list(usable.values()), model)
    else:
        candidates = start.candidates
    # The chosen map may read more rows than a few of the series have.
    usable, short = _long_enough({name: tables[name] for name in usable}, settings, test_from)
    static = {name: panel.static[name] for name in usable}
    encoder = StaticEncoder.fit(static) if start is None else start.encoder
    known = {} if start is None else start.members
    members = {
        name: known[name].of_more_rows(
            split, nonnegative(tables[name][: split.validation.stop], names, settings)
        )
        if name in known
        else _member(
            tables[name],
            split,
            names,
            settings,
            (encoder.transform if start is None else start.features_of)(static[name]),
        )
        for name, split in usable.items()
    }
    members, constant = _changing(members, model)
    seen, far = _seen(tables, members)
    members = {name: members[name] for name in seen}
    return _Prepared(
        settings,
        names,
        seen,
        members,
        encoder,
        encoder.features if settings.mode == "direct" else 0,
        candidates,
        left_out | short | constant | far,
    )


def _table(name: str, table: Any, columns: Sequence[str], settings: Settings) -> np.ndarray:
    """Return the table of a series as float64 [rows, F], columns in the order of the model."""
    what = f"the table of series {shorten(name)!r}"
    with named(name):
        check_row_times(table, what)
    numbers = as_table(table, columns, what).astype(float)
    return numbers[:, arrange(columns, settings).order]


def _long_enough(
    tables: Mapping[str, np.ndarray], settings: Settings, test_from: Mapping[str, int]
) -> tuple[dict[str, series.Split], dict[str, str]]:
    """Return the splits of the series that are long enough to train on, and why others are not.

    Raises:
      ValueError: all are too short.
    """
    splits, left_out = {}, {}
    for name, table in tables.items():
        own = settings
        if name in test_from:
            own = replace(settings, test=max(0, len(table) - test_from[name]))
        try:
            splits[name] = check_rows(len(table), own)
        except ValueError as error:
            left_out[name] = str(error)
    if not splits:
        longest = max(tables, key=lambda name: len(tables[name]))
        raise ValueError(
            f"no series is long enough to train on; of the longest, {shorten(longest)!r}, "
            f"{left_out[longest]}"
        )
    return splits, left_out


def _known(
    tables: Mapping[str, Any],
    splits: Mapping[str, series.Split],
    columns: Sequence[str],
    missing: str,
) -> tuple[dict[str, series.Split], dict[str, str]]:
    """Return the splits of the series whose values can be trained on, and why others are not.

    Raises:
      ValueError: those of no series can, or missing values are refused.
    """
    usable, left_out = {}, {}
    for name, split in splits.items():
        with named(name):
            for part, where in ((split.training, "in its training part, "), (split.validation, "")):
                why = why_unusable(
                    tables[name], columns, missing, rows=part.stop, has_means=not where
                )
                if why is not None:
                    left_out[name] = where + why
                    break
            else:
                usable[name] = split
    if not usable:
        name, why = next(iter(left_out.items()))
        raise ValueError(f"no series can be trained on; of {shorten(name)!r}, {why}")
    return usable, left_out


def _member(
    table: np.ndarray,
    split: series.Split,
    columns: Sequence[str],
    settings: Settings,
    static: np.ndarray,
) -> Member:
    """Fit the preprocessing of one series to its training part."""
    preprocessor = settings.preprocessing.fit(table, rows=split.training.stop)
    bounded = nonnegative(table[: split.validation.stop], columns, settings)
    ones = (1.0,) * arrange(columns, settings).targets  # until there are errors
    return Member(preprocessor, split, bounded, tuple(static.tolist()), ones)


def _changing(
    members: Mapping[str, Member], model: Forecaster
) -> tuple[dict[str, Member], dict[str, str]]:
    """Return the series whose targets change in the training part, and why others are left out.

    Without a scale of its own, a series that changes later would outweigh all others.

    Raises:
      ValueError: none changes.
    """
    reason = "nothing changes in the training part" + " once differences are taken" * bool(
        next(iter(members.values())).preprocessor.dropped_rows
    )
    left_out = {
        name: reason
        for name, member in members.items()
        if member.preprocessor.constant[: model.targets].all()
    }
    kept = {name: member for name, member in members.items() if name not in left_out}
    if not kept:
        raise ValueError(f"no series can be trained on: {reason}, in any of them")
    return kept, left_out


def _seen(
    tables: Mapping[str, np.ndarray], members: Mapping[str, Member]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the preprocessed rows before the test part of each series, and why others have none.

    Raises:
      ValueError: none has.
    """
    seen, left_out = {}, {}
    for name, member in members.items():
        known = member.preprocessor.transform(tables[name][: member.split.validation.stop])
        if np.abs(known).max() < LARGEST:
            seen[name] = known.astype(np.float32)
        else:
            left_out[name] = "its validation part is too far from its training part to compute with"
    if not seen:
        raise ValueError(f"no series can be trained on; of {shorten(name)!r}, {left_out[name]}")
    return seen, left_out


def _parts(
    model: Forecaster,
    settings: Settings,
    members: Mapping[str, Member],
    seen: Mapping[str, np.ndarray],
) -> Parts:
    """Return the examples of the training and the validation parts of all series."""
    dropped = settings.preprocessing.dropped_rows
    ends = [member.split.training.stop - dropped for member in members.values()]
    static = np.array([member.static for member in members.values()], np.float32)
    return Parts.of(model, list(seen.values()), ends, settings, static)


def _rows_known(parts: Parts, names: Sequence[str], start: TrainedMany) -> np.ndarray:
    """Return the row up to which `start` was trained on the series of each validation example."""
    dropped = start.settings.preprocessing.dropped_rows
    rows = [
        start.members[name].split.training.stop - dropped if name in start.members else 0
        for name in names
    ]
    if parts.validation is None:
        return np.zeros(0)
    return (parts.rows.starts + np.array(rows))[parts.series_of(parts.validation)]


def _judge(parts: Parts, gains: np.ndarray, horizon: int) -> bool | None:
    """Return whether gains [N] in the validation parts are no chance, over series and over times.

    None if there are too few of both to tell.
    Times are counted from the end of the validation part of each series.
    """
    assert parts.validation is not None
    place = parts.series_of(parts.validation)
    stops = np.array([*parts.rows.starts[1:], len(parts.rows.values)])
    statistics = []
    by_series = _means(gains, place)
    if len(by_series) >= FEWEST_SERIES:
        statistics.append(tested_over_series(by_series)[0])
    by_time = _means(gains, parts.validation - stops[place])
    if len(by_time) >= FEWEST:
        statistics.append(standardised_mean(by_time, horizon))
    return min(statistics) > SURE if statistics else None


def _means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the mean of the values of each group, in the order of the groups."""
    _, group = np.unique(groups, return_inverse=True)
    return np.bincount(group, values) / np.bincount(group)
