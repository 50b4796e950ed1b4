"""The output folder: which it is, what is never touched, what is left of a run that stops."""

import errno
import json
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from lstmcore.apps import run_folder
from lstmcore.apps.run_folder import CHECKPOINT, SETTINGS
from lstmcore.io import manifest, places, staging
from lstmcore.io.manifest import MANIFEST, MARKER

KIND = "lstmcore fit"
windows = pytest.mark.skipif(sys.platform == "win32", reason="links and modes are others there")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """For the disk, which takes most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class Killed(BaseException):
    """Stands for kill -9: nothing that cleans up may run."""


def contents(folder) -> dict[str, str]:
    """Text of each file, by its path in the folder, but for manifests and markers."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (MANIFEST, MARKER)
    }


def write(place, **files):
    for name, text in files.items():
        (place / {"checkpoint": CHECKPOINT, "settings": SETTINGS}.get(name, name)).write_text(text)


def run(folder, *, kind=KIND, failure=None, warn=pytest.fail, inputs=(), **files):
    """A run that writes `files` and then ends, or fails. Returns the checkpoint that it found."""
    options = {name: files.pop(name, False) for name in ("resume", "force")}
    output = run_folder.choose_folder(folder, "lstmcore-run", kind, **options, inputs=inputs)
    with output.open(warn) as place:
        kept = place / CHECKPOINT
        found = kept.read_text() if kept.exists() else None
        write(place, **files)
        if failure:
            raise failure
    return found


def killed(folder, **files):
    """A run of which no more is left than its files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging.Staging, "abandon", lambda _: None)
        with pytest.raises(Killed):
            run(folder, failure=Killed(), **files)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "run"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder that is the current one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


# Results appear together.


def test_results_appear_together_and_those_of_an_earlier_run_go(folder):
    run(folder, model="1", checkpoint="1", **{"a.png": "1"})
    with run_folder.Output(folder, KIND, force=True).open() as place:
        write(place, model="2", **{"b.png": "2"})
        assert contents(folder)["model"] == "1"
    assert contents(folder) == {"model": "2", "b.png": "2"}
    assert os.listdir(folder.parent) == ["run"]
    assert manifest.first_foreign(folder) is None
    assert set(manifest.read(folder).parts) == {"model", "b.png"}


@windows
def test_folder_and_files_keep_their_modes(folder):
    run(folder, model="1", other="1")
    folder.chmod(0o700)
    (folder / "model").chmod(0o600)
    with run_folder.Output(folder, KIND, force=True).open() as place:
        assert stat.S_IMODE(place.stat().st_mode) == 0o700  # what nobody reads, nobody reads early
        write(place, model="2", other="2")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "model")]
    assert modes == [0o700, 0o600]


@windows
def test_another_run_in_the_same_folder_is_refused_and_harms_nothing(folder):
    with run_folder.Output(folder, KIND).open() as place:
        write(place, checkpoint="1", model="1")
        for options in ({}, {"force": True}, {"resume": True}):
            with pytest.raises(ValueError, match=r"another run is writing to .*run: wait for its"):
                run_context(folder, **options)
        with run_folder.Output(folder.with_name("other"), KIND).open():
            pass
    assert contents(folder) == {CHECKPOINT: "1", "model": "1"}
    run(folder, model="2", force=True)
    assert contents(folder) == {"model": "2"}


def run_context(folder, **options):
    with run_folder.Output(folder, KIND, **options).open():
        pass


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt(), SystemExit(1)])
def test_a_run_that_fails_without_a_checkpoint_changes_nothing(failure, folder):
    with pytest.raises(type(failure)):
        run(folder, failure=failure, model="half")
    assert os.listdir(folder.parent) == []
    run(folder, model="1")
    with pytest.raises(type(failure)):
        run(folder, failure=failure, model="half", force=True)
    assert contents(folder.parent) == {"run/model": "1"}


def test_a_folder_that_changes_meanwhile_is_not_replaced_and_nothing_is_lost(folder):
    run(folder, model="1")
    context = run_folder.Output(folder, KIND, force=True).open()
    place = context.__enter__()
    write(place, model="2")
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(OSError, match=r"write .*thesis.txt has appeared.*all results are in"):
        context.__exit__(None, None, None)
    assert contents(folder) == {"model": "1", "thesis.txt": "mine"}
    assert contents(place) == {"model": "2"}
    assert manifest.first_foreign(place) is None


def test_what_appears_in_the_old_folder_at_the_last_moment_is_kept(folder, monkeypatch):
    """And it is said where."""
    run(folder, model="1")
    exchange, said = staging.exchange, []

    def late(first, second):
        (second / "thesis.txt").write_text("mine")
        return exchange(first, second)

    monkeypatch.setattr(staging, "exchange", late)
    run(folder, model="2", force=True, warn=said.append)
    assert contents(folder) == {"model": "2"}
    kept = folder.with_name("run-replaced")
    assert contents(kept) == {"model": "1", "thesis.txt": "mine"}
    assert said == [
        f"{kept} keeps what {folder} was before: lstmcore did not write thesis.txt in it"
    ]
    run(folder, model="3", force=True, warn=said.append)
    assert contents(folder.with_name("run-replaced-2")) == {"model": "2", "thesis.txt": "mine"}


# To be resumed.


def test_a_run_that_fails_with_a_checkpoint_leaves_it_beside_the_earlier_results(folder):
    run(folder, model="1")
    with pytest.raises(KeyboardInterrupt):
        run(folder, failure=KeyboardInterrupt(), force=True, checkpoint="2", settings="2")
    assert contents(folder) == {"model": "1"}
    left = run_folder.unfinished(folder)
    assert left.read_text() == "2"
    assert run(folder, resume=True, model="2", checkpoint="2", settings="2") == "2"
    assert contents(folder) == {"model": "2", CHECKPOINT: "2", SETTINGS: "2"}
    assert run_folder.unfinished(folder) is None
    assert os.listdir(folder.parent) == ["run"]


def test_a_run_that_has_not_ended_is_replaced_only_if_that_is_asked_for(folder):
    with pytest.raises(KeyboardInterrupt):
        run(folder, failure=KeyboardInterrupt(), checkpoint="1", settings="1")
    with pytest.raises(FileExistsError, match=r"has not ended.*--resume continues.*--force starts"):
        run(folder, model="2")
    assert run_folder.unfinished(folder).read_text() == "1"
    assert run(folder, model="2", force=True) is None
    assert contents(folder) == {"model": "2"}


def test_resume_begins_where_there_is_nothing(folder):
    assert run(folder, resume=True, model="1") is None


def test_resume_goes_on_with_a_copy_of_a_run_that_has_ended(folder):
    run(folder, model="1", checkpoint="1", settings="1", old="1")
    assert run(folder, resume=True, model="2", checkpoint="2") == "1"
    assert contents(folder) == {"model": "2", CHECKPOINT: "2", SETTINGS: "1"}


def test_a_copy_that_was_not_written_to_does_not_stay(folder):
    """As where the options turn out to be others: there is no new state to keep."""
    run(folder, model="1", checkpoint="1", settings="1")
    with pytest.raises(ValueError, match="others"):
        run(folder, resume=True, failure=ValueError("others"))
    assert contents(folder.parent) == {
        "run/model": "1", f"run/{CHECKPOINT}": "1", f"run/{SETTINGS}": "1",
    }  # fmt: skip


def test_a_checkpoint_to_resume_stays_where_the_run_fails_once_more(folder):
    for resume in (False, True, True):
        files = {} if resume else {"checkpoint": "1", "settings": "1"}
        with pytest.raises(ValueError, match="others"):
            run(folder, resume=resume, failure=ValueError("others"), **files)
    assert run(folder, resume=True, model="1") == "1"


def test_a_run_killed_before_its_first_checkpoint_is_not_resumed_as_an_earlier_one(folder):
    """Which has ended, and left its checkpoint in the folder: that is of other options."""
    run(folder, model="1", checkpoint="1", settings="1")
    killed(folder, settings="2", force=True)
    assert run(folder, resume=True, model="2") is None


def test_results_of_a_run_that_was_stopped_do_not_mix_with_those_of_the_next(folder):
    killed(folder, checkpoint="1", settings="1", **{"a.png": "1"})
    assert run(folder, resume=True, **{"b.png": "2"}) == "1"
    assert contents(folder) == {CHECKPOINT: "1", SETTINGS: "1", "b.png": "2"}


def test_what_killed_processes_left_of_temporary_files_is_no_result(folder):
    left = {".settings.json-01234567.json": "half", ".checkpoint.safetensors.lock": ""}
    killed(folder, checkpoint="1", settings="1", **left)
    run(folder, resume=True, model="1")
    assert contents(folder) == {"model": "1", CHECKPOINT: "1", SETTINGS: "1"}


def test_resume_or_force_but_not_both(folder):
    with pytest.raises(ValueError, match="--resume continues a run, --force replaces it"):
        run(folder, resume=True, force=True)


def test_a_run_of_another_command_is_replaced_but_not_resumed(folder):
    run(folder, kind="lstmcore forecast", model="1")
    with pytest.raises(
        FileExistsError, match="the files of lstmcore forecast, not of lstmcore fit"
    ):
        run(folder, resume=True)
    run(folder, force=True, model="2")
    assert contents(folder) == {"model": "2"}


# What is the user's own.

FOREIGN = {"thesis.txt": "mine", "test.csv": "mine", "history.csv": "mine", "settings.json": "{}"}


@pytest.mark.parametrize("name", [*FOREIGN, "unfinished/thesis.txt", ".hidden", "manifest.json"])
@pytest.mark.parametrize("options", [{}, {"force": True}, {"resume": True}])
def test_a_folder_with_other_peoples_files_is_refused(name, options, folder):
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("mine")
    first = name.split("/", maxsplit=1)[0]
    with pytest.raises(FileExistsError, match=rf"run holds {first}, which lstmcore did not write"):
        run(folder, model="1", **options)
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    assert (folder / name).read_text() == "mine"


@pytest.mark.parametrize("options", [{}, {"force": True}, {"resume": True}])
@pytest.mark.parametrize("change", ["altered", "added", "linked", "subfolder", "manifest"])
def test_a_run_with_other_peoples_files_is_refused(change, options, folder):
    run(folder, model="1", checkpoint="1", settings="1")
    if change == "altered":
        (folder / "model").write_text("2")
        name = "model"
    elif change == "added":
        (folder / (name := "notes.txt")).write_text("mine")
    elif change == "linked":  # to a file of the very same content
        (folder / "model").rename(folder.parent / "elsewhere")
        (folder / (name := "model")).symlink_to(folder.parent / "elsewhere")
    elif change == "subfolder":
        (folder / (name := "mine")).mkdir()
    else:
        (folder / MANIFEST).write_text("{}")
        name = CHECKPOINT
    before = contents(folder.parent)
    with pytest.raises(FileExistsError, match=rf"run holds {name}, which lstmcore did not write"):
        run(folder, model="3", **options)
    assert contents(folder.parent) == before


def test_an_earlier_run_is_refused_unless_it_may_be_replaced(folder):
    run(folder, model="1")
    expected = r"holds an earlier run: --force replaces it, --resume continues it, or choose"
    with pytest.raises(FileExistsError, match=expected):
        run(folder, model="2")
    with pytest.raises(FileExistsError, match="run: --force replaces it, or choose another folder"):
        run(folder, resume=None)  # of a command that cannot
    (folder / "model").unlink()  # a file that is missing is no file of someone else
    run(folder, model="2", force=True)
    assert contents(folder) == {"model": "2"}


def test_what_was_saved_by_a_program_is_no_run(folder):
    run(folder, kind="Trained", model="1")
    with pytest.raises(FileExistsError, match="holds the files of Trained, not of lstmcore fit"):
        run(folder, force=True)


@windows
@pytest.mark.parametrize("kind", ["folder", "link", "broken link", "file", "other manifest"])
def test_what_has_the_name_of_the_staging_folder_is_not_touched(kind, folder, tmp_path):
    place = staging.staging_of(folder)
    place.parent.mkdir()
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "thesis.txt").write_text("mine")
    if kind == "other manifest":
        (thesis / MANIFEST).write_text('{"name": "a web application"}')
    if kind in ("folder", "other manifest"):
        shutil.move(thesis, place)
    elif kind == "link":
        place.symlink_to(thesis)
    elif kind == "broken link":
        place.symlink_to(tmp_path / "nowhere")
    else:
        place.write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(FileExistsError, match=r"is in the way, and lstmcore did not make it: move"):
        run(folder, model="1")
    assert contents(tmp_path) == before
    assert place.is_symlink() == ("link" in kind)
    assert not folder.exists()


@windows
@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_lies_in_the_staging_folder_but_is_not_lstmcores_is_kept(kind, folder, tmp_path):
    killed(folder, checkpoint="1", settings="1")
    (tmp_path / "thesis.txt").write_text("mine")
    mine = staging.staging_of(folder) / "mine"
    mine.symlink_to(tmp_path / "thesis.txt") if kind == "link" else mine.mkdir()
    with pytest.raises(OSError, match=r"lstmcore did not make .*mine: move it"):
        run(folder, force=True, model="2")
    assert os.path.lexists(mine)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("options", [{"force": True}, {"resume": True}])
@pytest.mark.parametrize("link", [False, True])
def test_an_input_in_the_output_folder_is_never_replaced(link, options, folder):
    """It may well be a result of the run that stands there."""
    run(folder, model="1", checkpoint="1", settings="1", **{"output.csv": "1"})
    source = folder / "output.csv"
    if link:
        source = folder.parent / "link.csv"
        source.symlink_to(folder / "output.csv")
    with pytest.raises(ValueError, match=r"csv lies in the output folder .*choose another folder"):
        run(folder, inputs=[Path("other.csv"), source], **options)
    assert (folder / "output.csv").read_text() == "1"


@windows
@pytest.mark.parametrize("above", ["", "loop/"])
def test_links_that_lead_in_a_circle_are_refused(above, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match=r"loop.* (levels of symbolic|broken link)"):
        run(tmp_path / f"{above}loop", model="1")


@pytest.mark.parametrize("length", [236, 255, 256, 5_000])
def test_a_name_that_is_too_long_is_refused(length, tmp_path):
    """The staging folder has a longer name than the folder itself."""
    with pytest.raises(OSError, match=r"cannot write to the folder .*name too long") as error:
        run(tmp_path / ("x" * length), model="1")
    assert len(str(error.value)) < 500
    assert not list(tmp_path.iterdir())


# Which folder.


def test_a_default_run_goes_to_a_fresh_folder(here):
    for expected in ("lstmcore-run", "lstmcore-run-2", "lstmcore-run-3"):
        assert run_folder.choose_folder(None, "lstmcore-run", KIND).folder == Path(expected)
        run(None, model=expected)
    shutil.rmtree("lstmcore-run-2")
    Path("lstmcore-run-2").mkdir()  # an empty folder will do
    run(None, model="again")
    assert {name: text for name, text in contents(here).items() if name.endswith("model")} == {
        "lstmcore-run/model": "lstmcore-run",
        "lstmcore-run-2/model": "again",
        "lstmcore-run-3/model": "lstmcore-run-3",
    }


@pytest.mark.parametrize("make", [Path.touch, lambda p: p.symlink_to("nowhere")])
def test_a_default_name_that_is_something_else_is_left_alone(make, here):
    make(Path("lstmcore-run"))
    run(None, model="1")
    assert contents(here / "lstmcore-run-2") == {"model": "1"}


def test_a_default_run_leaves_a_run_alone_that_has_not_ended(here):
    killed(None, checkpoint="1", settings="1")
    with run_folder.Output(Path("lstmcore-run-2"), KIND).open():  # or is under way
        output = run_folder.choose_folder(None, "lstmcore-run", KIND)
        assert output.folder == Path("lstmcore-run-3")
    run(None, model="3")
    assert contents(here / "lstmcore-run-3") == {"model": "3"}
    assert run_folder.unfinished(Path("lstmcore-run")).read_text() == "1"


@windows
def test_default_runs_that_begin_at_once_each_have_a_folder(here):
    """All of them choose before any of them writes."""
    chosen = [run_folder.choose_folder(None, "lstmcore-run", KIND) for _ in range(4)]
    with chosen[0].open() as place:
        write(place, model="1")
        with chosen[1].open() as place:  # the first is under way
            write(place, model="2")
    with chosen[2].open() as place:  # both have ended
        write(place, model="3")
    with pytest.raises(KeyboardInterrupt), chosen[3].open() as place:
        raise KeyboardInterrupt
    assert contents(here) == {
        "lstmcore-run/model": "1",
        "lstmcore-run-2/model": "2",
        "lstmcore-run-3/model": "3",
    }
    assert [output.folder.name[-1] for output in chosen] == ["n", "2", "3", "4"]


def test_a_folder_that_was_asked_for_is_never_another(folder, here):
    first, second = (run_folder.choose_folder(folder, "lstmcore-run", KIND) for _ in range(2))
    with first.open() as place:
        write(place, model="1")
    with pytest.raises(FileExistsError, match="holds an earlier run"), second.open():
        pass
    assert contents(folder) == {"model": "1"}


def test_a_default_name_whose_staging_folder_is_foreign_is_refused(here):
    output = run_folder.choose_folder(None, "lstmcore-run", KIND)
    (here / ".lstmcore-run.lstmcore-unfinished").mkdir()
    (here / ".lstmcore-run.lstmcore-unfinished" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is in the way"), output.open():
        pass


def test_a_default_run_that_resumes_goes_on_with_the_last(here):
    def age(path, seconds):
        os.utime(path / CHECKPOINT, (seconds, seconds))

    assert run(None, resume=True, checkpoint="1", settings="1") is None  # there is nothing yet
    assert run(None, checkpoint="2", settings="2") is None
    killed(None, checkpoint="3", settings="3")
    run(Path("lstmcore-run-4"), kind="lstmcore forecast", checkpoint="4")
    age(here / "lstmcore-run", 1)
    age(here / "lstmcore-run-2", 2)
    age(here / ".lstmcore-run-3.lstmcore-unfinished", 3)
    assert run(None, resume=True, model="3") == "3"
    age(here / "lstmcore-run-3", 0)
    assert run(None, resume=True, model="2") == "2"
    assert contents(here / "lstmcore-run-2")["model"] == "2"


def test_force_replaces_the_plain_default(here):
    run(None, model="1")
    run(None, model="2")
    run(None, model="3", force=True)
    assert contents(here) == {"lstmcore-run/model": "3", "lstmcore-run-2/model": "2"}


@windows
def test_a_link_to_a_folder_stays_one(tmp_path):
    target, link = tmp_path / "disk" / "results", tmp_path / "link"
    target.mkdir(parents=True)
    link.symlink_to(target)
    for text, options in (("1", {}), ("2", {"force": True})):
        run(link, model=text, **options)
        assert link.is_symlink()
        assert contents(target) == {"model": text}
    assert sorted(os.listdir(tmp_path)) == ["disk", "link"]


@windows
def test_places_that_are_refused(here, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("old")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "mounted").mkdir()
    real = places._mounts()
    monkeypatch.setattr(places, "_mounts", lambda: real | {tmp_path / "mounted"})
    before = contents(tmp_path)
    for place, message in (
        (tmp_path / "file", r"file \(it is no folder\): choose another"),
        (tmp_path / "file" / "below" / "it", r"it \(.*file is no folder\): choose another"),
        (tmp_path / "broken", "broken is a broken link: choose another"),
        (Path(), r"\. \(the folder you are in\): name a folder in it, such as run"),
        (here, r"here \(the folder you are in\): name a folder in it, such as .*here.run"),
        (tmp_path / "mounted", r"mounted \(a file system is mounted there\): name a folder in it"),
        (Path("/"), r"/ \(a file system is mounted there\): name a folder in it, such as /run"),
    ):
        with pytest.raises(OSError, match=message):
            run(place, model="1")
    assert contents(tmp_path) == before
    assert sorted(os.listdir(tmp_path)) == ["broken", "file", "here", "mounted"]


def test_a_place_that_may_not_be_written_to(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(OSError, match=r"cannot write to the output folder .*may not be written to"):
        run(folder, model="1")
    monkeypatch.undo()

    def fail(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", fail)
    with pytest.raises(OSError, match=r"run \(Read-only file system\): choose another folder with"):
        run(folder, model="1")


# The same run?

TOLD = {
    "source": "a.csv",
    "columns": ["load"],
    "rows": 9,
    "settings": {"epochs": 3, "units": (4, 2), "preprocessing": {"difference": ()}},
}


def changed(**settings) -> dict:
    return TOLD | {"settings": TOLD["settings"] | settings}


@pytest.fixture
def place(folder):
    """Where a run has left a checkpoint."""
    folder.mkdir(parents=True)
    run_folder.record_settings(folder, TOLD)
    write(folder, checkpoint="1")
    return folder


def test_settings_and_versions_are_written_before_training(place):
    told = json.loads((place / SETTINGS).read_text())
    assert told["settings"] == {"epochs": 3, "units": [4, 2], "preprocessing": {"difference": []}}
    assert {"lstmcore", "jax", "numpy", "python"} < set(told)


@pytest.mark.parametrize("described", [TOLD, changed(epochs=9), TOLD | {"source": "b/a.csv"}])
def test_the_same_run_goes_on(described, place):
    run_folder.record_settings(place, described)
    told = json.loads((place / SETTINGS).read_text())
    assert told["settings"]["epochs"] == described["settings"]["epochs"]


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (changed(units=(4, 3)), "was begun with units 4,2, not 4,3: give the same"),
        (changed(preprocessing={"difference": (1,)}), "begun with difference none, not 1"),
        (changed(speed=2), "begun with speed none, not 2"),
        (TOLD | {"rows": 10}, "begun with rows 9, not 10: .* to start again, give --force inst"),
    ],
)
def test_another_run_does_not(described, message, place):
    with pytest.raises(ValueError, match=message):
        run_folder.record_settings(place, described)


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_text("{"),
                                    lambda p: p.write_text("[]")])  # fmt: skip
def test_a_run_that_nothing_tells_of(damage, place):
    damage(place / SETTINGS)
    with pytest.raises(ValueError, match=r"settings.json is missing or damaged, .*start again"):
        run_folder.record_settings(place, TOLD)
