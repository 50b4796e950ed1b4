"""Guarantees of the execution: an unused trace is free, one shape compiles once, any platform."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategies import random_params

import lstmcore as lc

PARAMS = random_params(np.random.default_rng(0), 4, 32)
X = np.ones((8, 50, 4), np.float32)


def final_state_alone(params, x):
    """Run the leanest loop possible, which stacks nothing."""

    def body(state, x_t):
        state, _ = lc.lstm_step(params, x_t, state)
        return state, None

    return jax.lax.scan(body, lc.zero_state(len(x), 32), jnp.swapaxes(x, 0, 1))[0]


def hidden_states_alone(params, x):
    def body(state, x_t):
        state, _ = lc.lstm_step(params, x_t, state)
        return state, state.h

    _, h = jax.lax.scan(body, lc.zero_state(len(x), 32), jnp.swapaxes(x, 0, 1))
    return jnp.swapaxes(h, 0, 1)


@pytest.mark.parametrize(
    ("ours", "lean"),
    [
        (lambda params, x: lc.lstm(params, x)[0], final_state_alone),
        (lambda params, x: lc.lstm(params, x)[1].h, hidden_states_alone),
    ],
    ids=["final state", "hidden states"],
)
def test_an_unused_trace_costs_nothing(ours, lean):
    ours, lean = (jax.jit(f).lower(PARAMS, X).compile() for f in (ours, lean))
    memory, lean_memory = ours.memory_analysis(), lean.memory_analysis()
    assert memory.output_size_in_bytes == lean_memory.output_size_in_bytes
    # The engine lays the weights of x and h side by side before its loop: the one copy it makes.
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(PARAMS))
    assert memory.temp_size_in_bytes <= lean_memory.temp_size_in_bytes + weights
    assert ours.cost_analysis()["flops"] <= 1.01 * lean.cost_analysis()["flops"]


def test_a_used_trace_is_seen_by_that_measure():
    """The comparison above could fail: asking for the gates does show up in it."""
    compiled = jax.jit(lc.lstm).lower(PARAMS, X).compile().memory_analysis()
    lean = jax.jit(final_state_alone).lower(PARAMS, X).compile().memory_analysis()
    assert compiled.output_size_in_bytes > 100 * lean.output_size_in_bytes


def loss(params, x):
    return lc.lstm(params, x)[1].h.sum()


@pytest.mark.thorough
@pytest.mark.parametrize("call", [lc.lstm, jax.grad(loss)], ids=["forward", "gradient"])
def test_one_shape_compiles_once_outside_of_jit(call, caplog):
    def compilations(x):
        caplog.clear()
        with jax.log_compiles():
            call(PARAMS, x)
        return sum("Finished XLA compilation" in record.message for record in caplog.records)

    jax.clear_caches()
    assert compilations(X) > 0
    assert compilations(2 * X) == 0
    assert compilations(X[:, :10]) > 0


def test_functions_of_ones_own_are_never_taken_from_a_cache():
    """A function whose captured variables change between calls must not return an old result."""
    level = [1.0]
    scaled = lambda z: level[0] * jnp.tanh(z)  # noqa: E731
    one, _ = lc.lstm(PARAMS, X, activation=scaled)
    level[0] = 0.0
    zero, _ = lc.lstm(PARAMS, X, activation=scaled)
    assert (zero.h == 0).all()
    assert (one.h != 0).any()


@pytest.mark.thorough
def test_a_batch_sharded_over_devices_and_a_symbolic_batch():
    model = lc.Autoencoder(features=4, units=(8, 4))
    params = model.init(jax.random.key(0))
    expected, _ = model.apply(params, X)

    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    spread = jax.shard_map(
        lambda params, x: model.apply(params, x)[0],
        mesh=mesh,
        in_specs=(spec(), spec("batch")),
        out_specs=spec("batch"),
    )
    np.testing.assert_allclose(jax.jit(spread)(params, X), expected, atol=1e-6)

    batch, steps = jax.export.symbolic_shape("b, t")
    shape = jax.ShapeDtypeStruct((batch, steps, 4), jnp.float32)
    exported = jax.export.export(jax.jit(lambda x: model.apply(params, x)[0]))(shape)
    np.testing.assert_allclose(exported.call(X), expected, atol=1e-6)


def test_a_jitted_model_compiles_once():
    model = lc.Autoencoder(features=4, units=(8, 4))
    params = model.init(jax.random.key(0))
    apply = jax.jit(model.apply)
    for scale in (1, 2, 3):
        apply(params, scale * X)
    assert apply._cache_size() == 1


@pytest.mark.parametrize("platform", ["cpu", "cuda", "rocm", "tpu"])
def test_gradient_of_a_program_lowers_for_every_platform(platform):
    model = lc.Autoencoder(features=4, units=(8, 4), activation="relu")
    params = model.init(jax.random.key(0))

    def loss(params, x, mask):
        _, trace = lc.lstm(params["encoder_0"], x, mask=mask, reverse=True)
        x_hat, _ = model.apply(params, x, mask=mask)
        return jnp.mean((x_hat - x) ** 2) + trace.gates.forget.mean()

    program = jax.jit(jax.value_and_grad(loss))
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), (params, X))
    mask = jax.ShapeDtypeStruct(X.shape[:2], bool)
    exported = jax.export.export(program, platforms=[platform])(*shapes, mask)
    assert exported.platforms == (platform,)
    assert "while" in exported.mlir_module()  # the loop itself, not its unrolling


@pytest.mark.thorough
def test_transformations_compose():
    """grad of grad, jvp, vmap over weights and checkpoint all pass through the layer."""
    x = X[:2, :3]
    loss = lambda params: lc.lstm(params, x)[1].h.sum()  # noqa: E731
    params = jax.tree.map(jnp.asarray, PARAMS)
    tangent = jax.tree.map(jnp.ones_like, params)
    value, derivative = jax.jvp(loss, (params,), (tangent,))
    gradient = jax.grad(loss)(params)
    expected = sum(map(jnp.vdot, *map(jax.tree.leaves, (gradient, tangent))))
    np.testing.assert_allclose(derivative, expected, rtol=1e-4)
    np.testing.assert_allclose(jax.checkpoint(loss)(params), value, rtol=1e-5)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    np.testing.assert_allclose(jax.vmap(loss)(stacked)[0], value, rtol=1e-5)
    curvature = jax.grad(lambda p: (jax.grad(loss)(p).bias ** 2).sum())(params)
    assert np.isfinite(curvature.kernel).all()
