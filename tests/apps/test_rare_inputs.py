"""Inputs and results that applications rarely meet."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from detectors import table, untrained

import lstmcore as lc
from lstmcore import anomalies, forecasting, series
from lstmcore.apps.anomalies import OnlineDetector, report
from lstmcore.apps.anomalies.detection import DetectionResult
from lstmcore.apps.forecasting.evaluation import scores_of
from lstmcore.apps.report import series_data
from lstmcore.apps.translation import Translator, read_pairs
from lstmcore.io.tensors import read_tensors, write_tensors

ROWS = 700
PREDICTION = anomalies.Settings(method="prediction", window=4, units=3)


@pytest.fixture(scope="module")
def detector():
    values = table(ROWS)
    found = untrained(PREDICTION, values)
    return replace(found, training_errors=found.errors(values), validation_start=600)


def test_a_threshold_of_peaks(detector):
    pytest.importorskip("scipy")
    result = anomalies.detect(detector, table(ROWS), threshold="peaks", level=0.001)
    normal = result.score(detector.training_errors)
    assert result.threshold == anomalies.thresholds.peaks_over_threshold(normal, 0.001)


def test_an_online_detector_names_itself(detector):
    text = repr(OnlineDetector.of(detector, 1.5))
    assert text.startswith("OnlineDetector(Detector(")
    assert text.endswith("threshold=1.5, read=0)")


def test_a_state_of_nan_is_damaged(detector, tmp_path):
    online, path = OnlineDetector.of(detector, 1.0), tmp_path / "state"
    online.save(path)
    metadata, arrays = read_tensors(path)
    name = next(name for name in arrays if name.endswith("/h"))
    write_tensors(path, arrays | {name: np.full_like(arrays[name], np.nan)}, metadata)
    with pytest.raises(ValueError, match=f"state is damaged.*: {name} holds NaN, which no state"):
        online.resume(path)


def test_a_cell_too_long_for_a_csv_file_of_pairs(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(f"one,eins\n{'two' * 50_000},zwei\n")
    with pytest.raises(ValueError, match=r"pairs.csv, line 2: field larger than field limit"):
        read_pairs(path)


def test_a_beam_search_for_a_translation():
    vocabularies = [lc.Vocabulary.of([text], "word") for text in ("one two", "eins zwei")]
    model = lc.Seq2Seq(*(one.size for one in vocabularies), 2, embedding=2)
    translator = Translator(model, model.init(jax.random.key(0)), *vocabularies, 3)
    ids = np.array([vocabularies[0].encode("one two")])
    state, _ = model.encode(translator.params, ids)
    found = lc.beam_search(
        model.step, translator.params, state, width=2, max_length=3, length_penalty=0.6
    )
    expected = vocabularies[1].decode(np.asarray(found.tokens)[0, 0])
    assert translator.translate(["one two"], width=2) == [expected]


def test_a_backtest_is_a_report():
    actual = np.arange(6.0).reshape(2, 3, 1)
    forecasts = {"model": actual + 1, "naive": actual - 2}
    scores = {name: scores_of(actual, one, 1.0) for name, one in forecasts.items()}
    by_fold = {name: type(one)(*(np.stack([part] * 2) for part in one))
               for name, one in scores.items()}  # fmt: skip
    result = forecasting.Backtest(
        np.array([10, 13]), ("load",), actual, forecasts, by_fold, scores, None, None
    )
    text = str(result)
    assert text.startswith("load: 2 folds, horizon 3")
    assert text.splitlines()[-1].split() == ["13", "1", "2"]


# Reports.


def test_a_report_of_many_columns_rows_and_events(monkeypatch):
    """Each figure and table shows the first, and says so."""
    monkeypatch.setattr(report, "SHOWN_GATES", 1)
    values = table(4100, features=7)
    detector = untrained(PREDICTION, values)
    scores = np.arange(4100) % 13 / 6.0
    limit = anomalies.thresholds.Threshold(1.9, "maximum")
    found = anomalies.events(scores, limit)
    result = DetectionResult(scores, np.full(values.shape, 1 / 7), limit, found, np.mean)
    columns = tuple("abcdefg")
    data = report.ReportData(
        "t.csv", series.Table(columns, values, range(4100)), detector, result, None, ()
    )
    html = " ".join(report.parts(data, values))
    for sentence in (
        "Of 7 columns 6 are drawn",
        "The lines are drawn by their lowest and highest points",
        f"Of {len(found)} events 300 are marked",
        f"The 100 most anomalous; {len(found) - 100} more are in events.csv",
    ):
        assert sentence in html
    _, caption = report.series_figure(data, values)  # as of several series, which have no gates
    assert "in full around the most anomalous events; all rows are in scores.csv" in caption
    assert "gates" not in caption


def test_a_panel_without_a_number_has_no_limits():
    curve = series_data.Curve("load", np.arange(3), np.full(3, np.nan), "#000000")
    assert series_data.limits(series_data.Panel("load", [curve]), 0, 3) is None
