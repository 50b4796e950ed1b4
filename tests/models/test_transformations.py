"""Models under the transformations of JAX: ensembles, per-example gradients, curvature."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstmcore as lc

MODEL = lc.StackedLSTM(features=2, units=3, outputs=1)
X = jax.random.normal(jax.random.key(1), (6, 4, 2))
Y = X.sum(axis=2, keepdims=True)
KEYS = jax.random.split(jax.random.key(0), 3)


def loss(params, batch):
    x, y = batch
    return jnp.mean((MODEL.apply(params, x)[0] - y) ** 2)


def test_an_ensemble_is_trained_as_one_program():
    """The members do not see one another: each ends where it would have ended alone."""

    def ensemble_loss(params, batch):
        return jax.vmap(loss, in_axes=(0, None))(params, batch).sum()

    options = {"optimizer": optax.adam(0.05), "epochs": 8, "batch_size": 3}
    start = jax.vmap(MODEL.init)(KEYS)
    together = lc.fit(ensemble_loss, start, (X, Y), **options).params
    alone = [lc.fit(loss, MODEL.init(key), (X, Y), **options).params for key in KEYS]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *alone)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), together, stacked)
    outputs, traces = jax.vmap(MODEL.apply, in_axes=(0, None))(together, X)
    assert outputs.shape == (3, 6, 4, 1)
    assert traces["lstm_0"].gates.forget.shape == (3, 6, 4, 3)


def test_gradients_of_each_example():
    params = MODEL.init(KEYS[0])
    each = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(params, (X[:, None], Y[:, None]))
    mean = jax.jit(jax.grad(loss))(params, (X, Y))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a.mean(axis=0), b, rtol=1e-4, atol=1e-6), each, mean
    )


def test_hessian_vector_products(x64):
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), MODEL.init(KEYS[0]))
    data = X.astype(jnp.float64), Y.astype(jnp.float64)
    direction = jax.tree.map(jnp.ones_like, params)
    gradient = jax.jit(jax.grad(lambda p: loss(p, data)))
    _, product = jax.jvp(gradient, (params,), (direction,))
    step = 1e-6
    moved = [jax.tree.map(lambda p, s=s: p + s * step, params) for s in (1, -1)]
    numeric = jax.tree.map(lambda a, b: (a - b) / (2 * step), *map(gradient, moved))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), product, numeric
    )
