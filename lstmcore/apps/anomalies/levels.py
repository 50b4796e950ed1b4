"""Levels of separate series: what each is centred on, if they are not scaled in common.

Machines of one kind may run at different loads. If each is brought to its own mean and standard
deviation, one model reads them all; if they are alike, that only adds noise. `own_levels_fit` asks
the data: which of the two makes the last fifth of each series likelier, given the rest?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstmcore.apps.anomalies.preprocessing import limited
from lstmcore.formatting import few, shorten

SMALLEST = 1e-3  # scale of a series, in units of the scale of all: it may hardly change
FEWEST = 10  # known values of a column in a series, to have a level of its own


class Levels(NamedTuple):
    """Mean and standard deviation of each of several series.

    Attributes:
      ids: N names of the series.
      offsets, scales: [N, F], in units of the data.
    """

    ids: tuple[str, ...]
    offsets: np.ndarray
    scales: np.ndarray

    def of(self, id: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return (offset [F], scale [F]) of a series.

        Raises:
          ValueError: its level is not known.
        """
        if id is None or str(id) not in self.ids:
            which = "one without an id" if id is None else repr(shorten(id))
            raise ValueError(
                "the detector scales each series by its own level, and it was not trained on "
                f"{which} but on {few(self.ids)}: give a dict {{id: table}} of these, train again, "
                'or train with levels="common"'
            )
        place = self.ids.index(str(id))
        return self.offsets[place], self.scales[place]

    def with_others(self, others: Levels) -> Levels:
        """Return these levels and those of further series, which are not among them."""
        places = [place for place, id in enumerate(others.ids) if id not in self.ids]
        return Levels(
            self.ids + tuple(others.ids[place] for place in places),
            np.concatenate([self.offsets, others.offsets[places]]),
            np.concatenate([self.scales, others.scales[places]]),
        )

    def to_json(self) -> dict[str, list]:
        """Return lists, for `from_json`."""
        return {
            "ids": list(self.ids),
            "offsets": self.offsets.tolist(),
            "scales": self.scales.tolist(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, list], features: int) -> Levels:
        """Return the levels that `to_json` wrote.

        Raises:
          ValueError, LookupError, TypeError: they are something else.
        """
        ids = tuple(map(str, stored["ids"]))
        offsets, scales = (np.array(stored[name], float) for name in ("offsets", "scales"))
        for numbers in (offsets, scales):
            if numbers.shape != (len(ids), features) or not np.isfinite(numbers).all():
                raise ValueError(f"levels must be {features} numbers for each of {len(ids)} series")
        if not (scales > 0).all() or len(set(ids)) < len(ids):
            raise ValueError("levels must have scales above 0, and each id once")
        return cls(ids, offsets, scales)


def fit_levels(ids: Sequence[Any], tables: Sequence[np.ndarray]) -> Levels:
    """Return mean and standard deviation of each of several series.

    Odd values are limited as in training. A column that hardly changes in a series has the scale
    that it has in most others.

    Args:
      ids: N names.
      tables: numbers [rows_i, F], N of them; NaN is missing.

    Examples:
      >>> levels = fit_levels(["a"], [np.arange(20.0)[:, None]])
      >>> levels.offsets.tolist(), levels.scales.round(2).tolist()
      ([[9.5]], [[5.77]])
    """
    columns = tables[0].shape[1]
    offsets, scales = np.zeros((2, len(tables), columns))
    for place, table in enumerate(tables):
        kept = limited(table, len(table))
        for column, values in enumerate(kept.T):
            known = values[~np.isnan(values)]
            offsets[place, column] = known.mean() if len(known) else np.nan
            scales[place, column] = known.std() if len(known) >= FEWEST else np.nan
    for column in range(columns):
        known = ~np.isnan(offsets[:, column])
        offsets[~known, column] = offsets[known, column].mean() if known.any() else 0.0
        usual = scales[~np.isnan(scales[:, column]) & (scales[:, column] > 0), column]
        middle = np.median(usual) if len(usual) else 1.0
        is_small = ~(scales[:, column] > SMALLEST * middle)
        scales[is_small, column] = middle
    return Levels(tuple(map(str, ids)), offsets, scales)


def own_levels_fit(tables: Sequence[np.ndarray]) -> bool:
    """Return whether the last fifth of each series is clearly likelier by the level of its rest.

    The likelihood is that of a Gaussian whose mean and standard deviation are those of the first
    four fifths: of the same series (own), or of all together (common).

    Args:
      tables: numbers [rows_i, F]; NaN is missing.

    Examples:
      >>> noise = np.random.default_rng(0).normal(size=(4, 100, 1))
      >>> levels = np.arange(4.0)[:, None, None] * 9
      >>> own_levels_fit(list(noise)), own_levels_fit(list(noise + levels))
      (False, True)
    """
    tables = [table for table in tables if len(table) >= 2 * FEWEST]
    if len(tables) < 2:
        return False
    halves = [np.split(table.astype(float), [len(table) - len(table) // 5]) for table in tables]
    first, last = ([half[part] for half in halves] for part in (0, 1))
    own = fit_levels(range(len(first)), first)
    common = fit_levels(["all"], [np.concatenate(first)])
    gain = 0.0
    for place, table in enumerate(last):
        for levels, sign, which in ((own, 1, place), (common, -1, 0)):
            offset, scale = levels.offsets[which], levels.scales[which]
            density = -0.5 * ((table - offset) / scale) ** 2 - np.log(scale)
            gain += sign * float(np.nansum(density))
    return gain > 2 * own.offsets.size  # as much as that many parameters may gain by chance
