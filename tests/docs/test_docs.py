"""Every code block of README and docs runs, top to bottom, page by page."""

import os
import re
import shlex
import subprocess
import sys
from glob import glob
from itertools import chain
from pathlib import Path

import peers
import pytest
from command import call
from matplotlib.figure import Figure
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

import lstmcore
from benchmarks.report import figures
from lstmcore.study import plots

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]


def runs(pages: list[Path]) -> list:
    """Return pages as parameters of a test; some need packages that `.ci/peers.txt` lists."""
    params = []
    for page in pages:
        needed = peers.needed_by(page)
        missing = peers.missing(needed)
        left_out = pytest.mark.skipif(bool(missing), reason=f"{page.name} needs {missing}")
        params.append(pytest.param(page, marks=[pytest.mark.peers, left_out] if needed else []))
    return params


def run_shell(example) -> None:
    """A shell block, with the commands of this environment; blocks that install are CI's."""
    if "pip install" in example.parsed:
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    script = ["bash", "-euo", "pipefail", "-c", example.parsed]
    done = subprocess.run(script, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def run_shell_here(example) -> None:
    """The same, but `lstmcore` runs in this process, where much is imported and compiled."""
    if "pip install" in example.parsed:
        return
    for line in re.split(r"\n|&&", example.parsed):
        command, *arguments = shlex.split(line) or [""]
        if command == "lstmcore":
            files = [sorted(glob(each)) if "*" in each else [each] for each in arguments]
            run = call(*chain.from_iterable(files))
            assert run.exit_code == 0, run.text
        else:
            subprocess.run(["bash", "-euo", "pipefail", "-c", line], check=True)


# The shape in a comment beside a print: print(x.shape)  # (5, 3, 128): ...
SHAPE_IN_COMMENT = re.compile(r"^print\(.*\)  # (\(\d[\d, ]*\))", re.MULTILINE)
AS_IS, HERE = (
    Sybil([PythonCodeBlockParser(), CodeBlockParser("bash", run)])
    for run in (run_shell, run_shell_here)
)


# Ten or more epochs, of Python or of a command, and folds, of which each trains a model.
LONG = re.compile(r"(?<=\bepochs[= ])\d{2,}|(?<=\bfolds=)\d+")
SHORTER = re.compile(f"{LONG.pattern}|^lstmcore |savefig\\(", re.MULTILINE)
SHORTENED = [page for page in PAGES if SHORTER.search(page.read_text(encoding="utf-8"))]


def run_blocks(page: Path, parser: Sybil, text: str, capsys) -> None:
    """Run the code blocks of a page, and compare the shapes that it states."""
    fenced = re.findall(r"^ *```(?:python|bash)$", text, re.MULTILINE)
    examples = list(parser.parse(page).examples())
    assert len(examples) == len(fenced)
    for example in examples:
        example.evaluate()
        printed = capsys.readouterr().out
        for shape in SHAPE_IN_COMMENT.findall(str(example.parsed)):
            assert shape in printed, f"{page.name} states {shape} but printed {printed}"


def touch(figure, file, *, render=Figure.savefig, **options) -> None:
    """Make an empty file, but render a figure that goes into a page."""
    if isinstance(file, str | Path):
        Path(file).touch()
    else:
        render(figure, file, **options)


@pytest.mark.parametrize("page", runs(PAGES), ids=lambda page: page.name)
def test_code_blocks_run(page, tmp_path, monkeypatch, capsys):
    """Every block of every page, trained shortly: no block depends on how much is learnt.

    Figures are made and not rendered, which takes long and is what the tests of plots do.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Figure, "savefig", touch)
    text = LONG.sub("1", page.read_text(encoding="utf-8"))
    shortened = tmp_path / page.name
    shortened.write_text(text, encoding="utf-8")
    run_blocks(shortened, HERE, text, capsys)


@pytest.mark.thorough
@pytest.mark.parametrize("page", runs(SHORTENED), ids=lambda page: page.name)
def test_code_blocks_run_as_they_are(page, tmp_path, monkeypatch, capsys):
    """Those that train for longer, render figures, or call the command as a process."""
    monkeypatch.chdir(tmp_path)
    run_blocks(page, AS_IS, page.read_text(encoding="utf-8"), capsys)


def test_packages_that_pages_need_are_installed_by_ci():
    """Else no run would ever execute the page."""
    for page in PAGES:
        needed = peers.needed_by(page)
        assert set(needed) <= set(peers.pinned()), page.name
        assert bool(needed) == ("<!-- needs:" in page.read_text(encoding="utf-8")), page.name
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install --quiet -r .ci/peers.txt\n" in run
    assert "pip install --quiet --no-deps -r .ci/weights.txt\n" in run
    assert "pytest --peers --thorough -m peers tests/interop tests/docs\n" in run


def test_ci_runs_the_two_commands_of_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^pip install .*$", text, re.MULTILINE)
    assert [command.split("&& ")[1] for command in commands] == ["lstmcore fit", "pytest"]
    assert "grep '^pip install' README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_pictures_are_made_by_the_lines_above_them():
    """The page saves each figure that it contains, and `python -m benchmarks figures` runs it."""
    page = ROOT / "docs" / "pictures.md"
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r"\]\(assets/(\w+\.png)\)", text)
    assert re.findall(r'savefig\("(\w+\.png)"', text) == shown
    every = "".join((page.parent / name).read_text(encoding="utf-8") for name in figures.PAGES)
    missing = [name for name in plots.__all__ if f"plots.{name}(" not in every]
    assert missing == []
    assert len(figures.BLOCK.findall(text)) == text.count("```python")
    for name in shown:
        assert (page.parent / "assets" / name).stat().st_size < 200_000


def test_links_and_pictures_exist():
    for page in LINKED:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), (page, target)


def test_paths_in_the_guide_for_contributors_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:lstmcore|tests|benchmarks|docs)/[\w/.]+)`", text)
    assert paths
    missing = [path for path in paths if "NAME" not in path and not (ROOT / path).exists()]
    assert missing == []


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split("## What is where")[0].split()) <= 500


def test_stable_names_exist():
    text = (ROOT / "docs" / "stability.md").read_text(encoding="utf-8")
    table = text.split("## Stable")[1].split("\n\n")[2]
    names = set(re.findall(r"`(\w+)`", table))
    arguments = {"optimizer", "epochs", "batch_size", "key", "validation", "progress"}
    assert names - arguments <= set(lstmcore.__all__)
    assert len(names - arguments) > 15


def test_the_citation_has_the_version_of_the_package():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {lstmcore.__version__}\n" in text
