"""Models as files: saved ones are read back, damaged ones refused, none left incomplete."""

import errno
import os
import stat
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SMALL, assert_same, random_mask, weights

import lstmcore as lc
from lstmcore import reference
from lstmcore.activations import NAMED
from lstmcore.io.atomic import atomic_path, remove_leftovers

MODELS = [
    SMALL,
    lc.Autoencoder(1, (3, 2), "relu", steps=4, recurrent_activation="hard_sigmoid"),
    lc.CompositeAutoencoder(2, (3, 2), steps=2, output_activation="relu"),
    lc.StackedLSTM(2, (3, 2, 2), outputs=1, output_activation="softsign", residual=True),
    lc.Forecaster(2, (3, 2), horizon=3, targets=1, quantiles=(0.1, 0.5), dropout=0.2),
    lc.Forecaster(2, (3, 2), horizon=3, mode="recursive", output_activation="relu"),
    lc.Autoencoder(2, (3, 2), conditional=True),
    lc.CompositeAutoencoder(2, 3, steps=2, conditional=True),
]
DENSE = [lc.DenseAutoencoder(4, (3, 2), "relu", tied=tied) for tied in (False, True)]
LOADERS = [pytest.param(lc.load, id="JAX"), pytest.param(reference.load, id="NumPy")]
sizes = st.integers(1, 4)
words = st.sampled_from(list(NAMED))


# What is saved comes back.


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("model", MODELS + DENSE, ids=str)
def test_round_trip(model, dtype, model_path):
    lc.save(model_path, model, weights(model, dtype))
    loaded_model, params = lc.load(model_path)
    assert loaded_model == model
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params))
    assert_same(params, weights(model, dtype))


@pytest.mark.usefixtures("x64")
def test_round_trip_in_float64(model_path):
    lc.save(str(model_path), SMALL, weights(SMALL, np.float64))
    assert_same(lc.load(str(model_path))[1], weights(SMALL, np.float64))


def test_transposed_views_are_saved_as_they_read(model_path):
    """Weights of PyTorch arrive transposed: as views whose memory lies the other way round."""
    params = {
        name: jax.tree.map(lambda leaf: np.ascontiguousarray(leaf.T).T, layer)
        for name, layer in weights(SMALL).items()
    }
    assert not params["encoder_0"].kernel.flags.c_contiguous
    lc.save(model_path, SMALL, params)
    assert_same(lc.load(model_path)[1], params)


@pytest.mark.parametrize("load", LOADERS)
def test_layers_keep_their_reading_order(load, model_path):
    model = MODELS[2]  # whose order is not that of the alphabet
    lc.save(model_path, model, weights(model))
    assert list(load(model_path)[1]) == list(weights(model))


autoencoders = st.builds(
    lc.Autoencoder,
    features=sizes,
    units=st.lists(sizes, min_size=1, max_size=3),
    activation=words,
    recurrent_activation=words,
    output_activation=st.none() | words,
    steps=st.none() | sizes,
    conditional=st.booleans(),
)
dense_autoencoders = st.builds(
    lc.DenseAutoencoder,
    features=sizes,
    units=st.lists(sizes, min_size=1, max_size=3),
    activation=words,
    tied=st.booleans(),
)


@given(autoencoders | dense_autoencoders)
def test_hyperparameters_come_back(model_path, model):
    lc.save(model_path, model, weights(model))
    assert lc.load(model_path)[0] == model


@pytest.mark.parametrize("name", NAMED)
def test_functions_behind_a_name_are_saved_under_it(name, model_path):
    function = NAMED[name]
    model = lc.Autoencoder(2, (3,), function, None, function, function)
    lc.save(model_path, model, weights(model))
    loaded, _ = lc.load(model_path)
    words = loaded.activation, loaded.recurrent_activation, loaded.output_activation
    assert words == (name, name, name)


def test_equal_models_make_equal_files(model_path, sound_file):
    for _ in range(5):
        lc.save(model_path, SMALL, weights(SMALL))
        assert model_path.read_bytes() == sound_file


# The same model on NumPy alone.


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_reference_computes_what_the_model_computes(model, model_path, rng):
    lc.save(model_path, model, weights(model))
    apply, params = reference.load(model_path)
    x = rng.normal(size=(4, 5, model.features)).astype(np.float32)
    mask = random_mask(rng, "all-false row", batch=4, steps=5)
    first = next(iter(params))
    edits = {first: lambda gates, t: gates._replace(forget=1 - gates.input)}
    ours = apply(params, x, mask=mask, edits=edits)
    theirs = jax.jit(lambda p: model.apply(p, x, mask=jnp.asarray(mask), edits=edits))(params)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


# A write that fails leaves the old file, and nothing else.


def full_disk(path, *_):
    with open(path, "wb") as file:
        file.write(b"half of it")
    raise OSError(errno.ENOSPC, "No space left on device")


def no_rename(*_):
    raise OSError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize(
    ("owner", "name", "failure"), [(Path, "open", full_disk), (os, "replace", no_rename)]
)
@pytest.mark.parametrize("old", [None, b"old results"])
def test_failing_save_changes_nothing(owner, name, failure, old, tmp_path, monkeypatch):
    file = tmp_path / "model.safetensors"
    if old is not None:
        file.write_bytes(old)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failure)
        with pytest.raises(OSError, match=r"No space|Permission"):
            lc.save(file, SMALL, weights(SMALL))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == (
        {} if old is None else {file.name: old}
    )


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """A power cut could else leave the name on an empty file."""
    done = []
    for call in (os.fsync, os.replace):
        monkeypatch.setattr(
            os, call.__name__, lambda *given, call=call: (done.append(call), call(*given))
        )
    with atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("all of it")
    assert [call.__name__ for call in done] == ["fsync", "replace", "fsync"]  # of the folder


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stays_one_and_what_it_leads_to_is_replaced(tmp_path):
    link, target = tmp_path / "link", tmp_path / "there" / "file"
    target.parent.mkdir()
    link.symlink_to(target)
    for text in ("1", "2"):  # it leads nowhere, then to a file
        left = target.with_name(".file-0123abcd")
        left.touch()
        remove_leftovers(link)
        assert not left.exists()
        with atomic_path(link) as temporary:
            assert temporary.parent == target.parent  # or renaming may not be one step
            temporary.write_text(text)
        assert (link.is_symlink(), target.read_text()) == (True, text)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "link", "there"]


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o400])
def test_a_file_that_is_replaced_keeps_its_mode_and_nobody_else_reads_it_meanwhile(mode, tmp_path):
    path = tmp_path / "model.safetensors"
    path.touch()
    path.chmod(mode)
    with atomic_path(path) as temporary:
        temporary.write_text("weights")
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == mode
    lc.save(path, SMALL, weights(SMALL))
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_new_file_follows_the_umask(umask, mode, tmp_path):
    path = tmp_path / "model"
    before = os.umask(umask)
    try:
        lc.save(path, SMALL, weights(SMALL))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such files there")
def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    """`lc.save("/dev/null", ...)` as root, say."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe is not a regular file and cannot be replaced"):
        lc.save(tmp_path / "pipe", SMALL, weights(SMALL))
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("written", [None, "half of it"])
def test_atomic_path_gives_way_when_its_body_fails(written, tmp_path):
    (tmp_path / "report.csv").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "report.csv") as temporary:  # noqa: PT012
        if written is not None:
            temporary.write_text(written)
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["report.csv"]
    assert (tmp_path / "report.csv").read_text() == "old"


def test_saving_replaces_the_old_file_and_leaves_no_other(tmp_path, sound_file):
    file = tmp_path / "model.safetensors"
    for content in (b"old", None):
        if content:
            file.write_bytes(content)
        lc.save(file, SMALL, weights(SMALL))
        assert [p.name for p in tmp_path.iterdir()] == [file.name]
        assert_same(lc.load(file)[1], weights(SMALL))


@pytest.mark.parametrize("place", ["no such folder/model", "a file/model", "."])
def test_unwritable_place(place, tmp_path):
    (tmp_path / "a file").touch()
    with pytest.raises(OSError, match=r"No such file|Not a directory|is a folder: name a file"):
        lc.save(tmp_path / place, SMALL, weights(SMALL))
    assert [p.name for p in tmp_path.iterdir()] == ["a file"]
    assert list(tmp_path.parent.glob(f".{tmp_path.name}*")) == []


# What cannot be saved.


@pytest.mark.parametrize("name", ["activation", "recurrent_activation", "output_activation"])
def test_a_function_of_ones_own_cannot_be_saved(name, model_path):
    model = lc.Autoencoder(2, (3,), **{name: lambda z: z})
    with pytest.raises(ValueError, match=f"^{name} is a function of your own.*'tanh'"):
        lc.save(model_path, model, weights(model))


@pytest.mark.parametrize("model", [object(), lc.Autoencoder, type("Autoencoder", (), {})()])
def test_models_of_another_class_cannot_be_saved(model, model_path):
    with pytest.raises(TypeError, match="model must be one of lstmcore's or a dataclass"):
        lc.save(model_path, model, weights(SMALL))


WRONG_PARAMS = {
    "other layers": (weights(MODELS[3]), "params has the layers lstm_0"),
    "smaller layers": (weights(lc.Autoencoder(2, (2,))), "shape"),
    "other kinds": ({name: lc.DenseParams(*w[:2]) for name, w in weights(SMALL).items()}, "Params"),
    "no NamedTuples": ({name: tuple(w) for name, w in weights(SMALL).items()}, "LSTMParams"),
    "integers": (weights(SMALL, int), "floating point"),
    "a list": ([weights(SMALL)], "params must be a dict of layers"),
}


@pytest.mark.parametrize(("params", "message"), WRONG_PARAMS.values(), ids=WRONG_PARAMS)
def test_params_of_another_model_cannot_be_saved(params, message, tmp_path):
    with pytest.raises((ValueError, TypeError), match=message):
        lc.save(tmp_path / "model", SMALL, params)
    assert list(tmp_path.iterdir()) == []
