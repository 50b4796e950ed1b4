"""Encode numbers for the page: values as 16-bit codes, arrays as base64, limits for the colours.

Code 65535 stands for values that are not finite. The 65535 other codes divide the range of a unit's
values evenly, so that the error is at most half a step, range / 131,068.
"""

from __future__ import annotations

import base64
import math

import numpy as np

LARGEST_CODE, NOT_FINITE = 65534, 65535
SCALE_OF_GATES = ("input", "forget", "output")  # colours from 0 to 1; others are centred on 0


def encode(values: np.ndarray) -> dict:
    """Encode [B, H, T] as codes, with the lowest value and the step of each unit."""
    finite = np.isfinite(values)
    low = np.min(values, axis=(0, 2), where=finite, initial=np.inf)
    high = np.max(values, axis=(0, 2), where=finite, initial=-np.inf)
    low, high = (np.where(low <= high, bound, 0.0) for bound in (low, high))
    step = (high - low) / LARGEST_CODE
    offset = np.where(finite, values, low[:, None]) - low[:, None]
    codes = np.rint(offset / np.where(step > 0, step, 1.0)[:, None])
    codes = np.where(finite, codes, NOT_FINITE)
    return {
        "codes": [base64_of(example, "<u2") for example in codes],
        "low": low.tolist(),
        "step": step.tolist(),
    }


def limits(values: np.ndarray, quantity: str = "") -> list[float]:
    """Return the limits of the colours: 0 to 1 for a gate, wider if edited; else around 0."""
    low, high = extent(values)
    if quantity in SCALE_OF_GATES:
        return [min(0.0, low), max(1.0, high)]
    largest = max(-low, high) or 1.0
    return [-largest, largest]


def extent(values: np.ndarray) -> list[float]:
    """Return the lowest and the highest finite value; 0 and 0 if there is none."""
    finite = values[np.isfinite(values)]
    return [float(finite.min()), float(finite.max())] if finite.size else [0.0, 0.0]


def masked(mask) -> list[str] | None:
    """Encode a mask [B, T] as one string per example, 1 where masked; None if there is none."""
    return None if mask is None else [base64_of(row, "u1") for row in ~np.asarray(mask, bool)]


def finite_or_none(values: np.ndarray) -> list[float | None]:
    """Return a list with None for NaN and infinity, which JSON does not have."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def base64_of(array: np.ndarray, kind: str) -> str:
    """Return the bytes of `array`, as numbers of this kind, in base64."""
    return base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode("ascii")
