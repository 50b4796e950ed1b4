"""The benchmark of long sequences: its measurements, its file and its page."""

import json

import pytest

from benchmarks.speed import long, memory
from benchmarks.speed.processes import ROOT, python

pytestmark = pytest.mark.thorough

MIB_OF_A_STATE = 2 * 4 * long.UNITS / 2**20  # h and c, float32


@pytest.mark.skipif(not memory.available(), reason="needs Linux's /proc")
def test_one_measurement():
    steps = 2000
    row = json.loads(
        python("-m", "benchmarks", "long", "--steps", str(steps), "--one", "fast", "last")
    )
    assert (row["way"], row["loss"], row["steps"]) == ("fast", "last", steps)
    trace = 3 * steps * MIB_OF_A_STATE  # h, c and four gates
    assert trace < row["added"] < 3 * trace
    assert row["process"] > row["added"] + 50  # Python and JAX
    assert row["seconds"] > 0


def test_the_page_shows_the_file(tmp_path):
    found = json.loads(long.FILE.read_text(encoding="utf-8"))
    assert {row["steps"] for row in found["rows"]} == set(long.STEPS)
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert long.table(found["rows"]).strip() in page
    long.draw(found["rows"], tmp_path / "long.png")
    assert (tmp_path / "long.png").read_bytes()[1:4] == b"PNG"
    assert long.FIGURE.stat().st_size < 200_000


def test_a_gradient_of_a_hundred_thousand_steps_stays_within_a_gigabyte():
    rows = json.loads(long.FILE.read_text(encoding="utf-8"))["rows"]
    longest = [row for row in rows if row["steps"] == 100_000]
    assert len(longest) == len(long.IMPLEMENTATIONS) * len(long.LOSSES)
    kept = {(row["way"], row["loss"]): row for row in longest}
    for name in ("fast", "segments"):
        assert all(kept[name, loss]["process"] * 2**20 < 1e9 for loss in long.LOSSES)
    assert kept["segments", "last"]["added"] < kept["fast", "last"]["added"] / 20
