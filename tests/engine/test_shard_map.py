"""Inside of `jax.shard_map`, the fast implementation is what it is outside; one device suffices."""

import jax
import numpy as np
import pytest
from implementations import assert_close, example, forced
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from strategies import random_mask

import lstmcore as lc
from lstmcore.engine.product import Form


@pytest.mark.parametrize(
    "form", [Form.PLAIN, pytest.param(Form.TRANSPOSED, marks=pytest.mark.thorough)], ids=str
)
def test_values_and_gradients_are_the_same(form, rng):
    (params, x, _), _ = example(rng, 2, 3, 2, 3, np.float32)
    mask = random_mask(rng, "interior", 2, 3)

    def loss(params, x, mask):
        (h, c), trace = lc.lstm(params, x, mask=mask)
        return (h * c).sum() + (trace.h**2).sum() + (trace.gates.forget**3).sum()

    mesh, rows = jax.make_mesh((1,), ("batch",), axis_types=(AxisType.Auto,)), P("batch")
    total = jax.shard_map(
        lambda *arguments: jax.lax.psum(loss(*arguments), "batch"),
        mesh=mesh,
        in_specs=(P(), rows, rows),
        out_specs=P(),
    )
    with forced(form):
        ours, theirs = (
            jax.jit(jax.value_and_grad(f, (0, 1)))(params, x, mask) for f in (total, loss)
        )
    assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
