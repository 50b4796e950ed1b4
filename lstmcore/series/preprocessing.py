"""All steps from a table to the input of a model, fitted on the training part, and their inverse.

    preprocessor = Preprocessing(missing="forward", difference=(12,)).fit(table, rows=training_rows)
    x = preprocessor.transform(table)                               # [rows - 12, F], model units
    forecast = preprocessor.inverse_transform(output, before)       # in units of the table again

Missing values are filled first, then differences are taken, then they are scaled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.display import displayed
from lstmcore.formatting import count
from lstmcore.series import arguments, arrays
from lstmcore.series.differencing import difference, undifference
from lstmcore.series.filling import FILLINGS, Filling, check_cells, fit_filling
from lstmcore.series.row_index import check_row_times, like
from lstmcore.series.scaling import SCALINGS, Scaler, fit_scaler


@dataclass(frozen=True)
class Preprocessing:
    """Settings that turn a table into the input of a model; `fit` learns the numbers.

    Attributes:
      missing: missing values, and rows that the times skip: "refuse" (an error), "forward" (the
        last known value) or "mean" (of the training part). See `fit_filling`.
      difference: lags of the differences to take, in this order: 1 against a trend, 24 against a
        season of 24 rows, 24,1 both. A tuple; see `difference`.
      scaling: scaling of each column, fitted to the training part.
        Results are in units of the table. See `fit_scaler`.

    Raises:
      ValueError: a choice that is not known, or a lag below 1.
      TypeError: lags that are not a tuple of whole numbers.
    """

    missing: Literal["refuse", "forward", "mean"] = "refuse"
    difference: Annotated[tuple[int, ...], "LAGS"] = ()
    scaling: Literal["standard", "minmax", "none"] = "standard"

    def __post_init__(self) -> None:
        checks.check_choice("missing", self.missing, FILLINGS)
        checks.check_choice("scaling", self.scaling, SCALINGS)
        object.__setattr__(self, "difference", arrays.check_lags(self.difference, "difference"))

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Preprocessing:
        """Return the settings from `dataclasses.asdict`, with lists where there were tuples."""
        return cls(**stored | {"difference": tuple(stored["difference"])})

    @property
    def dropped_rows(self) -> int:
        """Return the number of rows at the start of a table that differencing drops."""
        return sum(self.difference)

    def fit(self, table, rows: int | None = None) -> Preprocessor:
        """Learn means and scaling from the first rows of a table, and from these alone.

        Args:
          table: numbers [rows] or [rows, F], in the order of time; an array, a data frame or a dict
            of columns. Its times, if it has some, must rise by equal steps.
          rows: number of rows, from the first, that are trained on; None takes all.

        Returns:
          Preprocessor, which keeps the names of the columns if the table has some. It does not
          depend on anything after the first `rows` rows.

        Raises:
          ValueError: missing values that are refused or cannot be filled, infinities, too few rows
            for the lags, or times at irregular steps.

        Examples:
          >>> from lstmcore import series
          >>> table = [[1.0], [3.0], [9.0], [5.0], [99.0]]
          >>> settings = series.Preprocessing(difference=(1,), scaling="minmax")
          >>> preprocessor = settings.fit(table, rows=4)
          >>> preprocessor.transform(table)[:, 0].tolist()  # the last row was not used to fit
          [0.6, 1.0, 0.0, 9.8]
        """
        check_row_times(table)
        names, source = arguments.column_names(table), table
        table = arguments.as_table(table)
        if rows is not None and checks.check_count("rows", rows) > len(table):
            raise ValueError(f"rows is {rows} but the table has {count(len(table), 'row')}")
        check_cells(source, self.missing, rows=rows)
        return self.fit_separate([table[:rows].astype(float)], names)

    def fit_separate(
        self, tables: Sequence[np.ndarray], columns: tuple[str, ...] | None = None
    ) -> Preprocessor:
        """Learn means and scaling from several tables; nothing reaches from one into another.

        Args:
          tables: numbers [rows_i, F] each, all of which is trained on.
          columns: F names, or None.

        Raises:
          ValueError: as `fit`, of any of the tables.

        Examples:
          >>> from lstmcore import series
          >>> tables = [np.array([[1.0], [2.0]]), np.array([[9.0], [7.0]])]
          >>> settings = series.Preprocessing(difference=(1,), scaling="none")
          >>> [settings.fit_separate(tables).transform(table).tolist() for table in tables]
          [[[1.0]], [[-2.0]]]
        """
        together = np.concatenate(tables)
        filling = fit_filling(together, self.missing)
        filled = [filling.transform(table) for table in tables]
        changes = np.concatenate([difference(table, self.difference) for table in filled])
        scaler = fit_scaler(changes, self.scaling)
        spread = np.ptp(changes, axis=0)
        constant = spread <= _rounding(np.concatenate(filled), len(self.difference))
        scaler = scaler._replace(scale=np.where(constant, 1.0, scaler.scale))
        return Preprocessor(self, filling, scaler, constant, columns)


@displayed
class Preprocessor(NamedTuple):
    """A Preprocessing fitted on the training part of a table.

    Attributes:
      preprocessing: its settings.
      filling: replacement of missing values.
      scaler: of the differences, or of the table if none are taken.
      constant: bool [F], columns that never change in the training part after differencing, up to
        float64 rounding: nothing can be learnt from them. They are shifted but not scaled.
      columns: F names of the table, by which later tables are matched; None if it had none.
    """

    preprocessing: Preprocessing
    filling: Filling
    scaler: Scaler
    constant: np.ndarray
    columns: tuple[str, ...] | None = None

    @property
    def dropped_rows(self) -> int:
        """Return the number of rows at the start of a table that differencing drops."""
        return self.preprocessing.dropped_rows

    @property
    def features(self) -> int:
        """Return the number of columns, F."""
        return len(self.constant)

    def table(self, table, name: str = "table") -> np.ndarray:
        """Return a table as an array [rows, F], its columns in the order of the fitted one.

        A data frame or a dict is matched by name, if the fitted table had names.

        Raises:
          ValueError: columns of other names, or not of real numbers.
        """
        named = None if arguments.column_names(table) is None else self.columns
        return arguments.as_table(table, named, name)

    def filled(self, table) -> np.ndarray:
        """Return the table in its own units, with missing values filled.

        Returns:
          float64 [rows, F]; for a data frame one with the same index, or the same times.

        Raises:
          ValueError: other columns, infinities, values that cannot be filled, or times at irregular
            steps.
        """
        return like(table, self._filled(table), self.columns)

    def transform(self, table) -> np.ndarray:
        """Return the table in model units.

        Args:
          table: numbers [rows] or [rows, F], in the order of time.

        Returns:
          float64 [rows - dropped_rows, F]; row r depends only on the table's rows up to
          r + dropped_rows. For a data frame one with the index, or the times, of these rows.

        Raises:
          ValueError: as `filled`, or too few rows for the lags.
        """
        changes = difference(self._filled(table), self.preprocessing.difference)
        return like(table, self.scaler.transform(changes), self.columns, first=self.dropped_rows)

    def inverse_transform(self, values, before=None) -> np.ndarray:
        """Return numbers in model units, such as a forecast, in units of the table.

        Args:
          values: [..., T, F], T rows in the order of time, or a data frame [T, F].
          before: [..., dropped_rows, F], rows of the filled table right before these T; None if no
            differences are taken.

        Returns:
          float64 [..., T, F]; for a data frame one with the same index, or the same times.

        Raises:
          ValueError: shapes or columns that do not fit.
        """
        numbers = self._numbers("values", values)
        if numbers.ndim < 2 or numbers.shape[-1] != self.features:
            raise ValueError(f"values must be [..., T, {self.features}], got shape {numbers.shape}")
        changes = self.scaler.inverse_transform(numbers)
        if before is not None:
            before = self._numbers("before", before)
            changes = undifference(changes, before, self.preprocessing.difference)
        elif self.dropped_rows:
            raise ValueError(
                f"before is missing: differences of lags {self.preprocessing.difference} add "
                f"up from the {count(self.dropped_rows, 'row')} of the table right before"
            )
        return like(values, changes, self.columns)

    def select(self, columns: Sequence[int]) -> Preprocessor:
        """Return the preprocessor of some columns, by position and in this order.

        Raises:
          ValueError: a column that does not exist.
        """
        chosen = np.asarray(columns, int).reshape(-1)
        if not len(chosen) or not ((chosen >= 0) & (chosen < self.features)).all():
            raise ValueError(
                f"columns must be positions from 0 to {self.features - 1}, got {list(columns)}"
            )
        means = self.filling.means
        return Preprocessor(
            self.preprocessing,
            self.filling._replace(means=means if means is None else means[chosen]),
            Scaler(*(learnt[chosen] for learnt in self.scaler)),
            self.constant[chosen],
            None if self.columns is None else tuple(self.columns[place] for place in chosen),
        )

    def _filled(self, table) -> np.ndarray:
        source, table = table, self.table(table).astype(float)
        if table.shape[1] != self.features:
            raise ValueError(
                f"table has {count(table.shape[1], 'column')} but the preprocessor was fitted on "
                f"{self.features}: use the same columns, or select them"
            )
        check_cells(source, self.filling.how)
        return self.filling.transform(table)

    def _numbers(self, name: str, values) -> np.ndarray:
        """Return numbers [..., T, F] of an array, a data frame or a dict of columns."""
        if arguments.column_names(values, name) is None:
            return arrays.as_numbers(name, values).astype(float)
        return self.table(values, name).astype(float)

    def to_json(self) -> dict:
        """Return plain lists, numbers and strings, which `from_json` reads back bit for bit."""
        means = self.filling.means
        return {
            "preprocessing": asdict(self.preprocessing)
            | {"difference": list(self.preprocessing.difference)},
            "means": None if means is None else means.tolist(),
            "offset": self.scaler.offset.tolist(),
            "scale": self.scaler.scale.tolist(),
            "constant": self.constant.tolist(),
            "columns": None if self.columns is None else list(self.columns),
        }

    @classmethod
    def from_json(cls, stored: dict) -> Preprocessor:
        """Return the preprocessor that `to_json` wrote.

        Raises:
          ValueError: `to_json` did not write this; the message says what is wrong.
        """
        try:
            preprocessing = Preprocessing.from_json(stored["preprocessing"])
            flags = stored["constant"]
            # A NumPy array pads all texts to the longest, so no text may get into one.
            if not isinstance(flags, list) or not all(type(flag) is bool for flag in flags):
                raise ValueError("constant is not a list of true, false")
            constant = np.array(flags, bool)
            scaler = Scaler(np.array(stored["offset"], float), np.array(stored["scale"], float))
            means = None if stored["means"] is None else np.array(stored["means"], float)
            names = stored.get("columns")  # earlier versions stored no names
            names = None if names is None else tuple(map(str, names))
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"this is no stored preprocessing ({error!r})") from error
        learnt = {"offset": scaler.offset, "scale": scaler.scale, "means": means}
        for name, numbers in learnt.items():
            if numbers is None:
                continue
            if numbers.shape != constant.shape or not np.isfinite(numbers).all():
                raise ValueError(
                    f"the stored preprocessing is damaged: {name} is not {len(constant)} numbers"
                )
        if (means is None) != (preprocessing.missing != "mean"):
            raise ValueError(
                'the stored preprocessing is damaged: means go with missing="mean" alone'
            )
        if not (scaler.scale > 0).all():
            raise ValueError("the stored preprocessing is damaged: a scale is not above 0")
        if names is not None and len(names) != len(constant):
            raise ValueError(
                f"the stored preprocessing is damaged: it names {len(names)} of {len(constant)} "
                "columns"
            )
        return cls(preprocessing, Filling(preprocessing.missing, means), scaler, constant, names)


def as_float32(preprocessed: np.ndarray, problem: str) -> np.ndarray:
    """Return preprocessed numbers as float32, in which models compute.

    Raises:
      ValueError: some are too large; `problem` is the message.
    """
    with np.errstate(over="ignore"):
        numbers = preprocessed.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError(problem)
    return numbers


def _rounding(table: np.ndarray, differences: int) -> np.ndarray:
    """Return how far apart equal differences may come out in float64, for each column, [F].

    Decimal fractions are rounded to half an eps when they are read, and each difference sums two
    errors and rounds again. Without this bound, the slope of a straight line would seem to vary by
    1e-16 and be scaled to a standard deviation of 1.
    """
    if not differences:
        return np.zeros(table.shape[1])
    largest = np.abs(table).max(axis=0)
    return (differences + 1) * 2**differences * np.finfo(float).eps * largest
