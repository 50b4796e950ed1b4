"""Scores: one number per row, from its errors per feature. NumPy alone.

    errors [rows, F]  ->  mean_absolute, largest, or Gaussian.score  ->  scores [rows]

The larger the score, the more anomalous the row. A missing error is NaN: `mean_absolute` and
`largest` use the features that have a value, and are NaN where none has; a Gaussian needs them all.
Infinite errors are refused: they are not missing, and have no finite score.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.display import displayed
from lstmcore.formatting import count


def mean_absolute(errors) -> np.ndarray:
    """Return the mean absolute error of each row.

    Args:
      errors: [rows, F], signed or not.

    Returns:
      [rows], in units of the errors.

    Raises:
      ValueError, TypeError: errors that are not a floating-point array [rows, F], or infinite.

    Examples:
      >>> mean_absolute(np.array([[1.0, -3.0], [np.nan, 2.0], [np.nan, np.nan]])).tolist()
      [2.0, 2.0, nan]
    """
    errors = _errors(errors)
    known = ~np.isnan(errors)
    total = np.where(known, np.abs(errors), 0).sum(axis=1)
    count = known.sum(axis=1)
    return np.where(count, total / np.maximum(count, 1), np.nan)


def largest(errors) -> np.ndarray:
    """Return the largest absolute error of each row, for anomalies in one feature of many.

    Arguments, units and errors as in `mean_absolute`.

    Examples:
      >>> largest(np.array([[1.0, -3.0], [np.nan, 2.0]])).tolist()
      [3.0, 2.0]
    """
    errors = _errors(errors)
    known = ~np.isnan(errors)
    sizes = np.where(known, np.abs(errors), -np.inf).max(axis=1)
    return np.where(known.any(axis=1), sizes, np.nan)


def contributions(errors) -> np.ndarray:
    """Return the fraction of each row's `mean_absolute` that comes from each feature.

    Args:
      errors: [rows, F].

    Returns:
      [rows, F], at least 0, with sum 1 over the features that have a value; 0 for one that is
      missing, and in a row whose errors are all 0.

    Raises:
      ValueError, TypeError: as in `mean_absolute`.

    Examples:
      >>> contributions(np.array([[1.0, -3.0]])).tolist()
      [[0.25, 0.75]]
    """
    sizes = np.nan_to_num(np.abs(_errors(errors)))
    total = sizes.sum(axis=1, keepdims=True)
    return sizes / np.where(total > 0, total, 1)


@displayed
class Gaussian(NamedTuple):
    """A Gaussian of the errors of normal rows (Malhotra et al. 2016, section 2).

    Attributes:
      mean: [F], in units of the errors.
      covariance: [F, F], regularised on its diagonal by `fit_gaussian`.
      precision: [F, F], its inverse.
    """

    mean: np.ndarray
    covariance: np.ndarray
    precision: np.ndarray

    def score(self, errors) -> np.ndarray:
        """Return the squared Mahalanobis distance of each row, (e - mean)^T precision (e - mean).

        For Gaussian errors it follows the chi-squared distribution with F degrees of freedom, see
        `thresholds.gaussian`.

        Args:
          errors: [rows, F]; signed, as the Gaussian was fitted to.

        Returns:
          [rows], without a unit, at least 0; NaN where an error is missing.

        Raises:
          ValueError, TypeError: errors that are not an array [rows, F] of this F.
        """
        return self._parts(errors).sum(axis=1)

    def contributions(self, errors) -> np.ndarray:
        """Return the fraction of `score` that comes from each feature.

        Args:
          errors: as in `score`.

        Returns:
          [rows, F] with sum 1 in each row: the terms e_f (precision e)_f over their sum. One is
          negative where the feature, given the others, makes the row less anomalous. 0 in a row
          whose score is 0, NaN where an error is missing.
        """
        parts = self._parts(errors)
        total = parts.sum(axis=1, keepdims=True)
        return parts / np.where(total == 0, 1, total)

    def _parts(self, errors) -> np.ndarray:
        errors = _errors(errors)
        checks.check_features("errors", errors, len(self.mean), "this Gaussian")
        away = errors - self.mean
        return away * (away @ self.precision)


def fit_gaussian(errors, regularisation: float = 1e-6) -> Gaussian:
    """Fit mean and covariance to the errors of normal rows.

    Malhotra et al. (2016), "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection", fit
    them by maximum likelihood to rows that were not trained on: pass `detector.validation_errors`.
    They take the absolute errors, |x - x'|; here, as in Malhotra et al. (2015), the sign is kept,
    without which no error is Gaussian and `thresholds.gaussian` would not hold.

    A column whose errors never change makes the covariance singular. So the diagonal is raised by
    `regularisation` times the largest variance (times 1 if there is none). A pseudo-inverse would
    instead ignore that column, where any change at all is anomalous.

    Args:
      errors: [rows, F], signed; rows with a missing error are left out.
      regularisation: above 0, without a unit.

    Returns:
      Gaussian.

    Raises:
      ValueError: fewer than two complete rows, or a regularisation that is not above 0.
      ValueError, TypeError: as in `mean_absolute`.

    Examples:
      >>> gaussian = fit_gaussian(np.array([[-1.0, 0.0], [1.0, 0.0]]))
      >>> gaussian.score(np.array([[2.0, 0.0], [0.0, 0.1]])).round().tolist()
      [4.0, 10000.0]
    """
    errors = _errors(errors)
    if not 0 < regularisation < np.inf:
        raise ValueError(f"regularisation must be a number above 0, got {regularisation}")
    complete = errors[~np.isnan(errors).any(axis=1)].astype(float)
    if len(complete) < 2:
        raise ValueError(
            f"errors has {count(len(complete), 'row')} without a missing value: a Gaussian needs "
            "at least 2"
        )
    mean = complete.mean(axis=0)
    away = complete - mean
    covariance = away.T @ away / len(complete)
    covariance += np.eye(len(mean)) * regularisation * (covariance.diagonal().max() or 1.0)
    return Gaussian(mean, covariance, np.linalg.inv(covariance))


def _errors(errors) -> np.ndarray:
    checks.check_array("errors", errors, "rows features", "errors[:, None] adds a feature axis")
    checks.check_floating("errors", errors)
    errors = np.asarray(errors)
    if np.isinf(errors).any():
        raise ValueError("errors must be finite, or NaN where one is missing, got an infinite one")
    return errors
