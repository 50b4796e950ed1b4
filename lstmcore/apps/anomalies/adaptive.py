"""The adaptive score: errors against those of the rows before, in three lengths of time.

    score = fit_adaptive(detector.training_errors, window)
    scores = score(errors)             of rows that follow the normal ones, [rows]
    score = score.after(errors)        whose memory has these rows, too

A series that drifts, or whose noise changes with the season, has errors that the largest of
training says little about. "Anomaly likelihood" (Lavin & Ahmad 2015, "Evaluating Real-time Anomaly
Detection Algorithms", section III; Ahmad et al. 2017, "Unsupervised real-time anomaly detection for
streaming data", section 3.2) compares the mean of the last few errors with mean and standard
deviation of many. So do the parts of this score. Let a be the absolute error of a row, the mean of
its columns; M_k and s_k the mean and the standard deviation of the last k rows:

    spike     (a - M_W) / s_W                   one row
    loud      (M_S - M_W) / s_W                 a third of a window, S
    change    |y - M_W(y)| / s_W(y)             a window, L: louder or quieter than usual, with
              y = log M_L(a), a limited to the 0.99 quantile of normal rows

W is a fifth of the normal rows. Each part is put to one unit, in which 0 is the median of normal
rows and 1 their maximum, limited as `thresholds.margin` limits it, so that one odd row among them
changes little. The score is the largest part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lstmcore import checks
from lstmcore.apps.anomalies.scores import mean_absolute
from lstmcore.apps.anomalies.thresholds import MARGIN, SetBy, Threshold, highest_peak
from lstmcore.formatting import count

FRACTION = 5  # the long mean is over this part of the normal rows, but of at least
SHORTEST = 10  # times as many rows as the short one, or one peak would be its own measure
QUANTILE = 0.99  # of normal errors; larger ones count as this in the change of level
SMALLEST = 1e-6  # error in scaled units: float32 computes no finer
SMALLEST_UNIT = 0.1  # of a part, in standard deviations; errors may never change
PARTS = ("spike", "loud", "change")


@dataclass(frozen=True, eq=False, repr=False)
class AdaptiveScore:
    """A score of errors that knows those of the rows before; `fit_adaptive` returns one.

    A call scores rows that follow those in its memory, which at first are the last normal ones. It
    leaves the memory as it is: `after` returns the score with more rows in it. Scoring a series at
    once or row by row gives the same, up to rounding. A row without an error is left out, and its
    score is NaN.

    Attributes:
      window: rows of the longest mean that is compared, L.
      long: rows of the statistics it is compared with, W.
      limit: absolute error above which errors count as this in the change of level.
      floors: [3], added to each error, to s_W and to s_W(y), so that none of them is 0.
      medians, units: [3], of the parts in normal rows: median, and maximum minus median.
      usual: [F], mean absolute error of each column in normal rows, in scaled units.
      threshold: 1.1, in units of the score.
      set_by: the normal row without which the threshold of one part would be lowest.
      memory: [L + W], absolute errors of the last rows, the newest last.
    """

    window: int
    long: int
    limit: float
    floors: np.ndarray
    medians: np.ndarray
    units: np.ndarray
    usual: np.ndarray
    threshold: Threshold
    set_by: SetBy
    memory: np.ndarray

    def __call__(self, errors) -> np.ndarray:
        """Return the scores of rows that follow those in the memory.

        Args:
          errors: [rows, F], signed or not, in scaled units; NaN is missing.

        Returns:
          [rows], about 0 for a usual row and 1 for the most anomalous of the normal ones; NaN where
          all errors of a row are missing.

        Raises:
          ValueError, TypeError: errors that are not a floating-point array [rows, F], or infinite.
        """
        sizes = self._sizes(errors)
        known = ~np.isnan(sizes)
        scores = np.full(len(sizes), np.nan)
        parts = (self._parts(sizes[known]) - self.medians) / self.units
        scores[known] = parts.max(axis=1)
        return scores

    def after(self, errors) -> AdaptiveScore:
        """Return this score with more rows in its memory. Arguments and errors as in a call."""
        sizes = self._sizes(errors)
        memory = np.concatenate([self.memory, sizes[~np.isnan(sizes)]])
        return replace(self, memory=memory[-len(self.memory) :].copy())

    def remembering(self, memory) -> AdaptiveScore:
        """Return this score with another memory, such as one that was saved.

        Raises:
          ValueError: numbers that are not [L + W] absolute errors.
        """
        memory = np.asarray(memory, float)
        if memory.shape != self.memory.shape or not ((memory >= 0) & (memory < np.inf)).all():
            raise ValueError(
                f"memory must hold {len(self.memory)} absolute errors, got shape {memory.shape}"
            )
        return replace(self, memory=memory)

    def contributions(self, errors) -> np.ndarray:
        """Return how much each column contributes to the score.

        Args:
          errors: as in a call.

        Returns:
          [rows, F] with sum 1, or 0 where no column contributes: the distance of each column's mean
          absolute error over the last S rows from that in normal rows, as a fraction of all.
        """
        self._sizes(errors)  # checks them
        sizes = np.abs(np.asarray(errors, float))
        known = ~np.isnan(sizes)
        means = np.stack(
            [_trailing_sums(column, self.short) for column in np.where(known, sizes, 0).T], axis=1
        )
        counts = np.stack([_trailing_sums(column, self.short) for column in known.T], axis=1)
        away = np.abs(means / np.maximum(counts, 1) - self.usual)
        away[~known] = 0
        total = away.sum(axis=1, keepdims=True)
        return away / np.where(total > 0, total, 1)

    @property
    def short(self) -> int:
        """Return the rows of the short mean, S."""
        return _short(self.window)

    def __repr__(self) -> str:
        return f"AdaptiveScore(window={self.window}, long={self.long})"

    def _sizes(self, errors) -> np.ndarray:
        checks.check_features("errors", np.asarray(errors), len(self.usual), "this score")
        return mean_absolute(errors)

    def _parts(self, sizes: np.ndarray) -> np.ndarray:
        """Return the parts of the score [rows, 3], each in standard deviations."""
        rows = np.concatenate([self.memory, sizes])
        mean, deviation = _trailing(rows, self.long)
        above = np.stack([rows, _trailing(rows, self.short)[0]], axis=1) - mean[:, None]
        smallest, of_errors, of_levels = self.floors
        limited, _ = _trailing(np.minimum(rows, self.limit), self.window)
        level = np.log(limited + smallest)
        usual, spread = _trailing(level, self.long)
        change = np.abs(level - usual) / (spread + of_levels)
        parts = np.column_stack([above / (deviation + of_errors)[:, None], change])
        return parts[len(self.memory) :]


def fit_adaptive(errors, window: int) -> AdaptiveScore:
    """Fit the units of an `AdaptiveScore` to the errors of normal rows.

    Args:
      errors: [rows, F], signed or not, of consecutive rows; those that are missing are left out.
      window: rows of the model's window, L.

    Returns:
      AdaptiveScore, in whose memory are the last of these rows.

    Raises:
      ValueError: fewer than two rows with an error, or a window below 1.
      ValueError, TypeError: errors that are not a floating-point array [rows, F], or infinite.

    Examples:
      >>> errors = np.random.default_rng(0).normal(size=(500, 1))
      >>> score = fit_adaptive(errors, window=24)
      >>> score(np.array([[0.1], [0.1], [9.0], [0.1]])).round(1).tolist()
      [-0.0, 0.0, 1.6, 0.5]
    """
    window = checks.check_count("window", window)
    sizes = mean_absolute(errors)
    scored = ~np.isnan(sizes)
    sizes = sizes[scored]
    if len(sizes) < 2:
        raise ValueError(
            f"errors has {count(len(sizes), 'row')} that can be scored: fitting a score needs at "
            "least 2"
        )
    long = min(len(sizes), max(len(sizes) // FRACTION, SHORTEST * _short(window)))
    columns = np.abs(np.asarray(errors, float))
    known = ~np.isnan(columns)
    unscaled = AdaptiveScore(
        window,
        long,
        limit=float(np.quantile(sizes, QUANTILE)),
        floors=np.array([0.01 * sizes.mean() + SMALLEST, 0.001 * sizes.std() + SMALLEST, 0.0]),
        medians=np.zeros(len(PARTS)),
        units=np.ones(len(PARTS)),
        threshold=Threshold(MARGIN, ""),
        set_by=SetBy(0, MARGIN),
        usual=np.where(known, columns, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1),
        memory=np.resize(sizes[::-1], window + long)[::-1].copy(),  # repeated, if there are fewer
    )
    rows = np.concatenate([unscaled.memory, sizes])
    limited, _ = _trailing(np.minimum(rows, unscaled.limit), window)
    levels = np.log(limited + unscaled.floors[0])[len(unscaled.memory) :]
    unscaled.floors[2] = 0.05 * levels.std() + SMALLEST
    parts = unscaled._parts(sizes)
    medians = np.median(parts, axis=0)
    peaks = [highest_peak(part, window) for part in parts.T]
    units = np.maximum([peak.limited for peak in peaks] - medians, SMALLEST_UNIT)
    largest, second = np.array([(peak.value, peak.second) for peak in peaks]).T - medians
    part = int((second / units).argmin())
    how = f"{MARGIN:g} times the largest score of {len(sizes)} normal rows"
    if (size := largest[part] / units[part]) > 1:
        how += f", which counts as 1 instead of {size:.3g}"
    return replace(
        unscaled,
        medians=medians,
        units=units,
        threshold=Threshold(MARGIN, how),
        set_by=SetBy(
            int(np.flatnonzero(scored)[peaks[part].row]), float(MARGIN * second[part] / units[part])
        ),
    )


def _short(window: int) -> int:
    return max(1, window // 3)


def _trailing(values: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the last `length` values at each, or of all so far."""
    counts = np.minimum(np.arange(1, len(values) + 1), length)
    middle = np.median(values)  # near which squares lose the fewest digits
    mean = _trailing_sums(values - middle, length) / counts
    square = _trailing_sums((values - middle) ** 2, length) / counts
    return mean + middle, np.sqrt(np.maximum(square - mean**2, 0))


def _trailing_sums(values: np.ndarray, length: int) -> np.ndarray:
    """Return the sum of the last `length` values at each, or of all so far.

    In blocks of `length`, a sum is that of the end of one block plus that of the start of the next
    (van Herk 1992). Nothing is subtracted, as cumulative sums are, so a huge value is forgotten
    once it is `length` rows ago.
    """
    blocks = -(-len(values) // length) + 1
    padded = np.zeros((blocks, length))  # a block of zeros before the first
    padded.ravel()[length : length + len(values)] = values
    starts = padded.cumsum(axis=1)
    ends = padded[:, ::-1].cumsum(axis=1)[:, ::-1]
    ends = np.concatenate([ends[:-1, 1:], np.zeros((blocks - 1, 1))], axis=1)  # of what is left
    return (starts[1:] + ends).ravel()[: len(values)]
