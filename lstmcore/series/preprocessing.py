"""Everything between a table and a model, learnt from the training part alone, and the way back.

    preprocessor = Preprocessing(missing="forward", difference=(12,)).fit(table, rows=training_rows)
    x = preprocessor.transform(table)                            # [rows - 12, F], as a model reads
    it forecast = preprocessor.inverse_transform(output, before)    # in units of the table again

Missing values are filled first, then differences are taken, then they are scaled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.formatting import count
from lstmcore.series.arguments import (
    as_numbers,
    as_table,
    check_lags,
    check_size,
    column_names,
)
from lstmcore.series.differencing import difference, undifference
from lstmcore.series.filling import FILLINGS, Filling, fit_filling
from lstmcore.series.scaling import SCALINGS, Scaler, fit_scaler

__all__ = ["Preprocessing", "Preprocessor"]


@dataclass(frozen=True)
class Preprocessing:
    """How a table is prepared for a model. `fit` learns the numbers.

    Attributes:
      missing: what to do about missing values, NaN: "refuse" (an error), "forward" (the last known
        value) or "mean" (of the training part); see `fit_filling`.
      difference: lags of differencing, in the order in which they are applied; (1,) takes out a
        trend, (12,) a season of twelve rows, (12, 1) both; see `difference`.
      scaling: "standard", "minmax" or "none"; see `fit_scaler`.

    Raises:
      ValueError: a choice that is not known, or a lag below 1.
      TypeError: lags that are not a tuple of whole numbers.
    """

    missing: str = "refuse"
    difference: tuple[int, ...] = ()
    scaling: str = "standard"

    def __post_init__(self) -> None:
        for name, known in (("missing", FILLINGS), ("scaling", SCALINGS)):
            if getattr(self, name) not in known:
                choices = ", ".join(map(repr, known))
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        object.__setattr__(self, "difference", check_lags(self.difference, "difference"))

    @property
    def dropped_rows(self) -> int:
        """Rows at the start of a table that have no difference."""
        return sum(self.difference)

    def fit(self, table, rows: int | None = None) -> Preprocessor:
        """Learn means and scaling from the first rows of a table, and from these alone.

        Args:
          table: numbers [rows] or [rows, F], in the order of time; an array, a data frame or a dict
            of columns.
          rows: how many, from the first, are trained on; None takes all.

        Returns:
          Preprocessor, which knows the names of the columns if the table has some. What stands
          after the first `rows` rows does not change it.

        Raises:
          ValueError: missing values that are refused or cannot be filled, infinities, or too few
            rows for the lags.

        Examples:
          >>> from lstmcore import series
          >>> table = [[1.0], [3.0], [9.0], [5.0], [99.0]]
          >>> settings = series.Preprocessing(difference=(1,), scaling="minmax")
          >>> preprocessor = settings.fit(table, rows=4)
          >>> preprocessor.transform(table)[:, 0].tolist()  # the last row was not learnt from
          [0.6, 1.0, 0.0, 9.8]
        """
        names = column_names(table)
        table = as_table(table)
        if rows is not None and checks.check_count("rows", rows) > len(table):
            raise ValueError(f"rows is {rows} but the table has {count(len(table), 'row')}")
        training = table[:rows].astype(float)
        filling = fit_filling(training, self.missing)
        training = filling.transform(training)
        changes = difference(training, self.difference)
        scaler = fit_scaler(changes, self.scaling)
        spread = np.ptp(changes, axis=0)
        constant = spread <= _rounding(training, len(self.difference))
        scaler = scaler._replace(scale=np.where(constant, 1.0, scaler.scale))
        return Preprocessor(self, filling, scaler, constant, names)


class Preprocessor(NamedTuple):
    """What a Preprocessing has learnt from the training part of a table.

    Attributes:
      preprocessing: the choices.
      filling: what stands in for missing values.
      scaler: of the differences, or of the table if none are taken.
      constant: bool [F], columns that never change in the training part, after differencing (up to
        the rounding of float64): there is nothing to learn from them. They are shifted, not
        stretched.
      columns: F names of the table, by which later tables are matched; None if it had none.
    """

    preprocessing: Preprocessing
    filling: Filling
    scaler: Scaler
    constant: np.ndarray
    columns: tuple[str, ...] | None = None

    @property
    def dropped_rows(self) -> int:
        """Rows at the start of a table that have no difference."""
        return self.preprocessing.dropped_rows

    @property
    def features(self) -> int:
        """Columns, F."""
        return len(self.constant)

    def table(self, table, name: str = "table") -> np.ndarray:
        """A table as an array [rows, F], its columns in the order of the one that was learnt from.

        A data frame or a dict is matched by name, if that one had names, too.

        Raises:
          ValueError: columns of other names, or not of real numbers.
        """
        named = None if column_names(table) is None else self.columns
        return as_table(table, named, name)

    def filled(self, table) -> np.ndarray:
        """The table, float64 [rows, F] in its own units, with missing values filled.

        Raises:
          ValueError: other columns, infinities, or values that cannot be filled.
        """
        table = self.table(table).astype(float)
        if table.shape[1] != self.features:
            raise ValueError(
                f"table has {count(table.shape[1], 'column')} but was prepared for "
                f"{self.features}: use the columns that it was fitted on, or select them"
            )
        check_size(table)
        return self.filling.transform(table)

    def transform(self, table) -> np.ndarray:
        """The table in model units.

        Args:
          table: numbers [rows] or [rows, F], in the order of time.

        Returns:
          float64 [rows - lost, F]: row r comes from the rows up to r + lost of the table alone.

        Raises:
          ValueError: as `filled`, or too few rows for the lags.
        """
        return self.scaler.transform(difference(self.filled(table), self.preprocessing.difference))

    def inverse_transform(self, values, before=None) -> np.ndarray:
        """Numbers in model units, such as a forecast, back in units of the table.

        Args:
          values: [..., T, F], T rows in the order of time.
          before: [..., lost, F], rows of the filled table right before these T; None if no
            differences are taken.

        Returns:
          float64 [..., T, F].

        Raises:
          ValueError: shapes that do not fit.
        """
        values = as_numbers("values", values).astype(float)
        if values.ndim < 2 or values.shape[-1] != self.features:
            raise ValueError(f"values must be [..., T, {self.features}], got shape {values.shape}")
        changes = self.scaler.inverse_transform(values)
        if before is None:
            if self.dropped_rows:
                raise ValueError(
                    f"before is missing: differences of lags {self.preprocessing.difference} add "
                    f"up "
                    f"from the {count(self.dropped_rows, 'row')} of the table right before"
                )
            return changes
        return undifference(changes, before, self.preprocessing.difference)

    def select(self, columns: Sequence[int]) -> Preprocessor:
        """The same for some columns, by position and in this order: those that a model writes.

        Raises:
          ValueError: a column that is not there.
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

    def to_json(self) -> dict:
        """Plain lists, numbers and strings; `from_json` reads them back, bit for bit."""
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
        """What `to_json` wrote.

        Raises:
          ValueError: anything else; the message says what is wrong with it.
        """
        try:
            choices = stored["preprocessing"]
            preprocessing = Preprocessing(**choices | {"difference": tuple(choices["difference"])})
            flags = stored["constant"]
            # In an array of NumPy all texts are as long as the longest, so none may get there.
            if not isinstance(flags, list) or not all(type(flag) is bool for flag in flags):
                raise ValueError("constant is no list of true, false")
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


def _rounding(table: np.ndarray, differences: int) -> np.ndarray:
    """How far apart equal differences may come out in float64, for each column; [F].

    Decimal fractions are rounded to half an eps when they are read, and each difference adds up
    two errors and rounds again. Without this, the slope of a straight line would seem to change,
    by 1e-16, and be stretched to a standard deviation of 1.
    """
    if not differences:
        return np.zeros(table.shape[1])
    largest = np.abs(table).max(axis=0)
    return (differences + 1) * 2**differences * np.finfo(float).eps * largest
