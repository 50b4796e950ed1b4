"""The options of reading, from the command line to what is stored, and files that are pipes."""

import os
import re
import subprocess
import sys
import threading

import pytest
from command import call

from lstmcore import series

GERMAN = "Datum;Ort;Last\n" + "".join(
    f"{day:02}.01.2024;{place};{place_number * 10 + day % 5},5\n"
    for day in range(1, 15)
    for place_number, place in enumerate(("Nord", "Süd"))
)
SMALL = ("--window", "3", "--units", "2", "--epochs", "2", "--batch-size", "512")
OPTIONS = ["--series", "Süd", "--day-first"]


@pytest.fixture
def german(tmp_path):
    path = tmp_path / "last.csv"
    path.write_bytes(GERMAN.encode("latin-1"))
    return path


@pytest.mark.thorough
@pytest.mark.usefixtures("no_figures")
def test_options_reach_the_table_and_are_stored(german, tmp_path):
    run = call("fit", german, *SMALL, *OPTIONS, "-o", tmp_path / "run")
    assert run.exit_code == 0, run.text
    assert "14 rows of Last, one every day" in run.text
    assert "read with ; between cells, decimal commas, times as day.month.year" in run.text
    assert "read as Windows-1252" in run.text
    assert run.settings()["reading"] == {"series": "Süd", "day_first": True, "time": "Datum"}
    assert {row["Last"] for row in run.rows("output.csv")} == {f"1{n}.5" for n in range(5)}
    # The page is made of the same rows, without saying so again.
    page = call("inspect", run.folder, "-o", tmp_path / "page.html")
    assert page.exit_code == 0, page.text
    other = call("fit", german, *SMALL, "--series", "Nord", "--day-first", "--resume",
                 "-o", run.folder)  # fmt: skip
    assert other.exit_code == 1
    assert "error" in other.text


@pytest.mark.parametrize("command", ["fit", "forecast", "anomalies"])
def test_what_is_open_is_refused_with_the_option(command, german, tmp_path):
    run = call(command, german, "-o", tmp_path / "run")
    assert run.exit_code == 1
    assert "2 series, told apart by Ort (Nord, Süd): --series NAME reads one" in run.text
    run = call(command, german, "--decimal", "x", "-o", tmp_path / "run")
    assert run.exit_code == 2
    assert "--decimal must be one of" in re.sub(r"[\s│]+", " ", run.text)
    assert not (tmp_path / "run").exists()
    assert call(command, german, "--series", "list").text == "Nord Süd"


def test_every_command_has_the_same_options():
    texts = [call(name, "--help").text for name in ("fit", "forecast", "anomalies", "inspect")]
    for option in ("--time", "--day-first", "--series", "--sort", "--resample", "--na", "--header"):
        assert all(option in text for text in texts), option


@pytest.mark.parametrize("arguments", [["--decimal", ","], ["--sort"], ["--na", "-9"]])
def test_options_of_reading_are_for_a_file(arguments, tmp_path):
    run = call("fit", "--dataset", "tutorial", *arguments, "-o", tmp_path / "run")
    assert run.exit_code == 1
    assert f"{arguments[0]} is for a CSV file" in run.text


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
@pytest.mark.usefixtures("no_training", "no_figures")
def test_a_table_may_come_through_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = "a,b\n" + "".join(f"{row % 5},{row}\n" for row in range(12))
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    run = call("fit", pipe, *SMALL, "-o", tmp_path / "run")
    writer.join()
    assert run.exit_code == 0, run.text
    for path in ("/dev/zero", "/dev/null"):
        run = call("fit", path, *SMALL, "-o", tmp_path / "other")
        assert run.exit_code == 1
        assert path in run.text


def test_a_table_may_come_from_the_standard_input(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "lstmcore", "fit", "-", "-o", tmp_path / "run"],
        input="a,b\n1,x\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert re.search("error: a window of 24 rows does not fit into 1 row", run.stderr), run.stderr


def test_labels_may_be_words(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(
        "v,state\n" + "".join(f"{n},{'bad' if n == 7 else 'good'}\n" for n in range(9))
    )
    run = call("anomalies", table, "--labels", "state", "-o", tmp_path / "run")
    assert run.exit_code == 1
    assert "state holds text: say which value marks a row, such as --labels 'state=bad'" in run.text
    assert series.read_csv(table, also=["state=bad"]).values[:, 1].sum() == 1
