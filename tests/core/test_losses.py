"""Losses of token sequences: against plain NumPy and optax; padding, extremes, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lstmcore as lc

B, T, V = 3, 4, 5
TARGET = np.random.default_rng(0).integers(0, V, (B, T))
LOGITS = np.random.default_rng(1).normal(0, 3, (B, T, V)).astype(np.float32)
MASK = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 1]], bool)


def by_hand(logits, target, mask):
    """(mean of -log softmax, whether all are right [B]), one token after the other."""
    losses, right = [], [True] * len(logits)
    for example, step in np.argwhere(mask):
        row, token = logits[example, step].astype(float), target[example, step]
        losses.append(np.log(np.exp(row - row.max()).sum()) + row.max() - row[token])
        right[example] &= bool((np.delete(row, token) < row[token]).all())
    return sum(losses) / max(len(losses), 1), right


@pytest.mark.parametrize("mask", [None, MASK, np.zeros((B, T), bool)], ids=["all", "some", "none"])
def test_by_hand(mask):
    expected, _ = by_hand(LOGITS, TARGET, np.ones((B, T)) if mask is None else mask)
    assert lc.cross_entropy(LOGITS, TARGET, mask) == pytest.approx(expected, rel=1e-6)
    assert jax.jit(lc.cross_entropy)(LOGITS, TARGET, mask) == pytest.approx(expected, rel=1e-6)


def test_exact_match():
    likely = np.where(np.arange(V) == TARGET[..., None], 9, LOGITS).astype(np.float32)
    for place in ((0, 3), (1, 2)):
        likely[place] = 10 * (np.arange(V) == (TARGET[place] + 1) % V)
    for mask, right in ((None, [False, False, True]), (MASK, [True] * 3)):
        found = lc.exact_match(likely, TARGET, mask)
        assert found.dtype == bool
        every = np.ones((B, T)) if mask is None else mask
        assert found.tolist() == right == by_hand(likely, TARGET, every)[1]
    assert lc.exact_match(jnp.asarray(LOGITS), TARGET).tolist() == [False] * 3
    one_wrong = np.arange(T) < 3  # an example is right only if all of it is
    assert lc.exact_match(likely, TARGET, np.tile(one_wrong, (B, 1))).tolist() == [
        True,
        False,
        True,
    ]


def test_optax_has_the_same_values_and_gradients():
    def theirs(logits):
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(TARGET))
        return (losses * MASK.astype(np.float32)).sum() / float(MASK.sum())

    ours = jax.jit(jax.value_and_grad(lc.cross_entropy))(LOGITS, TARGET, MASK)
    expected = jax.jit(jax.value_and_grad(theirs))(LOGITS)
    for mine, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


def test_gradients_are_numeric(x64):
    logits = LOGITS.astype(float)
    gradient = np.asarray(jax.jit(jax.grad(lc.cross_entropy))(logits, TARGET, MASK))
    step = 1e-5
    for place in np.ndindex(*logits.shape):
        ahead, behind = logits.copy(), logits.copy()
        ahead[place] += step
        behind[place] -= step
        difference = by_hand(ahead, TARGET, MASK)[0] - by_hand(behind, TARGET, MASK)[0]
        assert gradient[place] == pytest.approx(difference / (2 * step), abs=1e-9)


def test_perplexity_of_a_guess_is_the_number_of_tokens():
    loss = lc.cross_entropy(np.full((B, T, V), 7.0, np.float32), TARGET, MASK)
    assert np.exp(loss) == pytest.approx(V, rel=1e-6)


def test_padding_does_not_enter_whatever_it_holds():
    logits = np.where(MASK[..., None], LOGITS, np.nan)
    loss, gradient = jax.value_and_grad(lc.cross_entropy)(logits, TARGET, MASK)
    assert loss == pytest.approx(by_hand(LOGITS, TARGET, MASK)[0], rel=1e-6)
    np.testing.assert_array_equal(gradient[~MASK], 0)
    assert np.isfinite(gradient).all()
    other = np.where(MASK, TARGET, (TARGET + 1) % V)
    assert lc.cross_entropy(LOGITS, other, MASK) == lc.cross_entropy(LOGITS, TARGET, MASK)
    np.testing.assert_array_equal(jax.grad(lc.cross_entropy)(logits, TARGET, MASK & False), 0)


def test_extreme_logits():
    logits = np.zeros((1, 2, 3), np.float32)
    logits[0, 0, 0], logits[0, 1, 2] = 1e4, -1e4
    for target, expected in (([[0, 0]], np.log(2) / 2), ([[1, 2]], (1e4 + 1e4 + np.log(2)) / 2)):
        loss, gradient = jax.value_and_grad(lc.cross_entropy)(logits, np.array(target))
        assert loss == pytest.approx(expected, rel=1e-6)
        assert np.isfinite(gradient).all()


def test_dtypes(x64):
    for given, computed in (
        (jnp.bfloat16, jnp.float32),
        (jnp.float16, jnp.float32),
        (jnp.float32, jnp.float32),
        (jnp.float64, jnp.float64),
    ):
        loss = jax.eval_shape(lc.cross_entropy, jnp.zeros((B, T, V), given), TARGET, MASK)
        assert (loss.shape, loss.dtype) == ((), computed)
    for whole in (np.uint8, np.int8, np.int64):
        target = TARGET.astype(whole)
        assert lc.cross_entropy(LOGITS, target) == lc.cross_entropy(LOGITS, TARGET)
        assert (lc.exact_match(LOGITS, target) == lc.exact_match(LOGITS, TARGET)).all()


def test_float64_of_numpy_is_float32_without_x64():
    loss = lc.cross_entropy(np.asarray(LOGITS, np.float64), TARGET, MASK)
    assert loss.dtype == jnp.float32
    assert loss == lc.cross_entropy(LOGITS, TARGET, MASK)


def test_a_token_that_there_is_not_makes_the_loss_nan_under_jit():
    for token in (V, -1):
        target = np.where(np.arange(T) == 1, token, TARGET)
        assert np.isnan(jax.jit(lc.cross_entropy)(LOGITS, target))
        without = np.tile(np.arange(T) != 1, (B, 1))
        assert np.isfinite(jax.jit(lc.cross_entropy)(LOGITS, target, without))


@pytest.mark.parametrize("loss", [lc.cross_entropy, lc.exact_match])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((LOGITS[0], TARGET), ValueError, r"logits must have 3 axes \[batch, time, tokens\]"),
        ((LOGITS.astype(int), TARGET), ValueError, "logits must be floating point, got int64"),
        ((LOGITS.tolist(), TARGET), TypeError, "logits must be an array"),
        ((LOGITS, TARGET[0]), ValueError, r"target must have 2 axes \[batch, time\]"),
        ((LOGITS, TARGET.astype(float)), ValueError, "target must be integers, got float64"),
        ((LOGITS, TARGET + 1), ValueError, "target holds the token id 5 but there are 5 tokens"),
        ((LOGITS, TARGET - 9), ValueError, "target holds the token id -"),
        (
            (LOGITS, TARGET[:, 1:]),
            ValueError,
            r"target has shape \(3, 3\) but logits \(3, 4, 5\) need \(3, 4\): one token for each s",
        ),
        (
            (LOGITS, TARGET, MASK[:2]),
            ValueError,
            r"mask has shape \(2, 4\) but target needs \(3, 4",
        ),
        ((LOGITS, TARGET, TARGET), ValueError, "mask must be bool"),
    ],
)
def test_errors(loss, arguments, error, message):
    with pytest.raises(error, match=message):
        loss(*arguments)
