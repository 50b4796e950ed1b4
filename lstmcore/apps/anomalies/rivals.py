"""Simple detectors of anomalies, which run beside every LSTM: its rivals.

    robust z-score      distance to the median of the training rows in units of their spread, the
                        largest over the columns (Iglewicz & Hoaglin 1993, "How to detect and handle
                        outliers")
    PCA of windows      distance within the principal components of training windows (Hotelling's
                        T-squared) and beyond them (reconstruction error; Jackson & Mudholkar 1979,
                        "Control procedures for residuals associated with principal component
                        analysis")
    isolation forest    how few random cuts separate a window from the training windows (Liu, Ting &
                        Zhou 2008, "Isolation forest")

The last two are by scikit-learn. Each is fitted to training rows alone. The larger a score, the
more anomalous the row; a row has the mean score of all windows that hold it.

Windows that a PCA or a forest was fitted to have lower scores than others of the same kind, the
more so the fewer they are, and a threshold from them would flag normal rows. So training windows
are scored by cross-fitting: each fifth, in the order of time, by a fit to those that share no row
with it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np

from lstmcore import checks, series
from lstmcore.formatting import count
from lstmcore.series.arrays import as_rows
from lstmcore.series.windowing import draw_windows

ZSCORE, PCA, FOREST = "robust z-score", "PCA of windows", "isolation forest"
DESCRIPTIONS = {ZSCORE: "a robust z-score", PCA: "a PCA of windows", FOREST: "an isolation forest"}
NORMAL_MAD = 1.4826  # times the median absolute deviation: the standard deviation, if Gaussian
NORMAL_MEAN = 1.2533  # the same for the mean absolute deviation
EXPLAINED = 0.9  # fraction of the variance that the principal components hold
SMALLEST = 1e-6  # variance that a component may have, relative to the largest
FEWEST_WINDOWS = 10  # to fit to
FEWEST_LENGTHS = 20  # of a window, in training rows: with fewer, normal rows are often flagged
FOLDS = 5  # of the training windows
MOST_IN_FOLDS = 2_000  # windows that a fit for a fold is of
MOST_WINDOWS, MOST_NUMBERS = 10_000, 2**21  # windows that are fitted to, and numbers in them
MOST_WIDTH = 512  # numbers in a window of a PCA, which takes a second or two for as many
NUMBERS_AT_ONCE = 2**22  # in the windows that are scored together: 32 MiB

Scores = tuple[np.ndarray, np.ndarray]
Score = Callable[[np.ndarray], np.ndarray]  # of windows [N, window F]
Fit = Callable[[np.ndarray], Score]


def rival_scores(training, values, window: int) -> tuple[dict[str, Scores], tuple[str, ...]]:
    """Return the scores of all rivals, and a sentence on each that had to be left out.

    They count from the median of the training scores, so that a multiple of the largest of them
    means the same for scores that begin at 0 and for those of an isolation forest, near 0.5.

    Args:
      training: [n, F], rows that are taken to be normal, without missing values. The columns should
        be scaled to one unit, as a PCA depends on it.
      values: [rows, F], rows to score, likewise.
      window: rows in a window.

    Returns:
      ({"robust z-score": (scores of training [n], scores of values [rows]), ...}, sentences).
      "PCA of windows" and "isolation forest" are there if `training` has at least 20 times as many
      rows as a window: with fewer, they flag many rows that are like those of training.

    Raises:
      ValueError, TypeError: as `robust_z_score`.
      ImportError: scikit-learn is missing.

    Examples:
      >>> import numpy as np
      >>> wave = np.sin(np.arange(200) / 3)[:, None]
      >>> found, notes = rival_scores(wave, wave, window=8)
      >>> list(found), found["isolation forest"][1].shape, notes
      (['robust z-score', 'PCA of windows', 'isolation forest'], (200,), ())
    """
    training, values = _pair(training, values)
    raw, notes = {ZSCORE: robust_z_score(training, values)}, []
    for name, score in ((PCA, pca_of_windows), (FOREST, isolation_forest)):
        try:
            if len(training) < FEWEST_LENGTHS * window:
                raise _LeftOutError(
                    f"with {count(len(training), 'training row')} and a window of "
                    f"{count(window, 'row')} it would flag many normal rows; it needs "
                    f"{FEWEST_LENGTHS * window:,}"
                )
            raw[name] = score(training, values, window)
        except _LeftOutError as error:
            notes.append(f"{DESCRIPTIONS[name]} is left out: {error}")
    found = {}
    for name, (normal, scores) in raw.items():
        usual = np.median(normal)
        found[name] = (normal - usual, scores - usual)
    return found, tuple(notes)


class _LeftOutError(ValueError):
    """A rival that cannot be fitted to these rows; the message is the reason."""


def robust_z_score(training, values) -> Scores:
    """Score each row by its distance to the training median, the largest over the columns.

    The unit of a column is 1.4826 times the median absolute deviation of the training rows. Where
    that is 0, as of a column that seldom changes, it is 1.2533 times their mean absolute deviation;
    both are the standard deviation of Gaussian rows. It is 1 for a column that never changes.

    Args:
      training, values: numbers [rows, F] or [rows], without missing values.

    Returns:
      (scores of training [n], scores of values [rows]), at least 0.

    Raises:
      ValueError: missing values, infinities, no rows, or arrays of different columns.
      TypeError: data frames, or arrays that do not hold real numbers.

    Examples:
      >>> normal, other = robust_z_score([1.0, 2.0, 3.0, 4.0, 5.0], [3.0, 10.413])
      >>> other.round(3).tolist()
      [0.0, 5.0]
    """
    training, values = _pair(training, values)
    centre = np.median(training, axis=0)
    away = np.abs(training - centre)
    spread = NORMAL_MAD * np.median(away, axis=0)
    spread = np.where(spread > 0, spread, NORMAL_MEAN * away.mean(axis=0))
    spread = np.where(spread > 0, spread, 1.0)
    return (away / spread).max(axis=1), (np.abs(values - centre) / spread).max(axis=1)


def pca_of_windows(training, values, window: int = 24) -> Scores:
    """Score rows by a principal component analysis of the windows that hold them.

    A window has the score sqrt(z^T Λ^-1 z + |r|^2 / σ^2): the root of Hotelling's T-squared of its
    principal components z, with the variances Λ, plus the squared error r of its reconstruction
    from them. The components hold 90 % of the variance; σ^2 is the mean variance of the others.
    That is the Mahalanobis distance of probabilistic PCA (Tipping & Bishop 1999).

    Args:
      training, values: numbers [rows, F] or [rows], without missing values, scaled to one unit.
      window: rows in a window. In a wide table it is shortened to 512 numbers.

    Returns:
      (scores of training [n], scores of values [rows]), at least 0.

    Raises:
      ValueError: fewer than 10 windows of training rows in four fifths of them, values of
        less than a window, more than 512 columns, or training rows that never change.
      ValueError, TypeError: as `robust_z_score`.
      ImportError: scikit-learn is missing.

    Examples:
      >>> import numpy as np
      >>> from lstmcore.apps.anomalies import rivals
      >>> wave = np.sin(np.arange(300) / 4)
      >>> odd = np.where(np.arange(300) == 150, 0.9, wave)  # within the range of the wave
      >>> normal, other = rivals.pca_of_windows(wave, odd, window=8)
      >>> int(other.argmax()), bool(other.max() > 2 * normal.max())
      (150, True)
    """
    decomposition = _sklearn("decomposition").PCA
    training, values = _pair(training, values)
    columns = training.shape[1]
    if columns > MOST_WIDTH:
        raise _LeftOutError(f"{columns:,} columns are more than {MOST_WIDTH:,}")
    window = min(checks.check_count("window", window), MOST_WIDTH // columns)

    def fit(windows: np.ndarray) -> Score:
        fitted = decomposition(EXPLAINED).fit(windows)
        smallest = SMALLEST * fitted.explained_variance_[0] or 1.0  # windows may be all alike
        variance = np.maximum(fitted.explained_variance_, smallest)
        noise = max(fitted.noise_variance_, smallest)

        def score(windows: np.ndarray) -> np.ndarray:
            away = windows - fitted.mean_
            z = away @ fitted.components_.T
            error = away - z @ fitted.components_
            return np.sqrt((z**2 / variance).sum(axis=1) + (error**2).sum(axis=1) / noise)

        return score

    return _scores(fit, training, values, window)


def isolation_forest(training, values, window: int = 24) -> Scores:
    """Score rows by an isolation forest of the windows that hold them, always the same one.

    Args:
      training, values: as in `pca_of_windows`; they need not be scaled.
      window: rows in a window.

    Returns:
      (scores of training [n], scores of values [rows]), between 0 and 1.

    Raises:
      ValueError: fewer than 10 windows of training rows in four fifths of them, values of
        less than a window, or training rows that never change.
      ValueError, TypeError: as `robust_z_score`.
      ImportError: scikit-learn is missing.

    Examples:
      >>> import numpy as np
      >>> from lstmcore.apps.anomalies import rivals
      >>> wave = np.sin(np.arange(300) / 4)
      >>> normal, other = rivals.isolation_forest(wave, wave + 2 * (np.arange(300) > 250), window=8)
      >>> bool(other[:240].max() <= normal.max() < other[260:].min())
      True
    """
    forest = _sklearn("ensemble").IsolationForest
    training, values = _pair(training, values)
    window = checks.check_count("window", window)

    def fit(windows: np.ndarray) -> Score:
        fitted = forest(random_state=0).fit(windows)
        return lambda windows: -fitted.score_samples(windows)

    return _scores(fit, training, values, window)


def _scores(fit: Fit, training: np.ndarray, values: np.ndarray, window: int) -> Scores:
    """Return the scores of training rows, by fits to others, and of values, by a fit to all."""
    number = max(0, len(training) - window + 1)
    if number < FEWEST_WINDOWS:
        raise _LeftOutError(
            f"the training rows hold {count(number, 'window')} of {count(window, 'row')}, and it "
            f"needs {FEWEST_WINDOWS}"
        )
    if not np.ptp(training, axis=0).any():
        raise _LeftOutError("no column changes in the training rows")
    windows = series.windows(training, window)
    each, place = np.empty(number), np.arange(number)
    for fold in np.array_split(place, FOLDS):
        away = np.maximum(fold[0] - place, place - fold[-1])  # folds are contiguous
        others = np.flatnonzero(away >= window)
        if len(others) < FEWEST_WINDOWS:
            raise _LeftOutError(
                f"with a fifth of the training rows held out for the threshold, the others hold "
                f"{count(len(others), 'window')} of {count(window, 'row')}, and it needs "
                f"{FEWEST_WINDOWS}"
            )
        score = fit(_drawn(windows, others, MOST_IN_FOLDS))
        each[fold] = _by_window(score, windows[fold])
    score = fit(_drawn(windows, place, MOST_WINDOWS))
    later = _by_window(score, series.windows(values, window))
    return _by_row(each, window), _by_row(later, window)


def _drawn(windows: np.ndarray, places: np.ndarray, most: int) -> np.ndarray:
    """Return windows at some places to fit to, [N, window F]: all, or some at random."""
    width = windows[0].size
    most = min(most, max(FEWEST_WINDOWS, MOST_NUMBERS // width))
    drawn = places[draw_windows(len(places), most)]
    return windows[drawn].reshape(len(drawn), width)


def _by_window(score: Score, windows: np.ndarray) -> np.ndarray:
    """Return the score of each window, [N]."""
    size = max(1, NUMBERS_AT_ONCE // windows[0].size)
    parts = (windows[start : start + size] for start in range(0, len(windows), size))
    return np.concatenate([score(part.reshape(len(part), -1)) for part in parts])


def _by_row(each: np.ndarray, window: int) -> np.ndarray:
    """Return for each row the mean score of the windows that hold it, [rows]."""
    holding = np.convolve(np.ones(len(each)), np.ones(window))
    # Not by differences of a cumulative sum, which a huge score would leave inexact.
    return np.convolve(each, np.ones(window)) / holding


def _pair(training, values) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64 [rows, F].

    Raises:
      ValueError, TypeError: see `robust_z_score`.
    """
    pair = []
    for name, table in (("training", training), ("values", values)):
        table = as_rows(name, table).astype(float)
        if not len(table) or not np.isfinite(table).all():
            found = "missing or infinite values" if len(table) else "no rows"
            raise ValueError(f"{name} has {found}: give finite numbers, filled by a preprocessor")
        pair.append(table)
    checks.check_features("values", pair[1], pair[0].shape[1], "training")
    return pair[0], pair[1]


def _sklearn(module: str):
    """Return a module of scikit-learn."""
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise ImportError("this rival needs scikit-learn: pip install scikit-learn") from error
