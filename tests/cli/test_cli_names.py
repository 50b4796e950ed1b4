"""Names that are none: bytes that are no UTF-8, escape sequences, formulas, scripts."""

import math
import os
import sys

import pytest
from browsing import assert_sound, open_file
from command import call

import lstmcore as lc

COLUMNS = ("</script><script>alert(1)</script>", "=1+1", "\x1b[31mred\u202e")
SMALL = ["--window", 6, "--horizon", 2, "--units", 3, "--epochs", 1, "--batch-size", 64]


@pytest.fixture(scope="module")
def run(tmp_path_factory, no_training_in_this_module):
    """A forecast of such columns, from and to such paths."""
    folder = tmp_path_factory.mktemp("names")
    # Where file names may be any bytes, Python has surrogates for those that are no UTF-8.
    name = os.fsdecode(b"caf\xe9") if sys.platform == "linux" else "café"
    lines = [",".join(("time", *COLUMNS))]
    for row in range(90):
        day, hour = 1 + row // 24, row % 24
        lines.append(f"2024-01-{day:02} {hour:02}:00,{math.sin(row / 4)},{math.cos(row)},{row % 7}")
    (folder / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    run = call("forecast", folder / f"{name}.csv", *SMALL, "-o", folder / f"{name} run")
    assert run.exit_code == 0, run.text
    return run


@pytest.mark.thorough
def test_the_terminal_shows_them_escaped(run):
    assert r"\x1b[31mred\u202e" in run.text
    run.text.encode()
    assert "\x1b" not in run.text
    assert "\u202e" not in run.text


def test_files_hold_them_as_they_are(run):
    text = (run.folder / "test.csv").read_text(encoding="utf-8")
    assert text.count('"=1+1"') == text.count("=1+1") > 0
    assert {row["target"] for row in run.rows("errors.csv")} == set(COLUMNS)
    assert lc.forecasting.Trained.load(run.folder).columns == COLUMNS
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert COLUMNS[0] not in page
    assert "\x1b" not in page


def test_the_page_runs_none_of_them(browser, run):
    opened = open_file(browser, run.folder / "report.html", ".main-svg")
    titles = opened.locator(".annotation-text").all_text_contents()[:3]
    assert titles == [*COLUMNS[:2], r"\x1b[31mred\u202e"]
    assert_sound(opened)
