"""Chains: every part, masks, names, streams, files, the NumPy engine, studies, errors."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from strategies import assert_same, random_like

import lstmcore as lc
from lstmcore import reference, study

C = lc.chain
KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (3, 5, 2))
IDS = jnp.array([[3, 4, 0, 0, 0], [5, 6, 7, 0, 0], [1, 2, 3, 4, 5]])
close = partial(np.testing.assert_allclose, rtol=1e-5, atol=3e-6)

TAGGER = lc.Chain([C.Embedding(8, 4, padding=0), C.LSTM(3, direction="bidirectional"), C.Dense(2)])
CODER = lc.Chain(
    [C.LSTM(4), C.LSTM(3, last=True), C.RepeatVector(5), C.LSTM(4, name="decoder"), C.Dense(2)], 2
)
CAUSAL = lc.Chain(
    [
        C.Masking(9.0),
        C.LSTM(4, peephole=True, projection=2, residual=True),
        C.LayerNorm(),
        C.LSTM(4, "relu", output_activation="linear"),
        C.Dropout(0.5),
        C.Dense(3, "tanh"),
        C.Activation("softmax"),
    ],
    2,
)
CHAINS = {"tagger": TAGGER, "coder": CODER, "causal": CAUSAL}
every_chain = pytest.mark.parametrize("name", CHAINS)


def weights(chain):
    return random_like(np.random.default_rng(0), chain.init(KEY))


def input_of(chain):
    return IDS if chain.features is None else X


def test_the_parts_are_the_functions_in_order():
    """Written out by hand, an autoencoder of a chain is this."""
    params = weights(CODER)
    _, first = lc.lstm(params["lstm_0"], X)
    state, second = lc.lstm(params["lstm_1"], first.h)
    _, third = lc.lstm(params["decoder"], lc.repeat_vector(state.h, 5))
    y, traces = CODER.apply(params, X)
    close(y, lc.dense(params["dense_0"], third.h))
    assert list(traces) == ["lstm_0", "lstm_1", "decoder"]
    jax.tree.map(close, list(traces.values()), [first, second, third])


def test_it_is_the_stacked_lstm_and_the_autoencoder():
    stack = lc.StackedLSTM(2, (4, 3), outputs=2)
    chain = lc.Chain([C.LSTM(4), C.LSTM(3), C.Dense(2, name="head")], features=2)
    params = stack.init(KEY)
    assert chain.layers == stack.layers
    assert_same(chain.init(KEY), params)
    jax.tree.map(close, chain.apply(params, X), stack.apply(params, X))


@every_chain
def test_files_and_the_numpy_engine(name, model_path):
    chain, params = CHAINS[name], weights(CHAINS[name])
    lc.save(model_path, chain, params)
    loaded, again = lc.load(model_path)
    assert (loaded, hash(loaded)) == (chain, hash(chain))
    assert_same(again, params)
    apply, arrays = reference.load(model_path)
    numpy = apply(arrays, np.asarray(input_of(chain)))
    expected = chain.apply(params, input_of(chain))
    jax.tree.map(close, numpy, jax.tree.map(np.asarray, expected))


@every_chain
def test_layers_describe_the_params(name):
    chain = CHAINS[name]
    assert list(chain.init(KEY)) == list(chain.layers)
    total = sum(leaf.size for leaf in jax.tree.leaves(chain.init(KEY)))
    assert lc.summary(chain).endswith(f"{total:,}")


def test_masks_reach_every_layer_and_studies():
    run = study.run(TAGGER, weights(TAGGER), IDS)  # no warning of steps masked within
    for layer in ("lstm_0_forward", "lstm_0_backward"):
        np.testing.assert_array_equal(run.masks[layer], IDS != 0)
        assert not np.any(np.asarray(run[layer, "input"])[np.asarray(IDS) == 0])
    given = lc.length_mask(jnp.array([1, 2, 5]), 5)
    masks = study.run(TAGGER, weights(TAGGER), IDS, given).masks
    np.testing.assert_array_equal(masks["lstm_0_forward"], (IDS != 0) & given)
    masks = study.run(CODER, weights(CODER), X, given).masks
    assert masks["decoder"] is None
    np.testing.assert_array_equal(masks["lstm_1"], given)


def test_a_mask_leaves_out_steps_as_if_they_were_not_there():
    chain = lc.Chain(
        [C.Masking(9.0), C.LSTM(3, direction="bidirectional", last=True), C.Dense(1)], 2
    )
    params = weights(chain)
    padded = jnp.concatenate([X, jnp.full((3, 4, 2), 9.0)], axis=1)
    close(chain.apply(params, padded)[0], chain.apply(params, X)[0])


def test_half_lives_do_not_count_padding():
    """Measured once: .36 instead of 2.2 steps, because the gates of padding are 0."""
    params = TAGGER.init(KEY)
    half_life = study.run(TAGGER, params, IDS).measure(study.time_scale)["lstm_0_forward"].half_life
    assert np.all(half_life > 1.5)


def test_edits_by_name():
    params, closed = weights(CODER), study.clamp("output", 0.0)
    _, traces = CODER.apply(params, X, edits={"decoder": closed})
    assert not np.any(traces["decoder"].h)
    assert np.any(traces["lstm_1"].h)
    with pytest.raises(ValueError, match="edits names 'dense_0' but the LSTM layers are lstm_0"):
        CODER.apply(params, X, edits={"dense_0": closed})


@pytest.mark.parametrize("cuts", [[1, 2, 2], [5], [2, 3]], ids=str)
def test_a_stream_is_the_whole_call(cuts):
    params = weights(CAUSAL)
    x = X.at[1, 2].set(9.0)  # one masked step
    stream, outputs = lc.stream(CAUSAL, params, batch=3), []
    for part in np.split(np.asarray(x), np.cumsum(cuts)[:-1], axis=1):
        y, stream = stream.step(part)
        outputs.append(y)
    close(np.concatenate(outputs, axis=1), CAUSAL.apply(params, x)[0])


def test_a_stream_of_tokens():
    chain = lc.Chain([C.Embedding(8, 4, padding=0), C.LSTM(3), C.Dense(2)])
    params, whole = weights(chain), []
    stream = lc.stream(chain, params, batch=3)
    for t in range(2):
        y, stream = stream.step(IDS[:, t])
        whole.append(y)
    y, _ = stream.step(IDS[:, 2:])
    parts = np.concatenate([np.stack(whole, axis=1), y], axis=1)
    close(parts, chain.apply(params, IDS)[0])


def test_dropout_needs_a_key_and_differs_by_layer():
    chain = lc.Chain(
        [
            C.Dropout(0.5, True),
            C.LSTM(8, recurrent_dropout=0.5),
            C.Dropout(0.5),
            C.Activation("linear"),
        ],
        8,
    )
    params, x = weights(chain), jnp.ones((2, 50, 8))
    free, _ = chain.apply(params, x)
    jax.tree.map(np.testing.assert_array_equal, free, chain.apply(params, x)[0])
    noisy, _ = chain.apply(params, x, key=KEY)
    np.testing.assert_array_equal(noisy, chain.apply(params, x, key=KEY)[0])
    assert 0.4 < np.mean(np.asarray(noisy) == 0) < 0.6
    assert np.any(noisy != chain.apply(params, x, key=jax.random.key(5))[0])
    with pytest.raises(ValueError, match="draws nothing at random: leave key out"):
        chain.apply(params, np.asarray(x), key=KEY, ops=reference)


def test_layers_with_alike_names_drop_other_units():
    chain = lc.Chain([C.Dropout(0.5, name="left_drop"), C.Dropout(0.5, name="right_drop")], 3)
    kept, _ = chain.apply({}, jnp.ones((40, 50, 3)), key=KEY)
    assert 0.2 < np.mean(np.asarray(kept) != 0) < 0.3


def test_an_activation_of_ones_own_is_never_stale():
    factor = 1.0
    chain = lc.Chain([C.LSTM(3), C.Activation(lambda y: factor * y)], 2)
    params = weights(chain)
    first = study.run(chain, params, X).outputs
    factor = 3.0
    close(study.run(chain, params, X).outputs, 3 * np.asarray(first))


def test_an_lstm_may_be_named_attention():
    chain = lc.Chain([C.LSTM(3, name="attention"), C.Dense(1)], 2)
    assert study.run(chain, weights(chain), X).layers == ("attention",)


def test_masked_steps_may_be_nan():
    chain = lc.Chain([C.LayerNorm(), C.LSTM(2, residual=True), C.LSTM(2, last=True)], 2)
    params, mask = weights(chain), lc.length_mask(jnp.array([2, 3, 5]), 5)
    noise = jnp.where(mask[:, :, None], X, jnp.nan)

    def loss(params, x):
        return chain.apply(params, x, mask=mask)[0].sum()

    for function in (loss, jax.grad(loss)):
        jax.tree.map(close, jax.jit(function)(params, noise), jax.jit(function)(params, X))


def test_it_is_trained_by_fit():
    def loss(params, batch, key=None):
        y, _ = CODER.apply(params, batch, key=key)
        return jnp.mean((y - batch) ** 2)

    result = lc.fit(
        loss, CODER.init(KEY), X, optimizer=optax.adam(0.02), epochs=20, batch_size=3, key=KEY
    )
    assert result.history["loss"][-1] < 0.9 * result.history["loss"][0]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: lc.Chain([], 2), ValueError, "parts is empty"),
        (lambda: lc.Chain(C.LSTM(2), 2), TypeError, "parts must be a list of layers, got LSTM"),
        (lambda: lc.Chain([lc.lstm], 2), TypeError, r"such as lc.chain.LSTM\(8\), got function"),
        (lambda: lc.Chain([C.LSTM(2)]), ValueError, "features is missing"),
        (
            lambda: lc.Chain([C.Embedding(3, 2)], 2),
            ValueError,
            "features is for a chain that reads",
        ),
        (lambda: lc.Chain([C.LSTM(2), C.Masking()], 2), ValueError, "Masking must be the first"),
        (
            lambda: lc.Chain([C.LSTM(3, last=True), C.LSTM(2)], 2),
            ValueError,
            "lstm_1 reads a sequence, but .* last=False, or put a RepeatVector",
        ),
        (lambda: lc.Chain([C.RepeatVector(3)], 2), ValueError, "repeat_0 repeats one vector"),
        (
            lambda: lc.Chain([C.LSTM(3, residual=True)], 2),
            ValueError,
            "lstm_0 cannot add its input",
        ),
        (
            lambda: lc.Chain([C.LSTM(3, name="a"), C.Dense(2, name="a")], 2),
            ValueError,
            "two layers are named 'a'",
        ),
        (
            lambda: lc.Chain(
                [C.LSTM(4, direction="bidirectional"), C.Dense(8, name="lstm_0_forward")], 2
            ),
            ValueError,
            "two layers are named 'lstm_0_forward'",
        ),
        (lambda: lc.Chain([C.LSTM(4, name=3)], 2), ValueError, "name must be a text without '/'"),
        (lambda: lc.Chain([C.Dense(1)] * 1001, 2), ValueError, "parts has 1,001 layers, expected"),
        (lambda: C.Masking(float("nan")), ValueError, "value is NaN, which equals nothing"),
        (lambda: study.run(TAGGER, weights(TAGGER), IDS + 4), ValueError, "the token id 8 but"),
        (lambda: C.LSTM(0), ValueError, "units must be at least 1, got 0"),
        (lambda: C.LSTM(3, "swish"), ValueError, "activation 'swish' is not known"),
        (lambda: C.LSTM(3, direction="up"), ValueError, "direction must be one of"),
        (lambda: C.LSTM(3, projection=0), ValueError, "projection must be at least 1"),
        (lambda: C.Dense(3, "softmin"), ValueError, "activation 'softmin' is not known"),
        (lambda: C.Embedding(5, 2, padding=5), ValueError, "padding must be at most 4"),
        (lambda: C.LayerNorm(0), ValueError, "epsilon must be above 0"),
        (lambda: C.Dropout(1.0), ValueError, "rate must be at least 0 and below 1"),
        (lambda: C.Masking("x"), TypeError, "value must be a number"),
        (lambda: lc.LSTM(3), AttributeError, "one layer is lc.init_lstm and lc.lstm"),
        (lambda: lc.Sequential([]), AttributeError, "it is lc.Chain here"),
        (
            lambda: CODER.apply(weights(CODER), X[..., :1]),
            ValueError,
            "x has 1 feature but the cha",
        ),
        (lambda: TAGGER.apply(weights(TAGGER), IDS + 4), ValueError, "x holds the token id 8 but"),
        (lambda: TAGGER.apply(weights(TAGGER), X), ValueError, "x must have 2 axes .batch, time."),
        (lambda: TAGGER.apply(weights(CODER), IDS), ValueError, "params has the layers decoder"),
        (
            lambda: CAUSAL.apply(
                weights(CAUSAL) | {"lstm_0": lc.init_lstm(KEY, 2, 4, peephole=True)}, X
            ),
            ValueError,
            r"params\['lstm_0'\].recurrent_kernel has shape",
        ),
        (lambda: lc.stream(TAGGER, weights(TAGGER)), TypeError, "its layer 'lstm_0' reads later"),
        (lambda: lc.stream(CODER, weights(CODER)), TypeError, "its layer 'lstm_1' reads later"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_chains_are_values():
    twin = lc.Chain(list(TAGGER.parts))
    assert (twin, hash(twin)) == (TAGGER, hash(TAGGER))
    assert twin != CODER
    assert repr(twin) == (
        "Chain([Embedding(vocabulary=8, units=4, padding=0), "
        "LSTM(units=3, direction='bidirectional'), Dense(units=2)])"
    )
    assert (
        repr(lc.Chain([C.LSTM(4, name="a")], 2)) == "Chain([LSTM(name='a', units=4)], features=2)"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Bidirectional", r"no attribute 'Bidirectional': it is LSTM\(8, direction=\"bidirect"),
        ("TimeDistributed", "it is Dense"),
        ("Input", "it is the argument features= of lc.Chain here"),
        ("GRU", "module 'lstmcore.chain' has no attribute 'GRU'$"),
    ],
)
def test_names_of_keras_say_what_to_write(name, message):
    with pytest.raises(AttributeError, match=message):
        getattr(lc.chain, name)


def test_params_of_numpy_in_float64_are_cast_quietly():
    model = lc.Chain([lc.chain.LSTM(3), lc.chain.LayerNorm()], features=2)
    params = model.init(jax.random.key(0))
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    x = np.ones((2, 4, 2), np.float32)
    np.testing.assert_allclose(model.apply(wide, x)[0], model.apply(params, x)[0], rtol=1e-5)


# What networks of Keras need


MASK = jnp.array([[True, True, False, True, False], [False, True, True, True, True], [True] * 5])


@pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
def test_zero_output_for_mask(direction):
    def output(last, zero):
        part = C.LSTM(3, direction=direction, last=last, zero_output_for_mask=zero)
        chain = lc.Chain([part], 2)
        return chain.apply(weights(chain), X, mask=MASK)

    (carried, traces), (zeroed, same) = output(False, False), output(False, True)
    np.testing.assert_array_equal(zeroed, jnp.where(MASK[..., None], carried, 0))
    jax.tree.map(np.testing.assert_array_equal, same, traces)
    (carried, _), (zeroed, _) = output(True, False), output(True, True)
    masked = {"forward": MASK[:, -1:], "backward": MASK[:, :1]}
    of_both = [jnp.repeat(masked[name], 3, axis=1) for name in ("forward", "backward")]
    masked["bidirectional"] = jnp.concatenate(of_both, axis=1)
    np.testing.assert_array_equal(zeroed, jnp.where(masked[direction], carried, 0))


def test_zero_output_for_mask_in_a_stream():
    chain = lc.Chain([C.LSTM(3, zero_output_for_mask=True)], 2)
    params = weights(chain)
    stream, outputs = lc.stream(chain, params, batch=3), []
    for t in range(5):
        y, stream = stream.step(X[:, t], MASK[:, t])
        outputs.append(y)
    close(np.stack(outputs, axis=1), chain.apply(params, X, mask=MASK)[0])


@pytest.mark.parametrize("reverse_mask", [True, False])
def test_reverse(reverse_mask, model_path):
    chain = lc.Chain([C.LSTM(3), C.Reverse(reverse_mask), C.LSTM(2)], 2)
    params = weights(chain)
    _, first = lc.lstm(params["lstm_0"], X, mask=MASK)
    mask = MASK[:, ::-1] if reverse_mask else MASK
    _, second = lc.lstm(params["lstm_1"], first.h[:, ::-1], mask=mask)
    y, traces = chain.apply(params, X, mask=MASK)
    close(y, second.h)
    np.testing.assert_array_equal(chain.masks(X, mask=MASK)["lstm_1"], mask)
    np.testing.assert_array_equal(chain.output_mask(X, MASK), mask)
    numpy = chain.apply(params, np.asarray(X), mask=np.asarray(MASK), ops=reference)
    jax.tree.map(close, numpy, jax.tree.map(np.asarray, (y, traces)))
    lc.save(model_path, chain, params)
    assert lc.load(model_path)[0] == chain
    assert "reverse_0  Reverse  (None, 5, 3)" in str(lc.summary(chain, timesteps=5))
    with pytest.raises(TypeError, match="its layer 'reverse_0' reads later steps"):
        lc.stream(chain, params)


def test_an_lstm_that_goes_backwards_and_reverses_hands_on_the_steps_as_taken():
    chain = lc.Chain([C.LSTM(3, direction="backward"), C.Reverse()], 2)
    params = weights(chain)
    close(chain.apply(params, X)[0], lc.lstm(params["lstm_0"], X[:, ::-1])[1].h)


def test_reverse_needs_a_sequence():
    with pytest.raises(ValueError, match=r"reverse_0 reverses a sequence, but .* last=False"):
        lc.Chain([C.LSTM(3, last=True), C.Reverse()], 2)


def test_masking_hands_on_zeros_at_masked_steps():
    x = X.at[1, 2].set(9.0)
    y, _ = lc.Chain([C.Masking(9.0), C.Activation("linear")], 2).apply({}, x)
    np.testing.assert_array_equal(y, X.at[1, 2].set(0.0))


def test_activations_beyond_the_lstm():
    parts = {
        "silu": (C.Activation("silu"), lambda x: x / (1 + np.exp(-x))),
        "exponential": (C.Activation("exponential"), np.exp),
        "leaky": (C.LeakyReLU(0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    }
    for part, function in parts.values():
        for ops in (lc.ops, reference):
            close(lc.Chain([part], 2).apply({}, np.asarray(X), ops=ops)[0], function(np.asarray(X)))
    with pytest.raises(ValueError, match="activation 'silu' is not known: use one of tanh"):
        C.LSTM(3, "silu")


def test_hard_sigmoid_of_keras_2():
    z = np.array([-3.0, -2.5, -1.0, 0.0, 1.0, 2.5, 3.0], np.float32)
    for ops in (lc.ops, reference):
        close(ops.activate("hard_sigmoid_keras2", z), [0, 0, 0.3, 0.5, 0.7, 1, 1])


def test_chains_described_before_there_were_these_options_load():
    """As a file of lstmcore 0.1 describes them: without the fields that came later."""
    lstm = {"part": "LSTM", "units": 3, "activation": "tanh", "recurrent_activation": "sigmoid"}
    lstm |= {"output_activation": None, "direction": "forward", "merge": "concat", "last": False}
    lstm |= {"residual": False, "peephole": False, "projection": None, "recurrent_dropout": 0.0}
    loaded = lc.Chain([{"part": "Masking", "value": 0.0}, lstm | {"name": None}], 2)
    assert loaded == lc.Chain([C.Masking(), C.LSTM(3)], 2)
