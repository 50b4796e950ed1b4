"""JSON of any origin: its contents, or a ValueError that names the file, in bounded memory."""

import contextlib
import json
import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore.io.json_text import (
    MAX_BYTES,
    MAX_BYTES_UNLESS_ASCII,
    MAX_DEPTH,
    MAX_VALUES_BYTES,
    parse_json,
    read_json,
)  # fmt: skip

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
SCALARS |= st.floats(allow_nan=False, allow_infinity=False)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(DOCUMENTS, st.booleans())
def test_what_python_writes_is_read_back(document, ascii_only):
    text = json.dumps(document, ensure_ascii=ascii_only)
    assert parse_json(text, "a.json") == document
    assert parse_json(text.encode(), "a.json") == document


@given(st.text(alphabet='[]{}",:\\ 1e-.0aNu', max_size=40))
def test_whatever_it_is_the_file_is_named(text):
    try:
        expected = json.loads(text)
        found = parse_json(text, "a.json")
    except ValueError:
        with pytest.raises(ValueError, match=r"^a\.json is damaged: "):
            parse_json(text, "a.json")
    else:
        assert found == expected


REFUSED = {  # what is wrong: (text, message)
    "nothing": ("", "Expecting value"),
    "cut off": ('{"a": ', "Expecting value"),
    "more behind the end": ("{} {}", "Extra data"),
    "not UTF-8": (b'"\xff"', "'utf-8' codec can't decode"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "'utf-8' codec can't decode"),
    "a large float": ('{"a": [1e400]}', "the number 1e400 is too large"),
    "a float of a million digits": ("0." + "1" * 10**6, "has 1,000,002 characters"),
    "NaN": ("[NaN]", "NaN is not a JSON number"),
    "infinity": ("[-Infinity]", "-Infinity is not a JSON number"),
    "an integer of 400 digits": ("9" * 400, r"9\.\.\.9+ does not fit 64"),
    "2**63": (str(2**63), "the integer 9223372036854775808 does not fit 64 bits"),
    "a name twice": ('{"a": 1, "b": {"c": 1, "c": 1}}', "'c' appears twice in one object"),
    "one level too deep": ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "more than 32 levels"),
    "very deep": ("[" * 100_000, "nested more than 32 levels deep"),
    "very deep objects": ('{"":' * 100_000, "nested more than 32 levels deep"),
    "too many values": ("[" + "0," * 700_000 + "0]", "values take 44,800,100 bytes, expected at m"),
    "too many lists": ("[" + "[]," * 250_000 + "0]", "its values take 41,000,100 bytes"),
    "too large": ('"' + " " * 2**24 + '"', "16,777,218 bytes of JSON, expected at most 16,777,216"),
    "too large for é": ('"' + "é" * 2**22 + '"', "4,194,306 bytes of JSON, expected at most 4,194"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    text, message = REFUSED[case]
    with pytest.raises(ValueError, match=rf"^a folder/a\.json is damaged: .*{message}") as caught:
        parse_json(text, "a folder/a.json")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text",
    [
        "[" * MAX_DEPTH + "]" * MAX_DEPTH,
        '"' + "[" * 1000 + '"',
        '"' + '\\"[' * 1000 + '"',
        "[-9223372036854775808, 9223372036854775807, 1e-400]",
    ],
)
def test_just_within_bounds(text):
    assert parse_json(text, "a.json") == json.loads(text)


SOME = 10_000
COSTLY = {  # what takes most memory for its length
    "lists": "[" + "[]," * SOME + "0]",
    "objects": "[" + '{"":1},' * SOME + "0]",
    "deep lists": "[" + "[[[[]]]]," * SOME + "0]",
    "strings": "[" + '"\U0001f600xyz",' * SOME + "0]",
    "short strings": "[" + ",".join(f'"{number:04}"' for number in range(SOME)) + "]",
    "numbers": "[" + "0.123," * SOME + "1234]",
    "a wide string": '"' + "x" * SOME + '\U0001f600"',
    "an open string": '"' + '\\"' * SOME,
    "closing": "]" * SOME,
}


@pytest.mark.parametrize("case", COSTLY)
def test_memory_is_bounded(case):
    """In proportion to length and number of values, whose bounds make it 64 MiB at most."""
    text = COSTLY[case]
    data = text.encode()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with contextlib.suppress(ValueError):
            parse_json(data, "a.json")
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    estimated = 100 * sum(map(text.count, "[{:")) + 64 * text.count(",")
    each = 2 if text.isascii() else 8  # bytes of a character, as text and in a value
    assert peak < estimated + each * len(data) + 10_000
    assert 8 * MAX_BYTES_UNLESS_ASCII <= 2 * MAX_BYTES
    assert MAX_VALUES_BYTES + 2 * MAX_BYTES < 64 * 2**20


def test_a_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_json(path) == {"a": 1}
    with pytest.raises(ValueError, match=r"a\.json is too large: 8 bytes, expected at most 7"):
        read_json(path, limit=7)
    with pytest.raises(FileNotFoundError, match=r"there is no file .*b\.json"):
        read_json(tmp_path / "b.json")
    with pytest.raises(IsADirectoryError, match="is a folder, not a file"):
        read_json(tmp_path)
    with pytest.raises(ValueError, match=r"'a\\x00b' cannot be the name of a file"):
        read_json("a\0b")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(ValueError, match=f"{path} is a pipe or a device"):
            read_json(path)
