"""The adaptive score: errors against those of the rows before, in three lengths of time.

    score = fit_adaptive(detector.training_errors, window)
    scores = score(errors)                  of a series, [rows]
    running = score.start()                 the same, row by row
    value, running = running.step(error)

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

A series begins with normal rows in memory, but it need not go on from them: where errors swing with
a period, the phase jumps. So M_S and M_L count once S and L of its own rows have been read; before
that, y is its median in normal rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.apps.anomalies.scores import mean_absolute
from lstmcore.apps.anomalies.thresholds import MARGIN, SetBy, Threshold, highest_peak, without_peak
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

    A call scores a series whose memory at its start are normal rows, and leaves the memory as it
    is. `start` does the same row by row, with exactly the same results. A row without an error is
    left out, and its score is NaN.

    Attributes:
      window: rows of the longest mean that is compared, L.
      long: rows of the statistics it is compared with, W.
      limit: absolute error above which errors count as this in the change of level.
      floors: [3], added to each error, to s_W and to s_W(y), so that none of them is 0.
      centres: [2], usual a and y, near which their squares lose the fewest digits.
      medians, units: [3], of the parts in normal rows: median, and maximum minus median; infinite
        for a part that none of them has, which is then never anomalous.
      usual: [F], mean absolute error of each column in normal rows, in scaled units.
      threshold: 1.1, in units of the score.
      set_by: the normal row without which the threshold of one part would be lowest; those of the
        other parts may stay.
      memory: [L + W], absolute errors of the last rows, the newest last.
      read: rows of the series before, which are the last ones in the memory.
    """

    window: int
    long: int
    limit: float
    floors: np.ndarray
    centres: np.ndarray
    medians: np.ndarray
    units: np.ndarray
    usual: np.ndarray
    threshold: Threshold
    set_by: SetBy
    memory: np.ndarray
    read: int = 0

    def __call__(self, errors) -> np.ndarray:
        """Return the scores of a series, or of what comes of it after the rows in the memory.

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
        scores[known] = self._largest(self._parts(sizes[known]), self.read)
        return scores

    def start(self) -> RunningScore:
        """Return the score before the first row, for rows that come one by one."""
        return RunningScore(self, self._statistics, self.memory, self.read)

    def remembering(self, memory, read: int | None = None) -> AdaptiveScore:
        """Return this score with another memory, such as one that was saved.

        Args:
          memory: [L + W] absolute errors.
          read: rows of the series before, which are the last of them; None takes all for such.

        Raises:
          ValueError: numbers that are not [L + W] absolute errors.
        """
        memory = np.asarray(memory, float)
        if memory.shape != self.memory.shape or not ((memory >= 0) & (memory < np.inf)).all():
            raise ValueError(
                f"memory must hold {len(self.memory)} absolute errors, got shape {memory.shape}"
            )
        return replace(self, memory=memory, read=len(memory) if read is None else read)

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
        means = _trailing_sums(np.where(known, sizes, 0).T, self.short).T
        counts = _trailing_sums(known.T, self.short).T
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
        level = self._levels(rows)
        sums = _trailing_sums(self._terms(rows, level), self.long)
        parts = self._compared(rows, level, _trailing_sums(rows[None], self.short)[0], sums)
        return parts[len(self.memory) :]

    # The steps of `_parts`, which RunningScore takes one row at a time.

    def _limited(self, rows: np.ndarray) -> np.ndarray:
        return np.minimum(rows, self.limit)[None]

    def _level(self, limited: np.ndarray) -> np.ndarray:
        """Return y of rows. limited: their sums over L rows."""
        return np.log(limited / self.window + self.floors[0])

    def _levels(self, rows: np.ndarray) -> np.ndarray:
        """Return y of the memory and later rows; the usual one across a jump of the phase."""
        level = self._level(*_trailing_sums(self._limited(rows), self.window))
        first = max(0, len(self.memory) - self.read)
        level[first : first + self.window - 1] = self.centres[1]
        return level

    def _terms(self, rows: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Return the terms [4, rows] of the sums over W rows: a, y, and their squares."""
        away = np.stack([rows, level]) - self.centres[:, None]
        return np.concatenate([away, away**2])

    def _compared(
        self, rows: np.ndarray, level: np.ndarray, short: np.ndarray, sums: np.ndarray
    ) -> np.ndarray:
        """Return the parts [rows, 3]. short: sums of a over S rows; sums: [4, rows], over W."""
        away = sums[:2] / self.long
        means = away + self.centres[:, None]
        deviations = np.sqrt(np.maximum(sums[2:] / self.long - away**2, 0))
        deviations += self.floors[1:, None]
        above = np.stack([rows, short / self.short]) - means[0]
        change = np.abs(level - means[1]) / deviations[1]
        return np.column_stack([*(above / deviations[0]), change])

    def _largest(self, parts: np.ndarray, read: int) -> np.ndarray:
        """Return the largest part of each row. read: rows of the series before the first one."""
        places = np.arange(read + 1, read + 1 + len(parts))
        counts = np.column_stack([places > 0, places >= self.short, places >= self.window])
        return np.where(counts, (parts - self.medians) / self.units, -np.inf).max(axis=1)

    @cached_property
    def _statistics(self) -> tuple[_Block, _Block, _Block]:
        """Return what the sums over S, L and W rows need of the memory."""
        rows = self.memory
        level = self._levels(rows)
        return (
            _Block.after(rows[None], self.short),
            _Block.after(self._limited(rows), self.window),
            _Block.after(self._terms(rows, level), self.long),
        )


class RunningScore(NamedTuple):
    """An `AdaptiveScore` of rows that come one by one; `AdaptiveScore.start` returns one.

    The cost of a row does not depend on how many rows are remembered, but for their copying and for
    a sum once in a block of them.

    Attributes:
      score: the score at the start of the series.
      statistics: of the rows in memory.
      memory: as in `AdaptiveScore`.
      read: rows of the series so far, with an error.
    """

    score: AdaptiveScore
    statistics: tuple[_Block, _Block, _Block]
    memory: np.ndarray
    read: int

    def step(self, errors) -> tuple[float, RunningScore]:
        """Score a row, and read it.

        Args:
          errors: [F], of the row, as in a call of the score.

        Returns:
          (score of the row, the score after it): the scores are exactly those of
          `AdaptiveScore.__call__` of all rows at once.

        Raises:
          ValueError, TypeError: as in a call of the score.
        """
        score = self.score
        size = score._sizes(np.asarray(errors)[None])
        if np.isnan(size[0]):
            return np.nan, self
        (short,), shorts = self.statistics[0].push(size)
        limited, windows = self.statistics[1].push(score._limited(size)[:, 0])
        level = score._level(limited)
        if self.read + 1 < score.window:
            level = score.centres[1:]
        sums, longs = self.statistics[2].push(score._terms(size, level)[:, 0])
        parts = score._compared(size, level, short[None], sums[:, None])
        value = score._largest(parts, self.read)[0]
        memory = np.concatenate([self.memory[1:], size])
        after = RunningScore(score, (shorts, windows, longs), memory, self.read + 1)
        return float(value), after


class _Block(NamedTuple):
    """The state of `_trailing_sums` between two rows.

    values: [K, length], the rows of this block that were read, then zeros
    total: [K], their sum
    rest: [K, length], at each place of this block what is left of the block before
    place: rows of this block that were read
    """

    values: np.ndarray
    total: np.ndarray
    rest: np.ndarray
    place: int

    @classmethod
    def after(cls, values: np.ndarray, length: int) -> _Block:
        """Return the state after rows [K, rows]."""
        whole, place = divmod(values.shape[1], length)
        before = np.zeros((len(values), length))
        if whole:
            before[:] = values[:, (whole - 1) * length : whole * length]
        block = np.zeros_like(before)
        block[:, :place] = values[:, whole * length :]
        total = block[:, :place].cumsum(axis=1)[:, -1] if place else np.zeros(len(values))
        return cls(block, total, _rest(before), place)

    def push(self, row: np.ndarray) -> tuple[np.ndarray, _Block]:
        """Return (the sums [K] at the next row [K], the state after it)."""
        total = self.total + row
        sums = total + self.rest[:, self.place]
        values = self.values.copy()
        values[:, self.place] = row
        if self.place + 1 < values.shape[1]:
            return sums, _Block(values, total, self.rest, self.place + 1)
        return sums, _Block(np.zeros_like(values), np.zeros_like(total), _rest(values), 0)


def fit_adaptive(errors, window: int, lengths: Sequence[int] = ()) -> AdaptiveScore:
    """Fit the units of an `AdaptiveScore` to the errors of normal rows.

    Args:
      errors: [rows, F], signed or not, of consecutive rows; those that are missing are left out.
      window: rows of the model's window, L.
      lengths: rows of each of several series, whose errors are one after the other; () for one
        series. Each is scored by itself. W is then as long as the longest of them, and in memory at
        the start of each are rows of as many as it takes, drawn at random.

    Returns:
      AdaptiveScore, in whose memory are the last of these rows.

    Raises:
      ValueError: fewer than two rows with an error, a window below 1, or lengths that do not add up
        to the rows.
      ValueError, TypeError: errors that are not a floating-point array [rows, F], or infinite.

    Examples:
      >>> errors = np.random.default_rng(0).normal(size=(500, 1))
      >>> score = fit_adaptive(errors, window=24)
      >>> score(np.array([[9.0], [0.1]])).round(1).tolist()
      [1.6, -0.1]
    """
    window = checks.check_count("window", window)
    every = mean_absolute(errors)
    lengths = tuple(lengths) or (len(every),)
    if sum(lengths) != len(every):
        raise ValueError(
            f"lengths add up to {sum(lengths):,} but errors has {count(len(every), 'row')}: give "
            "the rows of each series"
        )
    scored = ~np.isnan(every)
    sizes = every[scored]
    if len(sizes) < 2:
        raise ValueError(
            f"errors has {count(len(sizes), 'row')} that can be scored: fitting a score needs at "
            "least 2"
        )
    series = [part[~np.isnan(part)] for part in np.split(every, np.cumsum(lengths)[:-1])]
    unscaled = _unscaled(errors, sizes, series, window)
    parts = np.concatenate([_counted(unscaled, each) for each in series])
    return _in_units(unscaled, parts, np.flatnonzero(scored))


def _unscaled(errors, sizes: np.ndarray, series: list[np.ndarray], window: int) -> AdaptiveScore:
    """Return a score whose parts are in standard deviations. sizes: of the rows with an error."""
    longest = 0 if len(series) == 1 else max(map(len, series))
    long = _long(len(sizes), window, longest)
    order = np.random.default_rng(0).permutation(len(series))
    last = np.concatenate([series[place] for place in order])[::-1]
    columns = np.abs(np.asarray(errors, float))
    known = ~np.isnan(columns)
    unscaled = AdaptiveScore(
        window,
        long,
        limit=float(np.quantile(sizes, QUANTILE)),
        floors=np.array([0.01 * sizes.mean() + SMALLEST, 0.001 * sizes.std() + SMALLEST, 0.0]),
        centres=np.array([np.median(sizes), 0.0]),
        medians=np.zeros(len(PARTS)),
        units=np.ones(len(PARTS)),
        threshold=Threshold(MARGIN, ""),
        set_by=SetBy(0, MARGIN),
        usual=np.where(known, columns, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1),
        memory=np.resize(last, window + long)[::-1].copy(),  # repeated, if there are fewer
    )
    levels = np.concatenate([_own_levels(unscaled, each) for each in series])
    unscaled.floors[2] = 0.05 * levels.std() + SMALLEST
    unscaled.centres[1] = np.median(levels)
    return unscaled


def memory_rows(rows: int, window: int) -> int:
    """Return how many rows an `AdaptiveScore` remembers, if fitted to so many of one series.

    Examples:
      >>> score = fit_adaptive(np.random.default_rng(0).normal(size=(500, 1)), window=24)
      >>> len(score.memory) == memory_rows(500, window=24) == 124
      True
    """
    return window + _long(rows, window)


def _long(rows: int, window: int, longest: int = 0) -> int:
    """Return W for so many normal rows; of several series, of which the longest has so many."""
    return min(rows, max(longest or rows // FRACTION, SHORTEST * _short(window)))


def _own_levels(score: AdaptiveScore, sizes: np.ndarray) -> np.ndarray:
    """Return y of rows whose last L rows are all of the series; of all rows, if it is short."""
    rows = sizes if len(sizes) >= score.window else np.concatenate([score.memory, sizes])
    return score._level(*_trailing_sums(score._limited(rows), score.window))[score.window - 1 :]


def _counted(score: AdaptiveScore, sizes: np.ndarray) -> np.ndarray:
    """Return the parts of the score of a series; NaN where they do not count yet."""
    parts = score._parts(sizes)
    parts[: score.short - 1, 1] = np.nan
    parts[: score.window - 1, 2] = np.nan
    return parts


def _in_units(unscaled: AdaptiveScore, parts: np.ndarray, rows: np.ndarray) -> AdaptiveScore:
    """Return the score in units of the parts of normal rows. rows: their numbers."""
    medians, units = np.zeros(len(PARTS)), np.full(len(PARTS), np.inf)
    found: list[tuple[float, float, int]] = []  # (units without the peak, with it, row) of each
    for place, part in enumerate(parts.T):
        if np.isnan(part).all():
            found.append((1.0, 1.0, 0))
            continue
        peak = highest_peak(part, unscaled.window)
        medians[place] = np.nanmedian(part)
        units[place] = unit = max(peak.limited - medians[place], SMALLEST_UNIT)
        rest = max(_without(part, peak.row, unscaled.window) - medians[place], SMALLEST_UNIT)
        found.append((rest / unit, (peak.value - medians[place]) / unit, int(rows[peak.row])))
    part = min(range(len(PARTS)), key=lambda place: found[place][0])
    without, size, row = found[part]
    how = f"{MARGIN:g} times the largest score of {count(len(parts), 'normal row')}"
    if size > 1:
        how += f", which counts as 1 instead of {size:.3g}"
    return replace(
        unscaled,
        medians=medians,
        units=units,
        threshold=Threshold(MARGIN, how),
        set_by=SetBy(row, float(MARGIN * without), PARTS[part]),
    )


def _without(part: np.ndarray, row: int, window: int) -> float:
    """Return the maximum, limited, of a part of the score without the peak at a row."""
    others = without_peak(part, row, window)
    return part[row] if np.isnan(others).all() else highest_peak(others, window).limited


def _short(window: int) -> int:
    return max(1, window // 3)


def _trailing_sums(values: np.ndarray, length: int) -> np.ndarray:
    """Return the sums [K, rows] of the last `length` values [K, rows] at each, or of all so far.

    In blocks of `length`, a sum is that of the end of one block plus that of the start of the next
    (van Herk 1992). Nothing is subtracted, as cumulative sums are, so a huge value is forgotten
    once it is `length` rows ago.
    """
    rows = values.shape[1]
    blocks = -(-rows // length) + 1
    padded = np.zeros((len(values), blocks, length))  # a block of zeros before the first
    padded.reshape(len(values), -1)[:, length : length + rows] = values
    sums = padded[:, 1:].cumsum(axis=2) + _rest(padded[:, :-1])
    return sums.reshape(len(values), -1)[:, :rows]


def _rest(blocks: np.ndarray) -> np.ndarray:
    """Return what is left of blocks [..., length] once as many rows of the next are there."""
    rest = np.zeros_like(blocks)
    rest[..., :-1] = blocks[..., :0:-1].cumsum(axis=-1)[..., ::-1]
    return rest
