"""A forecaster of many series: forecasts of each, also of new ones, and its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

from lstmcore import checks
from lstmcore.apps.forecasting import bounds
from lstmcore.apps.forecasting.errors import Errors
from lstmcore.apps.forecasting.many.evaluation import EvaluationOfMany
from lstmcore.apps.forecasting.many.forecast import ForecastOfMany
from lstmcore.apps.forecasting.many.member import Member, read_member, stored_member
from lstmcore.apps.forecasting.many.panel import Panel, column_names, named, why_unusable
from lstmcore.apps.forecasting.many.static import StaticEncoder
from lstmcore.apps.forecasting.predictor import Trained
from lstmcore.apps.forecasting.selection import Candidate, read_candidates
from lstmcore.apps.forecasting.settings import Settings, arrange, build
from lstmcore.apps.saved import Saved
from lstmcore.arrays import frame_library
from lstmcore.formatting import count, few, listed, shorten
from lstmcore.io.description import read_history
from lstmcore.models.forecaster import Forecaster
from lstmcore.series import Split
from lstmcore.series.arguments import as_table
from lstmcore.series.windowing import draw_windows
from lstmcore.training.history import history_html
from lstmcore.types import DenseParams

MOST_SMOOTHED = 200  # series that Holt-Winters is run for; of more, so many at random


@dataclass(frozen=True, eq=False, repr=False)
class TrainedMany(Saved):
    """A forecaster of many series, from `train_many`, with all that a forecast needs.

    `trained[name]` is a `Trained` of one series, with all its methods: as its static features and
    its vector do not change, they are part of the bias of its head.

    Attributes:
      settings: as given to `train_many`, with what it chose.
      columns: names, in the order of the tables.
      id: names of the columns of a long table that name a series.
      encoder: turns static columns into features.
      model: `lc.Forecaster`; it reads targets first and future covariates last.
      params: its weights.
      members: {name: Member} of the series that were trained on, in the order of their vectors.
      history: losses of the epochs, as returned by `lc.fit`.
      stride: rows from one training window of a series to the next.
      errors: as those of `Trained`, of all series, each relative to its `Member.spread`.
      candidates: linear maps that were tried, the best first; () if there was no choice.
      left_out: {name: why} of the series that were not trained on.
      embedding: numbers in the vector of each series; 0 if the model reads none.
    """

    DESCRIPTION = "forecast_many.json"
    COMMAND = "lstmcore forecast --id"

    settings: Settings
    columns: tuple[str, ...]
    id: tuple[str, ...]
    encoder: StaticEncoder
    model: Forecaster
    params: dict
    members: dict[str, Member]
    history: dict[str, np.ndarray]
    stride: int
    errors: Errors
    candidates: tuple[Candidate, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    embedding: int = 0

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the names of the columns that are forecast."""
        order, number, _ = arrange(self.columns, self.settings)
        return tuple(self.columns[place] for place in order[:number])

    @property
    def uses_lstm(self) -> bool:
        """Return whether the LSTM has a part in the forecasts."""
        return self._any.uses_lstm

    @property
    def is_lstm_trained(self) -> bool:
        """Return whether the LSTM was trained; not if too few validation forecasts can judge it."""
        return self._any.is_lstm_trained

    @property
    def rows_read(self) -> int:
        """Return how many rows a forecast reads, those dropped by differencing included."""
        return self.settings.preprocessing.dropped_rows + self.settings.rows_read

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __repr__(self) -> str:
        return f"TrainedMany({listed(self.targets)} of {len(self):,} series: {self.model!r})"

    def _repr_html_(self) -> str:
        of = f"{listed(self.targets)} of {len(self):,} series"
        return history_html("TrainedMany", self.history, of, repr(self.model))

    def __getitem__(self, series: Any) -> Trained:
        """Return the forecaster of one series that was trained on.

        Raises:
          KeyError: it was not.
        """
        name = str(series)
        if name not in self.members:
            why = self.left_out.get(name, f"the model was trained on {few(list(self))}")
            raise KeyError(f"{shorten(name)} was not trained on: {why}")
        return self._of(self.members[name], self._places[name])

    @cached_property
    def _places(self) -> dict[str, int]:
        """Return the number of each series, that of its vector."""
        return {name: place for place, name in enumerate(self.members)}

    def choices(self) -> list[str]:
        """Return sentences on what training chose: as `Trained.choices`, and parts of the model."""
        alone = self._any
        said = alone.choices()
        if not alone.uses_lstm:
            said.append(
                "the LSTM has no part in the forecasts: it was not shown to lower the validation "
                "error of the linear map"
                if alone.is_lstm_trained
                else "the LSTM has no part in the forecasts, and was not trained: the validation "
                "parts hold too few forecasts, over too few series, to show that it lowers the "
                "error of the linear map"
            )
        elif self.model.static:
            names = [column.name for column in self.encoder.columns]
            said.append(f"the model reads {listed(names)} of each series, which do not change")
        if self.model.series:
            said.append(
                "a learned vector of each series lowered the validation error by more than chance, "
                "so the model reads it; that of a new series is the mean of all"
            )
        return said

    def forecast(
        self,
        series: Any,
        *,
        future: Any = None,
        static: Any = None,
        samples: int = 0,
        key: jax.Array | None = None,
    ) -> ForecastOfMany:
        """Forecast the `horizon` rows after the last of each series.

        A series that was trained on is scaled as it was then. A new one is scaled by the rows that
        it has here, and the vector of a series, if the model reads one, is the mean of all.

        Args:
          series: as in `train_many`: {name: table}, or a long table with the same columns of names.
          future: [rows after the last, covariates] as in `Trained.forecast`, in the form of
            `series`: {name: table}, or a long table.
          static: {name: {column: value}} as in `train_many`, of new series given by name, if static
            columns have a part in the forecasts (`reads_static`). Those of a series that was
            trained on are known.
          samples, key: as in `Trained.forecast`.

        Returns:
          ForecastOfMany. Series with fewer rows than the model reads, or with values that cannot be
          filled, are left out, and it says so.

        Raises:
          ValueError: as `Trained.forecast`, with the name of the series; or none can be forecast.
          TypeError: arguments of another kind.
        """
        panel = self.panel_of(series, static)
        later = {} if future is None else self.panel_of(future, ()).tables
        key = jax.random.key(self.settings.seed) if key is None else key
        forecasts, left_out = {}, {}
        for place, (name, table) in enumerate(panel.tables.items()):
            with named(name):
                is_known = name in self.members
                if why := self._why_not(table, is_known=is_known):
                    left_out[name] = why
                    continue
                one = self[name] if is_known else self.new(table, panel.static[name])
                forecasts[name] = one.forecast(
                    table,
                    future=later.get(name),
                    samples=samples,
                    key=jax.random.fold_in(key, place),
                )
        if not forecasts:
            name, why = next(iter(left_out.items()))
            raise ValueError(f"no series can be forecast: of {shorten(name)!r}, {why}")
        return ForecastOfMany(forecasts, left_out, self.id)

    def evaluate(
        self,
        series: Any,
        *,
        start: int | Mapping[str, int] | None = None,
        static: Any = None,
        samples: int = 0,
    ) -> EvaluationOfMany:
        """Compare forecasts of the test part of each series with those of simple methods.

        Of more than 200 series, Holt-Winters smoothing is run for 200 that are drawn at random,
        always the same ones: it takes longer than all else.

        Args:
          series: as in `train_many`, possibly with more rows.
          start: first row of the test parts, of all series or {name: row}, as in
            `Trained.evaluate`; a new series is scaled by the rows before it. None: the test parts
            of the series that were trained on.
          static: as in `forecast`.
          samples: as in `Trained.forecast`.

        Returns:
          EvaluationOfMany, to be printed. Series without a test part are left out, and it says so.

        Raises:
          ValueError: as `Trained.evaluate`, of the first series, if no series can be evaluated.
        """
        panel = self.panel_of(series, static)
        if isinstance(start, Mapping):
            start = {str(name): row for name, row in start.items()}
            if unknown := [name for name in start if name not in panel.tables]:
                raise ValueError(
                    f"start names the series {few(unknown)}, but series holds "
                    f"{few(list(panel.tables))}"
                )
        evaluations, left_out = {}, {}
        names = list(panel.tables)
        smoothed = frozenset(names[k] for k in draw_windows(len(names), MOST_SMOOTHED))
        for name, table in panel.tables.items():
            first = start.get(name) if isinstance(start, Mapping) else start
            if first is None and name not in self.members:
                left_out[name] = self.left_out.get(name, "it was not trained on")
                continue
            try:
                is_known = name in self.members
                one = self[name] if is_known else self.new(table, panel.static[name], rows=first)
                evaluations[name] = one.evaluate(
                    table, start=first, samples=samples, smoothing=name in smoothed
                )
            except ValueError as error:
                left_out[name] = str(error)
        if not evaluations:
            name, why = next(iter(left_out.items()))
            raise ValueError(f"no series can be evaluated: of {shorten(name)!r}, {why}")
        drawn = smoothed if len(smoothed) < len(names) else None
        return EvaluationOfMany(evaluations, left_out, self.id, drawn)

    def _why_not(self, table: Any, *, is_known: bool) -> str | None:
        """Return why a series cannot be forecast, or None.

        Raises:
          ValueError: other columns, or missing values that are refused.
        """
        rows = len(as_table(table, self.columns, "values"))
        if rows < self.rows_read:
            return f"it has {count(rows, 'row')}, and the model reads {self.rows_read}"
        missing = self.settings.preprocessing.missing
        has_means = is_known and missing == "mean"
        return why_unusable(table, self.columns, missing, has_means=has_means)

    def panel_of(self, series: Any, static: Any = None) -> Panel:
        """Return several series, taken apart as those that were trained on.

        static: {name: {column: value}} of series by name; of a long table, the names of columns,
          None for those of the model that it has.
        """
        if self._is_long(series):
            if static is None:
                columns = column_names(series)
                static = [one.name for one in self.encoder.columns if one.name in columns]
            return Panel.of(series, self.id, list(static))
        panel = Panel.of(series)
        if not isinstance(static, Mapping):
            return panel
        given = {str(name): dict(values) for name, values in static.items()}
        return panel._replace(static={name: given.get(name, {}) for name in panel.tables})

    def _is_long(self, series: Any) -> bool:
        """Return whether series is a long table: a frame, or a dict of columns.

        The latter has the columns of names and some of the model: a series may be called like one.
        """
        if not isinstance(series, Mapping):
            return frame_library(series) is not None
        names = set(map(str, series))
        return set(self.id) <= names and bool(names & set(self.columns))

    @property
    def reads_static(self) -> bool:
        """Return whether static columns have a part in the forecasts."""
        return bool(self.model.static) and self._any.uses_lstm

    def new(
        self, table: Any, static: Mapping[str, Any] | None = None, *, rows: int | None = None
    ) -> Trained:
        """Return the forecaster of a series that was not trained on.

        Args:
          table: its table, as `Trained.forecast` takes it.
          static: {column: value}, if static columns have a part in the forecasts
            (`reads_static`).
          rows: it is scaled by so many rows, from the first; None takes all.

        Raises:
          ValueError: other columns, too few rows, or values that the preprocessing refuses.
        """
        numbers = self._any.table(table)
        used = len(numbers) if rows is None else min(rows, len(numbers))
        if used <= self.settings.preprocessing.dropped_rows:
            raise ValueError(
                f"it has {count(used, 'row')} to be scaled by, and {self.rows_read} are needed"
            )
        bounded = bounds.never_negative(numbers[:used, : len(self.targets)])
        member = Member(
            self.settings.preprocessing.fit(numbers, rows=used),
            Split(slice(0, used), slice(used, used), slice(used, used)),
            tuple(
                target
                for target, one in zip(self.targets, bounded.tolist(), strict=True)
                if one and self.settings.nonnegative
            ),
            tuple(self.features_of(static or {}).tolist()),
            (1.0,) * len(self.targets),
        )
        return self._of(member, -1)

    def features_of(self, static: Mapping[str, Any]) -> np.ndarray:
        """Return the static features of a series; zeros if they have no part in its forecasts."""
        if not self.reads_static:
            return np.zeros(self.encoder.features, np.float32)
        return self.encoder.transform(static)

    @cached_property
    def _any(self) -> Trained:
        """Return the forecaster of some series, for what all of them share."""
        return self[next(iter(self.members))]

    def _of(self, member: Member, place: int) -> Trained:
        """Return the forecaster of one series; `place` is that of its vector, -1 the mean."""
        return Trained(
            settings=self.settings,
            columns=self.columns,
            model=replace(self.model, static=0, series=0, embedding=0),
            params=self._params_of(member, place),
            preprocessor=member.preprocessor,
            history=self.history,
            split=member.split,
            stride=self.stride,
            errors=self.errors.scaled(np.array(member.spread)),
            candidates=self.candidates,
            nonnegative=member.nonnegative,
        )

    def _params_of(self, member: Member, place: int) -> dict:
        """Return the weights of a model for one series alone.

        What does not change within the series adds the same to every forecast of it: a bias.
        """
        if not (self.model.static or self.model.series):
            return self.params
        beside = [np.array(member.static, np.float32)] if self.model.static else []
        if self.model.series:
            table = np.asarray(self.params["series"].table)
            beside.append(table.mean(axis=0) if place < 0 else table[place])
        features = np.concatenate(beside)
        kernel, bias = self.params["head"]
        first = len(kernel) - len(features)
        head = DenseParams(kernel[:first], bias + features @ kernel[first:])
        others = {name: layer for name, layer in self.params.items() if name != "series"}
        return others | {"head": head}

    def params_for(self, names: Sequence[str]) -> dict:
        """Return the weights for these series; that of a new one is the mean of all vectors."""
        if not self.model.series:
            return self.params
        table = np.asarray(self.params["series"].table)
        mean = table.mean(axis=0)
        rows = [table[self._places[name]] if name in self.members else mean for name in names]
        return self.params | {"series": self.params["series"]._replace(table=np.stack(rows))}

    def _describe(self) -> dict[str, Any]:
        return {
            "settings": self.settings.to_json(),
            "columns": list(self.columns),
            "id": list(self.id),
            "static": self.encoder.to_json(),
            "members": [stored_member(name, member) for name, member in self.members.items()],
            "history": {name: losses.tolist() for name, losses in self.history.items()},
            "stride": self.stride,
            "errors": self.errors.to_json(),
            "candidates": [list(candidate) for candidate in self.candidates],
            "left_out": [list(pair) for pair in self.left_out.items()],
            "embedding": self.embedding,
        }

    @staticmethod
    def _parse(stored: dict) -> dict[str, Any]:
        earlier = {"calendar": "off"}  # which versions before did not have
        settings = Settings.from_json(earlier | stored["settings"])
        columns = tuple(map(str, stored["columns"]))
        order, targets, _ = arrange(columns, settings)
        encoder = StaticEncoder.from_json(stored["static"])
        members = dict(
            read_member(one, settings, len(order), encoder.features, targets)
            for one in stored["members"]
        )
        if not members or len(members) < len(stored["members"]):
            raise ValueError("members are none, or two of one name")
        return {
            "settings": settings,
            "columns": columns,
            "id": tuple(map(str, stored["id"])),
            "encoder": encoder,
            "members": members,
            "history": read_history(stored["history"]),
            "stride": checks.check_count("stride", stored["stride"]),
            "errors": Errors.from_json(stored, settings.horizon, targets),
            "candidates": read_candidates(stored["candidates"]),
            "left_out": {str(name): str(why) for name, why in stored["left_out"]},
            "embedding": checks.check_count("embedding", stored["embedding"], minimum=0),
        }

    @staticmethod
    def _expected_model(fields: dict[str, Any]) -> Forecaster:
        is_direct = fields["settings"].mode == "direct"
        return replace(
            build(fields["settings"], fields["columns"]),
            static=fields["encoder"].features if is_direct else 0,
            series=len(fields["members"]) if fields["embedding"] else 0,
            embedding=fields["embedding"],
        )
