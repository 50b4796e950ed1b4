"""Whether a peer computes what lstmcore computes; asked before anything is timed."""

from __future__ import annotations

import numpy as np

from benchmarks.grid import draw
from benchmarks.peers import LAYER_CASES

TOLERANCE = 1e-4  # of the largest value: float32 sums in another order
TOLERANCE_GPU = 2e-2  # GPUs multiply with 10 bits of mantissa (TF32) unless told otherwise
STREAM_STEPS = 5


class ParityError(AssertionError):
    """A peer's result is not ours: its time would be that of another computation."""


def check_layers(ours, theirs, tolerance: float = TOLERANCE) -> None:
    """Compare results and all gradients of two layers that were given the same weights and data.

    Raises:
      ParityError: naming what differs, and by how much.
    """
    for case in LAYER_CASES:
        expected = ours.read(case, ours.run(case))
        compare(case, expected, theirs.read(case, theirs.run(case)), tolerance)


def check_streams(ours, theirs, cell, tolerance: float = TOLERANCE) -> None:
    """Compare two streams over their first steps, from zeros on.

    Raises:
      ParityError: as `check_layers`.
    """
    _, x = draw(cell._replace(time=STREAM_STEPS))
    for t in range(STREAM_STEPS):
        expected, actual = ours(x[:, t]), theirs(x[:, t])
        compare("stream", {f"h of step {t}": expected}, {f"h of step {t}": actual}, tolerance)


def compare(case: str, expected: dict, actual: dict, tolerance: float) -> None:
    """Each array of `actual` against that of `expected`, to a share of its largest value."""
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
