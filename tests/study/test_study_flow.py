"""Gradient flow, compared with Jacobians of the sequence split in two at every step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategies import random_mask, random_params, random_state

import lstmcore as lc
from lstmcore import study

B, T, F, H = 2, 5, 2, 3


def close(ours, theirs, tolerance=1e-10):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def make(rng, kind, dtype=np.float64):
    params, state = random_params(rng, F, H, dtype), random_state(rng, B, H, dtype)
    return params, rng.normal(size=(B, T, F)).astype(dtype), state, random_mask(rng, kind, B, T)


def later(t, reverse):
    """The steps taken after step t."""
    return slice(0, t) if reverse else slice(t + 1, T)


def norms_by_splitting(params, x, state, mask, reverse, **options):
    """(h, c) [B, T]: from the state found at step t, take the steps after it; differentiate."""
    mask = np.ones((B, T), bool) if mask is None else mask
    options = {"reverse": reverse, **options}
    run = jax.jit(lambda state, mask: lc.lstm(params, x, state, mask=mask, **options))
    jacobian = jax.jit(jax.jacobian(lambda state, mask: run(state, mask)[0].h))
    _, trace = run(state, mask)
    norms = np.zeros((2, B, T))
    for t in range(T):
        rest = np.zeros((B, T), bool)
        rest[:, later(t, reverse)] = mask[:, later(t, reverse)]
        there = lc.LSTMState(trace.h[:, t], trace.c[:, t])
        for norm, leaf in zip(norms, jacobian(there, rest), strict=True):
            norm[:, t] = [np.sqrt((np.asarray(leaf)[b, :, b] ** 2).sum()) for b in range(B)]
    return norms


@pytest.mark.parametrize(
    ("kind", "reverse", "options"),
    [
        ("interior", True, {}),
        ("right", False, {"edit": study.coupled}),
        pytest.param("none", False, {}, marks=pytest.mark.thorough),
        pytest.param(
            "all-false row",
            False,
            {"activation": "softsign", "output_activation": "sigmoid"},
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_norms_are_those_of_the_split_sequence(x64, rng, kind, reverse, options):
    params, x, state, mask = make(rng, kind)
    flow = study.gradient_flow(params, x, state, mask=mask, reverse=reverse, **options)
    h, c = norms_by_splitting(params, x, state, mask, reverse, **options)
    close(flow.h, h)
    close(flow.c, c)
    close(flow.h[:, 0 if reverse else -1], H**0.5)


@pytest.mark.parametrize("kind", ["none", "left", "all-false row"])
@pytest.mark.parametrize("reverse", [False, True])
def test_forget_product_is_the_product_of_what_comes_later(x64, rng, kind, reverse):
    params, x, state, mask = make(rng, kind)
    _, trace = lc.lstm(params, x, state, mask=mask, reverse=reverse)
    left = study.forget_product(trace, mask, reverse=reverse)
    for b, t in np.ndindex(B, T):
        product = np.ones(H)
        for step in range(T)[later(t, reverse)]:
            if mask is None or mask[b, step]:
                product *= np.asarray(trace.gates.forget[b, step])
        close(left[b, t], product)


def test_the_flow_of_a_simple_rnn_is_the_product_of_its_jacobians(x64, rng):
    """h_t = tanh(x_t W + h_{t-1} U + b), so d h_t / d h_{t-1} = diag(1 - h_t^2) U^T."""
    params, x, _, _ = make(rng, "none")
    flow = study.gradient_flow(params, x, **study.VARIANTS["simple RNN"])
    candidate = slice(2 * H, 3 * H)
    W, U, b = params.kernel[:, candidate], params.recurrent_kernel[:, candidate], params.bias
    for example in range(B):
        h, steps = np.zeros(H), []
        for t in range(T):
            h = np.tanh(x[example, t] @ W + h @ U + b[candidate])
            steps.append(np.diag(1 - h**2) @ U.T)
        product = np.eye(H)
        for t in reversed(range(T)):
            close(flow.h[example, t], np.linalg.norm(product))
            product = product @ steps[t]
    assert (flow.c[:, :-1] == 0).all()  # its cell forgets everything at once
    assert (flow.forget_product[:, :-1] == 0).all()


def test_padding_and_jit_change_nothing(x64, rng):
    params, x, state, _ = make(rng, "none")
    mask = np.arange(T) < np.array([[3], [5]])
    jitted = jax.jit(lambda *arguments: study.gradient_flow(*arguments, mask=mask))
    flow = jitted(params, np.where(mask[:, :, None], x, np.nan), state)
    first = lc.LSTMState(state.h[:1], state.c[:1])
    short = study.gradient_flow(params, x[:1, :3], first)
    for padded, unpadded in zip(flow, short, strict=True):
        close(padded[0, :3], unpadded[0])
        close(padded[0, 3:], np.broadcast_to(unpadded[0, -1], padded[0, 3:].shape))


@pytest.mark.thorough
def test_masked_steps_do_not_overflow(rng):
    params, x, _, _ = make(rng, "none", np.float32)
    huge = lc.LSTMState(*np.full((2, B, H), 1e38, np.float32))
    nowhere = np.zeros((B, T), bool)
    flow = study.gradient_flow(params, x, huge, mask=nowhere, activation="relu")
    np.testing.assert_allclose(flow.h, np.full((B, T), H**0.5), rtol=1e-6)
    assert (flow.c == 0).all()


@pytest.mark.thorough
def test_the_state_may_be_wider_than_the_params(x64, rng):
    dtype = jnp.bfloat16
    params, x, state, _ = make(rng, "none")
    narrow = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)
    flow = study.gradient_flow(narrow, x, state)
    assert flow.h.dtype == dtype
    expected = study.gradient_flow(params, x, state)
    np.testing.assert_allclose(flow.h.astype(float), expected.h, rtol=0.1)


def test_errors_are_those_of_lstm(rng):
    params, x, state, _ = make(rng, "none", np.float32)
    with pytest.raises(ValueError, match="x has 1 feature but params"):
        study.gradient_flow(params, x[..., :1])
    with pytest.raises(ValueError, match="mask must be bool"):
        study.gradient_flow(params, x, state, mask=np.ones((B, T)))
    with pytest.raises(ValueError, match="there is no step 5: steps are 0 to 4"):
        study.gradient_flow(params, x, edit=study.clamp("forget", 0.0, steps=5))


@pytest.mark.thorough
def test_norms_too_small_to_be_squared_in_float32(rng):
    weights = lc.LSTMParams(*(0.1 * leaf for leaf in random_params(rng, F, H)[:3]))
    x = np.ones((1, 24, F), np.float32)
    rnn = {"edit": study.simple_rnn, "output_activation": "linear"}
    small = np.asarray(study.gradient_flow(weights, x, **rnn).h)[0]
    with jax.enable_x64(True):
        double = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), weights)
        exact = np.asarray(study.gradient_flow(double, x, **rnn).h)[0]
    assert (exact < 1e-23).any()  # whose square float32 does not have
    normal = exact > 1e-36
    np.testing.assert_allclose(small[normal], exact[normal], rtol=1e-3)
