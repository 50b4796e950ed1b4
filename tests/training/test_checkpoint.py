"""Runs that survive: stopped anywhere and resumed, they end as if they had never stopped."""

import errno
import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save as to_safetensors

import lstmcore as lc
from lstmcore.batching import Buckets
from lstmcore.io.tensors import read_tensors, write_tensors
from lstmcore.training import checkpoint
from lstmcore.training import fit as fit_module

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 3)).astype(np.float32)
Y = (X @ np.array([[1.0], [-2.0], [0.5]], np.float32)) + 0.1
DATA = {"x": X, "y": Y}
START = lc.DenseParams(np.zeros((3, 1), np.float32), np.zeros(1, np.float32))
ADAM = optax.adam(0.05)
KEY = jax.random.key(1)
EPOCHS = 6


def squared_error(params, batch):
    return jnp.mean((lc.dense(params, batch["x"]) - batch["y"]) ** 2)


def fit(loss=squared_error, params=START, data=DATA, **changes):
    options = {"optimizer": ADAM, "epochs": EPOCHS, "batch_size": 3} | changes
    return lc.fit(loss, params, data, **options)


class Stopped(Exception):
    pass


def stop_after(last):
    def callback(epoch, params, losses):
        if epoch == last:
            raise Stopped

    return callback


def stopped(path, epoch, **options):
    """Leave a checkpoint behind, of a run that was stopped after this epoch."""
    with pytest.raises(Stopped) as error:
        fit(checkpoint=path, resume=True, callback=stop_after(epoch), **options)
    return error.value


def assert_same(one, other):
    """Bit for bit, of the same dtypes."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


@pytest.fixture
def every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", np.inf)


# As if it had never stopped.


class Plain(NamedTuple):
    rate: float


def plainly():
    """A state of plain numbers, as an optimizer of one's own may have."""

    def update(gradients, state, params=None):
        return jax.tree.map(lambda g: -state.rate * g, gradients), Plain(state.rate * 0.9)

    return optax.GradientTransformation(lambda params: Plain(0.1), update)


def noisy(params, batch, key=None):
    return squared_error(params, batch | {"x": lc.dropout(key, batch["x"], 0.5)})


def recurrent(params, piece, state):
    state = jnp.tanh(params.bias * state + (piece @ params.kernel).mean((1, 2)))
    return jnp.mean((state - 0.5) ** 2), state


def of_dtype(dtype):
    return {
        "params": jax.tree.map(partial(jnp.asarray, dtype=dtype), START),
        "data": jax.tree.map(partial(jnp.asarray, dtype=dtype), DATA),
    }


GROUPS = tuple({"x": X[rows, None].repeat(steps, 1), "y": Y[rows, None].repeat(steps, 1)}
               for rows, steps in ((slice(4), 2), (slice(4, 7), 3)))  # fmt: skip
KINDS = {
    "an order": {"key": KEY},
    "an old key": {"key": jax.random.PRNGKey(3)},
    "noise": {"loss": noisy, "key": KEY},
    "patience": {"validation": {"x": X, "y": -Y}, "patience": 3},
    "buckets": {"data": Buckets(GROUPS, order=np.arange(7), padding=0.0), "key": KEY},
    "pieces": {
        "loss": recurrent,
        "data": X[:, None].repeat(5, 1),
        "tbptt_steps": 2,
        "initial_state": lambda params, batch: jnp.zeros(len(batch)),
        "key": KEY,
    },
    "bfloat16": of_dtype(jnp.bfloat16),
    "a schedule": {"optimizer": optax.adam(optax.cosine_decay_schedule(0.1, 15)), "key": KEY},
    "a random optimizer": {"optimizer": optax.chain(optax.add_noise(0.1, 0.5, 7), ADAM)},
    "gradients added up": {"optimizer": optax.MultiSteps(ADAM, 5).gradient_transformation()},
    "plain numbers in bfloat16": {"optimizer": plainly(), **of_dtype(jnp.bfloat16)},
}


# What `fit` handles as it does another kind.
LIKE_OTHERS = ("an old key", "bfloat16", "a schedule", "gradients added up")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(options, marks=[pytest.mark.thorough] * (kind in LIKE_OTHERS))
        for kind, options in KINDS.items()
    ],
    ids=KINDS,
)
def test_a_stopped_run_goes_on_as_if_it_had_not(options, path):
    whole = fit(**options)
    stopped(path, 2, **options)
    assert_same(fit(checkpoint=path, resume=True, **options), whole)
    assert_same(fit(checkpoint=path, resume=True, **options), whole)  # once it is complete


def test_in_float64(path, x64):
    options = of_dtype(np.float64)
    whole = fit(**options)
    assert whole.params.kernel.dtype == np.float64
    stopped(path, 2, **options)
    assert_same(fit(checkpoint=path, resume=True, **options), whole)


@given(stops=st.lists(st.integers(1, 11), unique=True).map(sorted))
def test_however_often_it_stops(stops, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    options = {"key": KEY, "epochs": 12, "validation": DATA, "patience": 100}
    for epoch in stops:
        stopped(path, epoch, **options)
    assert_same(fit(checkpoint=path, resume=True, **options), fit(**options))
    files = [path]
    if stops:  # the file of one that never stopped is the same, byte for byte
        files.append(path.with_name("whole"))
        fit(checkpoint=files[1], **options)
    assert len({file.read_bytes() for file in files}) == 1


def test_a_state_of_another_process_is_not_compiled_anew(path):
    """What comes from the file is of the same kinds as what training began with."""
    options = {"key": KEY, "optimizer": plainly(), **of_dtype(jnp.bfloat16)}
    fit(**options)
    compiled = fit_module.run_epochs._cache_size()
    stopped(path, 3, **options)
    fit(checkpoint=path, resume=True, **options)
    assert fit_module.run_epochs._cache_size() == compiled


def test_a_complete_run_is_returned_at_once(path):
    seen = []
    whole = fit(checkpoint=path)
    before = path.stat()
    result = fit(checkpoint=path, resume=True, callback=lambda *call: seen.append(call))
    assert_same(result, whole)
    assert (seen, path.stat()) == ([], before)
    patient = {"validation": {"x": X, "y": -Y}, "patience": 2, "epochs": 500}
    other = path.with_name("other")
    whole = fit(checkpoint=other, **patient)
    assert len(whole.history["loss"]) < 500
    result = fit(checkpoint=other, resume=True, callback=lambda *call: seen.append(call), **patient)
    assert_same(result, whole)
    assert seen == []


def test_longer_and_more_patiently(path):
    fit(checkpoint=path, epochs=3)
    seen = []
    longer = fit(checkpoint=path, resume=True, callback=lambda epoch, *_: seen.append(epoch))
    assert_same(longer, fit())
    assert seen == [4, 5, 6]
    far = {"validation": {"x": X, "y": -Y}, "epochs": 200}
    path.unlink()
    fit(checkpoint=path, patience=2, **far)
    assert_same(fit(checkpoint=path, resume=True, patience=4, **far), fit(patience=4, **far))


def test_starting_values_of_a_resumed_run_do_not_matter(path):
    stopped(path, 2)
    other = jax.tree.map(lambda leaf: leaf + 1, START)
    assert_same(fit(params=other, checkpoint=path, resume=True), fit())


def test_the_bar_of_a_resumed_run_begins_where_it_stopped(path, capsys):
    stopped(path, 4)
    fit(checkpoint=path, resume=True, progress=True)
    assert "6/6" in capsys.readouterr().err


# When the file is written, and what it says.


@pytest.fixture
def writes(monkeypatch):
    """The epochs that were written, one after the other."""
    epochs = []

    def counting(path, tensors, metadata):
        epochs.append(int(tensors["training.epoch"]))
        write_tensors(path, tensors, metadata)

    monkeypatch.setattr(checkpoint, "write_tensors", counting)
    return epochs


def test_written_at_first_and_at_the_end(path, writes):
    fit(checkpoint=path, callback=lambda *_: None)
    assert writes == [1, EPOCHS]
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    fit(checkpoint=path, resume=True)
    assert writes == [1, EPOCHS]
    path.unlink()
    stopped(path, 1)  # the first epoch is not written twice
    assert writes == [1, EPOCHS, 1]


@pytest.mark.usefixtures("every_epoch")
def test_written_when_its_time_has_come(path, writes):
    fit(checkpoint=path, callback=lambda *_: None)
    assert writes == [1, 2, 3, 4, 5, 6]


def test_slow_writes_are_rare(path, monkeypatch):
    """A file that takes a second to write is written every 20 s, not every 10."""
    now, epochs = [0.0], []

    def slow(*_):
        now[0] += 1.0
        epochs.append(now[0])

    monkeypatch.setattr(checkpoint, "write_tensors", slow)
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])

    def one_second(*_):
        now[0] += 1.0

    fit(checkpoint=path, callback=one_second, epochs=65)
    assert np.diff(epochs[:-1]).min() >= 20


def test_the_file_explains_itself(path):
    stopped(path, 2, key=KEY, patience=5, validation=DATA)
    metadata, tensors = read_tensors(path)
    run = json.loads(metadata["lstmcore_checkpoint"])["run"]
    assert (run["epochs"], run["batch_size"], run["patience"]) == (EPOCHS, 3, 5)
    assert run["key"] == "threefry2x32 [0, 1]"
    assert run["data"].startswith("['x'] float32[7, 3], ['y'] float32[7, 1] (digest ")
    assert (run["lstmcore"], run["jax"]) == (lc.__version__, jax.__version__)
    two = fit(epochs=2, key=KEY, validation=DATA)
    np.testing.assert_array_equal(tensors["training.params.kernel"], two.params.kernel)
    np.testing.assert_array_equal(tensors["history['loss']"], two.history["loss"])
    assert tensors["training.epoch"] == 2


def test_nothing_is_written_for_arguments_that_are_wrong(path):
    with pytest.raises(TypeError, match="optimizer must be one of optax"):
        fit(checkpoint=path, optimizer="adam")
    assert list(path.parent.iterdir()) == []


def test_leftovers_of_killed_writes_of_this_file_are_removed(path):
    mine = path.with_name(f".{path.name}-0123abcd.safetensors")
    others = [f".{name}-0123abcd.safetensors" for name in ("run", "other", "run.safetensors-x")]
    for name in (mine.name, *others):
        path.with_name(name).write_bytes(b"half of it")
    fit(checkpoint=path)
    assert {file.name for file in path.parent.iterdir()} == {path.name, *others}


# Two runs at once.

HOLDS = """
import sys, pathlib
from lstmcore.io.locks import alone
with alone(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_with_the_same_checkpoint_is_refused(path):
    """Also by another name; and the first one goes on unharmed."""
    refused = []
    (path.parent / "link").symlink_to(path)

    def callback(epoch, params, losses):
        for name in (path, path.parent / "link"):
            with pytest.raises(ValueError, match="another run writes to the checkpoint") as error:
                fit(checkpoint=name, resume=True)
            refused.append(error)

    result = fit(checkpoint=path, callback=callback)
    assert_same(result, fit())
    assert len(refused) == 2 * EPOCHS
    assert {file.name for file in path.parent.iterdir()} == {path.name, "link"}
    fit(checkpoint=path, resume=True)


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
def test_a_process_that_is_killed_lets_go_of_its_checkpoint(path):
    command = [sys.executable, "-c", HOLDS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(
            ValueError, match=r"another run writes to the checkpoint .* wait for its"
        ):
            fit(checkpoint=path)
        process.kill()
    fit(checkpoint=path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_of_the_name_of_the_lock_is_not_deleted(path):
    beside = path.with_name(f".{path.name}.lock")
    beside.write_text("mine")
    fit(checkpoint=path)
    assert beside.read_text() == "mine"


# Interrupted.


def notes(error):
    return getattr(error, "__notes__", [])


def says_how_to_go_on(path, epoch):
    return (
        f"(the state after epoch {epoch} is in {path}: fit(..., checkpoint=..., resume=True) "
        "goes on)"
    )


def test_what_callback_raises_says_how_to_go_on(path):
    error = stopped(path, 4)
    assert notes(error) == [
        says_how_to_go_on(path, 4),
        "(params after epoch 4 are in this error's .result)",
    ]
    assert_same(error.result, fit(epochs=4))


@pytest.mark.parametrize("complete", [0, 3])
def test_ctrl_c_in_the_middle_of_an_epoch(complete, path, monkeypatch):
    run_epochs = fit_module.run_epochs

    def interrupted(training, until, **arguments):
        if training.epoch == complete:
            raise KeyboardInterrupt
        return run_epochs(training, training.epoch + 1, **arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "run_epochs", interrupted)
        patch.setattr(fit_module, "SECONDS_PER_CALL", 0.0)
        with pytest.raises(KeyboardInterrupt) as error:
            fit(checkpoint=path, key=KEY)
    assert path.exists() == bool(complete)
    assert (says_how_to_go_on(path, complete) in notes(error.value)) == bool(complete)
    assert_same(fit(checkpoint=path, resume=True, key=KEY), fit(key=KEY))


@pytest.mark.usefixtures("every_epoch")
def test_ctrl_c_while_the_file_is_written(path, monkeypatch):
    """The write is done again; a second Ctrl-C ends that too, and neither loses anything."""
    presses = []

    def pressed(path, *arguments):
        write_tensors(path, *arguments)
        if path.exists() and presses:
            raise presses.pop()

    monkeypatch.setattr(checkpoint, "write_tensors", pressed)
    presses[:] = [KeyboardInterrupt("first")]
    with pytest.raises(KeyboardInterrupt, match="first") as error:
        fit(checkpoint=path, key=KEY)
    done = len(error.value.result.history["loss"])
    assert says_how_to_go_on(path, done) in notes(error.value)
    presses[:] = [KeyboardInterrupt("second"), KeyboardInterrupt("first")]
    with pytest.raises(KeyboardInterrupt, match="second") as error:
        fit(checkpoint=path, resume=True, key=KEY)
    assert len(error.value.result.history["loss"]) > done
    assert_same(fit(checkpoint=path, resume=True, key=KEY), fit(key=KEY))


# Numbers out of hand.


def test_a_run_that_diverged_can_go_on_from_before(path, monkeypatch):
    monkeypatch.setattr(fit_module, "SECONDS_PER_CALL", 0.0)

    def root(params, x):  # its gradient drives w below 0, where there is none
        return jnp.sqrt(params["w"]).mean() + 0.0 * x.mean()

    options = {"loss": root, "params": {"w": np.ones(1, np.float32)}, "data": X, "batch_size": 7}
    options |= {"checkpoint": path, "resume": True, "epochs": 9}
    with pytest.raises(lc.NonFiniteLossError) as error:
        fit(optimizer=optax.sgd(0.5), **options)
    done = len(error.value.result.history["loss"])
    assert 2 < done < 9
    assert notes(error.value) == [says_how_to_go_on(path, 1)]
    with pytest.raises(lc.NonFiniteLossError) as again:
        fit(optimizer=optax.sgd(0.5), **options)
    assert_same(again.value.result, error.value.result)
    assert str(again.value) == str(error.value)
    result = fit(optimizer=optax.sgd(1e-3), **options)
    assert len(result.history["loss"]) == 9
    assert result.history["loss"][0] == error.value.result.history["loss"][0]
    assert (np.diff(result.history["loss"]) < 0).all()


def test_divergence_in_the_first_epoch_leaves_no_file(path):
    with pytest.raises(lc.NonFiniteLossError, match="in epoch 1 of 6") as error:
        fit(checkpoint=path, data=DATA | {"x": X * np.nan})
    assert notes(error.value) == []
    assert list(path.parent.iterdir()) == []


# A disk that is full, or is no place to write to.


@contextmanager
def no_files_above_a_page():
    """The system refuses to write more, as it refuses on a full disk; yields `begin`."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


BIG = {
    "loss": lambda params, x: jnp.mean((params["w"] - x.mean()) ** 2),
    "params": {"w": np.zeros(10_000, np.float32)},
    "data": X,
}


def test_a_full_disk_is_found_out_before_training_starts(path):
    with no_files_above_a_page() as begin:
        begin()
        with pytest.raises(OSError, match=r"cannot write the checkpoint .*choose another pl") as e:
            fit(checkpoint=path, callback=stop_after(1), **BIG)
    assert e.value.errno == errno.EFBIG
    assert list(path.parent.iterdir()) == []


@pytest.mark.usefixtures("every_epoch")
def test_a_disk_that_fills_up_while_it_trains(path):
    message = r"File too large\): that of epoch 3 is still there"
    with no_files_above_a_page() as begin, pytest.raises(OSError, match=message) as error:
        fit(checkpoint=path, callback=lambda epoch, *_: epoch < 3 or begin(), **BIG)
    assert str(path) in str(error.value)
    assert error.value.errno == errno.EFBIG
    assert notes(error.value) == ["(params after epoch 4 are in this error's .result)"]
    assert_same(error.value.result, fit(epochs=4, **BIG))
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    seen = []
    resumed = fit(checkpoint=path, resume=True, callback=lambda *call: seen.append(call[0]), **BIG)
    assert seen == [4, 5, 6]
    assert_same(resumed, fit(**BIG))


def full(path, *_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_first_write_fails(path, monkeypatch):
    monkeypatch.setattr(checkpoint, "write_tensors", full)
    with pytest.raises(OSError, match=r"\(No space left on device\): there is none") as error:
        fit(checkpoint=path, callback=lambda *_: None)
    assert error.value.errno == errno.ENOSPC
    assert_same(error.value.result, fit(epochs=1))


def test_ctrl_c_with_a_full_disk_is_still_ctrl_c(path, monkeypatch):
    def callback(epoch, params, losses):
        if epoch == 3:
            monkeypatch.setattr(checkpoint, "write_tensors", full)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as error:
        fit(checkpoint=path, callback=callback)
    assert notes(error.value)[0] == (
        f"(cannot write the checkpoint {path} (No space left on device): that of epoch 1 is still "
        "there)"
    )
    assert_same(error.value.result, fit(epochs=3))
    monkeypatch.undo()
    assert_same(fit(checkpoint=path, resume=True), fit())


@pytest.mark.parametrize(
    ("place", "reason"),
    [("no such folder/run", "No such file"), ("a file/run", "Not a directory")],
)
@pytest.mark.parametrize("resume", [True, False])
def test_no_place_to_write_to(place, reason, resume, tmp_path):
    (tmp_path / "a file").touch()
    with pytest.raises(OSError, match=rf"cannot write the checkpoint .*{place} \({reason}"):
        fit(checkpoint=tmp_path / place, resume=resume)
    assert [file.name for file in tmp_path.iterdir()] == ["a file"]


def test_a_folder_that_goes_away_while_it_trains(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()

    def callback(epoch, params, losses):
        if epoch == 2:
            shutil.rmtree(folder)

    with pytest.raises(OSError, match=r"cannot write the checkpoint .*run \(No such file") as error:
        fit(checkpoint=folder / "run", callback=callback)
    assert_same(error.value.result, fit())


# Files that are of another run, or none.

DIFFERENCES = {
    "data": ({"data": DATA | {"x": X + 1}}, r"data was \['x'\] float32\[7, 3\].* but is \['x'\] f"),
    "less data": ({"data": {"x": X[:5], "y": Y[:5]}}, r"data was .* but is \['x'\] float32\[5, 3"),
    "a key": ({"key": jax.random.key(2)}, r"key was threefry2x32 \[0, 1\], but is .*\[0, 2\] now"),
    "no key": ({"key": None}, r"key was threefry2x32 \[0, 1\], but is None now"),
    "batch size": ({"batch_size": 2}, "batch_size was 3, but is 2 now; pass the same to go on"),
    "no validation": ({"validation": None}, "validation was .* but is None now"),
    "validation": ({"validation": DATA | {"y": -Y}}, "validation was .* but is "),
    "less patience": ({"patience": 4}, "patience was 5, but is 4 now; it may be larger to go on"),
    "no patience": ({"patience": None}, "patience was 5, but is None now"),
    "optimizer": ({"optimizer": optax.sgd(0.1)}, r"optimizer_state\[0\].count is int32\[\] there"),
    "fewer epochs": ({"epochs": 1}, "was trained for 2 epochs already, but epochs is 1: pass as m"),
}
RUN = {"key": KEY, "validation": DATA, "patience": 5}


@pytest.mark.parametrize(("changes", "message"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_files_of_another_run(changes, message, path):
    stopped(path, 2, **RUN)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=message) as error:
        fit(checkpoint=path, resume=True, **RUN | changes)
    assert str(path) in str(error.value)
    assert path.read_bytes() == content


def test_params_of_another_shape(path):
    stopped(path, 2, **BIG)
    message = (
        r"of other params .*: params\['w'\] is float32\[10000\] there, but float32\[9\] here; pa"
    )
    with pytest.raises(ValueError, match=message):
        fit(checkpoint=path, resume=True, **BIG | {"params": {"w": np.zeros(9, np.float32)}})
    both = BIG["params"] | {"b": np.zeros(9, np.float32)}
    with pytest.raises(ValueError, match=r"params\['b'\] is missing there, but float32\[9\] here"):
        fit(checkpoint=path, resume=True, **BIG | {"params": both})


def test_pieces_of_another_length(path):
    stopped(path, 2, **KINDS["pieces"])
    with pytest.raises(ValueError, match="tbptt_steps was 2, but is 3 now; pass the same to go on"):
        fit(checkpoint=path, resume=True, **KINDS["pieces"] | {"tbptt_steps": 3})


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "run"
    stopped(path, 2)
    return path.read_bytes()


@given(st.data())
def test_cut_anywhere(sound, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "cut"
    path.write_bytes(sound[: data.draw(st.integers(0, len(sound) - 1))])
    with pytest.raises(ValueError, match=r"cut is not a complete safetensors file"):
        fit(checkpoint=path, resume=True)


def test_any_byte_changed(sound, tmp_path, rng):
    path, whole, harmless = tmp_path / "changed", fit(epochs=2), 0
    positions = rng.choice(len(sound), 200, replace=False)
    for position in positions:
        changed = bytearray(sound)
        changed[position] ^= 1
        path.write_bytes(changed)
        try:
            result = fit(checkpoint=path, resume=True, epochs=2)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert_same(result, whole)
            harmless += 1
    assert harmless < len(positions) / 20  # one blank for another between the words of the header


FORGED = {  # with a digest that fits: (changed arrays, message)
    "losses as integers": (
        lambda t: {"history['loss']": t["history['loss']"].view(np.int32)},
        r"history\['loss'\] is int32\[2\] there, but float32\[2\] here",
    ),
    "losses with two axes": (
        lambda t: {"history['loss']": t["history['loss']"][:, None]},
        r"history\['loss'\] is float32\[2, 1\] there, but float32\[0\] here",
    ),
    "no losses, very often": (
        lambda t: {"history['loss']": np.zeros((10**8, 0), np.float32)},
        r"history\['loss'\] is float32\[100000000, 0\] there",
    ),
    "other losses": (
        lambda t: {"history['gain']": t["history['loss']"]},
        r"history\['gain'\] is float32\[2\] there, but missing here",
    ),
    "more losses than epochs": (
        lambda t: {"history['loss']": np.ones(3, np.float32)},
        "its epochs do not agree with its losses",
    ),
    "fewer than no epochs": (
        lambda t: {"training.epoch": np.int32(-2)},
        "its epochs do not agree with its losses",
    ),
    "the best epoch to come": (
        lambda t: {"training.best_epoch": np.int32(5)},
        "its epochs do not agree with its losses",
    ),
    "not finite": (lambda t: {"training.finite": np.bool_(False)}, "its epochs do not agree"),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged(case, sound, path):
    change, message = FORGED[case]
    path.write_bytes(sound)
    metadata, tensors = read_tensors(path)
    write_tensors(path, tensors | change(tensors), metadata)
    with pytest.raises(ValueError, match=f"{path.name} is .*{message}"):
        fit(checkpoint=path, resume=True)


DESCRIBED = {  # what is wrong: (changes of the description, message)
    "earlier format": ({"format": 1}, "version of lstmcore, .*: go on with that version, or rem"),
    "no format": ({"format": None}, "is of another version of lstmcore"),
    "patience a word": ({"patience": "five"}, "is of another run: patience was five, but is None"),
    "data of another length": ({"data": "x" * 9000}, r"data was x{98}\.\.\.x{49}, but is"),
}


@pytest.mark.parametrize("case", DESCRIBED)
def test_forged_description(case, sound, path):
    changes, message = DESCRIBED[case]
    path.write_bytes(sound)
    metadata, tensors = read_tensors(path)
    run = json.loads(metadata["lstmcore_checkpoint"])["run"] | changes
    write_tensors(path, tensors, {"lstmcore_checkpoint": json.dumps({"run": run})})
    with pytest.raises(ValueError, match=message) as error:
        fit(checkpoint=path, resume=True)
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 600


def test_a_file_from_before_tbptt_steps_had_that_name(sound, path):
    path.write_bytes(sound)
    metadata, tensors = read_tensors(path)
    run = json.loads(metadata["lstmcore_checkpoint"])["run"]
    run["chunk"] = run.pop("tbptt_steps")
    write_tensors(path, tensors, {"lstmcore_checkpoint": json.dumps({"run": run})})
    assert_same(fit(checkpoint=path, resume=True), fit())


def test_files_of_another_kind(path):
    model = lc.StackedLSTM(1, 2, outputs=1)
    lc.save(path, model, model.init(KEY))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"is no checkpoint: such files come from lc\.fit"):
        fit(checkpoint=path, resume=True)
    with pytest.raises(FileExistsError, match=r"already a file .*pass resume=True to go on from"):
        fit(checkpoint=path)
    assert path.read_bytes() == before
    for content in (b"", b"epoch,loss\n1,2\n", to_safetensors({"a": X}) + b"more"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is not a complete safetensors file"):
            fit(checkpoint=path, resume=True)


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match=r"resume goes on from a checkpoint: name its file"):
        fit(resume=True)
    with pytest.raises(TypeError, match="checkpoint must be the path of a file, got int"):
        fit(checkpoint=3)
    with pytest.raises(IsADirectoryError, match="is a folder: name a file in it"):
        fit(checkpoint=tmp_path, resume=True)
    small = {"w": jnp.zeros(3, jnp.float8_e4m3fn)}
    with pytest.raises(TypeError, match=r"params\['w'\] is float8_e4m3fn, which a checkpoint can"):
        fit(lambda p, x: p["w"].astype("float32").sum(), small, X, checkpoint=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
