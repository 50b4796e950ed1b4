"""`--train-until` and `--test-from`: where training ends, by a time or the number of a row."""

import re

import numpy as np
import pytest
from command import call

import lstmcore as lc
from lstmcore.apps.forecasting import report

pytestmark = pytest.mark.usefixtures("no_training", "plain")
SMALL = ("--window", 4, "--units", 2, "--epochs", 1)
HOURS = 24 * 10


@pytest.fixture
def plain(monkeypatch):
    """No pictures or pages are drawn, which takes time."""
    monkeypatch.setattr(report, "_figures", lambda _: {})
    monkeypatch.setattr("lstmcore.apps.anomalies.report.parts", lambda *_: [])
    monkeypatch.setattr("lstmcore.apps.report.page.write", lambda *_: None)


@pytest.fixture
def table(tmp_path):
    times = np.datetime64("2024-02-25", "h") + np.arange(HOURS)
    load = np.round(np.sin(np.arange(HOURS) / 4) + np.arange(HOURS) % 7, 3)
    rows = [f"{time}:00,{value}" for time, value in zip(times, load, strict=True)]
    path = tmp_path / "load.csv"
    path.write_text("\n".join(["time,load", *rows]) + "\n")
    return path


def forecast(table, *options):
    return call("forecast", table, *SMALL, "--horizon", 2, *options, "-o", table.parent / "run")


def anomalies(table, *options):
    return call("anomalies", table, *SMALL, *options, "-o", table.parent / "run")


@pytest.mark.parametrize(
    ("options", "start"),
    [
        (["--test-from", "2024-03-03"], 24 * 7),
        (["--test-from", "2024-03-03 06:00"], 24 * 7 + 6),
        (["--test-from", "2024-03"], 24 * 5),
        (["--test-from", 200], 200),
        (["--train-until", "2024-03-03"], 24 * 8),  # the whole day
        (["--train-until", "2024-03-03T05:00"], 24 * 7 + 6),
        (["--train-until", "2024-02"], 24 * 5),
        (["--train-until", 199], 200),
        (["--test", 40], 200),
    ],
)
def test_where_the_test_part_of_a_forecast_begins(options, start, table):
    run = forecast(table, *options)
    assert run.exit_code == 0, run.text
    trained = lc.forecasting.Trained.load(run.folder)
    assert trained.split.test == slice(start, HOURS)
    assert trained.settings.test == HOURS - start
    assert int(run.rows("test.csv")[0]["first_row"]) == start


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (["--train-until", "2024-02-29"], 24 * 5),
        (["--train-until", "2024-03-01 00:00"], 24 * 5 + 1),
        (["--train-until", 99], 100),
        ([], HOURS // 2),
    ],
)
def test_where_the_training_of_a_detector_ends(options, rows, table):
    run = anomalies(table, *options)
    assert run.exit_code == 0, run.text
    assert run.settings()["trained_rows"] == rows
    assert len(lc.anomalies.Detector.load(run.folder).training_errors) == rows


WRONG = {
    "after the table": (["--test-from", "2025-01-01"], "2025-01-01 is after the rows of the table"),
    "before the table": (["--train-until", "2023-06"], "2023-06 is before the rows of the table"),
    "no time": (["--test-from", "noon"], "'noon' is neither a time as in the table, such as 2024"),
    "no row": (["--test-from", 240], "nor the number of one of 240 rows, counted from 0"),
    "nothing to train on": (["--test-from", 0], "--test-from 0 leaves none of 240 rows to train"),
    "nothing to test": (["--train-until", 239], "leaves none of 240 rows for the test part"),
    "too few before": (
        ["--test-from", "2024-02-26"],
        "--test-from 2024-02-26 is row 24 of 240, counted from 0: .* leave none of 240 rows to",
    ),
    "too few after": (["--train-until", 238], "the test part has 1 row, but --horizon is 2"),
    "two of them": (
        ["--train-until", 99, "--test-from", 100],
        "--test, --train-until and --test-from all say where the test part begins: give one of",
    ),
    "a fraction as well": (["--test-from", 200, "--test", 0.2], "give one of them"),
    "neither fraction nor rows": (["--test", 1.5], "test must be a fraction of the rows, .*, got"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_what_no_forecast_can_be_made_with(options, message, table):
    run = forecast(table, *options)
    assert run.exit_code == 1
    assert re.search(message, run.text), run.text
    assert not run.folder.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--train-until", "2025"], "not a time of the table, nor the number of one of"),
        (
            ["--train-until", 9, "--train-fraction", 0.3],
            "both say which rows to train on: give only one of them",
        ),
        (["--train-until", 9, "--train", "load.csv"], "--train and --train-until both say which"),
        (["--train-until", 2], "values has 3 rows"),
    ],
)
def test_what_no_detector_can_be_trained_with(options, message, table):
    run = anomalies(table, *options)
    assert run.exit_code == 1
    assert message in run.text
    assert not run.folder.exists()


def test_nothing_is_chosen_by_validation_rows(tmp_path):
    """As in Python: of 60 rows, 25 are for validation, too many to see a season in the rest."""
    values = np.round(5 * np.sin(np.arange(60) * np.pi / 3), 3)
    path = tmp_path / "load.csv"
    path.write_text("\n".join(["load", *map(str, values)]) + "\n")
    run = call("anomalies", path, "--train-fraction", 1, "--units", 2, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    settings = lc.anomalies.Settings(units=2)
    expected = lc.anomalies.train(values, settings).settings.season
    assert run.settings()["settings"]["season"] == expected is None
