"""Arrays in files, compared with the format's own library; incomplete ones are refused."""

import json
import os
import sys
import tracemalloc

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lstmcore.io import tensors as module
from lstmcore.io.tensors import DTYPES, digest_of, open_tensors, read_tensors, write_tensors

ARRAYS = {
    "kernel": np.arange(6.0).reshape(2, 3).T,  # a transposed view
    "scalar": np.float32(3),
    "nothing": np.zeros((0, 5), np.int8),
    "mask": np.array([True, False, True]),
    "waves": np.array([1j, 2], np.complex64),
    "größe\0": np.array([7], np.uint16),
}
dtypes = st.sampled_from([name for name in DTYPES if name != "bfloat16"])
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@given(st.dictionaries(st.text(), arrays, max_size=4), st.dictionaries(st.text(), st.text()))
def test_what_is_written_is_read_back(tmp_path_factory, tensors, metadata):
    path = tmp_path_factory.getbasetemp() / "file.safetensors"
    tensors.pop("__metadata__", None)
    metadata.pop("digest", None)
    write_tensors(path, tensors, metadata)
    found, read = read_tensors(path)
    assert found == metadata
    assert_same(read, tensors)
    assert_same(safetensors.numpy.load(path.read_bytes()), tensors)


def test_files_of_the_format_s_own_library(tmp_path):
    path = tmp_path / "file.safetensors"
    laid_out = {name: np.asarray(array, order="C") for name, array in ARRAYS.items()}
    safetensors.numpy.save_file(laid_out, path, {"made by": "hand"})
    metadata, read = read_tensors(path)
    assert metadata == {"made by": "hand"}
    assert_same(read, ARRAYS)


def test_bfloat16(tmp_path, monkeypatch):
    path = tmp_path / "file.safetensors"
    write_tensors(path, {"a": jnp.arange(3, dtype=jnp.bfloat16)}, {})
    assert_same(read_tensors(path)[1], {"a": np.asarray(jnp.arange(3, dtype=jnp.bfloat16))})
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ValueError, match=r"file\.safetensors holds bfloat16, .* package ml_dty"):
        read_tensors(path)


def test_arrays_start_at_multiples_of_their_item_size(tmp_path):
    write_tensors(tmp_path / "file", ARRAYS | {"x": np.zeros(3, np.int8)}, {"a": "b"})
    data = (tmp_path / "file").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    del header["__metadata__"]
    assert length % 8 == 0
    assert all(
        entry["data_offsets"][0] % ARRAYS[n].itemsize == 0
        for n, entry in header.items()
        if n in ARRAYS
    )


def file_of(header, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets} | more


EIGHT = b"\0" * 8
BROKEN = {  # what is wrong: (file, message)
    "nothing": (b"", "0 bytes are too few for its header"),
    "seven bytes": (b"\0" * 7, "7 bytes are too few"),
    "a longer header than the file": (file_of({}, length=3), "10 bytes are too few"),
    "a header of 2**63 bytes": (file_of({}, length=2**63), "too few"),
    "a large header": (file_of(b" " * (2**24 + 1)), "a header of 16,777,217 bytes, expected a"),
    "no JSON": (file_of(b"{"), "Expecting property name"),
    "not UTF-8": (file_of(b'{"\xff": 1}'), "'utf-8' codec"),
    "deep JSON": (file_of(b"[" * 9999), "nested more than 32 levels"),
    "a list": (file_of([]), "not a JSON object"),
    "a name twice": (file_of(b'{"a": 1, "a": 1}'), "'a' appears twice"),
    "metadata of numbers": (file_of({"__metadata__": {"a": 1}}), "its metadata is not text"),
    "metadata a list": (file_of({"__metadata__": []}), "its metadata is not text"),
    "an entry a number": (file_of({"a": 1}), "'a' has no dtype, shape and offsets"),
    "an entry a list": (file_of({"a": [1, 2, 3]}), "'a' has no dtype"),
    "no shape": (file_of({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, EIGHT), "'a' has no dt"),
    "a fourth word": (file_of({"a": entry(more=1)}, EIGHT), "'a' has no dtype"),
    "a dtype a list": (file_of({"a": entry(["F32"])}, EIGHT), "'a' has no dtype"),
    "float8": (file_of({"a": entry("F8_E5M2", (8,))}, EIGHT), "'a' is of dtype 'F8_E5M2', expec"),
    "an unknown dtype": (file_of({"a": entry("f4")}, EIGHT), "'a' is of dtype 'f4', expected BO"),
    "a negative size": (file_of({"a": entry(shape=(-2,))}, EIGHT), "'a' has no dtype"),
    "a size true": (file_of({"a": entry(shape=(True, 2))}, EIGHT), "'a' has no dtype"),
    "a shape in words": (file_of({"a": entry(shape="2")}, EIGHT), "'a' has no dtype"),
    "33 axes": (file_of({"a": entry(shape=[1] * 32 + [2])}, EIGHT), "'a' has no dtype"),
    "three offsets": (file_of({"a": entry(offsets=(0, 8, 8))}, EIGHT), "'a' has no dtype"),
    "offsets with a gap": (
        file_of({"a": entry(offsets=(8, 16))}, 2 * EIGHT),
        "offsets of 'a' do n",
    ),
    "an overlap": (
        file_of({"a": entry(), "b": entry(offsets=(4, 12))}, 2 * EIGHT),
        "offsets of 'b'",
    ),
    "the same place": (file_of({"a": entry(), "b": entry()}, EIGHT), "the offsets of 'b' do not"),
    "a larger shape": (file_of({"a": entry(shape=(3,))}, EIGHT), r"not fit float32\[3\]"),
    "a huge shape": (file_of({"a": entry(shape=(2**62, 2**62, 0), offsets=(0, 0))}), "the shape"),
    "a larger integer": (file_of({"a": entry(shape=(10**400,))}, EIGHT), "does not fit 64 bits"),
    "too short": (file_of({"a": entry()}, EIGHT[1:]), "take 8 bytes, the file has 7"),
    "too long": (file_of({"a": entry()}, EIGHT + b"."), "take 8 bytes, the file has 9"),
    "many arrays": (file_of(b"{" + b'"":[[]],' * 90_000 + b'"":1}'), "its values take"),
    "a surrogate": (file_of({"\ud800": 1}), r"'\\ud800' has no dtype"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken(case, tmp_path):
    content, message = BROKEN[case]
    (tmp_path / "a file").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a file is not a complete safetensors file .*{message}"):
        read_tensors(tmp_path / "a file")


def test_a_bool_that_is_2(tmp_path):
    (tmp_path / "file").write_bytes(file_of({"a": entry("BOOL", (2,), (0, 2))}, b"\1\2"))
    with pytest.raises(ValueError, match="file is damaged: 'a' holds numbers that are not bool"):
        read_tensors(tmp_path / "file")


def test_every_changed_bit_is_noticed(tmp_path):
    """Or harmless: one blank for another between the words of the header."""
    path, harmless = tmp_path / "file", 0
    write_tensors(path, ARRAYS, {"text": "of the file"})
    sound = path.read_bytes()
    for position in range(len(sound)):
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 1]) + sound[position + 1 :])
        try:
            metadata, read = read_tensors(path)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            harmless += 1
            assert_same(read, ARRAYS)
            # Or "digest" has become "dhgest": metadata that `TensorFile.description` refuses.
            assert metadata == {"text": "of the file"} or len(metadata) == 2
    assert harmless < 20


def test_nothing_is_reserved_before_the_header_is_checked(tmp_path):
    write_tensors(tmp_path / "file", {"a": np.zeros((10**8, 0)), "b": np.zeros(10**6)}, {})
    tracemalloc.start()
    try:
        with open_tensors(tmp_path / "file") as file:
            assert file.kinds["a"].shape == (10**8, 0)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = tmp_path / "file"
    write_tensors(path, {"a": np.zeros(10**5)}, {})
    with open_tensors(path) as file:
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(ValueError, match="file was changed while it was read: read it again"):
            file.read()


def test_no_memory(tmp_path, monkeypatch):
    def refused(*_):
        raise MemoryError

    write_tensors(tmp_path / "file", {"a": np.zeros(10**5)}, {})
    monkeypatch.setattr(module.np, "empty", refused)
    with pytest.raises(OSError, match=r"file needs 0\.0 GB for 'a'"):
        read_tensors(tmp_path / "file")


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(TypeError, match="a is object, which a file cannot hold"):
        write_tensors(tmp_path / "file", {"a": np.array([None])}, {})
    with pytest.raises(ValueError, match="the header of the file is damaged: 16,7"):
        write_tensors(tmp_path / "file", {}, {"text": "x" * 2**24})
    assert list(tmp_path.iterdir()) == []


@given(arrays, arrays)
def test_digests_differ_with_anything(one, other):
    equal = (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )
    assert (digest_of({"a": one}) == digest_of({"a": other})) == equal
    assert len({digest_of({"a": one}), digest_of({"b": one}), digest_of({"a": one}, "text")}) == 3
