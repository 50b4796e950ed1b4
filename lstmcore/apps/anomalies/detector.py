"""A trained detector: the errors of any series, in scaled units, and its files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from lstmcore import checks, series
from lstmcore.apps.anomalies.preprocessing import without_season
from lstmcore.apps.anomalies.settings import Settings, build
from lstmcore.apps.saved import Saved, parse_settings
from lstmcore.io.description import read_history
from lstmcore.io.tensors import Kind, open_tensors, write_tensors
from lstmcore.models.autoencoders import Autoencoder
from lstmcore.models.stacked import StackedLSTM
from lstmcore.models.streaming import stream
from lstmcore.programs import compiled
from lstmcore.series.preprocessing import as_float32
from lstmcore.series.row_index import check_row_times, like
from lstmcore.training.history import history_html

ERRORS = "errors.safetensors"
WINDOWS_AT_ONCE = 256  # that the model reads; memory does not grow with the series
STEPS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False, repr=False)
class Detector(Saved):
    """A model of normal rows, and all that its errors depend on; `train` returns one.

    Attributes:
      model: `lc.Autoencoder` for reconstruction, `lc.StackedLSTM` for prediction.
      params: its weights.
      preprocessor: `series.Preprocessor`, between the units of the data and those of the model.
      settings: `anomalies.Settings`.
      history: {"loss": [epochs], "validation_loss": [epochs]}.
      training_errors: [rows, F], `errors` of the series given to `train`.
      validation_start: first row of the validation part of that series; the number of rows, if it
        has none.
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

    @property
    def validation_errors(self) -> np.ndarray:
        """Return the errors of the validation rows, to which no weight was fitted."""
        return self.training_errors[self.validation_start :]

    def errors(self, values):
        """Return the values minus their reconstruction or prediction.

        A row is compared with the mean or the median (`settings.combine`) of its reconstructions in
        all windows that hold it, or of the predictions made for it 1 to `horizon` rows before.
        Memory does not grow with the number of windows: 100,000 rows of one feature and windows of
        288 take less than 100 MB.

        Args:
          values: numbers [rows, F] or [rows], in the order of time, at least a window of them.
            Columns of a data frame or a dict are matched by name, if the detector was trained on
            one.

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
        errors = np.where(np.isnan(table), np.nan, self._errors(table))
        return like(values, errors, self.preprocessor.columns)

    def outputs(self, values):
        """Return the reconstruction or prediction, in units of the data, to draw beside `values`.

        With a season or with differencing it is what the model adds to the true rows before.

        Args, Raises: as in `errors`.

        Returns:
          float64 [rows, F], or a data frame, as `errors`; NaN as there, but not where a value is
          missing.
        """
        table = self.table(values)
        season = self.settings.season_rows
        outputs = np.full(table.shape, np.nan)
        left = without_season(self.settings, table)
        outputs[season:] = self.preprocessor.filled(left)
        if season:
            outputs[season:] += series.seasonal_level(table, season)
        outputs -= self._errors(table) * self.preprocessor.scaler.scale
        return like(values, outputs, self.preprocessor.columns)

    def table(self, values) -> np.ndarray:
        """Return `values` as an array [rows, F], its columns in the order of the model.

        Raises:
          ValueError: other columns, no rows, or times at irregular steps.
        """
        check_row_times(values, "values")
        table = self.preprocessor.table(values, "values")
        if not len(table):
            raise ValueError("values has no rows: there is nothing to compare with")
        return table

    def _describe(self) -> dict[str, Any]:
        return {
            "settings": asdict(self.settings),
            "preprocessor": self.preprocessor.to_json(),
            "history": {name: values.tolist() for name, values in self.history.items()},
            "validation_start": self.validation_start,
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
        return {
            "preprocessor": preprocessor,
            "settings": settings,
            "history": read_history(stored["history"]),
            "validation_start": start,
        }

    @staticmethod
    def _expected_model(fields: dict[str, Any]) -> Autoencoder | StackedLSTM:
        return build(fields["settings"], fields["preprocessor"].features)

    @classmethod
    def _read_others(cls, folder: Path, fields: dict[str, Any]) -> dict[str, Any]:
        path, least = folder / ERRORS, fields["validation_start"]
        return {"training_errors": _read_errors(path, fields["preprocessor"].features, least)}

    def __repr__(self) -> str:
        return f"Detector({self.settings.method}, {self.model!r})"

    def _repr_html_(self) -> str:
        return history_html("Detector", self.history, self.settings.method, repr(self.model))

    def _errors(self, table: np.ndarray) -> np.ndarray:
        """Return `errors`, including those of filled values."""
        scaled = scaled_rows(self.preprocessor, without_season(self.settings, table))
        errors = np.full(table.shape, np.nan)
        rows = errors[self.settings.dropped_rows :]  # a view
        start = 0
        if self.settings.method == "reconstruction":
            windows = _reconstructed(self.model, self.params, scaled, self.settings.window)
        else:
            windows = _predicted(self.model, self.params, scaled, self.settings.horizon)
            start = 1  # nothing was predicted for the first row
        for chunk in _combined(windows, self.settings.combine):
            stop = min(start + len(chunk), len(rows))
            rows[start:stop] = scaled[start:stop] - chunk[: stop - start]
            start = stop
        if self.settings.method == "prediction":
            rows[: self.settings.window] = np.nan
        return errors


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
    windows = series.windows(scaled, length)
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
