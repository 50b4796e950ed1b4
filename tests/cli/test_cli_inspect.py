"""`lstmcore inspect`: the page of a trained model, on the table as it was cut and scaled."""

import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from command import call
from inspector_page import contents, decoded, numbers
from manifests import forge
from strategies import weights

import lstmcore as lc
from lstmcore import series
from lstmcore.apps import autoencoding
from lstmcore.io import manifest

# The page needs a model and its table, but neither training nor figures.
pytestmark = pytest.mark.usefixtures("no_training_in_this_module", "no_figures")

SMALL = ("--units", 2, "--epochs", 1, "--batch-size", 512)
ROWS = [(f"day {i}", np.sin(i), 100 + 10 * np.cos(i)) for i in range(40)]
TABLE = "name,load,temp\n" + "".join(f"{day},{a:.4f},{b:.4f}\n" for day, a, b in ROWS)


@pytest.fixture(scope="module")
def csv(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("table") / "my [red] table, é.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(csv, tmp_path_factory, no_training_in_this_module) -> Path:
    """The folder of a model that reads windows of 5 rows of `csv`."""
    run = call("fit", csv, *SMALL, "--window", 5, "-o", tmp_path_factory.mktemp("trained") / "run")
    assert run.exit_code == 0, run.text
    return run.folder


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_page_beside_the_model(named, folder, csv):
    run = call("inspect", folder if named == "folder" else folder / "model.safetensors")
    assert run.exit_code == 0, run.text
    assert f"wrote {folder / 'inspect.html'}" in run.text
    name = "run" if named == "folder" else "model.safetensors"
    assert f"{name} on {csv.name}: 8 of 36 windows of 5 rows" in run.text
    page = contents(folder / "inspect.html")
    assert page["inputs"]["names"] == ["load", "temp"]
    assert page["xlabel"] == "name"
    assert page["labels"][1] == ["day 5", "day 6", "day 7", "day 8", "day 9"]
    assert manifest.first_foreign(folder) is None  # the page is one of the run's files
    assert call("inspect", folder).exit_code == 0  # and may be replaced


def test_windows_are_cut_and_scaled_as_in_training(folder, csv):
    """The page shows units of the table; the model has read what it was trained on."""
    call("inspect", folder)
    page = contents(folder / "inspect.html")
    data, settings = series.read_csv(csv), autoencoding.Settings(window=5)
    windows = autoencoding.cut(data, settings)
    chosen = np.arange(0, 36, 5)
    np.testing.assert_allclose(
        numbers(page["inputs"]), data.values[windows.rows[chosen]], rtol=1e-6
    )
    model, params = lc.load(folder / "model.safetensors")
    output, traces = jax.jit(model.apply)(params, windows.values[chosen])
    np.testing.assert_allclose(
        numbers(page["outputs"][0]),
        windows.preprocessor.inverse_transform(output),
        rtol=1e-5,
        atol=1e-5,
    )
    np.testing.assert_allclose(
        decoded(page["layers"][0], "forget"), traces["encoder_0"].gates.forget, atol=1e-5
    )


def test_a_table_at_another_interval_is_refused(tmp_path):
    def table(name, step):
        times = np.datetime64("2024-01-01T00") + np.arange(12) * np.timedelta64(step, "h")
        path = tmp_path / name
        path.write_text("date,load\n" + "".join(f"{time},{i}\n" for i, time in enumerate(times)))
        return path

    hourly, daily = table("hourly.csv", 1), table("daily.csv", 24)
    run = call("fit", hourly, *SMALL, "--window", 5, "-o", tmp_path / "run")
    assert run.settings()["interval"] == "1 hour"
    refused = call("inspect", run.folder, daily, "-o", tmp_path / "page.html")
    assert refused.exit_code == 1
    assert "daily.csv has a row every day, but" in refused.text
    assert "the training table, one every hour" in refused.text


@pytest.mark.parametrize(
    ("file", "command"), [("detector.json", "anomalies"), ("forecast.json", "forecast")]
)
def test_folders_of_other_commands_are_named(file, command, folder):
    (folder / file).write_text("{}")
    run = call("inspect", folder)
    assert run.exit_code == 1
    assert f"is a folder of lstmcore {command}, whose report.html shows the gates" in run.text


def test_another_table_is_scaled_as_the_one_of_the_training(folder, csv, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("temp,noise,load\n" + "".join(f"{1000 + i},0,{i}\n" for i in range(6)))
    assert call("inspect", folder, other, "-o", tmp_path / "other.html").exit_code == 0
    page = contents(tmp_path / "other.html")
    assert numbers(page["inputs"])[0, 0].tolist() == [0, 1000]  # columns by name
    model, params = lc.load(folder / "model.safetensors")
    preprocessor = autoencoding.cut(
        series.read_csv(csv), autoencoding.Settings(window=5)
    ).preprocessor
    x = preprocessor.scaler.transform(numbers(page["inputs"])).astype("float32")
    expected = jax.jit(model.apply)(params, x)[1]["encoder_0"].c
    np.testing.assert_allclose(decoded(page["layers"][0], "c"), expected, atol=1e-4)


@pytest.mark.parametrize(("dataset", "first"), [("sunspots", "1700"), ("tutorial", "2")])
def test_series_that_come_with_lstmcore(dataset, first, tmp_path, monkeypatch):
    """The tutorial's windows leave out the first two rows."""
    call("fit", "--dataset", dataset, *SMALL, "-o", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert call("inspect", "run").exit_code == 0
    page = contents(Path("run/inspect.html"))
    assert page["labels"][0][0] == first


def test_a_table_called_like_a_dataset_is_a_table(csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sunspots").write_text(TABLE)
    call("fit", "sunspots", *SMALL, "-o", "run")
    assert call("inspect", "run").exit_code == 0
    assert contents(Path("run/inspect.html"))["inputs"]["names"] == ["load", "temp"]


def test_two_decoders(csv, tmp_path):
    """A prediction as long as the window does not wear the dates of the rows that were read."""
    call("fit", csv, *SMALL, "--mode", "composite", "--window", 4, "--horizon", 4, "-o", tmp_path)
    assert call("inspect", tmp_path).exit_code == 0
    page = contents(tmp_path / "inspect.html")
    assert [output["title"] for output in page["outputs"]] == ["reconstruction", "prediction"]
    assert page["labels"] is None


@pytest.mark.parametrize("mode", ["reconstruction", "prediction"])
def test_differences_and_missing_values(mode, tmp_path):
    """Inputs and outputs in units of the table, the outputs as they are in output.csv."""
    lines = [f"{i},{'' if i == 11 else i * i % 7},{50 + i}" for i in range(40) if i != 21]
    (tmp_path / "gaps.csv").write_text("\n".join(["when,load,temp", *lines]))
    run = call("fit", tmp_path / "gaps.csv", *SMALL, "--window", 4, "--mode", mode, "--time",
               "when", "--missing", "forward", "--difference", "2,1",
               "-o", tmp_path / "run")  # fmt: skip
    assert run.exit_code == 0, run.text
    inspected = call("inspect", run.folder)
    assert inspected.exit_code == 0, inspected.text
    assert "of 34 windows of 4 rows" in inspected.text  # 3 of 40 rows are lost to differencing
    page = contents(run.folder / "inspect.html")
    starts = np.arange(3, 36, 4)[: page["examples"]]
    assert page["labels"][0] == ["3", "4", "5", "6"]
    filled = np.array([[i * i % 7, 50 + i] for i in range(40)], float)
    filled[11, 0] = filled[10, 0]
    filled[21] = filled[20]
    rows = starts[:, None] + np.arange(4)
    np.testing.assert_allclose(numbers(page["inputs"]), filled[rows], rtol=1e-6)
    shown = numbers(page["outputs"][0])
    written = {(int(row["window"]), int(row["step"])): row for row in run.rows("output.csv")}
    windows = [window for window in range(0, 33, 4) if (window, 0) in written]
    for example, window in enumerate(windows):
        for step in range(shown.shape[1]):
            row = written[window, step]
            expected = [float(row["load_output"]), float(row["temp_output"])]
            np.testing.assert_allclose(shown[example, step], expected, rtol=1e-5, atol=1e-5)


def test_another_table_with_missing_values_is_filled(csv, tmp_path):
    call("fit", csv, *SMALL, "--window", 5, "--missing", "mean", "-o", tmp_path / "run")
    (tmp_path / "other.csv").write_text("load,temp\n" + "1,\n" * 6)
    run = call("inspect", tmp_path / "run", tmp_path / "other.csv")
    assert run.exit_code == 0, run.text
    mean = np.mean([b for _, _, b in ROWS])
    page = contents(tmp_path / "run" / "inspect.html")
    np.testing.assert_allclose(numbers(page["inputs"])[0, 0], [1, mean], rtol=1e-4)


def test_a_model_without_settings_reads_the_table_as_it_is(csv, tmp_path):
    model = lc.StackedLSTM(features=2, units=3, outputs=1)
    params = model.init(jax.random.key(0))
    lc.save(tmp_path / "m.safetensors", model, params)
    run = call("inspect", tmp_path / "m.safetensors", csv)
    assert run.exit_code == 0, run.text
    assert "no settings.json beside" in run.text
    assert "the table is not preprocessed" in run.text
    page = contents(tmp_path / "inspect.html")
    values = series.read_csv(csv).values[None]  # all rows at once
    np.testing.assert_allclose(numbers(page["inputs"]), values, rtol=1e-6)
    expected = jax.jit(model.apply)(params, values.astype("float32"))[1]["lstm_0"].h
    np.testing.assert_allclose(decoded(page["layers"][0], "h"), expected, atol=1e-4)
    call("inspect", tmp_path / "m.safetensors", csv, "--window", 10)
    assert contents(tmp_path / "inspect.html")["examples"] == 4


def edit_settings(folder, **changes):
    path = folder / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    forge(folder)


def other_table(folder):
    (folder / "three.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    (folder / "settings.json").unlink()


def dense_model(folder):
    model = lc.DenseAutoencoder(2, 1)
    lc.save(folder / "model.safetensors", model, weights(model))
    forge(folder)


def damaged_settings(folder):
    (folder / "settings.json").write_text("{")
    forge(folder)


def other_model(folder):
    """Of the same columns, but with other units than settings.json asks for."""
    model = lc.Autoencoder(2, 3)
    lc.save(folder / "model.safetensors", model, weights(model))


BREAK = {
    "a model without gates": (dense_model, [], "a dense autoencoder, which has no gates"),
    "no model": (
        lambda folder: (folder / "model.safetensors").unlink(),
        [],
        "there is no model.safetensors in",
    ),
    "no settings and no table": (
        lambda folder: (folder / "settings.json").unlink(),
        [],
        "there is no settings.json beside .* give a CSV",
    ),
    "damaged settings": (
        damaged_settings,
        [],
        "settings.json is damaged",
    ),
    "settings of another version": (
        lambda folder: edit_settings(
            folder, settings=autoencoding.TUTORIAL.to_json() | {"speed": 3}
        ),
        [],
        "settings.json is damaged: .* 'speed'",
    ),
    "preprocessing of other columns": (
        lambda folder: edit_settings(folder, columns=["load"]),
        [],
        "settings.json is damaged: .*columns and preprocessor do not agree",
    ),
    "preprocessing of other settings": (
        lambda folder: edit_settings(folder, settings=autoencoding.TUTORIAL.to_json()),
        [],
        "settings.json is damaged: .*settings and preprocessor do not agree",
    ),
    "no preprocessing": (
        lambda folder: edit_settings(folder, preprocessor={"scale": [1, 1]}),
        [],
        "settings.json is damaged: .*no stored preprocessing",
    ),
    "changed settings": (
        lambda folder: (folder / "settings.json").write_text("{}"),
        [],
        "settings.json is not the file that was written with manifest.json beside it",
    ),
    "model of another folder": (
        other_model,
        [],
        "model.safetensors is not the file that was written with manifest.json beside it",
    ),
    "model of another folder, with a forged manifest": (
        lambda folder: [other_model(folder), forge(folder)],
        [],
        r"model.safetensors does not belong to settings.json beside it: units is \(3,\) in the one",
    ),
    "no manifest": (
        lambda folder: (folder / "manifest.json").unlink(),
        [],
        "there is no manifest.json in .* python -m lstmcore.io.manifest",
    ),
    "a page of someone else": (
        lambda folder: (folder / "inspect.html").write_text("mine"),
        [],
        "there is a file .*inspect.html already: --force replaces it",
    ),
    "another file of someone else": (
        lambda folder: (folder / "mine.html").write_text("mine"),
        ["-o", "mine.html"],
        "there is a file mine.html already: --force replaces it, or choose another",
    ),
    "table gone": (
        lambda folder: edit_settings(folder, source="gone.csv"),
        [],
        "the table that the model was trained on, gone.csv, is not here: give it",
    ),
    "table without the columns": (
        lambda folder: (folder / "t.csv").write_text("load\n1\n"),
        ["t.csv"],
        "no column 'temp'",
    ),
    "no such table": (lambda folder: None, ["t.csv"], "there is no file .*t.csv"),
    "too many columns": (other_table, ["three.csv"], r"3 columns to read \(a, b, c\), but .* 2"),
    "window too long": (lambda folder: None, ["--window", 41], "a length of 41|window of 41 rows"),
    "window 0": (lambda folder: None, ["--window", 0], "length must be at least 1, got 0"),
    "not a page": (lambda folder: None, ["-o", "model.safetensors"], "let it end in .html"),
    "nowhere": (lambda folder: None, ["-o", "no/folder/x.html"], "there is no folder no.folder"),
}


@pytest.mark.parametrize(("damage", "arguments", "message"), BREAK.values(), ids=BREAK)
def test_mistakes(damage, arguments, message, folder, monkeypatch):
    """A sentence, and neither a page nor a changed model."""
    damage(folder)
    monkeypatch.chdir(folder)
    before = sorted(path.name for path in folder.iterdir())
    run = call("inspect", folder, *arguments)
    assert run.exit_code == 1
    assert re.search(rf"error: .*{message}", run.text), run.text
    assert sorted(path.name for path in folder.iterdir()) == before


def test_help():
    text = call("inspect", "--help").text
    for words in ("FILE", "DATA", "--window", "--output", "inspect.html beside a model"):
        assert words in text
