"""One batch on several devices: the same training, whatever divides and whatever does not."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstmcore as lc
from lstmcore.training.devices import worthwhile

# In a process of its own, since the number of devices is settled when JAX is first used.
PROGRAM = """
from functools import partial
import jax, jax.numpy as jnp, numpy as np, lstmcore as lc

jax.config.update("jax_num_cpu_devices", COUNT)
rng = np.random.default_rng(0)
draw = lambda *shape: rng.normal(size=shape).astype(np.float32)
HIDDEN_LAYER
params = {"hidden": hidden_params, "head": lc.DenseParams(draw(4, 2), draw(2))}
x, y = (rng.normal(size=(31, 5, size)).astype(np.float32) for size in (3, 2))

def apply(params, x):
    return lc.dense(params["head"], hidden(params["hidden"], x))

def loss(params, batch):
    x, y = batch
    return jnp.mean((apply(params, x) - y) ** 2)

def train(devices, batch_size):
    return lc.fit(loss, params, (x, y), epochs=4, batch_size=batch_size, key=jax.random.key(1),
                  validation=(x[:4], y[:4]), patience=3, devices=devices)

from lstmcore.training.epochs import run_epochs

for batch_size in (2, 12, 13, 15, 31):  # alone; even parts; others; a last batch of 1; all
    alone, spread = train(None, batch_size), train(jax.devices(), batch_size)
    for a, b in zip(jax.tree.leaves(alone.params), jax.tree.leaves(spread.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        assert b.devices() == a.devices() == {jax.devices()[0]}
    for name in alone.history:
        np.testing.assert_allclose(alone.history[name], spread.history[name], rtol=1e-4)
    compiled = run_epochs._cache_size()
    train(jax.devices(), batch_size)
    assert run_epochs._cache_size() == compiled

assert compiled == 2 * 5  # one program for each batch size, alone and spread

def line(params, batch):
    return jnp.mean((batch[0] @ params - batch[1]) ** 2)

groups = lc.Buckets(((x[:20], y[:20]), (x[20:, :2], y[20:, :2])), order=np.arange(31),
                    padding=0.0)
alone, spread = (lc.fit(line, params["head"].kernel[:3], groups, epochs=3, batch_size=12,
                        key=jax.random.key(1), devices=d) for d in (None, jax.devices()))
np.testing.assert_allclose(alone.params, spread.params, atol=1e-5)
np.testing.assert_allclose(alone.history["loss"], spread.history["loss"], rtol=1e-4)

import pathlib, tempfile

folder = pathlib.Path(tempfile.mkdtemp())

def stopped_and_resumed(name, **options):
    def stop(epoch, params, losses):
        if epoch == 2:
            raise StopIteration

    train = partial(lc.fit, batch_size=12, checkpoint=folder / name, resume=True, **options)
    try:
        train(epochs=4, callback=stop)
    except StopIteration:
        return train(epochs=4)

def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)

options = dict(loss=loss, params=params, data=(x, y), key=jax.random.key(1), patience=3,
               validation=(x[:4], y[:4]), devices=jax.devices())
resumed = stopped_and_resumed("all", **options)
same(resumed, train(jax.devices(), 12))
assert all(leaf.devices() == {jax.devices()[0]} for leaf in jax.tree.leaves(resumed.params))
assert run_epochs._cache_size() == compiled + 2  # `groups`, alone and spread: none for the file

from lstmcore.training.epochs import ByExample

def for_each(params, batch):
    x, y = batch
    return jnp.mean((apply(params, x) - y) ** 2, axis=(1, 2))

for batch_size in (2, 13):  # alone; with a last batch of 5
    alone = train(None, batch_size)
    spread = lc.fit(ByExample(for_each), params, (x, y), epochs=4, batch_size=batch_size,
                    key=jax.random.key(1), validation=(x[:4], y[:4]), devices=jax.devices())
    for name in alone.history:
        np.testing.assert_allclose(alone.history[name], spread.history[name], rtol=1e-4)

import optax

for batch_size in (30, 31):  # a line search differentiates the loss by itself
    searches = [lc.fit(line, params["head"].kernel[:3], (x[:batch_size], y[:batch_size]), epochs=6,
                       batch_size=batch_size, optimizer=optax.lbfgs(), devices=d)
                for d in (None, jax.devices())]
    np.testing.assert_allclose(*(one.params for one in searches), atol=1e-4)

mesh = jax.make_mesh((COUNT,), ("b",))  # weights that the user has put on all devices
everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
placed = jax.device_put(params["head"].kernel[:3], everywhere)
trained = lc.fit(line, placed, (x, y), epochs=1, batch_size=12)
assert trained.params.shape == placed.shape

there = jax.devices()[2]  # where the user has put everything
options = jax.device_put(dict(params=params["head"], data=(x[..., :1].repeat(4, 2), y)), there)
options["loss"] = lambda params, batch: jnp.mean((lc.dense(params, batch[0]) - batch[1]) ** 2)
whole, compiled = lc.fit(epochs=4, batch_size=12, **options), run_epochs._cache_size()
resumed = stopped_and_resumed("there", **options)
same(resumed, whole)
assert run_epochs._cache_size() == compiled
assert resumed.params.kernel.devices() == {there}

def masked(params, batch):  # more real steps in some examples than in others
    x, y, lengths = batch
    real = jnp.arange(5) < lengths[:, None]
    return (((apply(params, x) - y) ** 2).mean(-1) * real).sum() / real.sum()

try:
    lengths = np.where(np.arange(31) < 6, 1, 5)
    devices = np.array(jax.devices())
    lc.fit(masked, params, (x, y, lengths), epochs=1, batch_size=12, devices=devices)
except ValueError as error:
    print(error)

try:
    train(jax.devices(), 31).params["head"].kernel + jax.device_put(x[0, 0, 0], jax.devices()[0])
    lc.use_all_cores()
except RuntimeError as error:
    print(error)
"""


# A dense layer compiles sooner than an LSTM, and to `devices` both are a function of the batch.
NETWORKS = {
    "dense": """
hidden_params = lc.DenseParams(draw(3, 4), draw(4))
hidden = lambda params, x: jnp.tanh(lc.dense(params, x))
""",
    "LSTM": """
hidden_params = lc.init_lstm(jax.random.key(0), 3, 4)
hidden = lambda params, x: lc.lstm(params, x)[1].h
""",
}


def run(program):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("network", "count"),
    [
        ("dense", 3),
        pytest.param("dense", 8, marks=pytest.mark.thorough),
        pytest.param("LSTM", 3, marks=pytest.mark.thorough),
    ],
)
def test_training_on_several_devices_is_the_same_training(network, count):
    said = run(PROGRAM.replace("HIDDEN_LAYER", NETWORKS[network]).replace("COUNT", str(count)))
    assert "with devices, loss must be a mean over the examples: it is" in said
    assert "use_all_cores() came too late" in said


def test_no_more_devices_than_a_batch_keeps_busy():
    class Device:
        def __init__(self, platform):
            self.platform = platform

    cores, chips = ((Device(platform),) * 20 for platform in ("cpu", "gpu"))
    used = [len(worthwhile(cores, examples)) for examples in (1, 7, 8, 33, 1000)]
    assert used == [1, 1, 2, 8, 20]
    assert [len(worthwhile(chips, examples)) for examples in (1, 7, 33)] == [1, 7, 20]
    assert worthwhile((), 5) == ()


def test_a_number_of_cores_that_is_none():
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        lc.use_all_cores(0)


def test_all_cores_become_devices():
    program = (
        "import os, jax, lstmcore as lc; lc.use_all_cores();"
        "cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') "
        "else os.cpu_count();"
        "print(len(jax.devices('cpu')) == cores)"
    )
    assert run(program) == "True\n"


@pytest.mark.parametrize(
    ("devices", "error", "message"),
    [
        (2, TypeError, "devices must be a list of JAX devices, got 2: write jax.devices"),
        (["cpu"], TypeError, "devices must be a list of JAX devices"),
        ([], ValueError, "devices must be different ones, at least one"),
        (2 * jax.devices()[:1], ValueError, "devices must be different ones"),
    ],
)
def test_devices_that_are_none(devices, error, message):
    params = {"w": jnp.zeros(2)}
    with pytest.raises(error, match=message):
        lc.fit(
            lambda params, x: jnp.mean(x @ params["w"]),
            params,
            np.ones((4, 2), np.float32),
            epochs=1,
            batch_size=2,
            devices=devices,
        )
