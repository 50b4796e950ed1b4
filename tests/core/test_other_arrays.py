"""Arrays of other libraries, read or refused by name: PyTorch, pandas, polars, xarray, scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstmcore as lc
from lstmcore import chain as C
from lstmcore import reference, study

KEY = jax.random.key(0)
PARAMS = lc.init_lstm(KEY, features=2, units=3)
VALUES = np.random.default_rng(0).normal(size=(5, 4, 2))


class Dtype:
    def __repr__(self):
        return "torch.float64"


class Tensor:
    """Array like a PyTorch tensor: shape and dtype of its own, and `__array__`."""

    dtype = Dtype()

    def detach(self):
        raise NotImplementedError

    def __init__(self, values):
        self.values = values
        self.shape, self.ndim = values.shape, values.ndim

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        if self.values is None:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return np.asarray(self.values, dtype)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: lc.lstm(PARAMS, x)[1].h,
        lambda x: lc.bidirectional(PARAMS, PARAMS, x)[1][1].h,
        lambda x: lc.dense(lc.init_dense(KEY, 2, 3), x),
        lambda x: MODEL.apply(MODEL.init(KEY), x)[0],
    ],
    ids=["lstm", "bidirectional", "dense", "model"],
)
def test_they_are_read_in_the_dtype_of_the_params(call):
    found = call(Tensor(VALUES))
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, call(VALUES.astype(np.float32)))


MODEL = lc.Autoencoder(features=2, units=3)


def test_single_steps_and_tokens():
    state = lc.zero_state(5, 3)
    found, expected = (
        lc.lstm_step(PARAMS, x, state)[0].h for x in (Tensor(VALUES[:, 0]), VALUES[:, 0])
    )
    np.testing.assert_array_equal(found, expected)
    table, ids = lc.init_embedding(KEY, 9, 2), np.array([[1, 2]])
    np.testing.assert_array_equal(lc.embedding(table, Tensor(ids))[0], lc.embedding(table, ids)[0])


def test_data_to_train_on():
    def loss(params, batch):
        return jnp.mean(lc.dense(params, batch["x"]) ** 2)

    params, narrow = lc.init_dense(KEY, 2, 1), VALUES[:, 0].astype(np.float32)
    found, expected = (
        lc.fit(loss, params, {"x": x}, epochs=2, batch_size=5).history["loss"]
        for x in (Tensor(narrow), narrow)
    )
    np.testing.assert_array_equal(found, expected)


def tensors(tree):
    return jax.tree.map(lambda leaf: Tensor(np.asarray(leaf)), tree)


STATE = lc.LSTMState(*np.ones((2, 5, 3), np.float32))
MASK = np.arange(4) < np.arange(1, 6)[:, None]
DENSE, TABLE = lc.init_dense(KEY, 2, 3), lc.init_embedding(KEY, 9, 2)
CHAIN = lc.Chain([C.LSTM(3), C.LayerNorm(), C.Dense(1)], features=2)
FORECASTER = lc.Forecaster(2, 3, horizon=2, future_covariates=1)
SEQ2SEQ = lc.Seq2Seq(9, 9, 3, embedding=2)
STACKED = lc.StackedLSTM(2, 3, outputs=1)
IDS = np.array([[1, 2, 3], [4, 5, 0]])
TRACE = lc.lstm(PARAMS, VALUES)[1]
X = VALUES.astype(np.float32)


@pytest.mark.parametrize(
    "call",
    [
        lambda read: lc.lstm(read(PARAMS), X, read(STATE), mask=read(MASK))[1].h,
        lambda read: lc.lstm(PARAMS, X, recurrent_dropout=read(STATE.h))[1].h,
        lambda read: (
            lc.lstm(PARAMS, X, zoneout=read(jax.tree.map(lambda s: s[:, None], STATE)))[1].h
        ),
        lambda read: lc.lstm_step(read(PARAMS), X[:, 0], read(STATE))[0].h,
        lambda read: reference.lstm(read(PARAMS), read(X), read(STATE), mask=read(MASK))[1].h,
        lambda read: lc.length_mask(read(np.array([1, 3])), 4),
        lambda read: reference.length_mask(read(np.array([1, 3])), 4),
        lambda read: lc.dense(read(DENSE), read(VALUES)),
        lambda read: reference.dense(read(DENSE), read(X)),
        lambda read: lc.embedding(read(TABLE), read(IDS))[0],
        lambda read: lc.attend(None, read(X), read(X), mask=read(MASK))[0],
        lambda read: lc.repeat_vector(read(X[:, 0]), 2),
        lambda read: lc.cross_entropy(read(X), read(MASK.astype(int)), read(MASK)),
        lambda read: lc.quantile_loss(read(X), read(X[..., 0]), (0.1, 0.9)),
        lambda read: CHAIN.apply(read(CHAIN.init(KEY)), read(X), mask=read(MASK))[0],
        lambda read: STACKED.apply(read(STACKED.init(KEY)), read(X), mask=read(MASK))[0],
        lambda read: FORECASTER.apply(read(FORECASTER.init(KEY)), read(X), read(X[:, :2, :1]))[0],
        lambda read: SEQ2SEQ.apply(read(SEQ2SEQ.init(KEY)), read(IDS), read(IDS))[0],
        lambda read: lc.stream(STACKED, read(STACKED.init(KEY)), 5).step(read(X), read(MASK))[0],
        lambda read: lc.rollout(
            lambda p, x, s: (x * p, s), *read((X[0, 0, :1], X, X[:, 0])), steps=2
        ),
        lambda read: lc.greedy(
            lambda p, _, s: (s @ p, s), *read((np.ones((2, 4), np.float32), X[:, 0])), max_length=2
        )[2],
        lambda read: (
            study.gate_gradients(
                jnp.sum, STACKED.apply, read(STACKED.init(KEY)), read(X), mask=read(MASK)
            )["lstm_0"].forget
        ),
        lambda read: study.ablation_sweep(
            STACKED.apply, read(STACKED.init(KEY)), read(X), jnp.mean, ("gate",), mask=read(MASK)
        ).effect["all"],
        lambda read: study.gradient_flow(read(PARAMS), read(X), read(STATE), mask=read(MASK)).h,
        lambda read: study.correlation(TRACE, read(X[..., 0]), read(MASK)).r.h,
        lambda read: study.run(STACKED, read(STACKED.init(KEY)), read(X), read(MASK)).outputs,
    ],
)
def test_everything_that_is_an_array_may_be_a_tensor(call):
    np.testing.assert_allclose(call(tensors), call(lambda tree: tree), rtol=1e-6)


def test_training_on_tensors():
    x, y = X[:, :, :1].repeat(8, axis=0), MASK.repeat(8, axis=0).astype(int)
    model = lc.Chain([C.LSTM(3), C.Dense(2)], features=1)
    plain, of_tensors = (
        lc.train(model, *read((x, y)), mask=read(y > 0), epochs=1)
        for read in (lambda tree: tree, tensors)
    )
    assert of_tensors.metrics == plain.metrics
    found = of_tensors.predict(tensors(x), tensors(y > 0))
    np.testing.assert_array_equal(found, plain.predict(x, y > 0))


class Only:
    """Array with one of the protocols alone."""

    def __init__(self, values, protocol):
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim
        self.values = values
        if protocol == "__array_interface__":
            self.__array_interface__ = values.__array_interface__
        elif protocol == "__cuda_array_interface__":
            self.__cuda_array_interface__ = {"shape": values.shape}


class Exchanged(Only):
    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


def test_protocols_of_arrays():
    pandas, polars, xarray = map(pytest.importorskip, ("pandas", "polars", "xarray"))
    expected = lc.lstm(PARAMS, X)[1].h
    for x in (
        Only(X, "__array_interface__"),
        Exchanged(X, None),
        xarray.DataArray(X, dims=("window", "time", "column")),
        np.require(X, requirements="F"),
    ):
        np.testing.assert_array_equal(lc.lstm(PARAMS, x)[1].h, expected)
    for lengths in (pandas.Series([1, 3]), polars.Series([1, 3]), np.array([1, 3]), [1, 3]):
        assert lc.length_mask(lengths, 3).sum() == 4
        assert reference.length_mask(lengths, 3).sum() == 4


def frames():
    pandas, polars = map(pytest.importorskip, ("pandas", "polars"))
    columns = {"a": X[:, 0, 0], "b": X[:, 0, 1]}
    return [pandas.DataFrame(columns), polars.DataFrame(columns), polars.LazyFrame(columns)]


@pytest.mark.parametrize("kind", range(3), ids=["pandas", "polars", "lazy"])
def test_data_frames_would_lose_their_names(kind):
    frame = frames()[kind]
    to_numpy = r"\.collect\(\)\.to_numpy" if kind == 2 else r"\.to_numpy"
    calls = {
        "x": [
            lambda: lc.lstm(PARAMS, frame),
            lambda: lc.dense(DENSE, frame),
            lambda: reference.dense(DENSE, frame),
            lambda: lc.train(CHAIN, frame, IDS),
            lambda: FITTED.predict(frame),
        ],
        "ids": [lambda: lc.embedding(TABLE, frame)],
        "y": [lambda: lc.train(STACKED, X, frame)],
        "data": [lambda: lc.fit(lambda p, b: 0.0, DENSE, {"x": frame}, epochs=1, batch_size=2)],
        "table": [lambda: lc.windows(frame, 2)],
        "mask": [lambda: lc.lstm(PARAMS, X, mask=frame)],
    }
    for name, each in calls.items():
        message = (
            f"^{name} is a .*Frame of .* would be lost here: pass {name}{to_numpy}.*order that"
        )
        for call in each:
            with pytest.raises(TypeError, match=message):
                call()


FITTED = lc.Fitted(STACKED, STACKED.init(KEY), {}, {}, classes=False)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (X.tolist(), TypeError, r"x must be an array .*got list: convert it.*np.asarray\(x\)"),
        (np.ma.masked_less(X, 0), TypeError, r"x is a masked array.*x.filled\(0\).*mask="),
        (Only(X, "__cuda_array_interface__"), TypeError, "x, Only, lies on a GPU"),
        (X.astype(object), ValueError, "x must be floating point, got object"),
        (X.astype(str), ValueError, "x must be floating point, got <U32"),
        (X.astype(complex), ValueError, "x must be floating point, got complex128"),
        (X.astype("datetime64[s]"), ValueError, "x must be floating point, got datetime64"),
    ],
    ids=["list", "masked", "cuda", "object", "text", "complex", "datetime"],
)
def test_what_is_no_array_of_numbers_is_refused_by_name(x, error, message):
    for call in (
        lambda: lc.lstm(PARAMS, x),
        lambda: reference.lstm(PARAMS, x),
        lambda: CHAIN.apply(CHAIN.init(KEY), x),
    ):
        with pytest.raises(error, match=message):
            call()


def test_sparse_arrays_are_refused_by_name():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"x is sparse, csr_array: write x.toarray\(\)"):
        lc.dense(DENSE, sparse.csr_array(X[:, 0]))
    with pytest.raises(TypeError, match="data is sparse"):
        lc.fit(lambda p, b: 0.0, DENSE, sparse.csr_array(X[:, 0]), epochs=1, batch_size=2)
    with pytest.raises(TypeError, match="the arrays of data must hold numbers, got <U32"):
        lc.fit(lambda p, b: 0.0, DENSE, X.astype(str), epochs=1, batch_size=2)


def added(x):
    return jax.tree.map(lambda leaf: leaf + x.sum(), FITTED.params)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("x", lambda x: reference.lstm(PARAMS, x)),
        ("params.kernel", lambda x: reference.lstm(PARAMS._replace(kernel=x[0, :, :, None]), X)),
        ("mask", lambda x: reference.lstm(PARAMS, X, mask=x[..., 0] > 0)),
        ("state.h", lambda x: reference.lstm(PARAMS, X, STATE._replace(h=x[:, :3, 0]))),
        ("x", lambda x: reference.dense(DENSE, x)),
        ("ids", lambda x: reference.embedding(TABLE, x[..., 0].astype(int))),
        ("queries", lambda x: reference.attend(None, x, x)),
        ("x", lambda x: STACKED.apply(FITTED.params, x, ops=reference)),
        ("table", lambda x: lc.windows(x[:, 0], 2)),
        ("x", lambda x: FITTED.predict(x)),
        ("mask", lambda x: FITTED.predict(X, x[..., 0] > 0)),
        ("x", lambda x: lc.train(STACKED, x, X[..., :1])),
        ("y", lambda x: lc.train(STACKED, X, x[..., :1])),
        ("data", lambda x: lc.fit(lambda p, b: 0.0, DENSE, x, epochs=1, batch_size=2)),
        ("params", lambda x: lc.fit(lambda p, b: 0.0, x, X, epochs=1, batch_size=2)),
        ("params", lambda x: lc.save("never", STACKED, added(x))),
        ("params", lambda x: lc.export(STACKED, added(x), "never")),
    ],
)
def test_tracers_have_no_values(name, call):
    with pytest.raises(TypeError, match=rf"^{name} is being traced by JAX.*outside of jax.jit, ja"):
        jax.jit(lambda x: call(x))(X)


def test_what_cannot_be_read_says_what_to_write():
    unreadable = Tensor(VALUES)
    unreadable.values = None
    with pytest.raises(
        TypeError,
        match=r"x, Tensor, cannot be read .*requires grad.*write x\.detach\(\)\.cpu\(\)\.numpy",
    ):
        lc.lstm(PARAMS, unreadable)
    with pytest.raises(TypeError, match=r"^params\.bias, Tensor, cannot be read as an array"):
        lc.lstm(PARAMS._replace(bias=unreadable), VALUES)


RAGGED = [np.ones((3, 2)), np.ones((5, 2))]


@pytest.mark.parametrize("kind", [list, tuple, lambda each: np.array([*each, None], object)[:2]])
def test_sequences_of_unequal_lengths_are_to_be_padded(kind):
    message = r"^x must be an array.* 2 sequences of unequal lengths: pad them .*lc.length_mask"
    for call in (lambda x: lc.lstm(PARAMS, x), lambda x: lc.train(CHAIN, x, [0, 1])):
        with pytest.raises(TypeError, match=message):
            call(kind(RAGGED))
