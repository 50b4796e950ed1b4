"""`checkpoint_every`: the same values and gradients, with less memory in the backward pass."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from implementations import assert_close, close
from strategies import (
    random_dropout_mask,
    random_like,
    random_mask,
    random_params,
    random_state,
    random_zoneout,
)

import lstmcore as lc

STEPS = 7


def restless(gates, t):
    """Edit each step differently."""
    return gates._replace(forget=gates.forget * (1 + t).astype(gates.forget.dtype) / STEPS)


def layer(rng, peephole=False, projection=None):
    params = random_params(rng, 2, 4, np.float64, peephole=peephole, projection=projection)
    state = random_state(rng, 3, 4, np.float64, projection)
    return params, rng.normal(size=(3, STEPS, 2)), state


# Each number of steps with another combination of the rest: `fast`, then `scan`.
thorough = partial(pytest.param, marks=pytest.mark.thorough)
CASES = [
    thorough(1, ["mask"], False, {}),
    (3, ["mask", "recurrent_dropout"], True, {}),
    ("auto", [], False, {}),
    thorough(STEPS, [], True, {}),
    thorough(STEPS + 5, [], False, {}),
    (2, ["mask", "zoneout", "recurrent_dropout"], True, {"projection": 2, "peephole": True}),
    thorough(3, ["edit", "zoneout"], False, {}),
    (3, ["edit", "mask"], True, {}),
]


@pytest.mark.parametrize(("every", "names", "reverse", "variant"), CASES)
def test_values_and_gradients_are_the_same(every, names, reverse, variant, rng, x64):
    arguments = layer(rng, **variant)
    hidden = variant.get("projection") or 4
    everything = {
        "mask": random_mask(rng, "interior", 3, STEPS),
        "recurrent_dropout": random_dropout_mask(rng, 3, hidden, np.float64),
        "zoneout": random_zoneout(rng, 3, STEPS, 4, np.float64, hidden),
        "edit": restless,
    }
    options = {"reverse": reverse} | {name: everything[name] for name in names}
    cotangent = random_like(rng, jax.eval_shape(lambda *a: lc.lstm(*a, **options), *arguments))

    @jax.jit
    def both(arguments, cotangent):
        def one(**more):
            run = lambda *a: lc.lstm(*a, **options, **more)  # noqa: E731
            results, pull_back = jax.vjp(run, *arguments)
            return results, pull_back(cotangent)

        return one(checkpoint_every=every), one()

    assert_close(*both(arguments, cotangent))


@pytest.mark.thorough
def test_second_derivatives_and_vmap(rng, x64):
    params, x, _ = layer(rng)

    def curvature(x, every):
        final = lambda x: lc.lstm(params, x, checkpoint_every=every)[0].h  # noqa: E731
        gradient = jax.grad(lambda x: (final(x) ** 2).sum())
        return jax.grad(lambda x: (gradient(x) ** 2).sum())(x)

    several = jnp.stack([x, 2 * x])
    run = jax.jit(lambda x, every: jax.vmap(partial(curvature, every=every))(x), static_argnums=1)
    close(run(several, 3), run(several, None))


def test_forward_mode_and_a_shape_that_compiles_once(rng, caplog):
    params, x = random_params(rng, 2, 4), rng.normal(size=(3, STEPS, 2)).astype(np.float32)
    last = lambda x: lc.lstm(params, x, checkpoint_every=3)[0].h  # noqa: E731
    whole = lambda x: lc.lstm(params, x)[0].h  # noqa: E731
    close(jax.jvp(last, (x,), (x,))[1], jax.jvp(whole, (x,), (x,))[1], rtol=1e-5, atol=1e-6)
    last(x)
    with jax.log_compiles():
        last(2 * x)
    assert not any("Finished XLA compilation" in record.message for record in caplog.records)


@pytest.mark.parametrize("steps", [0, 1])
def test_hardly_any_steps(steps, rng):
    params, x = random_params(rng, 2, 4), np.ones((3, steps, 2), np.float32)
    for every in (1, "auto"):
        final, trace = lc.lstm(params, x, checkpoint_every=every)
        assert_close((final, trace), lc.lstm(params, x))


def temporary_memory(function, steps=3000, units=16):
    params = random_params(np.random.default_rng(0), 1, units)
    x = jax.ShapeDtypeStruct((1, steps, 1), np.float32)
    return jax.jit(function).lower(params, x).compile().memory_analysis().temp_size_in_bytes


def test_memory_of_a_long_sequence():
    """A gradient takes about the state of sqrt(T) steps; an unused trace is never copied."""

    def gradient(every):
        loss = lambda params, x: lc.lstm(params, x, checkpoint_every=every)[0].h.sum()  # noqa: E731
        return temporary_memory(jax.grad(loss))

    one_array = 3000 * 16 * 4  # T steps of H numbers
    assert gradient(None) > 5 * one_array  # h, c, i, f, g, o
    assert gradient("auto") < 0.6 * one_array
    forward = lambda params, x: lc.lstm(params, x, checkpoint_every=50)[0]  # noqa: E731
    assert temporary_memory(forward) < 0.2 * one_array


@pytest.mark.parametrize(
    ("every", "error", "message"),
    [
        (0, ValueError, "checkpoint_every must be at least 1, got 0"),
        (True, TypeError, "checkpoint_every must be a whole number, got True"),
        (2.5, TypeError, "checkpoint_every must be a whole number, got 2.5"),
        ("sqrt", ValueError, "checkpoint_every must be a number of steps or \"auto\", got 'sqrt'"),
    ],
)
def test_errors(every, error, message, rng):
    with pytest.raises(error, match=message):
        lc.lstm(random_params(rng, 2, 3), np.ones((3, 4, 2), np.float32), checkpoint_every=every)


def test_a_number_of_steps_known_later_is_an_error(rng):
    params = random_params(rng, 2, 3)
    batch, steps = jax.export.symbolic_shape("b, t")
    shape = jax.ShapeDtypeStruct((batch, steps, 2), jnp.float32)
    run = jax.jit(lambda x: lc.lstm(params, x, checkpoint_every="auto")[0])
    with pytest.raises(ValueError, match="checkpoint_every='auto' needs a known number of steps"):
        jax.export.export(run)(shape)
