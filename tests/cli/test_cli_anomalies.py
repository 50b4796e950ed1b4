"""`lstmcore anomalies`: what it leaves is what Python gives, and mistakes cost a sentence each."""

import html
import re
import signal

import jax
import numpy as np
import pytest
from browsing import assert_sound, open_file
from command import Run, call
from interrupted import interrupt
from matplotlib import pyplot
from matplotlib.figure import Figure
from report_page import figures_in, lines_of

import lstmcore as lc
from lstmcore.apps.anomalies import metrics, report
from lstmcore.apps.anomalies.verdict import summary
from lstmcore.io.staging import CHECKPOINT, staging_of
from lstmcore.series import Preprocessing
from lstmcore.study.plots import style

FILES = {
    "model.safetensors", "errors.safetensors", "detector.json", "settings.json", "history.csv",
    "scores.csv", "events.csv", "rivals.csv", "anomalies.png", "loss.png", "report.html",
    "checkpoint.safetensors", "last_rows.safetensors", "manifest.json",
}  # fmt: skip

QUICK = ("--window", 4, "--units", 2, "--epochs", 2, "--batch-size", 512)
SMALL = (*QUICK, "--method", "reconstruction", "--season", 0)
OF_SMALL = lc.anomalies.Settings(
    method="reconstruction",
    season=0,
    window=4,
    units=2,
    epochs=2,
    batch_size=512,
    preprocessing=Preprocessing("forward"),
)
NAMES = ("load", "<b>t$^</b>")
ROWS = 200
ANOMALOUS = slice(150, 154)


def values(seed=0, anomalous=ANOMALOUS):
    noise = np.random.default_rng(seed).normal(size=(ROWS, 2))
    table = np.round(np.sin(np.arange(ROWS) / 3)[:, None] * [5, 1] + noise * [0.3, 1], 3)
    if anomalous is not None:
        table[anomalous, 0] += 40
    return table


def days():
    return (np.datetime64("2024-01-01") + np.arange(ROWS).astype("m8[D]")).astype(str).tolist()


def marks(rows=ANOMALOUS):
    marked = np.zeros(ROWS)
    marked[rows] = 1
    return marked


def lines(table, names=NAMES, labels=None):
    """CSV; NaN is an empty cell."""
    table = np.asarray(table, float)
    cells = [["" if x != x else repr(x) for x in row] for row in table.tolist()]
    labels = days() if labels is None else labels
    rows = [["date", *names], *([label, *row] for label, row in zip(labels, cells, strict=False))]
    return "".join(",".join(row) + "\n" for row in rows)


def with_marks(marked, table=None):
    table = values() if table is None else table
    return lines(np.column_stack([table, marked]), (*NAMES, "fault"))


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    path = folder / 'my "<i>table\'s", é.csv'
    path.write_text(with_marks(marks()), encoding="utf-8")
    run = call("anomalies", path, *SMALL, "--labels", "fault", "-o", folder / "new" / "folder")
    assert run.exit_code == 0, run.text
    return run


@pytest.fixture(scope="module")
def detector(found) -> lc.anomalies.Detector:
    return lc.anomalies.Detector.load(found.folder)


@pytest.fixture
def plain_report(monkeypatch):
    """Pictures and pages take time, and `found` has them."""
    monkeypatch.setattr("lstmcore.study.plots.plot_anomalies", lambda *_, **__: Figure())
    monkeypatch.setattr("lstmcore.apps.anomalies.report.parts", lambda *_: [])
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


def test_everything_promised_is_written(found):
    assert found.files() == FILES
    assert found.files() <= set(re.findall(r"[\w.]+", found.text))  # and said so


def test_it_is_what_python_trains_and_labels_are_not_trained_on(found, detector):
    again = lc.anomalies.train(values()[: ROWS // 2], OF_SMALL)
    assert detector.settings == OF_SMALL
    assert jax.tree.all(jax.tree.map(np.array_equal, detector.params, again.params))
    np.testing.assert_allclose(
        found.column("history.csv", "loss", "validation_loss").T, list(again.history.values())
    )


def test_scores_are_those_of_python(found, detector):
    result = lc.anomalies.detect(detector, values())
    rows = found.rows("scores.csv")
    assert [row["date"] for row in rows] == days()
    np.testing.assert_array_equal(floats(found, "scores.csv", *NAMES), values())
    outputs = floats(found, "scores.csv", *(f"{name}_model" for name in NAMES))
    np.testing.assert_allclose(outputs, detector.outputs(values()), rtol=1e-6)
    np.testing.assert_allclose(floats(found, "scores.csv", "score")[:, 0], result.scores)
    flags = [row["flagged"] == "1" for row in rows]
    np.testing.assert_array_equal(flags, result.scores > result.threshold.value)
    for number, event in enumerate(result.events, start=1):
        assert {row["event"] for row in rows[event.start : event.stop]} == {str(number)}
    assert sum(row["event"] != "" for row in rows) == sum(e.stop - e.start for e in result.events)


def test_events_are_those_of_python(found, detector):
    result = lc.anomalies.detect(detector, values())
    rows = found.rows("events.csv")
    assert tuple(rows[0]) == report.EVENTS
    assert len(rows) == len(result.events) >= 1
    for row, event in zip(rows, result.events, strict=True):
        assert (row["first"], row["last"]) == (days()[event.start], days()[event.stop - 1])
        assert (int(row["rows"]), row["peak"]) == (event.stop - event.start, days()[event.peak])
        assert float(row["score"]) == pytest.approx(event.score)
        contribution = result.contributions[event.peak].max()
        assert float(row["contribution"]) == pytest.approx(contribution)
        assert row["column"] == NAMES[result.contributions[event.peak].argmax()]
    peak = max(rows, key=lambda row: float(row["score"]))
    assert peak["column"] == "load"
    assert days()[148] <= peak["peak"] <= days()[155]


@pytest.fixture(scope="module")
def comparison(detector) -> lc.anomalies.Comparison:
    """The rivals, as Python runs them."""
    table, labels = values(), marks() > 0
    result = lc.anomalies.detect(detector, table)
    return lc.anomalies.compare(detector, table[: ROWS // 2], table, result, labels=labels)


def test_rivals_are_those_of_python(found, comparison):
    names = list(comparison.methods)
    headings = [heading for name in names for heading in (name, f"{name} event")]
    assert list(found.rows("rivals.csv")[0]) == ["date", *headings]
    for name, method in comparison.methods.items():
        scores, flags = floats(found, "rivals.csv", name, f"{name} event").T
        np.testing.assert_allclose(scores, method.scores)
        np.testing.assert_array_equal(flags == 1, lc.anomalies.flags_of(method.events, ROWS))


def test_the_terminal_and_the_page_say_whether_a_simple_method_is_enough(found, comparison):
    words = words_of(found)
    assert comparison.sentence in found.text
    assert html.escape(comparison.sentence) in words.split("<h2>")[0]
    assert "<h2>Is a simple method enough?</h2>" in words
    for row in comparison.cells()[1]:
        assert " ".join(row) in found.text
        assert "".join(f">{cell}</td>" for cell in row) in re.sub("<td[^>]*", "", words)


def test_the_settings_tell_how_it_was_made(found):
    told = found.settings()
    assert told["lstmcore"] == lc.__version__
    assert told["columns"] == list(NAMES)
    assert (told["rows"], told["trained_rows"], told["interval"]) == (ROWS, ROWS // 2, "1 day")
    assert (told["score"], told["threshold"], told["level"]) == ("adaptive", "margin", None)
    assert told["trained_on"] == told["source"]


def test_the_figures_show_something(found):
    for path in found.folder.glob("*.png"):
        assert pyplot.imread(path)[..., :3].std() > 0.01


def words_of(run):
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_the_terminal_and_the_page_say_the_same(found, detector):
    words = words_of(found)
    result = lc.anomalies.detect(detector, values())
    said = summary(result, days())
    assert said in found.text
    assert said in words
    for heading in ("The series", "Events", "Compared with the labels"):
        assert f"<h2>{heading}</h2>" in words
    assert "the first 100 rows are taken to be normal" in found.text
    assert "anomalous rows among them are harder to find" in words
    for text in (found.text, words):
        assert re.search(r"false alarms: of the last 10 rows of the training part", text)
        assert re.search(r"\d+ of 200 rows are flagged", text)
        first = days()[result.set_by.row]
        assert f"is set by row {first} of the training part: without it" in text
    good = metrics.eventwise(marks().astype(bool), result.events)
    assert f"events {good.precision:.3f} {good.recall:.3f} {good.f1:.3f}" in found.text
    assert "its state is zero at the start of each" in words


def test_names_are_not_taken_for_html(found):
    words = words_of(found)
    assert "<title>Anomalies in my &quot;&lt;i&gt;table&#x27;s&quot;, é.csv</title>" in words
    assert "<b>" not in words
    assert "<i>" not in words


def test_the_row_that_sets_the_threshold_is_marked_and_linked(found, detector):
    text = (found.folder / "report.html").read_text(encoding="utf-8")
    row = lc.anomalies.detect(detector, values()).set_by.row
    assert re.search(r'of the training part: without it .{,99} <a href="#threshold-row">', text)
    assert text.count(' id="threshold-row"') == 1
    figure = figures_in(found.folder / "report.html")[0]
    assert mark_of(figure) == days()[row]
    first, last = figure["views"][1]["ranges"]["xaxis"]
    assert first <= days()[row] <= last
    assert lines_of(figure, "y3")["score"]["line"]["color"] == style.SCORE


def mark_of(figure):
    """Return the day that is marked as the one that sets the threshold."""
    (entry,) = (e for e in figure["legend"] if e["name"] == "the row that sets the threshold")
    (shape,) = entry["shapes"]
    return figure["layout"]["shapes"][shape]["x0"][:10]


def test_the_row_of_a_table_of_its_own_is_shown_there(table, tmp_path):
    normal = tmp_path / "normal.csv"
    normal.write_text(lines(values(1, None)))
    run = call("anomalies", table, "--train", normal, *SMALL, "-o", tmp_path / "run")
    detector = lc.anomalies.Detector.load(run.folder)
    result = lc.anomalies.detect(detector, values())
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "<h2>The training row behind the threshold</h2>" in text
    assert text.count('"#threshold-row"') == text.count(' id="threshold-row"') == 1
    first, second, *_ = figures_in(run.folder / "report.html")
    assert not any("threshold" in entry["name"] for entry in first["legend"])
    assert mark_of(second) == days()[result.set_by.row]
    drawn = lines_of(second, "y3")["score"]["y"]
    scores = result.score(detector.training_errors)
    np.testing.assert_allclose(np.array(drawn, float), scores, rtol=1e-6)


def test_the_page_draws_in_a_browser_without_a_network(browser, found):
    opened = open_file(browser, found.folder / "report.html", ".main-svg")
    titles = opened.locator(".annotation-text").all_text_contents()
    assert titles[:3] == [*NAMES, "score and threshold"]
    assert titles[3] == "simple methods, raised in their events"
    legend = opened.locator(".legend").first.text_content()
    words = ("data", "model", "score", "detected", "labelled", "robust z-score")
    assert all(word in legend for word in words)
    assert_sound(opened)


# Options.


@pytest.mark.usefixtures("no_training", "plain_report")
def test_a_table_of_its_own_to_train_on(table, tmp_path):
    """Its columns may stand in another order, and it may have more of them."""
    normal = tmp_path / "normal.csv"
    columns = np.column_stack([np.ones(ROWS), values(1, None)[:, ::-1]])
    normal.write_text(lines(columns, ("more", *NAMES[::-1])))
    run = call("anomalies", table, "--train", normal, *SMALL, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    detector = lc.anomalies.train(values(1, None), OF_SMALL)
    result = lc.anomalies.detect(detector, values())
    np.testing.assert_allclose(floats(run, "scores.csv", "score")[:, 0], result.scores, rtol=1e-6)
    assert run.settings()["trained_on"] == str(normal)
    assert "taken to be normal" not in run.text
    assert "false alarms: of the last 20 rows of the training part" in run.text
    assert f"is set by row {days()[result.set_by.row]} of the training part" in run.text


@pytest.mark.usefixtures("no_training", "plain_report")
def test_rivals_may_be_left_out(table, tmp_path):
    run = call("anomalies", table, *SMALL, "--no-rivals", "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert "simple method" not in run.text
    assert "rivals.csv" not in run.files()


@pytest.mark.usefixtures("no_training", "plain_report")
@pytest.mark.parametrize("drift", [0, 0.1])
def test_season_and_drift_are_found_and_named(drift, tmp_path):
    repeated = np.random.default_rng(1).normal(size=7)[np.arange(ROWS) % 7]
    rows = 0.05 * values(0, None) + 3 * repeated[:, None] * (drift == 0)
    rows[:, 1] += drift * np.arange(ROWS)
    path = tmp_path / "table.csv"
    path.write_text(lines(rows))
    run = call("anomalies", path, *QUICK, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    stored = run.settings()["settings"]
    assert stored["method"] == "prediction"
    if drift:
        assert stored["preprocessing"]["difference"] == [1]
        assert "the model reads differences to the row before" in run.text
    else:
        assert (stored["season"], stored["preprocessing"]["difference"]) == (7, [])
        assert "a season of 7 rows is removed: the first has no score" in run.text
    again = call("anomalies", path, *QUICK, "--season", 0, "--no-search", "-o", tmp_path / "no")
    assert again.exit_code == 0, again.text
    stored = again.settings()["settings"]
    assert (stored["season"], stored["preprocessing"]["difference"]) == (None, [])


def test_a_season_too_long_for_the_table(table, tmp_path):
    run = call("anomalies", table, *QUICK, "--season", 198, "-o", tmp_path / "run")
    assert_refused(run, "too few for --window 4 after a season of 198: use more data or a shorter")


HANDLED = {
    "prediction": (
        ["--method", "prediction", "--horizon", 2, "--difference", 1, "--threshold", "maximum"],
        {"threshold": "maximum"},
    ),
    "quantile": (
        ["--threshold", "quantile", "--level", 0.9, "--gap", 2, "--minimum", 2],
        {"threshold": "quantile", "level": 0.9, "gap": 2, "minimum": 2},
    ),
    "mahalanobis": (
        ["--score", "mahalanobis", "--threshold", "gaussian", "--validation", 0.3],
        {"score": "mahalanobis", "threshold": "gaussian"},
    ),
}


@pytest.mark.usefixtures("no_training", "plain_report")
@pytest.mark.parametrize(("options", "detection"), HANDLED.values(), ids=HANDLED)
def test_options(options, detection, table, tmp_path):
    run = call("anomalies", table, *SMALL, *options, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    detector = lc.anomalies.Detector.load(run.folder)
    result = lc.anomalies.detect(detector, values(), **detection)
    assert len(result.events) >= 1
    np.testing.assert_allclose(floats(run, "scores.csv", "score")[:, 0], result.scores)
    assert [row["peak"] for row in run.rows("events.csv")] == [
        days()[event.peak] for event in result.events
    ]
    assert summary(result, days()) in run.text
    if "--difference" in options:
        assert "an event may have an echo 1 row later" in run.text


# Tables and labels that are not as one wishes.


def at_both_ends():
    table = values(anomalous=None)
    table[[0, -1]] += 40
    return lines(table)


def constant():
    return lines(np.full((ROWS, 2), 5.0))


def huge():
    table = values()
    table[170, 0] = 1e30
    return lines(table)


HARD = {
    "event at the ends": (
        at_both_ends,
        ["--train-fraction", 0.9, "--threshold", "quantile", "--level", 0.5],
        "2024-07-18",
    ),
    "no event": (lambda: lines(values()), ["--train-fraction", 1], "No event above the threshold"),
    "all rows flagged": (
        lambda: lines(values() + 1000 * (np.arange(ROWS) >= 100)[:, None]),
        ["--threshold", "quantile", "--level", 1e-9, "--gap", 200],
        "1 event above the threshold",
    ),
    "constant": (constant, [], "never change in the training part: there is nothing"),
    "huge": (huge, [], r"most anomalous one peaks at\s2024-06-19"),
}


@pytest.mark.thorough
@pytest.mark.parametrize(("make", "options", "note"), HARD.values(), ids=HARD)
def test_hard_tables(make, options, note, table, tmp_path):
    """The page is made for each: it has parts for what is there."""
    table.write_text(make())
    run = call("anomalies", table, *SMALL, *options, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert re.search(note, run.text), run.text
    assert run.files() == FILES
    assert len(floats(run, "scores.csv", "score")) == ROWS


@pytest.mark.thorough
def test_rows_without_a_value_have_no_score(table, tmp_path):
    """The page is made of them, too."""
    whole = values()[:, :1]
    whole[[60, 150]] = np.nan
    table.write_text(lines(whole, ("load",)))
    run = call("anomalies", table, *SMALL, "-o", tmp_path / "run")
    rows = run.rows("scores.csv")
    assert [row["date"] for row in rows if not row["score"]] == [days()[60], days()[150]]
    assert (rows[60]["load"], rows[60]["flagged"], rows[60]["event"]) == ("", "0", "")
    assert "2 rows without a score" in run.text
    assert "load: 2 of 200 values missing" in run.text
    assert "filled with the last known value" in run.text


@pytest.mark.usefixtures("no_training", "plain_report")
@pytest.mark.parametrize(
    ("marked", "note"),
    [
        (marks(slice(0, 0)), "fault marks no row, so there is nothing to compare with"),
        (np.full(ROWS, np.nan), "fault marks no row"),
        (np.where(np.arange(ROWS) < 20, np.nan, marks()), "rows .* long events count for more"),
    ],
    ids=["no row", "empty", "missing"],
)
def test_labels(marked, note, table, tmp_path):
    """A label that is missing marks nothing."""
    table.write_text(with_marks(marked))
    run = call("anomalies", table, *SMALL, "--labels", "fault", "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert re.search(note, run.text), run.text
    assert run.settings()["columns"] == list(NAMES)


@pytest.mark.usefixtures("plain_report")
def skab(marked, changed):
    """A table with two columns of labels, as the data set SKAB has them."""
    table = np.column_stack([values(), marked, changed])
    return lines(table, (*NAMES, "anomaly", "Change_Point"))


@pytest.mark.thorough
@pytest.mark.usefixtures("plain_report")
def test_other_columns_of_labels_are_left_out(table, tmp_path):
    table.write_text(skab(marks(), marks(slice(150, 151))))
    run = call("anomalies", table, *SMALL, "--labels", "anomaly", "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert run.settings()["columns"] == list(NAMES)
    assert "Change_Point looks like a column of labels and is left out" in run.text
    assert "are marked in" not in run.text
    names = ",".join((*NAMES, "Change_Point"))
    asked = ("--labels", "anomaly", "--columns", names)
    run = call("anomalies", table, *SMALL, *asked, "-o", tmp_path / "asked")
    assert run.settings()["columns"] == [*NAMES, "Change_Point"]
    assert "Change_Point looks like a column of labels, and is trained on" in run.text


@pytest.mark.usefixtures("no_training", "plain_report")
@pytest.mark.parametrize("options", [("--labels", "anomaly"), ()], ids=["asked for", "found"])
def test_labelled_rows_that_are_trained_on_are_pointed_out(options, table, tmp_path):
    table.write_text(skab(marks(slice(10, 13)), marks(slice(10, 11))))
    run = call("anomalies", table, *SMALL, *options, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert "3 of the 100 rows trained on are marked in anomaly: the model takes them" in run.text
    assert "1 of the 100 rows trained on is marked in Change_Point" in run.text
    normal = tmp_path / "normal.csv"
    for marked, note in ((marks(slice(0, 2)), True), (marks(slice(0)), False)):
        normal.write_text(skab(marked, marked))
        options = (*options, "--train", normal)
        run = call("anomalies", table, *SMALL, *options, "-o", tmp_path / f"run {note}")
        assert ("2 of the 200 rows trained on are marked in anomaly" in run.text) == note
    normal.write_text(lines(values(1, None)))  # no labels, no word of them
    run = call("anomalies", table, *SMALL, "--train", normal, "-o", tmp_path / "run 3")
    assert run.exit_code == 0, run.text
    assert "are marked in" not in run.text


def test_nothing_but_labels_is_refused(table, tmp_path):
    table.write_text(lines(marks()[:, None], ("is_anomaly",)))
    run = call("anomalies", table, *SMALL, "-o", tmp_path / "run")
    assert run.exit_code == 1
    assert "has nothing to train on: is_anomaly looks like a column of labels" in run.text


def hours(step):
    start = np.datetime64("2024-01-01T00:00")
    return (start + np.arange(ROWS) * np.timedelta64(step, "m")).astype(str).tolist()


def test_tables_of_different_intervals_are_refused(table, tmp_path):
    table.write_text(lines(values(), labels=hours(10)))
    normal = tmp_path / "normal.csv"
    normal.write_text(lines(values(1, None), labels=hours(60)))
    run = call("anomalies", table, "--train", normal, *SMALL, "-o", tmp_path / "run")
    assert run.exit_code == 1
    assert "has a row every 10 minutes, but" in run.text
    assert "the training table, one every hour" in run.text
    assert "bring both tables to the same interval first" in run.text
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_training", "plain_report")
@pytest.mark.parametrize(
    ("times", "note"),
    [
        (days(), "200 rows of 200 are at times that"),
        ([f"2023-{day[5:]}" for day in days() if day[5:] != "02-29"], None),
        ([f"row {number}" for number in range(ROWS)], None),  # of which nothing is known
    ],
    ids=["the same", "others", "none"],
)
def test_times_that_are_in_both_tables_are_pointed_out(times, note, table, tmp_path):
    normal = tmp_path / "normal.csv"
    text = lines(values(1, None), labels=times)
    normal.write_text(text if times[0][0] == "2" else text.replace("date", "name", 1))
    run = call("anomalies", table, "--train", normal, *SMALL, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert ("if these are the same rows, they were trained on" in run.text) == (note is not None)
    assert note is None or note in run.text


@pytest.mark.usefixtures("no_training", "plain_report")
def test_rows_left_out_in_time_stay_beside_their_labels(table, tmp_path):
    kept = np.array([row for row in range(ROWS) if row not in (40, 41)])
    text = lines(
        np.column_stack([values(), marks()])[kept],
        (*NAMES, "fault"),
        [days()[row] for row in kept],
    )
    table.write_text(text)
    run = call("anomalies", table, *SMALL, "--labels", "fault", "-o", tmp_path / "run")
    assert "the times skip 2 rows, which are added as missing" in run.text
    assert [row["date"] for row in run.rows("scores.csv")] == days()
    assert re.search(r"events .* \d detected, 1 labelled", run.text)


# Mistakes: a sentence, and nothing left behind. They are found before training.


def with_cell(row, cell):
    text = lines(values()).splitlines()
    first, _, last = text[1 + row].split(",")
    text[1 + row] = f"{first},{cell},{last}"
    return "\n".join(text)


TABLES = {
    "empty": ("", "table.csv is empty"),
    "header alone": ("date,load\n", "has column names but no rows"),
    "one row": (lines(values()[:1]), "has 1 row, too few for --window 4"),
    "eight rows": (lines(values()[:8]), "values has 4 rows, but training needs at least"),
    "no value at first": (with_cell(0, ""), "'load': no value in the first 1 row, and none before"),
    "infinity": (with_cell(40, "inf"), "line 42, column 'load': inf is not finite"),
    "a word": (with_cell(40, "word"), "line 42, column 'load': 'word' is not a number"),
    "huge": (
        with_cell(190, "1e300"),
        "'load': 1e[+]300 at 2024-07-09 is too large to compute with",
    ),
    "too far": (with_cell(190, "1e100"), "'load': 1e[+]100 at 2024-07-09 is too far from the"),
    "one time twice": (
        lines(values(), labels=[*days()[:40], days()[39], *days()[41:]]),
        "line 42, column 'date': 2024-02-09 has the same time .* --duplicates mean",
    ),
    "unsorted": (lines(values(), labels=days()[::-1]), "--sort sorts the rows by time"),
    "irregular": (
        lines(values(), labels=[*days()[:40], "2024-02-10T05:00", *days()[41:]]),
        "but rows are usually 1 day apart",
    ),
}
OPTIONS = {
    "unknown option": (["--sorcery"], "No such option.*--sorcery"),
    "unknown choice": (
        ["--score", "x"],
        "'x' is not one of 'adaptive', 'mean', 'largest', 'mahalanobis'",
    ),
    "units": (["--units", "a"], "'a' is not a list of sizes"),
    "fraction": (["--train-fraction", 0], "--train-fraction must be above 0 and at most 1, got 0"),
    "small fraction": (
        ["--train-fraction", 0.01],
        "values has 2 rows, but training needs at least",
    ),
    "window": (["--window", 500], "has 200 rows, too few for --window 500"),
    "horizon": (["--horizon", 0], "horizon must be at least 1, got 0"),
    "horizon of a reconstruction": (["--horizon", 3], "but a reconstruction predicts no rows"),
    "earlier name": (["--ahead", 3], "No such option: --ahead. It is named --horizon now"),
    "gap": (["--gap", -1], "gap must be at least 0, got -1"),
    "minimum": (["--minimum", 0], "minimum must be at least 1, got 0"),
    "level of a maximum": (["--level", 0.1], "the margin has none"),
    "level": (["--threshold", "quantile", "--level", 2], "level must be between 0 and 1, got 2"),
    "gaussian": (["--threshold", "gaussian"], "a gaussian threshold needs .* 'mahalanobis'"),
    "peaks": (["--threshold", "peaks"], "peaks needs at least 500 rows .* there are 100"),
    "two ways to say which rows": (
        ["--train", "normal.csv", "--train-fraction", 0.1],
        "--train and --train-fraction both say which rows to train on",
    ),
    "three ways": (
        ["--train", "normal.csv", "--train-fraction", 0.1, "--train-until", 50],
        "--train, --train-fraction and --train-until all say which rows",
    ),
    "no such column": (["--columns", "wind"], "has no column 'wind'"),
    "no such labels": (["--labels", "wind"], "has no column 'wind'"),
    "labels of words": (["--labels", "date"], "column 'date': '2024-01-01' is not a number"),
    "labels among columns": (
        ["--labels", "load", "--columns", "load"],
        "'load' is among --columns and --labels: labels are not trained on",
    ),
    "diverged": (
        ["--learning-rate", 1e30, "--epochs", 9],
        "training diverged in epoch .: lower --learning-rate",
    ),
}


def assert_refused(run, message):
    assert run.exit_code in (1, 2)
    assert re.search(rf"[Ee]rror\W.*{message}", run.text), run.text
    assert not run.folder.exists()


@pytest.mark.parametrize(("text", "message"), TABLES.values(), ids=TABLES)
def test_bad_tables(text, message, table, tmp_path):
    table.write_text(text)
    assert_refused(call("anomalies", table, *SMALL, "-o", tmp_path / "run"), message)


@pytest.mark.parametrize(("options", "message"), OPTIONS.values(), ids=OPTIONS)
def test_bad_options(options, message, table, tmp_path):
    assert_refused(call("anomalies", table, *SMALL, *options, "-o", tmp_path / "run"), message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines(values()[:, :1], ("load",)), "normal.csv has no column '<b>t[$]^</b>'"),
        (
            lines(values(), ("a", "b")),
            "normal.csv has no column 'load': its columns are date, a, b",
        ),
        (lines(values()[:3]), "values has 3 rows, but training needs at least"),
        (None, "there is no file .*normal.csv"),
        (with_cell(0, ""), "normal.csv, column 'load': no value in the first 1 row"),
    ],
    ids=["fewer columns", "other columns", "short", "none", "no value at first"],
)
def test_bad_tables_to_train_on(text, message, table, tmp_path):
    normal = tmp_path / "normal.csv"
    if text is not None:
        normal.write_text(text)
    run = call("anomalies", table, "--train", normal, *SMALL, "-o", tmp_path / "run")
    assert_refused(run, message.replace("^", r"\^"))


def test_a_package_that_an_option_needs_is_named_before_training(table, tmp_path, monkeypatch):
    monkeypatch.setattr("lstmcore.cli.packages.find_spec", lambda name: name != "scipy" or None)
    run = call("anomalies", table, *SMALL, "--threshold", "peaks", "-o", tmp_path / "run")
    assert_refused(run, "--threshold peaks needs the package scipy: pip")


# Runs that end early.


@pytest.mark.thorough
@pytest.mark.usefixtures("plain_report")
def test_an_interrupted_run_tells_how_to_go_on(table, tmp_path):
    command = ["anomalies", table, *SMALL, "--epochs", 60, "--patience", 0]
    status, said = interrupt(signal.SIGINT, *command, "-o", tmp_path / "stopped")
    assert status == 130
    assert "Traceback" not in said
    assert re.search("interrupted: training so far is saved in .* with --resume continues", said)
    assert not (tmp_path / "stopped").exists()
    assert (staging_of(tmp_path / "stopped") / CHECKPOINT).exists()
    stopped, whole = (
        call(*command, *options, "-o", tmp_path / name)
        for name, options in (("stopped", ["--resume"]), ("whole", []))
    )
    assert stopped.exit_code == whole.exit_code == 0, stopped.text + whole.text
    assert stopped.files() == whole.files() == FILES - {"report.html"}
    for name in ("history.csv", "scores.csv", "events.csv", "model.safetensors"):
        assert (stopped.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
