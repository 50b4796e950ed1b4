"""Samples in the order of time, and settings from parameters: shared by detector and forecaster."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from sklearn.utils.validation import validate_data

from lstmcore.apps.settings import SeriesSettings
from lstmcore.formatting import count, few
from lstmcore.series import Preprocessing
from lstmcore.series.arguments import column_names
from lstmcore.series.arrays import is_table
from lstmcore.series.frames import is_pandas, narwhals
from lstmcore.series.row_index import RowIndex
from lstmcore.series.times.errors import IrregularTimesError

Settings = TypeVar("Settings", bound=SeriesSettings)
SPLITTING = "In cross-validation, split with TimeSeriesSplit: KFold leaves gaps"


def settings_of(kind: type[Settings], estimator, **others: Any) -> Settings:
    """Return the settings that the parameters of an estimator describe.

    Args:
      kind: class of the settings; its fields and those of `series.Preprocessing` are looked up
        among the parameters by name, and fields that no parameter names keep their defaults.
      estimator: it has the parameters `missing`, `difference` and `scaling`.
      others: fields that are no parameters.

    Raises:
      ValueError, TypeError: a parameter is out of range, or of another type.
    """
    params = estimator.get_params(deep=False)
    preprocessing = Preprocessing(
        **{field.name: params[field.name] for field in fields(Preprocessing)}
    )
    named = {field.name: params[field.name] for field in fields(kind) if field.name in params}
    return kind(**named, **others, preprocessing=preprocessing)


def as_samples(estimator, X, *, fitting: bool, missing: str) -> np.ndarray:
    """Return X as float64 [rows, F], after the checks of scikit-learn.

    Args:
      estimator: it learns number and names of the columns (`fitting`), or compares X with them.
      X: [rows, F], in the order of time. The times of a data frame must rise by equal steps; a
        column of them is none of the F.
      missing: NaN is an error if this is "refuse".

    Raises:
      TypeError: X is a `series.Table`.
      ValueError: X of another shape, with other columns than in `fit`, or with names of columns
        that are not texts, infinite, without numbers, with values missing that are refused, or with
        times at irregular steps.
    """
    if is_table(X):
        raise TypeError("X is a series.Table, which scikit-learn cannot read: pass X.to_frame()")
    rows = _index_of(X)
    if rows is not None and rows.times_in_column:
        X = narwhals().from_native(X).drop(rows.times.name).to_native()
    names = column_names(X, "X") if rows is not None and is_pandas(rows.library) else None
    if names is not None and not all(isinstance(name, str) for name in X.columns):
        raise ValueError(
            f"X has the columns {few(names)}, and scikit-learn ignores the order of columns whose "
            "names are not texts: write X.columns = X.columns.astype(str)"
        )
    table = validate_data(estimator, X, reset=fitting, ensure_all_finite="allow-nan").astype(float)
    gone = np.isnan(table)
    if missing == "refuse" and gone.any():
        row, column = np.argwhere(gone)[0]
        raise ValueError(
            f"X holds NaN in {count(gone.sum(), 'place')}, the first in row {row}, column {column} "
            "(counted from 0): fill them with missing='forward' or missing='mean', or remove them"
        )
    return table


def _index_of(X) -> RowIndex | None:
    """Return the index of the rows of X, as `RowIndex.of`.

    Raises:
      TimesError: as there. About a gap it names TimeSeriesSplit: the folds of KFold have one, and
        would pass as consecutive rows without their times, as the message otherwise proposes.
    """
    try:
        return RowIndex.of(X, "X")
    except IrregularTimesError as error:
        raise type(error)(f"{error.reason}. {SPLITTING}", error.row, error.text) from None


def check_samples(table: np.ndarray, needed: int, why: str, advice: str) -> None:
    """Raise ValueError if X has fewer than `needed` rows."""
    if len(table) < needed:
        raise ValueError(
            f"X has {count(len(table), 'sample')}, but {why} needs at least {needed} (rows in the "
            f"order of time): {advice}"
        )


def names_of(estimator) -> tuple[str, ...] | None:
    """Return the names of the columns that an estimator was fitted to; None if it has none."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else tuple(names)
