"""Dense, embedding, repeat vector, time-distributed: laws and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chance import assert_drawn_from
from hypothesis import given
from scipy import stats
from strategies import seeds

import lstmcore as lc


def dense_params(seed=0, features=3, units=2):
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(features, units)).astype(np.float32)
    return lc.DenseParams(kernel, rng.normal(size=units).astype(np.float32))


@given(seeds)
def test_time_distributed_dense_is_dense_at_each_step(seed):
    params = dense_params(seed)
    x = np.random.default_rng(seed).normal(size=(2, 4, 3)).astype(np.float32)
    together = lc.time_distributed(lambda x_t: lc.dense(params, x_t), x)
    assert together.shape == (2, 4, 2)
    for t in range(4):
        np.testing.assert_allclose(together[:, t], lc.dense(params, x[:, t]), rtol=1e-5)
    np.testing.assert_allclose(together, lc.dense(params, x), rtol=1e-5, atol=1e-6)


def test_time_distributed_takes_any_function_of_a_step():
    x = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    low, high = lc.time_distributed(lambda x_t: (x_t.min(axis=-1), x_t.max(axis=-1)), x)
    np.testing.assert_array_equal(low, x.min(axis=-1))
    np.testing.assert_array_equal(high, x.max(axis=-1))


def test_repeat_vector():
    x = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    repeated = lc.repeat_vector(x, 4)
    assert repeated.shape == (2, 4, 3)
    np.testing.assert_array_equal(repeated, np.stack([x] * 4, axis=1))
    assert lc.repeat_vector(x, 0).shape == (2, 0, 3)


def test_init_dense_is_kerass():
    params = lc.init_dense(jax.random.key(0), 300, 200)
    assert np.abs(params.kernel).max() <= np.sqrt(6 / 500)
    assert np.abs(params.kernel).max() > 0.99 * np.sqrt(6 / 500)
    np.testing.assert_array_equal(params.bias, 0)
    assert lc.init_dense(jax.random.key(0), 3, 2, dtype=jnp.bfloat16).kernel.dtype == jnp.bfloat16


TABLE = lc.EmbeddingParams(np.random.default_rng(3).normal(size=(5, 3)).astype(np.float32))
IDS = np.array([[4, 0, 1], [1, 1, 3]])


def test_embedding_looks_vectors_up():
    for ids in (IDS, IDS.astype(np.uint8), IDS[0], IDS[0, 0], IDS[:, :0]):
        vectors, mask = lc.embedding(TABLE, ids)
        np.testing.assert_array_equal(vectors, TABLE.table[ids])
        assert mask is None
    for padding in (0, 1, 2):
        vectors, mask = lc.embedding(TABLE, IDS, padding=padding)
        np.testing.assert_array_equal(mask, padding != IDS)
        np.testing.assert_array_equal(vectors, TABLE.table[IDS])
    many = lc.EmbeddingParams(np.arange(300, dtype=np.float32)[:, None])
    for ids in (np.array([255], np.uint8), np.array([127], np.int8), np.array([299], np.uint16)):
        assert lc.embedding(many, ids)[0].tolist() == [[float(ids[0])]]


def test_gradients_of_an_embedding_are_sums_over_its_uses():
    weights = np.random.default_rng(4).normal(size=(2, 3, 3)).astype(np.float32)
    gradient = jax.grad(lambda params: (lc.embedding(params, IDS)[0] * weights).sum())(TABLE)
    expected = np.zeros((5, 3), np.float32)
    for place, token in np.ndenumerate(IDS):
        expected[token] += weights[place]
    np.testing.assert_allclose(gradient.table, expected, rtol=1e-6)


def test_under_jit_an_id_without_a_vector_is_nan():
    ids = np.array([4, 5, -1, 0])
    found = jax.jit(lambda params, ids: lc.embedding(params, ids)[0])(TABLE, ids)
    np.testing.assert_array_equal(found[1:3], np.nan)
    np.testing.assert_array_equal(found[::3], TABLE.table[[4, 0]])


def test_init_embedding_is_kerass():
    table = lc.init_embedding(jax.random.key(0), 300, 200).table
    assert table.shape == (300, 200)
    assert_drawn_from(stats.uniform(-0.05, 0.1), table)
    assert 0.0499 < table.max() <= 0.05  # nor do 60,000 draws all miss these ends: (1 - 0.001)^n
    assert -0.05 <= table.min() < -0.0499
    assert (
        lc.init_embedding(jax.random.key(0), 3, 2, dtype=jnp.bfloat16).table.dtype == jnp.bfloat16
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: lc.dense(dense_params(), np.ones((5, 4))),
            ValueError,
            r"x has 4 features but params.kernel expects 3: x has shape \(5, 4\)",
        ),
        (lambda: lc.dense(dense_params(), np.ones(())), ValueError, r"at least one axis \[..., f"),
        (lambda: lc.dense(dense_params(), 3.0), TypeError, "x must be an array"),
        (lambda: lc.dense(dense_params(), np.ones((5, 3), int)), ValueError, "floating point"),
        (
            lambda: lc.dense(lc.DenseParams(np.ones((2, 3)), np.ones(2)), np.ones((5, 3))),
            ValueError,
            r"shapes \[F, U\], \[U\], got \(2, 3\), \(2,\): .* needs a transpose",
        ),
        (lambda: lc.dense(np.ones((3, 2)), np.ones((5, 3))), TypeError, "must be DenseParams"),
        (lambda: lc.repeat_vector(np.ones((2, 3, 4)), 2), ValueError, "it repeats one vector per"),
        (lambda: lc.repeat_vector(np.ones((2, 3)), -1), ValueError, "n must be at least 0, got -1"),
        (lambda: lc.repeat_vector(np.ones((2, 3)), 1.5), TypeError, "n must be a whole number"),
        (lambda: lc.time_distributed("f", np.ones((2, 3))), TypeError, "fn must be a function"),
        (lambda: lc.time_distributed(abs, [1.0]), TypeError, "x must be an array .* got list"),
        (lambda: lc.time_distributed(abs, np.ones(2)), ValueError, r"2 axes .* got shape \(2,\)"),
        (lambda: lc.init_dense(jax.random.key(0), 3, 0), ValueError, "units must be at least 1"),
        (
            lambda: lc.embedding(TABLE, IDS + 1),
            ValueError,
            "ids holds the token id 5 but there are 5 tokens, 0 to 4: was it encoded with another",
        ),
        (
            lambda: lc.embedding(TABLE, IDS - 1),
            ValueError,
            "ids holds the token id -1 but there are",
        ),
        (lambda: lc.embedding(TABLE, IDS * 1.0), ValueError, "ids must be integers, got float64"),
        (lambda: lc.embedding(TABLE, IDS > 0), ValueError, "ids must be integers, got bool"),
        (
            lambda: lc.embedding(TABLE, [1, 2]),
            TypeError,
            "ids must be an array of token ids, got li",
        ),
        (
            lambda: lc.embedding(TABLE.table, IDS),
            TypeError,
            "params must be EmbeddingParams, got nd",
        ),
        (
            lambda: lc.embedding(lc.EmbeddingParams(np.ones(3)), IDS),
            ValueError,
            r"params.table must have 2 axes \[tokens, features\]",
        ),
        (
            lambda: lc.embedding(lc.EmbeddingParams([[1.0]]), IDS),
            TypeError,
            "params.table must be an array, got list",
        ),
        (
            lambda: lc.embedding(lc.EmbeddingParams(np.ones((3, 2), int)), IDS),
            ValueError,
            "params.table must be floating point, got int64",
        ),
        (
            lambda: lc.init_embedding(jax.random.key(0), 0, 2),
            ValueError,
            "vocabulary must be at least 1, got 0",
        ),
        (
            lambda: lc.init_embedding(jax.random.key(0), 3, 0),
            ValueError,
            "features must be at least",
        ),
        (lambda: lc.init_embedding(0, 3, 2), TypeError, "key must be a random key, got int"),
        (
            lambda: lc.init_embedding(jax.random.key(0), 3, 2, dtype=int),
            ValueError,
            "dtype must be floating point, got int",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("draw", "numbers"),
    [
        (lambda key: lc.init_lstm(key, 1, 2**31 - 1), r"18,446,744,073,709,551,612 parameters"),
        (lambda key: lc.init_dense(key, 2**31 - 1, 2**31 - 1), r"4,611,686,014,132,420,609 param"),
        (lambda key: lc.init_embedding(key, 2**31 - 1, 2**31 - 1), r"4,611,686,014,132,420,609"),
        (lambda key: lc.StackedLSTM(2, (2**30, 4), 1).init(key), "4,611,686,048,492,159,061 p"),
    ],
)
def test_more_parameters_than_memory(draw, numbers):
    """Refused before they are drawn; not while tracing, where nothing is."""
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=rf"{numbers}.* GB, but this computer has [\d.,]+ GB of m"):
        draw(key)
    with pytest.raises(ValueError, match="units must be at most 2,147,483,647, got 99999999999999"):
        lc.init_lstm(key, 1, 99999999999999999999)
    with pytest.raises(ValueError, match=r"got a number of about 30,102 digits"):
        lc.init_lstm(key, 1, 10**30_102)
