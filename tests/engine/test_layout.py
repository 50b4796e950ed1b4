"""Layouts hold the same numbers, and steps are numbered in the order in which they are taken."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import lstmcore as lc
from lstmcore.engine.layout import BATCH_MAJOR, FEATURE_MAJOR, Steps

same = np.testing.assert_array_equal
T = 5


@pytest.fixture(params=[False, True], ids=["forward", "reverse"])
def reverse(request):
    return request.param


@pytest.fixture
def array(rng):
    """One that has a time axis, [B, T, F]."""
    return rng.normal(size=(2, T, 3)).astype(np.float32)


def test_the_two_layouts_differ_by_a_transpose(rng):
    array = rng.normal(size=(2, 3)).astype(np.float32)
    same(BATCH_MAJOR.transpose(array), array)
    same(FEATURE_MAJOR.transpose(array), array.T)


@pytest.mark.parametrize("layout", [BATCH_MAJOR, FEATURE_MAJOR], ids=str)
def test_the_products_of_a_step_are_the_equations(layout, rng):
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    x_t, h, kernel, recurrent_kernel = draw(2, 3), draw(2, 4), draw(3, 16), draw(4, 16)
    x_in, h_in = layout.transpose(x_t), layout.transpose(h)
    z = layout.projection(kernel, recurrent_kernel, jnp.float32)(x_in, h_in)
    expected = x_t @ kernel + h @ recurrent_kernel
    np.testing.assert_allclose(layout.transpose(z), expected, rtol=1e-5, atol=1e-5)
    parts = [layout.transpose(part) for part in layout.split(z)]
    same(np.concatenate(parts, axis=1), layout.transpose(z))
    product = layout.product(h_in, layout.transpose(recurrent_kernel), jnp.float32)
    np.testing.assert_allclose(layout.transpose(product), h @ recurrent_kernel, rtol=1e-5)


def test_a_step_is_read_and_written_by_its_number(array, reverse):
    steps, in_order = Steps(T, reverse), array[:, ::-1] if reverse else array
    copy = np.zeros_like(array)
    for s in range(T):
        same(steps.at(array, s), in_order[:, s])
        copy = steps.write(copy, steps.at(array, s), s)
    same(copy, array)


@pytest.mark.parametrize(("first", "count"), [(0, T), (0, 2), (1, 3), (T - 1, 1)])
@pytest.mark.parametrize("index", [int, jnp.int32], ids=["known", "traced"])
def test_a_block_is_its_steps_in_order(array, reverse, first, count, index):
    steps, in_order = Steps(T, reverse), array[:, ::-1] if reverse else array
    block = steps.block(array, index(first), count)
    same(block, in_order[:, first : first + count])
    written = np.array(steps.write_block(array, np.zeros_like(block), index(first)))
    written = written[:, ::-1] if reverse else written
    expected = in_order.copy()
    expected[:, first : first + count] = 0
    same(written, expected)


def test_the_step_before_each_of_a_block(array, reverse):
    steps, in_order = Steps(T, reverse), array[:, ::-1] if reverse else array
    initial = np.full((2, 3), 7, np.float32)
    before = np.concatenate([initial[:, None], in_order[:, :-1]], axis=1)
    for count in range(1, T + 1):
        same(steps.block_before(array, initial, 0, count), before[:, :count])
    for first in range(1, T - 1):
        found = steps.block_before(array, initial, jnp.int32(first), 2)
        same(found, before[:, first : first + 2])


PROGRAM_PARAMS = lc.init_lstm(jax.random.key(0), 2, 512)
PROGRAM_X = jnp.ones((32, 3, 2))
BOTH_WAYS = {"feature-major": "tensor<2048x32xf32>", "batch-major": "tensor<32x2048xf32>"}


@pytest.mark.parametrize(
    ("platforms", "layouts"),
    [
        (["cpu"], ["feature-major"]),
        (["cuda"], ["batch-major"]),
        (["tpu"], ["batch-major"]),
        (["cpu", "cuda"], ["feature-major", "batch-major"]),
    ],
    ids="-".join,
)
def test_a_program_has_the_layout_of_the_platform_that_it_is_exported_for(platforms, layouts):
    """Whatever computer exports it. Products of a step with all four gates show the layout."""

    def loss(params, x):
        return lc.lstm(params, x)[1].h.sum()

    for function in (loss, jax.grad(loss)):
        export = jax.export.export(jax.jit(function), platforms=platforms)
        text = export(PROGRAM_PARAMS, PROGRAM_X).mlir_module()
        found = {name for name, shape in BOTH_WAYS.items() if f"-> {shape}" in text}
        assert found == set(layouts)


@pytest.mark.parametrize(
    ("batch", "units", "layout"),
    [
        (32, 256, "batch-major"),
        (32, 511, "batch-major"),
        (32, 512, "feature-major"),
        (8, 512, "feature-major"),
        (16, 650, "feature-major"),
        (1, 1024, "batch-major"),
        (12, 512, "batch-major"),  # a remainder of a vector costs more than is gained
        (24, 512, "batch-major"),
        (100, 1024, "batch-major"),
    ],
)
def test_the_layout_on_a_cpu(batch, units, layout):
    """By the products of the program, which is not run; docs/performance.md has the times."""
    params = lc.init_lstm(jax.random.key(0), 1, units)
    program = jax.jit(lambda x: lc.lstm(params, x)[1].h).lower(jnp.ones((batch, 2, 1)))
    shapes = {"batch-major": f"{batch}x{4 * units}", "feature-major": f"{4 * units}x{batch}"}
    text = program.as_text()
    assert {name for name, shape in shapes.items() if f"-> tensor<{shape}xf32>" in text} == {layout}
