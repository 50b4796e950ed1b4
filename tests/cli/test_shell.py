"""The command as a process: its environment, its streams, and packages that are not installed."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from command import call
from jax.errors import JaxRuntimeError

import lstmcore as lc
from lstmcore.apps import autoencoding
from lstmcore.cli import packages
from lstmcore.cli.commands import RENAMED, SUMMARIES
from lstmcore.cli.packages import DISTRIBUTIONS, NEEDED
from lstmcore.cli.signals import signals_as_interrupts
from lstmcore.cli.terminal import clear_errors

ROOT = Path(__file__).parents[2]
FULL = "import os, sys; os.dup2(os.open('/dev/full', os.O_WRONLY), 1)"
SMALL = ("--units", "2", "--epochs", "2")  # of the tutorial's series


def process(*arguments, code="", **environment) -> subprocess.CompletedProcess:
    """The command in a process of its own, after `code`; None removes a variable."""
    inherited = {"PYTHONPATH": str(ROOT), "COLUMNS": "80", "TERM": "dumb"} | environment
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nfrom lstmcore.__main__ import main; main()", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={k: v for k, v in (os.environ | inherited).items() if v is not None},
        check=False,
    )


def without(*modules: str) -> str:
    """Code after which these packages count as not installed."""
    return f"import sys; sys.modules.update(dict.fromkeys({modules}))"


def assert_one_sentence(done, *parts: str) -> None:
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: [^\n]{1,500}\n", done.stderr), done.stderr
    for part in parts:
        assert part in done.stderr


# Its help, and what that costs.


@pytest.mark.parametrize("command", [(), ("translate",)], ids=str)
def test_without_a_command_it_prints_its_help(command):
    alone, asked = call(*command), call(*command, "--help")
    assert alone.exit_code == asked.exit_code == 0
    assert alone.text == asked.text


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_need_neither_jax_nor_a_platform(option):
    done = process(option, code=without("jax", "numpy"), JAX_PLATFORMS="cuda")
    assert (done.returncode, done.stderr) == (0, "")
    assert "lstmcore" in done.stdout


def test_as_a_module_it_has_the_same_name():
    run = subprocess.run(
        [sys.executable, "-m", "lstmcore", "fi"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert "Usage: lstmcore [OPTIONS]" in run.stderr
    assert "No such command 'fi'. Did you mean 'fit'?" in run.stderr


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_summary_of_a_command_is_the_start_of_its_help(name):
    module = import_module(f"lstmcore.cli.{name}")
    first = (
        module.app.info.help
        if name == "translate"
        else getattr(module, name).__doc__.partition("\n\n")[0]
    )
    assert SUMMARIES[name] == " ".join(first.split())
    assert SUMMARIES[name] in call("--help").text


@pytest.mark.parametrize(
    ("words", "completed"),
    [("lstmcore fo", {"forecast"}), ("lstmcore fit --epo", {"--epochs"})],
)
def test_the_shell_completes_commands_and_options(words, completed):
    state = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = process(_LSTMCORE_COMPLETE="complete_bash", **state)
    assert set(done.stdout.split()) == completed
    assert "_LSTMCORE_COMPLETE=complete_bash" in process(_LSTMCORE_COMPLETE="source_bash").stdout


@pytest.mark.parametrize("command", [(), *((name,) for name in SUMMARIES), ("translate", "train")])
def test_the_help_shows_no_value_for_a_flag(command):
    text = call(*command, "--help").text
    assert "--help" in text
    assert "bool" not in text


@pytest.mark.parametrize("old", RENAMED)
def test_an_earlier_name_of_an_option_is_answered_with_the_present_one(old):
    answer = f"No such option: {old}. It is named {RENAMED[old]} now."
    for command in ("fit", "forecast", "anomalies"):
        is_option = f"{RENAMED[old]} " in call(command, "--help").text
        for arguments in ([old, "3"], [f"{old}=3"]):
            run = call(command, "table.csv", *arguments)
            assert run.exit_code == 2
            assert (answer in run.text) == is_option
            assert f"No such option: {old}" in run.text


# Packages and platforms that are not there.


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_extra_it_says_how_to_install_it(package):
    for arguments in ((), ("fit",)):
        done = process(*arguments, code=without(package))
        assert_one_sentence(
            done,
            f'needs the package {package}: pip install "lstmcore[cli]"',
            'pip install -e ".[cli]"',
        )


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("environment", "parts"),
    [
        ({"JAX_PLATFORMS": "cuda"}, ["JAX_PLATFORMS=cuda", "unset it"]),
        ({"JAX_PLATFORMS": "nonsense"}, ["JAX_PLATFORMS=nonsense", "unset it"]),
        ({"JAX_ENABLE_X64": "maybe"}, ["invalid truth value 'maybe'", "JAX_ENABLE_X64"]),
    ],
    ids=["no GPU", "no such platform", "no truth value"],
)
def test_a_jax_that_does_not_start_is_told_in_a_sentence(environment, parts, tmp_path):
    done = process("fit", *SMALL, "-o", str(tmp_path / "run"), **environment)
    assert_one_sentence(done, *parts)
    assert not (tmp_path / "run").exists()


def extras() -> dict[str, set[str]]:
    """The packages that each extra installs, those of the extras that it names among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def installed(extra: str) -> set[str]:
        found = set()
        for requirement in project["optional-dependencies"][extra]:
            name = re.match(r"[\w-]+", requirement)[0]
            inner = re.search(r"\[(.*)\]", requirement)
            if name == "lstmcore":
                found |= set().union(*map(installed, inner[1].split(",")))
            else:
                found.add(name)
        return found

    return {extra: installed(extra) for extra in project["optional-dependencies"]}


def test_extras_follow_the_commands():
    installed = extras()
    for command, (extra, needed) in NEEDED.items():
        assert {DISTRIBUTIONS.get(package, package) for package in needed} <= installed[extra]
        assert extra in (command.split()[0], "cli")
    heavy = {"scikit-learn", "statsmodels", "sacrebleu"}
    assert not installed["cli"] & heavy
    assert heavy < installed["all"]
    extras_of_all = {extra for extra, _ in NEEDED.values()} | {"keras", "onnx"}
    assert set().union(*(installed[extra] for extra in extras_of_all)) == installed["all"]


MISSING = [(command, package) for command, (_, needed) in NEEDED.items() for package in needed]


@pytest.mark.parametrize(("command", "package"), MISSING)
def test_a_missing_package_is_told_before_anything_is_read(command, package, monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == package else name)
    run = call(*command.split(), "nowhere.csv")
    name, extra = DISTRIBUTIONS.get(package, package), NEEDED[command][0]
    assert run.exit_code == 1
    expected = f'lstmcore {command} needs the package {name}: pip install "lstmcore[{extra}]"'
    assert f"error: {expected}" in run.text
    assert f'in a checkout: pip install -e ".[{extra}]"' in run.text


# Streams.


def test_a_reader_that_leaves_and_no_extras_but_its_own(tmp_path):
    """As `lstmcore fit | head -1`: the run ends as it would have, without a word."""
    code = without("sklearn", "statsmodels", "sacrebleu", "keras")
    folder = tmp_path / "run"
    arguments = ["fit", *SMALL, "-o", str(folder)]
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}\nfrom lstmcore.__main__ import main; main()", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as running:
        assert running.stdout.readline().startswith(b"tutorial: 9 rows")
        running.stdout.close()
        said = running.stderr.read().decode()
    assert running.returncode == 0, said
    assert "Error" not in said
    assert (folder / "gates_encoder_0.png").exists()


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_closed_streams(tmp_path):
    """What libraries write to the numbers of closed streams must not end up in the results."""
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "lstmcore", "fit", *SMALL, "-o", str(folder)]
    closing = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", *command]
    assert subprocess.run(closing, env=os.environ | {"PYTHONPATH": str(ROOT)}).returncode == 0
    model, _ = lc.load(folder / "model.safetensors")
    assert model.units == (2,)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [("--version",), ("fit", *SMALL)], ids=str)
def test_a_full_disk_under_its_output_is_told_once(arguments, tmp_path):
    done = process(*arguments, *(["-o", str(tmp_path)] if len(arguments) > 1 else []), code=FULL)
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*No space left on device\n", done.stderr), done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"NO_COLOR": "1", "TERM": None},
        {"COLUMNS": "10"},
        {"COLUMNS": "wide"},
    ],
    ids=str,
)
def test_any_terminal_shows_the_help(environment):
    code = (
        "from lstmcore.cli.streams import prepare_streams; prepare_streams(); print('\\xd7 \\xe9')"
    )
    done = process("--help", code=code, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout


# Mistakes that no option can foresee.


@pytest.mark.parametrize("option", ["--units", "--window", "--difference"])
def test_a_number_too_large_for_any_machine(option, tmp_path):
    run = call("fit", option, 99999999999999999999, "-o", tmp_path / "run")
    assert run.exit_code == 2
    assert f"Invalid value for {option}: 99999999999999999999 is too large a number" in run.text


@pytest.mark.parametrize(
    "error",
    [MemoryError(), MemoryError("cannot allocate 9 EiB"), JaxRuntimeError("RESOURCE_EXHAUSTED: x")],
    ids=repr,
)
def test_too_little_memory_is_told_in_a_sentence(error, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(autoencoding, "cut", fail)
    run = call("fit", *SMALL, "-o", tmp_path / "run")
    assert run.exit_code == 1
    assert re.search(r"error: not enough memory( \(.*\))?: use fewer rows", run.text)


def test_an_unknown_bug_keeps_its_traceback():
    with pytest.raises(RuntimeError, match="a bug"), clear_errors():
        raise RuntimeError("a bug")


@signals_as_interrupts()
def hang_up_and_terminate():
    signal.raise_signal(signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    sys.exit(130)


@pytest.fixture
def handlers():
    """Signals are handled after the test as they were before it."""
    if sys.platform == "win32":
        pytest.skip("signals are others there")
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_signal_that_is_ignored_stays_so():
    """As SIGHUP under nohup; the others interrupt, and the exit status names them."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with pytest.raises(SystemExit, match="143"):
        hang_up_and_terminate()


class Terminating:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


@signals_as_interrupts()
def terminate_while_finalising():
    Terminating()  # lives no longer than this line
    time.sleep(60)


@pytest.mark.usefixtures("handlers")
def test_an_interrupt_that_python_swallows_is_repeated():
    """As in a finaliser or in a callback of the garbage collector."""
    with pytest.raises(KeyboardInterrupt):
        terminate_while_finalising()
