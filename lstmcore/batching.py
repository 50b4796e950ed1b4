"""Batches of sequences of unequal length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Buckets"]


@dataclass(frozen=True, eq=False)
class Buckets:
    """Examples in groups of like length, each group padded to its longest.

    Attributes:
      parts: one pytree of arrays [n, T, ...] for each group.
      order: int [N], for each row of the parts the number of that example in the input.
      padding: share of all steps that is padding.
    """

    parts: tuple[Any, ...]
    order: np.ndarray
    padding: float
