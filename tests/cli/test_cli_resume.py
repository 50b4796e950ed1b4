"""`lstmcore fit` that is stopped, by whatever, and goes on as if it had never been."""

import os
import re
import signal
import subprocess
import sys

import pytest
from command import call

from lstmcore.apps import autoencoding
from lstmcore.apps.autoencoding import folder as job_folder
from lstmcore.io.staging import CHECKPOINT, staging_of
from lstmcore.io.tensors import read_tensors

TABLE = "load,temp\n" + "".join(f"{i % 5},{1000 + i * i}\n" for i in range(20))
OPTIONS = ("--window", 3, "--units", 2, "--difference", 1, "--stride", 2, "--validation", 0.3,
           "--patience", 1000, "--epochs", 40)  # fmt: skip
# As `lstmcore`, in a process that sends itself a signal once it has written a first checkpoint.
STOPPED = """
import os, signal, sys, time
from lstmcore import cli
from lstmcore.training import checkpoint

write, number = checkpoint.write_tensors, signal.Signals[sys.argv.pop(1)]
if number != signal.SIGKILL:
    signal.signal(number, signal.SIG_DFL)  # tests under nohup would hand on that it is ignored

def write_and_stop(*arguments):
    write(*arguments)
    checkpoint.write_tensors = write
    os.kill(os.getpid(), number)
    time.sleep(60)  # an interrupt that a callback of the garbage collector swallows is repeated

checkpoint.write_tensors = write_and_stop
cli.main()
"""
RESULTS = {
    "model.safetensors", "checkpoint.safetensors", "settings.json", "history.csv", "output.csv",
    "manifest.json",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Drawing takes time, and other tests look at the figures."""
    monkeypatch.setattr(job_folder, "write_figures", lambda *_: None)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text(TABLE)
    return path


def fit(table, folder, *options):
    return call("fit", table, *OPTIONS, *options, "-o", folder)


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    """A run that was never stopped; there is nothing that it could resume."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_folder, "write_figures", lambda *_: None)
        run = fit(table, tmp_path_factory.mktemp("whole") / "run", "--resume")
    assert run.exit_code == 0, run.text
    return contents(run.folder)


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def epochs_in(checkpoint) -> int:
    return int(read_tensors(checkpoint)[1]["training.epoch"])


def stopped(by: str, table, folder, *options):
    """A process of its own that is stopped by a signal while it trains."""
    command = ["fit", table, *OPTIONS, *options, "-o", folder]
    return subprocess.run(
        [sys.executable, "-c", STOPPED, by, *map(str, command)],
        capture_output=True,
        text=True,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "500"},
        timeout=1200,
        check=False,
    )


TERM, HANG_UP = ("SIGTERM", 143), ("SIGHUP", 129)  # and the exit status


@pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")
@pytest.mark.parametrize(
    "signals", [[TERM], pytest.param([TERM, HANG_UP], marks=pytest.mark.thorough)]
)
def test_killed_and_interrupted_it_ends_as_if_it_had_never_been_stopped(
    signals, table, whole, tmp_path
):
    folder, kept = tmp_path / "run", staging_of(tmp_path / "run") / CHECKPOINT
    killed = stopped("SIGKILL", table, folder)
    assert killed.returncode == -signal.SIGKILL
    left = {name for name in contents(kept.parent) if not name.startswith(".")}
    assert left == {kept.name, "settings.json"}
    assert epochs_in(kept) == 1
    expected = (
        f"interrupted: training so far is saved in {kept}; the same command with --resume continues"
    )
    # Each does as Ctrl-C does, and the exit status tells which it was.
    for epochs, (name, status) in enumerate(signals, start=1):
        interrupted = stopped(name, table, folder, "--resume")
        assert interrupted.returncode == status, interrupted.stderr
        assert expected in interrupted.stderr
        assert epochs_in(kept) > epochs
    run = fit(table, folder, "--resume")
    assert run.exit_code == 0, run.text
    assert set(whole) == RESULTS
    assert contents(folder) == whole


def test_a_run_that_has_ended_trains_for_longer(table, whole, tmp_path):
    folder = tmp_path / "run"
    assert fit(table, folder, "--epochs", 3).exit_code == 0
    assert epochs_in(folder / "checkpoint.safetensors") == 3
    for _ in range(2):  # the second time there is nothing left to train
        run = fit(table, folder, "--resume")
        assert run.exit_code == 0, run.text
        assert contents(folder) == whole
    fewer = fit(table, folder, "--epochs", 3, "--resume")
    assert fewer.exit_code == 1
    assert "was trained for 40 epochs already, but epochs is 3" in fewer.text
    assert contents(folder) == whole


CHANGES = {
    # The arrays of these are alike, so that `lc.fit` alone would not know.
    "learning rate": (["--learning-rate", 0.1], "begun with learning_rate 0.003, not 0.1"),
    "activation": (["--activation", "relu"], "begun with activation tanh, not relu"),
    "mode": (["--mode", "prediction", "--window", 2], "begun with window 3, not 2"),
    "difference": (["--difference", 2], "begun with difference 1, not 2"),
    "columns": (["--columns", "load"], "begun with columns load,temp, not load"),
    "missing": (["--missing", "mean"], "begun with missing refuse, not mean"),
    "seed": (["--seed", 1], "begun with seed 0, not 1"),
}


@pytest.mark.parametrize("ended", [False, True])
def test_another_command_line_is_refused(ended, table, tmp_path, monkeypatch):
    """And costs nothing: neither results nor the checkpoint."""
    folder = tmp_path / "run"
    if not ended:
        monkeypatch.setattr(autoencoding, "outputs_of", interrupt)
    assert fit(table, folder, "--epochs", 2).exit_code == (0 if ended else 130)
    before = worth_keeping(tmp_path)
    for options, message in CHANGES.values():
        run = fit(table, folder, "--epochs", 2, "--resume", *options)
        assert run.exit_code == 1
        assert re.search(
            rf"error: .*{message}.* to start again, give --force instead of", run.text
        ), run.text
        assert worth_keeping(tmp_path) == before


def worth_keeping(place) -> dict:
    """All results; and of a run that has not ended what the others can be made from again."""
    hidden = {"checkpoint.safetensors", "settings.json"}
    return {
        path: path.read_bytes()
        for path in place.rglob("*.*")
        if path.is_file() and (path.name in hidden or not path.parent.name.startswith("."))
    }


def interrupt(*_):
    raise KeyboardInterrupt


def test_another_table_of_the_same_size_is_refused(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(TABLE)
    fit(table, tmp_path / "run", "--epochs", 2)
    table.write_text(TABLE.replace("1000", "1001"))
    run = fit(table, tmp_path / "run", "--epochs", 2, "--resume")
    assert run.exit_code == 1
    assert re.search("is of another run: (data|validation) was", run.text), run.text


def test_a_full_disk_after_training_loses_no_training(table, whole, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(job_folder, "write_outputs", full)
        run = fit(table, tmp_path / "run")
    assert run.exit_code == 1
    assert "error: No space left on device training so far is saved in" in run.text
    run = fit(table, tmp_path / "run", "--resume")
    assert run.exit_code == 0, run.text
    assert contents(tmp_path / "run") == whole
