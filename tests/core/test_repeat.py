"""`repeat`: one vector read at each step, which is `lc.repeat_vector` with less work."""

from contextlib import nullcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from implementations import assert_close, close, forced
from strategies import (
    random_dropout_mask,
    random_like,
    random_mask,
    random_params,
    random_state,
    random_zoneout,
)

import lstmcore as lc
from lstmcore import engine, reference
from lstmcore.engine import fast
from lstmcore.engine.product import Form

STEPS = 7
# Two steps of five rows in a block.
PLAIN, TRANSPOSED = partial(forced, Form.PLAIN, 12), partial(forced, Form.TRANSPOSED, 12)


def layer(rng, dtype=np.float64, **variant):
    params = random_params(rng, 3, 4, dtype, **variant)
    state = random_state(rng, 5, 4, dtype, variant.get("projection"))
    return params, rng.normal(size=(5, 3)).astype(dtype), state


def restless(gates, t):
    """Edit one step differently from the others."""
    return gates._replace(input=jnp.where(t == 2, 0.5, gates.input))


@partial(jax.jit, static_argnums=0)
def with_gradients(run, arguments, cotangent):
    results, pull_back = jax.vjp(run, *arguments)
    return results, pull_back(cotangent)


def expected_of_numpy(arguments, cotangent, options):
    """Return the same from the NumPy engine, which reads the repeated vector at each step."""
    params, x, state = arguments
    results = reference.lstm(*arguments, repeat=STEPS, **options)
    repeated = reference.repeat_vector(x, STEPS)
    d_params, d_x, d_state = reference.lstm_backward(
        params, repeated, state, results[1], *cotangent, **options
    )
    return results, (d_params, reference.repeat_vector_backward(d_x), d_state)


thorough = partial(pytest.param, marks=pytest.mark.thorough)
# Names of options, whether reversed, kind of layer, and an implementation that knows all of it.
CASES = [
    ([], False, {}, PLAIN),
    thorough([], False, {}, TRANSPOSED),
    thorough(["mask", "recurrent_dropout"], True, {}, PLAIN),
    (["mask", "recurrent_dropout"], True, {}, TRANSPOSED),
    (["mask", "checkpoint_every"], False, {}, PLAIN),
    thorough(["mask", "checkpoint_every"], False, {}, TRANSPOSED),
    (["mask", "edit", "zoneout"], True, {}, nullcontext),
    (["recurrent_dropout"], False, {"peephole": True, "projection": 2}, nullcontext),
]


@pytest.mark.parametrize(("names", "reverse", "variant", "implementation"), CASES)
def test_values_and_gradients_are_those_of_repeat_vector(
    names, reverse, variant, implementation, rng, x64
):
    arguments = layer(rng, **variant)
    everything = {
        "mask": random_mask(rng, "all-false row", 5, STEPS),
        "recurrent_dropout": random_dropout_mask(rng, 5, variant.get("projection", 4), np.float64),
        "zoneout": random_zoneout(rng, 5, STEPS, 4, np.float64),
        "checkpoint_every": 3,
        "edit": restless,
    }
    options = {"reverse": reverse} | {name: everything[name] for name in names}

    def run(params, x, state):
        return lc.lstm(params, x, state, repeat=STEPS, **options)

    def repeated(params, x, state):
        return lc.lstm(params, lc.repeat_vector(x, STEPS), state, **options)

    cotangent = random_like(rng, jax.eval_shape(repeated, *arguments))
    with implementation():
        ours = with_gradients(run, arguments, cotangent)
    if "edit" in options:  # there the NumPy engine has no backward pass
        assert_close(ours, with_gradients(repeated, arguments, cotangent))
        assert_close(ours[0], reference.lstm(*arguments, repeat=STEPS, **options))
    else:
        options.pop("checkpoint_every", None)
        assert_close(ours, expected_of_numpy(arguments, cotangent, options))


@pytest.mark.thorough
def test_other_derivatives_and_batches_of_layers(rng, x64):
    params, x, _ = layer(rng)
    layers = jax.tree.map(lambda leaf: np.stack([leaf, 2 * leaf]), params)
    xs = np.stack([x, -x])

    def once(params, x):
        return jnp.sum(lc.lstm(params, x, repeat=3)[1].h ** 2)

    def thrice(params, x):
        return jnp.sum(lc.lstm(params, lc.repeat_vector(x, 3))[1].h ** 2)

    def derivatives(loss):
        def gradient(params, x):
            moved = lambda x: sum(jax.tree.leaves(jax.tree.map(jnp.sum, jax.grad(loss)(params, x))))  # noqa: E731
            return jax.jvp(partial(loss, params), (x,), (x,)), jax.grad(moved)(x)

        return jax.jit(jax.vmap(gradient))(layers, xs)

    assert_close(derivatives(once), derivatives(thrice))


def test_both_directions(rng, x64):
    (forward, x, _), (backward, _, _) = layer(rng), layer(rng)
    assert_close(
        lc.bidirectional(forward, backward, x, repeat=4),
        lc.bidirectional(forward, backward, lc.repeat_vector(x, 4)),
    )


@pytest.mark.parametrize("steps", [0, 1])
def test_few_steps(steps, rng):
    params, x, state = layer(rng, np.float32)
    ours = lc.lstm(params, x, state, repeat=steps)
    assert_close(ours, lc.lstm(params, lc.repeat_vector(x, steps), state), rtol=1e-6, atol=1e-6)
    assert ours[1].h.shape == (5, steps, 4)


def test_narrow_layers_keep_their_dtypes(rng):
    params, x, _ = layer(rng, np.float32)
    narrow = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), params)

    def total(params, x):
        return lc.lstm(params, x, repeat=STEPS)[0].h.astype(jnp.float32).sum()

    state, trace = lc.lstm(narrow, x, repeat=STEPS)
    assert (state.h.dtype, state.c.dtype, trace.h.dtype) == (
        jnp.bfloat16,
        jnp.float32,
        jnp.bfloat16,
    )
    close(state.c, reference.lstm(params, x, repeat=STEPS)[0].c, rtol=0, atol=0.05)
    gradients = jax.eval_shape(jax.grad(total), narrow, x)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype(jnp.bfloat16)}


def test_the_product_of_narrow_layers_is_summed_in_float32(rng):
    """Gates of the first step, which nothing but x enters, are exact for the rounded weights."""
    params, x, _ = layer(rng, np.float32)
    narrow = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), (params, x))
    wide = jax.tree.map(np.float32, narrow)
    (_, ours), (_, theirs) = (lc.lstm(*arguments, repeat=2) for arguments in (narrow, wide))
    first = jax.tree.map(lambda gate: gate[:, 0], (ours.gates, theirs.gates))
    assert_close(*first, rtol=1e-5, atol=1e-6)


def test_decoders_read_their_code_once_and_the_fast_way(monkeypatch):
    """The decoder of an autoencoder reads the code alone, without repeating it in memory."""
    seen = []

    def spy(params, x, *arguments, **options):
        seen.append((x.shape, params.bias.ndim))
        return run(params, x, *arguments, **options)

    run = fast.run
    monkeypatch.setattr(fast, "run", spy)
    monkeypatch.setattr(engine, "_compiled", lambda run, *shapes: run)
    model = lc.CompositeAutoencoder(2, (4, 3), steps=2)
    jax.eval_shape(lambda x: model.apply(model.init(jax.random.key(0)), x), np.ones((5, 6, 2)))
    sequences, codes = [((5, 6, 2), 1), ((5, 6, 4), 1)], [((5, 6, 0), 2), ((5, 6, 3), 1)]
    assert seen == [*sequences, *codes, ((5, 2, 0), 2), ((5, 2, 3), 1)]


def test_the_number_of_steps_may_be_left_open(rng):
    """In an exported program it is that of another array."""
    params, _, _ = layer(rng, np.float32)

    def run(x):
        return lc.lstm(params, x[:, 0], repeat=x.shape[1])[1].h

    shape = jax.export.symbolic_shape("batch, time, 3")
    exported = jax.export.export(jax.jit(run))(jax.ShapeDtypeStruct(shape, jnp.float32))
    x = rng.normal(size=(2, 4, 3)).astype(np.float32)
    assert_close(exported.call(x), run(x), rtol=1e-6, atol=1e-6)


def test_what_is_read_at_no_step_does_not_matter(rng):
    params, x, _ = layer(rng, np.float32)
    gradients = jax.grad(lambda p: lc.lstm(p, x * np.nan, repeat=0)[0].h.sum())(params)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradients))


def test_what_an_example_without_steps_would_read_does_not_matter(rng):
    params, x, _ = layer(rng, np.float32)
    mask = np.ones((5, STEPS), bool)
    mask[1] = False
    x[1] = np.nan

    def loss(params, x):
        return lc.lstm(params, x, mask=mask, repeat=STEPS)[0].h.sum()

    for leaf in jax.tree.leaves(jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(params, x)):
        assert np.isfinite(leaf).all()


@pytest.mark.parametrize(
    ("shape", "repeat", "error", "message"),
    [
        ((5, 7, 3), 7, ValueError, r"x must have 2 axes \[batch, features\], .* no time axis"),
        ((5, 4), 7, ValueError, "x has 4 features but params.kernel expects 3"),
        ((5, 3), -1, ValueError, "repeat must be at least 0, got -1"),
        ((5, 3), 2.0, TypeError, "repeat must be a whole number, got 2.0"),
        ((5, 3), True, TypeError, "repeat must be a whole number, got True"),
        ((5, 3), None, ValueError, r"x must have 3 axes \[batch, time, features\]"),
    ],
)
def test_bad_input(shape, repeat, error, message, rng):
    params = random_params(rng, 3, 4)
    for lstm in (lc.lstm, reference.lstm):
        with pytest.raises(error, match=message):
            lstm(params, np.ones(shape, np.float32), repeat=repeat)


def test_a_mask_of_another_number_of_steps(rng):
    params, x, _ = layer(rng, np.float32)
    for lstm in (lc.lstm, reference.lstm):
        with pytest.raises(ValueError, match=r"mask has shape \(5, 4\) but repeat needs \(5, 3\)"):
            lstm(params, x, repeat=3, mask=np.ones((5, 4), bool))
