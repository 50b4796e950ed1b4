"""The normal rows of `lstmcore anomalies`: options that say which they are, and how many it takes.

One series and several, with --id, follow the same rules.
"""

from __future__ import annotations

from pathlib import Path

from lstmcore.formatting import listed

FIRST_ROWS = 0.5  # the fraction that is trained on without --train
FEWEST_FOR_PEAKS = 500  # rows, of which 2 % are the tail that is fitted


def check_which(train: Path | None, fraction: float | None, until: str | None) -> None:
    """Refuse more than one option that says which rows to train on.

    Raises:
      ValueError: two or more are given.
    """
    every = {"--train": train, "--train-fraction": fraction, "--train-until": until}
    given = [name for name, value in every.items() if value is not None]
    if len(given) > 1:
        both = "both" if len(given) == 2 else "all"
        raise ValueError(
            f"{listed(given)} {both} say which rows to train on: give only one of them"
        )


def number_of_first(fraction: float | None, rows: int) -> int:
    """Return how many rows to train on, the first of a series.

    Raises:
      ValueError: a fraction that is out of range.
    """
    fraction = FIRST_ROWS if fraction is None else fraction
    if not 0 < fraction <= 1:
        raise ValueError(f"--train-fraction must be above 0 and at most 1, got {fraction}")
    return max(1, round(fraction * rows))


def check_enough(threshold: str, rows: int, of: str = "rows to train on") -> None:
    """Refuse a threshold by the tail of too few rows, before training on them.

    Raises:
      ValueError: there are too few.
    """
    if threshold == "peaks" and rows < FEWEST_FOR_PEAKS:
        raise ValueError(
            f"--threshold peaks needs at least {FEWEST_FOR_PEAKS} {of}, and there are "
            f"{rows}: use --threshold quantile"
        )
