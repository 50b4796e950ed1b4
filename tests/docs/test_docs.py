"""Every code block of README and docs runs, top to bottom, page by page."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from benchmarks import pictures
from lstmcore.study import plots

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def run_shell(example) -> None:
    """A shell block, with the commands of this environment; blocks that install are CI's."""
    if "pip install" in example.parsed:
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    script = ["bash", "-euo", "pipefail", "-c", example.parsed]
    done = subprocess.run(script, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# What a comment beside a print says that it prints: print(x.shape)  # (5, 3, 128): ...
SHAPE_IN_COMMENT = re.compile(r"^print\(.*\)  # (\(\d[\d, ]*\))", re.MULTILINE)
PARSER = Sybil([PythonCodeBlockParser(), CodeBlockParser("bash", run_shell)])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fenced = re.findall(r"^ *```(?:python|bash)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    examples = list(PARSER.parse(page).examples())
    assert len(examples) == len(fenced)
    for example in examples:
        example.evaluate()
        printed = capsys.readouterr().out
        for shape in SHAPE_IN_COMMENT.findall(str(example.parsed)):
            assert shape in printed, f"{page.name} promises {shape} but printed {printed}"


def test_ci_runs_the_two_commands_of_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^pip install .*$", text, re.MULTILINE)
    assert [command.split("&& ")[1] for command in commands] == ["lstmcore fit", "pytest"]
    assert "grep '^pip install' README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_pictures_are_made_by_the_lines_above_them():
    """The page saves each picture that it shows, and `python -m benchmarks.pictures` runs it."""
    page = ROOT / "docs" / "pictures.md"
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r"\]\(assets/(\w+\.png)\)", text)
    assert re.findall(r'savefig\("(\w+\.png)"', text) == shown
    every = "".join((page.parent / name).read_text(encoding="utf-8") for name in pictures.PAGES)
    missing = [name for name in plots.__all__ if f"plots.{name}(" not in every]
    assert missing == []
    assert len(pictures.BLOCK.findall(text)) == text.count("```python")
    for name in shown:
        assert (page.parent / "assets" / name).stat().st_size < 200_000


def test_links_and_pictures_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), (page, target)
