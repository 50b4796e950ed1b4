"""The lower bound of a forecast: a column that is never negative is not forecast below 0.

Loads, sales and counts cannot be negative, but a model that adds up differences, and the interval
around it, can. Where the truth is not below 0, a forecast that is brought up to 0 is never further
from it. That a column has no value below 0 before the test part does not prove that it cannot have
any, so one below 0 before a forecast lifts the bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def never_negative(training: np.ndarray) -> np.ndarray:
    """Return bool [targets]: which columns of [rows, targets] have no value below 0."""
    return np.logical_not((training < 0).any(axis=0))


def lowest(values: np.ndarray, origins, is_bounded: Sequence[bool]) -> np.ndarray:
    """Return the lowest value that a forecast may have, [N, targets]: 0, or minus infinity.

    Args:
      values: [rows, targets] in units of the data.
      origins: int [N], the row that each forecast starts with; at least 1.
      is_bounded: [targets], from `never_negative`. One that is negative in a row before the origin
        has no bound.

    Examples:
      >>> values = np.array([[3.0, 1.0], [0.0, -1.0], [2.0, 1.0]])
      >>> lowest(values, [1, 3], [True, True]).tolist()
      [[0.0, 0.0], [0.0, -inf]]
    """
    so_far = np.minimum.accumulate(values, axis=0)[np.asarray(origins) - 1]
    return np.where(np.asarray(is_bounded) & (so_far >= 0), 0.0, -np.inf)
