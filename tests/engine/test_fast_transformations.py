"""The fast implementation under transformations, on devices, in other dtypes, at extremes."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from implementations import (
    assert_close,
    close,
    example,
    expected,
    forced,
    scan_only,
    with_gradients,
)
from strategies import random_mask

import lstmcore as lc
from lstmcore import reference
from lstmcore.engine.product import Form

either_form = pytest.mark.parametrize(
    "form",
    [Form.PLAIN, pytest.param(Form.TRANSPOSED, marks=pytest.mark.thorough)],
    ids=str,
)


@either_form
def test_vmap(form, rng, x64):
    """Over x, over params, over both: of values and of gradients."""
    pairs = [example(rng, 2, 3, 2, 3) for _ in range(2)]
    (params, x, state), cotangent = jax.tree.map(lambda *leaves: np.stack(leaves), *pairs)

    def run(params, x, state, cotangent):
        results, pull_back = jax.vjp(lc.lstm, params, x, state)
        return results, pull_back(cotangent)

    first = lambda tree: jax.tree.map(lambda leaf: leaf[0], tree)  # noqa: E731
    axes = {"both": (0, 0, 0, 0), "x": (None, 0, None, None), "params": (0, None, None, None)}
    for over in axes.values():
        arguments = [
            tree if axis == 0 else first(tree)
            for tree, axis in zip((params, x, state, cotangent), over, strict=True)
        ]
        with forced(form):
            ours = jax.jit(jax.vmap(lambda *a: run(*a), in_axes=over))(*arguments)
        for k in range(2):
            *here, d = (
                jax.tree.map(lambda leaf, k=k: leaf[k], tree) if axis == 0 else tree
                for tree, axis in zip(arguments, over, strict=True)
            )
            mine = jax.tree.map(lambda leaf, k=k: leaf[k], ours)
            assert_close(mine, expected(here, d, {}))


@pytest.mark.parametrize("body", [lambda f: f, jax.checkpoint], ids=["scan", "checkpoint in scan"])
def test_scan_and_checkpoint_around(body, rng, x64):
    """Two chunks of a sequence, one after the other, are the whole of it."""
    (params, x, state), (d_final, d_trace) = example(rng, 2, 6)

    @jax.checkpoint
    def run(params, x, state):
        chunks = x.reshape(2, 2, 3, -1).swapaxes(0, 1)
        step = body(lambda state, chunk: lc.lstm(params, chunk, state))
        final, trace = jax.lax.scan(step, state, chunks)
        return final, jax.tree.map(lambda a: a.swapaxes(0, 1).reshape(2, 6, -1), trace)

    results, pull_back = jax.vjp(jax.jit(run), params, x, state)
    theirs = expected((params, x, state), (d_final, d_trace), {})
    assert_close((results, pull_back((d_final, d_trace))), theirs)


ON_TWO_DEVICES = """
import jax, numpy as np, strategies, lstmcore as lc
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
rng = np.random.default_rng(0)
params, x = strategies.random_params(rng, 3, 4), rng.normal(size=(4, 5, 3)).astype(np.float32)
mask = strategies.random_mask(rng, "interior", 4, 5)

def check_all(x, **options):
    def loss(params, x, mask):
        final, trace = lc.lstm(params, x, mask=mask, **options)
        return (trace.h**2).sum() + (trace.gates.forget**3).sum() + final.c.sum()

    def check(gradients, rows=4):
        close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
        jax.tree.map(close, gradients, gradient(params, x[:rows], mask[:rows]))

    gradient = jax.grad(loss, (0, 1))
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((2,), ("batch",), axis_types=(kind,))
        spread = lambda a: jax.device_put(a, NamedSharding(mesh, P("batch")))
        with jax.set_mesh(mesh):
            gradients = jax.jit(gradient)(params, spread(x), spread(mask))
        assert gradients[1].sharding.spec[0] == "batch"
        check(gradients)

    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    rows = P("batch")
    uneven = lambda p, x, m: loss(
        p, jax.lax.with_sharding_constraint(x, NamedSharding(mesh, rows)), m)
    check(jax.jit(jax.grad(uneven, (0, 1)))(params, x[:3], mask[:3]), rows=3)
    total = jax.shard_map(lambda *a: jax.lax.psum(loss(*a), "batch"),
        mesh=mesh, in_specs=(P(), rows, rows), out_specs=P())
    check(jax.jit(jax.grad(total, (0, 1)))(params, x, mask))
    inside = jax.shard_map(gradient, mesh=mesh, in_specs=(P(), rows, rows), out_specs=(P(), rows))
    check(jax.jit(inside)(params, x, mask))

check_all(x)
check_all(x[:, 0], repeat=5)
"""


@pytest.mark.thorough
def test_on_two_devices():
    """Sharded by jit, by type, unevenly, and by hand with the gradient outside and inside."""
    command = [sys.executable, "-W", "error", "-c", ON_TWO_DEVICES]
    subprocess.run(command, cwd=Path(__file__).parents[1] / "support", check=True)


@pytest.mark.thorough
@either_form
def test_bfloat16(form, rng):
    (params, x, state), cotangent = example(rng)
    narrow = lambda tree: jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), tree)  # noqa: E731
    arguments = *narrow((params, x)), state._replace(h=narrow(state.h), c=np.float32(state.c))
    with scan_only():
        shapes = jax.eval_shape(lambda *a: lc.lstm(*a), *arguments)
        cotangent = jax.tree.map(lambda d, like: jnp.asarray(d, like.dtype), cotangent, shapes)
        theirs = with_gradients(arguments, cotangent, {})
    with forced(form):
        ours = with_gradients(arguments, cotangent, {})
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert mine.dtype == other.dtype
        exact = np.float32(other)
        close(np.float32(mine), exact, rtol=0, atol=0.03 * np.abs(exact).max())


@either_form
def test_masked_nan_and_infinity_harm_nothing(form, rng, x64):
    (params, x, state), cotangent = example(rng)
    mask = random_mask(rng, "interior", 3, 7)
    mask[1] = False
    live = mask.any(axis=1)[:, None]
    d_final = jax.tree.map(lambda d: d * live, cotangent[0])
    d_trace = jax.tree.map(lambda d: d * mask[:, :, None], cotangent[1])
    dirty_x = np.where(mask[:, :, None], x, rng.choice([np.nan, np.inf, -np.inf], x.shape))
    dirty_state = jax.tree.map(lambda s: np.where(live, s, np.nan), state)
    with forced(form):
        _, ours = with_gradients((params, dirty_x, dirty_state), (d_final, d_trace), {"mask": mask})
    assert_close(ours, expected((params, x, state), (d_final, d_trace), {"mask": mask})[1])


def test_saturated_gates_and_an_overflow(rng):
    (params, x, state), cotangent = example(rng, dtype=np.float32)
    params = params._replace(bias=rng.choice([-1e4, 1e4], params.bias.shape).astype(np.float32))
    results, gradients = with_gradients((params, x, state), cotangent, {})
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((results, gradients)))

    rising = lc.LSTMParams(*(np.full(s, 2.0, np.float32) for s in ((1, 4), (1, 4), (4,))))
    arguments = rising, np.ones((1, 90, 1), np.float32), lc.zero_state(1, 1)
    options = {"activation": "relu", "recurrent_activation": "relu"}
    cotangent = jax.tree.map(np.ones_like, lc.lstm(*arguments))
    ours = with_gradients(arguments, cotangent, options)
    with scan_only():
        theirs = with_gradients(arguments, cotangent, options)
    assert not np.isfinite(ours[0][0].h).any()
    assert_close(jax.tree.map(np.isfinite, ours), jax.tree.map(np.isfinite, theirs))


def test_nothing_to_loop_over_and_sizes_known_later(rng):
    (params, x, _), _ = example(rng, dtype=np.float32)
    loss = lambda params, x: (lc.lstm(params, x)[1].h ** 2).sum()  # noqa: E731
    gradient = jax.jit(jax.grad(loss, (0, 1)))
    for empty in (x[:0], x[:, :0]):
        assert_close(gradient(params, empty), jax.tree.map(np.zeros_like, (params, empty)))
    batch, steps = jax.export.symbolic_shape("b, t")
    shape = jax.ShapeDtypeStruct((batch, steps, x.shape[2]), x.dtype)
    exported = jax.export.export(gradient)(params, shape)
    assert_close(exported.call(params, x), gradient(params, x), rtol=1e-5, atol=1e-5)


def test_each_options_compile_once_and_apart(rng, caplog):
    (params, x, state), _ = example(rng, dtype=np.float32)
    options = [{}, {"reverse": True}, {"activation": "relu"}]
    jax.clear_caches()
    for expect_compilation in (True, False):
        for option in options:
            caplog.clear()
            with jax.log_compiles():
                gradient = jax.grad(lambda p, o=option: lc.lstm(p, x, state, **o)[0].h.sum())(
                    params
                )
            compiled = any("Finished XLA compilation" in r.message for r in caplog.records)
            assert compiled == expect_compilation
            final, trace = reference.lstm(params, x, state, **option)
            d_final = lc.LSTMState(np.ones_like(final.h), np.zeros_like(final.c))
            theirs = reference.lstm_backward(params, x, state, trace, d_final, **option)[0]
            assert_close(gradient, theirs, rtol=1e-4, atol=1e-5)
