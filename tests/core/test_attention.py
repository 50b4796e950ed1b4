"""Attention: against loops of NumPy and Keras's layers; masks, gradients, errors."""

from functools import partial

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras_parity import assert_parity, built, call
from laws import along, numeric_derivative
from strategies import random_like

import lstmcore as lc

B, T, S, H, M = 3, 2, 4, 3, 3
MASK = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]], bool)
KINDS = {"dot": None, "general": M + 1, "additive": M + 2}  # sizes of the memory
every_kind = pytest.mark.parametrize("kind", KINDS)


def params_of(kind, memory, dtype=np.float64, units=5):
    """Random, in every weight."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(0, 0.5, shape).astype(dtype)  # noqa: E731
    if kind == "dot":
        return None
    if kind == "general":
        return lc.GeneralAttention(draw(H, memory))
    return lc.AdditiveAttention(draw(H, units), draw(memory, units), draw(units))


def example(kind, dtype=np.float64):
    """(params, queries, memory)"""
    rng, size = np.random.default_rng(1), KINDS[kind] or H
    draw = lambda *shape: rng.normal(size=shape).astype(dtype)  # noqa: E731
    return params_of(kind, size, dtype), draw(B, T, H), draw(B, S, size)


def by_hand(params, queries, memory, mask):
    """Compute the equations one number after the other."""
    context = np.zeros((B, T, memory.shape[2]))
    weights = np.zeros((B, T, S))
    for b, t in np.ndindex(B, T):
        h, places = queries[b, t], np.flatnonzero(mask[b])
        if params is None:
            scores = [h @ memory[b, s] for s in places]
        elif isinstance(params, lc.GeneralAttention):
            scores = [h @ params.weight @ memory[b, s] for s in places]
        else:
            sums = [h @ params.query + memory[b, s] @ params.memory for s in places]
            scores = [params.score @ np.tanh(one) for one in sums]
        for s, score in zip(places, scores, strict=True):
            weights[b, t, s] = np.exp(score) / np.exp(scores).sum()
            context[b, t] += weights[b, t, s] * memory[b, s]
    return context, weights


@every_kind
@pytest.mark.usefixtures("x64")
def test_by_hand_with_numeric_gradients(kind, rng):
    """With masks, one of them all False, and NaN where they are."""
    inputs = example(kind)
    padded = (*inputs[:2], np.where(MASK[:, :, None], inputs[2], np.nan))
    shapes = jax.eval_shape(lc.attend, *padded)
    cotangent = random_like(rng, shapes)

    @jax.jit
    def results_and_gradients(inputs, cotangent):
        results, pull_back = jax.vjp(partial(lc.attend, mask=MASK), *inputs)
        return results, pull_back(cotangent)

    results, gradients = results_and_gradients(padded, cotangent)
    expected = by_hand(*inputs, MASK)
    for found, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(results[1][1], 0)
    every = by_hand(*inputs, np.ones((B, S), bool))
    for found, wanted in zip(jax.jit(lc.attend)(*inputs), every, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    np.testing.assert_array_equal(gradients[2][~MASK], 0)
    direction = random_like(rng, inputs)
    loss = lambda inputs: along(by_hand(*inputs, MASK), cotangent)  # noqa: E731
    assert along(gradients, direction) == pytest.approx(
        numeric_derivative(loss, inputs, direction), rel=1e-7
    )


def test_extreme_scores():
    """Weights stay finite and sum to 1; the gradient, too, is finite."""
    queries, memory = np.full((1, 1, 2), 100, np.float32), np.array([[[50, 50], [-50, 0], [50, 0]]])
    memory = memory.astype(np.float32)
    some, other = np.array([[True, False, True]]), np.array([[False, True, False]])
    for mask, expected in ((None, [1, 0, 0]), (some, [1, 0, 0]), (other, [0, 1, 0])):

        @jax.jit
        @partial(jax.grad, has_aux=True)
        def gradient_and_weights(memory, mask=mask):
            context, weights = lc.attend(None, queries, memory, mask=mask)
            return context.sum(), weights

        gradient, weights = gradient_and_weights(memory)
        np.testing.assert_array_equal(weights[0, 0], expected)
        assert np.isfinite(gradient).all()


@every_kind
def test_dtypes_and_fresh_weights(kind):
    memory = KINDS[kind] or H
    init = partial(lc.init_attention, jax.random.key(0), kind)
    params = jax.eval_shape(lambda: init(H, memory, dtype=jnp.bfloat16))
    queries, remembered = (
        jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in ((B, T, H), (B, S, memory))
    )
    for leaf in jax.tree.leaves((params, jax.eval_shape(lc.attend, params, queries, remembered))):
        assert leaf.dtype == jnp.bfloat16
    if kind == "additive":
        shapes = [leaf.shape for leaf in jax.eval_shape(lambda: init(3, 4, units=7))]
        assert shapes == [(3, 7), (4, 7), (7,)]
        assert [leaf.shape for leaf in params] == [(H, H), (memory, H), (H,)]
    for leaf in jax.tree.leaves(init(300, 300)):
        limit = np.sqrt(6 / (sum(leaf.shape) + (leaf.ndim == 1)))  # Glorot: a column, if one axis
        assert 0.95 * limit < np.abs(leaf).max() <= limit
    if kind == "additive":
        query, memory, _ = init(3, 3)
        assert (query != memory).all()


def test_scores_of_bfloat16_are_summed_and_compared_in_float32():
    queries, memory = (
        jax.random.normal(key, (1, steps, 64), jnp.bfloat16)
        for key, steps in zip(jax.random.split(jax.random.key(0)), (20, 50), strict=True)
    )
    narrow, wide = (
        lc.attend(None, queries.astype(dtype), memory.astype(dtype))[1].astype(jnp.float32)
        for dtype in (jnp.bfloat16, jnp.float32)
    )
    np.testing.assert_allclose(narrow, wide, rtol=2**-8)  # the rounding of the result alone


@pytest.mark.parametrize("kind", ["dot", "additive"])
@pytest.mark.parametrize("masked", [False, True])
def test_keras(kind, masked):
    """Keras's additive layer has no weights but the scale: its inputs are projected beforehand."""
    _, queries, memory = example("dot", np.float32)
    score = np.random.default_rng(2).normal(size=H).astype(np.float32)
    eye = np.eye(H, dtype=np.float32)
    mask = (MASK | (np.arange(S) == 2)) if masked else None  # of nothing, Keras takes the mean
    layer = keras.layers.Attention() if kind == "dot" else keras.layers.AdditiveAttention()
    layer = built(layer, [queries.shape, memory.shape])

    def ours(params, memory):
        weights = None if kind == "dot" else lc.AdditiveAttention(eye, eye, params["score"])
        return lc.attend(weights, params["queries"], memory, mask=mask)

    def theirs(params, memory):
        options = {"mask": [None, mask]} if masked else {}
        weights = [] if kind == "dot" else [params["score"]]
        inputs = [params["queries"], memory]
        return call(layer, weights, inputs, return_attention_scores=True, **options)

    params = {"queries": queries} | ({} if kind == "dot" else {"score": score})
    assert_parity(ours, theirs, params, memory)


PARAMS = {kind: params_of(kind, KINDS[kind] or H, np.float32) for kind in KINDS}
QUERIES, MEMORY = np.ones((B, T, H), np.float32), np.ones((B, S, M), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lc.attend(None, QUERIES[0], MEMORY), ValueError, "queries must have 3 axes"),
        (lambda: lc.attend(None, QUERIES, MEMORY[0]), ValueError, "memory must have 3 axes"),
        (lambda: lc.attend(None, [1.0], MEMORY), TypeError, "queries must be an array"),
        (
            lambda: lc.attend(None, QUERIES[:2], MEMORY),
            ValueError,
            "queries has 2 examples but memory has 3: they must agree",
        ),
        (
            lambda: lc.attend(None, QUERIES, MEMORY[..., 1:]),
            ValueError,
            "dot attention needs queries and memory of one size, got 3 and 2: use 'general' or",
        ),
        (
            lambda: lc.attend(PARAMS["general"], QUERIES, MEMORY),
            ValueError,
            r"params.weight has shape \(3, 4\) but queries and memory need \(3, 3\): were they mad",
        ),
        (
            lambda: lc.attend(PARAMS["additive"], QUERIES[..., 1:], MEMORY),
            ValueError,
            r"params.query has shape \(3, 5\) but queries and memory need \(2, 5\)",
        ),
        (
            lambda: lc.attend(PARAMS["additive"], QUERIES, MEMORY),
            ValueError,
            r"params.memory has shape \(5, 5\) but queries and memory need \(3, 5\)",
        ),
        (
            lambda: lc.attend(np.eye(3), QUERIES, MEMORY),
            TypeError,
            "params must be None, GeneralAttention or AdditiveAttention, got ndarray: make them wi",
        ),
        (
            lambda: lc.attend(None, QUERIES, MEMORY, mask=MASK[:, 1:]),
            ValueError,
            r"mask has shape \(3, 3\) but memory needs \(3, 4\)",
        ),
        (
            lambda: lc.attend(None, QUERIES, MEMORY, mask=MASK * 1.0),
            ValueError,
            "mask must be bool",
        ),
        (
            lambda: lc.attend(None, QUERIES.astype(int), MEMORY),
            ValueError,
            "queries must be floating point, got int64",
        ),
        (
            lambda: lc.attend(None, QUERIES, MEMORY.astype(int)),
            ValueError,
            "memory must be floating point, got int64",
        ),
        (
            lambda: lc.init_attention(jax.random.key(0), "luong", 3, 3),
            ValueError,
            "there is no attention 'luong': use 'dot', 'general' or 'additive'",
        ),
        (
            lambda: lc.init_attention(jax.random.key(0), "dot", 3, 4),
            ValueError,
            "dot attention needs queries and memory of one size, got 3 and 4",
        ),
        (
            lambda: lc.init_attention(jax.random.key(0), "general", 0, 4),
            ValueError,
            "queries must be at least 1, got 0",
        ),
        (
            lambda: lc.init_attention(jax.random.key(0), "general", 3, 1.5),
            TypeError,
            "memory must be a whole number, got 1.5",
        ),
        (
            lambda: lc.init_attention(jax.random.key(0), "additive", 3, 4, units=0),
            ValueError,
            "units must be at least 1, got 0",
        ),
        (lambda: lc.init_attention(0, "dot", 3, 3), TypeError, "key must be a random key, got int"),
        (
            lambda: lc.init_attention(jax.random.key(0), "dot", 3, 3, dtype=int),
            ValueError,
            "dtype must be floating point",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
