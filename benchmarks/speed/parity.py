"""A check that a peer computes what lstmcore computes, made before anything is timed."""

from __future__ import annotations

import numpy as np

from benchmarks.speed.grid import draw
from benchmarks.speed.peers import LAYER_CASES

TOLERANCE = 1e-4  # of the largest value: float32 sums in another order
TOLERANCE_GPU = 2e-2  # GPUs multiply with 10 bits of mantissa (TF32) unless told otherwise
STREAM_STEPS = 5


class ParityError(AssertionError):
    """A peer's result differs from ours, so its time would be that of another computation."""


def check_layers(ours, theirs, tolerance: float = TOLERANCE) -> None:
    """Compare results and all gradients of two layers that were given the same weights and data.

    Raises:
      ParityError: a result differs; it names which one, and by how much.
    """
    for case in LAYER_CASES:
        expected = ours.read(case, ours.run(case))
        compare(case, expected, theirs.read(case, theirs.run(case)), tolerance)


def check_streams(ours, theirs, cell, tolerance: float = TOLERANCE) -> None:
    """Compare the first steps of two streams, both started from zeros.

    Raises:
      ParityError: as for `check_layers`.
    """
    _, x = draw(cell._replace(time=STREAM_STEPS))
    for t in range(STREAM_STEPS):
        expected, actual = ours(x[:, t]), theirs(x[:, t])
        compare("stream", {f"h of step {t}": expected}, {f"h of step {t}": actual}, tolerance)


def compare(case: str, expected: dict, actual: dict, tolerance: float) -> None:
    """Compare each array of `actual` with that of `expected`.

    The tolerance is a fraction of the largest value of the array.

    Raises:
      ParityError: a shape or a value differs.
    """
    for name, array in expected.items():
        if actual[name].shape != array.shape:
            raise ParityError(
                f"{case}: {name} has shape {actual[name].shape}, expected {array.shape}"
            )
        error = np.max(np.abs(actual[name] - array)) / np.max(np.abs(array))
        if not error <= tolerance:
            raise ParityError(
                f"{case}: {name} differs by {error:.2g} of its largest value, "
                f"more than {tolerance:g}"
            )
