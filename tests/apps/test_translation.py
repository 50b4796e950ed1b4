"""Translators: pairs are read and split with care, training is what it says, files come back."""

import json
import re
import shutil
from dataclasses import replace
from functools import partial
from unicodedata import normalize

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import example, given
from manifests import forge
from translators import OTHER, PAIRS, WORDS, change_vocabularies

import lstmcore as lc
from lstmcore import study
from lstmcore.apps.translation import Settings, Translator, read_pairs, split, train, training
from lstmcore.apps.translation.pairs import read_pair_file

TINY = Settings(
    level="word",
    units=8,
    embedding=8,
    bidirectional=False,
    epochs=150,
    batch_size=27,
    validation=0.25,
    learning_rate=0.03,
    buckets=1,
)


@pytest.fixture(scope="module")
def seen():
    """What `callback` was told."""
    return []


@pytest.fixture(scope="module")
def trained(seen):
    return train(PAIRS, TINY, callback=seen.append)


@pytest.fixture(scope="module")
def translator(trained) -> Translator:
    return trained.translator


@pytest.fixture
def folder(translator, tmp_path):
    translator.save(tmp_path / "new" / "folder")
    return tmp_path / "new" / "folder"


# Reading.

GOOD = {
    "plain": b"a\tb\nc\td\n",
    "without a last line end": b"a\tb\nc\td",
    "windows": b"\xef\xbb\xbfa\tb\r\nc\td\r\n",
    "old macintosh": b"a\tb\rc\td\r",
    "remarks, blanks, empty lines": b"\n a \t b\tremark\tmore\n\n  \nc\td \n\t\n",
}
BAD = {
    "no tab": (b"a\tb\nc d\n\ne\n", r"has no tab in lines 2, 4: write source, tab, target"),
    "one line without": (b"c d\n", r"has no tab in line 1:"),
    "many without": (b"x\n" * 9, r"in lines 1, 2, 3, 4, 5 and 4 more:"),
    "no target": (b"a\t\nb\tc\n", r"nothing on one side of the tab in line 1: complete or remove"),
    "no source": (b"a\tb\n \tc\n", r"nothing on one side of the tab in line 2:"),
    "empty": (b"", r"holds no pairs: write source, tab, target into each line"),
    "blank": (b"\n \n\t\n", r"holds no pairs"),
    "BOM alone": (b"\xef\xbb\xbf", r"holds no pairs"),
    "latin-1": ("a\tgroß\n".encode("latin-1"), r"is not text in UTF-8 \(byte 5\): convert it"),
    "utf-16": ("a\tb\n".encode("utf-16"), r"is not text in UTF-8 \(byte 0\)"),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_pairs_are_read(content, tmp_path):
    (tmp_path / "pairs, é.tsv").write_bytes(content)
    assert read_pairs(tmp_path / "pairs, é.tsv") == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_files_that_hold_no_pairs(content, message, tmp_path):
    (tmp_path / "pairs.tsv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_pairs(tmp_path / "pairs.tsv")


COLUMNS = {
    "Tatoeba": ("12\ta\t34\tb\n56\tc\t78\td\n", (2, 4), "number 1 holds numbers ('12')"),
    "Tatoeba with names": (
        "id\ttext\tid\ttext\n12\ta\t34\tb\n56\tc\t78\td\n",
        (2, 4),
        "number 1 holds numbers",
    ),
    "a number each": ("1\ta\tb\n2\tc\td\n", (2, 3), "has 3 columns, of which number 1 holds numb"),
    "scores between": ("a\t0.9\tb\nc\t0.7\td\n", (1, 3), "number 2 holds numbers ('0.9')"),
    "languages": (
        "eng\ta\tdeu\tb\neng\tc\tdeu\td\neng\te\tdeu\tf\n",
        (2, 4),
        "number 1 holds the same in every line ('eng')",
    ),
}


@pytest.mark.parametrize(("text", "columns", "message"), COLUMNS.values(), ids=COLUMNS)
def test_a_file_that_does_not_begin_with_two_texts_asks_which(text, columns, message, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text(text)
    chosen = ",".join(map(str, columns))
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        read_pairs(path)
    assert f"say which hold source and target, with --columns {chosen}" in str(error.value)
    assert read_pairs(path, columns)[:2] == [("a", "b"), ("c", "d")]
    swapped = read_pairs(path, columns[::-1])
    assert swapped[:2] == [("b", "a"), ("d", "c")]


READ = {
    "numbers as sources": ("12\ttwelve\n7\tseven\n", [("12", "twelve"), ("7", "seven")], []),
    "remarks": (
        "a\tb\tCC-BY 2.0 #1\nc\td\tCC-BY 2.0 #2\n",
        [("a", "b"), ("c", "d")],
        ["columns 1 and 2 of 3 are read"],
    ),
    "names": (
        "English\tGerman\na\tb\n",
        [("a", "b")],
        ["the first line names the columns (English, German) and is left out"],
    ),
    "a pair like names": ("source\tQuelle\na\tb\n", [("source", "Quelle"), ("a", "b")], []),
    "copies": (
        "a\ta\nb\tb\nc\td\n",
        [("a", "a"), ("b", "b"), ("c", "d")],
        ["source and target are the same text in 2 of 3 pairs: is each in its own column?"],
    ),
}


@pytest.mark.parametrize(("text", "pairs", "notes"), READ.values(), ids=READ)
def test_what_was_understood_is_told(text, pairs, notes, tmp_path):
    (tmp_path / "pairs.tsv").write_text(text)
    assert read_pair_file(tmp_path / "pairs.tsv") == (pairs, notes)


@pytest.mark.parametrize(
    "text", ['"a, b","c ""d"""\ne,f\n', '"a, b";"c ""d"""\ne;f\n'], ids=["comma", "semicolon"]
)
def test_pairs_of_a_csv_file(text, tmp_path):
    path = tmp_path / "pairs.CSV"
    path.write_text(text)
    assert read_pairs(path) == [("a, b", 'c "d"'), ("e", "f")]
    path.write_text("a\tb, c\n")  # with a tab it is what other files are
    assert read_pairs(path) == [("a", "b, c")]
    path.write_text("a,b\nc\n")
    with pytest.raises(ValueError, match="has no comma in line 2: write source, comma, target"):
        read_pairs(path)


@pytest.mark.parametrize("columns", [(1, 1), (0, 1), (1, 2, 3), (1.5, 2), ("1", "2"), (1,)])
def test_columns_that_are_no_two(columns, tmp_path):
    (tmp_path / "pairs.tsv").write_text("a\tb\n")
    with pytest.raises(ValueError, match="columns must be two different numbers from 1, those"):
        read_pairs(tmp_path / "pairs.tsv", columns)


def test_columns_that_are_not_there(tmp_path):
    (tmp_path / "pairs.tsv").write_text("1\ta\tb\n2\tc\n")
    with pytest.raises(ValueError, match="has no column 3 in line 2"):
        read_pairs(tmp_path / "pairs.tsv", (2, 3))


@pytest.mark.thorough
def test_pairs_in_different_normal_forms_are_the_same_words():
    pairs = [(normalize("NFD", "café é"), "ä"), ("café", normalize("NFD", "ä")), ("no", "ö")]
    found = train(pairs, replace(TINY, epochs=1, validation=0, batch_size=3))
    assert sorted(found.translator.source.tokens) == ["café", "no", "é"]
    assert sorted(found.translator.target.tokens) == ["ä", "ö"]
    assert found.translator.unknown([normalize("NFD", "café pâté")]) == [normalize("NFD", "pâté")]


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*pairs\.tsv"):
        read_pairs(tmp_path / "pairs.tsv")
    with pytest.raises(IsADirectoryError, match="is a folder: give a file of pairs"):
        read_pairs(tmp_path)


def test_a_huge_line_is_a_pair(tmp_path):
    (tmp_path / "pairs.tsv").write_text("x" * 3_000_000 + "\ty\n")
    assert [tuple(map(len, pair)) for pair in read_pairs(tmp_path / "pairs.tsv")] == [
        (3_000_000, 1)
    ]


# Holding out.

TEXTS = st.text("ab", min_size=1, max_size=2)


@given(
    st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=30),
    st.floats(0, 0.99),
    st.integers(0, 2**63 - 1),
)
@example([("a", "1"), ("b", "2"), ("a", "3")], 0.01, 0)
def test_no_source_that_is_validation_is_trained_on(pairs, fraction, seed):
    different = len({source for source, _ in pairs})
    count = max(1, round(fraction * different)) if fraction else 0
    if count >= different:
        with pytest.raises(ValueError, match=f"leaves none of {different} different sources"):
            split(pairs, fraction, seed)
        return
    training, validation = split(pairs, fraction, seed)
    assert sorted(training + validation) == sorted(pairs)
    sources = [{source for source, _ in side} for side in (training, validation)]
    assert not sources[0] & sources[1]
    assert len(sources[1]) == count
    assert split(pairs, fraction, seed) == (training, validation)


@pytest.mark.parametrize("fraction", [-0.1, 1, float("nan")])
def test_a_fraction_that_is_none(fraction):
    with pytest.raises(ValueError, match="validation must be at least 0 and below 1, got"):
        split(PAIRS, fraction, 0)


# Settings and arguments.

SETTINGS = {
    "level": ({"level": "syllable"}, "level must be one of 'character', 'word', got 'syllable'"),
    "attention": ({"attention": "self"}, "attention must be one of 'general', .*, got 'self'"),
    "units": ({"units": (4, 0)}, "units must be at least 1, got 0"),
    "epochs": ({"epochs": 0}, "epochs must be at least 1, got 0"),
    "batch size": ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    "maximum": ({"max_length": 0}, "max_length must be at least 1, got 0"),
    "buckets": ({"buckets": 0}, "buckets must be at least 1, got 0"),
    "patience": ({"patience": -1}, "patience must be at least 1, got -1"),
    "seed": ({"seed": -1}, "seed must be at least 0, got -1"),
    "large seed": ({"seed": 2**63}, "seed must be at most"),
    "learning rate": ({"learning_rate": 0.0}, "learning_rate must be a positive number, got 0"),
    "NaN": ({"learning_rate": float("nan")}, "learning_rate must be a positive number, got nan"),
    "clip": ({"clip": float("inf")}, "clip must be a positive number, got inf"),
}
UNFIT = {
    "no pairs": ([], {}, ValueError, "pairs is empty: there is nothing to train on"),
    "one pair": (PAIRS[:1], {}, ValueError, "leaves none of 1 different sources to train on"),
    "texts": (["ab", "cd"], {}, TypeError, r"pairs\[0\] must be \(source, target\), two strings"),
    "numbers": ([("a", "b"), ("c", 1)], {}, TypeError, r"pairs\[1\] must be"),
    "empty texts": ([("", "a"), ("", "b")], {"validation": 0}, ValueError, "no word at all"),
    "too long": (
        PAIRS,
        {"max_length": 2},
        ValueError,
        r"each of 36 pairs has more than max_length 2 tokens \(including END\): raise it",
    ),
    "dropout": (PAIRS, {"dropout": 1.0}, ValueError, "dropout must be at least 0 and below 1"),
    "both": (
        PAIRS,
        {"bidirectional": True, "reverse_source": True},
        ValueError,
        "reverse_source",
    ),
    "embedding": (PAIRS, {"embedding": 0}, ValueError, "embedding"),
    "validation": (PAIRS, {"validation": 1}, ValueError, "validation must be at least 0 and"),
}


@pytest.mark.parametrize(("change", "message"), SETTINGS.values(), ids=SETTINGS)
def test_settings_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        Settings(**change)


@pytest.mark.parametrize(("pairs", "change", "kind", "message"), UNFIT.values(), ids=UNFIT)
def test_nothing_to_train_on_or_with(pairs, change, kind, message):
    with pytest.raises(kind, match=message):
        train(pairs, replace(TINY, **change))


# What training does.


@pytest.mark.thorough
def test_what_training_tells(trained, seen):
    assert (len(trained.training), len(trained.validation), trained.left_out) == (27, 9, 0)
    assert trained.stopped is None
    assert {name: len(losses) for name, losses in trained.history.items()} == {
        "loss": 150,
        "validation_loss": 150,
    }
    assert [progress.epoch for progress in seen] == list(range(1, 151))
    last = seen[-1]
    assert last.validation == trained.validation
    assert last.losses == {name: float(losses[-1]) for name, losses in trained.history.items()}
    jax.tree.map(np.testing.assert_array_equal, last.translator.params, trained.translator.params)


@pytest.mark.thorough
def test_it_learns(trained, translator):
    sources, targets = zip(*trained.training, strict=True)
    assert (
        np.mean([a == b for a, b in zip(translator.translate(sources), targets, strict=True)]) > 0.8
    )


def as_batch(trained, pairs):
    sources, targets = zip(*pairs, strict=True)
    translator = trained.translator
    return {
        "source": translator.source.encode_all(sources),
        "target": translator.target.encode_all(targets),
    }


def test_dropout_acts_in_training_and_not_in_evaluation(trained):
    """The first loss is that of the first weights, on all pairs in one batch."""
    model, batch = trained.translator.model, as_batch(trained, trained.training)
    key, _ = jax.random.split(jax.random.key(TINY.seed))
    loss = jax.jit(partial(training.loss, model))
    quiet = loss(jax.jit(model.init)(key), batch)
    assert model.dropout == 0.1
    assert 1e-4 < abs(float(trained.history["loss"][0] - quiet)) < 0.5
    validation = as_batch(trained, trained.validation)
    np.testing.assert_allclose(
        loss(trained.translator.params, validation),
        trained.history["validation_loss"][-1],
        rtol=1e-5,
    )


@pytest.mark.parametrize(("pairs", "rows"), [(8, [8]), (10, [10]), (23, [30]), (31, [40])])
def test_batches_are_whole_and_hold_each_pair_once(pairs, rows):
    pairs = PAIRS[:pairs]
    vocabularies = [lc.Vocabulary.of(side, "word") for side in zip(*pairs, strict=True)]
    found = training._buckets(pairs, vocabularies, batch_size=10, count=1)
    assert [len(part["source"]) for part in found.parts] == rows
    held = [
        (vocabularies[0].decode(source), vocabularies[1].decode(target))
        for part in found.parts
        for source, target in zip(part["source"], part["target"], strict=True)
    ]
    assert [pair for pair in held if pair != ("", "")] == pairs  # in order
    real = [any(pair) for pair in held]
    counts = [sum(real[first : first + 10]) for first in range(0, len(real), 10)]
    assert max(counts) - min(counts) <= 1


@pytest.mark.thorough
def test_empty_pairs_change_neither_loss_nor_gradient(trained):
    model, params = trained.translator.model, trained.translator.params
    batch = as_batch(trained, trained.validation[:3])
    padded = {side: np.pad(ids, ((1, 1), (0, 0))) for side, ids in batch.items()}
    gradient = jax.jit(jax.value_and_grad(partial(training.loss, model)))
    for a, b in zip(
        *(jax.tree.leaves(gradient(params, some)) for some in (batch, padded)), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.fixture
def ending(translator, monkeypatch):
    """Training ends at once, as the error that `fit` raises says, or with the params at hand."""

    def end(epochs, error=None):
        result = lc.FitResult(translator.params, {"loss": np.ones(epochs)})

        def fit(*_, **__):
            if error is None:
                return result
            error.result = result
            raise error

        monkeypatch.setattr("lstmcore.apps.training.fit", fit)
        return result

    return end


def test_pairs_that_are_too_long_are_left_out(ending):
    """Their words are in no vocabulary, and none is in the validation part."""
    long = [("two " * 9 + f"source{i}", f"target{i}") for i in range(20)]
    ending(1)
    trained = train([*PAIRS[:18], *long, *PAIRS[18:]], replace(TINY, max_length=3))
    assert trained.left_out == 20
    assert (len(trained.training), len(trained.validation)) == (27, 9)
    assert set(trained.translator.source.tokens) == set(WORDS)
    assert trained.translator.max_length == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt(), lc.NonFiniteLossError("NaN", None)])
def test_what_was_learned_before_an_end_is_kept(error, ending):
    result = ending(2, error)
    trained = train(PAIRS, TINY)
    assert trained.stopped is error
    assert (trained.history, trained.translator.params) == (result.history, result.params)


def test_an_end_within_the_first_epoch(ending):
    ending(0, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(PAIRS, TINY)


# Translating.


def test_many_texts_are_translated_as_each_alone(translator, trained):
    sources = [source for source, _ in trained.validation] + [
        "old",
        "",
        "new two one red old",
    ]
    assert translator.translate(sources) == [translator.translate([text])[0] for text in sources]


def test_a_beam_of_width_1_is_greedy(translator, trained):
    sources = [source for source, _ in trained.validation]
    state, _ = translator.model.encode(translator.params, translator._ids(sources))
    beams = lc.beam_search(
        translator.model.step, translator.params, state, max_length=translator.max_length, width=1
    )
    assert translator.target.decode_all(np.asarray(beams.tokens[:, 0])) == translator.translate(
        sources
    )


def test_no_texts(translator):
    assert translator.translate([]) == []
    assert translator.unknown([]) == []


def test_unknown_tokens_are_named_and_read_as_unknown(translator):
    assert translator.unknown(["one blue,x", "", "blue [ two ]"]) == [",", "[", "]", "blue", "x"]
    assert translator.unknown(["one-two"]) == ["-", "￭two"]  # it knows "two" after a space
    assert translator.translate(["one blue"]) == translator.translate(["one green"])


def test_translations_end_at_the_maximum(translator):
    short = replace(translator, max_length=1)
    assert len(short.translate(["one two"])[0].split()) <= 1


WRONG = {
    "a string": (("translate", "one two"), {}, TypeError, "texts must be a list of strings"),
    "a number": (("translate", ["one", 2]), {}, TypeError, r"texts\[1\] must be a string, got int"),
    "width": (("translate", ["one"]), {"width": 0}, ValueError, "width must be at least 1, got 0"),
    "unknown": (("unknown", "one"), {}, TypeError, "texts must be a list of strings"),
    "run": (("run", "one"), {}, TypeError, "texts must be a list of strings"),
    "targets": (("run", ["one"], "eins"), {}, TypeError, "targets must be a list of strings"),
    "fewer": (("run", ["a", "b"], ["c"]), {}, ValueError, "source has 2 examples but target has 1"),
}


@pytest.mark.parametrize(("call", "options", "kind", "message"), WRONG.values(), ids=WRONG)
def test_arguments_that_do_not_fit(call, options, kind, message, translator):
    name, *arguments = call
    with pytest.raises(kind, match=message):
        getattr(translator, name)(*arguments, **options)


def test_a_run_shows_the_translations(translator):
    texts = ["one two", "big"]
    run = translator.run(texts)
    assert translator.target.decode_all(np.asarray(run.target)) == translator.translate(texts)
    assert run.layers == ("encoder_0", "decoder_0")
    assert run.attention.shape == (2, run.target.shape[1], run.inputs.shape[1])
    ids = np.asarray(run.outputs.argmax(axis=2))  # teacher forcing on what it wrote itself
    real = np.asarray(run.target) != lc.PADDING
    np.testing.assert_array_equal(ids[real], np.asarray(run.target)[real])
    given = translator.run(texts, ["rot", "rot alt"])
    assert translator.target.decode_all(np.asarray(given.target)) == ["rot", "rot alt"]


def test_edits_act_on_what_is_written(translator):
    shut = {"decoder_0": study.clamp("output", 0.0)}
    written = translator.translate(["one two", "big"], edits=shut)
    run = translator.run(["one two", "big"], written, edits=shut)
    assert float(abs(run["decoder_0", "h"]).max()) == 0


# Files.


def test_a_translator_comes_back(translator, folder):
    found = Translator.load(folder)
    assert (found.model, found.source, found.target, found.max_length) == (
        translator.model, translator.source, translator.target, translator.max_length,
    )  # fmt: skip
    jax.tree.map(np.testing.assert_array_equal, found.params, translator.params)
    translator.save(folder)  # again, over it
    names = {"model.safetensors", "vocabularies.json", "manifest.json"}
    assert {path.name for path in folder.iterdir()} == names


def another_model(folder, model):
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    lc.save(folder / "model.safetensors", model, params)


DAMAGE = {
    "no folder": (shutil.rmtree, FileNotFoundError, "there is no folder .*: name the"),
    "no vocabularies": (
        lambda folder: (folder / "vocabularies.json").unlink(),
        FileNotFoundError,
        "there is no vocabularies.json in .* name the folder that Translator.save or lstmcore",
    ),
    "no model": (
        lambda folder: (folder / "model.safetensors").unlink(),
        FileNotFoundError,
        r"there is no model\.safetensors in .*, though its manifest lists it",
    ),
    "cut off": (
        lambda folder: (folder / "vocabularies.json").write_text('{"source": '),
        ValueError,
        r"vocabularies\.json is damaged",
    ),
    "bytes": (
        lambda folder: (folder / "vocabularies.json").write_bytes(b"\xff\xfe\x00"),
        ValueError,
        r"vocabularies\.json is damaged",
    ),
    "a list": (
        lambda folder: (folder / "vocabularies.json").write_text("[]"),
        ValueError,
        r"vocabularies\.json is damaged",
    ),
    "deep": (
        lambda folder: (folder / "vocabularies.json").write_text("[" * 100_000),
        ValueError,
        r"vocabularies\.json is damaged",
    ),
    "one side": (
        lambda folder: change_vocabularies(folder, target=None),
        ValueError,
        "json is damaged",
    ),
    "a maximum of 0": (
        lambda folder: change_vocabularies(folder, max_length=0),
        ValueError,
        "json is damaged: max_length must be at least 1, got 0",
    ),
    "a maximum in words": (
        lambda folder: change_vocabularies(folder, max_length="9"),
        ValueError,
        "json is damaged: max_length must be a whole number",
    ),
    "vocabulary of another": (
        lambda folder: change_vocabularies(folder, target=OTHER),
        ValueError,
        "holds no translator: the model has 10 target tokens but the vocabulary has 7",
    ),
    "damaged model": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"nothing"),
        ValueError,
        "is not a complete safetensors file",
    ),
    "another model": (
        lambda folder: another_model(folder, lc.Autoencoder(2, 4)),
        ValueError,
        "holds no translator: a translator needs a Seq2Seq of tokens, got a Autoencoder",
    ),
    "real-valued": (
        lambda folder: another_model(folder, lc.Seq2Seq(10, 10, 4)),
        ValueError,
        "needs a Seq2Seq of tokens, got a real-valued one",
    ),
}


@pytest.mark.parametrize(("damage", "kind", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_folders(damage, kind, message, folder):
    """A manifest notices each change; what does not fit is noticed beside a forged one, too."""
    damage(folder)
    if kind is ValueError:
        with pytest.raises(
            ValueError, match=r"is not the file that was written with manifest.json"
        ):
            Translator.load(folder)
        forge(folder)
    with pytest.raises(kind, match=message):
        Translator.load(folder)


def test_vocabularies_of_the_same_sizes_that_were_swapped(folder):
    """Nothing but their digest tells."""
    stored = json.loads((folder / "vocabularies.json").read_text())
    change_vocabularies(folder, source=stored["target"], target=stored["source"])
    with pytest.raises(ValueError, match=r"vocabularies.json is not the file that was written"):
        Translator.load(folder)


def test_a_folder_that_cannot_be_made(translator, tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="file"):
        translator.save(tmp_path / "file" / "below")
