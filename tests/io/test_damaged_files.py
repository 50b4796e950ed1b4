"""Damaged and foreign files: each is refused with a sentence that names the file."""

import json
import os
import pickle

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save as to_safetensors
from strategies import SMALL, assert_same, weights

import lstmcore as lc
from lstmcore import reference

LOADERS = [pytest.param(lc.load, id="JAX"), pytest.param(reference.load, id="NumPy")]


@given(st.data())
def test_cut_anywhere(sound_file, model_path, data):
    model_path.write_bytes(sound_file[: data.draw(st.integers(0, len(sound_file) - 1))])
    with pytest.raises(ValueError, match=r"a model\.safetensors is not a complete safetensors"):
        lc.load(model_path)


@given(st.data())
def test_a_changed_byte_in_the_header(sound_file, model_path, data):
    length = 8 + int.from_bytes(sound_file[:8], "little")
    position = data.draw(st.integers(0, length - 1))
    changed = sound_file[position] ^ data.draw(st.integers(1, 255))
    model_path.write_bytes(sound_file[:position] + bytes([changed]) + sound_file[position + 1 :])
    try:
        model, params = lc.load(model_path)
    except ValueError:
        return
    assert model == SMALL  # harmless: one blank for another between the words of the header
    assert_same(params, weights(SMALL))


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (self.place,)


def foreign_files(place) -> dict:
    """{kind: (bytes, message)}"""
    incomplete, unknown = "is not a complete safetensors file", "was not written by lstmcore"
    tensors = {"weight": np.ones(3, np.float32)}
    return {
        "nothing": (b"", incomplete),
        "text": (b"a,b\n1,2\n" * 9, incomplete),
        "pickle": (pickle.dumps(Bomb(str(place))), incomplete),
        "other safetensors": (to_safetensors(tensors), unknown),
        "more behind the end": (to_safetensors(tensors) + b"more", incomplete),
    }


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("kind", foreign_files(""))
def test_files_of_another_kind(kind, load, model_path, tmp_path):
    content, message = foreign_files(tmp_path / "unpickled")[kind]
    model_path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(model_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("name", ["nowhere", "nowhere/else"])
def test_no_file(load, name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"there is no file .*{name}"):
        load(tmp_path / name)


@pytest.mark.parametrize("load", LOADERS)
def test_what_is_no_regular_file(load, tmp_path):
    with pytest.raises(IsADirectoryError, match=f"{tmp_path} is a folder, not a file"):
        load(tmp_path)
    for path in ("/dev/zero", "/dev/null"):
        with pytest.raises(ValueError, match=f"{path} is a pipe or a device: give the path of a"):
            load(path)
    with pytest.raises(ValueError, match=r"'a\\x00b' cannot be the name of a file"):
        load("a\0b")


def described(**changes) -> str:
    """The description of the sound file, changed; a hyperparameter by its name."""
    description = {
        "format": 1,
        "model": "Autoencoder",
        "hyperparameters": {
            "features": 2,
            "units": [3],
            "activation": "tanh",
            "steps": None,
            "recurrent_activation": "sigmoid",
            "output_activation": None,
            "conditional": False,
        },
    }
    for name, value in changes.items():
        place = description if name in description else description["hyperparameters"]
        place[name] = value
    return json.dumps(description)


TAMPERED = {  # what is wrong: (description, tensors, message)
    "model a list": (described(model=[1]), {}, r"there is no model \[1\]"),
    "later format": (described(format=2), {}, "not described in format 1"),
    "no JSON": ("{", {}, "Expecting property name"),
    "deep JSON": ("[" * 100_000, {}, "nested more than 32 levels deep"),
    "a list": ("[1]", {}, "not described in format 1"),
    "null": (described(hyperparameters=None), {}, "there is no model"),
    "nothing": (described(hyperparameters={}), {}, "missing 2 required positional arguments"),
    "model of other layers": (described(model="StackedLSTM"), {}, "argument 'steps'"),
    "too many hyperparameters": (described(heads=8), {}, "argument 'heads'"),
    "units a word": (described(units="three"), {}, "units must be a whole number, got 'three'"),
    "other units": (described(units=[5]), {}, r"has shape \(2, 12\) but the model needs \(2, 20\)"),
    "fewer layers": (described(units=[3, 2]), {}, "encoder_1/kernel is missing"),
    "huge units": (described(units=[2**31 - 1]), {}, "but the model needs"),
    "units beyond 64 bits": (described(units=[10**30]), {}, "does not fit 64 bits"),
    "too many layers": (described(units=[3] * 2000), {}, "units names 2,000 layers, expected at"),
    "a hyperparameter twice": (
        described()[:-2] + ', "units": [3]}}',
        {},
        "'units' appears twice in one object",
    ),
    "other features": (described(features=3), {}, "but the model needs"),
    "steps a fraction": (described(steps=1.5), {}, "steps must be a whole number, got 1.5"),
    "steps negative": (described(steps=-1), {}, "steps must be at least 1, got -1"),
    "conditional a number": (described(conditional=2), {}, "conditional must be one of False, Tr"),
    "conditional with other weights": (described(conditional=True), {}, "but the model needs"),
    "a dense model with gates": (
        described(model="DenseAutoencoder"),
        {},
        "argument 'steps'|argument 'recurrent_activation'",
    ),
    "activation unknown": (
        described(activation="eval"),
        {},
        "activation 'eval' is not known: use one of",
    ),
    "output activation unknown": (
        described(output_activation="eval"),
        {},
        "output_activation 'eval' is not known: use one of",
    ),
    "activation null": (
        described(activation=None),
        {},
        "activation must be a name or a function, got NoneType",
    ),
    "activation a number": (
        described(activation=5),
        {},
        "activation must be a name or a function, got int",
    ),
    "tensor missing": (described(), {"head/bias": None}, "head/bias is missing"),
    "tensor of another shape": (described(), {"head/bias": np.ones(7, np.float32)}, "shape"),
    "tensor of integers": (described(), {"head/bias": np.ones(2, int)}, "floating point, got int"),
    "mixed dtypes": (described(), {"head/bias": np.ones(2)}, "mixes dtypes float32, float64"),
    "peephole of other units": (
        described(),
        {"encoder_0/peephole": np.ones((3, 5), np.float32)},
        r"peephole has shape \(3, 5\) but the 3 units",
    ),
    "peephole of a head": (
        described(),
        {"head/peephole": np.ones((3, 2), np.float32)},
        "'head/peephole' belongs to no layer",
    ),
    "projection": (
        described(),
        {"encoder_0/projection": np.ones((3, 3), np.float32)},
        "'encoder_0/projection' belongs to no layer",
    ),
    "tensor of no layer": (
        described(),
        {"tail/bias": np.ones(2)},
        "'tail/bias' belongs to no layer",
    ),
}


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("case", TAMPERED)
def test_tampered(case, load, sound_file, model_path):
    """The message names the file, and the NumPy engine is no less careful than the other."""
    description, tensors, message = TAMPERED[case]
    model_path.write_bytes(sound_file)
    with safe_open(model_path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()} | tensors  # noqa: SIM118
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    model_path.write_bytes(to_safetensors(tensors, {"lstmcore": description}))
    with pytest.raises(ValueError, match=rf"a model\.safetensors is damaged.*{message}"):
        load(model_path)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("name", ["Transformer", "fit", "Gates", "chain", "", "__doc__"])
def test_only_lstmcores_models_are_found_by_name(name, load, sound_file, model_path):
    model_path.write_bytes(sound_file)
    with safe_open(model_path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model_path.write_bytes(to_safetensors(tensors, {"lstmcore": described(model=name)}))
    with pytest.raises(ValueError, match=f"holds a model of the class '{name}', which is not lst"):
        load(model_path)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("name", ["output_activation", "conditional"])
def test_files_from_before_a_hyperparameter_still_load(name, load, sound_file, model_path):
    description = json.loads(described())
    del description["hyperparameters"][name]
    model_path.write_bytes(sound_file)
    with safe_open(model_path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model_path.write_bytes(to_safetensors(tensors, {"lstmcore": json.dumps(description)}))
    model, params = load(model_path)
    assert_same(params, weights(SMALL))
    assert load is reference.load or model == SMALL


def test_the_description_in_these_tests_is_that_of_the_file(sound_file, model_path):
    model_path.write_bytes(sound_file)
    with safe_open(model_path, framework="numpy") as file:
        assert json.loads(file.metadata()["lstmcore"]) == json.loads(described())


def test_float64_needs_x64(model_path):
    lc.save(model_path, SMALL, weights(SMALL, np.float64))
    with pytest.raises(ValueError, match=r"float64 is switched off.*jax_enable_x64"):
        lc.load(model_path)
    assert_same(reference.load(model_path)[1], weights(SMALL, np.float64))


def test_bfloat16_needs_jax(model_path):
    lc.save(model_path, SMALL, weights(SMALL, jnp.bfloat16))
    with pytest.raises(ValueError, match=r"bfloat16 weights.*save float32"):
        reference.load(model_path)
