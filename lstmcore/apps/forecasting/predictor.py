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
from lstmcore.apps.forecasting.calendar import calendar_of
from lstmcore.apps.forecasting.errors import LEVELS, Errors
from lstmcore.apps.forecasting.evaluation import Evaluation, evaluate
from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.metrics import check_origins
from lstmcore.apps.forecasting.rivals import RivalInputs
from lstmcore.apps.forecasting.selection import Candidate, read_candidates, sentences
from lstmcore.apps.forecasting.settings import Settings, arrange, build
from lstmcore.apps.saved import Saved, parse_settings
from lstmcore.formatting import count, few, listed
from lstmcore.io.description import read_history
from lstmcore.models.forecaster import Forecaster
from lstmcore.programs import compiled
from lstmcore.series import Preprocessor, Split
from lstmcore.series.arguments import as_table
from lstmcore.series.filling import check_cells
from lstmcore.series.preprocessing import as_float32
from lstmcore.series.row_index import RowIndex, check_row_times
from lstmcore.series.times.cycles import Cycle, parse_cycles, width
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
      settings: as given to `train`, with what it chose; to train alike, pass those that were given.
      columns: names, in the order of the table.
      model: `lc.Forecaster`; it reads targets first and future covariates last.
      params: its weights.
      preprocessor: `series.Preprocessor`, for columns in the order of the model.
      history: losses of the epochs, as returned by `lc.fit`.
      split: rows of the training, validation and test part.
      stride: rows from one training window to the next.
      errors: of forecasts of rows that were not trained on, in model units, for intervals and
        samples; see `errors.Errors`. None of quantiles, nor of an LSTM alone without a validation
        part.
      candidates: linear maps that were tried, the best first; () if there was no choice.
      nonnegative: names of the targets that are never below 0 before the test part, whose forecasts
        are not either.
      cycles: of the calendar that the model reads from the times of a table; () if it reads none.
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
    errors: Errors
    candidates: tuple[Candidate, ...] = ()
    nonnegative: tuple[str, ...] = ()
    cycles: tuple[Cycle, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the names of the columns that are forecast."""
        order, count, _ = arrange(self.columns, self.settings)
        return tuple(self.columns[place] for place in order[:count])

    def choices(self) -> list[str]:
        """Return sentences on what training chose: the season, and the maps or differences."""
        season = self.settings.season_rows
        said = "no season (--season sets one)" if season is None else f"a season of {season:,} rows"
        return [said, *sentences(self.candidates, has_map=bool(self.model.linear_rows))]

    @property
    def is_lstm_trained(self) -> bool:
        """Return whether the LSTM was trained; not if too few validation forecasts can judge it."""
        return bool(max(map(len, self.history.values()), default=0))

    @property
    def uses_lstm(self) -> bool:
        """Return whether the LSTM has a part in the forecast, not its linear path alone."""
        return not self.model.linear_rows or bool(np.any(self.params["head"].kernel))

    def __repr__(self) -> str:
        return f"Trained({listed(self.targets)}: {self.model!r})"

    def _repr_html_(self) -> str:
        return history_html("Trained", self.history, listed(self.targets), repr(self.model))

    def forecast(
        self, values, origins=None, *, future=None, samples: int = 0, key: jax.Array | None = None
    ) -> Forecast:
        """Forecast `horizon` rows from each origin, from only the rows before it.

        A forecast of the mean comes with the levels 0.1 and 0.9, an interval of 80 %, from the
        errors in rows that were not trained on.

        Args:
          values: [rows, F], columns as in training; those of a data frame or a dict are matched by
            name, whatever their order. Times of a data frame must rise by equal steps.
          origins: int [N], the row that each forecast starts with; None: the one after the last.
          future: [rows after the last, covariates], the future covariates in the order of
            `settings.future_covariates` (or with names), for forecasts that reach beyond the end
            of `values`; their times, if both have some, are those that come next.
          samples: number S of forecasts to draw: each with one of `errors` at random, that of the
            whole horizon, and with dropout left on (Gal & Ghahramani 2016; Zhu & Laptev 2017) in a
            model that was trained with dropout. They have intervals of any level.
          key: random key for the samples; None takes `settings.seed`.

        Returns:
          Forecast, whose `to_frame` carries on the index, or the times, of a data frame.

        Raises:
          ValueError: times at irregular steps, or of `future` other ones than come next; no times
            for a model that reads the calendar; origins without a window before them, missing
            future covariates, samples of a model with quantiles or without errors and dropout, or
            values that the preprocessing refuses.
          TypeError: arguments of another kind.
        """
        samples, index = self._checked_samples(samples), RowIndex.of(values, "values")
        filled, scaled, origins = self._rows(values, origins, future)
        key = jax.random.key(self.settings.seed) if key is None else key
        # Two keys, or the errors would be drawn from the same bits as the dropout mask.
        dropout_key, error_key = jax.random.split(key)
        drops = samples and self.model.dropout
        keys = list(jax.random.split(dropout_key, samples)) if drops else [None]
        calendar = self._calendar(values, origins)
        output = self._outputs(scaled, origins, calendar, keys)
        in_units = partial(self._in_units, filled=filled, origins=origins)
        if levels := self.settings.quantiles:
            output = in_units(output[..., 0])
            median = output[..., levels.index(0.5)]
            return Forecast(
                origins, self.targets, median, levels, quantiles=output, row_index=index
            )
        point = in_units(output.mean(axis=-1, keepdims=True))[..., 0]
        if samples:
            drawn = in_units(output + self._drawn_errors(error_key, len(origins), samples))
            return Forecast(origins, self.targets, point, samples=drawn, row_index=index)
        if not len(self.errors.paths):
            return Forecast(origins, self.targets, point, row_index=index)
        errors = self.errors.quantiles(LEVELS, self.settings.preprocessing.difference)
        ends = in_units(output + errors)
        # Errors of one sign alone, as of a column of zeros and few ones, leave the forecast out.
        low, high = np.minimum(ends[..., 0], point), np.maximum(ends[..., 1], point)
        ends = np.stack([low, high], axis=-1)
        return Forecast(origins, self.targets, point, LEVELS, quantiles=ends, row_index=index)

    def _drawn_errors(self, key: jax.Array, forecasts: int, samples: int) -> np.ndarray:
        """Return errors drawn at random, [N, horizon, targets, S]; 0 if there are none."""
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        drawn = self.errors.drawn(rng, forecasts * samples)
        return np.moveaxis(drawn.reshape(forecasts, samples, *drawn.shape[1:]), 1, -1)

    def run(self, values, origins=None, *, future=None, edits: Mapping | None = None) -> Run:
        """Return the `study.Run` of the forecasts: every gate of every step.

        Arguments and errors as in `forecast`. Inputs and outputs are in model units, the inputs
        with targets first and future covariates last; they are those of the LSTM, whose window a
        linear map may look beyond.
        """
        _, scaled, origins = self._rows(values, origins, future)
        x, covariates = self._inputs(scaled, origins)
        calendar: Any = self._calendar(values, origins)
        output, traces = self.model.apply(
            self.params, x, covariates, calendar=calendar, edits=edits
        )
        return Run.unmasked(x[:, -self.settings.window :], output, traces)

    def evaluate(
        self, values, *, start: int | None = None, samples: int = 0, smoothing: bool = True
    ) -> Evaluation:
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
          smoothing: whether Holt-Winters smoothing is among the simple methods. It takes longer
            than all others.

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
            self.rival_inputs(self.preprocessor.filled(table), training)._replace(
                smoothing=smoothing
            ),
        )

    @property
    def rows_read(self) -> int:
        """Return how many rows a forecast reads, those dropped by differencing included."""
        return self.preprocessor.dropped_rows + self.settings.rows_read

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
            "errors": self.errors.to_json(),
            "candidates": [list(candidate) for candidate in self.candidates],
            "nonnegative": list(self.nonnegative),
            "cycles": [list(cycle) for cycle in self.cycles],
        }

    @staticmethod
    def _parse(stored: dict) -> dict[str, Any]:
        # What earlier versions did not have.
        earlier = {"linear": False, "search": False, "nonnegative": False, "calendar": "off"}
        stored = stored | {"settings": earlier | stored["settings"]}
        settings, preprocessor = parse_settings(Settings, stored)
        columns = tuple(stored["columns"])
        order, targets, _ = arrange(columns, settings)
        if preprocessor.features != len(order):
            raise ValueError(f"preprocessor is for {preprocessor.features} of {len(order)} columns")
        return {
            "settings": settings,
            "columns": columns,
            "preprocessor": preprocessor,
            "history": read_history(stored["history"]),
            "split": _split(stored["split"]),
            "stride": checks.check_count("stride", stored["stride"]),
            "errors": Errors.from_json(stored, settings.horizon, targets),
            "candidates": read_candidates(stored.get("candidates", [])),
            "nonnegative": _targets_among(stored.get("nonnegative", []), columns, settings),
            "cycles": parse_cycles(stored.get("cycles", [])),
        }

    @staticmethod
    def _expected_model(fields: dict[str, Any]) -> Forecaster:
        return build(fields["settings"], fields["columns"], width(fields["cycles"]))

    def table(self, values) -> np.ndarray:
        """Return `values` as float64 [rows, F], with columns in the order of the model.

        Raises:
          ValueError: other columns, or times at irregular steps.
        """
        check_row_times(values, "values")
        table = as_table(values, self.columns, "values").astype(float)
        check_cells(values, self.settings.preprocessing.missing, self.columns)
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
        if samples and self.model.quantiles:
            raise ValueError(
                "samples are for a model that forecasts the mean, and this one forecasts "
                "quantiles: leave samples out, or train without quantiles"
            )
        if samples and not (len(self.errors.paths) or self.model.dropout):
            raise ValueError(
                "samples need errors in rows that were not trained on, or dropout: train an LSTM "
                "alone with a validation part"
            )
        return samples

    def _calendar(self, values, origins: np.ndarray) -> np.ndarray | None:
        """Return the calendar of each origin, [N, K]; None of a model that does not read it."""
        if not self.cycles:
            return None
        return calendar_of(values, origins, self.cycles).astype(np.float32)

    def _outputs(
        self, scaled: np.ndarray, origins: np.ndarray, calendar: np.ndarray | None, keys: Sequence
    ) -> np.ndarray:
        """Return the outputs of the model for each origin and key, keys on the last axis."""
        # Batches of one size, the last padded with its last window: one compilation.
        numbers = self.settings.rows_read * self.model.features
        most = max(1, min(MOST_AT_ONCE, MOST_NUMBERS // numbers))
        size = min(most, 1 << max(0, len(origins) - 1).bit_length())
        outputs = []
        for start in range(0, len(origins), size):
            some = origins[start : start + size]
            padded = np.pad(some, (0, size - len(some)), mode="edge")
            places = np.minimum(np.arange(start, start + size), len(origins) - 1)
            inputs = self._inputs(scaled, padded)
            known = None if calendar is None else calendar[places]
            drawn = [_apply(self.model, self.params, *inputs, known, key) for key in keys]
            outputs.append(np.stack(drawn, axis=-1)[: len(some)])
        return np.concatenate(outputs).astype(float)

    def _rows(self, values, origins, future) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (filled table, scaled table, origins), up to the last row that is known."""
        table, horizon, first = self.table(values), self.model.horizon, self.rows_read
        rows = len(table)
        if rows < first:
            raise ValueError(
                f"values has {count(rows, 'row')}, but a forecast reads the {first} before it: "
                "pass a table that begins earlier"
            )
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
        x = scaled[places + np.arange(-self.settings.rows_read, 0)]
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
def _apply(model: Forecaster, params, x, future, calendar, key) -> Any:
    return model.apply(params, x, future, calendar=calendar, key=key)[0]


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
