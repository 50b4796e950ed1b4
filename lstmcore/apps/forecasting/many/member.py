"""A series that a forecaster of many was trained on."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.apps.forecasting.settings import Settings
from lstmcore.series import Preprocessor, Split


class Member(NamedTuple):
    """A series that was trained on.

    Attributes:
      preprocessor: fitted to its training part, for columns in the order of the model.
      split: of its rows.
      nonnegative: names of its targets that are forecast at 0 or above.
      static: its static features.
      spread: size of its errors relative to those of all series, for each target.
    """

    preprocessor: Preprocessor
    split: Split
    nonnegative: tuple[str, ...]
    static: tuple[float, ...]
    spread: tuple[float, ...]

    def of_more_rows(self, split: Split, nonnegative: tuple[str, ...]) -> Member:
        """Return the same series with more rows, preprocessed as before."""
        return self._replace(split=split, nonnegative=nonnegative)


def stored_member(name: str, member: Member) -> list:
    """Return a series as plain lists; the preprocessing is that of the settings."""
    learnt = member.preprocessor.to_json()
    del learnt["preprocessing"]
    ends = [part.stop for part in member.split]
    numbers = [list(member.static), list(member.spread)]
    return [name, learnt, ends, list(member.nonnegative), *numbers]


def read_member(
    stored: list, settings: Settings, features: int, static: int, targets: int
) -> tuple[str, Member]:
    """Return the name and the series that `stored_member` wrote.

    Raises:
      ValueError, TypeError, LookupError: it did not write this.
    """
    name, learnt, ends, nonnegative, values, *spread = stored
    preprocessing = settings.to_json()["preprocessing"]
    preprocessor = Preprocessor.from_json(learnt | {"preprocessing": preprocessing})
    if preprocessor.features != features:
        raise ValueError(f"a preprocessor is for {preprocessor.features} of {features} columns")
    edges = [0, *(checks.check_count("split", stop, minimum=0) for stop in ends)]
    if len(edges) != 4 or edges != sorted(edges):
        raise ValueError("the parts of a split do not follow one another")
    if len(values) != static or not np.isfinite(np.array(values, float)).all():
        raise ValueError(f"a series has other static features than {static} numbers")
    # Earlier versions stored no spread.
    spreads = np.array(spread[0] if spread else [1.0] * targets, float)
    if spreads.shape != (targets,) or not (np.isfinite(spreads) & (spreads >= 0)).all():
        raise ValueError("the spread of a series is not one number per target")
    split = Split(*(slice(*pair) for pair in pairwise(edges)))
    bounded = tuple(map(str, nonnegative))
    numbers = tuple(map(float, values)), tuple(spreads.tolist())
    return str(name), Member(preprocessor, split, bounded, *numbers)
