"""Batches of no examples, sequences of no steps, and sizes that an export leaves open."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import lstmcore as lc

KEY = jax.random.key(0)
PARAMS = lc.init_lstm(KEY, features=2, units=3)
DEEP = lc.init_lstm(KEY, features=2, units=3, peephole=True, projection=2)
FLOAT, TOKEN, BOOL = jnp.float32, jnp.int32, jnp.bool_


def unchanged(gates, t):
    return gates


@pytest.mark.thorough
@pytest.mark.parametrize("every", [1, "auto"])
@pytest.mark.parametrize(("batch", "steps"), [(0, 3), (2, 0), (0, 0)])
@pytest.mark.parametrize(
    "options", [{}, {"reverse": True}, {"edit": unchanged}, {"repeat": True}], ids=",".join
)
def test_nothing_to_read_in_checkpointed_chunks(options, batch, steps, every):
    x = jnp.ones((batch, 2) if "repeat" in options else (batch, steps, 2))
    options = options | ({"repeat": steps} if "repeat" in options else {})

    def total(params):
        state, trace = lc.lstm(params, x, checkpoint_every=every, **options)
        assert state.c.shape == (batch, 3)
        assert trace.gates.forget.shape == (batch, steps, 3)
        return trace.h.sum() + state.h.sum()

    gradients = jax.tree.leaves(jax.grad(total)(PARAMS))
    assert all(not leaf.any() for leaf in gradients)


def test_nothing_to_read_in_two_directions():
    _, (forward, backward) = lc.bidirectional(
        PARAMS, PARAMS, jnp.ones((0, 3, 2)), checkpoint_every=1
    )
    assert forward.h.shape == backward.h.shape == (0, 3, 3)


def test_nothing_at_each_step():
    """A layer that reads no features runs on its bias and state alone."""
    params = PARAMS._replace(kernel=PARAMS.kernel[:0])
    whole, pieces = (
        lc.lstm(params, jnp.ones((2, 4, 0)), checkpoint_every=every)[1].h for every in (None, 2)
    )
    np.testing.assert_allclose(pieces, whole, rtol=1e-6)


MODELS = [
    lc.Autoencoder(2, (4, 3)),
    lc.Autoencoder(2, 3, conditional=True),
    lc.CompositeAutoencoder(2, 3, steps=4),
    lc.StackedLSTM(2, 3, outputs=1),
]


@pytest.mark.parametrize(("batch", "steps"), [(0, 3), (2, 0)])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_models_of_nothing(model, batch, steps):
    _, traces = jax.eval_shape(model.apply, model.init(KEY), jnp.ones((batch, steps, 2)))
    assert all(trace.c.shape[0] == batch for trace in traces.values())


@pytest.mark.parametrize("mode", ["direct", "recursive"])
def test_a_forecaster_of_no_examples(mode):
    model = lc.Forecaster(3, 4, horizon=2, targets=2, future_covariates=1, mode=mode)
    forecast, _ = model.apply(model.init(KEY), jnp.ones((0, 3, 3)), jnp.ones((0, 2, 1)))
    assert forecast.shape == (0, 2, 2)


def exported(function, *shapes):
    scope = jax.export.SymbolicScope()
    arguments = [
        jax.ShapeDtypeStruct(jax.export.symbolic_shape(shape, scope=scope), dtype)
        for shape, dtype in shapes
    ]
    return jax.export.export(jax.jit(function))(*arguments)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "options", [{}, {"reverse": True}, {"edit": unchanged}, {"repeat": 5}], ids=",".join
)
@pytest.mark.parametrize("params", [PARAMS, DEEP], ids=["plain", "peephole and projection"])
def test_checkpointed_chunks_of_a_batch_of_any_size(rng, params, options):
    def run(x):
        return lc.lstm(params, x, checkpoint_every=2, **options)[1].h

    x = rng.normal(size=(3, 2) if "repeat" in options else (3, 5, 2)).astype(np.float32)
    any_batch = exported(run, ("b, 2" if "repeat" in options else "b, 5, 2", FLOAT))
    np.testing.assert_allclose(any_batch.call(x), run(x), rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
def test_the_gradient_of_checkpointed_chunks_for_a_batch_of_any_size(rng):
    def gradient(x):
        total = jax.grad(lambda params: lc.lstm(params, x, checkpoint_every=2)[1].h.sum())
        return jax.tree.leaves(total(PARAMS))

    x = rng.normal(size=(3, 5, 2)).astype(np.float32)
    any_batch = exported(gradient, ("b, 5, 2", FLOAT)).call(x)
    for found, expected in zip(any_batch, gradient(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def forecast(x, future):
    model = lc.Forecaster(3, 4, horizon=2, targets=2, future_covariates=1)
    return model.apply(model.init(KEY), x, future)


def step(params, token, state):
    return params[token], state


ANY_SIZE = {
    "both directions": (
        lambda x: lc.bidirectional(PARAMS, PARAMS, x, checkpoint_every=2)[1][1].h,
        ("b, 5, 2", FLOAT),
    ),
    "length_mask": (
        lambda x, lengths: lc.lstm(PARAMS, x, mask=lc.length_mask(lengths, x.shape[1])),
        ("b, t, 2", FLOAT),
        ("b", TOKEN),
    ),
    "zero_state": (lambda x: lc.lstm(PARAMS, x, lc.zero_state(x.shape[0], 3)), ("b, t, 2", FLOAT)),
    "zero_states": (lambda x: lc.zero_states({"lstm_0": DEEP}, x.shape[0]), ("b", FLOAT)),
    "zoneout": (lambda x: lc.zoneout(KEY, *x.shape, h=0.1, c=0.1), ("b, t, 3", FLOAT)),
    "cross_entropy": (lc.cross_entropy, ("b, t, 5", FLOAT), ("b, t", TOKEN)),
    "exact_match": (lc.exact_match, ("b, t, 5", FLOAT), ("b, t", TOKEN)),
    "Forecaster": (forecast, ("b, t, 3", FLOAT), ("b, 2, 1", FLOAT)),
    "greedy": (lambda s: lc.greedy(step, jnp.eye(5), s, max_length=3), ("b", FLOAT)),
    "sample": (
        lambda s: lc.sample(KEY, step, jnp.eye(5), s, max_length=3, top_p=0.9),
        ("b", FLOAT),
    ),
    "beam_search": (lambda s: lc.beam_search(step, jnp.eye(5), s, max_length=3), ("b", FLOAT)),
    "rollout": (
        lambda s, x: lc.rollout(lambda p, x, s: (x * p, s), 0.5, s, x, steps=3),
        ("b", FLOAT),
        ("b, 2", FLOAT),
    ),
}


@pytest.mark.parametrize("name", ANY_SIZE)
def test_an_export_leaves_the_size_open(name):
    """The batch, and where it can the time axis, become arguments of the program."""
    function, *shapes = ANY_SIZE[name]
    program = exported(function, *shapes)
    assert program.in_avals[0].shape[0].__class__.__name__ == "_DimExpr"


@pytest.mark.parametrize(("name", "size"), [("batch", -1), ("batch", 2.5)])
def test_a_size_is_a_whole_number(name, size):
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
        lc.zero_state(size, 3)
