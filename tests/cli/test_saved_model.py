"""`--model`: an earlier model is used on another table, without training."""

import json
import re
import shutil

import numpy as np
import pytest
from command import Run, call

import lstmcore as lc
from lstmcore.apps.forecasting import report
from lstmcore.io import manifest
from lstmcore.io.staging import CHECKPOINT, staging_of

SMALL = ("--window", 4, "--season", 0, "--units", 2, "--epochs", 1, "--batch-size", 512)
NAMES = ("load", "temp")
ROWS, HORIZON = 120, 2
RESULTS = {
    "forecast": {
        "forecast.csv", "test.csv", "errors.csv", "forecast.png", "lag_check.png", "report.html",
        "settings.json", "manifest.json",
    },
    "anomalies": {
        "scores.csv", "events.csv", "anomalies.png", "report.html", "settings.json",
        "manifest.json", "model.safetensors", "detector.json", "errors.safetensors",
        "last_rows.safetensors",  # so that the next table goes on from this one
    },
}  # fmt: skip
every_command = pytest.mark.parametrize("command", RESULTS)


def values(rows=2 * ROWS):
    noise = np.random.default_rng(0).normal(size=(rows, 2))
    return np.round(np.sin(np.arange(rows) / 3)[:, None] * [5, 1] + [20, 0] + noise, 3)


def lines(first, stop, names=NAMES, step=1, table=None):
    """CSV of some of the days; NaN is an empty cell."""
    table = values() if table is None else table
    days = np.datetime64("2024-01-01") + np.arange(len(table)).astype("m8[D]")
    rows = [",".join(["date", *names])]
    for row in range(first, stop, step):
        cells = [table[row, NAMES.index(name)] for name in names]
        rows.append(",".join([str(days[row]), *("" if x != x else str(x) for x in cells)]))
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory, no_training_in_this_module) -> dict[str, Run]:
    """A model of each command, of the first half of the days, and its results."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "old.csv").write_text(lines(0, ROWS))
    horizon = {"forecast": ("--horizon", HORIZON, "--dropout", 0.1), "anomalies": ()}
    found = {}
    for command, options in horizon.items():
        run = call(command, folder / "old.csv", *SMALL, *options, "-o", folder / command)
        assert run.exit_code == 0, run.text
        found[command] = run
    return found


@pytest.fixture
def no_training_at_all(monkeypatch):
    """Training is an error."""

    def refuse(*_, **__):
        raise AssertionError("trained")

    monkeypatch.setattr("lstmcore.apps.training.fit", refuse)


@pytest.fixture
def plain(no_training_at_all, plain_pages):
    """Both."""


@pytest.fixture
def plain_pages(monkeypatch):
    """No pictures or pages are drawn, which takes time."""
    monkeypatch.setattr(report, "_figures", lambda _: {})
    monkeypatch.setattr("lstmcore.apps.anomalies.report.parts", lambda *_: [])
    monkeypatch.setattr("lstmcore.apps.report.page.write", lambda *_: None)


def again(command, models, table, text, *options) -> Run:
    """Use a model on another table, whose text is given."""
    table.write_text(text)
    model = options[0] if options[:1] and not str(options[0]).startswith("-") else None
    folder = models[command].folder if model is None else model
    rest = options if model is None else options[1:]
    return call(command, "--model", folder, table, *rest, "-o", table.parent / "run")


@pytest.fixture
def table(tmp_path):
    return tmp_path / "new.csv"


@every_command
@pytest.mark.usefixtures("no_training_at_all")
def test_all_results_without_training(command, models, table):
    run = again(command, models, table, lines(ROWS, 2 * ROWS))
    assert run.exit_code == 0, run.text
    assert run.files() == RESULTS[command]
    assert f"the model in {models[command].folder} was trained on" in run.text
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "trained on" in page
    assert run.settings()["model"] == str(models[command].folder)


@pytest.mark.usefixtures("plain")
def test_the_table_of_the_model_gives_the_forecast_and_the_test_part_that_it_gave(models, table):
    run = again("forecast", models, table, lines(0, ROWS))
    for name in ("forecast.csv", "test.csv"):
        before = (models["forecast"].folder / name).read_text().splitlines()
        lines_now = (run.folder / name).read_text().splitlines()
        # The rivals of the test part are fitted to the validation part as well.
        assert [line.split(",")[:6] for line in lines_now] == [
            line.split(",")[:6] for line in before
        ]
    assert "errors in the test part from 2024-04-12 on" in run.text  # 18 of 120 rows


@pytest.mark.usefixtures("plain")
def test_a_forecast_of_new_rows_is_that_of_python(models, table):
    """Columns are matched by name, and rows that were trained on are not evaluated."""
    run = again("forecast", models, table, lines(0, 2 * ROWS, NAMES[::-1]))
    trained = lc.forecasting.Trained.load(models["forecast"].folder)
    assert not trained.uses_lstm  # so that nothing is dropped
    told = trained.forecast(values())
    numbers = run.column("forecast.csv", "forecast", "low", "high")
    expected = np.stack([told.point[0], *(end[0] for end in told.interval(0.8))], -1)
    np.testing.assert_allclose(numbers, expected.reshape(-1, 3), rtol=1e-5)
    assert [row["date"] for row in run.rows("forecast.csv")][::2] == ["2024-08-28", "2024-08-29"]
    for number in numbers[:, 0]:
        assert f"{number:.4g}" in run.text
    scores = trained.evaluate(values(), start=ROWS, samples=100).scores["model"]
    told = [row for row in run.rows("errors.csv") if row["forecast"] == "model"]
    np.testing.assert_allclose([float(row["MAE"]) for row in told], scores.mae, rtol=1e-5)
    # Half of the table, of which 102 rows were trained on.
    assert "errors in the test part from 2024-04-30 on" in run.text


@pytest.mark.usefixtures("plain")
def test_scores_of_new_rows_are_those_of_python(models, table):
    run = again("anomalies", models, table, lines(ROWS, 2 * ROWS, NAMES[::-1]), "--gap", 3)
    detector = lc.anomalies.Detector.load(models["anomalies"].folder)
    settings = {name: run.settings()[name] for name in ("score", "threshold", "level", "gap")}
    result = lc.anomalies.detect(detector, values()[ROWS:], before=values()[:ROWS], **settings)
    scores = [float(row["score"] or "nan") for row in run.rows("scores.csv")]
    np.testing.assert_allclose(scores, result.scores, rtol=1e-5)
    assert len(run.rows("events.csv")) == len(result.events)
    assert settings["gap"] == 3
    assert "are not later than that" not in run.text


@every_command
@pytest.mark.usefixtures("plain")
def test_rows_that_were_trained_on_are_pointed_out(command, models, table):
    run = again(command, models, table, lines(0, 2 * ROWS))
    rows = {"forecast": 102, "anomalies": 60}[command]
    assert f"{rows} rows of this table are not later than that" in run.text


@pytest.mark.usefixtures("plain")
def test_few_rows_give_a_forecast_without_errors(models, table):
    run = again("forecast", models, table, lines(ROWS, ROWS + 5))
    assert run.exit_code == 0, run.text
    assert (
        "the table has 1 row to compare with, fewer than the horizon of 2 (it needs 6" in run.text
    )
    assert {"errors.csv", "test.csv"} & run.files() == set()
    assert len(run.rows("forecast.csv")) == HORIZON * len(NAMES)


@pytest.mark.usefixtures("no_training_at_all")
def test_the_page_of_a_table_without_a_test_part(models, table):
    run = again("forecast", models, table, lines(ROWS, ROWS + 4))
    assert run.exit_code == 0, run.text
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "<h2>The gates</h2>" in page
    assert "<h2>How good it is</h2>" not in page


@pytest.mark.usefixtures("plain")
def test_a_table_without_times(models, table):
    """Whether its rows were trained on is unknown, which is said."""
    rows = [line.split(",", 1)[1] for line in lines(0, ROWS).splitlines()]
    run = again("forecast", models, table, "\n".join(rows))
    assert run.exit_code == 0, run.text
    assert "whether rows of this table were trained on is unknown" in run.text


@every_command
@pytest.mark.usefixtures("no_training_in_this_module", "plain_pages")
def test_a_table_is_read_as_that_of_the_model(command, table):
    """The hours become days, as for the model, unless another interval is asked for."""
    hours = (np.datetime64("2024-01-01", "h") + np.arange(24 * 40)).astype(str)
    text = "\n".join(["date;load", *(f"{t}:00;{i % 7},5" for i, t in enumerate(hours))])
    table.write_text(text)
    folder = table.parent / "model"
    options = ("--window", 3, "--units", 2, "--resample", "1d", "--aggregate", "sum")
    model = call(
        command, table, *options, *["--horizon", 1] * (command == "forecast"), "-o", folder
    )
    assert model.exit_code == 0, model.text
    run = again(command, {command: model}, table, text)
    assert run.exit_code == 0, run.text
    assert (run.settings()["rows"], run.settings()["interval"]) == (40, "1 day")
    shutil.rmtree(run.folder)
    run = again(command, {command: model}, table, text, "--resample", "12h")
    assert "has a row every 12 hours, but" in run.text


@pytest.mark.usefixtures("no_training_in_this_module")
def test_columns_known_in_advance(table, monkeypatch):
    """They are read for the rows to forecast; without them there may be nothing to do."""
    old = table.with_name("old.csv")
    old.write_text(lines(0, ROWS))
    plan = ("--horizon", HORIZON, "--future-covariates", "temp")
    model = call("forecast", old, *SMALL, *plan, "-o", table.parent / "model")
    assert model.exit_code == 0, model.text
    new = values()
    new[2 * ROWS - HORIZON :, 0] = np.nan
    run = again("forecast", {"forecast": model}, table, lines(ROWS, 2 * ROWS, table=new))
    assert run.exit_code == 0, run.text
    trained = lc.forecasting.Trained.load(model.folder)
    end = 2 * ROWS - HORIZON
    told = trained.forecast(new[ROWS:end], future=new[end:, 1:])
    np.testing.assert_allclose(run.column("forecast.csv", "forecast"), told.point[0], rtol=1e-5)
    shutil.rmtree(run.folder)
    run = again("forecast", {"forecast": model}, table, lines(ROWS, ROWS + 5))
    assert run.exit_code == 1
    assert "temp must be known for the 2 rows after it, and 0 are there" in run.text
    assert "how good the forecast is remains unknown" in run.text


# More training.


@every_command
@pytest.mark.usefixtures("no_training_in_this_module", "plain_pages")
def test_training_goes_on_as_in_python(command, models, table):
    """From the weights of the model, with the settings that were given and otherwise its own."""
    run = again(
        command,
        models,
        table,
        lines(0, 2 * ROWS),
        "--update",
        "--epochs",
        2,
        "--test-from=200" if command == "forecast" else "--train-until=200",
    )
    assert run.exit_code == 0, run.text
    assert {"model.safetensors", "history.csv"} < run.files()
    assert run.settings()["updated"] == str(models[command].folder)
    assert run.settings()["settings"]["epochs"] == 2
    assert "was trained on" in run.text
    kind = {"forecast": lc.forecasting.Trained, "anomalies": lc.anomalies.Detector}[command]
    start, later = kind.load(models[command].folder), kind.load(run.folder)
    assert later.preprocessor.to_json() == start.preprocessor.to_json()
    if command == "forecast":
        assert later.split.test == slice(200, 2 * ROWS)
    else:
        assert len(later.training_errors) == 201
    assert manifest.first_foreign(models[command].folder) is None
    shutil.rmtree(run.folder)
    run = again(command, models, table, lines(0, 2 * ROWS), "--update", "--resume")
    assert run.exit_code == 0, run.text
    assert run.settings()["settings"]["epochs"] == 5
    table.write_text(lines(0, 2 * ROWS))
    both = call(command, "--model", run.folder, table, "-o", table.parent / "used")
    assert both.exit_code == 0, both.text  # what was updated is a model like others


@every_command
def test_more_training_needs_a_model_and_leaves_it_as_it_is(command, models, table):
    table.write_text(lines(0, 2 * ROWS))
    run = call(command, "--update", table, "-o", table.parent / "run")
    assert "--update continues the training of an earlier model: name its folder" in run.text
    run = again(command, models, table, lines(0, 2 * ROWS), "--update", "--units", 3, "--epochs", 2)
    assert "as it was trained: leave out --units, or train a new one" in run.text
    run = call(
        command,
        "--model",
        models[command].folder,
        "--update",
        table,
        "--force",
        "-o",
        models[command].folder,
    )
    assert "the results would replace the model in" in run.text


# Mistakes: a sentence, and nothing left behind.


def short(command, folder):
    return lines(ROWS + 9, ROWS + 12), (), r"has 3 rows, but the .* reads at least [45] "


def other_columns(command, folder):
    return lines(ROWS, 2 * ROWS, ("load",)), (), "has no column 'temp': its columns are date, load"


def other_interval(command, folder):
    text = "a row every 2 days, but .*old.csv, the training table, one every day"
    return lines(ROWS, 2 * ROWS, step=2), (), text


def too_far(command, folder):
    table = values()
    table[ROWS + 9, 0] = 1e200
    return lines(ROWS, 2 * ROWS, table=table), (), "1e[+]200 at 2024-05-09 is too large to compute"


def missing_at_first(command, folder):
    table = values()
    table[ROWS + 9, 0] = np.nan
    return lines(ROWS + 9, 2 * ROWS, table=table), (), "'load': no value in the first 1 row"


def settings_of_training(command, folder):
    given = ("--epochs", 3, "--no-linear" if command == "forecast" else "--masking=0.1", "--resume")
    flags = "--resume, --no-linear and --epochs|--resume, --masking and --epochs"
    return lines(ROWS, 2 * ROWS), given, rf"as it was trained: leave out ({flags})"


def when_to_train(command, folder):
    return lines(ROWS, 2 * ROWS), ("--train-until", 20), "leave out --train-until, or train a new"


def its_own_folder(command, folder):
    return lines(ROWS, 2 * ROWS), ("-o", folder), "the results would replace the model in"


def a_folder_around(command, folder):
    return lines(ROWS, 2 * ROWS), ("--force", "-o", folder.parent), "would replace the model in"


WRONG = [
    short, other_columns, other_interval, too_far, missing_at_first, settings_of_training,
    when_to_train, its_own_folder, a_folder_around,
]  # fmt: skip


@every_command
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
@pytest.mark.usefixtures("plain")
def test_mistakes(command, wrong, models, table):
    text, options, message = wrong(command, models[command].folder)
    table.write_text(text)
    output = () if "-o" in options else ("-o", table.parent / "run")
    run = call(command, "--model", models[command].folder, table, *options, *output)
    assert run.exit_code == 1, run.text
    assert_says(run, message)
    assert not (table.parent / "run").exists()
    assert manifest.first_foreign(models[command].folder) is None


def assert_says(run, message):
    assert re.search(message, run.text), run.text


def missing(folder, command):
    shutil.rmtree(folder)
    return "there is no folder .*: name the folder that"


def unfinished(folder, command):
    shutil.rmtree(folder)
    staging_of(folder).mkdir()
    (staging_of(folder) / CHECKPOINT).touch()
    return "there is no folder .* has not ended: --resume continues it"


def without_a_file(folder, command):
    (folder / "model.safetensors").unlink()
    return "there is no model.safetensors in .*, though its manifest lists it"


def changed(folder, command):
    with (folder / "settings.json").open("a") as file:
        file.write(" ")
    return "settings.json is not the file that was written"


def later_format(folder, command):
    text = (folder / "manifest.json").read_text().replace('"format": 1', '"format": 2')
    (folder / "manifest.json").write_text(text)
    return "has format 2, but this version of lstmcore reads format 1: install the version"


def later_version(folder, command):
    """One with a setting that this version does not know."""
    name = {"forecast": "forecast.json", "anomalies": "detector.json"}[command]
    stored = json.loads((folder / name).read_text())
    stored["settings"]["sorcery"] = True
    (folder / name).write_text(json.dumps(stored))
    written = manifest.read(folder)
    manifest.write(folder, written.kind, [folder / part for part in written.parts])
    text = (folder / "manifest.json").read_text()
    text = text.replace(f'"lstmcore": "{lc.__version__}"', '"lstmcore": "99.0"')
    (folder / "manifest.json").write_text(text)
    return f"sorcery.*lstmcore 99.0 wrote the folder, and this is {lc.__version__}"


DAMAGES = [missing, unfinished, without_a_file, changed, later_format, later_version]


@every_command
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.usefixtures("plain")
def test_folders_that_are_no_model(command, damage, models, table):
    folder = table.parent / "model"
    shutil.copytree(models[command].folder, folder)
    message = damage(folder, command)
    run = again(command, models, table, lines(ROWS, 2 * ROWS), folder)
    assert run.exit_code == 1
    assert_says(run, message)


@every_command
@pytest.mark.usefixtures("plain")
def test_a_folder_of_another_command(command, models, table):
    (other,) = RESULTS.keys() - {command}
    run = again(command, models, table, lines(ROWS, 2 * ROWS), models[other].folder)
    assert f"it holds the files of lstmcore {other}" in run.text


@pytest.mark.usefixtures("plain")
def test_a_folder_of_results_names_that_of_the_model(models, table):
    run = again("forecast", models, table, lines(ROWS, 2 * ROWS))
    assert run.exit_code == 0, run.text
    results = run.folder.rename(table.parent / "results")
    run = again("forecast", models, table, lines(ROWS, 2 * ROWS), results)
    assert f"its results are those of the model in {models['forecast'].folder}" in run.text


@every_command
@pytest.mark.usefixtures("plain")
def test_a_model_that_was_saved_in_python(command, models, table):
    kind = {"forecast": lc.forecasting.Trained, "anomalies": lc.anomalies.Detector}[command]
    kind.load(models[command].folder).save(table.parent / "saved")
    run = again(command, models, table, lines(ROWS, 2 * ROWS), table.parent / "saved")
    assert run.exit_code == 0, run.text
    if command == "anomalies":  # the names of its columns are not known
        shutil.rmtree(run.folder)
        text = lines(ROWS, 2 * ROWS, ("load",))
        run = again(command, models, table, text, table.parent / "saved")
        assert "has 1 column to read (load), but the detector reads 2" in run.text
