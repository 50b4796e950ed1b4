"""Files of torch.save read without running their pickle, and hostile ones refused.

The files are made by hand; `peers` reads those of PyTorch itself.
"""

import pickle
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest
import torch_files
from hypothesis import given
from hypothesis import strategies as st
from torch_files import ORDERED_DICT, Call, Global, Persistent, Raw, storage, tensor

from lstmcore.interop import from_torch, read

DTYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]


def lstm_weights(rng, dtype=np.float32):
    """Return the state dict of an nn.LSTM with 3 features and 4 units."""
    shapes = {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4), "bias_ih_l0": (16,)}
    shapes["bias_hh_l0"] = (16,)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def check_read(path, weights):
    params = read(path).params
    for name, layer in from_torch(weights).items():
        for field, array in layer._asdict().items():
            if array is not None:
                np.testing.assert_array_equal(getattr(params[name], field), array, strict=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pt"


@pytest.fixture
def sound(path, rng):
    """The bytes of a sound file."""
    torch_files.write(path, *torch_files.state_dict(lstm_weights(rng)))
    return path.read_bytes()


@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_every_dtype_and_byte_order(path, rng, dtype, byteorder):
    weights = lstm_weights(rng, dtype)
    saved, storages = torch_files.state_dict(weights, byteorder)
    torch_files.write(path, saved, storages, more={"byteorder": byteorder.encode()})
    check_read(path, weights)


def test_files_from_before_the_byte_order_was_written(path, rng):
    weights = lstm_weights(rng)
    torch_files.write(path, *torch_files.state_dict(weights), root="my run", more={"version": b"3"})
    check_read(path, weights)


@pytest.mark.parametrize("extension", [".pth", ".bin", ".PT"])
def test_the_other_extensions(tmp_path, rng, extension):
    weights = lstm_weights(rng)
    torch_files.write(tmp_path / f"weights{extension}", *torch_files.state_dict(weights))
    check_read(tmp_path / f"weights{extension}", weights)


def test_views_of_one_storage(path, rng):
    """Transposed, with steps between the rows, from the middle, and repeated."""
    numbers = rng.normal(size=200).astype(np.float32)
    stored = storage("0", 200)
    strided = np.lib.stride_tricks.as_strided
    weights = {
        "weight_ih_l0": strided(numbers[5:], (16, 3), (4, 64)),
        "weight_hh_l0": strided(numbers[1:], (16, 4), (40, 8)),
        "bias_ih_l0": strided(numbers, (16,), (0,)),
        "bias_hh_l0": numbers[184:],
    }
    saved = {
        "weight_ih_l0": tensor(stored, 5, (16, 3), (1, 16)),
        "weight_hh_l0": tensor(stored, 1, (16, 4), (10, 2)),
        "bias_ih_l0": tensor(stored, 0, (16,), (0,)),
        "bias_hh_l0": tensor(stored, 184, (16,), (1,)),
    }
    torch_files.write(path, saved, {"0": numbers.tobytes()})
    check_read(path, weights)


def test_parameters_and_attributes(path, rng):
    """A state dict of parameters, which is an OrderedDict with attributes, in a checkpoint."""
    weights = lstm_weights(rng)
    tensors, storages = torch_files.state_dict(weights)
    rebuild = Global("torch._utils", "_rebuild_parameter")
    parameters = {n: Call(rebuild, (t, True, ORDERED_DICT)) for n, t in tensors.items()}
    items = b"".join(torch_files.instructions(each) for pair in parameters.items() for each in pair)
    made = torch_files.instructions(ORDERED_DICT) + b"(" + items + b"u"
    attributes = torch_files.instructions({"_metadata": {"": {"version": 1}}})
    saved = {"epoch": 3, "seen": [1, (2, 3)], "model": Raw(made + attributes + b"b")}
    torch_files.write(path, saved, storages)
    check_read(path, weights)


def test_a_tensor_beside_itself_in_a_loop(path, rng):
    """A dict that holds itself is searched one level deep, and not for ever."""
    weights = lstm_weights(rng)
    tensors, storages = torch_files.state_dict(weights)
    items = b"".join(torch_files.instructions(each) for pair in tensors.items() for each in pair)
    looped = Raw(b"}q\x07(" + items + b"X\x04\x00\x00\x00selfh\x07u")
    torch_files.write(path, looped, storages)
    check_read(path, weights)


class Bomb:
    """What a pickle can do to those who load it."""

    def __reduce__(self):
        return (open, ("/tmp/lstmcore-was-here", "w"))


def refused(path, message):
    """Check the error, and that finding it took little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"^{path}:? {message}"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


SAVE = r".*torch\.save\(model\.state_dict\(\), path\) saves only the weights"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            Call(Global("os", "system"), ("true",)),
            rf"holds an object of os\.system, whose .*{SAVE}",
        ),
        (Call(Global("builtins", "eval"), ("1",)), r"holds an object of builtins\.eval"),
        (
            Global("torch.nn.modules.rnn", "LSTM"),
            r"holds an object of torch\.nn\.modules\.rnn\.LST",
        ),
        (Global("torch._utils", "_rebuild_tensor_v2\r"), "holds an object of torch"),
        (Global("torch", "float32.__class__"), r"holds an object of torch\.float32\.__class__"),
        (Raw(pickle.dumps(Bomb(), 2)[2:-1]), r"holds an object of (io|_io|__builtin__)\.open"),
        (Raw(b"i__main__\nModel\n"), rf"uses the instruction INST of pickle: {SAVE}"),
        (Raw(b"\x82\x01"), "uses the instruction EXT1 of pickle"),
        (Raw(b"I01\n"), "uses the instruction INT of pickle"),
        (Raw(b"R"), "is damaged: its pickle takes from an empty stack"),
        (Raw(b"t"), "is damaged: its pickle takes what is not there"),
        (Raw(b"h\x05"), "is damaged: its pickle takes what is not there"),
        (Raw(b"q\x05"), "is damaged: its pickle takes what is not there"),
        (Raw(b"]K\x01K\x02s"), "is damaged: its pickle sets items of something else than a dict"),
        (Raw(b"}K\x01a"), "is damaged: its pickle appends to something else than a list"),
        (Raw(b"}(K\x01u"), "is damaged: its pickle sets a key without a value"),
        (Raw(b"K\x01K\x02"), "is damaged: its pickle describes 2 objects"),
        (Raw(b"\x8c\xffx"), "is damaged: "),
        (Raw(b"\x8e" + b"\xff" * 8), "is damaged: "),
        ({(1, 2): 3}, "is damaged: the key of a dict is a tuple"),
        (Call("text", ()), "is damaged: its pickle calls what is not a function"),
        (
            Call(ORDERED_DICT.function, ([],)),
            r"is damaged: its pickle calls collections\.OrderedDi",
        ),
        (
            Call(torch_files.REBUILD, (1, 2)),
            "is damaged: its pickle calls torch._utils._rebuild_te",
        ),
        (Persistent("text"), "is damaged: its pickle names something else than a storage"),
        (Persistent(("module", 1, 2, 3, 4)), "is damaged: its pickle names something else"),
        (storage(7, 4), "is damaged: a storage has no type and key"),
        (storage("0", -4), "is damaged: the storage 0 has no size"),
        (storage("0", 2**70), "is damaged: the storage 0 has no size"),
        ([1], "holds a list, not a dict of tensors by name"),
        (None, "holds a NoneType, not a dict"),
        ({"epoch": 3}, rf"holds no dict of tensors by name: {SAVE}"),
        ({}, "holds no dict of tensors by name"),
    ],
)
def test_hostile_pickles(path, value, message):
    torch_files.write(path, value, {"0": bytes(16)})
    refused(path, message)


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "message"),
    [
        (0, (16, 4), (4, 1), r"a tensor of the shape \(16, 4\) needs more than the 48 numbers"),
        (1, (16, 3), (3, 1), "needs more than the 48 numbers"),
        (0, (2, 3), (46, 1), "needs more than the 48 numbers"),
        (0, (10**12,), (0,), "its tensors take 4,000,000,"),
        (
            0,
            (2**40, 0),
            (1, 1),
            r"weight_ih_l0 \(1099511627776, 0\) and weight_hh_l0 .* do not fit",
        ),
        (0, (-16, 3), (3, 1), "a tensor has a shape and strides that are not small whole numbers"),
        (0, (16, 3), (-3, 1), "not small whole numbers"),
        (-1, (16, 3), (3, 1), "not small whole numbers"),
        (0, (16, 3), (3,), "not small whole numbers"),
        (0, (1,) * 40, (1,) * 40, "not small whole numbers"),
        (0, (2**80,), (1,), "not small whole numbers"),
        (0, (16.0, 3), (3, 1), "not small whole numbers"),
        (0, (True, 3), (3, 1), "not small whole numbers"),
        (0, 16, 1, "a tensor has no storage, shape and strides"),
        (0, "ab", "ab", "a tensor has no storage, shape and strides"),
    ],
)
def test_hostile_shapes(path, rng, offset, shape, strides, message):
    saved, storages = torch_files.state_dict(lstm_weights(rng))
    saved["weight_ih_l0"] = tensor(storage("0", 48), offset, shape, strides)
    torch_files.write(path, saved, storages)
    refused(path, f".*{message}")


def test_expanded_tensors(path, rng):
    """`expand` repeats numbers by a stride of 0, and torch.save stores them once."""
    weights = lstm_weights(rng)
    weights["bias_ih_l0"] = np.full(16, 0.5, np.float32)
    saved, storages = torch_files.state_dict(weights)
    storages["9"] = np.full(1, 0.5, np.float32).tobytes()
    saved["bias_ih_l0"] = tensor(storage("9", 1), 0, (16,), (0,))
    torch_files.write(path, saved, storages)
    check_read(path, weights)


@pytest.mark.parametrize("depth", range(4))
def test_checkpoints(path, rng, depth):
    """The state dict is found beside other tensors and some levels down."""
    weights = lstm_weights(rng)
    saved, storages = torch_files.state_dict(weights)
    for level in range(depth):
        saved = {"epoch": 3, f"level {level}": saved}
        storages |= {f"loss {level}": np.ones(1, np.float32).tobytes()}
        saved["loss"] = tensor(storage(f"loss {level}", 1), 0, (), ())
    torch_files.write(path, saved, storages)
    check_read(path, weights)


def test_a_storage_that_is_shorter_than_it_says(path, rng):
    saved, storages = torch_files.state_dict(lstm_weights(rng))
    torch_files.write(path, saved, storages | {"1": storages["1"][:-4]})
    refused(path, "is damaged: the storage of weight_hh_l0 has 252 bytes")
    torch_files.write(path, saved, {key: storages[key] for key in "012"})
    refused(path, "is damaged: it has no entry archive/data/3")


def test_one_storage_many_times(path):
    """Few bytes could otherwise become any amount of memory."""
    stored = storage("0", 100_000)
    saved = {f"weight_{k}": tensor(stored, 0, (100_000,), (1,)) for k in range(100)}
    torch_files.write(path, saved, {"0": bytes(400_000)})
    refused(path, r"is damaged: its tensors take 40,000,000 bytes, but the file has 4\d\d,\d\d\d")


def test_entries_that_overlap(path, rng):
    """Each storage begins with the one before, in a zip whose directory is written anew."""
    saved, storages = torch_files.state_dict(lstm_weights(rng))
    saved["more"] = tensor(storage("more", 4), 0, (4,), (1,))
    torch_files.write(path, saved, storages | {"more": bytes(16)})
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02")
    for size in (20, 24):  # up to the end of the file, over the directory
        data[place + size : place + size + 4] = (len(data) - 500).to_bytes(4, "little")
    path.write_bytes(data)
    refused(path, "is damaged: its entries overlap")


def test_nested_tuples_are_not_printed(path):
    """Each is twice as long as the one before: as text they would fill the memory."""
    doubled = Raw(b"K\x01" + b"q\x00h\x00\x86" * 60)
    torch_files.write(path, {"x": tensor(storage("0", 4), 0, (doubled,), (1,))}, {"0": bytes(16)})
    refused(path, "is damaged: a tensor has a shape and strides that are not small whole numbers")


def test_a_deep_tuple_is_no_key(path):
    torch_files.write(path, Raw(b"})" + b"\x85" * 200_000 + b"K\x01s"))
    refused(path, "is damaged: the key of a dict is a tuple")


@pytest.mark.parametrize("value", [b"}" * 3_000_000, b"N" * 3_000_000])
def test_a_pickle_of_many_instructions(path, value):
    torch_files.write(path, Raw(value))
    with pytest.raises(ValueError, match="its pickle has more than 2,097,152 instructions"):
        read(path)


def test_compressed_entries_are_refused(path, rng):
    saved, storages = torch_files.state_dict(lstm_weights(rng))
    torch_files.write(path, saved, storages | {"0": bytes(10**8)}, compression=zipfile.ZIP_DEFLATED)
    refused(path, r"is damaged: archive/byteorder is compressed, which torch\.save never does")


def test_an_entry_that_says_it_is_larger_than_the_file(path, sound):
    """The size of the first entry, in the central directory."""
    place = sound.index(b"PK\x01\x02")
    huge = (2**31).to_bytes(4, "little")
    path.write_bytes(sound[: place + 20] + huge + huge + sound[place + 28 :])
    refused(path, r"is damaged: archive/data\.pkl has 2,147,483,648 bytes")


def test_zips_of_another_kind(path, sound):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    refused(path, rf"is a zip, but not of torch\.save: {SAVE}")
    torch_files.write(path, {}, more={"constants.pkl": b""})
    refused(path, r"is a program of TorchScript: load it with torch\.jit\.load")
    torch_files.write(path, {}, more={"byteorder": b"middle"})
    refused(path, "is damaged: its byte order is b'middle', expected little or big")


def test_what_is_no_zip(path):
    path.write_bytes(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.")
    refused(
        path, r"is in the format of torch\.save before PyTorch 1\.6, which is not read: load it"
    )
    path.write_bytes(pickle.dumps({"weight_ih_l0": 1}))
    refused(path, r"is not a file of torch\.save, which is a zip: was it cut off")
    path.write_bytes(b"")
    refused(path, r"is not a file of torch\.save")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read(path)


@given(cut=st.floats(0, 1, exclude_max=True))
def test_truncated(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "weights.pt"
    torch_files.write(path, *torch_files.state_dict(lstm_weights(np.random.default_rng(0))))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(ValueError, match=f"^{path} is "):
        read(path)


def test_changed_bytes_are_read_or_refused(path, sound):
    """A changed byte of a storage is found by the checksum of the zip, others by what they say."""
    rng = np.random.default_rng(0)
    messages = []
    for _ in range(300):
        changed = bytearray(sound)
        for place in rng.integers(len(sound), size=rng.integers(1, 4)):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            read(path)
        except ValueError as error:
            messages.append(str(error))
    assert 0 < len(messages) < 300
    assert all(message.startswith(f"{path}") for message in messages)
