"""The output folder: results appear in it together, and what is left of a run that stops."""

import json
import shutil
import sys

import pytest

from lstmcore import results

CHECKPOINT, SETTINGS = results.CHECKPOINT, results.SETTINGS


class Killed(BaseException):
    """Stands for kill -9: nothing that cleans up may run."""


def contents(folder) -> dict:
    """Text of each file, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write(staging, **files):
    for name, text in files.items():
        (staging / {"checkpoint": CHECKPOINT, "settings": SETTINGS}.get(name, name)).write_text(
            text
        )


def run(folder, *, resume=False, failure=None, **files):
    """A run that writes `files` and then ends, or fails. Returns the checkpoint that it found."""
    with results.output_folder(folder, ("*.png", *results.RESULTS), resume=resume) as staging:
        kept = staging / CHECKPOINT
        found = kept.read_text() if kept.exists() else None
        write(staging, **files)
        if failure:
            raise failure
    return found


def killed(folder, *, resume=False, **files):
    """A run of which no more is left than its files."""
    context = results.output_folder(folder, resume=resume)
    write(context.__enter__(), **files)
    saved = shutil.copytree(folder, folder.with_name("as killed"), dirs_exist_ok=True)
    context.__exit__(Killed, Killed(), None)
    shutil.rmtree(folder, ignore_errors=True)
    saved.rename(folder)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "run"


def test_results_appear_together_and_those_of_an_earlier_run_go(folder):
    run(folder, model="1", checkpoint="1", **{"a.png": "1"})
    (folder / "notes.txt").write_text("mine")
    with results.output_folder(folder, ("*.png", *results.RESULTS)) as staging:
        write(staging, model="2", **{"b.png": "2"})
        assert contents(folder)["model"] == "1"
    assert contents(folder) == {"model": "2", "b.png": "2", "notes.txt": "mine"}


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not locked there")
def test_another_run_in_the_same_folder_is_refused_and_harms_nothing(folder):
    with results.output_folder(folder) as staging:
        write(staging, checkpoint="1", model="1")
        with pytest.raises(ValueError, match=r"another run is writing to .*run: wait for its end"):
            run(folder, model="2")
        with results.output_folder(folder.with_name("other")):
            pass
    assert contents(folder) == {CHECKPOINT: "1", "model": "1"}
    run(folder, model="2")
    assert contents(folder) == {"model": "2"}


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt(), SystemExit(1)])
def test_a_run_that_fails_without_a_checkpoint_changes_nothing(failure, folder):
    with pytest.raises(type(failure)):
        run(folder, failure=failure, model="half")
    assert not folder.exists()
    run(folder, model="1")
    with pytest.raises(type(failure)):
        run(folder, failure=failure, model="half")
    assert contents(folder) == {"model": "1"}
    assert not (folder / "unfinished").exists()


def test_a_run_that_fails_with_a_checkpoint_leaves_it_beside_the_earlier_results(folder):
    run(folder, model="1")
    with pytest.raises(KeyboardInterrupt):
        run(folder, failure=KeyboardInterrupt(), checkpoint="2", settings="2")
    left = {f"unfinished/{CHECKPOINT}": "2", f"unfinished/{SETTINGS}": "2"}
    assert contents(folder) == {"model": "1"} | left
    assert run(folder, resume=True, model="2", checkpoint="2", settings="2") == "2"
    assert contents(folder) == {"model": "2", CHECKPOINT: "2", SETTINGS: "2"}


def test_without_resume_a_run_begins_anew(folder):
    with pytest.raises(KeyboardInterrupt):
        run(folder, failure=KeyboardInterrupt(), checkpoint="1")
    assert run(folder, model="2") is None
    assert contents(folder) == {"model": "2"}


def test_resume_begins_where_there_is_nothing(folder):
    assert run(folder, resume=True, model="1") is None


def test_resume_goes_on_with_a_copy_of_a_run_that_has_ended(folder):
    run(folder, model="1", checkpoint="1")
    assert run(folder, resume=True, model="2", checkpoint="2") == "1"
    assert contents(folder) == {"model": "2", CHECKPOINT: "2"}


def test_a_copy_that_was_not_written_to_does_not_stay(folder):
    """As where the options turn out to be others: there is no new state to keep."""
    run(folder, model="1", checkpoint="1")
    with pytest.raises(ValueError, match="others"):
        run(folder, resume=True, failure=ValueError("others"))
    assert contents(folder) == {"model": "1", CHECKPOINT: "1"}


def test_a_checkpoint_to_resume_stays_where_the_run_fails_once_more(folder):
    for resume in (False, True, True):
        files = {} if resume else {"checkpoint": "1"}
        with pytest.raises(ValueError, match="others"):
            run(folder, resume=resume, failure=ValueError("others"), **files)
    assert run(folder, resume=True, model="1") == "1"


# Killed.


def test_a_killed_run_is_resumed(folder):
    killed(folder, settings="1", checkpoint="1")
    assert run(folder, resume=True, model="1") == "1"


def test_a_run_killed_before_its_first_checkpoint_is_not_resumed_as_an_earlier_one(folder):
    """Which has ended, and left its checkpoint in the folder: that is of other options."""
    run(folder, model="1", checkpoint="1", settings="1")
    killed(folder, settings="2")
    assert run(folder, resume=True, model="2") is None


def test_killed_while_results_move_no_state_is_lost(folder, monkeypatch):
    """After each file: the checkpoint, which the others can be made from, is the last to move."""
    path = type(folder)
    files = {"model": "2", "checkpoint": "2", "settings": "2", "z": "2"}
    for moves in range(len(files)):
        shutil.rmtree(folder, ignore_errors=True)
        run(folder, model="1", checkpoint="1", settings="1")
        moved = 0

        def replace(self, target, moves=moves):
            nonlocal moved
            if moved == moves:
                raise Killed
            moved += 1
            shutil.move(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(path, "replace", replace)
            with pytest.raises(Killed):
                run(folder, **files)
        assert run(folder, resume=True, model="2") == "2"


def test_what_killed_processes_left_of_temporary_files_is_no_result(folder):
    killed(folder, checkpoint="1", **{".settings.json-0123456789ab.json": "half"})
    run(folder, resume=True, model="1")
    assert contents(folder) == {"model": "1", CHECKPOINT: "1"}


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such modes there")
def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match=r"cannot write to the output folder .*: choose another with"):
        run(tmp_path / "file" / "below")
    assert contents(tmp_path) == {"file": "old"}


# The same run?

TOLD = {
    "source": "a.csv",
    "columns": ["load"],
    "rows": 9,
    "settings": {"epochs": 3, "units": (4, 2), "preparation": {"difference": ()}},
}


def changed(**settings) -> dict:
    return TOLD | {"settings": TOLD["settings"] | settings}


@pytest.fixture
def staging(folder):
    """Where a run has left a checkpoint."""
    staging = folder / "unfinished"
    staging.mkdir(parents=True)
    results.goes_on(staging, TOLD)
    write(staging, checkpoint="1")
    return staging


def test_settings_and_versions_are_written_before_training(staging):
    told = json.loads((staging / SETTINGS).read_text())
    assert told["settings"] == {"epochs": 3, "units": [4, 2], "preparation": {"difference": []}}
    assert {"lstmcore", "jax", "numpy", "python"} < set(told)


@pytest.mark.parametrize("described", [TOLD, changed(epochs=9), TOLD | {"source": "b/a.csv"}])
def test_the_same_run_goes_on(described, staging):
    results.goes_on(staging, described)
    told = json.loads((staging / SETTINGS).read_text())
    assert told["settings"]["epochs"] == described["settings"]["epochs"]


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (changed(units=(4, 3)), "units was 4,2 in the run that .* but is 4,3 now: give the same"),
        (changed(preparation={"difference": (1,)}), "difference was none .* but is 1 now"),
        (changed(speed=2), "speed was none .* but is 2 now"),
        (TOLD | {"rows": 10}, "rows was 9 .* but is 10 now: .* to begin anew, leave --resume out"),
    ],
)
@pytest.mark.parametrize("ended", [False, True])
def test_another_run_does_not(described, message, ended, staging):
    if ended:  # its settings are where its results are
        (staging / SETTINGS).replace(staging.parent / SETTINGS)
    with pytest.raises(ValueError, match=message):
        results.goes_on(staging, described)


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_text("{"),
                                    lambda p: p.write_text("[]")])  # fmt: skip
def test_a_run_that_nothing_tells_of(damage, staging):
    damage(staging / SETTINGS)
    with pytest.raises(ValueError, match=r"settings.json is missing or damaged, .*begin anew"):
        results.goes_on(staging, TOLD)


def test_a_run_that_begins_is_compared_with_none(folder):
    folder.mkdir(parents=True)
    (folder / SETTINGS).write_text("of an earlier run")
    staging = folder / "unfinished"
    staging.mkdir()
    results.goes_on(staging, TOLD)
    assert (staging / SETTINGS).exists()
