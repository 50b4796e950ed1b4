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
    assert "cells separated by semicolons, decimal commas, times as day.month.year" in run.text
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


def late(tmp_path):
    path = tmp_path / "late.csv"
    hours = [f"2024-01-{day:02} {hour:02}:00" for day in range(1, 5) for hour in range(24)]
    path.write_text(
        "when,load,temp\n"
        + "".join(f"{w},{'' if n < 24 else n % 7},{n % 5}\n" for n, w in enumerate(hours))
    )
    return path


@pytest.mark.usefixtures("no_training")
def test_a_table_is_begun_where_the_message_says(tmp_path):
    path, out = late(tmp_path), tmp_path / "run"
    small = ("--window", "3", "--horizon", "2", "--epochs", "1", "--units", "2")
    run = call("forecast", path, *small, "-o", out)
    assert run.exit_code == 1
    assert (
        "column 'load': no value in the first 24 rows, and none before to fill them with: begin "
        "after them with --since '2024-01-02 00:00', leave out the column, or use --missing mean"
    ) in run.text
    run = call("forecast", path, *small, "--since", "2024-01-02 00:00", "-o", out)
    assert run.exit_code == 0, run.text
    assert "72 rows of load, temp, one every hour" in run.text
    assert "96 rows cut to 72 by --since 2024-01-02 00:00" in run.text
    again = call("forecast", "--model", out, path, "--missing", "mean", "-o", tmp_path / "again")
    assert again.exit_code == 1  # of another table, all rows are read
    again = call("forecast", "--model", out, path, "--since", "24", "-o", tmp_path / "again")
    assert again.exit_code == 0, again.text


@pytest.mark.usefixtures("no_training")
def test_rows_that_the_times_skip_are_named_by_their_times(tmp_path):
    path = late(tmp_path)
    text = path.read_text().splitlines(keepends=True)
    path.write_text("".join(text[:1] + text[25:40] + text[42:]))
    run = call("forecast", path, "--window", "3", "--horizon", "2", "--epochs", "1", "--units",
               "2", "-o", tmp_path / "run")  # fmt: skip
    assert run.exit_code == 0, run.text
    assert "the times skip 2 rows, which are added as missing: 2024-01-02 15:00 and 1 more" in (
        run.text
    )
    assert "load: 2 of 72 values missing (2.8%), the first at 2024-01-02 15:00" in run.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--targets", "laod"], "targets names 'laod' (did you mean 'load'?) but the columns are"),
        (["--columns", "Temp"], "has no column 'Temp' (did you mean 'temp'?): its columns are"),
        (["--columns", "when2,load"], "has no column 'when2' (did you mean 'when'?)"),
        (["--columns", "price"], "has no column 'price': its columns are when, load, temp"),
    ],
)
def test_a_name_that_nearly_exists_is_asked_about(options, message, tmp_path):
    run = call("forecast", late(tmp_path), "--since", "24", *options, "-o", tmp_path / "run")
    assert run.exit_code == 1
    assert message in run.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--horizon", "twelve"], "Invalid value for '--horizon': 'twelve' is not a whole number"),
        (["--horizon=twelve"], "Invalid value for '--horizon': 'twelve' is not a whole number"),
        (["--learning-rate", "fast"], "'--learning-rate': 'fast' is not a number"),
        (["--missing", "3"], "'--missing': '3' is not one of 'refuse', 'forward', 'mean'"),
        (["--columns", "load", "temp"], "commas, not spaces, between values: --columns load,temp"),
        (["--time", "when", "load"], "commas, not spaces, between values: --time when,load"),
    ],
)
def test_mistyped_options_are_answered_in_plain_words(options, message, tmp_path):
    run = call("forecast", late(tmp_path), *options, "-o", tmp_path / "run")
    assert run.exit_code == 2
    assert message in re.sub(r"[\s│]+", " ", run.text)
    assert "Value error" not in run.text
    assert "Input should be" not in run.text


def test_a_word_among_numbers_names_the_option_that_reads_it(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("year,x\n2020,1\n2021,n.v.\n2022,3\n")
    run = call("forecast", path, "-o", tmp_path / "run")
    assert "or take it for a missing value with --na n.v." in run.text
    assert series.read_csv(path, na=("n.v.",), missing=True).values.shape == (3, 1)
