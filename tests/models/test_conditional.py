"""Conditional decoders: fed with the truth or with themselves, and the laws that join the two."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import mask_kinds, random_mask, seeds, weights

import lstmcore as lc
from lstmcore import reference, study

KEY = jax.random.key(0)
X = np.linspace(-1, 1, 30, dtype=np.float32).reshape(3, 5, 2)
MODEL = lc.Autoencoder(2, (4, 3), conditional=True)
LATER = lc.Autoencoder(2, 3, "softsign", steps=7, conditional=True)
COMPOSITE = lc.CompositeAutoencoder(2, (4, 3), steps=2, conditional=True)
few = settings(max_examples=settings.default.max_examples // 2)


def close(ours, theirs, rtol=1e-5):
    assert_allclose = np.testing.assert_allclose
    jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=rtol, atol=3e-6), ours, theirs)


def closing(gates, t):
    """An edit that differs from step to step."""
    return gates._replace(forget=jnp.where(t == 1, 0, gates.forget), output=0.5 * gates.output)


@pytest.mark.parametrize("edited", [False, True])
@few
@given(st.sampled_from([MODEL, LATER]), mask_kinds, seeds)
def test_its_own_output_as_target_changes_nothing(edited, model, kind, seed):
    """At once with the truth before each step, or step by step: the same sequence, all traces."""
    rng = np.random.default_rng(seed)
    params, x = weights(model), rng.normal(size=X.shape).astype(np.float32)
    mask = random_mask(rng, kind, 3, 5)
    edits = {"encoder_0": closing, "decoder_0": closing} if edited else None
    free = model.apply(params, x, mask=mask, edits=edits)
    forced = model.apply(params, x, mask=mask, edits=edits, target=free[0])
    close(free, forced)
    numpy = model.apply(params, x, mask=mask, edits=edits, ops=reference)
    close(numpy, jax.tree.map(np.asarray, free))


def test_the_decoder_reads_the_step_before_beside_the_code():
    params, target = weights(MODEL), 2 * X + 1
    y, traces = MODEL.apply(params, X, target=target)
    code, _ = MODEL.encode(params, X)
    before = np.concatenate([np.zeros((3, 1, 2), np.float32), target[:, :-1]], axis=1)
    read = jnp.concatenate([lc.repeat_vector(code, 5), before], axis=-1)
    _, first = lc.lstm(params["decoder_0"], read)
    close(first, traces["decoder_0"])
    _, second = lc.lstm(params["decoder_1"], first.h)
    close(lc.dense(params["head"], second.h), y)
    changed = target.copy()
    changed[:, 3] = 9  # is read at step 4
    other, _ = MODEL.apply(params, X, target=changed)
    np.testing.assert_array_equal(other[:, :4], y[:, :4])
    assert (other[:, 4] != y[:, 4]).any()


def test_the_gradient_flows_through_what_is_fed_back(x64, rng):
    """As numeric differentiation says. (A target is a constant: nothing flows through it.)"""
    params, x = weights(MODEL, np.float64), np.float64(X)

    @jax.jit
    @jax.value_and_grad
    def loss_and_gradient(params):
        return jnp.sum(MODEL.apply(params, x)[0] ** 2)

    _, gradient = loss_and_gradient(params)
    direction = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), params)
    moved = [jax.tree.map(lambda p, d, s=s: p + s * d, params, direction) for s in (1e-5, -1e-5)]
    ahead, behind = (loss_and_gradient(there)[0] for there in moved)
    slope = (ahead - behind) / 2e-5
    along = jax.tree.map(lambda g, d: (g * d).sum(), gradient, direction)
    assert sum(jax.tree.leaves(along)) == pytest.approx(float(slope), rel=1e-6)


@pytest.mark.parametrize("forced", [False, True])
def test_padding_does_not_matter(forced):
    """A masked batch gives what the shorter sequences give, and NaN in padding goes nowhere."""
    params, length = weights(MODEL), 3
    mask = lc.length_mask(np.full(3, length), 5)
    padded = np.where(mask[:, :, None], X, np.nan)

    @jax.jit
    @jax.value_and_grad
    def loss_and_gradient(params, x, mask):
        y, _ = MODEL.apply(params, x, mask=mask, target=x if forced else None)
        return jnp.sum(y[:, :length] ** 2)

    masked = loss_and_gradient(params, padded, mask)
    close(masked, loss_and_gradient(params, X[:, :length], None), rtol=1e-4)


@pytest.mark.parametrize("conditional", [False, True])
def test_a_decoder_with_steps_of_its_own_is_not_masked(conditional):
    """Not even if they happen to be as many as were read."""
    model = lc.Autoencoder(2, 3, steps=5, conditional=conditional)
    mask = lc.length_mask(np.array([2, 5, 0]), 5)
    _, traces = model.apply(model.init(KEY), X, mask=mask)
    assert (traces["decoder_0"].gates.forget > 0).all()
    assert ((traces["encoder_0"].gates.forget > 0).all(axis=2) == mask).all()


@pytest.mark.parametrize("forced", [False, True])
def test_steps_in_between_that_are_masked_are_passed_over(forced):
    params = weights(MODEL)
    mask = np.array([[False, True, False, False, True]] * 3)
    dirty = np.where(mask[:, :, None], X, np.nan)
    y, traces = MODEL.apply(params, dirty, mask=mask, target=dirty if forced else None)
    short = X[:, [1, 4]]
    expected, _ = MODEL.apply(params, short, target=short if forced else None)
    close(y[:, [1, 4]], expected)
    np.testing.assert_array_equal(traces["decoder_0"].gates.forget[:, [0, 2, 3]], 0)
    assert np.isfinite(y).all()


def test_composite_is_two_conditional_decoders_with_one_encoder():
    params, future = weights(COMPOSITE), X[:, :2] + 1
    free, _ = COMPOSITE.apply(params, X)
    forced, _ = COMPOSITE.apply(params, X, target=(X, future))
    mixed, _ = COMPOSITE.apply(params, X, target=(X, None))
    close(mixed, (forced[0], free[1]))
    for place, (name, steps, target) in enumerate(
        [("reconstruction", None, X), ("prediction", 2, future)]
    ):
        single = {k: v for k, v in params.items() if k.startswith("encoder")}
        single |= {f"decoder_{i}": params[f"{name}_{i}"] for i in range(2)}
        single["head"] = params[f"{name}_head"]
        model = lc.Autoencoder(2, (4, 3), steps=steps, conditional=True)
        close(free[place], model.apply(single, X)[0])
        close(forced[place], model.apply(single, X, target=target)[0])
    ours = COMPOSITE.apply(params, X, ops=reference)[0]
    close(ours, jax.tree.map(np.asarray, free))


@pytest.mark.parametrize("model", [MODEL, COMPOSITE, lc.Autoencoder(2, (4, 3))], ids=str)
def test_encode_is_the_first_half_of_apply(model):
    params, mask = weights(model), lc.length_mask(np.array([2, 5, 0]), 5)
    edits = {"encoder_1": closing}
    code, traces = model.encode(params, X, mask=mask, edits=edits)
    _, every = model.apply(params, X, mask=mask, edits=edits)
    assert list(traces) == ["encoder_0", "encoder_1"]
    close(traces, {name: every[name] for name in traces})
    np.testing.assert_array_equal(code, traces["encoder_1"].h[:, -1])


def test_no_steps_and_narrow_weights():
    for mask in (None, np.zeros((3, 0), bool)):
        y, traces = MODEL.apply(weights(MODEL), X[:, :0], mask=mask)
        forced, _ = MODEL.apply(weights(MODEL), X[:, :0], mask=mask, target=X[:, :0])
        numpy, _ = MODEL.apply(weights(MODEL), X[:, :0], mask=mask, ops=reference)
        assert y.shape == forced.shape == numpy.shape == (3, 0, 2)
        assert traces["decoder_0"].h.shape == (3, 0, 3)
    y, traces = jax.eval_shape(lambda: MODEL.apply(MODEL.init(KEY, jnp.bfloat16), X))
    assert (y.dtype, traces["decoder_0"].c.dtype) == (jnp.bfloat16, jnp.float32)


@pytest.mark.thorough
def test_training_learns_to_write_by_itself():
    """Trained with teacher forcing, it then decodes a sine autoregressively."""
    x = lc.windows(np.sin(np.arange(60) / 2).astype(np.float32), length=8)
    model = lc.Autoencoder(1, 12, conditional=True)

    def loss(params, x):
        return jnp.mean((model.apply(params, x, target=x)[0] - x) ** 2)

    result = lc.fit(
        loss,
        model.init(KEY),
        x,
        optimizer=optax.adam(0.02),
        epochs=150,
        batch_size=32,
        key=KEY,
    )
    decoded, _ = model.apply(result.params, x)
    assert result.history["loss"][-1] < 0.01
    assert np.mean((decoded - x) ** 2) < 0.1 * np.mean(x**2)


def test_files_summary_and_runs(model_path):
    params = weights(MODEL)
    lc.save(model_path, MODEL, params)
    loaded, again = lc.load(model_path)
    assert loaded == MODEL
    run = study.run(loaded, again, X)
    y, traces = MODEL.apply(params, X)
    close(run.outputs, y)
    close(run["decoder_0"], traces["decoder_0"])
    apply, arrays = reference.load(model_path)
    close(apply(arrays, X)[0], np.asarray(y))
    table = lc.summary(MODEL, timesteps=5)
    rows = [line.split() for line in table.splitlines()]
    assert ["previous", "PreviousOutput", "(None,", "5,", "2)", "0"] in rows
    assert lc.summary(COMPOSITE).count("PreviousOutput") == 2
    plain = lc.summary(lc.Autoencoder(2, (4, 3)), timesteps=5)
    totals = [int(text.split()[-1]) for text in (table, plain)]
    assert totals[0] - totals[1] == 4 * 3 * 2  # two more rows of the first decoder's kernel


PARAMS = MODEL.init(KEY)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: lc.Autoencoder(2, 4, conditional="yes"),
            ValueError,
            "conditional must be one of False, True, got 'yes'",
        ),
        (
            lambda: lc.Autoencoder(2, 4).apply(lc.Autoencoder(2, 4).init(KEY), X, target=X),
            ValueError,
            "target is what a conditional decoder reads, .* make the model with conditional=True",
        ),
        (
            lambda: MODEL.apply(PARAMS, X, target=X[:, 1:]),
            ValueError,
            r"shape \(3, 4, 2\) but the decoder's output has \(3, 5, 2\): .* one row for each step",
        ),
        (lambda: MODEL.apply(PARAMS, X, target=X[0]), ValueError, "target must have 3 axes"),
        (lambda: MODEL.apply(PARAMS, X, target=[1]), TypeError, "target must be an array"),
        (
            lambda: MODEL.apply(PARAMS, X, target=X.astype(int)),
            ValueError,
            "target must be floating point, got int",
        ),
        (
            lambda: COMPOSITE.apply(COMPOSITE.init(KEY), X, target=X),
            TypeError,
            r"target must be a pair \(past, future\)",
        ),
        (
            lambda: COMPOSITE.apply(COMPOSITE.init(KEY), X, target=(X, X)),
            ValueError,
            r"target\[1\] has shape \(3, 5, 2\) but the decoder's output has \(3, 2, 2\)",
        ),
        (
            lambda: MODEL.apply(lc.Autoencoder(2, (4, 3)).init(KEY), X),
            ValueError,
            r"params\['decoder_0'\].kernel has shape \(3, 12\) but the model needs \(5, 12\)",
        ),
        (
            lambda: MODEL.apply(PARAMS, X, edits={"decoder_1": lambda gates, t: 1}),
            TypeError,
            r"(?s)edit must return Gates, got int.*\(in layer 'decoder_1'\)",
        ),
        (
            lambda: MODEL.encode(PARAMS, X, edits={"decoder_9": closing}),
            ValueError,
            "edits names 'decoder_9'",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
