"""A trained forecaster: forecasts in units of the data, from any rows of a table."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from lstmcore import checks, layout
from lstmcore.forecaster import Forecaster
from lstmcore.forecasting import storage
from lstmcore.forecasting.evaluation import Evaluation, evaluate
from lstmcore.forecasting.metrics import check_origins
from lstmcore.forecasting.settings import Settings, arrange, as_float32, as_table
from lstmcore.programs import compiled
from lstmcore.series import Prepared, Split
from lstmcore.study.run import Run
from lstmcore.text import count, few

__all__ = ["Forecast", "Trained"]

MOST_AT_ONCE = 1024  # windows in one call of the model, and
MOST_NUMBERS = 2**22  # numbers in them: memory does not grow with the number of forecasts


class Forecast(NamedTuple):
    """Forecasts in units of the data.

    Attributes:
      origins: int [N], the row that each starts with.
      targets: names of the columns that are forecast.
      point: [N, horizon, targets]: the mean, the median if there are quantiles, or the mean over
        what dropout drops, without the noise of the samples.
      levels: Q quantiles.
      quantiles: [N, horizon, targets, Q], or None.
      samples: [N, horizon, targets, S], or None.
    """

    origins: np.ndarray
    targets: tuple[str, ...]
    point: np.ndarray
    levels: tuple[float, ...] = ()
    quantiles: np.ndarray | None = None
    samples: np.ndarray | None = None

    def interval(self, share: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
        """(low, high), [N, horizon, targets] each, between which `share` of the truth should lie.

        That of samples holds what dropout tells, how unsure the model is of itself, and how noisy
        the data are, from the validation part; without one it is far too narrow.

        Raises:
          ValueError: neither samples nor quantiles, or not those of this share.
        """
        layout.check_rate("share", share)
        ends = (1 - share) / 2, (1 + share) / 2
        if self.samples is not None:
            low, high = np.quantile(self.samples, ends, axis=-1)
            return low, high
        if self.quantiles is None:
            raise ValueError(
                "a point forecast has no interval: train with quantiles=(0.1, 0.5, 0.9), or with "
                "dropout and forecast with samples=100"
            )
        places = [np.flatnonzero(np.isclose(self.levels, end)) for end in ends]
        if not all(map(len, places)):
            raise ValueError(
                f"an interval of {share:.0%} lies between the quantiles {ends[0]:.4g} and "
                f"{ends[1]:.4g}, but the model was trained for {self.levels}"
            )
        return self.quantiles[..., places[0][0]], self.quantiles[..., places[1][0]]


@dataclass(frozen=True, eq=False)
class Trained:
    """What `train` made, and all that a forecast needs.

    Attributes:
      settings: as they were given.
      columns: names, in the order of the tables that this reads.
      model: the Forecaster; it reads targets first and known columns last.
      params: its weights.
      prepared: the preparation, for columns in the model's order.
      history: losses of the epochs, as `lc.fit` returned them.
      split: rows that were trained on and held out.
      stride: rows between the windows that were trained on.
      noise: [horizon, targets], root mean squared error in the validation part in model units, for
        samples; 0 of a model without dropout or validation part.
    """

    settings: Settings
    columns: tuple[str, ...]
    model: Forecaster
    params: dict
    prepared: Prepared
    history: dict[str, np.ndarray]
    split: Split
    stride: int
    noise: np.ndarray

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the columns that are forecast."""
        order, count, _ = arrange(self.columns, self.settings)
        return tuple(self.columns[place] for place in order[:count])

    def forecast(
        self, values, origins=None, *, future=None, samples: int = 0, key: jax.Array | None = None
    ) -> Forecast:
        """Forecast `horizon` rows from each origin on, each from the rows before it alone.

        Args:
          values: [rows, F], columns as in training; those of a data frame or a dict are matched by
            name, whatever their order.
          origins: int [N], the row that each forecast starts with; None: the one after the last.
          future: [rows after the last, known], the columns known in advance, in the order of
            `settings.known` (or with names), for forecasts that reach beyond the end of `values`.
          samples: S forecasts with dropout left on, each with units dropped at random (Gal &
            Ghahramani 2016) and with the model's `noise` (Zhu & Laptev 2017): for a model trained
            with dropout.
          key: random key for them; None takes `settings.seed`.

        Returns:
          Forecast.

        Raises:
          ValueError: origins without a window before them, missing known values, samples of a model
            without dropout or with quantiles, or values that the preparation refuses.
          TypeError: arguments of another kind.
        """
        samples = checks.check_count("samples", samples, minimum=0)
        if samples and not self.model.dropout:
            raise ValueError(
                "samples differ by what dropout drops: train with dropout, such as 0.1"
            )
        if samples and self.model.quantiles:
            raise ValueError(
                "samples are of a model that forecasts the mean, and this one forecasts quantiles: "
                "leave samples out, or train without quantiles"
            )
        filled, prepared, origins = self._rows(values, origins, future)
        key = jax.random.key(self.settings.seed) if key is None else key
        # Two keys, or the noise would be made of the same bits as what dropout drops.
        dropout_key, noise_key = jax.random.split(key)
        keys = [None] if not samples else jax.random.split(dropout_key, samples)
        # Whole batches of one size, the last filled up with its last window: one compilation.
        numbers = self.settings.window * self.model.features
        most = max(1, min(MOST_AT_ONCE, MOST_NUMBERS // numbers))
        size = min(most, 1 << max(0, len(origins) - 1).bit_length())
        written = []
        for start in range(0, len(origins), size):
            some = origins[start : start + size]
            padded = np.pad(some, (0, size - len(some)), mode="edge")
            inputs = self._inputs(prepared, padded)
            drawn = [_apply(self.model, self.params, *inputs, key) for key in keys]
            written.append(np.stack(drawn, axis=-1)[: len(some)])
        output = np.concatenate(written).astype(float)
        in_units = partial(self._in_units, filled=filled, origins=origins)
        if samples:
            point = in_units(output.mean(axis=-1, keepdims=True))[..., 0]
            normal = np.asarray(jax.random.normal(noise_key, output.shape))
            noisy = in_units(output + self.noise[..., None] * normal)
            return Forecast(origins, self.targets, point, samples=noisy)
        if levels := self.settings.quantiles:
            output = in_units(output[..., 0])
            median = output[..., levels.index(0.5)]
            return Forecast(origins, self.targets, median, levels, quantiles=output)
        return Forecast(origins, self.targets, in_units(output)[..., 0])

    def run(self, values, origins=None, *, future=None, edits: Mapping | None = None) -> Run:
        """The run of `study.run` while it forecasts: every gate of every step.

        Arguments and errors as in `forecast`. Inputs and outputs are in model units, the inputs
        with targets first and known columns last.
        """
        _, prepared, origins = self._rows(values, origins, future)
        x, known = self._inputs(prepared, origins)
        output, traces = self.model.apply(self.params, x, known, edits=edits)
        return Run(x, None, output, traces, dict.fromkeys(traces), layers=tuple(traces))

    def evaluate(self, values, *, samples: int = 0) -> Evaluation:
        """Errors on the test part beside those of the naive forecasts, and the lag check.

        There is a forecast from each row of the test part that has `horizon` rows to the end. Rows
        that have been added to the table since belong to it, too.

        Args:
          values: [rows, F], the table that was trained on, perhaps with more rows.
          samples: of `forecast`.

        Returns:
          Evaluation; `print` it.

        Raises:
          ValueError: no test part, or one shorter than the horizon.
        """
        return evaluate(self, values, samples)

    def save(self, folder: str | os.PathLike) -> None:
        """Write all of it into a folder, which is made if it is not there.

        It replaces a forecaster that was saved there before; other files stay.

        Raises:
          FileExistsError: a file of the same name was not saved by lstmcore, or changed since.
          OSError: the folder cannot be written to.
        """
        storage.save(self, folder)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Trained:
        """Read what `save` wrote.

        Raises:
          FileNotFoundError: the folder, or a file in it, is not there.
          ValueError: a file is damaged, or of another run.
        """
        return cls(**storage.load(folder))

    def table(self, values) -> np.ndarray:
        """`values` as float64 [rows, F], columns in the model's order."""
        return as_table(values, self.columns)[:, arrange(self.columns, self.settings).order]

    def _rows(self, values, origins, future) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(the table filled, the table prepared as float32, origins), up to the last row known."""
        table, lost, horizon = self.table(values), self.prepared.lost, self.model.horizon
        rows, first = len(table), lost + self.settings.window
        if origins is None:
            origins = np.array([rows])
        origins = check_origins(origins, first, rows)
        filled = self.prepared.filled(table)
        beyond = int(origins.max()) + horizon - rows
        if self.model.known and beyond > 0:
            filled = self._extended(filled, future, beyond)
        return filled, as_float32(self.prepared.apply(filled)), origins

    def _extended(self, filled: np.ndarray, future, rows: int) -> np.ndarray:
        """With the known columns of rows to come; the others, which nobody reads, as they were."""
        known = self.settings.known
        if future is None:
            raise ValueError(
                f"future is missing: the forecast reaches {count(rows, 'row')} beyond the end of "
                "values, "
                f"and {few(known)} must be known there: pass future [{rows}, {len(known)}]"
            )
        future = as_table(future, known, "future")
        if len(future) < rows:
            raise ValueError(
                f"future has {count(len(future), 'row')} but the forecast needs {rows}"
            )
        if not np.isfinite(future[:rows]).all():
            raise ValueError("future holds NaN or infinity: it must be known")
        following = np.repeat(filled[-1:], rows, axis=0)
        following[:, -len(known) :] = future[:rows]
        return np.concatenate([filled, following])

    def _inputs(self, prepared: np.ndarray, origins: np.ndarray):
        """(windows [N, T, F], known columns [N, horizon, known] or None)."""
        places = origins[:, None] - self.prepared.lost
        x = prepared[places + np.arange(-self.settings.window, 0)]
        if not self.model.known:
            return x, None
        return x, prepared[places + np.arange(self.model.horizon), -self.model.known :]

    def _in_units(self, output: np.ndarray, *, filled: np.ndarray, origins: np.ndarray):
        """[N, horizon, targets, samples or quantiles], from model units to data units."""
        count, lost = len(self.targets), self.prepared.lost
        before = filled[origins[:, None] + np.arange(-lost, 0), :count] if lost else None
        inverse = self.prepared.select(range(count)).invert
        return np.moveaxis(inverse(np.moveaxis(output, -1, 0), before), 0, -1)


@compiled
def _apply(model: Forecaster, params, x, future, key) -> Any:
    return model.apply(params, x, future, key=key)[0]
