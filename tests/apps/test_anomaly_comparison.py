"""A detector beside its rivals: who is compared on which rows, and the verdict in words."""

from dataclasses import replace

import numpy as np
import pytest
from detectors import table, untrained

pytest.importorskip("sklearn")

from lstmcore import anomalies, series
from lstmcore.apps.anomalies import (
    Threshold,
    comparison,
    metrics,
    rival_report,
    rivals,
    thresholds,
)
from lstmcore.apps.anomalies.detection import Detection

WINDOW = 6
SETTINGS = anomalies.Settings(window=WINDOW, units=2, preprocessing=series.Preprocessing("forward"))
TRAINING, VALUES = table(120), table(200, seed=1)
VALUES[150:153] += 30


def detector_of(settings=SETTINGS, training=TRAINING):
    detector = untrained(settings, training)
    return replace(detector, training_errors=detector.errors(training))


@pytest.fixture(scope="module")
def detector():
    return detector_of()


@pytest.fixture(scope="module")
def result(detector):
    return anomalies.detect(detector, VALUES, gap=3)


# Who is compared, on which rows.


def test_rivals_read_the_preprocessed_rows(detector, result):
    found = anomalies.compare(detector, TRAINING, VALUES, result, gap=3, minimum=2)
    transform = detector.preprocessor.transform
    expected, _ = rivals.rival_scores(transform(TRAINING), transform(VALUES), WINDOW)
    assert list(found.methods) == ["LSTM", *expected]
    assert list(found.rivals) == list(expected)
    for name, (normal, scores) in expected.items():
        method = found.methods[name]
        normal[:WINDOW] = scores[:WINDOW] = np.nan  # of rows that the model does not score
        np.testing.assert_array_equal(method.scores, scores)
        limits = [thresholds.margin(normal, apart=WINDOW)]
        if name != rivals.ZSCORE:  # of 114 scores, 10 have no row in common
            limits.append(thresholds.prediction_limit(normal, 2 * WINDOW - 1))
        assert method.threshold == max(limits)
        assert method.events == anomalies.events(scores, method.threshold, gap=3, minimum=2)
    model = found.methods["LSTM"]
    assert (model.scores, model.threshold, model.events) == (
        result.scores,
        result.threshold,
        result.events,
    )


def test_rows_that_the_detector_does_not_score_are_not_scored():
    """Differenced rows, those before a prediction, and rows without a value."""
    preprocessing = series.Preprocessing("forward", difference=(2,))
    settings = replace(SETTINGS, method="prediction", preprocessing=preprocessing)
    training, values = TRAINING[:, :1].copy(), VALUES[:, :1].copy()
    training[60], values[80] = np.nan, np.nan
    detector = detector_of(settings, training)
    result = anomalies.detect(detector, values)
    found = anomalies.compare(detector, training, values, result)
    unscored = np.isin(np.arange(len(values)), [*range(2 + WINDOW), 80])
    for method in found.methods.values():
        np.testing.assert_array_equal(np.isnan(method.scores), unscored)
    assert f"of {120 - 2 - WINDOW - 1} scores" in found.methods[rivals.ZSCORE].threshold.how


def test_a_data_frame_is_matched_by_name():
    pandas = pytest.importorskip("pandas")
    frame, values = pandas.DataFrame(TRAINING, columns=["a", "b"]), VALUES
    detector = detector_of()
    named = detector.preprocessor._replace(columns=("a", "b"))
    detector = replace(detector, preprocessor=named)
    result = anomalies.detect(detector, values)
    expected = anomalies.compare(detector, TRAINING, values, result)
    other = pandas.DataFrame(values[:, ::-1], columns=["b", "a"])
    found = anomalies.compare(detector, frame[["b", "a"]], other, result)
    for name, method in expected.methods.items():
        np.testing.assert_array_equal(found.methods[name].scores, method.scores)


RULES = {
    "margin": (Detection(), thresholds.margin),
    "maximum": (Detection(threshold="maximum"), thresholds.maximum),
    "quantile": (
        Detection(threshold="quantile", level=0.9),
        lambda scores: thresholds.quantile(scores, 0.9),
    ),
    "gaussian": (
        Detection(threshold="gaussian", score="mahalanobis", level=0.25),
        lambda scores: thresholds.quantile(scores, 0.75),
    ),
    "peaks": (
        Detection(threshold="peaks", level=0.001),
        lambda scores: thresholds.peaks_over_threshold(scores, 0.001),
    ),
}


@pytest.mark.parametrize(("detection", "expected"), RULES.values(), ids=RULES)
def test_the_threshold_of_rivals_follows_the_same_rule(detection, expected):
    scores = np.random.default_rng(0).exponential(size=1000)
    assert anomalies.same_rule(detection, 2)(scores) == expected(scores)


def test_the_threshold_of_few_independent_scores_is_raised_and_it_is_said(
    detector, result, monkeypatch
):
    transform = detector.preprocessor.transform
    scored = rivals.rival_scores(transform(TRAINING), transform(VALUES), WINDOW)
    monkeypatch.setattr(comparison, "rival_scores", lambda *_: scored)
    found = anomalies.compare(detector, TRAINING, VALUES, result)
    of_few = [name for name, one in found.rivals.items() if "independent" in one.threshold.how]
    assert rivals.PCA in of_few
    assert rivals.ZSCORE not in of_few
    assert len(found.notes) == len(of_few)
    for name, note in zip(of_few, found.notes, strict=True):
        limit = found.methods[name].threshold.value
        assert note.startswith(f"the threshold of {rivals.DESCRIPTIONS[name]} is {limit:.3g} inst")
        assert "only 10 of 114 training scores have no row in common" in note
    given = anomalies.compare(detector, TRAINING, VALUES, result, threshold=Detection())
    assert repr(given) == repr(found)
    for rule in (Detection(threshold="quantile"), thresholds.maximum):  # as they were asked for
        found = anomalies.compare(detector, TRAINING, VALUES, result, threshold=rule)
        assert not found.notes
        assert not any("independent" in one.threshold.how for one in found.rivals.values())


def test_a_rival_without_a_threshold_is_left_out(detector, result):
    rule = anomalies.same_rule(Detection(threshold="peaks"), 2)  # 120 scores have no tail
    found = anomalies.compare(detector, TRAINING, VALUES, result, threshold=rule)
    assert list(found.methods) == ["LSTM"]
    assert found.notes[0].startswith("a robust z-score is left out, as it has no threshold: only 3")
    assert (found.best, found.verdict) == (None, "not known without labels")
    assert "There is no simple method to compare with." in repr(found)


BAD = {
    "training": ({"training": TRAINING[1:]}, "training has 119 rows but the detector is of 120"),
    "values": ({"values": VALUES[1:]}, "values has 199 rows but the result is of 200: pass the"),
    "labels": ({"labels": np.ones(9, bool)}, "labels has 9 rows but the result is of 200"),
    "words": ({"labels": np.ones(200)}, "labels must be bool, or integers 0 and 1, got float64"),
}


@pytest.mark.parametrize(("changed", "message"), BAD.values(), ids=BAD)
def test_bad_arguments(changed, message, detector, result):
    given = {"training": TRAINING, "values": VALUES, "labels": None, **changed}
    labels = given.pop("labels")
    with pytest.raises(ValueError, match=message):
        anomalies.compare(detector, result=result, labels=labels, **given)


def test_rows_before_are_not_those_of_rivals(detector):
    result = anomalies.detect(detector, VALUES[60:], before=VALUES[:60])
    with pytest.raises(ValueError, match="made with rows before these values, which its rivals"):
        anomalies.compare(detector, TRAINING, VALUES[60:], result)


# The verdict.

ROWS = 200
NONE = np.zeros(ROWS)


def flags(*places, rows=1):
    """Return scores [rows], 1 in segments that start at the places given."""
    scores = np.zeros(ROWS)
    for place in places:
        scores[place : place + rows] = 1
    return scores


@pytest.fixture
def compare(detector, result, monkeypatch):
    """Return a function from the rows that each method flags to their Comparison."""

    def compared(ours, *others, labels=None):
        names = list(rivals.DESCRIPTIONS)[: len(others)]
        scores = {name: (NONE[:120], other) for name, other in zip(names, others, strict=True)}
        monkeypatch.setattr(comparison, "rival_scores", lambda *_: (scores, ()))
        half = Threshold(0.5, "half")
        model = result._replace(scores=ours, threshold=half, events=anomalies.events(ours, half))
        marked = None if labels is None else labels > 0
        rule = {"threshold": lambda _: half, "labels": marked}
        return anomalies.compare(detector, TRAINING, VALUES, model, **rule)

    return compared


LABELLED = tuple(range(10, 110, 10))  # ten events
VERDICTS = {
    "better": (
        flags(*LABELLED),
        flags(10, 20),
        "The LSTM is better than a robust z-score, the best of 2 simple methods: F1 by events 1.00 "
        "against 0.33 (10 of 10 labelled events and no false ones, against 2 of 10 labelled events "
        "and no false ones; significant, p = 0.0078).",
    ),
    "worse": (
        flags(10, 20, 150),
        flags(*LABELLED),
        "A robust z-score is better than the LSTM: F1 by events 1.00 against 0.31 (10 of 10 "
        "labelled events and no false ones, against 2 of 10 labelled events and 1 false one; "
        "significant, p = 0.0039).",
    ),
    "as good": (
        flags(10, 20),
        flags(10, 20),
        "A robust z-score is as good as the LSTM: both have F1 by events 0.33 (2 of 10 labelled "
        "events and no false ones; they do not differ in any event).",
    ),
    "undecided: it may be chance": (
        flags(*LABELLED[:6]),
        flags(*LABELLED[:3]),
        "A robust z-score may be as good as the LSTM: F1 by events 0.46 against 0.75 (3 of 10 "
        "labelled events and no false ones, against 6 of 10 labelled events and no false ones; "
        "they differ in 3 events, which may be chance: a test needs 6).",
    ),
}


@pytest.mark.parametrize(
    ("verdict", "ours", "rival", "sentence"),
    [(verdict, *rest) for verdict, rest in VERDICTS.items()],
    ids=VERDICTS,
)
def test_the_verdict_by_labels(verdict, ours, rival, sentence, compare):
    found = compare(ours, rival, flags(150), labels=flags(*LABELLED))
    assert (found.best, found.verdict, found.sentence) == (rivals.ZSCORE, verdict, sentence)
    for name, method in found.methods.items():
        expected = metrics.eventwise(flags(*LABELLED) > 0, method.events)
        assert method.accuracy[:5] == expected[:5], name
    assert found.tests[rivals.PCA].p_value == pytest.approx(
        anomalies.paired_test(
            flags(*LABELLED) > 0, found.methods["LSTM"].events, found.methods[rivals.PCA].events
        ).p_value
    )


def test_other_sentences_by_labels(compare):
    labels = flags(*LABELLED)
    found = compare(flags(10), flags(*LABELLED[4:9]), labels=labels)
    assert found.sentence.startswith("A robust z-score may be better than the LSTM: F1 by events 0")
    assert found.sentence.endswith("no significant difference, p = 0.22).")
    found = compare(flags(150), NONE, labels=labels)
    assert found.sentence == (
        "No simple method finds a labelled event, nor does the LSTM (0 of 10 labelled events and 1 "
        "false one, against 0 of 10 labelled events and no false ones by a robust z-score)."
    )
    found = compare(flags(10), flags(10), labels=NONE)  # which mark no row
    assert (found.verdict, found.tests) == ("not known without labels", {})


THREE = flags(20, 60, 100)
OVERLAPS = {
    "all": ([THREE], "All 3 events are also found by a robust z-score: a simple method is enough"),
    "one, all": (
        [flags(60, rows=3)],
        "The event is also found by a robust z-score: a simple method is enough here.",
    ),
    "all and others": (
        [flags(20, 60, 100, 140, 180)],
        "All 3 events are also found by a robust z-score, which finds 2 others and flags 2.5% of "
        "the rows (the LSTM 1.5%): which method is right is not known without labels.",
    ),
    "every row": (
        [flags(0, rows=ROWS)],
        "All 3 events are also found by a robust z-score, which flags 100% of the rows (the LSTM "
        "1.5%): which",
    ),
    "some": (
        [flags(150), flags(20, 60)],
        "A PCA of windows also finds 2 of the LSTM's 3 events, and no simple method finds the "
        "other one: which",
    ),
    "one": (
        [flags(20)],
        "A robust z-score also finds 1 of the LSTM's 3 events, and no simple method finds the "
        "others: which",
    ),
    "together": (
        [flags(20, 60), flags(100)],
        "A robust z-score also finds 2 of the LSTM's 3 events, and other simple methods find the "
        "rest: which",
    ),
    "none": ([flags(0)], "No simple method finds any of the LSTM's 3 events: which method"),
    "some rows of many": (
        [flags(0, 20, 60, 100, rows=9)],  # a fifth of the rows, of which three are the LSTM's
        "All 3 events are also found by a robust z-score, which finds 1 other and flags 18% of the "
        "rows (the LSTM 1.5%): which",
    ),
}


@pytest.mark.parametrize(("others", "sentence"), OVERLAPS.values(), ids=OVERLAPS)
def test_the_sentence_without_labels(others, sentence, compare):
    ours = flags(61) if sentence.startswith("The event") else THREE
    found = compare(ours, *others)
    assert found.sentence.startswith(sentence)
    assert found.verdict == "not known without labels"


def test_the_simplest_rival_of_equal_ones_is_named(compare):
    assert compare(THREE, THREE, THREE).best == rivals.ZSCORE
    assert compare(THREE, flags(20, 60, 100, 140), THREE).best == rivals.PCA


def test_long_events_are_the_same_if_half_of_their_rows_are(compare):
    long = flags(50, rows=60)
    found = compare(long, flags(0, rows=ROWS), flags(50, rows=100))
    assert found.sentence == (
        "The event is also found by a PCA of windows: a simple method is enough here."
    )
    found = compare(long, flags(40, rows=140), flags(30, rows=150))
    assert found.best == rivals.ZSCORE  # which flags fewer rows
    assert "which flags 70% of the rows (the LSTM 30%): which method is right" in found.sentence
    both = compare(flags(20, 60), flags(20, 60))
    assert both.sentence.startswith("Both events are also found by a robust z-score: a simple")


def test_sentences_without_events(compare):
    assert compare(NONE, NONE).sentence == "No method finds an event."
    assert compare(NONE, flags(3), NONE, flags(3, 9)).sentence == (
        "The LSTM finds no event, a robust z-score finds 1 and an isolation forest finds 2."
    )


# As a table, and in the report.


def test_the_line_of_a_rival_is_raised_in_its_events(compare):
    found = compare(THREE, flags(20, 140, rows=4), flags(60))
    panel = rival_report.panel(found)
    assert [curve.name for curve in panel.curves] == list(found.rivals)
    for curve, method in zip(panel.curves, found.rivals.values(), strict=True):
        raised = curve.values > curve.values.min()
        np.testing.assert_array_equal(raised, anomalies.flags_of(method.events, ROWS))
    assert panel.curves[0].values.max() < panel.curves[1].values.min()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_has_a_row_for_each_method(library, compare):
    pytest.importorskip(library)
    found = compare(flags(10, 20), flags(10, 150, rows=3), labels=flags(*LABELLED))
    frame = found.to_frame(library)
    columns = {name: list(frame[name]) for name in frame.columns}
    assert columns["method"] == ["LSTM", rivals.ZSCORE]
    assert (columns["events"], columns["shared"], columns["others"]) == ([2, 2], [2, 1], [0, 1])
    assert columns["flagged"] == [2 / ROWS, 6 / ROWS]
    assert (columns["precision"], columns["recall"]) == ([1, 0.5], [0.2, 0.1])
    assert np.isnan(columns["p_value"][0])
    assert columns["p_value"][1] == found.tests[rivals.ZSCORE].p_value
    assert "f1" not in compare(flags(10), flags(10)).to_frame(library).columns


def test_it_prints_as_a_table_and_a_sentence(compare):
    found = compare(THREE, flags(20, 140))
    for text in (repr(found), found._repr_html_()):
        assert "robust z-score" in text
        assert "others" in text
        assert "also finds 1 of the LSTM" in text
    assert repr(found).splitlines()[2].split() == ["LSTM", "3", "1.50", "3", "0"]
    labelled = compare(THREE, flags(20, 140), labels=THREE)
    line = repr(labelled).splitlines()[3].split()
    assert line == ["robust", "z-score", "2", "1.00", "0.500", "0.333", "0.400"]
