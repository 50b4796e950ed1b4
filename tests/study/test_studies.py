"""The studies: their tasks match the papers, and their verdicts follow from the numbers."""

import copy
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstmcore as lc
from benchmarks.report import studies as report
from benchmarks.studies import (
    ablation,
    adding,
    addition,
    characters,
    command,
    corpus,
    detection,
    forecasts,
    forget_bias,
    fresh,
    monitored,
    nab,
    prediction,
    record,
    reversal,
    spread,
    training_variants,
    translation,
    translator,
    units,
    univariate,
    variants,
)
from benchmarks.studies.r_series import Series
from benchmarks.studies.signals import falls, position_in_line, signals
from lstmcore import forecasting
from lstmcore.apps.settings import TrainingSettings
from lstmcore.apps.training import adam
from lstmcore.series.events import Event
from lstmcore.training.epochs import ByExample

pytestmark = pytest.mark.thorough

STUDIES = command.STUDIES
# To compile and train these takes longer than all others together: run without. Every variant
# of the cell is trained in the tour of the docs, a model on sequences drawn anew in `forget_bias`.
UNTRAINED = (
    *("adding", "addition", "translation", "reversal", "variants"),
    *("forecasts", "univariate", "detection", "ablation"),
)


def a_beat():
    """In the place of series of packages that may not be here: (normal, values, labels)."""
    normal = np.sin(np.arange(80) / 2)
    values, labels = normal.copy(), np.zeros(80, bool)
    values[50:53], labels[50:53] = 4, True
    return normal, values, labels


def a_cycle():
    return 2 + np.sin(np.arange(150) / 3)[:, None] + np.random.default_rng(0).normal(size=(150, 1))


def the_last_value(past, horizon, season=1):
    return np.repeat(past[-1], horizon)


CASES = {
    "ablation": {"season, odd rows": lambda seed: monitored.draw("season, odd rows", seed)},
    "detection": {"a beat": detection.Case(8, a_beat)},
    "forecasts": {
        "a cycle": forecasts.Case(
            a_cycle,
            forecasting.Settings(window=6, horizon=11, season=11, units=4, epochs=1),
            folds=2,
            classic="the last value",
            fit=the_last_value,
        )
    },
}
# Attributes of modules, in the place of data and packages that may not be here.
SHORT = {name: {"CASES": cases} for name, cases in CASES.items()}
SHORT["univariate"] = {
    "NEEDED": ("numpy",),
    "read_series": lambda: [Series(name, 1, a_cycle()[:60, 0]) for name in "ab"],
    "MODELS": univariate.MODELS | dict.fromkeys(univariate.STATISTICAL, the_last_value),
}


def shortened(patch, name):
    for attribute, value in SHORT.get(name, {}).items():
        patch.setattr(STUDIES[name], attribute, value)


# --- every study ---


def untrained(loss, params, data, *, epochs, validation=None, **options):
    """In place of `lc.fit`: that the loss takes both kinds of data, and the params as they are."""
    del options
    for batch in (data,) if validation is None else (data, validation):
        shape = (len(batch),) if isinstance(loss, ByExample) else ()
        assert jax.eval_shape(loss, params, batch).shape == shape
    history = dict.fromkeys(("loss", "validation_loss"), np.full(epochs, 0.75))
    return lc.FitResult(params, history)


@pytest.fixture(scope="module")
def outcomes():
    """Each study's quick outcome, run when it is first asked for."""
    done: dict = {}

    def outcome(name):
        if name not in done:
            with pytest.MonkeyPatch.context() as patch:
                if name in UNTRAINED:
                    patch.setattr(lc, "fit", untrained)
                    patch.setattr("lstmcore.apps.training.fit", untrained)
                shortened(patch, name)
                done[name] = record.carry_out(STUDIES[name], quick=True)
        return done[name]

    return outcome


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_runs_is_kept_and_reported(name, outcomes, tmp_path, monkeypatch):
    outcome, study = outcomes(name), STUDIES[name]
    shortened(monkeypatch, name)
    assert outcome["study"] == name
    assert outcome["quick"]
    assert {"jax", "numpy", "optax", "scipy", "python"} <= set(outcome["versions"])
    assert outcome["claims"] == []  # no verdict
    assert {type(claim.holds) for claim in study.check_claims(outcome["measured"])} == {bool}
    record.save(outcome, tmp_path)
    assert record.load(name, tmp_path) == json.loads(json.dumps(outcome))

    page = tmp_path / "studies.md"
    page.write_text("before\n" + "\nan old table\n".join(report.markers(name)) + "\nafter\n")
    report.write([study], page, tmp_path)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "an old table" not in text
    assert "no verdict" in text
    assert "holds here" not in text
    full = report.findings(study, outcome | {"quick": False})
    assert "no verdict" not in full
    for claim in study.check_claims(outcome["measured"]):
        assert claim.claim.replace("|", "\\|") in full
    assert (tmp_path / "assets" / f"study_{name}.png").stat().st_size > 5_000
    widths = [line.replace("\\|", "").count("|") for line in text.splitlines() if line[:1] == "|"]
    tables = sum(line.startswith(("|--", "| --")) for line in text.splitlines())
    assert len(set(widths)) <= tables  # no ragged rows


def test_a_study_draws_the_same_numbers_twice(outcomes):
    first, second = outcomes("forget_bias")["measured"], forget_bias.run(quick=True)
    assert first == second


@pytest.mark.parametrize("name", STUDIES)
def test_what_is_kept_of_the_full_run_is_judged_as_it_says(name):
    outcome = record.load(name)
    assert outcome is not None
    assert not outcome["quick"]
    judged = STUDIES[name].check_claims(outcome["measured"])
    assert [claim._asdict() for claim in judged] == outcome["claims"]


# --- verdicts flip ---


def verdicts(study, measured) -> list[bool]:
    return [claim.holds for claim in study.check_claims(measured)]


def adding_runs(needed, wrong):
    runs = [
        {"cell": adding.FIRST, "sequences_needed": n, "wrong_of_other_test_at_end": w, "wrong": [w]}
        for n, w in zip(needed, wrong, strict=True)
    ]
    other = {"cell": "forget gate, bias 1", "sequences_needed": None}
    return {"sequences": 74_240, "runs": [*runs, other | {"wrong_of_other_test_at_end": 2000}]}


def test_adding_is_judged_by_every_seed_of_the_cell_of_1997():
    assert verdicts(adding, adding_runs([25_600, 51_200], [0, 3])) == [True, True]
    assert verdicts(adding, adding_runs([25_600, None], [0, 3])) == [False, True]
    assert verdicts(adding, adding_runs([25_600, 51_200], [0, 4])) == [True, False]


def bias_runs(right_by_bias):
    runs = [
        {"lag": lag, "bias": bias, "seed": seed, "right": [0.1, right + 0.01 * seed]}
        for bias, right in right_by_bias.items()
        for lag in (10, 20)
        for seed in range(3)
    ]
    return {"biases": list(right_by_bias), "lags": [10, 20], "symbols": 8, "runs": runs}


def test_forget_bias_is_judged_by_seeds_and_by_the_gap():
    assert verdicts(forget_bias, bias_runs({-1.0: 0.1, 0.0: 0.3, 1.0: 0.8, 2.0: 0.9})) == [True] * 3
    assert verdicts(forget_bias, bias_runs({-1.0: 0.1, 0.0: 0.3, 1.0: 0.4, 2.0: 0.9})) == [
        *(True, True, False)
    ]
    assert verdicts(forget_bias, bias_runs({-1.0: 0.5, 0.0: 0.5, 1.0: 0.5, 2.0: 0.5})) == [
        *(False, False, False)
    ]


def variant_runs(bits):
    runs = [
        {"variant": variant, "rate": rate, "seed": seed, "validation": value, "test": value}
        for variant, mean in bits.items()
        for rate, offset in ((0.003, 0.3), (0.01, 0.0))
        for seed in range(5)
        for value in [mean + offset + 0.01 * seed]
    ]
    return {"rates": [0.003, 0.01], "runs": runs}


BITS_OF_GREFF = {
    "vanilla": 2.5,
    "no input gate": 2.6,
    "no forget gate": 3.0,
    "no output gate": 2.6,
    "no output activation": 2.9,
    "coupled": 2.5,
    "peepholes": 2.49,
    "simple RNN": 3.5,
}


def test_variants_are_judged_at_their_better_rate():
    measured = variant_runs(BITS_OF_GREFF)
    assert variants.chosen_rate(measured, "vanilla") == 0.01
    assert verdicts(variants, measured) == [True] * 5
    assert verdicts(variants, variant_runs(BITS_OF_GREFF | {"no forget gate": 2.5})) == [
        *(False, True, False, True, True)
    ]
    assert verdicts(variants, variant_runs(BITS_OF_GREFF | {"coupled": 2.7, "peepholes": 2.3})) == [
        *(True, True, True, False, False)
    ]


def character_findings(**changes):
    found = {
        "unit": 3,
        "r_chosen": 0.8,
        "r": 0.7,
        "untrained": 0.3,
        "shuffled": 0.1,
        "harm": 0.5,
        "harm_of_others": [0.1] * 40,
    }
    weak, closing = found | {"r_chosen": 0.2, "r": 0.2}, changes.pop("closing", {})
    sides = {"right": {"forget": [0.95, 0.99, 0.1, 0.0]}, "left": {"forget": [0.0, 0.0, 0.5, 0.2]}}
    sides = {side: changes.pop(side, gates) for side, gates in sides.items()}
    signals = {"position in line": found | changes, "bracket depth": weak | closing}
    return {"seed": 1, "saturation": sides, "signals": signals}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [True, True, True, True, True]),
        ({"right": {"forget": [0.95, 0.8, 0.1, 0.0]}}, [False, True, True, True, True]),
        ({"left": {"forget": [0.0, 0.95, 0.5, 0.2]}}, [True, False, True, True, True]),
        ({"r": 0.4}, [True, True, False, True, True]),
        ({"r": -0.6}, [True, True, True, True, True]),
        ({"untrained": 0.75}, [True, True, False, True, True]),
        ({"shuffled": 0.75}, [True, True, False, True, True]),
        ({"harm_of_others": [0.1] * 38 + [0.6] * 2}, [True, True, True, False, True]),
        ({"harm": -0.1, "harm_of_others": [-0.2] * 40}, [True, True, True, False, True]),
        ({"closing": {"harm": 0.05}}, [True, True, True, True, False]),
    ],
)
def test_characters_are_judged_by_saturation_correlation_and_harm(changes, expected):
    changed, usual = character_findings(**changes), character_findings()
    assert verdicts(characters, {"runs": [changed]}) == expected
    assert verdicts(characters, {"runs": [changed, usual, usual]}) == [True] * 5
    assert verdicts(characters, {"runs": [changed, usual, changed]}) == expected


def addition_runs(*best):
    accuracy = [[0.4] * 10 + [value] + [0.5] * 19 for value in best]
    runs = [
        {"form": form, "seed": seed, "accuracy": values, "answers_right_at_end": 0.9}
        for form, seeds in zip(addition.FORMS, (accuracy[:-1], accuracy[-1:]), strict=True)
        for seed, values in enumerate(seeds)
    ]
    return {"weights": dict.fromkeys(addition.FORMS, 1), "runs": runs}


def test_addition_is_judged_by_every_seed_of_each_form():
    assert verdicts(addition, addition_runs(0.99, 0.995, 0.99)) == [True, True]
    assert verdicts(addition, addition_runs(0.99, 0.9899, 0.99)) == [False, True]
    assert verdicts(addition, addition_runs(0.99, 0.995, 0.98)) == [True, False]
    late = addition_runs(0.98, 0.98, 0.98)
    for run in late["runs"]:
        run["accuracy"].append(0.999)  # in epoch 31
    assert verdicts(addition, late) == [False, False]
    assert "| 0 | 0.4000 | 0.4000 | 0.5000 | 0.5000 | 11 | 90.0% |" in addition.tables(
        addition_runs(0.99, 0.99)
    )


def translation_runs(dates, language, plain):
    names = translation.DATES, translation.LANGUAGE, translation.PLAIN
    runs = [
        {"task": name, "exact_match": share}
        for name, shares in zip(names, (dates, language, plain), strict=True)
        for share in shares
    ]
    return {"runs": runs}


def test_translation_is_judged_by_every_seed():
    good = [1.0, 0.99], [0.96, 0.95], [0.5, 0.94]
    assert verdicts(translation, translation_runs(*good)) == [True, True, True]
    assert verdicts(translation, translation_runs([1.0, 0.989], *good[1:])) == [False, True, True]
    assert verdicts(translation, translation_runs(good[0], [0.99, 0.94], [0.5, 0.94])) == [
        *(True, False, False)
    ]


def reversal_runs(plain, backwards):
    """Of (perplexity, letters right, right in the last third) by seed."""
    runs = [
        {"reversed": way, "perplexity": p, "letters_right": r, "thirds_right": [r, r, last]}
        for way, seeds in ((False, plain), (True, backwards))
        for p, r, last in seeds
    ]
    return {"runs": runs}


def test_reversal_is_judged_by_pairs_of_seeds():
    plain = [(3.0 + seed, 0.5 + 0.01 * seed, 0.5 + 0.01 * seed) for seed in range(5)]

    def moved(perplexity, right, last):
        noise = (0.01, -0.01, 0.02, -0.02, 0.0)
        return [
            (p - perplexity + e, r + right + e, s + last + e)
            for (p, r, s), e in zip(plain, noise, strict=True)
        ]

    assert verdicts(reversal, reversal_runs(plain, moved(1, 0.1, 0.1))) == [True, True, True]
    assert verdicts(reversal, reversal_runs(plain, moved(-1, -0.1, -0.1))) == [False] * 3
    assert verdicts(reversal, reversal_runs(plain, moved(1, 0.1, 0.0))) == [True, True, True]
    one_seed_worse = [*moved(1, 0.1, 0.1)[:4], (plain[4][0] + 0.1, 0.9, 0.9)]
    assert verdicts(reversal, reversal_runs(plain, one_seed_worse))[0] is False


def test_a_test_of_pairs():
    values, others = np.array([1.0, 5.0, 9.0, 2.0]), np.array([0.5, 4.6, 8.4, 1.5])
    assert spread.p_of_pairs(values, others) < 0.01 < spread.p_greater(values, others)
    assert spread.p_of_pairs(others, values) > 0.99
    assert spread.p_of_pairs([1, 2], [1, 2]) == 1
    assert spread.p_of_pairs([2, 3], [1, 2]) == 0
    with pytest.raises(ValueError, match="two of them"):
        spread.p_of_pairs([1.0], [0.0])


# --- tasks ---


def test_tokens_of_addition_hold_what_the_letters_say():
    train, (questions, codes) = addition.token_data(0, 100, 60)
    drawn = addition.addition.pairs(160, seed=0)
    letters = addition.addition.ALPHABET
    assert (len(train["question"]), questions.shape) == (100, (60, 8))
    for row, text in zip(train["answer"], drawn.targets, strict=False):
        assert [letters[token - 4] for token in row if token > 3] == list(text)
        assert row[len(text)] == 2
        assert not row[len(text) + 1 :].any()
    for row, text in zip(codes, drawn.targets[100:], strict=True):
        assert "".join(letters[code] for code in row) == text.ljust(4)


def test_right_letters_and_perplexity_by_third(monkeypatch):
    target = np.array([[5, 6, 7, 8, 9, 10, 2], [5, 6, 7, 2, 0, 0, 0]])
    right = np.array([[1, 1, 0, 0, 1, 0, 1], [1, 0, 0, 1, 1, 1, 1]], bool)
    nats = np.where(target == 0, 100.0, np.log(2.0))
    monkeypatch.setattr(reversal, "evaluate", lambda *arguments: (nats, right))
    assert reversal.measure(None, None, {"source": target, "target": target}) == {
        "perplexity": 2.0,
        "letters_right": 0.4444,
        "thirds_right": [1.0, 0.0, 0.3333],
    }


def test_a_target_counts_only_without_a_mistake(monkeypatch):
    target = jnp.array([[5, 6, 2], [5, 2, 0], [7, 2, 0]])
    written = jnp.array([[5, 6, 2], [5, 2, 0], [7, 7, 2]])
    monkeypatch.setattr(translator, "decode", lambda *arguments: written)
    assert float(translator.exact_match(None, None, None, target)) == pytest.approx(2 / 3)


def test_the_adding_problem_is_that_of_the_paper():
    x, lengths, target = map(np.asarray, adding.draw_sequences(jax.random.key(0), 2000, 100))
    assert x.shape == (2000, 110, 2)
    assert (lengths.min(), lengths.max()) == (100, 110)
    assert np.abs(x[..., 0]).max() <= 1
    assert x[..., 0].min() < -0.99
    for pairs, length, answer in zip(x, lengths, target, strict=True):
        values, markers = pairs.T
        assert not pairs[length:].any()
        assert markers[0] == markers[length - 1] == -1
        marked = np.flatnonzero(markers == 1)
        assert not markers[1 : length - 1][markers[1 : length - 1] != 1].any()
        # two, unless the first pair of the sequence was drawn, which adds 0
        assert len(marked) in (1, 2)
        assert marked[0] < 50
        assert marked[-1] <= 50
        assert answer == pytest.approx(0.5 + values[marked].sum() / 4, abs=1e-6)
    firsts = [np.flatnonzero(markers == 1) for markers in x[..., 1]]
    assert {marked[0] for marked in firsts if len(marked) == 2} >= set(range(1, 10))
    assert max(marked[-1] for marked in firsts) in (48, 49)


def test_an_answer_counts_as_wrong_from_the_tolerance_on():
    params = adding.init(jax.random.key(0), None)
    x, lengths, _ = adding.draw_sequences(jax.random.key(1), 4, 20)
    said = adding.answers(params, x, lengths, None)
    target = said + jnp.array([0.0, 0.039, 0.041, -0.5])
    assert float(adding.fraction_wrong(params, (x, lengths, target), None)) == 0.5


def test_the_cell_of_1997_starts_with_closed_input_gates_and_forgets_nothing():
    bias = adding.init(jax.random.key(0), None)["lstm"].bias
    assert set(bias[:16].tolist()) == {-3.0}
    assert set(bias[16:32].tolist()) == {-6.0}
    bias = adding.init(jax.random.key(0), 5.0)["lstm"].bias
    assert set(bias[:32].tolist()) == {0.0}
    assert set(bias[32:64].tolist()) == {5.0}


def test_the_symbol_to_remember_is_the_first_and_only_biases_differ():
    symbols, target = forget_bias.draw_sequences(jax.random.key(0), 500, lag=7)
    assert symbols.shape == (500, 8)
    assert (symbols[:, 0] == target).all()
    assert set(np.unique(symbols)) == set(range(forget_bias.SYMBOLS))
    low, high = forget_bias.init(3, -1.0), forget_bias.init(3, 5.0)
    difference = jax.tree.map(lambda a, b: np.unique(b - a).tolist(), low, high)
    assert difference["lstm"].bias == [0.0, 6.0]
    assert difference["lstm"].kernel == difference["lstm"].recurrent_kernel == [0.0]
    assert difference["head"] == ([0.0], [0.0])


def test_new_sequences_at_every_step_for_every_seed():
    batches = fresh.salts(0)[:4], fresh.salts(0)[4:8], fresh.salts(1)[:4]
    weights = jnp.float32(0.1), jnp.float32(0.1000001)
    keys = {
        tuple(jax.random.key_data(fresh.key(weight, batch)).tolist())
        for weight in weights
        for batch in batches
    }
    assert len(keys) == 6
    assert not set(fresh.salts(0).tolist()) & set(fresh.salts(1).tolist())


# --- text ---

PYTHON = '''x = f(a, [1])  # note
y = "ab" + 'c'
"""two
lines"""
'''


def marked(signal) -> str:
    return "".join(letter for letter, value in zip(PYTHON, signal, strict=True) if value)


def test_signals_of_python_code():
    found = signals(PYTHON, is_python=True)
    assert {values.dtype for values in found.values()} == {np.dtype("float32")}
    assert marked(found["inside a comment"]) == "# note"
    assert marked(found["inside a string"]) == "\"ab'c"
    assert marked(found["inside a docstring"]) == '"""two\nlines'
    assert marked(found["bracket depth"]) == "(a, [1]"
    assert found["bracket depth"].max() == 2
    ends = {name: np.flatnonzero(falls(values)) + 1 for name, values in found.items()}
    assert [PYTHON[place] for place in ends["bracket depth"]] == ["]", ")"]
    assert [PYTHON[place] for place in ends["inside a string"]] == ['"', "'"]
    assert {PYTHON[place] for place in ends["position in line"]} == {"\n"}


def test_f_strings_are_strings_in_every_python():
    text = "a = f\"n {b['c']} m\"\n"
    found = signals(text, is_python=True)
    ends = np.flatnonzero(falls(found["inside a string"])) + 1
    assert [text[place] for place in ends] == ['"']
    assert not found["bracket depth"].any()


def test_position_in_line_counts_from_the_newline():
    assert position_in_line("ab\n\nc").tolist() == [1, 2, 0, 0, 1]
    assert position_in_line("x" * 200).max() == 80


def test_signals_of_prose():
    text = 'He (old) said "no\n\nyes" “so” x'
    found = signals(text, is_python=False)
    depth, quoted, word = (
        found[name] for name in ("bracket depth", "inside quotes", "position in word")
    )
    assert "".join(c for c, v in zip(text, depth, strict=True) if v) == "(old"
    assert word[:7].tolist() == [1, 2, 0, 0, 1, 2, 3]
    assert quoted[text.index("y")] == 0  # a paragraph ends what was left open
    assert quoted[text.index("s", text.index("“"))] == 1


def test_a_text_of_ones_own(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abc\n" * 60_000)
    text = corpus.read(path)
    assert [len(part) for part in text[:3]] == [216_000, 12_000, 12_000]
    letters = corpus.vocabulary(text.train)
    assert letters.characters == "\nabc"
    assert letters.encode("ab?\n").tolist() == [2, 3, 0, 1]
    path.write_text("too short")
    with pytest.raises(ValueError, match="at least 200,000 are needed"):
        corpus.read(path)


def test_the_parts_of_the_standard_library_share_no_module():
    lists = corpus.TRAIN, corpus.VALIDATION, corpus.TEST
    assert len(set().union(*lists)) == sum(map(len, lists))
    assert min(map(len, corpus.standard_library()[:3])) > 150_000


# --- units and numbers ---


def test_correlations_are_those_of_numpy_and_a_planted_signal_is_found(rng):
    params = prediction.init(jax.random.key(0), 6, 3)
    windows = rng.integers(0, 6, (5, 21)).astype(np.int32)
    _, trace = prediction.nats(params, windows)
    planted = np.zeros((5, 21), np.float32)
    planted[:, :-1] = -2 * np.asarray(trace.c[:, :, 1]) + 7
    noise = rng.normal(size=(5, 21)).astype(np.float32)
    found = np.asarray(units.correlations(params, windows, np.stack([planted, noise])))
    assert found[0, 1] == pytest.approx(-1, abs=1e-3)
    cells = np.asarray(trace.c).reshape(-1, 3)
    expected = [np.corrcoef(cells[:, unit], noise[:, :-1].ravel())[0, 1] for unit in range(3)]
    np.testing.assert_allclose(found[1], expected, atol=1e-4)
    by_chance = units.largest_by_chance(params, windows, np.stack([planted, noise]), shuffles=3)
    assert by_chance[0] < 0.9


def test_harm_is_the_rise_of_the_loss_without_a_unit(rng):
    params = prediction.init(jax.random.key(0), 6, 3)
    kernel = params["head"].kernel
    # unit 2 is seen by nobody, so silencing it can do nothing
    lstm = params["lstm"]
    params = {
        "lstm": lstm._replace(recurrent_kernel=lstm.recurrent_kernel.at[2].set(0.0)),
        "head": params["head"]._replace(kernel=(5 * kernel).at[2].set(0.0)),
    }
    windows = rng.integers(0, 6, (4, 11)).astype(np.int32)
    relevant = rng.random((2, 4, 10)) < 0.5
    harm = units.harm_of_silencing(params, windows, relevant)
    assert harm.shape == (2, 2, 3)
    np.testing.assert_allclose(harm[..., 2], 0, atol=1e-6)
    intact, _ = prediction.nats(params, windows)

    def silent(gates, t):
        return gates._replace(output=gates.output.at[:, 0].set(0.0))

    without, _ = prediction.nats(params, windows, edit=silent)
    expected = np.asarray(without - intact)[relevant[1]].mean()
    assert harm[1, 0, 0] == pytest.approx(expected, abs=1e-5)
    assert abs(expected) > 1e-3


def test_intervals_and_tests():
    found = spread.mean([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.high - found.mean == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)
    assert spread.p_greater([2, 3, 4], [1, 2, 3]) == pytest.approx(0.1440, abs=1e-3)
    assert spread.p_greater([1, 1], [0, 0]) == 0
    assert spread.p_greater([0, 0], [0, 0]) == 1
    assert spread.p_greater([1, 1], [0.85, 0.95]) == pytest.approx(0.1476, abs=1e-4)  # one constant
    assert spread.holm({"a": 0.01, "b": 0.04, "c": 0.03}) == {"a": 0.03, "b": 0.06, "c": 0.06}
    with pytest.raises(ValueError, match="needs two finite values"):
        spread.mean([1.0])
    with pytest.raises(ValueError, match="needs two finite values"):
        spread.mean([1.0, np.inf])


# --- the command ---


def test_the_command_lists_and_refuses(capsys, tmp_path):
    assert command.main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in STUDIES)
    with pytest.raises(SystemExit):
        command.main(["subtracting"])
    assert "choose from adding" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["adding", "--text", "a.txt"])
    assert "for the study `characters` alone" in capsys.readouterr().err
    assert command.main(["characters", "--quick", "--text", str(tmp_path / "none.txt")]) == 2
    assert "cannot use" in capsys.readouterr().out


def test_the_command_keeps_quick_runs_and_other_texts_only_where_told(
    monkeypatch, capsys, tmp_path, outcomes
):
    outcome = copy.deepcopy(outcomes("forget_bias"))
    monkeypatch.setattr(record, "carry_out", lambda study, *, quick, **options: outcome)
    monkeypatch.setattr(record, "FOLDER", tmp_path / "kept")
    assert command.main(["forget_bias", "--quick"]) == 0
    assert "not saved" in capsys.readouterr().out
    monkeypatch.setattr(command, "STUDIES", {"characters": forget_bias})
    assert command.main(["characters", "--text", "a.txt"]) == 0
    assert "not saved" in capsys.readouterr().out
    assert not (tmp_path / "kept").exists()
    monkeypatch.undo()
    monkeypatch.setattr(record, "carry_out", lambda study, *, quick: outcome)
    assert command.main(["forget_bias", "--quick", "--folder", str(tmp_path)]) == 0
    assert record.load("forget_bias", tmp_path) == outcome


def test_a_report_of_nothing_says_so(tmp_path):
    page = tmp_path / "studies.md"
    page.write_text("no marker")
    with pytest.raises(ValueError, match="run a study first"):
        report.write(STUDIES.values(), page, tmp_path)


# --- forecasts and detection ---


def forecast_runs(ours, classic, verdict="ahead of the last value", found=True):
    runs = [
        {
            "series": name,
            "seed": 0,
            "mase": {"LSTM": [ours], "seasonal naive": [1.0], "naive": [2.0]},
            "lag": {
                "LSTM": {"verdict": verdict, "follows": verdict.startswith("follows")},
                "mean of the last two": {"follows": True},
                "LSTM that echoes": {"follows": found},
            },
        }
        for name in forecasts.CASES
    ]
    return {"runs": runs, "classic": {name: {"mase": [classic]} for name in forecasts.CASES}}


def test_forecasts_are_judged_beside_naive_and_statistical_ones():
    assert verdicts(forecasts, forecast_runs(0.9, 0.95)) == [True] * 6
    assert verdicts(forecasts, forecast_runs(0.9, 0.8)) == [True, False] * 2 + [True, True]
    assert verdicts(forecasts, forecast_runs(1.1, 1.2)) == [False, True] * 2 + [True, True]
    follower = forecast_runs(0.9, 0.95, verdict="follows the last value", found=False)
    assert verdicts(forecasts, follower) == [True] * 4 + [False, False]


def detection_runs(ours, theirs, best):
    scores = dict.fromkeys(detection.LSTMS, 0.1) | {detection.LSTMS[1]: ours}
    scores |= dict.fromkeys(detection.SIMPLE, 0.2) | {detection.SIMPLE[0]: theirs}
    runs = [
        {"series": name, "detector": detector, "events": {"f1": f1}, "best_f1": best}
        for name in detection.CASES
        for detector, f1 in scores.items()
    ]
    return {"runs": runs}


def test_detection_is_judged_by_the_better_of_each_kind():
    assert verdicts(detection, detection_runs(0.7, 0.7, 0.5)) == [True] * 4
    assert verdicts(detection, detection_runs(0.69, 0.7, 0.5)) == [False] * 2 + [True] * 2


def test_a_z_score_looks_at_the_window_before_alone():
    values = np.array([0.0, 2.0, 0.0, 2.0, 5.0, 1.0, 1.0])
    scores = detection.z_scores(values, 4)
    assert np.isnan(scores[:4]).all()
    assert scores[4] == 4  # mean 1 and deviation 1 of the four before
    flat = detection.z_scores(np.array([1.0, 1.0, 1.0, 9.0]), 2)
    assert np.isnan(flat[2:]).tolist() == [True, True]


def test_an_isolation_forest_scores_the_windows_that_hold_a_row():
    normal, values, labels = a_beat()
    learned, scores = detection.forest(normal, values, 8, seed=0)
    assert learned.shape == scores.shape == (80,)
    assert scores[labels].min() > np.median(scores)


def test_the_two_series_of_the_forecasts():
    assert forecasts.sunspots().shape == (309, 1)
    values = forecasts.co2()
    assert values.shape == (2284, 1)
    assert np.isfinite(values).all()
    past = forecasts.sunspots()[:, 0]
    assert forecasts.autoregression(past, 11).shape == (11,)
    assert forecasts.smoothing(values[-200:, 0], 13).shape == (13,)


# --- ablation of the anomaly detector ---


def ablation_runs(idle=(), **f1):
    """F1 of 0.6 of every detector on three series and seeds, but for those named."""
    runs = [
        {
            "series": f"made up {series}",
            "seed": seed,
            "variant": variant,
            "idle": variant in idle,
            "f1": {"spike": f1.get(variant.replace(" ", "_"), 0.6) + 0.01 * series * seed},
        }
        for variant in (*ablation.VARIANTS, *ablation.RIVALS)
        for series in range(3)
        for seed in range(3)
    ]
    return {"made_up": [f"made up {series}" for series in range(3)], "files": [], "runs": runs}


def test_a_part_is_worth_something_if_f1_falls_without_it_and_not_by_chance():
    parts, others = len(ablation.WITHOUT), len(ablation.INSTEAD)
    assert verdicts(ablation, ablation_runs()) == [False] * parts + [True] * (others + 1)
    lower = ablation_runs(without_season=0.5, score_without_loud=0.7, score_mean=0.7)
    found = {claim.claim: claim.holds for claim in ablation.check_claims(lower)}
    assert found["without season, F1 is lower"]
    assert not found["score without loud, F1 is lower"]
    assert not found["score mean: F1 is not higher"]
    unused = ablation_runs(idle=["without season"], without_season=0.5)
    first = ablation.check_claims(unused)[0]
    assert (first.holds, first.because) == (False, "F1 lost: never in use, p = 1")
    better = ablation_runs(isolation_forest=0.7)
    assert ablation.check_claims(better)[-1].because == "0.610 against 0.710 (isolation forest)"


def test_each_kind_of_anomaly_is_in_its_labelled_rows_alone():
    for name in monitored.SERIES:
        case = monitored.draw(name, seed=1)
        clean, labels = case.parts[monitored.UNDISTURBED]
        trained = monitored.FEW if name == "few rows" else monitored.TRAINED
        assert (len(case.normal), len(clean)) == (trained, monitored.ROWS - monitored.TRAINED)
        assert not labels.any()
        for kind in monitored.KINDS:
            values, labels = case.parts[kind]
            changed = (values != clean).any(axis=1)
            assert not changed[~labels].any()
            assert labels.sum() == (2 if kind == "spike" else 2 * monitored.LENGTH)
            assert changed[labels].mean() > 0.9
    again = monitored.draw("drift", seed=0)
    np.testing.assert_array_equal(again.normal, monitored.draw("drift", seed=0).normal)
    assert (again.normal != monitored.draw("drift", seed=1).normal).any()


@pytest.fixture
def fits(monkeypatch):
    """The arguments of `lc.fit`, which epochs with these validation losses replace."""
    given: dict = {}

    def fit(loss, params, data, *, callback=None, **options):
        given.update(options)
        error = None
        for epoch, validation_loss in enumerate(given["losses"], 1):
            try:
                callback and callback(epoch, epoch, {"validation_loss": validation_loss})
            except StopIteration as stop:
                error = stop
                break
        result = lc.FitResult("last", {"loss": np.zeros(epoch)})
        if error is not None:
            error.result = result
            raise error
        return result

    monkeypatch.setattr("lstmcore.apps.training.fit", fit)

    def trained(way, losses=(1.0,), **settings):
        given["losses"] = losses
        model = lc.StackedLSTM(1, 2, 1)
        return way(model, TrainingSettings(**settings), None, np.zeros((64, 3, 1))), given

    return trained


def moved(optimizer, *gradients):
    """Return how far each gradient moves a weight."""
    state, moves = optimizer.init(jnp.zeros(1)), []
    with jax.numpy_dtype_promotion("standard"):  # as optax needs it
        for gradient in gradients:
            move, state = optimizer.update(jnp.array([float(gradient)]), state)
            moves.append(float(move[0]))
    return moves


def test_a_large_gradient_shortens_the_next_steps_where_nothing_is_clipped(fits):
    result, given = fits(training_variants.unclipped)
    assert (result.params, given["epochs"], given["patience"]) == ("last", 1000, 100)
    large, small = moved(given["optimizer"], 1, 100), moved(adam(3e-3), 1, 100)
    assert small == pytest.approx([-3e-3, -3e-3], rel=1e-3)
    assert large[1] == pytest.approx(-2.25e-3, rel=0.01)


def test_the_rate_that_decays_is_0_after_all_epochs(fits):
    _, given = fits(training_variants.decaying, epochs=2, batch_size=32)
    moves = moved(given["optimizer"], *[1.0] * 5)
    assert moves == pytest.approx([-3e-3, -2.56e-3, -1.5e-3, -0.44e-3, 0], abs=1e-5)


def test_the_smoothed_loss_chooses_and_stops(fits):
    losses = (4.0, 2.0, 3.0, 1.0, 3.0, 3.0, 3.0, 0.0)  # means: 4, 3, 3, 2, 2.5, 2.75, ...
    result, given = fits(training_variants.smoothed, losses, patience=2)
    assert (result.params, len(result.history["loss"]), given["patience"]) == (4, 6, None)
    result, _ = fits(training_variants.smoothed, losses, patience=9)
    assert result.params == 8
    assert len(result.history["loss"]) == len(losses)


def test_false_events_and_flags_are_counted_over_all_parts():
    rows, labels = np.zeros((10, 1)), np.arange(10) // 2 == 2
    case = monitored.Monitored(rows, {"none": (rows, labels & False), "level": (rows, labels)})
    found = {"none": [Event(1, 3, 1, 2.0)], "level": [Event(0, 1, 0, 2.0), Event(5, 8, 5, 2.0)]}
    assert ablation.measure(case, found) == {
        "f1": {"level": 0.6667},
        "false": 2,
        "flagged": 6,
        "rows": 20,
        "normal": 18,
    }


def test_labelled_windows_of_the_benchmark_are_read(tmp_path):
    times = [f"2014-07-01 00:{minute:02}:00" for minute in range(0, 60, 10)]
    lines = [f"{time},{value}" for value, time in enumerate(times)]
    (tmp_path / "taxi.csv").write_text("\n".join(["timestamp,value", *lines]) + "\n")
    windows = [[f"{times[4]}.000000", f"{times[5]}.000000"], [f"{times[1]}", f"{times[1]}"]]
    (tmp_path / nab.LABELS).write_text(json.dumps({"realKnownCause/taxi.csv": windows}))
    case = ablation.read_file(tmp_path, "taxi")
    values, labels = case.parts["labelled"]
    assert (case.normal[:, 0].tolist(), values[:, 0].tolist()) == ([0, 1, 2], [3, 4, 5])
    assert labels.tolist() == [False, True, True]


def test_the_command_gives_the_files_to_the_ablation_alone(capsys, tmp_path):
    with pytest.raises(SystemExit):
        command.main(["adding", "--nab", "folder"])
    assert "for the study `ablation` alone" in capsys.readouterr().err
    assert command.main(["ablation", "--quick", "--nab", str(tmp_path)]) == 2
    assert f"cannot use {tmp_path}" in capsys.readouterr().out
