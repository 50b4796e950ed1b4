"""`lstmcore fit` that is stopped, by whatever, and goes on as if it had never been."""

import os
import re
import signal
import subprocess
import sys

import pytest
from command import call

from lstmcore import job
from lstmcore.job import folder as job_folder

TABLE = "load,temp\n" + "".join(f"{i % 5},{1000 + i * i}\n" for i in range(20))
OPTIONS = ("--window", 3, "--units", 2, "--difference", 1, "--stride", 2, "--validation", 0.3,
           "--patience", 1000, "--epochs", 40)  # fmt: skip
# As `lstmcore`, in a process that sends itself a signal once it has written a first checkpoint.
STOPPED = """
import os, signal, sys
from lstmcore import cli
from lstmcore.training import checkpoint

def write_and_stop(*arguments, write=checkpoint.write_tensors):
    checkpoint.write_tensors = write
    write(*arguments)
    os.kill(os.getpid(), getattr(signal, sys.argv.pop(1)))

checkpoint.write_tensors = write_and_stop
del sys.argv[0]
sys.argv[0:0] = ["lstmcore"]
cli.main()
"""
RESULTS = {
    "model.safetensors", "checkpoint.safetensors", "settings.json", "history.csv", "output.csv",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Drawing takes time, and other tests look at the pictures."""
    monkeypatch.setattr(job_folder, "write_pictures", lambda *_: None)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


def fit(table, folder, *options):
    return call("fit", table, *OPTIONS, *options, "-o", folder)


def same_results(folder, other) -> bool:
    return all((folder / name).read_bytes() == (other / name).read_bytes() for name in RESULTS)
