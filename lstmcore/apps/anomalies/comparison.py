"""A detector beside its rivals: is a simple method enough?

With labels the question is answered by a paired test of F1 by events. Without labels no accuracy is
known: what is compared then is which events both find.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lstmcore.apps.anomalies import thresholds
from lstmcore.apps.anomalies.detection import Detection, DetectionResult
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.metrics import Eventwise, eventwise
from lstmcore.apps.anomalies.paired import FEWEST, PairedTest, paired_test
from lstmcore.apps.anomalies.preprocessing import without_season
from lstmcore.apps.anomalies.rivals import DESCRIPTIONS, ZSCORE, rival_scores
from lstmcore.apps.anomalies.thresholds import Threshold
from lstmcore.arrays import as_values
from lstmcore.display.html import table, titled
from lstmcore.formatting import count, listed, text_table
from lstmcore.series.events import Event, events, flags_of
from lstmcore.series.frames import make_frame

MODEL = "LSTM"
LEVEL = 0.05  # of significance, two-sided
BETTER, AS_GOOD, WORSE = "better", "as good", "worse"
UNDECIDED, UNLABELLED = "undecided: it may be chance", "not known without labels"
SAME = 1e-9  # difference of F1, up to rounding
RARE = 0.05  # fraction of the rows; what flags more may overlap the LSTM's events by chance
OPEN = "which method is right is not known without labels."

Rule = Callable[[np.ndarray], Threshold]


class Method(NamedTuple):
    """A detector in a comparison, the LSTM or a rival.

    Attributes:
      scores: [rows]; NaN where the LSTM has no score either.
      threshold: from the scores of the training rows.
      events: segments above it, in the order of time.
      flagged: fraction of the rows that lie in an event.
      shared: number of the LSTM's events that overlap one of these.
      others: number of these events that overlap none of the LSTM's.
      accuracy: `metrics.Eventwise`; None without labels.
    """

    scores: np.ndarray
    threshold: Threshold
    events: list[Event]
    flagged: float
    shared: int
    others: int
    accuracy: Eventwise | None


class Comparison(NamedTuple):
    """A detector beside its rivals; printed, it is a table and a sentence.

    With labels the LSTM is compared with the best rival, the one of the largest F1 by events. It is
    chosen in hindsight, which favours it: "better" holds with the confidence stated, while "worse"
    is given by chance more often than its p-value says, up to that times the number of rivals.

    Attributes:
      methods: {"LSTM": Method, "robust z-score": ..., "PCA of windows": ..., "isolation forest":
        ...}; see `rivals.rival_scores` for those that may be missing.
      tests: for each rival the `PairedTest` of the LSTM and that rival; empty without labels.
      notes: sentences on rivals that had to be left out.
    """

    methods: dict[str, Method]
    tests: dict[str, PairedTest]
    notes: tuple[str, ...] = ()

    @property
    def rivals(self) -> dict[str, Method]:
        """Return the methods but the LSTM."""
        return {name: method for name, method in self.methods.items() if name != MODEL}

    @property
    def best(self) -> str | None:
        """Return the name of the best rival; None if there are none.

        With labels that of the largest F1 by events; without, the one that finds most of the LSTM's
        events and, of several, the fewest others. Of equal ones the first, which is the simplest.
        """

        def rank(name: str) -> tuple[float, ...]:
            rival = self.methods[name]
            if rival.accuracy is not None:
                return (-rival.accuracy.f1,)
            if _finds_the_same(rival, self.methods[MODEL]):
                return (-np.inf,)
            return -rival.shared, rival.others, rival.flagged

        return min(self.rivals, key=rank, default=None)

    @property
    def verdict(self) -> str:
        """Return how good the LSTM is beside the best rival.

        "better" or "worse" (significant at 5 %), "as good" (of equal F1), "undecided: it may be
        chance" (of another F1), or "not known without labels".
        """
        if self.best not in self.tests:
            return UNLABELLED
        test = self.tests[self.best]
        if abs(test.difference) < SAME:
            return AS_GOOD
        if test.p_value >= LEVEL:
            return UNDECIDED
        return BETTER if test.difference > 0 else WORSE

    @property
    def sentence(self) -> str:
        """Return the verdict in words, from the rival on where that is as good, or better."""
        best = self.best
        if best is None:
            return "There is no simple method to compare with."
        return _by_labels(self, best) if best in self.tests else _by_overlap(self, best)

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return (header, rows) of a table with one row for each method, as text.

        Columns: events, rows in them in per cent; with labels precision, recall and F1 of events,
        without labels how many of the LSTM's events are found, and how many others.
        """
        header = ["method", "events", "% of rows"]
        header += ["precision", "recall", "F1"] if self.tests else ["shared", "others"]
        rows = []
        for name, method in self.methods.items():
            row = [name, f"{len(method.events):,}", f"{100 * method.flagged:.2f}"]
            if method.accuracy is not None:
                row += [f"{value:.3f}" for value in method.accuracy[:3]]
            else:
                row += [f"{method.shared:,}", f"{method.others:,}"]
            rows.append(row)
        return header, rows

    def to_frame(self, library: str = "pandas") -> Any:
        """Return the table as a data frame with one row for each method.

        Its columns are method, events, shared, others, flagged and threshold; with labels also
        precision, recall, f1 and, of the rivals, p_value.

        Args:
          library: "pandas", "polars", "pyarrow", or another one that narwhals knows.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: narwhals does not know the library.
        """
        methods = self.methods.values()
        columns: dict[str, list] = {
            "method": list(self.methods),
            "events": [len(method.events) for method in methods],
            "shared": [method.shared for method in methods],
            "others": [method.others for method in methods],
            "flagged": [method.flagged for method in methods],
            "threshold": [method.threshold.value for method in methods],
        }
        if self.tests:
            for field in ("precision", "recall", "f1"):
                columns[field] = [getattr(method.accuracy, field) for method in methods]
            columns["p_value"] = [np.nan, *(test.p_value for test in self.tests.values())]
        return make_frame(columns, library)

    def __repr__(self) -> str:
        header, rows = self.cells()
        return "\n".join([text_table(header, rows, words=1), "", self.sentence, *self.notes])

    def _repr_html_(self) -> str:
        return titled(self.sentence, table(*self.cells(), words=1), *self.notes)


def compare(
    detector: Detector,
    training,
    values,
    result: DetectionResult,
    *,
    labels=None,
    threshold: Rule | Detection | None = None,
    gap: int = 0,
    minimum: int = 1,
) -> Comparison:
    """Run simple detectors beside a detector, and say whether it is better than they are.

    The rivals (`anomalies.rivals`) read what the model reads: the preprocessed rows, with missing
    values filled, without a season, differenced and scaled, in windows of as many rows. They are
    fitted to the same training rows, their thresholds are computed from the scores of the same
    rows, and a row without a score of the detector has none of theirs.

    Args:
      detector: from `train`.
      training: the rows that it was trained on.
      values: the rows that were scored, numbers [rows, F] or [rows], or a data frame.
      result: from `detect`, of these values, without `before`.
      labels: bool or 0/1 [rows], the rows known to be anomalous; None, or none marked: not known.
      threshold: how `result` was made: a `Detection`, or a function from the scores of normal rows
        [n] to a `Threshold`, such as `thresholds.quantile`; None: the defaults of `detect`. Where a
        Detection sets the threshold by the largest score, those of a PCA and a forest are at least
        `thresholds.prediction_limit`: their scores hold the rows of two windows, so that a short
        training part has few independent ones.
      gap, minimum: of `events`, as for `result`.

    Returns:
      Comparison.

    Raises:
      ValueError: arrays of other lengths than those of the detector and the result, a result with
        rows before, or values that the detector refuses.
      ImportError: scikit-learn is missing.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import anomalies
      >>> values = np.sin(np.arange(300) / 4)
      >>> detector = anomalies.train(values, anomalies.Settings(window=8, units=4, epochs=2))
      >>> anomalous = np.where(np.arange(300) // 3 == 66, 5, values)
      >>> result = anomalies.detect(detector, anomalous, gap=8)
      >>> anomalies.compare(detector, values, anomalous, result, gap=8).verdict
      'not known without labels'
    """
    training, values = detector.table(training), detector.table(values)
    _check_rows("training", training, "detector", len(detector.training_errors))
    _check_rows("values", values, "result", len(result.scores))
    if result.before.rows:
        raise ValueError(
            "result was made with rows before these values, which its rivals do not have: compare "
            "that of detect without before"
        )
    if labels is not None:
        labels = as_values("labels", labels)
        _check_rows("labels", labels, "result", len(result.scores))
        labels = labels if np.any(labels) else None
    normal, rows = (
        detector.preprocessor.transform(without_season(detector.settings, table))
        for table in (training, values)
    )
    found, notes = rival_scores(normal, rows, detector.settings.window)
    window = detector.settings.window
    rule, is_by_largest = threshold, False
    if not callable(rule):
        detection = threshold if isinstance(threshold, Detection) else Detection()
        is_by_largest = detection.threshold in thresholds.SET_BY_ONE
        rule = same_rule(detection, training.shape[1], window)
    unscored = np.isnan(detector.training_errors).all(axis=1), np.isnan(result.scores)
    methods = {MODEL: _method(result.scores, result.threshold, result.events, result, labels)}
    for name, (normal, scores) in found.items():
        normal, scores = _masked(normal, unscored[0]), _masked(scores, unscored[1])
        try:
            limit = rule(normal)
            if is_by_largest and name != ZSCORE:
                limit, more = _of_few(limit, normal, 2 * window - 1, DESCRIPTIONS[name])
                notes = (*notes, *more)
        except ValueError as error:  # of scores without a tail
            reason = f"is left out, as it has no threshold: {error}"
            notes = (*notes, f"{DESCRIPTIONS[name]} {reason}")
            continue
        some = events(scores, limit, gap=gap, minimum=minimum)
        methods[name] = _method(scores, limit, some, result, labels)
    others = {} if labels is None else {name: methods[name] for name in methods if name != MODEL}
    tests = {
        name: paired_test(labels, result.events, rival.events) for name, rival in others.items()
    }
    return Comparison(methods, tests, notes)


def _of_few(
    limit: Threshold, normal: np.ndarray, reads: int, name: str
) -> tuple[Threshold, list[str]]:
    """Return a threshold that few independent scores can bear, and a sentence if it is higher.

    limit: by the largest score
    normal: scores of normal rows, each of which depends on `reads` rows
    """
    known = int(np.isfinite(normal).sum())
    if known < 2 * reads:
        return limit, []
    least = thresholds.prediction_limit(normal, reads)
    if least.value <= limit.value:
        return limit, []
    return least, [
        f"the threshold of {name} is {least.value:.3g} instead of {limit.value:.3g}, by the "
        f"largest score: only {known // reads:,} of {count(known, 'training score')} have no row "
        "in common, and the next normal one might well be larger than all of these"
    ]


def same_rule(detection: Detection, features: int, apart: int = 0) -> Rule:
    """Return the rule by which a `Detection` computes the threshold of scores of normal rows.

    One odd row is in the windows, so in the scores, of `apart` rows around it.

    The chi-squared distribution of a Gaussian threshold is that of one score alone. For others it
    is the quantile that a normal row exceeds with the same probability.
    """
    if detection.threshold == "gaussian" and detection.level is not None:
        return partial(thresholds.quantile, q=1 - detection.level)
    return partial(detection.threshold_of, features=features, apart=apart)


def _check_rows(name: str, rows, owner: str, expected: int) -> None:
    if len(rows) != expected:
        raise ValueError(
            f"{name} has {count(len(rows), 'row')} but the {owner} is of {expected:,}: pass the "
            "same rows"
        )


def _masked(scores: np.ndarray, unscored: np.ndarray) -> np.ndarray:
    """Return the scores of all rows, bool [rows]; season and differences have dropped the first."""
    dropped = np.full(len(unscored) - len(scores), np.nan)
    return np.where(unscored, np.nan, np.concatenate([dropped, scores]))


def _method(scores, threshold, found: list[Event], result: DetectionResult, labels) -> Method:
    """Return a method with its events `found`, beside those of the LSTM."""
    flags, model = flags_of(found, len(scores)), flags_of(result.events, len(scores))
    return Method(
        scores,
        threshold,
        found,
        float(flags.mean()),
        _overlapping(result.events, flags),
        len(found) - _overlapping(found, model),
        None if labels is None else eventwise(labels, found),
    )


def _overlapping(some: list[Event], flags: np.ndarray) -> int:
    """Count the events that hold a flagged row."""
    return sum(bool(flags[event.start : event.stop].any()) for event in some)


def _finds_the_same(rival: Method, model: Method) -> bool:
    """Return whether a rival finds all events of the LSTM and no others, not by chance."""
    if rival.shared < len(model.events) or rival.others:
        return False
    theirs, ours = (flags_of(method.events, len(method.scores)) for method in (rival, model))
    return rival.flagged <= RARE or bool(2 * (theirs & ours).sum() >= theirs.sum())


def _by_labels(comparison: Comparison, best: str) -> str:
    """Return the verdict by labels as a sentence."""
    ours, theirs = (comparison.methods[name].accuracy for name in (MODEL, best))
    assert ours is not None  # with labels
    assert theirs is not None
    rival, test, verdict = DESCRIPTIONS[best], comparison.tests[best], comparison.verdict
    if ours.f1 == theirs.f1 == 0:
        numbers = f"{_found(ours)}, against {_found(theirs)} by {rival}"
        return f"No simple method finds a labelled event, nor does the LSTM ({numbers})."
    others = len(comparison.rivals)
    which = f"{rival}, the best of {others} simple methods" if others > 1 else rival
    likely = "as good as" if test.difference > 0 else "better than"
    said = {
        BETTER: f"the LSTM is better than {which}",
        WORSE: f"{rival} is better than the LSTM",
        AS_GOOD: f"{rival} is as good as the LSTM",
        UNDECIDED: f"{rival} may be {likely} the LSTM",
    }[verdict]
    first, second = (ours, theirs) if verdict == BETTER else (theirs, ours)
    numbers = f"F1 by events {first.f1:.2f} against {second.f1:.2f}"
    if verdict == AS_GOOD:
        numbers = f"both have F1 by events {first.f1:.2f}"
    found = _found(first) + f", against {_found(second)}" * (_found(first) != _found(second))
    return f"{_capital(said)}: {numbers} ({found}; {_proof(test, verdict)})."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _found(accuracy: Eventwise) -> str:
    """Return what a method found, such as "3 of 5 labelled events and 1 false one"."""
    recalled = round(accuracy.recall * accuracy.labelled)
    false = accuracy.detected - round(accuracy.precision * accuracy.detected)
    ones = "1 false one" if false == 1 else f"{false:,} false ones" if false else "no false ones"
    return f"{recalled:,} of {count(accuracy.labelled, 'labelled event')} and {ones}"


def _proof(test: PairedTest, verdict: str) -> str:
    """Return the result of the test, as words for the end of a bracket."""
    if verdict in (BETTER, WORSE):
        return f"significant, p = {test.p_value:.2g}"
    if test.differing == 0:
        return "they do not differ in any event"
    if test.differing < FEWEST:
        differ = f"they differ in {count(test.differing, 'event')}"
        return f"{differ}, which may be chance: a test needs {FEWEST}"
    return f"no significant difference, p = {test.p_value:.2g}"


def _by_overlap(comparison: Comparison, best: str) -> str:
    """Return which events the best rival finds as well, as a sentence."""
    model, rival = comparison.methods[MODEL], comparison.methods[best]
    name, number = DESCRIPTIONS[best], len(model.events)
    if not number:
        found = [
            f"{DESCRIPTIONS[name]} finds {len(one.events):,}"
            for name, one in comparison.rivals.items()
            if one.events
        ]
        return (
            f"The LSTM finds no event, {listed(found)}." if found else "No method finds an event."
        )
    those = "the LSTM's event" if number == 1 else f"the LSTM's {number:,} events"
    if not rival.shared:
        return f"No simple method finds {'any of ' * (number > 1)}{those}: {OPEN}"
    if rival.shared < number:
        flags = [flags_of(one.events, len(one.scores)) for one in comparison.rivals.values()]
        alone = number - _overlapping(model.events, np.any(flags, axis=0))
        none = f"no simple method finds {'the others' if alone > 1 else 'the other one'}"
        rest = {0: "other simple methods find the rest", number - rival.shared: none}.get(
            alone, f"no simple method finds {alone:,} of them"
        )
        return f"{_capital(name)} also finds {rival.shared:,} of {those}, and {rest}: {OPEN}"
    every = {1: "The event is", 2: "Both events are"}.get(number, f"All {number:,} events are")
    if _finds_the_same(rival, model):
        return f"{every} also found by {name}: a simple method is enough here."
    others = f"finds {count(rival.others, 'other')} and " if rival.others else ""
    return (
        f"{every} also found by {name}, which {others}flags {_percent(rival.flagged)} of the rows "
        f"(the LSTM {_percent(model.flagged)}): {OPEN}"
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2g}%" if fraction < 0.995 else "100%"
