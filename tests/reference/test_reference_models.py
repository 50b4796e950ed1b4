"""What models need beside the LSTM, in NumPy: embedding, attention, loops, with gradients."""

import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import assert_close
from strategies import random_like

import lstmcore as lc
from lstmcore import reference
from lstmcore.io.model_file import is_model

KINDS = ["dot", "general", "additive"]
MASK = np.array([[True, True, False], [False, True, True], [False, False, False]])


def attention(kind, rng):
    params = lc.init_attention(jax.random.key(0), kind, 4, 4, units=None if kind == "dot" else 5)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), params)
    queries, memory = rng.normal(size=(2, 3, 3, 4)).astype(np.float32)
    return params, queries[:, :2], memory


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
@pytest.mark.parametrize("kind", KINDS)
def test_attention_equals_jax_in_values_and_gradients(kind, mask, rng):
    params, queries, memory = attention(kind, rng)
    if mask is not None:
        memory = np.where(mask[:, :, None], memory, np.float32(np.nan))  # padding must not matter
    attend = jax.jit(partial(lc.attend, mask=mask))
    (context, weights), backward = jax.vjp(attend, params, queries, memory)
    ours = reference.attend(params, queries, memory, mask=mask)
    assert_close(ours, (context, weights))
    d_context = rng.normal(size=context.shape).astype(np.float32)
    expected = backward((d_context, jnp.zeros_like(weights)))
    d_all = reference.attend_backward(params, queries, memory, ours[1], d_context, mask=mask)
    assert_close(d_all, expected)


def test_embedding_equals_jax_in_values_and_gradients(rng):
    params = lc.EmbeddingParams(rng.normal(size=(6, 3)).astype(np.float32))
    ids = np.array([[5, 2, 0], [2, 2, 1]])
    (vectors, mask), backward = jax.vjp(lambda p: lc.embedding(p, ids, padding=0), params)
    assert_close(reference.embedding(params, ids, padding=0), (vectors, mask))
    d_y = rng.normal(size=vectors.shape).astype(np.float32)
    (expected,) = backward((d_y, np.zeros(mask.shape, jax.dtypes.float0)))
    assert_close(reference.embedding_backward(params, ids, d_y), expected)
    with pytest.raises(ValueError, match="ids holds the token id 6 but there are 6 tokens"):
        reference.embedding(params, ids + 1)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_loops_equal_jax(steps, rng):
    x = rng.normal(size=(3, steps, 2)).astype(np.float32)

    def result(ops):
        def step(carry, inputs, t):
            total = carry["total"] + ops.np.where(t > 1, inputs[0], 0)
            return {"total": total}, (total, {"half": total / 2, "none": None})

        return ops.scan(step, {"total": np.ones((3, 2), np.float32)}, (x, None), steps)

    results = [result(ops) for ops in (lc.ops, reference)]
    assert_close(*results)
    assert results[1][1][0].shape == (3, steps, 2)
    if steps:
        assert_close(*(ops.cumulative_max(x, axis=1) for ops in (lc.ops, reference)))


def test_the_state_before_the_first_step_is_of_the_layers_sizes():
    shapes = [(2, 12), (2, 12), (12,), (3, 2)]
    kernel, recurrent_kernel, bias, projection = (np.zeros(s, np.float32) for s in shapes)
    params = lc.LSTMParams(kernel, recurrent_kernel, bias, projection=projection)
    for ops in (lc.ops, reference):
        state = ops.zero_state_like(params, np.zeros((5, 2), np.float32))
        assert (state.h.shape, state.c.shape) == ((5, 2), (5, 3))
        assert not np.any(state.h)
        assert not np.any(state.c)


def test_both_engines_have_the_same_operations():
    """All that a model may call; random numbers are JAX's alone."""
    random = {"random", "check_key", "dropout", "dropout_mask"}
    assert set(lc.ops.__all__) - set(reference.__all__) == random
    for name in lc.ops.__all__:
        assert callable(getattr(lc.ops, name)) or name in ("np", "random")
    with pytest.raises(AttributeError, match=r"module 'lstmcore\.ops' has no attribute 'gru'"):
        _ = lc.ops.gru


def test_every_model_can_be_described_without_jax():
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "import lstmcore as lc\n"
        "from lstmcore.io.model_file import is_model\n"
        "from lstmcore import models\n"
        f"for name in {[name for name in lc.__all__ if is_model(getattr(lc, name))]}:\n"
        "    assert is_model(getattr(lc, name)), name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_numpy_draws_nothing_at_random():
    model = lc.Seq2Seq(3, 3, 2, dropout=0.5)
    params = random_like(np.random.default_rng(0), model.init(jax.random.key(0)))
    x = np.ones((2, 3, 3), np.float32)
    with pytest.raises(ValueError, match="draws nothing at random: leave key out"):
        model.apply(params, x, x, key=jax.random.key(0), ops=reference)
