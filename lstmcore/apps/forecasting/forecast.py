"""Forecasts in units of the data, with an interval around each where there is one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore import checks

__all__ = ["Forecast"]


class Forecast(NamedTuple):
    """Forecasts in units of the data.

    Attributes:
      origins: int [N], the row that each starts with.
      targets: names of the columns that are forecast.
      point: [N, horizon, targets]: the mean, the median if there are quantiles, or the mean over
        what dropout drops, without the noise of the samples.
      levels: Q quantiles.
      quantiles: [N, horizon, targets, Q], or None.
      samples: [N, horizon, targets, S], or None.
    """

    origins: np.ndarray
    targets: tuple[str, ...]
    point: np.ndarray
    levels: tuple[float, ...] = ()
    quantiles: np.ndarray | None = None
    samples: np.ndarray | None = None

    def interval(self, share: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
        """(low, high), [N, horizon, targets] each, between which `share` of the truth should lie.

        That of samples holds what dropout tells, how unsure the model is of itself, and how noisy
        the data are, from the validation part; without one it is far too narrow.

        Raises:
          ValueError: neither samples nor quantiles, or not those of this share.
        """
        checks.check_rate("share", share)
        ends = (1 - share) / 2, (1 + share) / 2
        if self.samples is not None:
            low, high = np.quantile(self.samples, ends, axis=-1)
            return low, high
        if self.quantiles is None:
            raise ValueError(
                "a point forecast has no interval: train with quantiles=(0.1, 0.5, 0.9), or with "
                "dropout and forecast with samples=100"
            )
        places = [np.flatnonzero(np.isclose(self.levels, end)) for end in ends]
        if not all(map(len, places)):
            raise ValueError(
                f"an interval of {share:.0%} lies between the quantiles {ends[0]:.4g} and "
                f"{ends[1]:.4g}, but the model was trained for {self.levels}"
            )
        return self.quantiles[..., places[0][0]], self.quantiles[..., places[1][0]]
