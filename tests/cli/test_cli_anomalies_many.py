"""`lstmcore anomalies --id`: files in long form, an earlier detector, and mistakes."""

import numpy as np
import pytest
from browsing import assert_sound, open_file
from command import Run, call

import lstmcore as lc

NAMES = ("lathe", "mill", "press")
QUICK = ("--window", 6, "--units", 4, "--epochs", 6, "--learning-rate", 0.02, "--season", 0)
FILES = {
    "model.safetensors", "errors.safetensors", "detector.json", "settings.json", "history.csv",
    "scores.csv", "events.csv", "series.csv", "anomalies.png", "loss.png", "report.html",
    "checkpoint.safetensors", "manifest.json",
}  # fmt: skip
ROWS = 80


def lines(odd=(), names=("lathe", "mill", "press"), seed=0, rows=ROWS):
    """CSV of machines at different loads; those in `odd` jump in row 60."""
    rng = np.random.default_rng(seed)
    text = ["day,machine,load,fault"]
    tables = {}
    for name in names:
        place = (*NAMES, "saw").index(name)
        wave = np.sin(np.arange(rows) / 2 + place) + 0.1 * rng.normal(size=rows)
        wave[60:64] += 20 * (name in odd)
        tables[name] = 100 * place + (1 + place) * wave
    for row in range(rows):
        day = np.datetime64("2026-01-01") + np.timedelta64(row, "D")
        for name, table in tables.items():
            text.append(f"{day},{name},{table[row]:.3f},{int(name in odd and 60 <= row < 64)}")
    return "\n".join(text) + "\n"


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    (folder / "machines.csv").write_text(lines(odd=["mill"]), encoding="utf-8")
    run = call(
        "anomalies", folder / "machines.csv", "--id", "machine", "--gap", 3, *QUICK,
        "-o", folder / "out",
    )  # fmt: skip
    assert run.exit_code == 0, run.text
    return run


def test_files_are_in_long_form(found):
    assert found.files() == FILES
    scores = found.rows("scores.csv")
    assert len(scores) == 3 * ROWS
    assert list(scores[0]) == ["machine", "day", "load", "load_model", "score", "flagged", "event"]
    assert [row["machine"] for row in scores[::ROWS]] == ["lathe", "mill", "press"]
    events = [row for row in found.rows("events.csv") if row["machine"] == "mill"]
    assert any(row["first"] <= "2026-03-02" <= row["last"] for row in events)
    series = {row["machine"]: row for row in found.rows("series.csv")}
    assert int(series["mill"]["flagged_rows"]) >= 1
    assert series["mill"]["rows"] == str(ROWS)
    assert series["mill"]["flagged"] == ""
    assert "too few series to say which are odd as a whole" in found.text
    assert "fault left out, which may hold labels" in found.text
    assert "each machine is scaled by its own level" in found.text
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert "<h2>machine mill</h2>" in page
    assert found.settings()["id"] == "machine"


def in_files(folder, text):
    """Write the rows of each machine into a file of its own; return the paths."""
    rows = [line.split(",") for line in text.splitlines()]
    paths = []
    for name in dict.fromkeys(row[1] for row in rows[1:]):
        own = [",".join((row[0], *row[2:])) for row in rows if row[1] in ("machine", name)]
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text("\n".join(own) + "\n", encoding="utf-8")
    return paths


def test_each_of_several_files_is_a_series(found, tmp_path):
    paths = in_files(tmp_path, lines(odd=["mill"]))
    run = call("anomalies", *paths, "--gap", 3, *QUICK, "-o", tmp_path / "out")
    assert run.exit_code == 0, run.text
    assert "3 series, one from each file" in run.text
    assert "machine" not in run.text
    names = ("scores.csv", "events.csv", "series.csv")
    for one, other in zip(map(run.rows, names), map(found.rows, names), strict=True):
        assert next(iter(one[0])) == "series"
        assert [row["series"] for row in one] == [row["machine"] for row in other]
    np.testing.assert_allclose(run.column("scores.csv", "load"), found.column("scores.csv", "load"))
    highest, expected = (each.column("series.csv", "score") for each in (run, found))
    np.testing.assert_allclose(highest, expected, rtol=1e-3)
    # Its detector scores files again, also a single one.
    for some in (paths[1:], paths[1:2]):
        folder = tmp_path / f"again {len(some)}"
        again = call("anomalies", *some, "--model", run.folder, "-o", folder)
        assert again.exit_code == 0, again.text
        assert [row["series"] for row in again.rows("series.csv")] == [p.stem for p in some]


def test_files_without_values_and_files_in_folders(tmp_path):
    paths = []
    for place, folder in enumerate("ab"):
        (tmp_path / folder).mkdir()
        paths += in_files(tmp_path / folder, lines(seed=place))
    (tmp_path / "bare.csv").write_text("time,load,fault\n")
    options = (*QUICK, "--levels", "own")
    run = call("anomalies", *paths, tmp_path / "bare.csv", *options, "-o", tmp_path / "out")
    assert run.exit_code == 0, run.text
    assert "bare has no value, and is left out" in run.text
    assert [row["series"] for row in run.rows("series.csv")][:2] == ["a/lathe", "a/mill"]
    # Alone, it is still the series that was trained on, whose level is known.
    again = call("anomalies", paths[1], "--model", run.folder, "-o", tmp_path / "again")
    assert again.exit_code == 0, again.text
    assert [row["series"] for row in again.rows("series.csv")] == ["a/mill"]


def test_mistakes_with_files(tmp_path):
    paths = in_files(tmp_path, lines())
    for arguments, message in (
        (("--id", "machine"), "--id tells the series of one file apart, but there are 3"),
        (("--labels", "fault"), "--labels is for one series"),
        (("--train", paths[0]), "--train is for one series, or with --id"),
        (("--series", "mill"), "each of several files is one series"),
        ((paths[0],), "lathe.csv would be two series of the same name"),
    ):
        run = call("anomalies", *paths, *arguments, *QUICK, "-o", tmp_path / "out")
        assert run.exit_code == 1
        assert message in run.text


def test_the_page_draws_in_a_browser_without_a_network(browser, found):
    opened = open_file(browser, found.folder / "report.html", ".main-svg")
    assert opened.locator("h2").all_text_contents()[:2] == ["The series", "machine mill"]
    assert_sound(opened)


def test_it_is_what_python_does(found):
    detector = lc.anomalies.Detector.load(found.folder)
    assert set(detector.ids) == {"lathe", "mill", "press"}
    assert detector.settings.levels == "own"
    rows = {
        name: [row for row in found.rows("scores.csv") if row["machine"] == name] for name in NAMES
    }
    loads = {name: {"load": [float(row["load"]) for row in each]} for name, each in rows.items()}
    result = lc.anomalies.detect(detector, loads, gap=3)
    for name, each in result.series.items():
        scores = [float(row["score"] or "nan") for row in rows[name]]
        np.testing.assert_allclose(each.scores, scores, rtol=1e-4, atol=1e-5)


def test_the_warnings_are_those_of_one_series(found, tmp_path):
    """Of many flagged rows, rows without a score, events close together, and labelled rows."""
    path, normal = tmp_path / "machines.csv", tmp_path / "normal.csv"
    rows = lines(["mill"], seed=1).splitlines()
    noisy = [row.replace(",press,2", f",press,2{place % 7}") for place, row in enumerate(rows)]
    path.write_text("\n".join(noisy) + "\n", encoding="utf-8")
    run = call(
        "anomalies", "--model", found.folder, path, "--score", "mean", "-o", tmp_path / "again"
    )
    assert run.exit_code == 0, run.text
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    for words in (
        "Do not rely on these events: ",
        "rows without a score: a value is missing",
        "less than a window of 6 rows after the previous one: --gap 6 joins such events",
    ):
        assert words in run.text
        assert words in page
    assert page.index("Do not rely") < page.index("above the threshold")

    normal.write_text(lines(["mill"]), encoding="utf-8")
    for options in (("--train-fraction", 1), ("--train", normal)):
        run = call(
            "anomalies", path, "--id", "machine", *options, *QUICK, "--epochs", 1,
            "--difference", 1, "-o", tmp_path / str(options[0]),
        )  # fmt: skip
        assert run.exit_code == 0, run.text
        assert "4 of the 240 rows trained on are marked in fault" in run.text
        assert "an event may have an echo 1 row later" in run.text


@pytest.mark.parametrize("options", [(), ("--update", "--epochs", 1)])
def test_an_earlier_detector_scores_other_machines_by_id(found, options, tmp_path):
    path = tmp_path / "later.csv"
    path.write_text(lines(["press"], ("press", "lathe", "saw"), seed=1), encoding="utf-8")
    run = call(
        "anomalies", "--model", found.folder, path, *options, "-o", tmp_path / "again",
    )  # fmt: skip
    assert run.exit_code == 0, run.text
    names = [row["machine"] for row in run.rows("series.csv")]
    if options:
        assert names == ["press", "lathe", "saw"]
        assert lc.anomalies.Detector.load(run.folder).levels.ids[-1] == "saw"
    else:
        assert names == ["press", "lathe"]
        assert "1 series was not trained on and not scored" in run.text
        assert run.settings()["model"] == str(found.folder)
    assert "press" in {row["machine"] for row in run.rows("events.csv")}


def test_detectors_of_one_series_and_of_several_are_not_confused(found, tmp_path):
    several, one = tmp_path / "machines.csv", tmp_path / "mill.csv"
    several.write_text(lines(), encoding="utf-8")
    rows = [line.replace(",mill", "") for line in lines(names=["mill"]).splitlines()[1:]]
    one.write_text("\n".join(["day,load,fault", *rows]) + "\n", encoding="utf-8")
    run = call("anomalies", "--model", found.folder, one, "-o", tmp_path / "out")
    assert run.exit_code == 1
    assert "has no column 'machine'" in run.text
    assert "are told apart by machine: --id names the column of this table" in run.text

    lc.anomalies.Detector.load(found.folder).save(tmp_path / "saved")
    run = call("anomalies", "--model", tmp_path / "saved", one, "-o", tmp_path / "out")
    assert run.exit_code == 1
    assert "scales each series by its own level: --id names the column" in run.text

    single = call("anomalies", one, *QUICK, "--epochs", 1, "--no-rivals", "-o", tmp_path / "single")
    assert single.exit_code == 0, single.text
    options = ("anomalies", "--model", single.folder, several, "--id", "machine")
    run = call(*options, "-o", tmp_path / "out")
    assert run.exit_code == 1
    assert "was trained on one series: give it one (leave out --id" in run.text
    assert "rows of" not in run.text  # it is not introduced
    run = call(*options, "--update", "--epochs", 1, "-o", tmp_path / "out")
    assert run.exit_code == 0, run.text


def test_series_that_are_too_short_are_named_and_left_out(tmp_path):
    path, normal = tmp_path / "later.csv", tmp_path / "normal.csv"
    path.write_text(lines() + "2026-01-01,drill,5,0\n", encoding="utf-8")
    normal.write_text(lines(seed=2), encoding="utf-8")
    run = call(
        "anomalies", path, "--train", normal, "--id", "machine", *QUICK, "--epochs", 1,
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert run.exit_code == 0, run.text
    assert "1 series of fewer than 7 rows is not scored: drill" in run.text
    assert [row["machine"] for row in run.rows("series.csv")] == ["lathe", "mill", "press"]


def test_series_that_begin_after_the_training_part_are_named_and_left_out(tmp_path):
    path = tmp_path / "machines.csv"
    late = [f"2026-03-{day:02d},saw,{day % 5},0" for day in range(1, 21)]
    gone = [f"2025-11-{day:02d},drill,{day % 7},0" for day in range(1, 21)]
    path.write_text("\n".join([lines().strip(), *late, *gone]) + "\n", encoding="utf-8")
    run = call(
        "anomalies", path, "--id", "machine", *QUICK, "--epochs", 1, "--levels", "own",
        "--train-until", "2026-02-20", "-o", tmp_path / "out",
    )  # fmt: skip
    assert run.exit_code == 0, run.text
    assert "1 series begins after --train-until 2026-02-20: saw" in run.text
    assert "1 series was not trained on and not scored" in run.text
    assert run.settings()["trained_rows"] == 3 * 51 + 20
    for until, message in (("2025-10", "before the rows of all series"), ("soon", "neither")):
        run = call("anomalies", path, "--id", "machine", "--train-until", until)
        assert run.exit_code == 1
        assert message in run.text


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "machine,load\n" + "".join(f"{row % 200},{row % 7}\n" for row in range(2400)),
            ("--id", "machine", "--train-fraction", 1, "--threshold", "peaks"),
            "at least 500 rows in the 20 series held out, and there are 240",
        ),
        (
            "\n".join([*lines().splitlines(), "2099-01-01,mill,5,0"]),
            ("--id", "machine"),
            "machines.csv, machine mill: ",
        ),
        (lines(), ("--id", "engine"), "has no column 'engine'"),
        (lines(), (), "told apart by machine"),
        (lines(), (), "lstmcore anomalies --id searches them"),
        (lines(), ("--id", "machine", "--labels", "fault"), "--labels is for one series"),
        (lines(), ("--id", "machine", "--series", "mill"), "--id reads all series of a file"),
        (lines(), ("--id", "machine", "--train-fraction", 2), "--train-fraction must be above 0"),
        (
            lines(),
            ("--id", "machine", "--threshold", "peaks"),
            "--threshold peaks needs at least 500 rows to train on, and there are 120",
        ),
        (
            lines(),
            ("--id", "machine", "--train", "normal.csv", "--train-fraction", 0.1),
            "--train and --train-fraction both say which rows to train on: give only one of them",
        ),
        (lines(), ("--id", "machine", "--rivals"), "--rivals are for one series"),
        (lines(rows=3), ("--id", "machine"), "no series has the 7 rows that are needed"),
        (
            lines(names=["mill"]),
            ("--id", "machine"),
            "1 series to train on, machine mill, and of many series, whole series are held out: "
            "leave out --id, or --validation 0",
        ),
        (
            lines(names=["mill"]) + "2026-01-01,drill,5,0\n",
            ("--id", "machine"),
            "--series mill in place of --id reads it",
        ),
        (
            lines(),
            ("--id", "machine", "--validation", 0.9),
            "3 series to train on, of which 3 would be held out: lower --validation 0.9",
        ),
        (lines().replace("01-05,mill,", "01-05,mill,x"), ("--id", "machine"), "'x"),
        ("", ("--id", "machine"), "empty"),
    ],
)
def test_mistakes(text, options, message, tmp_path):
    path = tmp_path / "machines.csv"
    path.write_text(text, encoding="utf-8")
    run = call("anomalies", path, *options, *QUICK, "-o", tmp_path / "out")
    assert run.exit_code == 1, run.text
    assert message in run.text
    assert not (tmp_path / "out").exists()
