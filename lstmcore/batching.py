"""Batches of sequences of unequal length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Buckets"]


@dataclass(frozen=True, eq=False)
class Buckets:
    """Examples sorted into parts of like length, so that little of each is padding.

    Attributes:
      parts: pytrees of arrays [n_i, T_i, ...] with the same structure, one for each bucket.
      order: for each part, int [n_i], the place of each of its examples in the input.
    """

    parts: tuple[Any, ...]
    order: tuple[np.ndarray, ...]
