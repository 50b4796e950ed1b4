"""`lstmcore translate`: what a run leaves behind, and what mistakes and early ends cost."""

import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import jax
import numpy as np
import pytest
from command import TERMINAL, call
from inspector_page import contents, numbers
from manifests import forge
from matplotlib import pyplot
from rich.console import Console
from translators import OTHER, PAIRS, change_vocabularies
from typer.testing import CliRunner

import lstmcore as lc
from lstmcore.apps import translation
from lstmcore.apps.translation import report
from lstmcore.cli import app, translation_progress
from lstmcore.io.manifest import MARKER
from lstmcore.io.staging import staging_of

commands = import_module("lstmcore.cli.translate")

# The smallest model, and each epoch one batch: what costs time here is compiling.
TINY = ("--level", "word", "--units", 8, "--embedding", 8, "--one-direction", "--epochs", 12,
        "--batch-size", 27, "--validation", 0.25, "--learning-rate", 0.03,
        "--dropout", 0)  # fmt: skip
TEXT = "".join(f"{source}\t{target}\tremark\n" for source, target in PAIRS)
OPTIONS = (
    "columns", "level", "units", "embedding", "attention", "one-direction", "reverse-source",
    "dropout", "epochs", "patience", "batch-size", "learning-rate", "validation", "max-length",
    "seed", "output",
)  # fmt: skip
PLAIN = {
    "model.safetensors", "vocabularies.json", "settings.json", "history.csv", "manifest.json",
}  # fmt: skip
WRITTEN = {
    "manifest.json",
    "model.safetensors", "vocabularies.json", "settings.json", "history.csv", "validation.tsv",
    "loss.png", "attention.png", "gates_encoder_0.png", "gates_decoder_0.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "my [red] pairs, é.tsv"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run_and_result(pairs, tmp_path_factory):
    """A run of the command, and what `translation.train` gave it."""
    results, train = [], translation.train

    def remember(*arguments, **options):
        results.append(train(*arguments, **options))
        return results[-1]

    folder = tmp_path_factory.mktemp("trained") / "new" / "folder"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translation, "train", remember)
        return call("translate", "train", pairs, *TINY, "-o", folder), *results


@pytest.fixture(scope="module")
def run(run_and_result):
    return run_and_result[0]


@pytest.fixture
def trained(run_and_result, monkeypatch):
    """What training gives; it gives that at once."""
    monkeypatch.setattr(translation, "train", lambda *_, **__: run_and_result[1])
    return run_and_result[1]


@pytest.fixture
def folder(run, tmp_path) -> Path:
    return shutil.copytree(run.folder, tmp_path / "translator")


def say(*arguments, stdin=None):
    """(exit status, standard output, standard error) of `translate run`."""
    result = CliRunner().invoke(
        app, ["translate", "run", *map(str, arguments)], input=stdin, env=TERMINAL
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def validation_pairs(folder) -> list[list[str]]:
    lines = (folder / "validation.tsv").read_text(encoding="utf-8").split("\n")
    assert lines[0] == "source\ttarget\ttranslation"
    assert lines[-1] == ""
    return [line.split("\t") for line in lines[1:-1]]


# What a run leaves behind.


def test_everything_promised_is_written_and_said(run, pairs):
    assert run.exit_code == 0, run.text
    assert run.files() == WRITTEN <= set(re.findall(r"[\w.]+", run.text))
    source, target = PAIRS[0]
    assert f"{pairs}: 36 pairs, the first '{source}' -> '{target}'" in run.text
    assert "- columns 1 and 2 of 3 are read" in run.text
    count = sum(leaf.size for leaf in jax.tree.leaves(run.model()[1]))
    assert f"total {count:,}" in run.text
    assert f"lstmcore translate run {run.folder} TEXT" in run.text


def test_losses_and_samples_are_shown(run):
    shown = re.findall(
        r"epoch +(\d+)/12 loss ([\d.]+) validation loss [\d.]+ exact match", run.text
    )
    assert [int(epoch) for epoch, _ in shown] == list(range(1, 13))
    losses = run.column("history.csv", "epoch", "loss")
    np.testing.assert_allclose([float(loss) for _, loss in shown], losses[:, 1], rtol=1e-3)
    source, _, written = validation_pairs(run.folder)[0]
    assert re.search(rf"{source} [=≠] {written}", run.text.split("epoch 12/12")[1])


def test_validation_pairs_agree_with_what_is_said(run):
    rows = validation_pairs(run.folder)
    translator = translation.Translator.load(run.folder)
    assert [row[2] for row in rows] == translator.translate([row[0] for row in rows])
    assert {(source, target) for source, target, _ in rows} < set(PAIRS)
    match = np.mean([target == written for _, target, written in rows])
    assert f"{len(rows)} validation pairs: exact match {match:.1%}, BLEU" in run.text
    assert len(rows) == run.settings()["pairs"]["validation"] == 9


def test_the_figures_show_something(run):
    for path in run.folder.glob("*.png"):
        assert pyplot.imread(path)[..., :3].std() > 0.01


def test_results_of_an_earlier_run_do_not_stay(folder, pairs, trained):
    killed = staging_of(folder)
    killed.mkdir()
    (killed / MARKER).touch()
    (killed / "gates_encoder_7.png").write_text("half")
    nothing = trained._replace(validation=[])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translation, "train", lambda *_, **__: nothing)
        patch.setattr(report, "figures_of", lambda *_: {})
        run = call("translate", "train", pairs, *TINY, "--validation", 0, "--force", "-o", folder)
    assert run.exit_code == 0, run.text
    assert "validation pairs: exact" not in run.text
    assert run.files() == PLAIN
    assert not killed.exists()


@pytest.mark.thorough
def test_any_script_and_any_sign(trained, tmp_path, monkeypatch):
    """Fonts may lack a script, quotes are text, and brackets and dollars are no markup."""
    old = [("x" * 70 + " $x^$ [b] 中文", 'he said "no"'), ('"', "[/red]"), ("{", "a\u2028b")]
    report.write_translations(tmp_path, trained._replace(validation=old))
    assert [tuple(row[:2]) for row in validation_pairs(tmp_path)] == old
    monkeypatch.setattr(translation_progress, "console", Console(width=80))
    with translation_progress.console.capture() as capture:
        translation_progress.console.print(
            translation_progress.samples(old[:2], ["[b]" * 40, "[/red]"])
        )
    lines = capture.get().split("\n")
    assert all(len(line) <= 80 for line in lines)
    assert [line.count("=") + line.count("≠") for line in lines[:2]] == [1, 1]
    assert "…" in lines[0]


def test_weights_that_overflow_do_not_end_training(trained, capsys):
    """The losses may be finite all the same, and later epochs may find back."""
    params = jax.tree.map(lambda leaf: leaf * np.float32(np.nan), trained.translator.params)
    translator = replace(trained.translator, params=params)
    progress = translation.Progress(1, {"loss": 1e30}, translator, trained.validation, 20)
    translation_progress.ProgressPrinter(None)(progress)
    assert "epoch  1/20  loss 1.000e+30  no finite logits" in capsys.readouterr().out


# Early ends.


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_figures_that_fail_do_not_cost_the_translator(failure, folder, pairs, trained, monkeypatch):
    def fail(*_):
        raise failure

    monkeypatch.setattr(report, "figures_of", fail)
    run = call("translate", "train", pairs, *TINY, "--force", "-o", folder)
    is_interrupt = isinstance(failure, KeyboardInterrupt)
    assert run.exit_code == (130 if is_interrupt else 1)
    assert ("the translator is saved" if is_interrupt else "error: disk full") in run.text
    assert run.files() == PLAIN
    assert translation.Translator.load(folder).translate(["one two"])


@pytest.mark.parametrize(
    ("failure", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted: nothing was written"),
        (
            lc.NonFiniteLossError("NaN", None),
            1,
            "error: training diverged in its first epoch: lower",
        ),
    ],
)
def test_a_run_that_ends_in_its_first_epoch_changes_nothing(
    failure, status, message, folder, pairs, monkeypatch
):
    def fail(*_, **__):
        raise failure

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(translation, "train", fail)
    for output in (folder, folder.parent / "new"):
        run = call("translate", "train", pairs, *TINY, "--force", "-o", output)
        assert run.exit_code == status
        assert message in run.text
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not (folder.parent / "new").exists()


@pytest.mark.thorough
def test_a_run_that_diverges_keeps_its_last_finite_weights(pairs, tmp_path):
    """There is no validation part, so that only the second epoch meets what the first step did."""
    options = (
        "--attention",
        "none",
        "--learning-rate",
        1e38,
        "--validation",
        0,
        "--batch-size",
        36,
    )
    run = call("translate", "train", pairs, *TINY, *options, "-o", tmp_path / "run")
    assert run.exit_code == 1
    assert "error: training diverged in epoch 2: lower --learning-rate (1e+38)" in run.text
    assert f"the last finite weights are saved in {run.folder}" in run.text
    assert run.files() == PLAIN
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.model()[1]))
    assert len(run.rows("history.csv")) == 1


def test_ctrl_c_keeps_what_was_learned(run, pairs, tmp_path, monkeypatch):
    """A real signal in the third epoch; until then the same seed gives the same numbers."""
    show = translation_progress.ProgressPrinter.__call__

    def show_and_interrupt(self, progress):
        show(self, progress)
        if progress.epoch == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(translation_progress.ProgressPrinter, "__call__", show_and_interrupt)
    monkeypatch.setattr(report, "figures_of", lambda *_: {})
    short = call("translate", "train", pairs, *TINY, "-o", tmp_path / "run")
    assert short.exit_code == 0, short.text
    assert "interrupted after 3 epochs: the translator so far is saved" in short.text, short.text
    assert "9 validation pairs: exact match" in short.text
    assert short.files() == {name for name in WRITTEN if not name.endswith(".png")}
    names = ("epoch", "loss", "validation_loss")
    np.testing.assert_array_equal(
        short.column("history.csv", *names), run.column("history.csv", *names)[:3]
    )
    assert [row[:2] for row in validation_pairs(short.folder)] == [
        row[:2] for row in validation_pairs(run.folder)
    ]


# Mistakes.

MISTAKES = {
    "no such file": (["nowhere.tsv"], r"there is no file nowhere\.tsv"),
    "a folder": (["."], "is a folder: give a file of pairs"),
    "no tab": (["words.txt"], r"words\.txt has no tab in lines 1, 2: write source, tab, target"),
    "units": (["pairs.tsv", "--units", "a"], "'a' is not a list of sizes such as 128,64"),
    "units 0": (["pairs.tsv", "--units", "0"], "units must be at least 1, got 0"),
    "level": (["pairs.tsv", "--level", "syllable"], "'syllable' is not one of 'character'"),
    "attention": (["pairs.tsv", "--attention", "self"], "'self' is not one of 'general'"),
    "dropout 1": (["pairs.tsv", "--dropout", "1"], "dropout must be .* below 1, got 1"),
    "dropout -1": (["pairs.tsv", "--dropout", "-1"], "dropout must be .*, got -1"),
    "validation 1": (["pairs.tsv", "--validation", "1"], "validation must be .* below 1, got 1"),
    "nothing to train on": (
        ["pairs.tsv", "--validation", "0.99"],
        "leaves none of 2 different sources",
    ),
    "too long": (["pairs.tsv", "--max-length", "2"], "each of 2 pairs has more than max_length 2"),
    "epochs": (["pairs.tsv", "--epochs", "0"], "epochs must be at least 1, got 0"),
    "patience": (["pairs.tsv", "--patience", "-1"], "patience must be at least 1, got -1"),
    "seed": (["pairs.tsv", "--seed", "-1"], "seed must be at least 0, got -1"),
    "learning rate": (["pairs.tsv", "--learning-rate", "0"], "learning_rate must be a positive"),
    "an option": (["pairs.tsv", "--lengths", "3"], "No such option.*--lengths"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pairs.tsv").write_text("one two\teins zwei\nthree\tdrei\n")
    Path("words.txt").write_text("one\ntwo\n")
    run = call("translate", "train", *arguments, "-o", tmp_path / "run")
    assert run.exit_code in (1, 2)
    assert re.search(rf"[Ee]rror\W.*{message}", run.text), run.text
    assert not run.folder.exists()


@pytest.mark.parametrize("place", ["file", "file/below/it"])
def test_a_folder_that_cannot_be_written_to(place, pairs, tmp_path):
    (tmp_path / "file").write_text("old")
    run = call("translate", "train", pairs, *TINY, "-o", tmp_path / place)
    assert run.exit_code == 1
    assert f"error: cannot write to the output folder {tmp_path / place}" in run.text
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("as_link", [False, True])
def test_the_pairs_themselves_are_never_overwritten(as_link, tmp_path):
    path = tmp_path / "validation.tsv"
    path.write_text(TEXT)
    given = path
    if as_link:
        given = tmp_path / "link.tsv"
        given.symlink_to(path)
    run = call("translate", "train", given, *TINY, "-o", tmp_path)
    assert run.exit_code == 1
    assert "which lstmcore did not write: choose another folder with --output" in run.text
    assert path.read_text() == TEXT


def test_one_direction_may_be_the_other():
    """Of the options for the way to read, each means one thing."""
    settings = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "_train", lambda _, found, *rest: settings.append(found))
        for options in ([], ["--one-direction"], ["--reverse-source"],
                        ["--one-direction", "--reverse-source"]):  # fmt: skip
            assert call("translate", "train", "pairs.tsv", *options).exit_code == 0
    assert [(s.bidirectional, s.reverse_source) for s in settings] == [
        (True, False), (False, False), (False, True), (False, True),
    ]  # fmt: skip
    assert replace(settings[0]) == translation.Settings()  # the defaults are those of the library


# Texts to translate.


def test_texts_are_translated_in_order(folder):
    translator = translation.Translator.load(folder)
    texts = ["one two", " big red ", "old"]
    expected = translator.translate([text.strip() for text in texts], width=4)
    status, written, said = say(folder, *texts)
    assert (status, written.split("\n"), said) == (0, [*expected, ""], "")
    status, written, _ = say(folder, "--beam", 1, stdin="one two\r\n\n big red \nold")
    greedy = translator.translate(["one two", "big red", "old"])
    assert (status, written.split("\n")) == (0, [greedy[0], "", *greedy[1:], ""])  # a line each


@pytest.mark.parametrize(
    ("arguments", "stdin", "lines"), [([], "", 0), ([""], None, 1), ([], "\n\n", 2)]
)
def test_nothing_to_translate(arguments, stdin, lines, folder):
    assert say(folder, *arguments, stdin=stdin) == (0, "\n" * lines, "")


def test_unknown_tokens_are_named_on_standard_error(folder):
    status, written, said = say(folder, "one blue", "[ red ] two", "a b c d e f g")
    assert status == 0
    assert len(written.split("\n")) == 4
    assert said == "unknown to the model: '[', ']', 'a', 'b', 'blue', 'c', 'd', 'e', 'f', 'g'"
    said = say(folder, "one blue", "[ red ] two", "a b c d e f h", "i")[2]
    assert said.endswith("'f', 'h', ...")
    assert "unknown" not in written


def test_texts_that_begin_with_a_dash(folder):
    assert say(folder, "--", "-5 one", "--beam", "two")[1].count("\n") == 3
    status, written, said = say(folder, "--fast")
    assert (status, written) == (2, "")
    assert re.search("No such option.*--fast", said)


RUN_MISTAKES = {
    "no folder": (lambda folder: shutil.rmtree(folder), [], "there is no folder"),
    "no model": (
        lambda folder: (folder / "model.safetensors").unlink(),
        [],
        r"there is no model\.safetensors in",
    ),
    "damaged": (
        lambda folder: (folder / "vocabularies.json").write_text("{"),
        [],
        r"vocabularies\.json is not the file that was written with manifest\.json beside it",
    ),
    "of another": (
        lambda folder: [change_vocabularies(folder, source=OTHER), forge(folder)],
        [],
        "holds no translator: the model has 10 source tokens but the vocabulary has 7",
    ),
    "beam": (lambda folder: None, ["--beam", 0], "--beam.*1"),
}


@pytest.mark.parametrize(("damage", "options", "message"), RUN_MISTAKES.values(), ids=RUN_MISTAKES)
def test_mistakes_in_translating(damage, options, message, folder):
    damage(folder)
    status, written, said = say(folder, *options, "one two")
    assert status in (1, 2)
    assert written == ""
    assert re.search(rf"[Ee]rror\W.*{message}", re.sub("[│╭╮╰╯─]", " ", said)), said


# The page.


def test_inspect_shows_validation_pairs(folder):
    run = call("inspect", folder)
    assert run.exit_code == 0, run.text
    assert f"{folder.name} on validation.tsv: 9 validation pairs" in run.text
    page = contents(folder / "inspect.html")
    assert [" ".join(tokens[:-1]) for tokens in page["text"]] == [
        row[0] for row in validation_pairs(folder)
    ]
    assert [layer["name"] for layer in page["layers"]] == ["encoder_0", "decoder_0"]
    assert numbers(page["outputs"][0]).shape[0] == 9
    (folder / "validation.tsv").rename(folder / "held_out.tsv")  # the name in 0.1.0.dev0
    run = call("inspect", folder, "--examples", 4)
    assert f"{folder.name} on held_out.tsv: 4 of 9 validation pairs" in run.text


def test_inspect_needs_a_translator_with_validation_pairs(folder):
    for arguments, message in (
        (
            ["table.csv"],
            "is a translator, which reads no table: leave out DATA, --window and the",
        ),
        (["--window", 3], "which reads no table"),
    ):
        assert message in call("inspect", folder, *arguments).text
    (folder / "validation.tsv").unlink()
    assert "there is no validation.tsv in" in call("inspect", folder).text
    (folder / "vocabularies.json").unlink()
    run = call("inspect", folder)
    assert run.exit_code == 1
    assert "there is no vocabularies.json in" in run.text
    assert not (folder / "inspect.html").exists()


# Help.


def test_help_explains_each_option():
    text = call("translate", "train", "--help").text
    for option in OPTIONS:
        assert re.search(rf"--{option} .*? \w+", text), option
    for default in ("[default: character]", "[default: 128]", "[default: off]"):
        assert default in text
    assert "lines of standard input" in call("translate", "run", "--help").text
    for shown in (call("translate"), call("translate", "--help")):
        assert "Train on pairs of texts" in shown.text
        assert "Translate texts" in shown.text


def test_what_scores_and_draws_is_loaded_when_it_is_needed():
    code = (
        "import sys, lstmcore.cli\n"
        "print([m for m in ('sacrebleu', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
