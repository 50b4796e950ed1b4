"""Dense, repeat vector, time-distributed: laws and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
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
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
