"""Arrays of other libraries, which NumPy reads by `__array__`: PyTorch, pandas, polars."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstmcore as lc

KEY = jax.random.key(0)
PARAMS = lc.init_lstm(KEY, features=2, units=3)
VALUES = np.random.default_rng(0).normal(size=(5, 4, 2))


class Dtype:
    def __repr__(self):
        return "torch.float64"


class Tensor:
    """Array like a PyTorch tensor: shape and dtype of its own, and `__array__`."""

    dtype = Dtype()

    def __init__(self, values):
        self.values = values
        self.shape, self.ndim = values.shape, values.ndim

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        if self.values is None:
            raise RuntimeError("use tensor.detach().numpy()")
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


def test_a_table_of_pandas():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(VALUES[:, 0], columns=["a", "b"])
    params = lc.init_dense(KEY, 2, 1)
    np.testing.assert_array_equal(lc.dense(params, table), lc.dense(params, VALUES[:, 0]))


def test_what_cannot_be_read_says_what_to_write():
    unreadable = Tensor(VALUES)
    unreadable.values = None
    with pytest.raises(
        TypeError, match=r"x, Tensor, cannot be read .*detach.*array of NumPy or JAX"
    ):
        lc.lstm(PARAMS, unreadable)
    with pytest.raises(ValueError, match=r"bias must be floating point, got torch.*np.asarray"):
        lc.lstm(PARAMS._replace(bias=Tensor(np.zeros(12))), VALUES)
