"""Dropout and zoneout: the laws of a layer with them, both engines, statistics, errors."""

import jax
import jax.numpy as jnp
import laws
import numpy as np
import pytest
import strategies
from chance import assert_means, assert_share
from hypothesis import given, settings
from implementations import assert_close, example, forced, scan_only
from strategies import (
    cases,
    random_dropout_mask,
    random_mask,
    random_params,
    random_zoneout,
    seeds,
)

import lstmcore as lc
from lstmcore import engine, reference
from lstmcore.engine.product import Form

few = settings(max_examples=max(2, settings.default.max_examples // 4))
PARAMS = random_params(np.random.default_rng(0), 4, 32)
X = np.ones((8, 50, 4), np.float32)


@pytest.mark.parametrize("law", laws.OF_A_SEQUENCE, ids=lambda law: law.__name__)
@few
@given(case=cases(noise=True))
def test_laws(law, case):
    law(case)


@few
@given(cases(dtype=np.float64, noise=True), seeds)
def test_engines_agree(case, seed):
    laws.engines_agree(case, seed)


@few
@given(cases(dtype=np.float64, variants=True, noise=True), seeds)
def test_engines_agree_with_peephole_and_projection(case, seed):
    laws.engines_agree(case, seed)


@given(cases(dtype=np.float64, variants=True, noise=True), seeds)
def test_backward_through_time_equals_numeric_differentiation(case, seed):
    laws.gradients_are_numeric(case, seed)


@pytest.mark.parametrize(
    ("form", "kind", "reverse"),
    [
        (Form.PLAIN, "interior", True),
        pytest.param(Form.TRANSPOSED, "none", False, marks=pytest.mark.thorough),
    ],
)
def test_fast_equals_numpy(form, kind, reverse, rng, x64):
    """In values and gradients, also those with respect to the mask, and under vmap."""
    arguments, cotangent = example(rng)
    dropout_mask = random_dropout_mask(rng, 3, 5, np.float64)
    options = {"mask": random_mask(rng, kind, 3, 7), "reverse": reverse}

    def everything(dropout_mask):
        run = lambda a, dropout_mask: lc.lstm(*a, recurrent_dropout=dropout_mask, **options)  # noqa: E731
        results, pull_back = jax.vjp(run, arguments, dropout_mask)
        several = jax.vmap(lambda dropout_mask: run(arguments, dropout_mask)[0].h)
        return results, pull_back(cotangent), several(jnp.stack([dropout_mask, 2 * dropout_mask]))

    with forced(form):
        ours = jax.jit(everything)(dropout_mask)

    def in_numpy(dropout_mask):
        return reference.lstm(*arguments, recurrent_dropout=dropout_mask, **options)

    by_hand = in_numpy(dropout_mask)
    assert_close(ours[0], by_hand)
    assert_close(ours[2], [by_hand[0].h, in_numpy(2 * dropout_mask)[0].h])
    direction = rng.normal(size=dropout_mask.shape)
    numeric = laws.numeric_derivative(
        lambda dropout_mask: laws.along(cotangent, in_numpy(dropout_mask)), dropout_mask, direction
    )
    assert (ours[1][1] * direction).sum() == pytest.approx(numeric, rel=1e-7)
    gradients = reference.lstm_backward(
        *arguments, by_hand[1], *cotangent, recurrent_dropout=dropout_mask, **options
    )
    assert_close(ours[1][0], gradients)


@pytest.mark.thorough
def test_second_derivatives_with_recurrent_dropout(rng, x64):
    (params, x, state), _ = example(rng, 2, 3, 1, 2)
    inputs = params.bias, random_dropout_mask(rng, 2, 2, np.float64)

    def loss(inputs):
        bias, dropout_mask = inputs
        final, _ = lc.lstm(params._replace(bias=bias), x, state, recurrent_dropout=dropout_mask)
        return (final.h**2).sum()

    def squared(inputs):
        return sum((leaf**2).sum() for leaf in jax.tree.leaves(jax.grad(loss)(inputs)))

    with forced():
        ours = jax.jit(jax.grad(squared))(inputs)
    with scan_only():
        theirs = jax.jit(jax.grad(lambda inputs: squared(inputs)))(inputs)
    assert_close(ours, theirs)


def test_recurrent_dropout_takes_the_fast_way(monkeypatch, rng):
    """And costs it no memory but its mask and the product with one h."""
    dropout_mask = random_dropout_mask(rng, 8, 32)

    def memory(**options):
        loss = lambda params: lc.lstm(params, X, **options)[1].h.sum()  # noqa: E731
        program = jax.jit(jax.grad(loss)).lower(PARAMS).compile()
        return program.memory_analysis().temp_size_in_bytes

    with_it = memory(recurrent_dropout=dropout_mask)
    assert with_it <= memory() + 4 * dropout_mask.nbytes + X.nbytes
    taken = []
    monkeypatch.setattr(engine.fast, "run", lambda *a, **o: taken.append(o["recurrent_dropout"]))
    monkeypatch.setattr(engine, "_compiled", lambda run, *shapes: run)
    lc.lstm(PARAMS, X, recurrent_dropout=dropout_mask)
    assert taken[0].shape == (8, 32)


def test_without_noise_the_program_is_the_same():
    gradient = jax.grad(lambda params, **options: lc.lstm(params, X, **options)[0].h.sum())
    program = lambda **options: jax.make_jaxpr(lambda p: gradient(p, **options))(PARAMS)  # noqa: E731
    nothing = lc.dropout_mask(None, (8, 32), 0.5)
    assert str(program(recurrent_dropout=nothing, zoneout=None)) == str(program())


def test_a_mask_of_ones_and_rates_of_zero_change_nothing(rng):
    without = lc.lstm(PARAMS, X)
    ones = lc.dropout_mask(jax.random.key(0), (8, 32), 0.0)
    laws.assert_close(lc.lstm(PARAMS, X, recurrent_dropout=ones), without)
    for key in (None, jax.random.key(0)):
        zoneout = lc.zoneout(key, 8, 50, 32)
        laws.assert_close(lc.lstm(PARAMS, X, zoneout=zoneout), without)


def test_zoneout_of_whole_steps_is_a_mask(rng):
    (params, x, state), _ = example(rng, dtype=np.float32)
    mask = random_mask(rng, "all-false row", 3, 7)
    kept = (~mask[:, :, None]).astype(np.float32)
    final, trace = lc.lstm(params, x, state, zoneout=lc.LSTMState(kept, kept), reverse=True)
    masked_final, masked = lc.lstm(params, x, state, mask=mask, reverse=True)
    laws.assert_close((final, trace[:2]), (masked_final, masked[:2]))


def test_zoneout_that_keeps_everything_carries_the_state(rng):
    (params, x, state), _ = example(rng, dtype=np.float32)
    ones = jnp.ones((1, 1, 1))
    final, trace = lc.lstm(params, x, state, zoneout=lc.LSTMState(ones, ones))
    laws.assert_close(final, state)
    assert (trace.gates.forget != 0).all()  # as computed, though not used


def test_zoneout_s_expectation_is_its_evaluation(rng):
    """Of one step; the new h~ comes from the new cell, so it is not zoned twice."""
    (params, x, state), _ = example(rng, steps=1, dtype=np.float32)
    keys = jax.random.split(jax.random.key(0), 4000)
    rates = {"h": 0.3, "c": 0.7}

    def run(key):
        return lc.lstm(params, x, state, zoneout=lc.zoneout(key, 3, 1, 5, **rates))[0]

    jax.tree.map(assert_means, jax.jit(jax.vmap(run))(keys), run(None))
    raw, _ = lc.lstm(params, x, state)
    np.testing.assert_allclose(run(None).h, 0.3 * state.h + 0.7 * raw.h, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(run(None).c, 0.7 * state.c + 0.3 * raw.c, rtol=1e-5, atol=1e-6)


def test_dropout_s_statistics_and_its_being_off():
    x = jnp.full((100, 40, 25), 3.0)
    for rate in (0.1, 0.5):
        dropped = lc.dropout(jax.random.key(0), x, rate)
        assert_share(dropped == 0, rate)
        np.testing.assert_allclose(jnp.unique(dropped), [0, 3 / (1 - rate)], rtol=1e-6)
    assert lc.dropout(None, x, 0.5) is x
    assert lc.dropout_mask(None, (2, 3), 0.5) is None
    np.testing.assert_array_equal(lc.dropout(jax.random.key(0), x, 0.0), x)
    assert lc.dropout(jax.random.key(0), x.astype(jnp.bfloat16), 0.5).dtype == jnp.bfloat16


def test_shared_axes_and_traced_rates():
    x = jnp.ones((4, 6, 50))
    shared = lc.dropout(jax.random.key(1), x, 0.5, shared_axes=(1,))
    np.testing.assert_array_equal(shared, jnp.broadcast_to(shared[:, :1], x.shape))
    assert (shared[0, 0] != shared[1, 0]).any()
    everywhere = lc.dropout(jax.random.key(1), x, 0.5, shared_axes=(0, 1, -1))
    assert len(jnp.unique(everywhere)) == 1
    traced = jax.jit(lambda rate: lc.dropout(jax.random.key(1), x, rate, shared_axes=(-2,)))(0.5)
    np.testing.assert_array_equal(traced, shared)


def test_zoneout_s_shares():
    zoneout = lc.zoneout(jax.random.key(0), 20, 50, 10, h=0.2, c=0.6, projection=7)
    assert zoneout.h.shape == (20, 50, 7)
    assert zoneout.c.shape == (20, 50, 10)
    for share, rate in zip(zoneout, (0.2, 0.6), strict=True):
        assert set(np.unique(share)) == {0, 1}
        assert_share(share == 1, rate)
    h, c = lc.zoneout(jax.random.key(0), 20, 50, 10, h=0.2, c=0.6)
    assert_share(h * c == 1, 0.2 * 0.6)  # drawn apart
    narrow = lc.zoneout(None, 1, 1, 1, h=0.25, c=0.5, dtype=jnp.bfloat16)
    assert [leaf.dtype for leaf in narrow] == [jnp.bfloat16, jnp.float32]
    assert [leaf.item() for leaf in narrow] == [0.25, 0.5]


def test_bidirectional_gives_each_direction_its_own(rng):
    params, x = random_params(rng, 2, 3), rng.normal(size=(2, 4, 2)).astype(np.float32)
    dropout_mask = [random_dropout_mask(rng, 2, 3) for _ in range(2)]
    zoneout = [strategies.random_zoneout(rng, 2, 4, 3) for _ in range(2)]
    options = {"recurrent_dropout": dropout_mask, "zoneout": zoneout}
    _, (forward, backward) = lc.bidirectional(params, params, x, checkpoint_every=2, **options)
    one = {"recurrent_dropout": dropout_mask[0], "zoneout": zoneout[0]}
    two = {"recurrent_dropout": dropout_mask[1], "zoneout": zoneout[1]}
    laws.assert_close(forward, reference.lstm(params, x, **one)[1])
    laws.assert_close(backward, reference.lstm(params, x, reverse=True, **two)[1])


def test_noise_at_masked_steps_of_an_empty_row_does_not_matter(rng, x64):
    """Not even if the state there is not a number."""
    (params, x, state), _ = example(rng)
    mask = np.ones((3, 7), bool)
    mask[1] = False
    dirty = jax.tree.map(lambda leaf: np.where(mask[:, :1], leaf, np.nan), state)
    for noise in (
        {"recurrent_dropout": random_dropout_mask(rng, 3, 5, np.float64)},
        {"zoneout": random_zoneout(rng, 3, 7, 5, np.float64)},
    ):
        loss = lambda p, s, n: (lc.lstm(p, x, s, mask=mask, **n)[1].h[::2] ** 2).sum()  # noqa: E731
        gradient = jax.jit(jax.grad(loss, (0, 2)))
        assert_close(gradient(params, dirty, noise), gradient(params, state, noise))


KEY = jax.random.key(0)
THREE = np.ones((3, 4, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lc.dropout(KEY, X, 1.0), ValueError, "rate must be at least 0 and below 1, got 1"),
        (lambda: lc.dropout(None, X, -0.1), ValueError, "rate must be at least 0 and below 1"),
        (lambda: lc.dropout(KEY, X, "half"), TypeError, "rate must be a number, got 'half'"),
        (lambda: lc.dropout(5, X, 0.5), TypeError, "key must be a random key, got int"),
        (lambda: lc.dropout(KEY, [1.0], 0.5), TypeError, "x must be an array, got list"),
        (lambda: lc.dropout(KEY, X.astype(int), 0.5), ValueError, "x must be floating point"),
        (
            lambda: lc.dropout(KEY, X, 0.5, shared_axes=(3,)),
            ValueError,
            "shared_axes names axis 3 but x has 3 axes",
        ),
        (
            lambda: lc.dropout(KEY, X, 0.5, shared_axes=1),
            TypeError,
            r"shared_axes must be a tuple of axes, got 1: write \(1,\)",
        ),
        (lambda: lc.dropout_mask(KEY, (2,), 2), ValueError, "rate must be at least 0 and below 1"),
        (lambda: lc.dropout_mask(KEY, (2,), 0, int), ValueError, "dtype must be floating point"),
        (lambda: lc.zoneout(KEY, 1, 2, 3, h=1.0), ValueError, "h must be at least 0 and below 1"),
        (lambda: lc.zoneout(None, 1, 2, 3, c=-1), ValueError, "c must be at least 0 and below 1"),
        (lambda: lc.zoneout(KEY, 1, 2, 0), ValueError, "units must be at least 1, got 0"),
        (lambda: lc.zoneout(5, 1, 2, 3), TypeError, "key must be a random key, got int"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("lstm", [lc.lstm, reference.lstm], ids=["jax", "numpy"])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"recurrent_dropout": np.ones((3, 5))},
            ValueError,
            r"recurrent_dropout has shape \(3, 5\) .* need \(3, 3\): lc.dropout_mask",
        ),
        (
            {"recurrent_dropout": 0.5},
            TypeError,
            r"recurrent_dropout must be an array \[batch, units\], got float",
        ),
        ({"recurrent_dropout": THREE}, ValueError, "recurrent_dropout must have 2 axes.*same at"),
        (
            {"recurrent_dropout": np.ones((3, 3), bool)},
            ValueError,
            "recurrent_dropout must be floating point, got bool",
        ),
        ({"zoneout": 0.5}, TypeError, r"zoneout must be LSTMState\(h, c\) .* got float"),
        (
            {"zoneout": lc.LSTMState(THREE, THREE[:, 0])},
            ValueError,
            r"zoneout.c must have 3 axes .* has size 1",
        ),
        (
            {"zoneout": lc.LSTMState(THREE[:2], THREE)},
            ValueError,
            r"zoneout.h has shape \(2, 4, 3\) but must fit \(3, 4, 3\)",
        ),
        (
            {"zoneout": lc.LSTMState(THREE, THREE.astype(int))},
            ValueError,
            "zoneout.c must be floating point",
        ),
    ],
)
def test_errors_of_a_layer(lstm, options, error, message, rng):
    with pytest.raises(error, match=message):
        lstm(random_params(rng, 2, 3), np.ones((3, 4, 2)), **options)
