"""The product of a step is the same in every form, and takes the one that was measured fastest."""

import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from implementations import forced

import lstmcore as lc
from lstmcore.engine.product import Form, choose_form, choose_joined, make_product


@pytest.mark.parametrize("weights", ["both", "as they are", "transposed"])
@pytest.mark.parametrize("form", Form)
def test_every_form_computes_the_product(form, weights, rng):
    """Also rows transposed if there are only the weights transposed."""
    rows, kernel = (rng.normal(size=size).astype(np.float32) for size in ((3, 5), (5, 7)))
    given = {"both": (kernel, kernel.T), "as they are": (kernel,), "transposed": (None, kernel.T)}
    with forced(form):
        multiply = make_product(3, *given[weights], dtype=jnp.float32)
    found = jax.jit(multiply)(rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows @ kernel, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", Form)
def test_products_of_narrow_numbers_are_summed_in_the_wider_dtype(form):
    ones = jnp.ones((512, 3), jnp.bfloat16)  # 256 + 1 is 256 in bfloat16
    with forced(form):
        multiply = make_product(2, ones, ones.T, dtype=jnp.float32)
    found = multiply(jnp.ones((2, 512), jnp.bfloat16))
    assert (found.dtype, float(found[0, 0])) == (np.float32, 512)


@pytest.mark.parametrize(
    ("rows", "length", "columns", "forward", "backward"),
    [
        (32, 136, 512, "PLAIN", "PLAIN"),  # few weights
        (32, 202, 768, "ROWS_TRANSPOSED", "ROWS_TRANSPOSED"),
        (5, 264, 1024, "PLAIN", "PLAIN"),  # few rows
        (6, 264, 1024, "ROWS_TRANSPOSED", "ROWS_TRANSPOSED"),
        (32, 1024, 256, "PLAIN", "PLAIN"),  # few columns for each number that is transposed
        (23, 1248, 312, "ROWS_TRANSPOSED", "ROWS_TRANSPOSED"),
        (32, 1248, 312, "ROWS_TRANSPOSED", "TRANSPOSED"),  # rows that fill vectors, a long sum
        (8, 2048, 512, "ROWS_TRANSPOSED", "TRANSPOSED"),
        (24, 2048, 512, "ROWS_TRANSPOSED", "ROWS_TRANSPOSED"),
        (32, 528, 2048, "ROWS_TRANSPOSED", "ROWS_TRANSPOSED"),
        (1, 64, 16, "PLAIN", "TRANSPOSED"),  # a copy of the weights would not pay
        (4, 2048, 512, "PLAIN", "TRANSPOSED"),
        (4, 1248, 312, "PLAIN", "TRANSPOSED"),
        (4, 1024, 256, "PLAIN", "PLAIN"),
        (5, 2048, 512, "PLAIN", "PLAIN"),
    ],
)
def test_the_form_by_size(rows, length, columns, forward, backward):
    """The backward pass has the weights transposed; docs/performance.md has the times."""
    assert choose_form(rows, length, columns, transposed=False) is Form[forward]
    assert choose_form(rows, length, columns, transposed=True) is Form[backward]


def test_a_symbolic_batch_is_multiplied_as_it_is():
    (batch,) = jax.export.symbolic_shape("batch")
    assert choose_form(batch, 1024, 4096, transposed=True) is Form.PLAIN


@pytest.mark.parametrize(
    ("rows", "timesteps", "features", "units", "joined"),
    [
        (2, 2, 288, 524, False),
        (1, 9, 160, 308, False),
        (18, 2, 288, 45, False),
        (16, 10, 64, 512, False),
        (16, 11, 64, 512, True),  # the copy of [W; U] is used often
        (2, 34, 117, 43, True),  # and here costs less than a second product in each step
        (2, 6, 1, 38, True),
        (64, 100, 32, 256, True),
    ],
)
def test_one_product_or_two_by_size(rows, timesteps, features, units, joined):
    assert choose_joined(rows, timesteps, (features + units) * 4 * units) is joined

    params = jax.eval_shape(lambda: lc.init_lstm(jax.random.key(0), features, units))
    x = jax.ShapeDtypeStruct((rows, timesteps, features), np.float32)
    text = jax.jit(lambda params, x: lc.lstm(params, x)[0]).lower(params, x).as_text()
    assert (f"tensor<{features + units}x{4 * units}xf32>" in text) is joined


def test_symbolic_sizes_have_one_product():
    batch, time = jax.export.symbolic_shape("batch, time")
    assert choose_joined(batch, 1, 10**7)
    assert choose_joined(1, time, 10**7)


PARAMS, X = lc.init_lstm(jax.random.key(0), 8, 312), jnp.ones((32, 9, 8))
FORWARD = {  # [x, h] [W; U]
    Form.PLAIN: "contracting_dims = [1] x [0] : (tensor<32x320xf32>, tensor<320x1248xf32>)",
    Form.ROWS_TRANSPOSED: "contracting_dims = [0] x [0] : (tensor<320x32xf32>, "
    "tensor<320x1248xf32>)",
}
BACKWARD = {  # d(z) U^T, or U d(z)^T
    Form.PLAIN: "contracting_dims = [1] x [0] : (tensor<32x1248xf32>, tensor<1248x312xf32>)",
    Form.TRANSPOSED: "contracting_dims = [1] x [0] : (tensor<312x1248xf32>, tensor<1248x32xf32>)",
}


@pytest.mark.parametrize(
    ("platforms", "on_cpu", "elsewhere"),
    [(["cpu"], True, False), (["cuda"], False, True), (["tpu"], False, True),
     (["cpu", "cuda"], True, True)],
    ids=["cpu", "cuda", "tpu", "cpu-cuda"],
)  # fmt: skip
def test_a_program_has_the_form_for_the_platform_that_it_is_exported_for(
    platforms, on_cpu, elsewhere
):
    """Whatever computer exports it."""

    def loss(params, x):
        return lc.lstm(params, x)[1].h.sum()

    for function, forms in ((loss, FORWARD), (jax.grad(loss), BACKWARD)):
        export = jax.export.export(jax.jit(function), platforms=platforms)
        text = re.sub(r", precision = \[[^]]*\]", "", export(PARAMS, X).mlir_module())
        found = {form for form, written in forms.items() if written in text}
        plain, other = forms
        assert found == {form for form, wanted in ((plain, elsewhere), (other, on_cpu)) if wanted}
