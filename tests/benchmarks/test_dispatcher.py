"""The one way to start a benchmark: `python -m benchmarks NAME`."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import __main__ as dispatcher

ROOT = Path(__file__).parents[2]
NAMES = {name: command for group in dispatcher.COMMANDS.values() for name, command in group.items()}


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_it_lists_every_name_with_a_line(arguments, capsys):
    assert dispatcher.main(arguments) == 0
    listed = capsys.readouterr().out.splitlines()
    for name, command in NAMES.items():
        assert f"  {name:<14}{command.summary}" in listed
    assert max(map(len, listed)) <= 80


def test_an_unknown_name_is_refused(capsys):
    assert dispatcher.main(["lookng"]) == 2
    error = capsys.readouterr().err
    assert "there is no benchmark 'lookng'" in error
    assert "  traces" in error


@pytest.mark.parametrize("name", [*NAMES, *dispatcher.WORKER])
def test_every_command_explains_its_options(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        dispatcher.main([name, "--help"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m benchmarks {name}")


def test_options_and_status_are_passed_on(monkeypatch):
    module = import_module("benchmarks.speed.stepping")
    received = []
    monkeypatch.setattr(module, "main", received.append)
    assert dispatcher.main(["stepping", "--seconds", "1"]) == 0
    assert received == [["--seconds", "1"]]
    monkeypatch.setattr(module, "main", lambda arguments: 3)
    assert dispatcher.main(["stepping"]) == 3


def test_the_dispatcher_imports_nothing_that_would_be_timed():
    code = "import sys; before = set(sys.modules); import benchmarks.__main__; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"jax", "numpy", "lstmcore"} & set(done.stdout.split())


def test_there_is_no_second_way_to_start_a_benchmark():
    folder = ROOT / "benchmarks"
    for path in folder.rglob("*.py"):
        if path.parent != folder:
            assert path.name != "__main__.py"
            assert "__name__ ==" not in path.read_text(encoding="utf-8"), path


def test_every_command_that_is_mentioned_exists():
    known = NAMES.keys() | dispatcher.WORKER.keys() | {"NAME", "--help"}
    pages = [path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"]  # tells old names
    pages += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*")]
    pages += (ROOT / "lstmcore").rglob("*.py")
    for page in pages:
        if page.suffix in (".md", ".py"):
            text = page.read_text(encoding="utf-8")
            for name in re.findall(r"python -m benchmarks([. ][\w.-]+)", text):
                assert name[0] == " ", (page, name)
                assert name[1:] in known, (page, name)
