"""Broken and hostile files of Keras: an error that names the file and the layer, nothing else."""

import io
import json
import os
import subprocess
import sys
import zipfile
from functools import partial

import h5py
import jax
import keras
import numpy as np
import pytest
from fuzzing import dump as dump_json
from fuzzing import mutated_bytes, mutated_json
from keras_models import L
from keras_parity import keras_promotion
from strategies import random_like

import lstmcore as lc

C = lc.chain
MODEL = lc.Chain([C.LSTM(3), C.LSTM(2, direction="bidirectional", last=True), C.Dense(1)], 2)
PARAMS = random_like(np.random.default_rng(0), MODEL.init(jax.random.key(0)))
MUTANTS, MANY_MUTANTS = 300, 20_000


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The entries of a sound file."""
    path = tmp_path_factory.mktemp("sound") / "m.keras"
    lc.interop.write(path, MODEL, PARAMS)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items() if isinstance(entries, dict) else entries:
            archive.writestr(name, data)
    return path


def refused(path, message):
    with pytest.raises(ValueError, match=message) as caught:
        lc.interop.read(path)
    assert str(path.name) in str(caught.value)


# The archive


def test_a_truncated_archive(sound, tmp_path):
    whole = packed(tmp_path / "m.keras", sound).read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "m.keras").write_bytes(whole[:length])
        refused(tmp_path / "m.keras", "is damaged, or no .keras file: ")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_zip_bomb_is_not_unpacked(name, sound, tmp_path):
    bomb = {**sound, name: bytes(300 * 2**20)}
    path = packed(tmp_path / "m.keras", bomb, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    refused(path, f"{name} has 314,572,800 bytes, expected at most .* in a file of ")


def test_entries_twice_outside_or_missing(sound, tmp_path):
    path = tmp_path / "m.keras"
    with pytest.warns(UserWarning, match="Duplicate name"):
        packed(path, [*sound.items(), ("config.json", b"{}")])
    refused(path, "holds 'config.json' twice")
    for name in ("../x", "/etc/x", "a/../../x", "..\\x"):
        packed(path, {**sound, name: b""})
        refused(path, "has an entry outside of its folder: ")
    packed(path, {"metadata.json": b"{}", "config.json": sound["config.json"]})
    refused(path, "holds no model.weights.h5, expected config.json and model.weights.h5: it has")
    packed(path, {f"assets/{i}": b"" for i in range(10_001)})
    refused(path, "has 10,001 entries, expected at most 10,000")


# The architecture


def changed(sound, change):
    """Return the entries with another architecture."""
    config = json.loads(sound["config.json"])
    change(config["config"]["layers"], config)
    return {**sound, "config.json": json.dumps(config)}


def replace(place, **fields):
    """Return a change of the arguments of one layer."""
    return lambda layers, config: layers[place]["config"].update(fields)


def other_class(place, kind, **entry):
    return lambda layers, config: layers[place].update(class_name=kind, **entry)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_class(1, "Lambda"), "layer 'lstm_0' .Lambda. of .* is not supported; these are: In"),
        (other_class(1, "GRU"), "'lstm_0' .GRU. of .* is not supported"),
        (other_class(1, "LSTM", module="os"), "holds 'LSTM' of 'os', which is not part of Keras"),
        (
            other_class(1, "LSTM", registered_name="evil>LSTM"),
            "holds 'evil>LSTM' of 'keras.layers', which is not part of Keras: code outside",
        ),
        (lambda layers, c: c.update(class_name="MyModel"), "a model of class MyModel, whose code"),
        (lambda layers, c: c.pop("class_name"), "class_name must be str, got nothing"),
        (lambda layers, c: c.update(config=3), "config must be dict or list, got 3"),
        (lambda layers, c: layers.append(3), "is described by 3, expected an object"),
        (lambda layers, c: layers.append(layers[1]), "two layers are named 'lstm_0'"),
        (lambda layers, c: layers.clear(), "holds no layers"),
        (lambda layers, c: layers[1]["config"].pop("name"), "a layer of class LSTM has no name"),
        (replace(1, units="3"), "'lstm_0' .LSTM. of .*: units must be int, got 3"),
        (replace(1, units=True), "units must be int, got True"),
        (replace(1, units=4), "'lstm_0' .* the weights are of 3 units, expected 4"),
        (replace(1, units=10**15), "'lstm_0' .*: units must be at most 2,147,483,647"),
        (replace(1, activation="mish"), "'lstm_0' .*: activation mish is not supported; these are"),
        (replace(1, activation="swish"), "'lstm_0' .*: activation swish is not supported"),
        (replace(1, activation="softmax"), "'lstm_0' .*: activation softmax is not supported"),
        (
            replace(1, activation={"class_name": "function", "config": "f"}),
            "'lstm_0' .*: activation .* is not supported",
        ),
        (replace(1, return_state=True), "'lstm_0' .*: return_state=True is not supported"),
        (replace(1, time_major=True), "'lstm_0' .*: time_major=True is not supported"),
        (replace(1, return_sequences=False), "lstm_1 reads a sequence, but the layer before it"),
        (replace(1, use_bias=False), "'lstm_0' .* has 3 arrays of weights in .*, expected 2"),
        (replace(2, merge_mode=None), "'lstm_1' .*: merge_mode must be one of concat, sum, ave"),
        (replace(0, batch_shape=[None, 2]), "'lstm_0' .* reads an input of 2 axes"),
        (replace(3, units=2), r"params\['dense_0'\].kernel has shape \(4, 1\) but the model needs"),
        (lambda layers, c: layers.pop(1), "holds weights of no layer of its architecture: layers/"),
        (
            lambda layers, c: [
                layers[2]["config"][name].update(class_name="GRU")
                for name in ("layer", "backward_layer")
            ],
            "'lstm_1' .GRU. of .* is not supported; these are: InputLayer",
        ),
        (
            lambda layers, c: layers[2]["config"]["backward_layer"]["config"].update(
                activation="relu"
            ),
            "'lstm_1' .*: its two directions differ in activation, which is not supported",
        ),
        (
            lambda layers, c: layers[2]["config"]["backward_layer"]["config"].update(
                use_bias=False
            ),
            "'lstm_1' .*: its two directions differ in use_bias, which is not supported",
        ),
        (
            lambda layers, c: layers[2]["config"]["backward_layer"].update(class_name="CuDNNLSTM"),
            "'lstm_1' .*: its two directions differ in class, which is not supported",
        ),
        (
            lambda layers, c: layers.append(
                {"class_name": "TimeDistributed", "config": {"name": "t", "layer": layers[1]}}
            ),
            "'t' .TimeDistributed. of .* (holds LSTM, which is not|has 0 arrays)",
        ),
    ],
)
def test_architectures_that_are_not_read(change, message, sound, tmp_path):
    refused(packed(tmp_path / "m.keras", changed(sound, change)), message)


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        ("Softmax", {"axis": 0}, "axis must be the last, -1, got 0"),
        ("LeakyReLU", {"negative_slope": "x"}, "negative_slope must be int or float, got x"),
        ("ReLU", {"max_value": 3}, "max_value 3, negative_slope 0.0 and threshold 0.0 are not"),
        ("ELU", {"alpha": 2.0}, "alpha must be 1, got 2.0"),
        ("Dropout", {"rate": 1.5}, "'x' .Dropout. of .*: rate must be at least 0 and below 1"),
        ("RepeatVector", {"n": 0}, "'x' .* steps must be at least 1"),
        ("Reshape", {"target_shape": [1, 1]}, "changes the shape of its input"),
        ("Masking", {"mask_value": 0.0}, "Masking must be the first part"),
        ("Activation", {"activation": "sparsemax"}, "activation sparsemax is not supported"),
        ("LayerNormalization", {"rms_scaling": True, "scale": False, "center": False}, "rms_sc"),
    ],
)
def test_options_that_are_not_read(kind, config, message, sound, tmp_path):
    entry = {"class_name": kind, "config": {"name": "x", **config}}
    change = lambda layers, c: layers.append(entry)  # noqa: E731
    refused(packed(tmp_path / "m.keras", changed(sound, change)), message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "config.json is damaged"),
        (b"{", "config.json is damaged"),
        (b"\xff\xfe", "config.json is damaged"),
        (b"[" * 100_000, "config.json is damaged: nested more than 32 levels deep"),
        (b"null", "is described by None, expected an object"),
        (b'{"class_name": NaN}', "NaN is not a JSON number"),
    ],
)
def test_an_architecture_that_is_no_json(text, message, sound, tmp_path):
    refused(packed(tmp_path / "m.keras", {**sound, "config.json": text}), message)


# The weights

KERNEL = "layers/lstm/cell/vars/0"


def edited(sound, edit):
    """Return the entries with other weights, after `edit(file)`."""
    data = io.BytesIO(sound["model.weights.h5"])
    with h5py.File(data, "a") as file:
        edit(file)
    return {**sound, "model.weights.h5": data.getvalue()}


def instead(value=None, path=KERNEL, **options):
    """Return an edit that stores another dataset in the place of one."""

    def edit(file):
        if path in file:
            del file[path]
        if value is not None or options:
            file.create_dataset(path, data=value, **options)

    return edit


def linked(link, path=KERNEL):
    def edit(file):
        del file[path]
        file[path] = link

    return edit


def in_other_files(file):
    del file[KERNEL]
    file.create_dataset(KERNEL, (2, 12), "f4", external=[("/etc/passwd", 0, 96)])


def virtual(file):
    del file[KERNEL]
    layout = h5py.VirtualLayout((2, 12), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (2, 12))
    file.create_virtual_dataset(KERNEL, layout)


def filtered(file):
    """Store a filter that nobody has."""
    del file[KERNEL]
    pipeline = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    pipeline.set_chunk((2, 12))
    pipeline.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple((2, 12))
    h5py.h5d.create(file.id, KERNEL.encode(), h5py.h5t.IEEE_F32LE, space, pipeline)


def in_circles(file):
    file["layers/lstm/cell/vars"]["loop"] = file["layers"]


def named_by_no_text(file):
    h5py.h5g.create(file.id, b"layers/lstm/cell/vars/\xff")


SHAPE = r"has shape \(\d+, \d+\), which makes the weights more than 20 times as large as the file"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (instead(), "'lstm_0' .LSTM. of .* has 2 arrays of weights in .*, expected 3"),
        (instead(np.ones(3), "layers/lstm/cell/vars/3"), "has 4 arrays of weights in"),
        (instead(np.ones(3), "layers/gru/cell/vars/0"), "holds weights of no layer .* layers/gru/"),
        (instead(np.ones((3, 12), "f4")), "'lstm_0' .* reads 3 features, but the input has 2"),
        (instead(np.ones((2, 11), "f4")), "'lstm_0' .LSTM. of .*: weights must have shapes"),
        (instead(np.ones((2, 2, 12))), r"vars/0 has shape \(2, 2, 12\), expected one or two axes"),
        (instead(np.ones((2, 12), "i4")), "vars/0 holds int32, expected floating-point numbers"),
        (instead(np.full((2, 12), b"a")), r"vars/0 holds \|S1, expected floating-point"),
        (instead(shape=(2, 12), dtype=h5py.string_dtype()), "holds object, expected floating-"),
        (instead(shape=(2, 12), dtype=h5py.ref_dtype), "holds object, expected floating-point"),
        (instead(shape=(2, 12), dtype=h5py.vlen_dtype("f4")), "holds object, expected floating-"),
        (instead(shape=(2, 12), dtype=[("a", "f4")]), "holds .*, expected floating-point numbers"),
        (instead(shape=(10**6, 10**5), dtype="f4", chunks=True), SHAPE),
        (instead(shape=(2**20, 12), dtype="f4", chunks=True, compression="gzip"), SHAPE),
        (instead(h5py.Empty("f4")), "has shape None, expected one or two axes"),
        (linked(h5py.ExternalLink("/etc/passwd", "/x")), "is a link .ExternalLink., which is not"),
        (linked(h5py.SoftLink("/" + KERNEL)), "is a link .SoftLink., which is not followed"),
        (linked(h5py.SoftLink("/x"), "layers"), "is a link .SoftLink., which is not followed"),
        (in_other_files, "lies in another file, which is not opened"),
        (virtual, "lies in another file, which is not opened"),
        (filtered, "is compressed with filter 32015, expected one of gzip, shuffle"),
        (in_circles, "is nested too deep"),
        (named_by_no_text, "layers/lstm/cell/vars has an entry whose name is no text"),
        (lambda file: file.move("layers", "x"), "holds no weights of Keras: neither a group"),
        (partial(dict.get, {}), None),
    ],
)
def test_weights_that_are_not_read(edit, message, sound, tmp_path):
    path = packed(tmp_path / "m.keras", edited(sound, edit))
    if message is None:  # a file that was opened for writing and closed is as good as before
        assert lc.interop.read(path).model == MODEL
    else:
        refused(path, message)


def test_one_array_under_many_names_cannot_fill_the_memory(sound, tmp_path):
    def edit(file):
        big = file.create_dataset("big", (500, 500), "f4", chunks=True, compression="gzip")
        for path in ("layers/bidirectional/forward_layer/cell/vars/0", KERNEL):
            del file[path]
            file[path] = big

    path = packed(tmp_path / "m.keras", edited(sound, edit))
    with pytest.raises(ValueError, match="which makes the weights more than 20 times as large"):
        lc.interop.keras_weights(path)


def test_truncated_hdf5(sound, tmp_path):
    whole = sound["model.weights.h5"]
    for length in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        path = packed(tmp_path / "m.keras", {**sound, "model.weights.h5": whole[:length]})
        refused(path, "model.weights.h5 is damaged, or no HDF5: ")
        (tmp_path / "m.h5").write_bytes(whole[:length])
        refused(tmp_path / "m.h5", "m.h5 is damaged, or no HDF5: ")


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("model_config", 3, "the attribute model_config holds int64, expected text"),
        ("model_config", ["a", "b"], "the attribute model_config holds 2 texts, not 1"),
        ("model_config", "{", "model_config is damaged"),
        ("model_config", np.zeros((10, 11_000), "S1"), "holds 110,000 values, expected at most"),
        ("layer_names", np.ones(3), "the attribute layer_names holds float64, expected text"),
        ("layer_names", [b"\xff"], r"m.h5: \\xff is damaged, or no HDF5"),
        ("layer_names", ["a"], "layer 'a' has no weight_names"),
    ],
)
def test_attributes_of_keras_2(attribute, value, message, tmp_path):
    with h5py.File(tmp_path / "m.h5", "w", libver="latest") as file:
        file.create_dataset(f"d/{attribute}", data=np.ones(1))
        file.attrs.create(attribute, value)
    refused(tmp_path / "m.h5", message)


KINDS_OF_VARYING_LENGTH = [0, 2, 3, 255]  # 1 is text


@pytest.mark.parametrize("kind", KINDS_OF_VARYING_LENGTH)
def test_a_name_of_varying_length_that_is_no_text(kind, tmp_path):
    """One changed byte, on which HDF5 crashed: read in another process, lest the tests end."""
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        for place, shape in enumerate(((3, 8), (2, 8), (8,))):
            file[f"layers/lstm/cell/vars/{place}"] = np.ones(shape, "f4")
        file.create_group("layers/lstm/vars").attrs["name"] = "lstm"
    data = bytearray(path.read_bytes())
    data[data.index(b"\x19\x01", data.index(b"name\0")) + 1] = kind
    path.write_bytes(data)
    code = f"import lstmcore as lc; lc.interop.read({os.fspath(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "the attribute name of layers/lstm/vars holds object, expected text" in done.stderr


def heaps(path):
    """Return the bytes of a file with a heap of texts, and where the first entry's size lies."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
    data = bytearray(path.read_bytes())
    return data, data.index(b"GCOL") + 16


def test_a_text_that_is_said_to_be_longer_than_the_file(tmp_path):
    """HDF5 would reserve 4 GiB for it."""
    path = tmp_path / "m.h5"
    data, _ = heaps(path)
    at = data.index((2).to_bytes(4, "little") + data.index(b"GCOL").to_bytes(8, "little"))
    data[at : at + 4] = b"\xff" * 4
    path.write_bytes(data)
    refused(path, "the attribute model_config is said to hold 4,294,967,295 bytes in a file of ")


def test_one_long_text_many_times_cannot_fill_the_memory(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs.create("layer_names", ["a" * 50_000, *["b"] * 1_000])
    data = path.read_bytes()
    first = data.index((50_000).to_bytes(4, "little"), data.index(b"layer_names"))
    same = data[first : first + 16] * 1_001
    path.write_bytes(data[:first] + same + data[first + len(same) :])
    refused(path, "the attribute layer_names is said to hold 50,050,000 bytes in a file of ")


def test_attributes_that_overlap_take_no_time(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs.create("layer_names", ["a"] * 3_000)
    data = path.read_bytes()
    message = data[data.index(b"layer_names\0") - 8 :][:80]
    path.write_bytes(data + message * 50_000)
    refused(path, "the attribute layer_names is damaged: it overlaps with others")


def test_attributes_of_too_many_names(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        for place in range(100):
            file.attrs[f"layer_names{place}"] = f"layer_{place}"
    refused(path, "layer_names20 is one of more than 20 attributes of varying length")


@pytest.mark.parametrize("libver", ["earliest", "v108", "latest"])
@pytest.mark.parametrize("more", [0, 20])
def test_texts_of_each_format_of_hdf5_are_found(libver, more, tmp_path):
    path = tmp_path / "m.h5"
    keras_2(path)
    with h5py.File(path) as old, h5py.File(tmp_path / "n.h5", "w", libver=libver) as new:
        old.copy("model_weights", new)
        for name, value in [*old.attrs.items(), *((f"{i}", "x") for i in range(more))]:
            new.attrs[name] = value
    assert lc.interop.read(tmp_path / "n.h5").model == lc.Chain([C.LSTM(3)], 2)


def test_a_heap_that_hdf5_would_read_for_ever(tmp_path):
    """An entry of no size, counted as free space: HDF5 does not come back."""
    data, at = heaps(tmp_path / "m.h5")
    data[at : at + 2], data[at + 8 : at + 16] = bytes(2), bytes(8)
    (tmp_path / "m.h5").write_bytes(data)
    refused(tmp_path / "m.h5", "m.h5 is damaged: a heap has an entry of no size")


def test_heaps_that_overlap_take_no_time(tmp_path):
    data, _ = heaps(tmp_path / "m.h5")
    heap = b"GCOL\x01\0\0\0" + (2**40).to_bytes(8, "little")
    over_the_next_heap = b"\1" + bytes(7) + (16).to_bytes(8, "little")
    (tmp_path / "m.h5").write_bytes(bytes(data) + (heap + over_the_next_heap) * 50_000)
    refused(tmp_path / "m.h5", "m.h5 is damaged: its heaps overlap")


def test_sizes_of_another_width(tmp_path):
    data, _ = heaps(tmp_path / "m.h5")
    data[14] = 4
    (tmp_path / "m.h5").write_bytes(data)
    refused(tmp_path / "m.h5", "has sizes of other than 8 bytes")


# Chance


def keras_2(path):
    """Return the bytes of a sound file in the layout of Keras 2, whose texts lie in heaps."""
    config = {"name": "lstm_0", "units": 3, "return_sequences": True}
    layers = [{"class_name": "LSTM", "config": config}]
    names = [f"lstm_0/{field}:0" for field in PARAMS["lstm_0"]._fields[:3]]
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers})
        file.attrs["keras_version"] = "2.11.0"
        file.create_group("model_weights/lstm_0").attrs["weight_names"] = names
        file["model_weights"].attrs["layer_names"] = ["lstm_0"]
        for name, array in zip(names, PARAMS["lstm_0"], strict=False):
            file[f"model_weights/lstm_0/{name}"] = array
    return path.read_bytes()


def by_keras(folder):
    """Return {extension: bytes} of one model as Keras writes it, with all of its attributes."""
    with keras_promotion():
        layers = [L.LSTM(3, name="lstm_1"), L.Dense(1)]
        model = keras.Sequential([keras.Input((4, 2)), *layers])
        model.compile("adam", "mse")
        paths = {name: folder / f"by_keras.{name}" for name in ("keras", "h5", "weights.h5")}
        model.save(paths["keras"])
        model.save(paths["h5"])
        model.save_weights(paths["weights.h5"])
    return {name: path.read_bytes() for name, path in paths.items()}


def assert_read_or_refused(path, layer=None):
    message, model, params = path.name, None, {}
    try:
        model, params, _ = lc.interop.read(path, layer)
    except ValueError as error:
        message = str(error)
    assert path.name in message
    assert all(np.asarray(leaf).dtype.kind == "f" for leaf in jax.tree.leaves(params))
    return model is not None


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("seed", "count"),
    [(1, MUTANTS), pytest.param(2, MANY_MUTANTS, marks=pytest.mark.thorough)],
)
def test_random_damage(seed, count, sound, tmp_path):
    """Bits flipped, bytes cut off or exchanged, JSON with nodes replaced: read, or refused."""
    rng = np.random.default_rng(seed)
    whole = packed(tmp_path / "m.keras", sound).read_bytes()
    config, weights = json.loads(sound["config.json"]), sound["model.weights.h5"]
    legacy, read = keras_2(tmp_path / "m.h5"), 0
    written = by_keras(tmp_path)
    assert lc.interop.read(tmp_path / "m.h5").model == lc.Chain([C.LSTM(3)], 2)
    for _ in range(count):
        path = tmp_path / "x.keras"
        match rng.integers(5):
            case 0:
                path.write_bytes(mutated_bytes(rng, whole, weights))
            case 1:
                text = dump_json(mutated_json(rng, config)).encode("utf-8", "replace")
                packed(path, {**sound, "config.json": text})
            case 2:
                packed(path, {**sound, "model.weights.h5": mutated_bytes(rng, weights, whole)})
            case 3:
                path = tmp_path / "x.h5"
                path.write_bytes(mutated_bytes(rng, legacy, weights))
            case 4:
                extension, data = list(written.items())[rng.integers(len(written))]
                path = tmp_path / f"x.{extension}"
                path.write_bytes(mutated_bytes(rng, data, legacy))
        read += assert_read_or_refused(path, "lstm_1" if rng.integers(3) == 0 else None)
    assert 0 < read < count
