"""Corrupted inputs: their statistics, and what training on them is good for."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from chance import assert_drawn_from, assert_means, assert_share
from scipy import stats

import lstmcore as lc

KEY = jax.random.key(0)
X = jnp.full((100, 40, 25), 3.0)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_masking_sets_a_share_to_zero_and_leaves_the_rest(share):
    corrupted = lc.corrupt(KEY, X, masking=share)
    assert_share(corrupted == 0, share)
    np.testing.assert_array_equal(jnp.unique(corrupted), [0, 3])
    # Drawn apart for each number: neighbours along each axis are masked together by chance alone.
    for axis in range(3):
        first, second = (np.moveaxis(np.asarray(corrupted == 0), axis, 0)[i::2] for i in (0, 1))
        assert_share(first[: len(second)] & second, share**2)


def test_gaussian_noise_has_its_standard_deviation_in_units_of_x():
    noise = lc.corrupt(KEY, X, gaussian=0.2) - X
    assert_drawn_from(stats.norm(0, 0.2), noise)
    assert noise.std() == pytest.approx(0.2, rel=0.015)  # 6.7 standard deviations of 100,000


def test_both_at_once_are_drawn_apart():
    both = lc.corrupt(KEY, X, masking=0.3, gaussian=0.2)
    masked = lc.corrupt(KEY, X, masking=0.3) == 0
    np.testing.assert_array_equal(both == 0, masked)  # a masked number is 0, without noise
    np.testing.assert_array_equal(both[~masked], lc.corrupt(KEY, X, gaussian=0.2)[~masked])
    noise = both[~masked] - 3  # of one key it would be that of the larger draws alone
    assert_means(noise, 0)


def test_without_a_key_or_without_noise_nothing_happens():
    assert lc.corrupt(None, X, masking=0.5, gaussian=1.0) is X
    np.testing.assert_array_equal(lc.corrupt(KEY, X), X)
    np.testing.assert_array_equal(lc.corrupt(KEY, X, masking=np.float32(0), gaussian=0), X)


def test_dtypes_and_traced_amounts(x64):
    for dtype in (jnp.bfloat16, jnp.float32, jnp.float64):
        both = partial(lc.corrupt, KEY, masking=0.5, gaussian=0.1)
        assert jax.eval_shape(both, X.astype(dtype)).dtype == dtype
    traced = jax.jit(lambda m, g: lc.corrupt(KEY, X, masking=m, gaussian=g))(0.5, 0.1)
    np.testing.assert_allclose(traced, lc.corrupt(KEY, X, masking=0.5, gaussian=0.1), rtol=1e-6)
    unknown = X.at[0].set(jnp.nan)  # what is masked is 0, whatever it was
    masked = lc.corrupt(KEY, X, masking=0.5) == 0
    assert (lc.corrupt(KEY, unknown, masking=0.5)[masked] == 0).all()


def reconstruction_loss(model, corruption, params, x, key=None):
    x_hat, _ = model.apply(params, lc.corrupt(key, x, **corruption))
    return jnp.mean((x_hat - x) ** 2)


def rows(count: int) -> np.ndarray:
    """8 numbers of which 2 decide."""
    rng = np.random.default_rng(count)
    mixing = np.random.default_rng(0).normal(size=(2, 8))
    return np.tanh(rng.normal(size=(count, 2)) @ mixing).astype(np.float32)


def waves(count: int) -> np.ndarray:
    """Sines of one frequency and any phase, [count, 8, 1]."""
    phases = np.random.default_rng(count).uniform(0, 2 * np.pi, (count, 1, 1))
    return np.sin(np.arange(8)[:, None] * 0.7 + phases).astype(np.float32)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("model", "draw", "corruption"),
    [
        (lc.DenseAutoencoder(8, 16), rows, {"masking": 0.3}),
        (lc.DenseAutoencoder(8, 16, tied=True), rows, {"gaussian": 0.5}),
        (lc.Autoencoder(1, 16), waves, {"masking": 0.3, "gaussian": 0.1}),
    ],
    ids=["dense-masking", "tied-gaussian", "LSTM-both"],
)
def test_a_denoising_autoencoder_cleans_what_it_never_saw(model, draw, corruption):
    """Better than the same model trained on clean data, which copies the noise."""
    clean, dirty = draw(128), lc.corrupt(jax.random.key(7), draw(100), **corruption)
    optimizer = optax.adam(0.02)
    errors = {}
    for name, noise in (("denoising", corruption), ("plain", {})):
        result = lc.fit(
            partial(reconstruction_loss, model, noise),
            model.init(KEY),
            clean,
            optimizer=optimizer,
            epochs=60,
            batch_size=32,
            key=jax.random.key(1),
        )
        x_hat, _ = model.apply(result.params, dirty)
        errors[name] = float(jnp.mean((x_hat - draw(100)) ** 2))
    assert errors["denoising"] < 0.75 * errors["plain"], errors
    assert errors["denoising"] < 0.75 * float(jnp.mean((dirty - draw(100)) ** 2)), errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lc.corrupt(KEY, X, masking=1.0), ValueError, "masking must be at least 0 and bel"),
        (lambda: lc.corrupt(None, X, masking=-0.1), ValueError, "masking must be at least 0"),
        (
            lambda: lc.corrupt(KEY, X, gaussian=-1),
            ValueError,
            "gaussian must be finite and at least 0, got -1",
        ),
        (lambda: lc.corrupt(None, X, gaussian=np.nan), ValueError, "gaussian must be finite"),
        (lambda: lc.corrupt(KEY, X, gaussian="much"), TypeError, "gaussian must be a number, got"),
        (lambda: lc.corrupt(5, X, masking=0.5), TypeError, "key must be a random key, got int"),
        (lambda: lc.corrupt(KEY, [1.0]), TypeError, "x must be an array, got list"),
        (lambda: lc.corrupt(KEY, np.ones(3, int)), ValueError, "x must be floating point, got int"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
