"""Detection: the score of each row, a threshold, and the events above it; and of whole series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from lstmcore.apps.anomalies import thresholds
from lstmcore.apps.anomalies.adaptive import fit_adaptive
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.results import DetectionResult, HeldOut, SeparateResult
from lstmcore.apps.anomalies.scores import contributions, fit_gaussian, largest, mean_absolute
from lstmcore.apps.anomalies.thresholds import SetBy, Threshold
from lstmcore.apps.settings import AnyRows, CheckedSettings, Rows
from lstmcore.series.events import events
from lstmcore.series.row_index import RowIndex
from lstmcore.series.tables.many import SeveralTables, as_many

FEWEST_SERIES = 10  # normal ones, to judge whole series
ENOUGH = 20  # held-out series, to set a threshold without those that were trained on
FOLDS = 5  # of these, for the rate of false alarms
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

    def threshold_of_series(self, normal: np.ndarray) -> Threshold:
        """Return the threshold from the scores of whole normal series, by the same rule.

        There are too few of them to fit a tail to: for gaussian and peaks it is a quantile.
        """
        if self.threshold in ("gaussian", "peaks") and self.level is not None:
            return thresholds.quantile(normal, 1 - self.level)
        return self.threshold_of(normal, 1)

    def false_alarm_rate(self, normal: int) -> float:
        """Return the probability of flagging a row whose score is like the `normal` ones.

        It does not hold for the adaptive score, whose parts are compared with rows before them.
        Of the margin it is that of the maximum, which it exceeds unless one odd row was limited.
        """
        if self.level is None:
            return 1 / (normal + 1)
        return 1 - self.level if self.threshold == "quantile" else self.level


def detect(
    detector: Detector,
    values,
    *,
    before=None,
    id: str | Sequence[str] | None = None,
    score: str = "adaptive",
    threshold: str = "margin",
    level: float | None = None,
    gap: int = 0,
    minimum: int = 1,
) -> DetectionResult | SeparateResult:
    """Score a series, or separate ones, and return the events.

    Args:
      detector: from `train`. The threshold is set by its training errors, taken to be normal. If it
        was trained on separate series, by those of the held-out ones alone if they are 20 or more.
      values: numbers [rows, F] or [rows], in the order of time; or separate series as in `train`,
        each of which is scored by itself.
      before: rows right before `values`, of one series, such as those of the day before: with them,
        the first row of `values` has a score. Season, differences, model and score go on from them.
      id: column that says which series a row belongs to, or several, as in `train`.
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
      DetectionResult, whose `to_frame` keeps the index, or the times, of a data frame; of separate
      series a SeparateResult, with the score of each as a whole. Its `flags` take at least 10
      normal series: with fewer, its threshold is infinite.

    Raises:
      ValueError: an unknown choice, a level that is out of range or given for the maximum, or
        values that the detector, the score or the threshold refuses; separate series for a
        detector that was trained on one, or with `before`; times that do not follow those of
        `before`.

    Examples:
      >>> from lstmcore import anomalies
      >>> values = np.sin(np.arange(300) / 4)
      >>> detector = anomalies.train(values, anomalies.Settings(window=8, units=4, epochs=2))
      >>> anomalous = values.copy()
      >>> anomalous[200:203] = 5
      >>> result = anomalies.detect(detector, anomalous)
      >>> any(event.start <= 201 < event.stop for event in result.events)
      True
      >>> last = anomalies.detect(detector, anomalous[250:], before=anomalous[:250])
      >>> np.allclose(last.scores, result.scores[250:])
      True
      >>> beats = np.sin(np.arange(20) / 3) + 0.1 * np.random.default_rng(0).normal(size=(30, 20))
      >>> settings = anomalies.Settings(window=19, units=8, learning_rate=0.02)
      >>> detector = anomalies.train(beats[:, :, None], settings)
      >>> beats[7] *= -1
      >>> result = anomalies.detect(detector, beats[:, :, None])
      >>> result.flags.nonzero()[0].tolist(), result[7].scores.shape
      ([7], (20,))
    """
    settings = Detection.from_json(  # which checks that the texts are choices
        {"score": score, "threshold": threshold, "level": level, "gap": gap, "minimum": minimum}
    )
    groups = as_many(values, id)
    if groups is None:
        rows = None if before is None else _rows_before(detector, before, values)
        return detect_one(detector, values, settings, rows)
    if before is not None:
        raise ValueError("before is of one series, but values are separate ones: leave it out")
    names = id or (values.id if isinstance(values, SeveralTables) else "series")
    id_name = names if isinstance(names, str) else ",".join(names)
    return detect_separate(detector, groups, settings, id_name)


def detect_one(
    detector: Detector, values, settings: Detection, before: np.ndarray | None = None
) -> DetectionResult:
    """Return what `detect` does of one series. before: [n, F], in the order of the model."""
    fitted, held_out = _fit_to(detector, settings), _held_out(_fit_folds(detector, settings))
    if before is None:
        table = detector.table(values)
    else:
        table = np.concatenate([before, detector.preprocessor.table(values, "values")])
    errors = detector.errors(table)
    first = 0 if before is None else len(before)
    return _result(detector, settings, fitted, held_out, values, errors, first)


def _rows_before(detector: Detector, before, values) -> np.ndarray:
    """Return rows right before others, [n, F].

    Raises:
      ValueError: the times of `values` do not follow; or as `Detector.table`, of either.
    """
    rows = detector.preprocessor.table(before, "before")
    if not len(detector.preprocessor.table(values, "values")):
        detector.table(values)  # which raises
    index, later = RowIndex.of(before, "before"), RowIndex.of(values, "values")
    if (
        index is None
        or later is None
        or index.times is None
        or later.times is None
        or not len(rows)
    ):
        return rows
    after, first = np.array([index.rows]), np.array([0])
    if index.moments(after)[0] != later.moments(first)[0]:
        raise ValueError(
            f"values begin at {later.texts(first)[0]}, but the row after those of before is that "
            f"of {index.texts(after)[0]}: give the rows right before values, with NaN where one is "
            "missing"
        )
    return rows


def _result(
    detector: Detector,
    settings: Detection,
    fitted: _Fitted,
    held_out: HeldOut,
    values,
    errors,
    first: int = 0,
) -> DetectionResult:
    """Return the result of one series. errors: of its values, from row `first` on."""
    earlier, scores = np.split(fitted.score(errors), [first])
    over = int((earlier > fitted.threshold.value).sum())
    return DetectionResult(
        scores,
        fitted.contributions(errors)[first:],
        fitted.threshold,
        events(scores, fitted.threshold, gap=settings.gap, minimum=settings.minimum),
        fitted.score,
        detector.preprocessor.columns or (),
        RowIndex.of(values, "values"),
        fitted.set_by,
        held_out,
        HeldOut(over, int(np.isfinite(earlier).sum())),
    )


def detect_separate(
    detector: Detector, groups: Mapping[Any, Any], settings: Detection, id_name: str
) -> SeparateResult:
    """Return what `detect` does of separate series, {id: table}."""
    if not detector.lengths:
        raise ValueError(
            "values are separate series, but the detector was trained on one: train it on separate "
            "ones, or detect in each by itself"
        )
    fitted, folds = _fit_to(detector, settings), _fit_folds(detector, settings)
    held_out = _held_out(folds)
    errors = detector.errors_of(groups)
    results = {
        id: _result(detector, settings, fitted, held_out, values, each)
        for (id, values), each in zip(groups.items(), errors, strict=True)
    }
    normal = _whole(fitted, np.split(*_normal(detector)))
    scores = _whole(fitted, errors)
    if np.isnan(normal).all():
        raise ValueError("no series of the training part has a row that can be scored")
    number = int(np.isfinite(normal).sum())
    if number < FEWEST_SERIES:
        how = f"there are {number} normal series, and it takes {FEWEST_SERIES} to judge whole ones"
        return SeparateResult(results, scores, Threshold(np.inf, how), HeldOut(0, 0), id_name)
    limit = settings.threshold_of_series(normal)
    how = limit.how.replace("of normal rows", "of normal series")
    return SeparateResult(
        results, scores, limit._replace(how=how), _held_out_series(folds, settings), id_name
    )


def _whole(fitted: _Fitted, errors: Sequence[np.ndarray]) -> np.ndarray:
    """Return the score of each of several series as a whole, [N]."""
    rows = [fitted.of_row(each) for each in errors]
    counts = np.array([np.isfinite(row).sum() for row in rows])
    sums = np.array([np.nansum(row) for row in rows])
    return np.where(counts, sums / np.maximum(counts, 1), np.nan)


class _Fitted(NamedTuple):
    """A score, and all that depends on the normal rows; most fields are those of the result.

    of_row: the score whose mean is that of a whole series
    """

    score: Callable[[np.ndarray], np.ndarray]
    contributions: Callable[[np.ndarray], np.ndarray]
    threshold: Threshold
    set_by: SetBy | None
    of_row: Callable[[np.ndarray], np.ndarray]


def _fit_to(detector: Detector, settings: Detection) -> _Fitted:
    """Fit score and threshold to the normal rows of a detector."""
    normal, ends = _normal(detector)
    lengths = np.diff([0, *ends, len(normal)]).tolist() if detector.lengths else []
    fitted = _fit(settings, normal, detector.validation_errors, detector.settings.window, lengths)
    if fitted.set_by is None:
        return fitted
    row = fitted.set_by.row + len(detector.training_errors) - len(normal)
    return fitted._replace(set_by=fitted.set_by._replace(row=row))


def _normal(detector: Detector) -> tuple[np.ndarray, np.ndarray]:
    """Return (errors that set the threshold, rows at which all but the first series begin)."""
    errors, ends = detector.training_errors, np.cumsum(detector.lengths)
    held_out = int((ends > detector.validation_start).sum())
    if held_out < ENOUGH:
        return errors, ends[:-1].astype(int)
    start = detector.validation_start
    return errors[start:], ends[len(ends) - held_out : -1] - start


def _fit(
    settings: Detection,
    normal: np.ndarray,
    validation: np.ndarray,
    window: int,
    lengths: Sequence[int] = (),
) -> _Fitted:
    """Fit score and threshold to the errors of normal rows.

    validation: of rows to which no weight was fitted
    lengths: rows of separate series
    """
    score: Callable[[np.ndarray], np.ndarray]
    if settings.score == "adaptive":
        score = adaptive = fit_adaptive(normal, window, lengths)
        parts, of_row = adaptive.contributions, mean_absolute
        if settings.threshold == "margin":
            return _Fitted(score, parts, adaptive.threshold, adaptive.set_by, of_row)
    elif settings.score == "mahalanobis":
        is_enough = np.isfinite(validation).all(axis=1).sum() > validation.shape[1]
        gaussian = fit_gaussian(validation if is_enough else normal)
        score, parts = gaussian.score, gaussian.contributions
        of_row = score
    else:
        score, parts = (mean_absolute if settings.score == "mean" else largest), contributions
        of_row = score
    scores = np.concatenate([score(each) for each in np.split(normal, np.cumsum(lengths)[:-1])])
    limit = settings.threshold_of(scores, normal.shape[1], window)
    set_by: SetBy | None = None
    if settings.threshold in thresholds.SET_BY_ONE:
        row = thresholds.highest_peak(scores, window).row
        others = thresholds.without_peak(scores, row, window)
        without = limit
        if not np.isnan(others).all():
            without = settings.threshold_of(others, normal.shape[1], window)
        set_by = SetBy(row, without.value)
    return _Fitted(score, parts, limit, set_by, of_row)


def _folds(detector: Detector) -> list[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Return pairs (errors of normal series that set the threshold, errors that it is to judge).

    Held-out series that set the threshold are judged a fifth at a time, by the others.
    """
    start = detector.validation_start
    if not detector.lengths:
        earlier, later = np.split(detector.training_errors, [start])
        return [([earlier], [later])] if len(later) else []
    every = np.split(*_normal(detector))
    if sum(map(len, every)) < len(detector.training_errors):
        folds = [np.arange(len(every)) % FOLDS == fold for fold in range(FOLDS)]
    else:
        folds = [np.cumsum(detector.lengths) > start]
    found = []
    for fold in folds:
        before, after = (
            [each for each, is_in in zip(every, fold, strict=True) if is_in == flag]
            for flag in (False, True)
        )
        found += [(before, after)] if len(before) and len(after) else []
    return found


class _Fold(NamedTuple):
    """Normal errors that set a threshold, and those that it is to judge."""

    fitted: _Fitted
    before: list[np.ndarray]
    after: list[np.ndarray]


def _fit_folds(detector: Detector, settings: Detection) -> list[_Fold]:
    """Fit the score and the threshold of each fold; [] if one has too few rows for them."""
    try:
        return [
            _Fold(_fit_fold(detector, settings, before), before, after)
            for before, after in _folds(detector)
        ]
    except ValueError:
        return []


def _held_out(folds: Sequence[_Fold]) -> HeldOut:
    """Count the normal rows that a threshold which others set would flag."""
    flagged = rows = 0
    for fitted, _, after in folds:
        scores = np.concatenate([fitted.score(each) for each in after])
        flagged += int((scores > fitted.threshold.value).sum())
        rows += int(np.isfinite(scores).sum())
    return HeldOut(flagged, rows)


def _held_out_series(folds: Sequence[_Fold], settings: Detection) -> HeldOut:
    """Count the normal series that a threshold which others set would flag as a whole."""
    flagged = number = 0
    for fitted, before, after in folds:
        try:
            limit = settings.threshold_of_series(_whole(fitted, before))
        except ValueError:  # too few series for this threshold
            return HeldOut(0, 0)
        scores = _whole(fitted, after)
        flagged += int((scores > limit.value).sum())
        number += int(np.isfinite(scores).sum())
    return HeldOut(flagged, number)


def _fit_fold(detector: Detector, settings: Detection, before: list[np.ndarray]) -> _Fitted:
    lengths = [len(each) for each in before] if detector.lengths else ()
    errors = np.concatenate(before)
    return _fit(settings, errors, errors[:0], detector.settings.window, lengths)
