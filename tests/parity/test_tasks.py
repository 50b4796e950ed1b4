"""The generated tasks: equal for equal seeds, and each text with its correct translation."""

import re
from datetime import date

import numpy as np
import pytest

from benchmarks.studies.tasks import addition, cipher, dates, language


@pytest.mark.parametrize(
    "draw",
    [
        lambda seed: addition.pairs(50, seed),
        lambda seed: dates.pairs(50, 5, seed),
        lambda seed: language.pairs(50, 5, seed),
        lambda seed: cipher.pairs(50, seed),
    ],
)
def test_equal_seeds_give_equal_pairs_and_others_do_not(draw):
    assert draw(3) == draw(3)
    assert draw(3) != draw(4)


# --- addition ---


def test_questions_have_answers_and_never_ask_for_the_same_numbers():
    questions, answers = addition.pairs(2_000, seed=0)
    numbers = [tuple(map(int, question.split("+"))) for question in questions]
    assert [str(a + b) for a, b in numbers] == answers
    assert len({tuple(sorted(pair)) for pair in numbers}) == len(numbers) == 2_000
    assert all(re.fullmatch(r"(0|[1-9]\d{0,2})\+(0|[1-9]\d{0,2})", text) for text in questions)
    # One to three digits are equally likely; of three digits, a tenth begins with 0 and is shorter.
    long = np.mean([max(pair) >= 100 for pair in numbers])
    assert 0.45 < long < 0.65, long


def test_letters_of_a_question_and_their_order():
    found = addition.one_hot(["12+3"], 7)
    assert found.shape == (1, 7, 12)
    assert found.dtype == np.float32
    assert "".join(addition.ALPHABET[code] for code in found[0].argmax(-1)) == "12+3   "
    train, validation = addition.arrays(seed=0, train=90, validation=10)
    assert train["question"].shape == (90, 7, 12)
    assert validation["question"].shape == (10, 7, 12)
    assert (addition.TRAIN, addition.VALIDATION) == (45_000, 5_000)
    for row in (0, 89):
        question, answer = (
            "".join(addition.ALPHABET[code] for code in train[name][row].argmax(-1))
            for name in ("question", "answer")
        )
        a, b = question[::-1].split("+")
        assert int(a) + int(b) == int(answer)
        assert len(answer) == 4


# --- dates ---


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("{day} {month} {year}", "3 March 2027"),
        ("{mon} {day}, {year}", "Mar 3, 2027"),
        ("the {nth} of {month}, {year}", "the 3rd of March, 2027"),
        ("{weekday}, {day} {month} {year}", "Wednesday, 3 March 2027"),
        ("{wday} {dd}.{mm}.{year}", "Wed 03.03.2027"),
        ("{day} {mon} '{yy}", "3 Mar '27"),
        ("{mm}/{dd}/{year}", "03/03/2027"),
    ],
)
def test_forms_of_a_date(form, text):
    assert dates.write(date(2027, 3, 3), dates.FORMS.index(form)) == text


def test_ordinals():
    written = [dates.ordinal(day) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 30, 31)]
    assert written == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "11th",
        "12th",
        "13th",
        "21st",
        "22nd",
        "23rd",
        "30th",
        "31st",
    ]


def test_no_two_dates_are_written_alike():
    first = {}
    for number in range(0, dates.DAYS, 7):
        day = date.fromordinal(dates.FIRST_DAY.toordinal() + number)
        for form in range(len(dates.FORMS)):
            if form == dates.DAY_FIRST_WITH_SLASH and day.day <= 12:
                with pytest.raises(ValueError, match="could be read otherwise"):
                    dates.write(day, form)
                continue
            assert first.setdefault(dates.write(day, form), day) == day


def test_held_out_days_are_not_trained_on_and_all_forms_are_drawn():
    train, held_out = dates.pairs(4_000, 400, seed=0)
    assert not set(train.targets) & set(held_out.targets)
    assert (len(train.sources), len(held_out.targets)) == (4_000, 400)
    for text, iso in zip(*held_out, strict=True):
        day = date.fromisoformat(iso)
        ways = [form for form in range(20) if form != dates.DAY_FIRST_WITH_SLASH or day.day > 12]
        assert text in [dates.write(day, form) for form in ways]
    patterns = {re.sub(r"\d+", "0", re.sub(r"[A-Za-z]+", "a", text)) for text in train.sources}
    assert len(patterns) >= 12, patterns
    assert any(re.match(r"(1[3-9]|[23]\d)/\d\d/", text) for text in train.sources)


# --- the invented language ---


def phrase(noun, plural=False, definite=True, adjectives=()):
    found = next(entry for entry in language.NOUNS if entry.one == noun)
    return language.Phrase(found, plural, definite, adjectives)


def sentence(**changes):
    see = language.VERBS[0]
    plain = {
        "subject": phrase("farmer"),
        "verb": see,
        "tense": "past",
        "negated": False,
        "object": phrase("river", definite=False),
        "place": None,
        "time": None,
    }
    return language.Sentence(**plain | changes)


@pytest.mark.parametrize(
    ("changes", "english", "invented"),
    [
        ({}, "the farmer saw a river", "beruto loman una nemis"),
        (
            {
                "subject": phrase("farmer", plural=True, adjectives=("old",)),
                "negated": True,
                "time": "yesterday",
            },
            "the old farmers did not see a river yesterday",
            "sore beruti veti loman una ra nemisti",
        ),
        (
            {"tense": "present", "place": ("near", phrase("house", plural=True, definite=False))},
            "the farmer sees a river near some houses",
            "beruto bati ne api loman una nemas",
        ),
        (
            {
                "subject": phrase("girl", plural=True),
                "tense": "present",
                "object": phrase("dog", definite=False, adjectives=("old", "big")),
            },
            "the girls see an old big dog",
            "sile hakon veto gromo un nemasti",
        ),
        (
            {"subject": phrase("girl"), "tense": "present", "negated": True},
            "the girl does not see a river",
            "sila loman una ra nemas",
        ),
        (
            {"tense": "future", "negated": True, "time": "tomorrow"},
            "the farmer will not see a river tomorrow",
            "mane beruto loman una ra nemos",
        ),
    ],
)
def test_translations_by_hand(changes, english, invented):
    found = sentence(**changes)
    assert (found.english(), found.invented()) == (english, invented)


def test_sentences_come_once_and_words_have_one_meaning():
    train, held_out = language.pairs(2_000, 200, seed=0)
    sources = train.sources + held_out.sources
    assert len(set(sources)) == len(sources) == 2_200
    known = {word for text in train.targets for word in text.split()}
    unknown = [text for text in held_out.targets if not known.issuperset(text.split())]
    assert len(unknown) <= 4
    for words in (
        [noun.stem for noun in language.NOUNS],
        [verb.stem for verb in language.VERBS],
        [form for noun in language.NOUNS for form in noun[:2]],
        [form for verb in language.VERBS for form in verb[:3]],
    ):
        assert len(set(words)) == len(words)


# --- letter for letter ---


def test_each_letter_has_one_translation():
    sources, targets = cipher.pairs(300, seed=1)
    lengths = {len(source) for source in sources}
    assert (min(lengths), max(lengths)) == (10, 20)
    table = {}
    for source, target in zip(sources, targets, strict=True):
        assert len(source) == len(target)
        for letter, translated in zip(source, target, strict=True):
            assert table.setdefault(letter, translated) == translated
    assert sorted(table) == sorted(table.values()) == list(cipher.LETTERS)
