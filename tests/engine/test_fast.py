"""The fast implementation equals the reference and the NumPy engine, in values and derivatives.

Whatever the form and number of its products and the length of its blocks. Transformations,
devices and dtypes are in `test_fast_transformations.py`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from implementations import (
    assert_close,
    close,
    example,
    expected,
    forced,
    scan_only,
    with_gradients,
)
from strategies import cases, random_like, random_mask, random_params, seeds

import lstmcore as lc
from lstmcore import reference
from lstmcore.activations import DIFFERENTIABLE, NAMED
from lstmcore.engine import backward, fast
from lstmcore.engine.product import Form

NAMES = list(NAMED)
BLOCKS = [1, 4, 9, 256]  # rows in one: a step each, a rest left over, everything at once


def weighted(weights, results):
    """Return a loss that is quadratic in every result."""
    return sum(jax.tree.leaves(jax.tree.map(lambda w, r: (w * r * r).sum(), weights, results)))


def along(tree, direction):
    return sum(jax.tree.leaves(jax.tree.map(lambda a, b: (a * b).sum(), tree, direction)))


@given(
    cases(dtype=np.float64),
    seeds,
    st.sampled_from(Form),
    st.sampled_from(BLOCKS),
    st.booleans(),
)
def test_three_implementations_agree(case, seed, form, block_rows, joined):
    params, x, state, options = case
    units = params.recurrent_kernel.shape[0]
    arguments = params, x, state or reference.zero_state(len(x), units, np.float64)
    cotangent = random_like(np.random.default_rng(seed), reference.lstm(*arguments, **options))
    with jax.enable_x64(True):
        with forced(form, block_rows, joined):
            ours = with_gradients(arguments, cotangent, options)
        with scan_only():
            theirs = with_gradients(arguments, cotangent, options)
    assert_close(ours, theirs)
    assert_close(ours, expected(arguments, cotangent, options))


@pytest.mark.parametrize(
    "k",
    [
        pytest.param(k, id=name, marks=[pytest.mark.thorough] * (k % 3 != 0))
        for k, name in enumerate(NAMES)
    ],
)
def test_every_activation_in_every_place(k, rng, x64):
    """For the candidate, for the gates, for the output; not thoroughly, in one of the three."""
    kinds = strategies.mask_kinds.elements
    options = {
        "activation": NAMES[k],
        "recurrent_activation": NAMES[(k + 1) % len(NAMES)],
        "output_activation": NAMES[(k + 2) % len(NAMES)],
        "mask": random_mask(rng, kinds[k % len(kinds)], 3, 7),
        "reverse": bool(k % 2),
    }
    arguments, cotangent = example(rng)
    with forced(list(Form)[k // 2 % 3], BLOCKS[k % len(BLOCKS)]):
        ours = with_gradients(arguments, cotangent, options)
    assert_close(ours, expected(arguments, cotangent, options))


@pytest.mark.parametrize("function", DIFFERENTIABLE, ids=NAMES)
def test_activations_far_out(function):
    z = np.float32([-1e4, -100, -20, -4, -1, -1e-3, 1e-3, 1, 4, 20, 100, 1e4])
    value, derivative = DIFFERENTIABLE[function]
    y = jnp.asarray(value(z))
    close(y, function(z), rtol=1e-6, atol=1e-7)
    close(derivative(y), jax.vmap(jax.grad(function))(z), rtol=2e-3, atol=2e-7)


@pytest.mark.thorough
def test_the_form_by_shape_and_blocks_of_many_steps(rng):
    """Nothing forced: 5 blocks, plain, and 38 with rows transposed; float32 is close to float64."""
    for batch, steps, units in ((4, 301, 3), (32, 301, 256)):
        exact, cotangent = example(rng, batch, steps, 2, units)
        shrunk = exact[0]._replace(recurrent_kernel=exact[0].recurrent_kernel / units)
        exact = (shrunk, *exact[1:])
        narrow = jax.tree.map(np.float32, (exact, cotangent))
        ours = with_gradients(*narrow, {"reverse": True})
        for mine, other in zip(
            jax.tree.leaves(ours),
            jax.tree.leaves(expected(exact, cotangent, {"reverse": True})),
            strict=True,
        ):
            assert mine.dtype == np.float32
            close(mine, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


@pytest.mark.thorough
def test_one_result_alone_and_its_zeros_cost_nothing(rng, x64, monkeypatch):
    arguments, cotangent = example(rng)
    options = {"mask": random_mask(rng, "interior", 3, 7)}
    given_to_backward = []

    def spy(*args, **kwargs):
        given_to_backward.append(jax.tree.leaves(args[2:4]))
        return backward.backward(*args, **kwargs)

    @jax.jit
    def each_alone(arguments, cotangent):
        def alone(k, d):
            pick = lambda *a: jax.tree.leaves(lc.lstm(*a, **options))[k]  # noqa: E731
            return jax.vjp(pick, *arguments)[1](d)

        return [alone(k, d) for k, d in enumerate(jax.tree.leaves(cotangent))]

    monkeypatch.setattr(fast, "backward", spy)
    with forced():
        ours = each_alone(arguments, cotangent)
    assert [len(leaves) for leaves in given_to_backward] == [1] * 8  # the others were None
    leaves, tree = jax.tree.flatten(cotangent)
    for k, gradients in enumerate(ours):
        alone = tree.unflatten([d * (place == k) for place, d in enumerate(leaves)])
        assert_close(gradients, expected(arguments, alone, options)[1])


def test_what_is_not_asked_for_is_not_computed():
    params, x = random_params(np.random.default_rng(0), 4, 32), np.ones((8, 32, 4), np.float32)

    def cost(loss, argnums):
        program = jax.jit(jax.grad(loss, argnums)).lower(params, x).compile()
        return program.cost_analysis()["flops"], program.memory_analysis().temp_size_in_bytes

    final = lambda *a: lc.lstm(*a)[0].h.sum()  # noqa: E731
    every = lambda *a: sum((leaf**2).sum() for leaf in jax.tree.leaves(lc.lstm(*a)))  # noqa: E731
    both, memory = cost(final, (0, 1))
    product = 2 * 8 * 32 * 4 * 128  # multiply and add, of d(z) [B T, 4H] with the kernel [F, 4H]
    assert cost(final, 0)[0] <= both - product
    assert cost(final, 1)[0] <= both - product - 8 * product  # neither kernel's gradient
    assert memory <= cost(every, (0, 1))[1] - 4 * 8 * 32 * 32 * 4  # no cotangent of a gate


@pytest.mark.thorough
def test_second_and_third_derivatives(rng, x64):
    arguments, weights = example(rng, 2, 3, 1, 2)
    direction = random_like(rng, arguments)
    options = {"mask": np.array([[True, False, True], [True, True, False]]), "reverse": True}
    loss = lambda a: weighted(weights, lc.lstm(*a, **options))  # noqa: E731
    directional = lambda f: lambda a: along(jax.grad(f)(a), direction)  # noqa: E731
    forward = lambda a: jax.jvp(loss, (a,), (direction,))[1]  # noqa: E731

    def second(a):  # times the direction, by three modes
        yield jax.grad(directional(loss))(a)
        yield jax.jvp(jax.grad(loss), (a,), (direction,))[1]
        yield jax.grad(forward)(a)

    def hessian(a):
        return jax.hessian(lambda bias: loss((a[0]._replace(bias=bias), *a[1:])))(a[0].bias)

    with forced(Form.PLAIN):
        seconds = jax.jit(lambda a: list(second(a)))(arguments)
        third = jax.jit(jax.grad(directional(directional(loss))))(arguments)
        ours = jax.jit(lambda a: hessian(a))(arguments)
    with scan_only():
        assert_close(ours, jax.jit(lambda a: hessian(a))(arguments))
        scan_second = jax.jit(jax.grad(directional(loss)))
        seconds.append(scan_second(arguments))
    with forced(Form.TRANSPOSED):
        seconds.append(jax.jit(lambda a: next(second(a)))(arguments))

    def gradient(a):
        results = reference.lstm(*a, **options)
        cotangent = jax.tree.map(lambda w, r: 2 * w * r, weights, results)
        return reference.lstm_backward(*a, results[1], *cotangent, **options)

    def numeric(f):
        ahead, behind = (
            f(jax.tree.map(lambda a, d, s=sign: a + s * d, arguments, direction))
            for sign in (1e-5, -1e-5)
        )
        return jax.tree.map(lambda a, b: (a - b) / 2e-5, ahead, behind)

    for other in seconds[1:]:
        assert_close(seconds[0], other)
    assert_close(seconds[0], numeric(gradient), rtol=1e-6, atol=1e-6)
    assert_close(third, numeric(scan_second), rtol=1e-6, atol=1e-6)


def test_forward_mode(rng, x64):
    arguments, weights = example(rng, 2, 3, 1, 2)
    direction = random_like(rng, arguments)
    loss = lambda *a: weighted(weights, lc.lstm(*a))  # noqa: E731
    one = lambda x: lc.lstm(arguments[0], x[None])[0].h  # noqa: E731

    def derivatives():
        x = arguments[1]
        return (
            jax.jvp(lc.lstm, arguments, direction),
            jax.jacfwd(loss, argnums=1)(*arguments),
            jax.vmap(jax.jacfwd(one))(x),
            jax.jvp(jax.vmap(one), (x,), (x,)),
        )

    ours = jax.jit(derivatives)()
    with scan_only():
        theirs = jax.jit(lambda: derivatives())()
    assert_close(ours, theirs)
    assert_close(ours[1], jax.grad(loss, argnums=1)(*arguments))


def test_forward_mode_from_outside_says_so(rng):
    """What is traced before it is differentiated cannot know; nor can jax.linearize be told apart
    from reverse mode, which begins as it does."""
    (params, x, _), _ = example(rng, 1, 2, 1, 1, np.float32)
    last = lambda x: lc.lstm(params, x)[0].h  # noqa: E731
    for traced in (jax.jit(last), jax.checkpoint(last), lambda x: jax.lax.map(last, x[None])):
        with pytest.raises(TypeError, match=r"forward-mode.*custom_vjp"):
            jax.jvp(traced, (x,), (x,))
    with pytest.raises(TypeError, match=r"forward-mode.*custom_vjp"):
        jax.linearize(last, x)[1](x)
