"""The command: one call writes everything promised, and a mistake costs one clear sentence."""

import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from command import Run, call
from matplotlib import pyplot

import lstmcore as lc
from lstmcore import reference, series
from lstmcore.apps import autoencoding
from lstmcore.series import read_dataset

# The smallest model and the fewest batches: what costs time here is compiling.
SMALL = ("--window", "3", "--units", "2", "--epochs", "2", "--batch-size", "512")
TABLE = "name,load,temp\n" + "".join(f"day {i},{i % 5},{1000 + i * i}\n" for i in range(12))
OPTIONS = (
    "dataset", "columns", "mode", "window", "horizon", "units", "activation", "scaling", "epochs",
    "batch-size", "learning-rate", "validation", "patience", "seed", "output", "time", "missing",
    "difference", "stride", "resume",
)  # fmt: skip


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "my table, é.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory) -> Run:
    """The command without any option but a short time of training."""
    return call("fit", "--epochs", 2, "-o", tmp_path_factory.mktemp("run") / "new" / "folder")


# What the tutorial leaves behind.


def test_everything_promised_is_written(tutorial):
    assert tutorial.exit_code == 0, tutorial.text
    assert tutorial.files() == {
        "model.safetensors", "settings.json", "history.csv", "output.csv",
        "checkpoint.safetensors", "loss.png", "reconstruction.png", "gates_encoder_0.png",
        "gates_encoder_1.png", "manifest.json",
    }  # fmt: skip
    assert tutorial.files() <= set(re.findall(r"[\w.]+", tutorial.text))  # and said so


def test_the_table_of_layers_is_printed(tutorial):
    assert "9 rows of x, x_cubed; 5 windows" in tutorial.text
    assert "encoder_0 LSTM (None, 3, 128) 67,072" in tutorial.text
    assert "total 248,578" in tutorial.text


def test_the_model_can_be_loaded(tutorial):
    model, params = tutorial.model()
    assert model == lc.Autoencoder(2, (128, 64), "relu")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_the_history_has_a_row_per_epoch(tutorial):
    history = tutorial.column("history.csv", "epoch", "loss")
    assert history[:, 0].tolist() == [1, 2]
    assert history[1, 1] < history[0, 1]


def test_the_output_stands_beside_what_was_to_be_written(tutorial):
    rows = tutorial.rows("output.csv")
    assert list(rows[0]) == ["part", "window", "used_for", "step", "row",
                             "x", "x_cubed", "x_output", "x_cubed_output"]  # fmt: skip
    assert {row["part"] for row in rows} == {"reconstruction"}
    places = tutorial.column("output.csv", "window", "step", "row").tolist()
    assert places == [[window, step, 2 + window + step] for window in range(5) for step in range(3)]
    X, _ = series.temporalize(series.tutorial_series(), range(9), lookback=3)
    actual = tutorial.column("output.csv", "x", "x_cubed")
    np.testing.assert_array_equal(actual, np.concatenate(X))
    apply, params = reference.load(tutorial.folder / "model.safetensors")
    output = tutorial.column("output.csv", "x_output", "x_cubed_output")
    np.testing.assert_allclose(output, np.concatenate(apply(params, X)[0]), rtol=1e-4)


def test_the_settings_tell_how_the_model_was_made(tutorial):
    contents = tutorial.settings()
    assert contents["lstmcore"] == lc.__version__
    assert contents["source"] == "tutorial"
    assert contents["columns"] == ["x", "x_cubed"]
    assert contents["preprocessor"]["preprocessing"] == {
        "missing": "refuse", "difference": [], "scaling": "none",
    }  # fmt: skip
    assert (contents["preprocessor"]["offset"], contents["preprocessor"]["scale"]) == (
        [0, 0],
        [1, 1],
    )
    expected = {"window": 3, "units": [128, 64], "activation": "relu", "epochs": 2, "seed": 0}
    assert expected.items() <= contents["settings"].items()


def test_the_figures_show_something(tutorial):
    for path in tutorial.folder.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert pyplot.imread(path)[..., :3].std() > 0.01


# Tables, modes, options.


@pytest.mark.usefixtures("no_training", "empty_figures")
@pytest.mark.parametrize("mode", ["prediction", "composite"])
def test_a_table_in_each_mode(mode, table, tmp_path):
    """The settings and the model are enough to write the output again, in units of the table."""
    run = call("fit", table, *SMALL, "--mode", mode, "--horizon", 2, "-o", tmp_path / "a run, é")
    assert run.exit_code == 0, run.text
    parts = {"prediction": 2} if mode == "prediction" else {"reconstruction": 3, "prediction": 2}
    pictures = {"loss.png", "gates_encoder_0.png", *(f"{part}.png" for part in parts)}
    assert {name for name in run.files() if name.endswith(".png")} == pictures
    assert run.settings()["columns"] == ["load", "temp"]

    values = np.array([line.split(",")[1:] for line in TABLE.splitlines()[1:]], float)
    preprocessor = series.Preprocessor.from_json(run.settings()["preprocessor"])
    apply, params = reference.load(run.folder / "model.safetensors")
    written, _ = apply(params, lc.windows(preprocessor.transform(values), 3, 2)[0])
    written = written if mode == "composite" else (written,)
    assert [row["part"] for row in run.rows("output.csv")] == [
        part for part, steps in parts.items() for _ in range(8 * steps)
    ]
    at = run.column("output.csv", "row")[:, 0].astype(int)
    np.testing.assert_array_equal(run.column("output.csv", "load", "temp"), values[at])
    output = run.column("output.csv", "load_output", "temp_output")
    expected = np.concatenate(
        [preprocessor.inverse_transform(part).reshape(-1, 2) for part in written]
    )
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.thorough
@pytest.mark.usefixtures("no_figures")
def test_same_seed_same_model(table, tmp_path):
    """Other seed, other model; results of an earlier run are replaced, even read-only ones."""
    models, files = [], []
    for seed in (7, 7, 8):
        options = ("--columns", "temp", "--seed", seed, "--force")
        run = call("fit", table, *SMALL, *options, "-o", tmp_path / "run")
        assert run.exit_code == 0, run.text
        models.append(np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(run.model()[1])]))
        files.append((run.folder / "model.safetensors").read_bytes())
        (run.folder / "model.safetensors").chmod(0o400)
    first, again, other = models
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert files[0] == files[1]


@pytest.mark.thorough
@pytest.mark.usefixtures("no_figures")
def test_sunspots_with_validation_and_patience(tmp_path):
    """A step too small to change any weight: the first epoch stays the best, and patience ends."""
    run = call("fit", "--dataset", "sunspots", *SMALL, "--epochs", 50, "--learning-rate", 1e-30,
               "--validation", 0.2, "--patience", 3, "-o", tmp_path / "run")  # fmt: skip
    assert run.exit_code == 0, run.text
    losses = run.column("history.csv", "loss", "validation_loss")
    assert len(losses) == 4
    assert np.ptp(losses, axis=0).max() < 1e-6
    assert run.settings()["rows"] == 309
    trained_on = read_dataset("sunspots").values[: 309 - round(0.2 * 307) - 2]
    np.testing.assert_allclose(run.settings()["preprocessor"]["offset"], trained_on.mean(axis=0))


@pytest.mark.usefixtures("no_training")
def test_names_of_columns_are_not_taken_for_markup(table, tmp_path):
    names = ["temp [degc]", "price [/usd]", "$x^$"]
    rows = "".join(f"{i},{i * i},{i % 3}\n" for i in range(9))
    table.write_text(",".join(names) + "\n" + rows)
    run = call("fit", table, *SMALL, "-o", tmp_path / "run [red]")
    assert run.exit_code == 0, run.text
    for printed in (*names, "run [red]"):
        assert printed in run.text
    assert set(names) < set(run.rows("output.csv")[0])


# Missing values, differences, times, strides.

GAPPY = "when,load,temp\n" + "".join(
    f"{i},{'' if i == 7 else i % 5},{1000 + i * i}\n" for i in range(30) if i != 12
)


@pytest.mark.usefixtures("no_training", "no_figures")
@pytest.mark.parametrize("mode", ["reconstruction", "prediction"])
def test_missing_values_and_differences(mode, table, tmp_path):
    """An empty cell where nobody knows the value; and all in units of the table."""
    table.write_text(GAPPY)
    run = call("fit", table, *SMALL, "--mode", mode, "--time", "when", "--missing", "forward",
               "--difference", "5,1", "--stride", "2", "-o", tmp_path / "run")  # fmt: skip
    assert run.exit_code == 0, run.text
    horizon = mode == "prediction"
    windows = (30 - 6 - 3 - horizon) // 2 + 1
    assert f"30 rows of load, temp; {windows} windows, one every 2 rows" in run.text
    assert "the times skip 1 row" in run.text
    assert "load: 2 of 30 values missing" in run.text
    assert "filled with the last known value" in run.text
    assert "differences to 5 rows before and then to the row before" in run.text
    assert re.search(r"error, training windows: [\d.]+ on average, [\d.]+ at worst", run.text)
    settings = run.settings()
    assert (settings["reading"], settings["rows"]) == ({"time": "when"}, 30)
    assert settings["settings"]["stride"] == 2
    assert settings["preprocessor"]["preprocessing"] == {
        "missing": "forward", "difference": [5, 1], "scaling": "standard",
    }  # fmt: skip

    rows = run.rows("output.csv")
    assert len(rows) == windows * (1 if horizon else 3)
    for row in rows:
        place = int(row["row"])
        assert row["load"] == ("" if place in (7, 12) else str(float(place % 5)))
        assert row["temp"] == ("" if place == 12 else str(float(1000 + place * place)))
        assert np.isfinite([float(row["load_output"]), float(row["temp_output"])]).all()
    preprocessor = series.Preprocessor.from_json(settings["preprocessor"])
    values = np.array([[i % 5, 1000.0 + i * i] for i in range(30)])
    values[7, 0] = np.nan
    values[12] = np.nan
    x = preprocessor.transform(values)
    apply, params = reference.load(run.folder / "model.safetensors")
    inputs = lc.windows(x[: len(x) - horizon], 3, stride=2)
    written = np.asarray(apply(params, inputs)[0], float)
    filled = preprocessor.filled(values)
    if horizon:
        before = lc.windows(filled[3:-1], 6, stride=2)
        expected = preprocessor.inverse_transform(written, before)
    else:
        missed = (written - inputs) * preprocessor.scaler.scale
        expected = lc.windows(filled[6:], 3, stride=2) + missed
    output = run.column("output.csv", "load_output", "temp_output")
    np.testing.assert_allclose(output, np.concatenate(expected), rtol=1e-4, atol=1e-4)


def test_rows_that_are_left_out_are_refused_unless_said_otherwise(table, tmp_path):
    table.write_text(GAPPY.replace(",,", ",2,"))
    run = call("fit", table, *SMALL, "--time", "when", "-o", tmp_path / "run")
    assert_refused(run, "has no row at 12, though rows are 1 apart: .* --missing forward")


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (
            ["2026-01-01", "2026-01-03", "2026-01-02"],
            "comes before 2026-01-03, .*: --sort sorts the rows",
        ),
        (["2026-01-01", "2026-01-02", "2026-01-02"], "has the same time as the row before"),
    ],
)
def test_times_are_checked(dates, message, table, tmp_path):
    table.write_text("date,load\n" + "".join(f"{date},1\n" for date in dates))
    assert_refused(call("fit", table, "--window", 1, "-o", tmp_path / "run"), message)


@pytest.mark.usefixtures("no_training", "no_figures")
def test_a_column_that_never_changes_is_named(table, tmp_path):
    table.write_text("load,temp\n" + "".join(f"{i},5\n" for i in range(12)))
    run = call("fit", table, *SMALL, "-o", tmp_path / "run")
    assert "temp never changes in the training part" in run.text


# Mistakes.

MISTAKES = {
    "no such file": (["nowhere.csv"], "[Nn]o (such )?file.*nowhere.csv"),
    "no such file [/b]": (["[/b].csv"], r"[Nn]o (such )?file.*\[/b\].csv"),
    "window too long": (["--window", 8], "window of 8 rows does not fit into 7 rows"),
    "window 0": (["--window", 0], "window must be at least 1, got 0"),
    "learning rate a word": (["--learning-rate", "x"], "rate': 'x' is not a number"),
    "a list cut by spaces": (
        ["a.csv", "--units", 4, 2],
        "unexpected argument '2': write commas, not spaces, .* --units 4,2",
    ),
    "two tables": (["a.csv", "b.csv"], "unexpected argument 'b.csv'"),
    "window a word": (["--window", "x"], "'--window': 'x' is not a whole number"),
    "no horizon": (["--mode", "prediction", "--horizon", 0], "horizon must be at least 1"),
    "no horizon, composite": (
        ["--mode", "composite", "--horizon", 0],
        "horizon must be at least 1",
    ),
    "horizon of a reconstruction": (
        ["--horizon", 2],
        "horizon is 2, but a reconstruction predicts no rows",
    ),
    "units 0": (["--units", "4,0"], "units must be at least 1, got 0"),
    "units words": (["--units", "a,b"], "'a,b' is not a list of sizes such as 128,64"),
    "activation": (["--activation", "swish"], "activation 'swish' is not known: use one of tanh"),
    "mode": (["--mode", "forecast"], "'forecast' is not one of 'reconstruction'"),
    "scaling": (["--scaling", "log"], "'log' is not one of 'standard'"),
    "dataset": (["--dataset", "x"], "'x' is not one of 'tutorial'"),
    "epochs 0": (["--epochs", 0], "epochs must be at least 1, got 0"),
    "batch size 0": (["--batch-size", 0], "batch_size must be at least 1, got 0"),
    "learning rate 0": (["--learning-rate", 0], "learning_rate must be a positive number, got 0"),
    "learning rate NaN": (["--learning-rate", "nan"], "learning_rate must be a positive number"),
    "validation": (
        ["--validation", 1.5],
        "validation must be at least 0 and below 1, got 1.5",
    ),
    "nothing to train on": (["--validation", 0.9], "validation 0.9 leaves no window of 3 rows"),
    "stride 0": (["--stride", 0], "stride must be at least 1, got 0"),
    "stride a word": (["--stride", "x"], "'x' is neither a number of rows nor auto"),
    "difference 0": (["--difference", 0], "difference must be at least 1"),
    "difference a word": (
        ["--difference", "x"],
        "--difference.*'x' is not a list of lags such as 24,1",
    ),
    "difference too long": (["--difference", 5], r"into 2 rows \(5 are dropped by differencing\)"),
    "missing": (["--missing", "linear"], "'linear' is not one of 'refuse'"),
    "time of a dataset": (["--time", "x"], "--time is for a CSV file"),
    "seed too large": (["--seed", 10**20], "seed"),
    "columns of a dataset": (["--columns", "x"], "--columns is for a CSV file"),
}
BAD_TABLES = {
    "empty": ("", [], "is empty"),
    "NaN": ("a,b\n1,2\n3,NaN\n", [], "line 3, column 'b': no value"),
    "no column of times": (TABLE, ["--time", "when"], "no column 'when': its columns are"),
    "empty cell": ("a,b\n1,2\n3,\n", [], "line 3, column 'b': no value"),
    "all empty": (
        "a,b\n,2\n,3\n,4\n,5\n",
        ["--missing", "forward", "--columns", "a"],
        "starts with 4 missing values",
    ),
    "missing column": (TABLE, ["--columns", "load, wind"], "no column 'wind': its columns are"),
    "column of words": (TABLE, ["--columns", "name"], "line 2, column 'name': 'day 0' is not a"),
    "unknown [red]": (TABLE, ["--columns", "[red]"], r"no column '\[red\]'"),
    "and a dataset": (TABLE, ["--dataset", "tutorial"], "a CSV file or --dataset, not both"),
}


def assert_refused(run, message):
    """An error in words, and no folder that pretends there were results."""
    assert run.exit_code in (1, 2)
    assert re.search(rf"[Ee]rror\W.*{message}", run.text), run.text
    assert not run.folder.exists()


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(arguments, message, tmp_path):
    run = call("fit", "--units", 2, "--epochs", 1, *arguments, "-o", tmp_path / "run")
    assert_refused(run, message)


@pytest.mark.parametrize(("content", "arguments", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_bad_tables(content, arguments, message, table, tmp_path):
    table.write_text(content)
    assert_refused(call("fit", table, *SMALL, *arguments, "-o", tmp_path / "run"), message)


@pytest.mark.parametrize("place", ["file", "file/below/it"])
def test_a_folder_that_cannot_be_written_to(place, tmp_path):
    (tmp_path / "file").write_text("old")
    run = call("fit", *SMALL, "-o", tmp_path / place)
    assert run.exit_code == 1
    assert f"error: cannot write to the output folder {tmp_path / place}" in run.text
    assert (tmp_path / "file").read_text() == "old"


def test_a_run_that_diverges_keeps_its_last_finite_weights(tmp_path):
    run = call("fit", *SMALL, "--epochs", 9, "--learning-rate", 1e30, "-o", tmp_path / "run")
    assert run.exit_code == 1
    assert "error: training diverged in epoch" in run.text
    assert "lower --learning-rate" in run.text
    assert f"saved in {tmp_path / 'run' / 'model.safetensors'}" in run.text
    found = {"model.safetensors", "settings.json", "history.csv", "manifest.json"}
    assert run.files() - {"checkpoint.safetensors"} == found  # if it got so far
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.model()[1]))
    assert np.isfinite(run.column("history.csv", "epoch", "loss")).all()


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("with_old_results", [True, False])
def test_a_run_that_ends_before_it_trains_changes_nothing(
    failure, with_old_results, tutorial, tmp_path, monkeypatch
):
    def fail(*_, **__):
        raise failure

    folder = tmp_path / "run"
    if with_old_results:
        shutil.copytree(tutorial.folder, folder)
    monkeypatch.setattr(autoencoding, "train", fail)
    run = call("fit", *SMALL, *["--force"] * with_old_results, "-o", folder)
    assert run.exit_code == (130 if isinstance(failure, KeyboardInterrupt) else 1)
    assert "disk full" in run.text or "interrupted: nothing was written" in run.text
    if with_old_results:
        for path in tutorial.folder.iterdir():
            assert path.read_bytes() == (folder / path.name).read_bytes()
    else:
        assert not folder.exists()


@pytest.mark.thorough
@pytest.mark.usefixtures("empty_figures")
def test_results_of_an_earlier_run_do_not_stay_beside_those_of_another_model(tutorial, tmp_path):
    shutil.copytree(tutorial.folder, tmp_path / "run")
    call("inspect", tmp_path / "run")
    assert (tmp_path / "run" / "inspect.html").exists()
    run = call("fit", *SMALL, "--mode", "prediction", "--force", "-o", tmp_path / "run")
    assert run.files() == {
        "model.safetensors", "settings.json", "history.csv", "output.csv", "manifest.json",
        "checkpoint.safetensors", "loss.png", "prediction.png", "gates_encoder_0.png",
    }  # fmt: skip


@pytest.mark.usefixtures("no_training", "no_figures")
def test_errors_of_training_and_validation_windows_are_printed(tmp_path):
    run = call("fit", "--dataset", "sunspots", *SMALL, "--validation", 0.2, "-o", tmp_path / "run")
    rows = run.rows("output.csv")
    for use, words in (("training", "training windows"), ("validation", "validation windows")):
        mine = [row for row in rows if row["used_for"] == use]
        errors = [abs(float(row["sunspots"]) - float(row["sunspots_output"])) for row in mine]
        assert f"error, {words}: {np.mean(errors):.4g} on average" in run.text
    assert {row["used_for"] for row in rows} == {"training", "neither", "validation"}


@pytest.mark.usefixtures("no_training", "no_figures")
def test_the_table_itself_is_never_overwritten(table, tmp_path):
    """It may well be the output of an earlier run, in the same folder."""
    table = table.rename(table.with_name("output.csv"))
    run = call("fit", table, *SMALL, "-o", table.parent)
    assert "holds output.csv, which lstmcore did not write: choose another folder" in run.text
    assert table.read_text() == TABLE
    earlier = call("fit", table, *SMALL, "-o", tmp_path / "run").folder / "output.csv"
    before = earlier.read_bytes()
    for option in ("--force", "--resume"):
        run = call("fit", earlier, *SMALL, option, "-o", tmp_path / "run")
        assert "output.csv lies in the output folder" in run.text
        assert earlier.read_bytes() == before


def test_a_table_called_like_a_dataset_is_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tutorial").write_text(TABLE)
    run = call("fit", "tutorial", "--units", 2, "--epochs", 1, "-o", tmp_path / "run")
    assert_refused(run, "window of 24 rows does not fit into 12 rows")  # 24: not the tutorial's 3


# Help.


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_explains_each_option(flag):
    run = call("fit", flag)
    assert run.exit_code == 0
    for option in OPTIONS:
        assert re.search(rf"--{option} .*? \w+", run.text), option
    for default in ("[default: 24; tutorial: 3]", "[default: reconstruction]", "[default: off]"):
        assert default in run.text


def test_help_lists_the_commands():
    for run in (call("--help"), call()):
        assert "lstmcore fit my.csv" in run.text
        assert "Train an LSTM autoencoder" in run.text
        assert "Write a page" in run.text


def test_version():
    assert call("--version").text == f"lstmcore {lc.__version__}"
