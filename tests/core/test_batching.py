"""Buckets as laws: every example is there, unchanged, and no other cut leaves less padding."""

from itertools import combinations, pairwise

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import lstmcore as lc
from lstmcore import batching

lengths = st.lists(st.integers(0, 9), min_size=1, max_size=12)
pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)
counts = st.integers(1, 5)


def ids_of(lengths, first=4):
    """Ids that tell the examples apart; none ends in PADDING."""
    return [np.arange(n) + first + 10 * number for number, n in enumerate(lengths)]


def size(part_lengths):
    """Steps of one padded group, for lengths [n, names]."""
    return len(part_lengths) * part_lengths.max(axis=0).sum()


@given(pairs, counts)
def test_every_example_is_there_once_and_unchanged(lengths, count):
    sources, targets = ([row[i] for row in lengths] for i in range(2))
    columns = {"source": ids_of(sources), "target": ids_of(targets, 5)}
    result = lc.buckets(columns | {"label": np.arange(len(lengths))}, count)
    assert 1 <= len(result.parts) <= count
    assert sorted(result.order) == list(range(len(lengths)))
    places = iter(result.order)
    padded = 0
    for part in result.parts:
        assert list(part) == ["source", "target", "label"]
        assert part["label"].tolist() == sorted(part["label"].tolist())
        for name, column in columns.items():
            array = part[name]
            padded += array.size
            assert array.dtype == np.int32
            assert array.shape[1] == max(len(column[i]) for i in part["label"])
        for row, place in zip(range(len(part["label"])), places, strict=False):
            assert part["label"][row] == place
            for name, column in columns.items():
                n = len(column[place])
                np.testing.assert_array_equal(part[name][row, :n], column[place])
                assert (part[name][row, n:] == lc.PADDING).all()
    real = np.sum(lengths)
    assert result.padding == pytest.approx(1 - real / padded if padded else 0)
    assert f"{len(lengths)} examples" in repr(result)


@given(lengths, counts)
@example([0, 5, 0, 5], 2)
def test_no_other_grouping_of_one_sequence_has_less_padding(lengths, count):
    """With one sequence, the best groups are runs of the sorted lengths: try every cut."""
    result = lc.buckets({"source": ids_of(lengths)}, count)
    ordered = np.sort(lengths)[:, None]
    best = min(
        sum(size(group) for group in np.split(ordered, cuts))
        for number in range(min(count, len(lengths)))
        for cuts in combinations(range(1, len(lengths)), number)
    )
    assert sum(part["source"].size for part in result.parts) == best


@given(pairs, counts)
def test_no_other_cut_of_the_order_of_pairs_has_less_padding(lengths, count):
    """Cuts lie between different sums of lengths."""
    sources, targets = ([row[i] for row in lengths] for i in range(2))
    result = lc.buckets({"source": ids_of(sources), "target": ids_of(targets)}, count)
    ordered = np.array(sorted(lengths, key=sum))
    places = [i for i in range(1, len(lengths)) if sum(ordered[i]) != sum(ordered[i - 1])]
    best = min(
        sum(size(group) for group in np.split(ordered, cuts))
        for number in range(min(count, len(places) + 1))
        for cuts in combinations(places, number)
    )
    assert sum(a.size for part in result.parts for a in part.values()) == best


def test_more_groups_never_pad_more_and_enough_of_them_pad_nothing():
    rng = np.random.default_rng(0)
    rows = ids_of(rng.integers(1, 30, 200))
    padding = [lc.buckets({"x": rows}, count).padding for count in range(1, 31)]
    assert all(a >= b for a, b in pairwise(padding))
    assert padding[0] > 0.4
    assert padding[3] < 0.2
    assert padding[-1] == 0


def test_thousands_of_lengths(monkeypatch):
    """Fewer cuts are tried then; with few enough lengths the result does not change."""
    rows = [np.full(n, 4) for n in np.random.default_rng(0).permutation(300)]
    everywhere = lc.buckets({"x": rows}, 3)
    monkeypatch.setattr(batching, "CUTS", 50)
    result = lc.buckets({"x": rows}, 3)
    assert sorted(result.order) == list(range(300))
    assert everywhere.padding < result.padding < everywhere.padding + 0.01
    assert len(result.parts) == 3


def test_real_valued_sequences_have_a_mask():
    rows = [np.full((n, 2), n, np.float32) for n in (3, 0, 1)]
    (part,) = lc.buckets({"x": rows, "y": [1.5, 2.5, 3.5]}, count=1).parts
    assert part["x"].shape == (3, 3, 2)
    assert part["x"].dtype == np.float32
    assert part["x_mask"].tolist() == [[True] * 3, [False] * 3, [True, False, False]]
    assert part["x"][:, :, 0].tolist() == [[3, 3, 3], [0, 0, 0], [1, 0, 0]]
    assert part["y"].tolist() == [1.5, 2.5, 3.5]


def test_padding_at_the_end_does_not_count():
    vocabulary = lc.Vocabulary.of(["banana"])
    texts = ["ban", "banana", "", "nab"]
    result = lc.buckets({"source": vocabulary.encode_all(texts, length=20)}, count=9)
    assert [part["source"].shape for part in result.parts] == [(1, 1), (2, 4), (1, 7)]
    found = [text for part in result.parts for text in vocabulary.decode_all(part["source"])]
    assert [found[i] for i in np.argsort(result.order)] == texts
    (part,) = lc.buckets({"x": jnp.array([[0, 5, 0], [0, 0, 0]])}, count=1).parts
    assert part["x"].tolist() == [[0, 5], [0, 0]]  # inside it does


def test_all_empty():
    result = lc.buckets({"x": [[], []]}, count=3)
    assert [part["x"].shape for part in result.parts] == [(2, 0)]
    assert result.padding == 0


IDS = [[4, 2], [2]]
SERIES = [np.zeros((2, 3), np.float32), np.zeros((1, 3), np.float32)]


@pytest.mark.parametrize(
    ("sequences", "kind", "message"),
    [
        ({"a": IDS, "b": IDS[:1]}, ValueError, r"as many .* under each name, got {'a': 2, 'b': 1}"),
        ({"a": []}, ValueError, "sequences has no examples: {'a': 0}"),
        ({}, ValueError, "sequences has no examples: {}"),
        (IDS, TypeError, "sequences must be a dict {name: sequences}, got list"),
        ({"a": "text"}, TypeError, r"sequences\['a'\] must be a list of sequences, got str"),
        ({"a": 5}, TypeError, r"sequences\['a'\] must be a list of sequences, got int"),
        ({"a": ["text"]}, TypeError, r"\['a'\]\[0\] must hold numbers, got <U4: encode text first"),
        ({"a": [[4], [0.5]]}, ValueError, r"\['a'\]\[1\] has one axis, so it must be integer ids"),
        ({"a": [[[1, 2]]]}, ValueError, r"\['a'\]\[0\] must be floating point, got int64"),
        (
            {"a": [np.zeros((1, 1, 1))]},
            ValueError,
            r"\['a'\]\[0\] must be ids .*got shape \(1, 1, 1",
        ),
        ({"a": [[4, [5]]]}, ValueError, r"\['a'\]\[0\] is not an array"),
        ({"a": [[4], [-1]]}, ValueError, r"\['a'\]\[1\] has ids from -1 to -1: ids are 0 or more"),
        ({"a": [[2**40]]}, ValueError, r"\['a'\]\[0\] has ids from 1099511627776 to"),
        ({"a": [[4], SERIES[0]]}, ValueError, r"must be of one kind, .*\[\(1,\), \(2, 3\)\]"),
        (
            {"a": [SERIES[0], SERIES[0][:, :2]]},
            ValueError,
            r"of one kind, .*\[\(2, 2\), \(2, 3\)\]",
        ),
        ({"a": SERIES, "a_mask": [1, 0]}, ValueError, "has the name 'a_mask', which the mask made"),
        (
            {"a": [1, 2]},
            ValueError,
            r"sequences \['a'\] are single numbers: there is nothing to pad",
        ),
    ],
)
def test_errors(sequences, kind, message):
    with pytest.raises(kind, match=message):
        lc.buckets(sequences)


def test_count_is_checked():
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        lc.buckets({"a": IDS}, count=0)


@given(pairs, counts, st.integers(1, 4))
def test_whole_batches(lengths, count, batch_size):
    """No group but the last has a rest, and no other cut at whole batches has less padding."""
    columns = {name: ids_of([row[i] for row in lengths]) for i, name in enumerate("st")}
    result = lc.buckets(columns, count, batch_size=batch_size)
    sizes = [len(part["s"]) for part in result.parts]
    assert sum(sizes) == len(lengths)
    assert all(size % batch_size == 0 for size in sizes[:-1])
    ordered = np.array(sorted(lengths, key=sum))
    places = range(batch_size, len(lengths), batch_size)
    every = (cut for n in range(min(count, len(places) + 1)) for cut in combinations(places, n))
    least = min(sum(map(size, np.split(ordered, cut))) for cut in every)
    assert sum(part[name].size for part in result.parts for name in "st") == least
