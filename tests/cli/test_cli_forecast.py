"""`lstmcore forecast`: what it leaves is what Python gives, and mistakes cost a sentence each."""

import html
import json
import re
import signal

import jax
import numpy as np
import pytest
from browsing import assert_sound, open_file
from command import Run, call
from hypothesis import given
from hypothesis import strategies as st
from interrupted import interrupt
from matplotlib import pyplot
from report_page import figures_in, lines_of

import lstmcore as lc
from lstmcore import reference
from lstmcore.apps.forecasting import report, rivals
from lstmcore.apps.forecasting.comparison import Comparison
from lstmcore.apps.forecasting.verdict import shortcomings, summary
from lstmcore.io.staging import CHECKPOINT, staging_of
from lstmcore.series import Preprocessing

FILES = {
    "model.safetensors", "forecast.json", "settings.json", "history.csv", "forecast.csv",
    "test.csv", "errors.csv", "backtest.csv", "forecast.png", "lag_check.png", "loss.png",
    "report.html", "checkpoint.safetensors", "manifest.json",
}  # fmt: skip

# The smallest model and the fewest batches: what costs time here is compiling.
SMALL = ("--window", 4, "--horizon", 2, "--units", 2, "--epochs", 2, "--batch-size", 512)
NAMES = ("load", "<b>t$^</b>")
ROWS = 160


def values(seed=0, rows=ROWS):
    noise = np.random.default_rng(seed).normal(size=(rows, 2))
    return np.round(np.sin(np.arange(rows) / 3)[:, None] * [5, 1] + noise * [0.3, 1], 3)


def days(rows=ROWS, first="2024-01-01"):
    return (np.datetime64(first) + np.arange(rows).astype("m8[D]")).astype(str).tolist()


def lines(table, names=NAMES, labels=None):
    """CSV; NaN is an empty cell."""
    cells = [["" if x != x else repr(float(x)) for x in row] for row in np.asarray(table)]
    labels = days(len(cells)) if labels is None else labels
    rows = [["date", *names], *([label, *row] for label, row in zip(labels, cells, strict=True))]
    return "".join(",".join(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Run:
    """One run with all that a folder may hold."""
    folder = tmp_path_factory.mktemp("run")
    path = folder / 'my "<i>table\'s", é.csv'
    path.write_text(lines(values()), encoding="utf-8")
    more = ("--season", 7, "--test", 0.2, "--quantiles", "--folds", 2)
    run = call("forecast", path, *SMALL, *more, "-o", folder / "new" / "folder")
    assert run.exit_code == 0, run.text
    return run


@pytest.fixture(scope="module")
def trained(made) -> lc.forecasting.Trained:
    return lc.forecasting.Trained.load(made.folder)


@pytest.fixture
def plain_report(monkeypatch):
    """Pictures and pages take time, and `made` has them."""
    monkeypatch.setattr(report, "_figures", lambda _: {})
    monkeypatch.setattr("lstmcore.apps.report.page.write", lambda *_: None)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(lines(values()), encoding="utf-8")
    return path


def floats(run, name, *headings):
    return np.array(
        [[float(row[h]) if row[h] else np.nan for h in headings] for row in run.rows(name)]
    )


# What it leaves behind.


def test_everything_promised_is_written(made):
    assert made.files() == FILES
    assert made.files() <= set(re.findall(r"[\w.]+", made.text))  # and said so


def test_it_is_what_python_trains(made, trained):
    settings = lc.forecasting.Settings(
        window=4, horizon=2, units=2, epochs=2, batch_size=512, season=7, test=0.2,
        quantiles=(0.1, 0.5, 0.9), preprocessing=Preprocessing("forward"),
    )  # fmt: skip
    again = lc.forecasting.train(values(), NAMES, settings)
    assert trained.settings == again.settings
    assert jax.tree.all(jax.tree.map(np.array_equal, trained.params, again.params))
    np.testing.assert_allclose(made.column("history.csv", "loss")[:, 0], again.history["loss"])
    folds = lc.forecasting.backtest(values(), NAMES, settings, 2)
    errors = np.array([list(row[2:]) for row in report.error_rows(NAMES, folds.scores)])
    np.testing.assert_allclose(floats(made, "backtest.csv", *report.ERRORS), errors, rtol=1e-6)


def test_the_errors_are_those_of_python(made, trained):
    scores = trained.evaluate(values()).scores
    told = [(row["target"], row["forecast"]) for row in made.rows("errors.csv")]
    assert told == [(target, name) for target in NAMES for name in scores]
    errors = floats(made, "errors.csv", *report.ERRORS).reshape(2, 5, 4)
    for place, name in enumerate(scores):
        np.testing.assert_allclose(errors[:, place].T, scores[name], rtol=1e-6)


def test_the_forecast_is_that_of_python(made, trained):
    told = trained.forecast(values())
    rows = made.rows("forecast.csv")
    ahead = days(2, "2024-06-09")  # the day after the last
    assert [(row["date"], row["target"]) for row in rows] == [(d, n) for d in ahead for n in NAMES]
    expected = [end[0] for end in (told.point, *told.interval(0.8))]
    numbers = floats(made, "forecast.csv", "forecast", "low", "high")
    np.testing.assert_allclose(numbers, np.stack(expected, -1).reshape(4, 3), rtol=1e-6)


def test_the_test_part_is_that_of_python(made, trained):
    found = trained.evaluate(values())
    rows = made.rows("test.csv")
    assert [int(row["first_row"]) for row in rows[::4]] == list(range(128, 159, 2))
    assert [row["date"] for row in rows[:4]] == [days()[128]] * 2 + [days()[129]] * 2
    actual, forecast = (floats(made, "test.csv", name)[:, 0] for name in ("actual", "forecast"))
    np.testing.assert_allclose(actual, values()[128:].ravel())
    np.testing.assert_allclose(forecast, found.forecast.point[::2].ravel(), rtol=1e-6)
    for name, baseline in found.baselines.items():
        np.testing.assert_allclose(floats(made, "test.csv", name)[:, 0], baseline[::2].ravel())


def test_the_settings_tell_how_it_was_made(made):
    told = made.settings()
    assert told["lstmcore"] == lc.__version__
    assert {"jax", "numpy", "python"} < set(told)
    assert told["columns"] == list(NAMES)
    assert (told["rows"], told["interval"]) == (ROWS, "1 day")
    assert told["source"].endswith('my "<i>table\'s", é.csv')


def test_the_model_runs_without_jax(made, trained):
    apply, params = reference.load(made.folder / "model.safetensors")
    past = np.zeros((1, trained.settings.rows_read, 2), np.float32)
    assert apply(params, past)[0].shape == (1, 2, 2, 3)


def test_the_figures_show_something(made):
    for path in made.folder.glob("*.png"):
        assert pyplot.imread(path)[..., :3].std() > 0.01


def words_of(run):
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_the_terminal_and_the_page_say_the_same(made, trained):
    words = words_of(made)
    for sentence in summary(trained.evaluate(values())):
        assert " ".join(sentence.split()) in made.text
        assert sentence.replace("<b>", "&lt;b&gt;").replace("</b>", "&lt;/b&gt;") in words
    assert words.count('<tr><td class="word">load</td>') == 10  # errors, and those of the folds
    headings = re.findall("<h2>(.*?)</h2>", words)
    assert headings == ["How good it is", "The forecast", "The data", "Backtest",
                        "How to read the errors", "Lag check", "The gates"]  # fmt: skip
    assert "160 rows of load, &lt;b&gt;t$^&lt;/b&gt;, one every day" in words


def test_names_are_not_taken_for_html(made):
    words = words_of(made)
    assert "<title>Forecast of my &quot;&lt;i&gt;table&#x27;s&quot;, é.csv</title>" in words
    assert "<b>" not in words
    assert "<i>" not in words


def test_the_page_has_every_row_of_the_test_part_and_the_lines_of_all_rivals(made, trained):
    found = trained.evaluate(values())
    figure = figures_in(made.folder / "report.html")[0]
    shown = {entry["name"]: entry["shown"] for entry in figure["legend"]}
    assert [view["name"] for view in figure["views"]] == ["the test part", "all rows"]
    for place in range(2):
        lines = lines_of(figure, ("y", "y2")[place])
        for name, points in (
            ("forecast in the test part", found.forecast.point),
            *found.baselines.items(),
        ):
            assert [x[:10] for x in lines[name]["x"]] == days()[128:]
            np.testing.assert_allclose(lines[name]["y"], points[::2, :, place].ravel(), rtol=1e-6)
        assert shown[found.comparisons[NAMES[place]].rival]


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 99))
def test_each_row_of_a_test_part_has_one_forecast_on_the_page(forecasts, horizon, first):
    origins, empty = first + np.arange(forecasts), np.zeros((forecasts, horizon, 1))
    forecast = lc.forecasting.Forecast(origins, ("load",), empty)
    found = lc.forecasting.Evaluation(empty, forecast, {}, {}, {}, {}, None, None, None)
    numbers, steps = report.covering(found)
    rows = np.arange(first, first + forecasts - 1 + horizon)
    np.testing.assert_array_equal(origins[numbers] + steps, rows)


def test_a_forecast_is_dimmed_where_its_verdict_is_bad(made, trained):
    bad = shortcomings(trained.evaluate(values()))
    assert bad  # two epochs make no forecaster
    figure, words = figures_in(made.folder / "report.html")[0], words_of(made)
    for place, name in enumerate(NAMES):
        lines = lines_of(figure, ("y", "y2")[place])
        for line in ("forecast in the test part", "forecast"):
            assert (lines[line]["opacity"] < 1) == (name in bad)
        assert lines["data"]["opacity"] == 1
        assert (f"{html.escape(name)} {bad.get(name)}" in words) == (name in bad)
    assert "Forecasts that are no better than a simple one are dimmed: " in words


def test_a_forecast_that_beats_its_rivals_is_not_dimmed(trained):
    found = trained.evaluate(values())
    better = Comparison(1.0, rivals.NAIVE, 2.0, 4, 0.001, 30)
    good = found._replace(comparisons=dict.fromkeys(NAMES, better), lag=dict.fromkeys(NAMES, ()))
    assert shortcomings(good) == {}
    worse = better._replace(error=3.0)
    assert shortcomings(good._replace(comparisons={"load": worse})) == {
        "load": "is worse than the last value repeated"
    }
    few = better._replace(p_value=np.nan)
    assert shortcomings(good._replace(comparisons={"load": few})) == {}


def test_the_page_draws_in_a_browser_without_a_network(browser, made):
    opened = open_file(browser, made.folder / "report.html", ".main-svg")
    assert opened.locator(".gtitle, .annotation-text").all_text_contents()[:2] == list(NAMES)
    assert opened.locator(".scatterlayer .trace").count() >= 6
    first, last = opened.evaluate("document.querySelector('.plot')._fullLayout.xaxis.range")
    assert (first[:10], last[:10]) == (days()[126], days(1, "2024-06-10")[0])
    assert_sound(opened)


# Options.

HANDLED = {
    "recursive": ["--mode", "recursive"],
    "dropout": ["--dropout", 0.2],
    "dropout and quantiles": ["--dropout", 0.2, "--quantiles"],
    "ensemble": ["--ensemble", 2, "--no-linear"],
    "differences": ["--difference", "1"],
    "one target, no validation part": ["--targets", "load", "--validation", 0],
}


@pytest.mark.thorough
@pytest.mark.usefixtures("plain_report")
@pytest.mark.parametrize("options", HANDLED.values(), ids=HANDLED)
def test_options(options, table, tmp_path):
    run = call("forecast", table, *SMALL, *options, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    trained = lc.forecasting.Trained.load(run.folder)
    targets = trained.targets
    assert targets == (("load",) if "--targets" in options else NAMES)
    drops = options[-1] == 0.2 and trained.uses_lstm
    told = trained.forecast(values(), samples=100 if drops else 0)
    numbers = floats(run, "forecast.csv", "forecast", "low", "high")
    expected = [told.point, *told.interval()]
    expected = np.stack([each[0].ravel() for each in expected], -1)
    np.testing.assert_allclose(numbers, expected, rtol=1e-5, atol=1e-6)
    assert "interval of 80%" in run.text


@pytest.mark.usefixtures("no_training", "plain_report")
def test_columns_known_in_advance(table, tmp_path):
    """Rows with these alone come after the last that is known."""
    whole = values()
    whole[-2:, 0] = np.nan
    table.write_text(lines(whole, ("load", "plan")))
    run = call("forecast", table, *SMALL, "--future-covariates", "plan", "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert [row["date"] for row in run.rows("forecast.csv")] == days()[-2:]
    trained = lc.forecasting.Trained.load(run.folder)
    told = trained.forecast(whole[:-2], future=whole[-2:, 1:])
    numbers = floats(run, "forecast.csv", "forecast")
    np.testing.assert_allclose(numbers[:, 0], told.point.ravel(), rtol=1e-5)
    assert run.settings()["rows"] == ROWS - 2


@pytest.mark.parametrize("command", ["forecast", "anomalies"])
def test_help_explains_each_option(command):
    run = call(command, "--help")
    assert run.exit_code == 0
    options = re.findall(r"(--[a-z-]+) +(?:[A-Z]+|<\S+>) +(\S+ \S+)", run.text)
    assert len(options) >= 20
    assert "The output folder receives report.html" in run.text


@pytest.mark.usefixtures("no_training")
def test_columns_that_are_not_known_ahead_leave_no_forecast(table, tmp_path):
    """The page is made all the same, gates among them."""
    whole = values()
    whole[-1, 0] = np.nan
    table.write_text(lines(whole, ("load", "plan")))
    run = call("forecast", table, *SMALL, "--future-covariates", "plan", "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert "plan must be known for the 2 rows after it, and 1 are there" in run.text
    assert not {"forecast.csv", "forecast.png"} & run.files()
    assert "<h2>The gates</h2>" in words_of(run)


@pytest.mark.usefixtures("no_training")
def test_columns_that_are_known_for_longer_than_the_horizon(table, tmp_path):
    whole = values()
    whole[-5:, 0] = np.nan
    table.write_text(lines(whole, ("load", "plan")))
    run = call("forecast", table, *SMALL, "--future-covariates", "plan", "-o", tmp_path / "run")
    said = "plan is known for 5 rows after the last, of which the first 2 are forecast (--horizon)"
    assert said in " ".join(run.text.split())


@pytest.mark.usefixtures("no_training")
def test_a_column_of_zeros_and_ones_may_be_known_in_advance(table, tmp_path):
    whole = values()
    whole[:, 1] = np.arange(len(whole)) % 7 == 0
    table.write_text(lines(whole, ("load", "holiday")))
    run = call("forecast", table, *SMALL, "-o", tmp_path / "run")
    said = " ".join(run.text.split())
    assert "holiday holds 0 and 1 alone and is forecast as well: if known in advance" in said


@pytest.mark.usefixtures("no_training")
def test_without_a_test_part_there_are_a_forecast_and_no_errors(table, tmp_path):
    table.write_text(lines(values()))
    run = call("forecast", table, *SMALL, "--test", 0, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert (
        "trained on the 136 rows up to 2024-05-15; validated on those up to 2024-06-08" in run.text
    )
    assert "without a test part, how good the forecast is remains unknown" in run.text
    assert "forecast.csv" in run.files()
    assert not {"errors.csv", "test.csv", "lag_check.png"} & run.files()
    assert "<h2>The forecast</h2>" in words_of(run)


# Tables that are not as one wishes.


def missing_at_the_end():
    table = values()
    table[-3:, 0] = np.nan
    return table


def never_a_value_again():
    table = values()
    table[ROWS // 2 :, 0] = np.nan
    return table


def constant():
    table = values()
    table[:, 0] = 5
    return table


def line():
    table = values()
    table[:, 0] = 3 * np.arange(ROWS)
    return table


def drifting():
    return values() + np.arange(ROWS)[:, None]


HARD = {
    "NaN at the end": (missing_at_the_end, [], "load: 3 of 160 values missing .*filled with the"),
    "NaN from the middle on": (never_a_value_again, [], "load: the test part holds no value of it"),
    "constant": (constant, [], "load never changes in the training part: there is nothing"),
    "all but constant": (line, ["--difference", 1], "load never changes .* once differences are"),
    "drift": (
        drifting,
        [],
        "load is outside its range in the training part in .* has not been trained",
    ),
}


@pytest.mark.usefixtures("no_training", "plain_report")
@pytest.mark.parametrize(("make", "options", "note"), HARD.values(), ids=HARD)
def test_hard_tables(make, options, note, table, tmp_path):
    table.write_text(lines(make()))
    run = call("forecast", table, *SMALL, *options, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert re.search(note, run.text), run.text
    assert "nan" not in run.text
    assert np.isfinite(floats(run, "forecast.csv", "forecast")).all()


@pytest.mark.usefixtures("no_training", "plain_report")
def test_rows_left_out_in_time(table, tmp_path):
    kept = [row for row in range(ROWS) if row not in (40, 41)]
    labels = [days()[row] for row in kept]
    table.write_text(lines(values()[kept], labels=labels))
    run = call("forecast", table, *SMALL, "-o", tmp_path / "run")
    assert "160 rows of load" in run.text
    assert "the times skip 2 rows, which are added as missing" in run.text
    assert run.rows("forecast.csv")[0]["date"] == "2024-06-09"


@pytest.mark.usefixtures("no_training", "plain_report")
def test_words_that_name_several_rows_are_no_times(table, tmp_path):
    text = lines(values(), labels=["here", "there"] * (ROWS // 2))
    table.write_text(text.replace("date", "place"))
    run = call("forecast", table, *SMALL, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert [row["row"] for row in run.rows("forecast.csv")][::2] == ["160", "161"]


# Mistakes: a sentence, and nothing left behind. They are found before training.


def with_cell(row, cell):
    text = lines(values()).splitlines()
    first, _, last = text[1 + row].split(",")
    text[1 + row] = f"{first},{cell},{last}"
    return "\n".join(text)


def with_labels(change):
    labels = days()
    change(labels)
    return lines(values(), labels=labels)


def swap(labels):
    labels[40], labels[41] = labels[41], labels[40]


TABLES = {
    "empty": ("", "table.csv is empty"),
    "header alone": ("date,load\n", "has column names but no rows"),
    "one row": (lines(values(rows=1)), "validation 0.15 and test 0.15 leave none of 1 row to"),
    "eight rows": (lines(values(rows=8)), "the validation part has 1 row, but the horizon is 2"),
    "no value at first": (with_cell(0, ""), "'load': no value in the first 1 row, and none before"),
    "infinity": (with_cell(40, "inf"), "line 42, column 'load': inf is not finite"),
    "a word": (with_cell(40, "word"), "line 42, column 'load': 'word' is not a number"),
    "huge": (with_cell(40, "1e300"), "'load': 1e[+]300 at 2024-02-10 is too large to compute with"),
    "huge, later": (with_cell(150, "1e300"), "1e[+]300 at 2024-05-30 is too large"),
    "too far": (with_cell(150, "1e100"), "'load': 1e[+]100 at 2024-05-30 is too far from the"),
    "one time twice": (
        with_labels(lambda labels: labels.__setitem__(40, labels[39])),
        "line 42, column 'date': 2024-02-09 has the same time .* --duplicates mean",
    ),
    "unsorted": (with_labels(swap), "line 43, column 'date': .* comes before .* --sort"),
    "irregular": (
        with_labels(lambda labels: labels.__setitem__(40, "2024-02-10T05:00")),
        "but rows are usually 1 day apart",
    ),
}
OPTIONS = {
    "unknown option": (["--sorcery"], "No such option.*--sorcery"),
    "unknown choice": (["--mode", "both"], "'both' is not one of 'direct', 'recursive'"),
    "units": (["--units", "a"], "'a' is not a list of sizes"),
    "difference": (["--difference", "0"], "difference must be at least 1"),
    "horizon 0": (["--horizon", 0], "horizon must be at least 1, got 0"),
    "horizon": (["--horizon", 20, "--test", 0.1], "the test part has 16 rows, but --horizon is 20"),
    "window": (["--window", 500], "one window of 500 rows and a horizon of 2 need 502"),
    "season": (["--season", 500], "season is 500 rows, but the training part has 112: use a"),
    "folds": (["--folds", 100], "100 forecasts of 2 rows after at least 6 rows need 206 rows"),
    "negative folds": (["--folds", -1], "--folds must be at least 0, got -1"),
    "targets": (["--targets", "wind"], "targets names 'wind' but the columns are load"),
    "future_covariates": (["--future-covariates", "wind"],
    "covariates names 'wind' but the columns are load"), "known target": (["--future-covariates",
    "load", "--targets", "load"], "'load' is among targets and future_covariates"), "all known":
    (["--future-covariates", ",".join(NAMES)], "all columns are future covariates"),
    "recursive quantiles": (["--mode", "recursive", "--quantiles"], "or dropout and samples"),
    "no such column": (["--columns", "wind"], "has no column 'wind'"), "no such time": (["--time",
    "when"], "has no column 'when'"), "seed": (["--seed", -1], "seed must be at least 0, got -1"),
    "learning rate": (["--learning-rate", "nan"], "learning_rate must be a positive number"),
    "diverged": (
        ["--learning-rate", 1e30, "--epochs", 9],
        "training diverged in epoch .: lower --learning-rate",
    ),
}  # fmt: skip


def assert_refused(run, message):
    assert run.exit_code in (1, 2)
    assert re.search(rf"[Ee]rror\W.*{message}", run.text), run.text
    assert not run.folder.exists()


@pytest.mark.parametrize(("text", "message"), TABLES.values(), ids=TABLES)
def test_bad_tables(text, message, table, tmp_path):
    table.write_text(text)
    assert_refused(call("forecast", table, *SMALL, "-o", tmp_path / "run"), message)


@pytest.mark.parametrize(("options", "message"), OPTIONS.values(), ids=OPTIONS)
def test_bad_options(options, message, table, tmp_path):
    assert_refused(call("forecast", table, *SMALL, *options, "-o", tmp_path / "run"), message)


def test_missing_values_that_are_refused(table, tmp_path):
    table.write_text(with_cell(50, "NA"))
    run = call("forecast", table, *SMALL, "--missing", "refuse", "-o", tmp_path / "run")
    assert_refused(
        run, "column 'load': 1 value missing, the first at 2024-02-20; --missing forward"
    )


def test_the_table_is_never_overwritten(table):
    table = table.rename(table.with_name("forecast.csv"))
    run = call("forecast", table, *SMALL, "-o", table.parent)
    assert "holds forecast.csv, which lstmcore did not write" in run.text
    assert table.read_text() == lines(values())


# Runs that end early.


@pytest.mark.thorough
@pytest.mark.usefixtures("plain_report")
def test_a_killed_run_goes_on_as_if_it_had_not_been(table, tmp_path):
    command = ["forecast", table, *SMALL, "--epochs", 60, "--patience", 0]
    status, _ = interrupt(signal.SIGKILL, *command, "-o", tmp_path / "killed")
    assert status == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    assert (staging_of(tmp_path / "killed") / CHECKPOINT).exists()
    killed, whole = (
        call(*command, *options, "-o", tmp_path / name)
        for name, options in (("killed", ["--resume"]), ("whole", []))
    )
    assert killed.exit_code == whole.exit_code == 0, killed.text + whole.text
    assert killed.files() == whole.files()
    for name in ("history.csv", "errors.csv", "forecast.csv", "model.safetensors"):
        assert (killed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


@pytest.mark.thorough
@pytest.mark.usefixtures("plain_report")
def test_a_failure_after_training_tells_where_the_training_is(table, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(report, "write", fail)
    run = call("forecast", table, *SMALL, "-o", tmp_path / "run")
    assert run.exit_code == 1
    assert re.search(
        "error: disk full training so far is saved in .* with --resume continues", run.text
    )
    monkeypatch.undo()
    monkeypatch.setattr(lc.forecasting, "backtest", fail)  # is not asked for
    run = call("forecast", table, *SMALL, "--resume", "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert json.loads((run.folder / "forecast.json").read_text())["columns"] == list(NAMES)


def hourly(rows=24 * 21, seed=0):
    """A day that the window of a small model does not hold, with its times."""
    pattern = np.random.default_rng(9).normal(size=24)
    noise = np.random.default_rng(seed).normal(size=rows)
    load = np.tile(pattern, rows // 24 + 1)[:rows] * 5 + 0.3 * noise
    hours = np.datetime64("2024-01-01T00:00") + np.arange(rows).astype("m8[h]")
    times = [text.replace("T", " ") for text in hours.astype(str).tolist()]
    return lines(load[:, None].round(3), ["load"], times), load


def test_the_calendar_of_the_rows_is_read(tmp_path):
    """It is said so; a saved model reads it of another table, and needs its times."""
    path, other, bare = (tmp_path / name for name in ("a.csv", "b.csv", "bare.csv"))
    text, _ = hourly()
    path.write_text(text)
    run = call("forecast", path, *SMALL, "--season", 0, "--output", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert "the calendar, from the times of the rows, is read" in " ".join(run.text.split())
    trained = lc.forecasting.Trained.load(tmp_path / "run")
    assert trained.cycles
    longer, truth = hourly(24 * 21 + 2)
    next_rows = np.loadtxt(tmp_path / "run" / "forecast.csv", delimiter=",", skiprows=1, usecols=2)
    by_python = trained.forecast(lc.series.read_csv(path)).point[0, :, 0]
    np.testing.assert_allclose(next_rows, by_python, rtol=1e-5)
    other.write_text("".join(longer.splitlines(keepends=True)[:1] + longer.splitlines(True)[30:]))
    again = call("forecast", other, "--model", tmp_path / "run", "--output", tmp_path / "again")
    assert again.exit_code == 0, again.text
    bare.write_text("load\n" + "".join(f"{value}\n" for value in truth))
    refused = call("forecast", bare, "--model", tmp_path / "run", "--output", tmp_path / "no")
    assert refused.exit_code == 1
    text = " ".join(refused.text.split())
    assert "has no times, but the model reads the time of the week" in text
