"""The commands themselves, from end to end, killed while results take their place.

`test_run_folder_kills.py` kills at every operation on files, of runs that train nothing.
"""

import os

import pytest
from command import call
from disturbances import Killed
from matplotlib.figure import Figure

from lstmcore.io import manifest, staging

pytestmark = pytest.mark.thorough

TABLE = "load,temp\n" + "".join(f"{i % 5}.5,{20 + i % 7}\n" for i in range(80))
PAIRS = "".join(f"{a} {b}\t{b} {a}\n" for a in ("one", "two", "three") for b in ("x", "y", "z"))
SMALL = ("--units", 2, "--epochs", 1)
COMMANDS = {
    "fit": (("fit", "t.csv", *SMALL, "--window", 4), True),
    "forecast": (("forecast", "t.csv", *SMALL, "--window", 4, "--no-linear"), True),
    "anomalies": (("anomalies", "t.csv", *SMALL, "--window", 4), True),
    "translate": (("translate", "train", "p.tsv", *SMALL, "--embedding", 2), False),
}
OLD = {"model.safetensors": "old", "settings.json": "{}", "output.csv": "old"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a table, pairs, and something of the user's own."""
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "p.tsv").write_text(PAIRS)
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "thesis.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: open(path, "w").close())
    return tmp_path


def an_earlier_run(folder, kind):
    folder.mkdir()
    for name, text in OLD.items():
        (folder / name).write_text(text)
    manifest.write(folder, kind, [folder / name for name in OLD])


def is_whole(folder) -> bool:
    parts = manifest.read(folder).parts
    return manifest.first_foreign(folder) is None and all((folder / p).is_file() for p in parts)


@pytest.mark.parametrize(("command", "can_resume"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_is_killed_leaves_the_old_run_and_the_next_one_the_new(
    command, can_resume, place
):
    kind = "lstmcore translate train" if command[0] == "translate" else f"lstmcore {command[0]}"
    an_earlier_run(place / "run", kind)

    def die(*_):
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "exchange", die)
        patch.setattr(staging.Staging, "abandon", die)
        with pytest.raises(Killed):
            call(*command, "--force", "-o", place / "run")
    assert {p.name: p.read_text() for p in (place / "run").iterdir() if p.name in OLD} == OLD
    assert is_whole(place / "run")
    assert is_whole(staging.staging_of(place / "run"))  # all but its name is there

    option = "--resume" if can_resume else "--force"
    done = call(*command, option, "-o", place / "run")
    assert done.exit_code == 0, done.text
    assert is_whole(place / "run")
    assert (place / "run" / "model.safetensors").read_bytes() != b"old"
    assert sorted(os.listdir(place)) == ["p.tsv", "run", "t.csv", "unfinished"]
    assert (place / "unfinished" / "thesis.txt").read_text() == "mine"
    assert (place / "t.csv").read_text() == TABLE
