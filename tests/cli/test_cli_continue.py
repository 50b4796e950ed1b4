"""`lstmcore anomalies --model`: a table that goes on where the earlier one ended needs no more."""

import re
import shutil

import numpy as np
import pytest
from command import call

import lstmcore as lc
from lstmcore.apps.anomalies.last_rows import LAST_ROWS
from lstmcore.io import manifest

WINDOW, SEASON, ROWS, DAYS = 6, 7, 140, 200
SMALL = ("--window", WINDOW, "--season", SEASON, "--units", 2, "--epochs", 1, "--no-rivals")
METHODS = {"prediction": (), "reconstruction": ("--method", "reconstruction")}


def values():
    rng = np.random.default_rng(0)
    week = 5 * rng.normal(size=SEASON)[np.arange(DAYS) % SEASON]
    return np.round(week[:, None] + [20, 0] + rng.normal(size=(DAYS, 2)), 3)


def labels():
    return (np.datetime64("2024-01-01") + np.arange(DAYS)).astype(str)


def lines(first, stop, table=None, names=("load", "temp"), dated=True):
    """CSV of some of the days; NaN is an empty cell."""
    table = values() if table is None else table
    cells = [["" if x != x else str(x) for x in row] for row in table[first:stop].tolist()]
    rows = [
        ["date", *names],
        *([day, *row] for day, row in zip(labels()[first:stop], cells, strict=True)),
    ]
    return "\n".join(",".join(row if dated else row[1:]) for row in rows) + "\n"


@pytest.fixture(scope="module", params=METHODS)
def model(request, tmp_path_factory, no_training_in_this_module):
    """The folder of a detector that has seen the first 140 days."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "monday.csv").write_text(lines(0, ROWS))
    run = call(
        "anomalies", folder / "monday.csv", *SMALL, *METHODS[request.param], "-o", folder / "run"
    )
    assert run.exit_code == 0, run.text
    return run.folder


@pytest.fixture
def plain(monkeypatch):
    """No page is drawn, which takes time."""
    monkeypatch.setattr("lstmcore.apps.anomalies.report.parts", lambda *_: [])
    monkeypatch.setattr("lstmcore.apps.report.page.write", lambda *_: None)


@pytest.fixture
def score(tmp_path):
    """Return a function that scores a table by a model, and one that counts the runs."""

    def score(folder, text, *options):
        table = tmp_path / "new.csv"
        table.write_text(text)
        number = len(list(tmp_path.glob("run-*")))
        return call("anomalies", "--model", folder, table, *options, "-o",
                    tmp_path / f"run-{number}")  # fmt: skip

    return score


def scores(run):
    return np.array([float(row["score"] or "nan") for row in run.rows("scores.csv")])


def expected(folder, first, stop, before=True):
    detector = lc.anomalies.Detector.load(folder)
    table = values()
    earlier = table[:first] if before else None
    return lc.anomalies.detect(detector, table[first:stop], before=earlier).scores


def test_one_day_is_scored_and_then_the_next(model, score):
    """Its folder holds a detector that has read one day more. The first is odd, on a page."""
    table = values()
    table[ROWS, 0] += 60
    run = score(model, lines(ROWS, ROWS + 1, table))
    assert run.exit_code == 0, run.text
    said = (
        r"it goes on from \S+monday.csv, which ends at 2024-05-19: (\d+) rows before it are known"
    )
    (kept,) = re.findall(said, run.text)
    assert 5 * SEASON + 10 * WINDOW < int(kept) < ROWS
    assert "without a score" not in run.text
    assert "the first has no score" not in run.text
    assert "Do not rely" not in run.text
    (row,) = run.rows("scores.csv")
    assert row["date"] == "2024-05-20"
    assert row["flagged"] == "1"
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "<h2>The gates around 2024-05-20</h2>" in page
    later = score(run.folder, lines(ROWS + 1, ROWS + 9, table))
    assert later.exit_code == 0, later.text
    assert "new.csv, which ends at 2024-05-20: " in later.text
    detector = lc.anomalies.Detector.load(model)
    python = lc.anomalies.detect(detector, table[ROWS + 1 : ROWS + 9], before=table[: ROWS + 1])
    np.testing.assert_allclose(scores(later), python.scores, rtol=1e-3, atol=1e-4)
    assert later.settings()["trained_on"].endswith("monday.csv")
    assert "was trained on " in later.text


@pytest.mark.usefixtures("plain")
def test_a_gap_is_filled_if_it_is_no_longer_than_a_window(model, score):
    run = score(model, lines(ROWS + WINDOW, DAYS))
    assert run.exit_code == 0, run.text
    assert f"{WINDOW} rows between them are added as missing" in run.text
    assert np.isfinite(scores(run)).all()
    run = score(model, lines(ROWS + WINDOW + 1, DAYS))
    said = (
        f"7 rows are missing between it and {run.settings()['trained_on']}, which ends at "
        "2024-05-19 (at most 6 would be added as missing)"
    )
    assert f"scored anew, without any rows before: {said}" in run.text
    anew = expected(model, ROWS + WINDOW + 1, DAYS, before=False)
    np.testing.assert_allclose(scores(run), anew, rtol=1e-5)
    assert np.isnan(anew[:SEASON]).all()
    run = score(model, lines(ROWS + WINDOW + 1, ROWS + WINDOW + 4))
    assert run.exit_code == 1
    assert "has 3 rows, but the detector reads at least" in run.text
    assert said in run.text


@pytest.mark.usefixtures("plain")
def test_rows_that_both_have_are_scored_again(model, score):
    run = score(model, lines(ROWS - 5, DAYS))
    assert "5 rows that both have are scored again" in run.text
    assert "hold other values" not in run.text
    np.testing.assert_allclose(scores(run), expected(model, ROWS - 5, DAYS), rtol=1e-3, atol=1e-4)
    run = score(model, lines(ROWS - 5, DAYS, values() + 0.01))
    assert "scored again, and 5 of them hold other values now" in run.text


@pytest.mark.usefixtures("plain")
def test_a_missing_value_at_first_is_filled_from_before(model, score):
    table = values()
    table[ROWS, 0] = np.nan
    run = score(model, lines(ROWS, DAYS, table))
    assert run.exit_code == 0, run.text
    detector = lc.anomalies.Detector.load(model)
    python = lc.anomalies.detect(detector, table[ROWS:], before=table[:ROWS])
    np.testing.assert_allclose(scores(run), python.scores, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("plain")
def test_the_user_decides(model, score):
    """Without times the command cannot know."""
    run = score(model, lines(ROWS, DAYS), "--anew")
    assert "goes on" not in run.text
    np.testing.assert_allclose(scores(run), expected(model, ROWS, DAYS, before=False), rtol=1e-5)
    undated = lines(ROWS, DAYS, dated=False)
    run = score(model, undated)
    assert (
        "scored anew, without any rows before: its times do not say whether it goes on" in run.text
    )
    np.testing.assert_allclose(scores(run), expected(model, ROWS, DAYS, before=False), rtol=1e-5)
    run = score(model, undated, "--continue")
    assert "monday.csv, as --continue says" in run.text
    np.testing.assert_allclose(scores(run), expected(model, ROWS, DAYS), rtol=1e-3, atol=1e-4)


def refused(run, text):
    assert run.exit_code == 1
    assert text in " ".join(run.text.split())
    assert not run.folder.exists()


@pytest.mark.usefixtures("plain")
def test_what_cannot_go_on(model, score, tmp_path):
    text = lines(ROWS + 50, DAYS)
    said = "--continue: the table does not go on from there, 50 rows are missing between it and"
    refused(score(model, text, "--continue"), said)
    refused(score(model, text, "--continue", "--id", "date"), "--continue is for one series: leave")
    (tmp_path / "new.csv").write_text(text)
    run = call("anomalies", tmp_path / "new.csv", "--anew", "-o", tmp_path / "run")
    refused(run, "--anew is for a table that a trained model scores: give it with --model")
    saved = tmp_path / "saved"
    lc.anomalies.Detector.load(model).save(saved)
    refused(score(saved, text, "--continue"), f"saved holds no {LAST_ROWS}, as the detector was")
    assert score(saved, lines(ROWS, DAYS)).exit_code == 0
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / LAST_ROWS).write_bytes(b"")
    refused(score(broken, text), "it was changed, comes from another folder")
    assert manifest.first_foreign(model) is None
