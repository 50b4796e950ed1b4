"""A trained forecaster: forecasts from any rows of a table, in units of the data, and its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from lstmcore import checks
from lstmcore.apps.forecasting import bounds
from lstmcore.apps.forecasting.evaluation import Evaluation, evaluate
from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.metrics import check_origins
from lstmcore.apps.forecasting.rivals import RivalInputs
from lstmcore.apps.forecasting.selection import Candidate, sentences
from lstmcore.apps.forecasting.settings import Settings, arrange, build
from lstmcore.apps.saved import Saved, parse_settings
from lstmcore.formatting import count, few, listed
from lstmcore.io.description import read_history
from lstmcore.models.forecaster import Forecaster
from lstmcore.programs import compiled
from lstmcore.series import Preprocessor, Split
from lstmcore.series.arguments import as_table
from lstmcore.series.preprocessing import as_float32
from lstmcore.series.row_index import RowIndex, check_row_times
from lstmcore.study.record import Run
from lstmcore.training.history import history_html

TOO_LARGE = (
    "some preprocessed values do not fit into float32: scale them (scaling='standard'), or look "
    "for a column that hardly changes in the training part"
)
MOST_AT_ONCE = 1024  # windows in one call of the model, and
MOST_NUMBERS = 2**22  # numbers in them: memory does not grow with the number of forecasts


@dataclass(frozen=True, eq=False, repr=False)
class Trained(Saved):
    """A trained forecaster, from `train`, with all that a forecast needs.

    Attributes:
      settings: as given to `train`.
      columns: names, in the order of the table.
      model: `lc.Forecaster`; it reads targets first and future covariates last.
      params: its weights.
      preprocessor: `series.Preprocessor`, for columns in the order of the model.
      history: losses of the epochs, as returned by `lc.fit`.
      split: rows of the training, validation and test part.
      stride: rows from one training window to the next.
      noise: [horizon, targets], root mean squared error in the validation part in model units, for
        samples; 0 for a model without dropout or validation part.
      candidates: differences that were tried, the best first; () if there was no choice.
      nonnegative: names of the targets that are never below 0 before the test part, whose forecasts
        are not either.
    """

    DESCRIPTION = "forecast.json"
    COMMAND = "lstmcore forecast"

    settings: Settings
    columns: tuple[str, ...]
    model: Forecaster
    params: dict
    preprocessor: Preprocessor
    history: dict[str, np.ndarray]
    split: Split
    stride: int
    noise: np.ndarray
    candidates: tuple[Candidate, ...] = ()
    nonnegative: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the names of the columns that are forecast."""
        order, count, _ = arrange(self.columns, self.settings)
        return tuple(self.columns[place] for place in order[:count])

    def choices(self) -> list[str]:
        """Return sentences on what training chose: differences, linear path alone, lower bounds."""
        is_silent = bool(self.model.linear_rows) and not np.any(self.params["head"].kernel)
        return sentences(self.candidates, is_silent) + bounds.sentences(self.nonnegative)

    def __repr__(self) -> str:
        return f"Trained({listed(self.targets)}: {self.model!r})"

    def _repr_html_(self) -> str:
        return history_html("Trained", self.history, listed(self.targets), repr(self.model))

    def forecast(
        self, values, origins=None, *, future=None, samples: int = 0, key: jax.Array | None = None
    ) -> Forecast:
        """Forecast `horizon` rows from each origin, from only the rows before it.

        Args:
          values: [rows, F], columns as in training; those of a data frame or a dict are matched by
            name, whatever their order. Times of a data frame must rise by equal steps.
          origins: int [N], the row that each forecast starts with; None: the one after the last.
          future: [rows after the last, covariates], the future covariates in the order of
            `settings.future_covariates` (or with names), for forecasts that reach beyond the end
            of `values`; their times, if both have some, are those that come next.
          samples: number S of forecasts with dropout left on (Gal & Ghahramani 2016) and with
            random noise of size `noise` (Zhu & Laptev 2017), for a model trained with dropout.
          key: random key for the samples; None takes `settings.seed`.

        Returns:
          Forecast, whose `to_frame` carries on the index, or the times, of a data frame.

        Raises:
          ValueError: times at irregular steps, or of `future` other ones than come next, origins
            without a window before them, missing future covariates, samples of a
            model without dropout or with quantiles, or values that the preprocessing refuses.
          TypeError: arguments of another kind.
        """
        samples, index = self._checked_samples(samples), RowIndex.of(values, "values")
        filled, scaled, origins = self._rows(values, origins, future)
        key = jax.random.key(self.settings.seed) if key is None else key
        # Two keys, or the noise would be drawn from the same bits as the dropout mask.
        dropout_key, noise_key = jax.random.split(key)
        keys = list(jax.random.split(dropout_key, samples)) if samples else [None]
        output = self._outputs(scaled, origins, keys)
        in_units = partial(self._in_units, filled=filled, origins=origins)
        if samples:
            point = in_units(output.mean(axis=-1, keepdims=True))[..., 0]
            normal = np.asarray(jax.random.normal(noise_key, output.shape))
            noisy = in_units(output + self.noise[..., None] * normal)
            return Forecast(origins, self.targets, point, samples=noisy, row_index=index)
        if levels := self.settings.quantiles:
            output = in_units(output[..., 0])
            median = output[..., levels.index(0.5)]
            return Forecast(
                origins, self.targets, median, levels, quantiles=output, row_index=index
            )
        return Forecast(origins, self.targets, in_units(output)[..., 0], row_index=index)

    def run(self, values, origins=None, *, future=None, edits: Mapping | None = None) -> Run:
        """Return the `study.Run` of the forecasts: every gate of every step.

        Arguments and errors as in `forecast`. Inputs and outputs are in model units, the inputs
        with targets first and future covariates last.
        """
        _, scaled, origins = self._rows(values, origins, future)
        x, covariates = self._inputs(scaled, origins)
        output, traces = self.model.apply(self.params, x, covariates, edits=edits)
        return Run.unmasked(x, output, traces)

    def evaluate(self, values, *, start: int | None = None, samples: int = 0) -> Evaluation:
        """Compare forecasts of the test part with those of simple methods, and check their lag.

        There is a forecast from each row of the test part with `horizon` rows to the end. Rows
        that were added to the table since training belong to the test part as well. The simple
        methods, or rivals, are fitted to the training part: see `rival_forecasts`.

        Args:
          values: [rows, F], the table that was trained on, possibly with more rows; with `start`
            any table with these columns.
          start: first row of the test part; the rows before it are the training part of the rivals.
            None: the test part of the table that was trained on.
          samples: as in `forecast`.

        Returns:
          Evaluation, to be printed.

        Raises:
          ValueError: no test part, one shorter than the horizon, or fewer rows before it than a
            window and a season need.
        """
        table = self.table(values)
        if start is None:
            origins, training = self._test_origins(len(table)), self.split.training.stop
        else:
            origins = self._origins_from(start, len(table))
            training = int(origins[0])
        return evaluate(
            self.forecast(values, origins, samples=samples),
            table[:, : len(self.targets)],
            self.rival_inputs(self.preprocessor.filled(table), training),
        )

    @property
    def rows_read(self) -> int:
        """Return how many rows a forecast reads: a window, and those dropped by differencing."""
        return self.preprocessor.dropped_rows + self.settings.window

    def rival_inputs(self, filled: np.ndarray, training: int | None = None) -> RivalInputs:
        """Return what rivals read: the training part, the columns and rows that the model reads.

        Args:
          filled: [rows, F], columns in the order of the model, missing values filled.
          training: rows of the training part; None: as many as the model was trained on.
        """
        return RivalInputs(
            filled,
            training=self.split.training.stop if training is None else training,
            window=self.rows_read,
            targets=self.targets,
            future_covariates=self.model.future_covariates,
            season=self.settings.season_rows,
            nonnegative=self.nonnegative,
        )

    def _describe(self) -> dict[str, Any]:
        split = {name: [part.start, part.stop] for name, part in self.split._asdict().items()}
        return {
            "settings": self.settings.to_json(),
            "columns": list(self.columns),
            "preprocessor": self.preprocessor.to_json(),
            "history": {name: losses.tolist() for name, losses in self.history.items()},
            "split": split,
            "stride": self.stride,
            "noise": self.noise.tolist(),
            "candidates": [list(candidate) for candidate in self.candidates],
            "nonnegative": list(self.nonnegative),
        }

    @staticmethod
    def _parse(stored: dict) -> dict[str, Any]:
        # What earlier versions did not have.
        earlier = {"linear": False, "search": False, "nonnegative": False}
        stored = stored | {"settings": earlier | stored["settings"]}
        settings, preprocessor = parse_settings(Settings, stored)
        columns = tuple(stored["columns"])
        order, targets, _ = arrange(columns, settings)
        if preprocessor.features != len(order):
            raise ValueError(f"preprocessor is for {preprocessor.features} of {len(order)} columns")
        noise = np.array(stored["noise"], float)
        if noise.shape != (settings.horizon, targets) or not (noise >= 0).all():
            raise ValueError("noise is not one number per step and target")
        return {
            "settings": settings,
            "columns": columns,
            "preprocessor": preprocessor,
            "history": read_history(stored["history"]),
            "split": _split(stored["split"]),
            "stride": checks.check_count("stride", stored["stride"]),
            "noise": noise,
            "candidates": tuple(
                Candidate(tuple(lags), float(penalty), str(towards), float(error))
                for lags, penalty, towards, error in stored.get("candidates", [])
            ),
            "nonnegative": _targets_among(stored.get("nonnegative", []), columns, settings),
        }

    @staticmethod
    def _expected_model(fields: dict[str, Any]) -> Forecaster:
        return build(fields["settings"], fields["columns"])

    def table(self, values) -> np.ndarray:
        """Return `values` as float64 [rows, F], with columns in the order of the model.

        Raises:
          ValueError: other columns, or times at irregular steps.
        """
        check_row_times(values, "values")
        table = as_table(values, self.columns, "values").astype(float)
        return table[:, arrange(self.columns, self.settings).order]

    def _test_origins(self, rows: int) -> np.ndarray:
        """Return the origins of forecasts in the test part of a table of `rows` rows."""
        horizon, start, stop = self.model.horizon, self.split.test.start, self.split.test.stop
        if stop == start:
            raise ValueError("there is no test part: train with test above 0, or use backtest")
        if rows < stop:
            raise ValueError(
                f"values has {count(rows, 'row')}, but {stop} were there in training: pass the "
                "same table, or one with more rows"
            )
        origins = np.arange(start, rows - horizon + 1)
        if not len(origins):
            raise ValueError(
                f"the test part has {count(rows - start, 'row')}, but the horizon is {horizon}: "
                "raise test or use more data"
            )
        return origins

    def _origins_from(self, start: int, rows: int) -> np.ndarray:
        """Return the origins of forecasts in a test part that begins with row `start`."""
        start = checks.check_count("start", start, minimum=0)
        first = max(self.rows_read, (self.settings.season_rows or 0) + 1)
        last = rows - self.model.horizon
        if not first <= start <= last:
            raise ValueError(
                f"start is {start}, but the test part of {count(rows, 'row')} must begin at row "
                f"{first} or later, after a window and a season, and by row {last}, a horizon of "
                f"{self.model.horizon} before the end: use another start, or more data"
            )
        return np.arange(start, last + 1)

    def _checked_samples(self, samples: int) -> int:
        samples = checks.check_count("samples", samples, minimum=0)
        if samples and not self.model.dropout:
            raise ValueError("samples need dropout: train with dropout above 0, such as 0.1")
        if samples and self.model.quantiles:
            raise ValueError(
                "samples are for a model that forecasts the mean, and this one forecasts "
                "quantiles: leave samples out, or train without quantiles"
            )
        return samples

    def _outputs(self, scaled: np.ndarray, origins: np.ndarray, keys: Sequence) -> np.ndarray:
        """Return the outputs of the model for each origin and key, keys on the last axis."""
        # Batches of one size, the last padded with its last window: one compilation.
        numbers = self.settings.window * self.model.features
        most = max(1, min(MOST_AT_ONCE, MOST_NUMBERS // numbers))
        size = min(most, 1 << max(0, len(origins) - 1).bit_length())
        outputs = []
        for start in range(0, len(origins), size):
            some = origins[start : start + size]
            padded = np.pad(some, (0, size - len(some)), mode="edge")
            inputs = self._inputs(scaled, padded)
            drawn = [_apply(self.model, self.params, *inputs, key) for key in keys]
            outputs.append(np.stack(drawn, axis=-1)[: len(some)])
        return np.concatenate(outputs).astype(float)

    def _rows(self, values, origins, future) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (filled table, scaled table, origins), up to the last row that is known."""
        table, horizon, first = self.table(values), self.model.horizon, self.rows_read
        rows = len(table)
        if origins is None:
            origins = np.array([rows])
        origins = check_origins(origins, first, rows)
        filled = self.preprocessor.filled(table)
        beyond = int(origins.max()) + horizon - rows
        if self.model.future_covariates and beyond > 0:
            _check_times(values, future, beyond)
            filled = self._extended(filled, future, beyond)
        return filled, as_float32(self.preprocessor.transform(filled), TOO_LARGE), origins

    def _extended(self, filled: np.ndarray, future, rows: int) -> np.ndarray:
        """Append rows with the future covariates; the other columns, which are not read, repeat."""
        covariates = self.settings.future_covariates
        if future is None:
            raise ValueError(
                f"future is missing: the forecast reaches {count(rows, 'row')} beyond the end of "
                f"values, and {few(covariates)} must be known there: pass future "
                f"[{rows}, {len(covariates)}]"
            )
        future = as_table(future, covariates, "future").astype(float)
        if len(future) < rows:
            raise ValueError(
                f"future has {count(len(future), 'row')} but the forecast needs {rows}"
            )
        if not np.isfinite(future[:rows]).all():
            raise ValueError("future holds NaN or infinity: all of its values must be known")
        following = np.repeat(filled[-1:], rows, axis=0)
        following[:, -len(covariates) :] = future[:rows]
        return np.concatenate([filled, following])

    def _inputs(self, scaled: np.ndarray, origins: np.ndarray):
        """Return (windows [N, T, F], future covariates [N, horizon, covariates] or None)."""
        places = origins[:, None] - self.preprocessor.dropped_rows
        x = scaled[places + np.arange(-self.settings.window, 0)]
        if not self.model.future_covariates:
            return x, None
        return x, scaled[places + np.arange(self.model.horizon), -self.model.future_covariates :]

    def _in_units(self, output: np.ndarray, *, filled: np.ndarray, origins: np.ndarray):
        """Return [N, horizon, targets, samples or quantiles] in units of the data."""
        count, dropped = len(self.targets), self.preprocessor.dropped_rows
        before = filled[origins[:, None] + np.arange(-dropped, 0), :count] if dropped else None
        inverse = self.preprocessor.select(range(count)).inverse_transform
        values = np.moveaxis(inverse(np.moveaxis(output, -1, 0), before), 0, -1)
        is_bounded = [target in self.nonnegative for target in self.targets]
        lowest = bounds.lowest(filled[:, :count], origins, is_bounded)
        return np.maximum(values, lowest[:, None, :, None])


def _check_times(values, future, rows: int) -> None:
    """Raise ValueError unless the times of `future`, if it has some, come after those of values."""
    index, own = RowIndex.of(values, "values"), RowIndex.of(future, "future")
    if index is None or own is None:
        return
    places, known = index.rows + np.arange(rows), np.arange(min(rows, own.rows))
    if index.times is not None and own.times is not None:
        differs = index.moments(places)[known] != own.moments(known)
    elif index.has_numbers and own.has_numbers and own.labels(known[:1])[0] != 0:  # the default
        differs = np.asarray(index.labels(places))[known] != np.asarray(own.labels(known))
    else:
        return
    if differs.any():
        place = int(differs.argmax())
        label, time = own.labels(known)[place], index.labels(places)[place]
        raise ValueError(
            f"future must go on where values end: its row {place} is of {label}, but {time} "
            "comes next"
        )


@compiled
def _apply(model: Forecaster, params, x, future, key) -> Any:
    return model.apply(params, x, future, key=key)[0]


def _targets_among(stored: list, columns: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """Return stored names, which must be those of targets."""
    order, targets, _ = arrange(columns, settings)
    if not {*stored} <= {columns[place] for place in order[:targets]}:
        raise ValueError("nonnegative holds names that are not those of targets")
    return tuple(stored)


def _split(stored: dict) -> Split:
    ends = [stored[name] for name in Split._fields]
    edges = [0, *(checks.check_count("split", stop, minimum=0) for _, stop in ends)]
    if [start for start, _ in ends] != edges[:-1] or edges != sorted(edges):
        raise ValueError("the parts of split do not follow one another")
    return Split(*(slice(start, stop) for start, stop in ends))
