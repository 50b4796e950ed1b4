"""Detection: the score of each row of a series, a threshold, and the events above it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np

from lstmcore.apps.anomalies import thresholds
from lstmcore.apps.anomalies.adaptive import fit_adaptive
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.scores import contributions, fit_gaussian, largest, mean_absolute
from lstmcore.apps.anomalies.thresholds import SetBy, Threshold
from lstmcore.apps.settings import AnyRows, CheckedSettings, Rows
from lstmcore.display import displayed
from lstmcore.display.arrays import number_text
from lstmcore.display.html import sparkline, table, titled
from lstmcore.formatting import count
from lstmcore.series.events import Event, events, flags_of
from lstmcore.series.frames import make_frame
from lstmcore.series.row_index import RowIndex

MOST_MARKED = 500  # events that are shaded in the plot of a notebook
LEVELS = {"quantile": 0.999, "gaussian": 1e-4, "peaks": 1e-4}


@dataclass(frozen=True, kw_only=True)
class Detection(CheckedSettings):
    """The settings of `detect`.

    Attributes:
      score: score of a row: its error compared with those of the rows before (adaptive), mean or
        largest error of its columns, or Mahalanobis distance.
      threshold: how the threshold follows from the scores of the training part: 1.1 times their
        maximum, in which one odd row is limited (margin), their maximum, a quantile, or the tail
        of a chi-squared (gaussian, for mahalanobis) or generalised Pareto (peaks) distribution.
      level: the quantile, 0.999 if not given; for gaussian and peaks the probability of a false
        alarm per row, 0.0001 if not given.
      gap: join events with at most this many rows between them.
      minimum: leave out events of fewer rows.
    """

    score: Literal["adaptive", "mean", "largest", "mahalanobis"] = "adaptive"
    threshold: Literal["margin", "maximum", "quantile", "gaussian", "peaks"] = "margin"
    level: Annotated[float, thresholds.check_probability] | None = None
    gap: AnyRows = 0
    minimum: Rows = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threshold == "gaussian" and self.score != "mahalanobis":
            raise ValueError(
                "a gaussian threshold needs the score 'mahalanobis', got score "
                f"{self.score!r}: choose that, or another threshold"
            )
        if self.threshold in LEVELS:
            object.__setattr__(self, "level", self.level or LEVELS[self.threshold])
        elif self.level is not None:
            raise ValueError(f"level is a quantile or a probability: the {self.threshold} has none")

    def threshold_of(self, normal: np.ndarray, features: int, apart: int = 0) -> Threshold:
        """Return the threshold from the scores of normal rows.

        apart: rows whose scores go with that of a row
        """
        if self.threshold == "margin":
            return thresholds.margin(normal, apart)
        if self.level is None:
            return thresholds.maximum(normal)
        if self.threshold == "quantile":
            return thresholds.quantile(normal, self.level)
        if self.threshold == "gaussian":
            return thresholds.gaussian(features, self.level)
        return thresholds.peaks_over_threshold(normal, self.level)

    def false_alarm_rate(self, normal: int) -> float:
        """Return the probability of flagging a row that is like the `normal` ones.

        Of the margin it is that of the maximum, which it exceeds unless one odd row was limited.
        """
        if self.level is None:
            return 1 / (normal + 1)
        return 1 - self.level if self.threshold == "quantile" else self.level


class HeldOut(NamedTuple):
    """Normal rows to which nothing was fitted.

    flagged: how many are above the threshold
    rows: how many there are, with a score
    """

    flagged: int
    rows: int


@displayed
class DetectionResult(NamedTuple):
    """The anomalies of a series.

    Attributes:
      scores: [rows]; NaN where a row cannot be scored.
      contributions: [rows, F], the fraction of the score that comes from each feature.
      threshold: a row above it is flagged.
      events: segments of flagged rows, in the order of time.
      score: the function from errors [rows, F] to scores [rows], for `OnlineDetector.of`.
      columns: F names of the columns, or () if they have none.
      row_index: `series.row_index.RowIndex` of the data frame that was scored; None of an array.
      set_by: the normal row that sets the threshold, and what it would be without it; None if the
        threshold does not follow from the largest score.
      held_out: how many of the validation rows would be flagged, if the rows before them set the
        threshold; (0, 0) if there are none.
    """

    scores: np.ndarray
    contributions: np.ndarray
    threshold: Threshold
    events: list[Event]
    score: Callable[[np.ndarray], np.ndarray]
    columns: tuple[str, ...] = ()
    row_index: RowIndex | None = None
    set_by: SetBy | None = None
    held_out: HeldOut = HeldOut(0, 0)

    def to_frame(self, library: str | None = None):
        """Return the scores as a data frame with one row for each row of the series.

        Args:
          library: "pandas", "polars" or "pyarrow"; None takes that of the series, and pandas for an
            array.

        Returns:
          Data frame with the index, or the times, of the series and the columns "score",
          "is_anomalous" (inside of an event) and "contribution of NAME" for each column.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: an unknown library.
        """
        rows, features = self.contributions.shape
        names = self.columns or [f"column_{place}" for place in range(features)]
        fractions = zip(names, self.contributions.T, strict=True)
        columns = {
            "score": self.scores,
            "is_anomalous": flags_of(self.events, rows),
            **{f"contribution of {name}": values for name, values in fractions},
        }
        return self._index().frame(columns, np.arange(rows), library)

    def events_to_frame(self, library: str | None = None):
        """Return the events as a data frame, one row for each.

        Args, Raises: as in `to_frame`.

        Returns:
          Data frame with the columns "first", "last" and "peak" (names of rows, such as times, or
          their numbers), "rows" and "score".
        """
        index, places = self._index(), _places(self.events)
        names = [index.labels(rows, library) for rows in places]
        columns = {
            **dict(zip(("first", "last", "peak"), names, strict=True)),
            "rows": places[1] - places[0] + 1,
            "score": [event.score for event in self.events],
        }
        return make_frame(columns, library or index.library)

    def _repr_html_(self) -> str:
        """Return the scores with the threshold and the events, and the events as a table."""
        limit = self.threshold.value
        marked = [(event.start, event.stop) for event in self.events[:MOST_MARKED]]
        plot = sparkline(self.scores, "scores", width=600, height=80, line=limit, marked=marked)
        names = map(self._index().texts, _places(self.events))
        figures = ((f"{e.stop - e.start:,}", number_text(e.score)) for e in self.events)
        rows = [
            [*texts, *rest] for texts, rest in zip(zip(*names, strict=True), figures, strict=True)
        ]
        header = ["first", "last", "peak", "rows", "score"]
        return titled(
            f"{count(len(rows), 'event')} in {count(len(self.scores), 'row')}",
            f"threshold {number_text(limit)}: {self.threshold.how}",
            plot,
            table(header, rows, words=0) if rows else "",
        )

    def _index(self) -> RowIndex:
        return self.row_index or RowIndex.numbered(len(self.scores))


def _places(found: list[Event]) -> np.ndarray:
    """Return the rows of events, int [3, events]: the first ones, the last ones and the peaks."""
    bounds = [(event.start, event.stop - 1, event.peak) for event in found]
    return np.array(bounds, np.int64).reshape(-1, 3).T


def detect(
    detector: Detector,
    values,
    *,
    score: str = "adaptive",
    threshold: str = "margin",
    level: float | None = None,
    gap: int = 0,
    minimum: int = 1,
) -> DetectionResult:
    """Score a series and return the events in it.

    Args:
      detector: from `train`. The threshold is set by its training errors, taken to be normal.
      values: numbers [rows, F] or [rows], in the order of time.
      score: "adaptive" compares the errors of a row and the last ones before it with many before
        them, see `AdaptiveScore`; "mean" of the absolute errors of a row, the "largest" of them, or
        "mahalanobis", the distance from the errors of normal rows (Malhotra et al. 2016): of the
        validation rows if there are enough, else of all training rows.
      threshold: "margin", "maximum", "quantile", "gaussian" (for "mahalanobis" alone) or "peaks";
        see `thresholds`.
      level: of the quantile (None: 0.999), or the probability of a false alarm in one row (None:
        0.0001).
      gap, minimum: of `events`.

    Returns:
      DetectionResult, whose `to_frame` keeps the index, or the times, of a data frame.

    Raises:
      ValueError: an unknown choice, a level that is out of range or given for the maximum, or
        values that the detector, the score or the threshold refuses.

    Examples:
      >>> from lstmcore import anomalies
      >>> values = np.sin(np.arange(300) / 4)
      >>> detector = anomalies.train(values, anomalies.Settings(window=8, units=4, epochs=2))
      >>> anomalous = values.copy()
      >>> anomalous[200:203] = 5
      >>> result = anomalies.detect(detector, anomalous)
      >>> any(event.start <= 201 < event.stop for event in result.events)
      True
    """
    settings = Detection.from_json(  # which checks that the texts are choices
        {"score": score, "threshold": threshold, "level": level, "gap": gap, "minimum": minimum}
    )
    normal, window = detector.training_errors, detector.settings.window
    fitted = _fit(settings, normal, detector.validation_errors, window)
    errors = detector.errors(detector.table(values))
    scores = fitted.score(errors)
    found = events(scores, fitted.threshold, gap=settings.gap, minimum=settings.minimum)
    return DetectionResult(
        scores,
        fitted.contributions(errors),
        fitted.threshold,
        found,
        fitted.score,
        detector.preprocessor.columns or (),
        RowIndex.of(values, "values"),
        fitted.set_by,
        _held_out(settings, normal, detector.validation_start, window),
    )


class _Fitted(NamedTuple):
    """A score, and all that depends on the normal rows; the fields are those of the result."""

    score: Callable[[np.ndarray], np.ndarray]
    contributions: Callable[[np.ndarray], np.ndarray]
    threshold: Threshold
    set_by: SetBy | None


def _fit(settings: Detection, normal: np.ndarray, validation: np.ndarray, window: int) -> _Fitted:
    """Fit score and threshold to the errors of normal rows. validation: the last of them."""
    score: Callable[[np.ndarray], np.ndarray]
    if settings.score == "adaptive":
        score = adaptive = fit_adaptive(normal, window)
        parts = adaptive.contributions
        if settings.threshold == "margin":
            return _Fitted(score, parts, adaptive.threshold, adaptive.set_by)
    elif settings.score == "mahalanobis":
        is_enough = np.isfinite(validation).all(axis=1).sum() > validation.shape[1]
        gaussian = fit_gaussian(validation if is_enough else normal)
        score, parts = gaussian.score, gaussian.contributions
    else:
        score, parts = (mean_absolute if settings.score == "mean" else largest), contributions
    scores = score(normal)
    limit = settings.threshold_of(scores, normal.shape[1], window)
    set_by: SetBy | None = None
    if settings.threshold in thresholds.SET_BY_ONE:
        row = thresholds.highest_peak(scores, window).row
        others = thresholds.without_peak(scores, row, window)
        without = limit
        if not np.isnan(others).all():
            without = settings.threshold_of(others, normal.shape[1], window)
        set_by = SetBy(row, without.value)
    return _Fitted(score, parts, limit, set_by)


def _held_out(settings: Detection, normal: np.ndarray, start: int, window: int) -> HeldOut:
    """Count the validation rows, from `start` on, that a threshold from the rows before flags."""
    before, after = normal[:start], normal[start:]
    if not len(after):
        return HeldOut(0, 0)
    try:
        fitted = _fit(settings, before, after[:0], window)
    except ValueError:  # too few rows for this score or threshold
        return HeldOut(0, 0)
    scores = fitted.score(after)
    flagged = int((scores > fitted.threshold.value).sum())
    return HeldOut(flagged, int(np.isfinite(scores).sum()))
