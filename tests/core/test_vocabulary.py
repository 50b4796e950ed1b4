"""Text to ids and back, as laws: nothing known is lost, and what is not known can be seen."""

import json
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import lstmcore as lc
from lstmcore.vocabulary import JOINER, split

# Letters, marks, emoji (one of two code points joined), white space of several kinds, the joiner.
characters = (
    st.sampled_from("abAB1_.,!'-éé́ßñ漢字あ🙂👩\u200d❤\ufe0f\n\t \xa0￭�<>") | st.characters()
)
texts = st.text(characters, max_size=20)
lists = st.lists(texts, min_size=1, max_size=4).filter(any)
levels = st.sampled_from(["character", "word"])


def single_spaced(text):
    return " ".join(text.split())


@given(lists)
@example(["e\u0301 👩\u200d🚀\n\t", ""])
def test_characters_come_back(texts):
    vocabulary = lc.Vocabulary.of(texts)
    for text in texts:
        ids = vocabulary.encode(text)
        assert ids.dtype == np.int32
        assert len(ids) == len(text) + 1
        assert ids[-1] == lc.END
        assert set(ids[:-1]) <= set(range(4, vocabulary.size))
        assert vocabulary.decode(ids) == text


@given(lists.filter(lambda texts: any(map(single_spaced, texts))))
@example(["a ￭b a￭ ￭ b￭￭c ￭￭", "Don't stop: it's 12:30 (e\u0301t\u0301)!"])
def test_words_come_back_from_single_spaced_text(texts):
    vocabulary = lc.Vocabulary.of(texts, level="word")
    for text in texts:
        ids = vocabulary.encode(text)
        assert lc.UNKNOWN not in ids
        assert vocabulary.decode(ids) == single_spaced(text)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Go on, go!", ["Go", "on", "￭,", "go", "￭!"]),
        ("don't", ["don", "￭'", "￭t"]),
        ("a_1 ... x", ["a_1", ".", "￭.", "￭.", "x"]),
        ("  two\t\nlines ", ["two", "lines"]),
        ("cafe\u0301", ["cafe\u0301"]),
    ],
)
def test_how_words_are_cut(text, tokens):
    vocabulary = lc.Vocabulary.of([text], level="word")
    assert vocabulary.labels(vocabulary.encode(text)) == [*(t.strip("￭") for t in tokens), "<end>"]


def test_ids_follow_frequency_then_code_point():
    vocabulary = lc.Vocabulary.of(["cab", "bac", "bb", "d"])
    assert vocabulary.tokens == ("b", "a", "c", "d")
    assert vocabulary.encode("abcd").tolist() == [5, 4, 6, 7, lc.END]
    assert (lc.PADDING, lc.START, lc.END, lc.UNKNOWN) == (0, 1, 2, 3)
    assert lc.Vocabulary.of(["d", "bb", "bac", "cab"]) == vocabulary
    assert hash(lc.Vocabulary(list(vocabulary.tokens))) == hash(vocabulary)


def test_limit_and_minimum():
    texts = ["aaa", "bb", "c"]
    assert lc.Vocabulary.of(texts, limit=2).tokens == ("a", "b")
    assert lc.Vocabulary.of(texts, minimum=2).tokens == ("a", "b")
    assert lc.Vocabulary.of(texts, minimum=2, limit=1).tokens == ("a",)
    assert lc.Vocabulary.of(iter(texts), limit=9).size == 4 + 3


def test_what_is_not_known_can_be_seen():
    vocabulary = lc.Vocabulary.of(["go on"], level="word")
    ids = vocabulary.encode("go away on")
    assert ids.tolist() == [4, lc.UNKNOWN, 5, lc.END]
    assert vocabulary.decode(ids) == "go � on"
    assert lc.Vocabulary.of(["ab"]).decode([4, 3, 5]) == "a�b"
    assert vocabulary.labels([0, 1, 2, 3, 4]) == ["<pad>", "<start>", "<end>", "<unknown>", "go"]


FORMS = ("NFC", "NFD")
ACCENTED = st.text(st.sampled_from("aeé̃ñü ệ각힣क़ "), min_size=1, max_size=12)


@given(ACCENTED, levels, st.sampled_from(FORMS), st.sampled_from(FORMS))
@example("café naïve", "character", "NFC", "NFD")
@example("각 힣", "word", "NFD", "NFC")
def test_a_text_in_another_normal_form_is_known(text, level, learnt, read):
    text = single_spaced(text) or "é"
    known = normalize(learnt, text)
    vocabulary = lc.Vocabulary.of([known], level)
    ids = vocabulary.encode(normalize(read, text))
    assert lc.UNKNOWN not in ids
    assert normalize(learnt, vocabulary.decode(ids)) == known


def test_forms_may_be_mixed_in_a_vocabulary_and_in_a_text():
    words = [normalize("NFC", "café"), normalize("NFD", "naïve")]
    for level in ("word", "character"):
        vocabulary = lc.Vocabulary.of(words, level)
        text = " ".join([normalize("NFD", words[0]), normalize("NFC", words[1])])
        ids = vocabulary.encode(text)
        assert vocabulary.decode(ids).replace("�", " ") == " ".join(words)
    assert vocabulary.split("ñ") == ["ñ"]  # not known in any form: as it is
    with pytest.raises(TypeError, match="text must be a string, got int"):
        vocabulary.split(1)


def test_decoding_stops_at_the_end_and_skips_padding():
    vocabulary = lc.Vocabulary.of(["ab"])
    assert vocabulary.decode([lc.START, 4, lc.PADDING, 5, lc.END, 4, 4]) == "ab"
    assert vocabulary.decode([4, 5]) == "ab"
    assert lc.Vocabulary.of(["go"], level="word").decode([lc.START, 4, lc.PADDING, 4]) == "go go"
    assert vocabulary.decode([]) == ""
    assert vocabulary.decode_all(np.array([[4, 2, 0], [2, 4, 4], [5, 5, 5]])) == ["a", "", "bbb"]
    assert vocabulary.decode_all([[4, 2], [5, 4, 5]]) == ["a", "bab"]


def test_empty_text_is_just_the_end():
    for level in ("character", "word"):
        vocabulary = lc.Vocabulary.of(["a", ""], level=level)
        assert vocabulary.encode("").tolist() == [lc.END]
        assert vocabulary.decode([lc.END]) == ""


@given(lists, st.integers(0, 3))
def test_all_texts_at_once(texts, more):
    vocabulary = lc.Vocabulary.of(texts)
    longest = max(map(len, texts)) + 1
    ids = vocabulary.encode_all(texts, longest + more)
    assert ids.shape == (len(texts), longest + more)
    assert ids.dtype == np.int32
    for row, text in zip(ids, texts, strict=True):
        alone = vocabulary.encode(text)
        np.testing.assert_array_equal(row[: len(alone)], alone)
        assert (row[len(alone) :] == lc.PADDING).all()
    np.testing.assert_array_equal(vocabulary.encode_all(texts), ids[:, :longest])
    assert vocabulary.decode_all(ids) == texts


def test_no_texts():
    vocabulary = lc.Vocabulary.of(["a"])
    assert vocabulary.encode_all([]).shape == (0, 0)
    assert vocabulary.encode_all([], length=5).shape == (0, 5)
    assert vocabulary.decode_all(np.zeros((0, 5), int)) == []


@given(lists.filter(lambda texts: any(map(single_spaced, texts))), levels)
@example(["\ud800 lone surrogate"], "word")
def test_json_round_trip(texts, level):
    vocabulary = lc.Vocabulary.of(texts, level=level)
    text = vocabulary.to_json()
    assert text.isascii()
    assert lc.Vocabulary.from_json(text) == vocabulary


def test_printed_in_one_line():
    assert repr(lc.Vocabulary.of(["abcdefghi"])) == (
        "Vocabulary(('a', 'b', 'c', 'd', 'e', ...), level='character', size=13)"
    )
    assert repr(lc.Vocabulary.of(["ab"])) == "Vocabulary(('a', 'b'), level='character', size=6)"


AB = lc.Vocabulary.of(["ab"])
ERRORS = [
    (lambda: lc.Vocabulary.of([]), ValueError, r"texts \(0 of them\) hold no character at all"),
    (lambda: lc.Vocabulary.of(["", ""]), ValueError, r"texts \(2 of them\) hold no character at"),
    (lambda: lc.Vocabulary.of([" \n"], "word"), ValueError, "no word at all: a vocabulary needs"),
    (lambda: lc.Vocabulary.of(["a"], minimum=2), ValueError, "no character that occurs 2 times"),
    (lambda: lc.Vocabulary.of("ab"), TypeError, r"texts must be a list of strings, got one string"),
    (lambda: lc.Vocabulary.of(5), TypeError, "texts must be a list of strings, got int"),
    (lambda: lc.Vocabulary.of(["a", 5]), TypeError, r"texts\[1\] must be a string, got int"),
    (lambda: lc.Vocabulary.of(["a"], "byte"), ValueError, "level must be 'character' or 'word', g"),
    (lambda: lc.Vocabulary.of(["a"], limit=0), ValueError, "limit must be at least 1, got 0"),
    (lambda: lc.Vocabulary.of(["a"], minimum=0), ValueError, "minimum must be at least 1, got 0"),
    (lambda: lc.Vocabulary(()), ValueError, "tokens is empty: a vocabulary needs at least one"),
    (lambda: lc.Vocabulary(("a", "b", "a")), ValueError, "tokens holds 'a' 2 times"),
    (lambda: lc.Vocabulary(("ab",)), ValueError, "tokens holds 'ab', which is not one character"),
    (lambda: lc.Vocabulary(("a b",), "word"), ValueError, "tokens holds 'a b', which is not one w"),
    (
        lambda: lc.Vocabulary(("a!",), "word"),
        ValueError,
        "tokens holds 'a!', which is not one word",
    ),
    (lambda: lc.Vocabulary(("",), "word"), ValueError, "tokens holds '', which is not one word"),
    (lambda: lc.Vocabulary((1,)), TypeError, r"tokens\[0\] must be a string, got int"),
    (
        lambda: lc.Vocabulary(("a",), "x"),
        ValueError,
        "level must be 'character' or 'word', got 'x'",
    ),
    (lambda: AB.encode(5), TypeError, "text must be a string, got int"),
    (lambda: AB.encode_all("ab"), TypeError, "texts must be a list of strings, got one string"),
    (
        lambda: AB.encode_all(["a", "abab"], length=4),
        ValueError,
        r"texts\[1\] has 5 ids with END, more than length 4: shorten it or raise length: 'abab'",
    ),
    (lambda: AB.encode_all(["ab" * 99], length=4), ValueError, r"has 199 ids .*: '(ab){30}\.\.\.'"),
    (lambda: AB.encode_all(["a"], length=0), ValueError, "length must be at least 1, got 0"),
    (
        lambda: AB.decode([4, 6]),
        ValueError,
        r"ids\[1\] is 6, but this vocabulary has the ids 0 to 5",
    ),
    (
        lambda: AB.decode([-1]),
        ValueError,
        r"ids\[0\] is -1, but this vocabulary has the ids 0 to 5",
    ),
    (lambda: AB.decode([2, 6]), ValueError, r"ids\[1\] is 6, but"),
    (lambda: AB.labels([6]), ValueError, r"ids\[0\] is 6, but"),
    (lambda: AB.decode([[4]]), ValueError, "ids must have 1 axes .*decode_all takes"),
    (lambda: AB.decode([4.0]), ValueError, "ids must be integers, got float64"),
    (lambda: AB.decode_all([4, 5]), ValueError, r"ids must have 1 axes \[time\], got shape \(\)"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


SOUND = json.loads(AB.to_json())


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (AB.to_json()[:-2], "text is not the JSON of a vocabulary"),
        ("", "text is not the JSON of a vocabulary"),
        (None, "text is not the JSON of a vocabulary"),
        ("[]", r"must be an object with format, level and tokens, got '\[\]'"),
        (json.dumps({"tokens": ["a"]}), "must be an object with format, level and tokens"),
        (json.dumps(SOUND | {"format": 2}), "text has format 2, this version of ls"),
        (json.dumps(SOUND | {"level": "byte"}), "level must be 'character' or 'word', got 'byte'"),
        (json.dumps(SOUND | {"tokens": "ab"}), "tokens must be a list, got str"),
        (json.dumps(SOUND | {"tokens": []}), "tokens is empty"),
        (json.dumps(SOUND | {"tokens": ["a", 1]}), r"tokens\[1\] must be a string, got int"),
        (json.dumps(SOUND | {"tokens": ["a", "a"]}), "tokens holds 'a' 2 times"),
        ("[" * 100_000, "text is damaged: nested more than 32 levels deep"),
        (json.dumps(SOUND)[:-1] + ', "level": "word"}', "'level' appears twice in one object"),
        (json.dumps(SOUND | {"format": 10**400}), "does not fit 64 bits"),
        ('{"tokens": ["' + "a" * 2**24 + '"]}', "bytes of JSON, expected at most 16,777,216"),
    ],
)
def test_damaged_json(damaged, message):
    with pytest.raises(ValueError, match=message):
        lc.Vocabulary.from_json(damaged)


def test_no_text_that_could_not_be_read():
    vocabulary = lc.Vocabulary(tuple(f"w{number}" for number in range(650_000)), "word")
    with pytest.raises(ValueError, match="of 650,004 ids is damaged: its values take"):
        vocabulary.to_json()


@given(st.text(st.characters() | st.sampled_from("a_￭ \u0301é\n!"), max_size=4))
def test_a_vocabulary_holds_just_what_splitting_gives(text):
    """Also without the splitting, which takes memory for tokens that are no words."""
    bare = text.removeprefix(JOINER) or text
    if split(bare, "word") != [bare]:
        with pytest.raises(ValueError, match="which is not one word"):
            lc.Vocabulary((text,), "word")
    else:
        assert lc.Vocabulary((text,), "word").tokens == (text,)
