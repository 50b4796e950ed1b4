"""The cells of Flax, Equinox and Haiku against ours with their weights: outputs and gradients."""

from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

import lstmcore as lc
from lstmcore.interop import (
    from_equinox,
    from_flax,
    from_haiku,
    to_equinox,
    to_flax,
    to_haiku,
)

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


class Linen:
    """An LSTMCell of linen, run by nn.RNN."""

    name = "LSTMCell"

    def __init__(self, features, units):
        nn = pytest.importorskip("flax.linen")
        self.rnn = nn.RNN(getattr(nn, self.name)(units, param_dtype=jnp.result_type(float)))

    read = staticmethod(lambda weights: from_flax({"params": {"cell": weights}}))
    write = staticmethod(to_flax)

    def run(self, weights, x, **options):
        return self.rnn.apply({"params": {"cell": weights}}, x, **options)


class LinenOptimized(Linen):
    name = "OptimizedLSTMCell"


class Nnx:
    """An LSTMCell of nnx, run by nnx.RNN."""

    name, layout = "LSTMCell", "nnx"

    def __init__(self, features, units):
        self.nnx = pytest.importorskip("flax.nnx")
        cell, rngs = getattr(self.nnx, self.name), self.nnx.Rngs(0)
        self.cell = cell(features, units, param_dtype=jnp.result_type(float), rngs=rngs)

    read = staticmethod(from_flax)

    def write(self, params):
        return to_flax(params, self.layout)

    def run(self, weights, x, **options):
        cell = self.nnx.clone(self.cell)
        self.nnx.update(cell, weights)
        return self.nnx.RNN(cell, rngs=self.nnx.Rngs(0))(x, **options)


class NnxOptimized(Nnx):
    name, layout = "OptimizedLSTMCell", "nnx_optimized"


class Equinox:
    """An LSTMCell of Equinox under jax.lax.scan."""

    def __init__(self, features, units):
        self.eqx = pytest.importorskip("equinox")
        self.cell = self.eqx.nn.LSTMCell(features, units, key=jax.random.key(0))

    read, write = staticmethod(from_equinox), staticmethod(to_equinox)

    def run(self, weights, x):
        where = lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias)  # noqa: E731
        names = ("weight_ih", "weight_hh", "bias")
        cell = self.eqx.tree_at(where, self.cell, tuple(weights[name] for name in names))
        zeros = jnp.zeros(self.cell.hidden_size, x.dtype)

        def step(state, x_t):
            state = cell(x_t, state)
            return state, state[0]

        return jax.vmap(lambda x: jax.lax.scan(step, (zeros, zeros), x)[1])(x)


class Haiku:
    """An LSTM of Haiku, run by hk.dynamic_unroll."""

    def __init__(self, features, units):
        hk = pytest.importorskip("haiku")

        def unroll(x):
            core = hk.LSTM(units)
            state = jax.tree.map(lambda a: a.astype(x.dtype), core.initial_state(len(x)))
            return hk.dynamic_unroll(core, x, state, time_major=False)[0]

        self.apply = hk.transform(unroll).apply

    read, write = staticmethod(from_haiku), staticmethod(to_haiku)

    def run(self, weights, x):
        return self.apply(weights, None, x)


CELLS = [Linen, LinenOptimized, Nnx, NnxOptimized, Equinox, Haiku]
every_cell = pytest.mark.parametrize("kind", CELLS, ids=lambda kind: kind.__name__)


@contextmanager
def as_in(dtype):
    """With float64 where it is asked for; the peers mix dtypes, which our own code must not."""
    with jax.enable_x64(dtype == "float64"), jax.numpy_dtype_promotion("standard"):
        yield


@every_cell
@given(
    seed=strategies.seeds,
    batch=st.sampled_from([1, 3]),
    features=st.sampled_from([1, 3]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_outputs(kind, seed, batch, features, dtype):
    rng = np.random.default_rng(seed)
    params = strategies.random_params(rng, features, 4, dtype)
    x = rng.normal(size=(batch, 5, features)).astype(dtype)
    with as_in(dtype):
        cell = kind(features, 4)
        weights = cell.write(params)
        theirs = np.asarray(cell.run(weights, jnp.asarray(x)))
    assert theirs.dtype == dtype
    for same in (params, cell.read(weights)):
        _, trace = lc.reference.lstm(same, x)
        np.testing.assert_allclose(trace.h, theirs, atol=TOLERANCE[dtype], rtol=0)


@every_cell
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients(kind, dtype, rng):
    params = strategies.random_params(rng, 3, 4, dtype)
    x = rng.normal(size=(2, 5, 3)).astype(dtype)
    readout = rng.normal(size=(2, 5, 4)).astype(dtype)
    with as_in(dtype):
        cell = kind(3, 4)
        weights = jax.tree.map(jnp.asarray, cell.write(params))
        theirs, of_x = jax.grad(lambda w, x: (cell.run(w, x) * readout).sum(), (0, 1))(
            weights, jnp.asarray(x)
        )
        ours, our_of_x = jax.grad(lambda p, x: (lc.lstm(p, x)[1].h * readout).sum(), (0, 1))(
            jax.tree.map(jnp.asarray, params), jnp.asarray(x)
        )
        # Reading weights is linear, so that it reads gradients, too, but for what Haiku adds.
        read = cell.read(theirs)
        zeros = cell.read(jax.tree.map(jnp.zeros_like, theirs))
    np.testing.assert_allclose(our_of_x, of_x, atol=TOLERANCE[dtype], rtol=0)
    for our, their, zero in zip(ours[:3], read[:3], zeros[:3], strict=True):
        np.testing.assert_allclose(our, their - zero, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", CELLS[:4], ids=lambda kind: kind.__name__)
def test_lengths_in_flax(kind, reverse, rng):
    """Flax keeps computing past the end of a sequence, where lstmcore carries the state on."""
    params = strategies.random_params(rng, 3, 4)
    x = rng.normal(size=(3, 5, 3)).astype(np.float32)
    lengths = np.array([5, 2, 1])
    mask = np.arange(5) < lengths[:, None]
    with as_in("float32"):
        cell = kind(3, 4)
        options = {"seq_lengths": jnp.asarray(lengths), "return_carry": True}
        options |= {"reverse": True, "keep_order": True} if reverse else {}
        (c, h), outputs = cell.run(cell.write(params), jnp.asarray(x), **options)
    state, trace = lc.reference.lstm(params, x, mask=mask, reverse=reverse)
    np.testing.assert_allclose(trace.h[mask], np.asarray(outputs)[mask], atol=1e-5)
    np.testing.assert_allclose(state.h, h, atol=1e-5)
    np.testing.assert_allclose(state.c, c, atol=1e-5)


@pytest.mark.parametrize("name", ["LSTMCell", "OptimizedLSTMCell"])
def test_a_cell_of_nnx_and_its_state(name, rng):
    nnx = pytest.importorskip("flax.nnx")
    cell = getattr(nnx, name)(3, 4, rngs=nnx.Rngs(0))
    params = strategies.random_params(rng, 3, 4)
    nnx.update(cell, to_flax(params, "nnx" if name == "LSTMCell" else "nnx_optimized"))
    state = nnx.state(cell)
    rnn = nnx.RNN(cell, rngs=nnx.Rngs(0))
    for weights in (cell, state, nnx.state(cell, nnx.Param), nnx.to_pure_dict(state), rnn.cell):
        for field, array in from_flax(weights)._asdict().items():
            np.testing.assert_array_equal(array, getattr(params, field))


def test_a_cell_of_equinox_itself():
    eqx = pytest.importorskip("equinox")
    cell = eqx.nn.LSTMCell(3, 4, use_bias=False, key=jax.random.key(0))
    params = from_equinox(cell)
    assert not params.bias.any()
    assert (params.kernel == np.asarray(cell.weight_ih).T).all()
    with pytest.raises(ValueError, match="the cell: weights must have shapes"):
        from_equinox(eqx.nn.GRUCell(3, 4, key=jax.random.key(0)))
