"""A trained detector: the errors of any series, in scaled units, and its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from lstmcore import checks, series
from lstmcore.apps.anomalies.levels import Levels
from lstmcore.apps.anomalies.preprocessing import split_season, without_season
from lstmcore.apps.anomalies.settings import Settings, build
from lstmcore.apps.saved import Saved, parse_settings
from lstmcore.formatting import shorten
from lstmcore.io.description import read_history
from lstmcore.io.tensors import Kind, open_tensors, write_tensors
from lstmcore.models.autoencoders import Autoencoder
from lstmcore.models.stacked import StackedLSTM
from lstmcore.models.streaming import stream
from lstmcore.programs import compiled
from lstmcore.series.arrays import check_size
from lstmcore.series.filling import check_cells
from lstmcore.series.preprocessing import as_float32
from lstmcore.series.row_index import check_row_times, like
from lstmcore.training.history import history_html

ERRORS = "errors.safetensors"
WINDOWS_AT_ONCE = 256  # that the model reads; memory does not grow with the series
STEPS_AT_ONCE = 1024
SERIES_AT_ONCE = 64  # of separate ones, if they are not longer
ROUNDED_TO = 64  # steps, so that series of many lengths need few programs


@dataclass(frozen=True, eq=False, repr=False)
class Detector(Saved):
    """A model of normal rows, and all that its errors depend on; `train` returns one.

    Attributes:
      model: `lc.Autoencoder` for reconstruction, `lc.StackedLSTM` for prediction.
      params: its weights.
      preprocessor: `series.Preprocessor`, between the units of the data and those of the model.
      settings: `anomalies.Settings`.
      history: {"loss": [epochs], "validation_loss": [epochs]}.
      training_errors: [rows, F], `errors` of the series given to `train`; of separate series those
        of one after the other, the held-out ones last.
      validation_start: first row of the validation part of that series; the number of rows, if it
        has none.
      ids, lengths: name and number of rows of each of separate series, in the order of
        `training_errors`; () if it was one series.
      levels: `levels.Levels` by which each series is scaled before `preprocessor`; None if the
        scaling is common to all.
    """

    DESCRIPTION = "detector.json"
    COMMAND = "lstmcore anomalies"
    OTHERS = (ERRORS,)

    model: Autoencoder | StackedLSTM
    params: dict
    preprocessor: series.Preprocessor
    settings: Settings
    history: dict[str, np.ndarray]
    training_errors: np.ndarray
    validation_start: int
    ids: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    levels: Levels | None = None

    @property
    def unread_rows(self) -> int:
        """Return the rows that a model reads before it is compared with one, as in training.

        Where it was trained on separate windows of just its own length, every row but the first of
        a window was predicted from as many rows as it will be.
        """
        settings = self.settings
        if settings.method == "reconstruction":
            return 0
        whole = {length - settings.dropped_rows for length in self.lengths} == {settings.span}
        return 1 if whole else settings.window

    @property
    def validation_errors(self) -> np.ndarray:
        """Return the errors of the validation rows, to which no weight was fitted."""
        return self.training_errors[self.validation_start :]

    def errors(self, values, id=None):
        """Return the values minus their reconstruction or prediction.

        A row is compared with the mean or the median (`settings.combine`) of its reconstructions in
        all windows that hold it, or of the predictions made for it 1 to `horizon` rows before.
        Memory does not grow with the number of windows: 100,000 rows of one feature and windows of
        288 take less than 100 MB.

        Args:
          values: numbers [rows, F] or [rows], in the order of time, at least a window of them.
            Columns of a data frame or a dict are matched by name, if the detector was trained on
            one.
          id: name of the series, if the detector has `levels`.

        Returns:
          float64 [rows, F], in scaled units; for a data frame one with the same index, or the same
          times. NaN where a value is missing, in the first season and in the rows that differencing
          drops at the start, and for prediction in the `window` rows after those, where the model
          has read fewer rows than in training.

        Raises:
          ValueError: too few rows, other columns, times at irregular steps, values that the
            preprocessing refuses (such as missing ones under missing="refuse"), or values so large
            that the model overflows.
        """
        table = self.table(values)
        errors = np.where(np.isnan(table), np.nan, self._errors(self.scaled(table, id), len(table)))
        return like(values, errors, self.preprocessor.columns)

    def errors_of(self, tables: Mapping[Any, Any]) -> list[np.ndarray]:
        """Return the errors of separate series, each as by `errors` up to rounding, but faster.

        Args:
          tables: {id: table}, each as in `errors`.

        Raises:
          ValueError: as `errors`; the message names the series.
        """
        arrays, scaled = [], []
        for id, values in tables.items():
            with of_series(id):
                table = self.table(values)
                arrays.append(table)
                scaled.append(self.scaled(table, id))
                if self.settings.method == "reconstruction":
                    series.windows(scaled[-1], self.settings.window)  # raises if there is none
        found = self._errors_of(scaled, [len(table) for table in arrays])
        pairs = zip(arrays, found, strict=True)
        return [np.where(np.isnan(table), np.nan, errors) for table, errors in pairs]

    def outputs(self, values, id=None):
        """Return the reconstruction or prediction, in units of the data, to draw beside `values`.

        With a season or with differencing it is what the model adds to the true rows before.

        Args, Raises: as in `errors`.

        Returns:
          float64 [rows, F], or a data frame, as `errors`; NaN as there, but not where a value is
          missing.
        """
        table = self.table(values)
        left, level = split_season(self.settings, self.centred(table, id))
        outputs = np.full(table.shape, np.nan)
        outputs[len(table) - len(left) :] = self.preprocessor.filled(left) + level
        errors = self._errors(scaled_rows(self.preprocessor, left), len(table))
        outputs -= errors * self.preprocessor.scaler.scale
        if self.levels is not None:
            offset, scale = self.levels.of(id)
            outputs = outputs * scale + offset
        return like(values, outputs, self.preprocessor.columns)

    def centred(self, table: np.ndarray, id=None) -> np.ndarray:
        """Return rows [rows, F] in units of the level of their series, if the detector has such.

        Raises:
          ValueError: the level is not known.
        """
        if self.levels is None:
            return table
        check_size(table)
        offset, scale = self.levels.of(id)
        return (table - offset) / scale

    def scaled(self, table: np.ndarray, id=None) -> np.ndarray:
        """Return rows as the model reads them, float32 [rows - dropped, F].

        Raises:
          ValueError: as `errors`.
        """
        left = without_season(self.settings, self.centred(table, id))
        return scaled_rows(self.preprocessor, left)

    def table(self, values) -> np.ndarray:
        """Return `values` as an array [rows, F], its columns in the order of the model.

        Raises:
          ValueError: other columns, no rows, or times at irregular steps.
        """
        check_row_times(values, "values")
        table = self.preprocessor.table(values, "values")
        if not len(table):
            raise ValueError("values has no rows: there is nothing to compare with")
        check_cells(values, self.settings.preprocessing.missing)
        return table

    def _describe(self) -> dict[str, Any]:
        return {
            "settings": asdict(self.settings),
            "preprocessor": self.preprocessor.to_json(),
            "history": {name: values.tolist() for name, values in self.history.items()},
            "validation_start": self.validation_start,
            "ids": list(self.ids),
            "lengths": list(self.lengths),
            "levels": None if self.levels is None else self.levels.to_json(),
        }

    def write_parts(self, folder: Path) -> None:
        super().write_parts(folder)
        write_tensors(folder / ERRORS, {"training_errors": self.training_errors}, {})

    @staticmethod
    def _parse(stored: dict) -> dict[str, Any]:
        earlier = {"season": None, "search": False}  # before there were such steps
        stored = stored | {"settings": earlier | stored["settings"]}
        settings, preprocessor = parse_settings(Settings, stored)
        start = checks.check_count("validation_start", stored["validation_start"], minimum=0)
        ids, levels = tuple(map(str, stored.get("ids", ()))), stored.get("levels")
        lengths = tuple(checks.check_count("lengths", rows) for rows in stored.get("lengths", ()))
        if len(ids) != len(lengths):
            raise ValueError(f"there are {len(ids)} ids but {len(lengths)} lengths")
        if levels is not None:
            levels = Levels.from_json(levels, preprocessor.features)
        return {
            "preprocessor": preprocessor,
            "settings": settings,
            "history": read_history(stored["history"]),
            "validation_start": start,
            "ids": ids,
            "lengths": lengths,
            "levels": levels,
        }

    @staticmethod
    def _expected_model(fields: dict[str, Any]) -> Autoencoder | StackedLSTM:
        return build(fields["settings"], fields["preprocessor"].features)

    @classmethod
    def _read_others(cls, folder: Path, fields: dict[str, Any]) -> dict[str, Any]:
        path, least = folder / ERRORS, fields["validation_start"]
        errors = _read_errors(path, fields["preprocessor"].features, least)
        if fields["lengths"] and sum(fields["lengths"]) != len(errors):
            raise ValueError(
                f"{path} is damaged, or belongs to another detector: it holds {len(errors):,} rows "
                f"and the series have {sum(fields['lengths']):,}"
            )
        return {"training_errors": errors}

    def __repr__(self) -> str:
        return f"Detector({self.settings.method}, {self.model!r})"

    def _repr_html_(self) -> str:
        return history_html("Detector", self.history, self.settings.method, repr(self.model))

    def _errors(self, scaled: np.ndarray, rows: int) -> np.ndarray:
        """Return `errors` of so many rows, including those of filled values."""
        if self.settings.method == "reconstruction":
            windows = _reconstructed(self.model, self.params, scaled, self.settings.window)
        else:
            windows = _predicted(self.model, self.params, scaled, self.settings.horizon)
        return self._compared(scaled, _combined(windows, self.settings.combine), rows)

    def _compared(self, scaled: np.ndarray, outputs: Iterable[np.ndarray], rows: int) -> np.ndarray:
        """Return the errors [rows, F] of outputs, which are some rows at a time."""
        errors = np.full((rows, scaled.shape[1]), np.nan)
        kept = errors[self.settings.dropped_rows :]  # a view
        start = int(self.settings.method == "prediction")  # nothing precedes the first row
        for chunk in outputs:
            stop = min(start + len(chunk), len(kept))
            kept[start:stop] = scaled[start:stop] - chunk[: stop - start]
            start = stop
        kept[: self.unread_rows] = np.nan
        return errors

    def _errors_of(self, scaled: Sequence[np.ndarray], rows: Sequence[int]) -> list[np.ndarray]:
        """Return `errors` of several series, including those of filled values."""
        is_short = [len(table) <= STEPS_AT_ONCE for table in scaled]
        short = [table for table, flag in zip(scaled, is_short, strict=True) if flag]
        if self.settings.method == "reconstruction":
            read = _reconstructed_of(self.model, self.params, short, self.settings.window)
        else:
            read = _predicted_of(self.model, self.params, short, self.settings.horizon)
        found = []
        for table, flag, number in zip(scaled, is_short, rows, strict=True):
            if flag:
                outputs = [series.unwindow(next(read), how=self.settings.combine)]
                found.append(self._compared(table, outputs, number))
            else:
                found.append(self._errors(table, number))
        return found


@contextmanager
def of_series(id: Any) -> Iterator[None]:
    """Name a separate series in the errors of the body."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"series {shorten(id)!r}: {error}") from error


def scaled_rows(preprocessor: series.Preprocessor, table: np.ndarray) -> np.ndarray:
    """Return rows [rows, F] in units of the model: float32 [rows - dropped, F].

    Raises:
      ValueError: float32 cannot hold them.
    """
    return as_float32(
        preprocessor.transform(table),
        "values are so far from those that the scaling was fitted to that float32 cannot hold "
        "them: are they in the same units?",
    )


def finite(output) -> np.ndarray:
    """Return the output of a model as an array.

    Raises:
      ValueError: it overflowed. NaN would count as missing, not as anomalous.
    """
    output = np.asarray(output)
    if not np.isfinite(output).all():
        raise ValueError(
            "values are so far from those that were trained on that the output of the model is not "
            "finite: are they in the same units?"
        )
    return output


def _reconstructed(model, params, scaled: np.ndarray, length: int) -> Iterator[np.ndarray]:
    """Yield the reconstructions of all windows [N, length, F], some at a time."""
    return _read(model, params, series.windows(scaled, length))


def _read(model, params, windows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the reconstructions of windows [N, length, F], some at a time."""
    for start in range(0, len(windows), WINDOWS_AT_ONCE):
        some = windows[start : start + WINDOWS_AT_ONCE]
        # Padded to one size, or the last ones would need a compilation of their own.
        padding = ((0, WINDOWS_AT_ONCE - len(some)), (0, 0), (0, 0))
        yield finite(_apply(model, params, np.pad(some, padding)))[: len(some)]


def _predicted(model, params, scaled: np.ndarray, horizon: int) -> Iterator[np.ndarray]:
    """Yield the predictions after each row [N, horizon, F], some at a time."""
    running = stream(model, params)
    for start in range(0, len(scaled), STEPS_AT_ONCE):
        some = scaled[start : start + STEPS_AT_ONCE]
        padding = ((0, STEPS_AT_ONCE - len(some)), (0, 0))
        padded = jnp.asarray(np.pad(some, padding))  # at the end, where no step comes after it
        y, running = running.step(padded[None])
        yield finite(np.asarray(y)[0, : len(some)]).reshape(len(some), horizon, -1)


def _reconstructed_of(
    model, params, tables: Sequence[np.ndarray], length: int
) -> Iterator[np.ndarray]:
    """Yield the reconstructions of all windows of each table, which are read together."""
    start = 0
    while start < len(tables):
        stop, some = start, list[np.ndarray]()
        while stop < len(tables) and sum(len(each) for each in some) < WINDOWS_AT_ONCE:
            some.append(series.windows(tables[stop], length))
            stop += 1
        read = np.concatenate(list(_read(model, params, np.concatenate(some))))
        yield from np.split(read, np.cumsum([len(windows) for windows in some])[:-1])
        start = stop


def _predicted_of(
    model, params, tables: Sequence[np.ndarray], horizon: int
) -> Iterator[np.ndarray]:
    """Yield the predictions [rows_i, horizon, F] after the rows of each table, read together."""
    for start in range(0, len(tables), SERIES_AT_ONCE):
        some = tables[start : start + SERIES_AT_ONCE]
        steps = -(-max(map(len, some)) // ROUNDED_TO) * ROUNDED_TO
        padded = np.zeros((SERIES_AT_ONCE, steps, some[0].shape[1]), np.float32)
        for place, table in enumerate(some):
            padded[place, : len(table)] = table  # no step comes after those that are padded
        read = np.asarray(_apply(model, params, padded))
        for place, table in enumerate(some):
            yield finite(read[place, : len(table)]).reshape(len(table), horizon, -1)


def _combined(chunks: Iterator[np.ndarray], how: str) -> Iterator[np.ndarray]:
    """Yield rows [n, F] of consecutive windows, as soon as they are final.

    Together they are `series.unwindow` of all windows, but only those windows are kept that reach
    into rows to come.
    """
    kept: np.ndarray | None = None
    done = 0  # rows from the first kept window on that were yielded already
    for chunk in chunks:
        kept = chunk if kept is None else np.concatenate([kept, chunk])
        rows = series.unwindow(kept, how=how)
        final = len(kept)  # rows that no later window holds
        yield rows[done:final]
        length = kept.shape[1]
        kept = kept[max(0, final - (length - 1)) :]
        done = len(kept)
    if kept is not None and kept.shape[1] > 1:
        yield series.unwindow(kept, how=how)[done:]


@compiled
def _apply(model, params, x):
    return model.apply(params, x)[0]


def _read_errors(path: Path, features: int, least: int) -> np.ndarray:
    """Return the training errors, float64 [rows, features], at least `least` rows."""
    with open_tensors(path) as file:
        dtype, shape = file.kinds.get("training_errors", Kind("none", ()))
        expected = len(file.kinds) == 1 and dtype == "float64" and len(shape) == 2
        if not expected or shape[1] != features or shape[0] < least:
            raise ValueError(
                f"{path} is damaged, or belongs to another detector: it does not hold the errors "
                f"of {features} features and at least {least} rows"
            )
        return file.read()["training_errors"]
