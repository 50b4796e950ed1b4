"""The examples that a forecaster is trained on and validated with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.apps.forecasting import linear
from lstmcore.apps.forecasting.settings import Settings
from lstmcore.models.forecaster import Forecaster
from lstmcore.types import DenseParams


class Parts(NamedTuple):
    """The examples to train on and to validate with, of one series or of several.

    Attributes:
      model: lc.Forecaster.
      rows: preprocessed rows of each series, up to the end of its validation part.
      before: those of the training parts.
      window: rows that the LSTM reads.
      training, validation: int [N], rows that forecasts start with; None without that part.
      stride: rows from one forecast of the training part to the next.
      static: [series, features], what does not change within a series.
    """

    model: Forecaster
    rows: linear.Rows
    before: linear.Rows
    window: int
    training: np.ndarray
    validation: np.ndarray | None
    stride: int
    static: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        model: Forecaster,
        seen: Sequence[np.ndarray],
        ends: Sequence[int],
        settings: Settings,
        static: np.ndarray | None = None,
        calendars: Sequence[np.ndarray] | None = None,
    ) -> Parts:
        """Return the parts of preprocessed rows, of which those before `ends` are trained on."""
        read, horizon = settings.rows_read, model.horizon
        each: Sequence = [None] * len(seen) if calendars is None else calendars
        tables = [
            linear.rows_of(model, one, calendar) for one, calendar in zip(seen, each, strict=True)
        ]
        rows = linear.stacked(tables)
        before = linear.stacked([one.first(end) for one, end in zip(tables, ends, strict=True)])
        # The validation windows of a recursive forecaster are forecast as well.
        ahead = settings.window if model.mode == "recursive" else 0

        def stride_of(spans: list[tuple[int, int]]) -> int:
            windows = sum(max(0, stop - horizon + 1 - first) for first, stop in spans)
            return settings.stride_for(max(1, windows), model.features)

        def origins(spans: list[tuple[int, int]]) -> np.ndarray:
            stride = stride_of(spans)
            found = [
                start + np.arange(first, stop - horizon + 1, stride)
                for start, (first, stop) in zip(rows.starts, spans, strict=True)
            ]
            return np.concatenate(found)

        trained = [(read, end) for end in ends]
        validated = [(end + ahead, len(one)) for one, end in zip(seen, ends, strict=True)]
        validation = origins(validated) if settings.validation else None
        stride = stride_of(trained)
        window = settings.window
        return cls(model, rows, before, window, origins(trained), validation, stride, static)

    def series_of(self, origins: np.ndarray) -> np.ndarray:
        """Return the number of the series that each row belongs to, int [N]."""
        return np.searchsorted(self.rows.starts, origins, side="right") - 1

    def batch(self, model: Forecaster, origins: np.ndarray, path: DenseParams | None) -> dict:
        """Return examples as the loss takes them; their targets are what the path leaves."""
        target = self.rows.truth(origins)
        if path is not None:
            target = target - linear.outputs_of(path, self.rows, origins)
        batch = {"x": self.rows.past(origins, self.window), "target": target}
        if model.future_covariates:
            batch["future"] = self.rows.future(origins)
        if model.calendar and self.rows.calendar is not None:
            batch["calendar"] = self.rows.calendar[origins]
        if model.static and self.static is not None:
            batch["static"] = self.static[self.series_of(origins)]
        batch = {name: values.astype(np.float32) for name, values in batch.items()}
        if model.series:
            batch["series"] = self.series_of(origins).astype(np.int32)
        return batch
