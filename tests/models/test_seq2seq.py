"""The encoder-decoder: against one written by hand; padding, steps, noise, ties, files, study."""

from functools import partial
from itertools import pairwise

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import strategies
from chance import assert_share
from laws import along, numeric_derivative
from strategies import random_like, weights
from translation import (
    MODELS,
    SOURCE_LENGTHS,
    TARGET_LENGTHS,
    B,
    S,
    T,
    batch,
    full_batch,
    translate,
)

import lstmcore as lc
from lstmcore import reference

every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
# Models whose every option another model has, too.
THOROUGH = ("plain", "dot, residual", "mean, table as head", "real-valued")
enough_models = pytest.mark.parametrize(
    "model",
    [
        pytest.param(model, marks=[pytest.mark.thorough] * (name in THOROUGH))
        for name, model in MODELS.items()
    ],
    ids=MODELS,
)
KEY = jax.random.key(0)
small = partial(np.testing.assert_allclose, rtol=1e-5, atol=3e-6)
tight = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9)


def assert_close(ours, theirs, close=small):
    jax.tree.map(close, ours, theirs)


def real_steps(name, example):
    """Slices of an example that cut padding off."""
    s, t = SOURCE_LENGTHS[example], TARGET_LENGTHS[example]
    if name == "attention":
        return example, slice(t), slice(s)
    return example, slice(s if name.startswith("encoder") else t)


def real_part(results, example):
    """Of one example, without padding: (logits [T, V], traces)."""
    logits, traces = results

    def cut(name, tree):
        return jax.tree.map(lambda leaf: np.asarray(leaf)[real_steps(name, example)], tree)

    return cut("logits", logits), {name: cut(name, trace) for name, trace in traces.items()}


def cotangents(rng, model, params, sequences):
    """Random weights for all that `apply` returns at real steps; 0 for padding."""
    shapes = jax.eval_shape(lambda p: model.apply(p, *sequences), params)
    logits, traces = random_like(rng, shapes)
    kept = {}
    for name, tree in {"logits": logits, **traces}.items():
        real = np.zeros((B, T, S) if name == "attention" else jax.tree.leaves(tree)[0].shape[:2])
        for example in range(B):
            real[real_steps(name, example)] = 1
        real = real if name == "attention" else real[:, :, None]
        kept[name] = jax.tree.map(lambda leaf, real=real: (leaf * real).astype(leaf.dtype), tree)
    return kept.pop("logits"), kept


def inner_product(tree, other):
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return sum((a * b).sum() for a, b in pairs)


@partial(jax.jit, static_argnums=0)
def differentiated(model, params, sequences, factors, options):
    """(results, gradients of a random sum of their real part)."""

    def loss(params):
        results = model.apply(params, *sequences, **options)
        return inner_product(results, factors), results

    gradients, results = jax.grad(loss, has_aux=True)(params)
    return results, gradients


# Against the same by hand, one example at a time, without padding.


@enough_models
@pytest.mark.usefixtures("x64")
def test_a_padded_batch_is_each_example_alone(model, rng):
    """In logits, traces, attention and gradients; lengths of 1, an empty source, NaN as padding."""
    params = weights(model, np.float64)
    sequences, options = batch(model)
    factors = cotangents(rng, model, params, sequences)
    results, gradients = differentiated(model, params, sequences, factors, options)
    assert_padding_is_silent(results)

    def by_hand(params):
        examples = zip(*sequences, SOURCE_LENGTHS, TARGET_LENGTHS, strict=True)
        return [translate(model, params, x[:s], y[:t]) for x, y, s, t in examples]

    def loss(params):
        return inner_product(by_hand(params), real_factors)

    real_factors = [real_part(factors, example) for example in range(B)]
    for example, expected in enumerate(by_hand(params)):
        assert_close(real_part(results, example), expected, tight)
    direction = random_like(rng, params)
    numeric = numeric_derivative(loss, params, direction)
    assert along(gradients, direction) == pytest.approx(numeric, rel=1e-7)


def assert_padding_is_silent(results):
    """It does not reach the logits even of padding, carries the state, and gets no attention."""
    logits, traces = jax.tree.map(np.asarray, results)
    assert np.isfinite(logits).all()
    attention = traces.pop("attention", None)
    for name, trace in traces.items():
        lengths = TARGET_LENGTHS if name.startswith("decoder") else SOURCE_LENGTHS
        for example, length in enumerate(lengths):
            at_padding = jax.tree.map(lambda leaf, e=example, n=length: leaf[e, n:], trace)
            assert all((gate == 0).all() for gate in at_padding.gates)
            for carried in (at_padding.h, at_padding.c):
                np.testing.assert_array_equal(carried, np.broadcast_to(carried[:1], carried.shape))
    if attention is not None:
        for example, length in enumerate(SOURCE_LENGTHS):
            np.testing.assert_array_equal(attention[example, :, length:], 0)
            tight(attention[example].sum(axis=-1), float(length > 0))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("dot, residual", marks=pytest.mark.thorough),
        pytest.param("general, deeper decoder", marks=pytest.mark.thorough),
        "mean, table as head",
        "tokens to real",
    ],
)
def test_teacher_forcing_is_encode_and_step(name):
    model = MODELS[name]
    params = weights(model)
    source, target = full_batch(model)
    logits, traces = jax.jit(model.apply)(params, source, target)
    first = np.zeros_like(target[:, :1]) if target.ndim == 3 else np.full((B, 1), lc.START)
    before = np.concatenate([first, target[:, :-1]], axis=1)

    @jax.jit
    def by_steps(params, source, before):
        def body(state, token):
            logits, state = model.step(params, token, state)
            return state, (logits, state)

        state, encoded = model.encode(params, source)
        _, results = jax.lax.scan(body, state, before.swapaxes(0, 1))
        return state, encoded, jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), results)

    state, encoded, (stepped, states) = by_steps(params, source, before)
    assert {leaf.shape[0] for leaf in jax.tree.leaves(state)} == {B}
    assert_close(encoded, {name: traces[name] for name in encoded})
    small(stepped, logits)
    for place, layer in enumerate(states.layers):
        trace = traces[f"decoder_{place}"]
        assert_close(layer, lc.LSTMState(trace.h, trace.c))
    np.testing.assert_array_equal(states.t, np.broadcast_to(np.arange(T) + 1, (B, T)))


@pytest.mark.parametrize("name", ["real to tokens"])
def test_under_jit_and_vmap(name):
    """jit = no jit; a batch is a map over its examples."""
    model = MODELS[name]
    params = weights(model)
    sequences, options = batch(model)
    plain = model.apply(params, *sequences, **options)

    @jax.jit
    @partial(jax.vmap, in_axes=(None, 0, 0))
    def alone(params, sequences, options):
        sequences, options = jax.tree.map(lambda leaf: leaf[None], (sequences, options))
        results = model.apply(params, *sequences, **options)
        return jax.tree.map(lambda leaf: leaf[0], results)

    assert_close(alone(params, sequences, options), plain)


def test_lengths_of_nothing():
    """Sources without steps, targets without steps, empty batches."""
    model = MODELS["dot, residual"]
    params = weights(model)
    source, target = full_batch(model)
    logits, traces = model.apply(params, source[:, :0], target)
    assert traces["attention"].shape == (B, T, 0)
    for row, y in zip(logits, target, strict=True):
        small(row, translate(model, params, np.zeros(0, int), y)[0])

    def shape(source, target, **options):
        return jax.eval_shape(lambda p: model.apply(p, source, target, **options)[0], params).shape

    for options in ({}, {"key": KEY, "sampling": 0.5}):
        assert shape(source, target[:, :0], **options) == (B, 0, 6)
        assert shape(source[:0], target[:0], **options) == (0, T, 6)


def test_export_for_any_batch_and_any_length():
    model = MODELS["reversed, one table"]
    params = weights(model)
    sequences = batch(model)[0]
    b, s, t = jax.export.symbolic_shape("b, s, t")
    shapes = [jax.ShapeDtypeStruct(shape, jnp.int32) for shape in ((b, s), (b, t))]
    exported = jax.export.export(jax.jit(model.apply))(params, *shapes)
    found = exported.call(params, *(jnp.asarray(side) for side in sequences))
    assert_close(found, model.apply(params, *sequences))


def test_reverse_source_reads_a_flipped_source():
    model = MODELS["reversed, one table"]
    ahead = lc.Seq2Seq(**vars(model) | {"reverse_source": False})
    params = weights(model)
    source, target = full_batch(model)
    logits, traces = model.apply(params, source, target)
    flipped, unturned = ahead.apply(params, source[:, ::-1], target)
    small(logits, flipped)
    small(traces["encoder_0"].h, unturned["encoder_0"].h[:, ::-1])
    small(traces["attention"], unturned["attention"][:, :, ::-1])
    assert np.abs(logits - ahead.apply(params, source, target)[0]).max() > 0.01


def test_masks_come_from_padding_unless_they_are_given():
    model = MODELS["plain"]
    params = weights(model)
    source, target = batch(model)[0]
    by_itself = model.apply(params, source, target)
    given = {"source_mask": source != 0, "target_mask": target != 0}
    assert_close(model.apply(params, source, target, **given), by_itself)
    everything = {"source_mask": source > -1, "target_mask": target > -1}
    logits, traces = model.apply(params, source, target, **everything)
    assert np.abs(logits - by_itself[0])[1].max() > 0.01
    assert all((trace.gates.forget != 0).all() for trace in traces.values())
    holes = (source != 0) & (np.arange(S) != 1)
    left_out = np.delete(source, 1, axis=1)
    small(
        model.apply(params, source, target, source_mask=holes)[0],
        model.apply(params, left_out, target)[0],
    )


def test_bfloat16():
    """Gates and cell stay float32; float64 is what the comparison by hand runs in."""
    model = MODELS["general, deeper decoder"]
    source, target = full_batch(model)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), weights(model))

    def run(params, sampling=None):
        key = None if sampling is None else KEY
        return model.apply(params, source, target, key=key, sampling=sampling)

    def step(params):
        return model.step(params, target[:, 0], model.encode(params, source)[0])

    for logits, traces in (
        jax.eval_shape(run, params),
        jax.eval_shape(lambda p: run(p, 0.5), params),
    ):
        narrow = logits, traces["attention"], traces["decoder_0"].h
        assert {leaf.dtype for leaf in narrow} == {jnp.dtype(jnp.bfloat16)}
        wide = traces["decoder_0"].c, traces["decoder_0"].gates.forget
        assert {leaf.dtype for leaf in wide} == {jnp.dtype(jnp.float32)}
    logits, state = jax.eval_shape(step, params)
    assert (logits.dtype, state.layers[0].c.dtype) == (jnp.bfloat16, jnp.float32)
    for found, x, y in zip(jax.jit(run)(params)[0], source, target, strict=True):
        expected, _ = translate(model, weights(model), x, y)
        np.testing.assert_allclose(found.astype(jnp.float32), expected, atol=0.1)


def test_layers_stand_in_reading_order():
    """With a state projection only where sizes differ, and a combination only if there is one."""
    assert list(lc.Seq2Seq(7, 6, (4, 3), 3, (4, 5, 3), "general").layers) == [
        *("source_embedding", "encoder_0", "encoder_1", "bridge_1_h", "bridge_1_c"),
        *("target_embedding", "decoder_0", "decoder_1", "decoder_2"),
        *("attention", "combine", "head"),
    ]
    tied = lc.Seq2Seq(7, 7, 3, 3, bidirectional=True, merge="sum", tie="all")
    both = ["encoder_0_forward", "encoder_0_backward"]
    assert list(tied.layers) == ["embedding", *both, "decoder_0"]
    assert list(lc.Seq2Seq(7, 6, 4, 3, tie="output").layers)[-2:] == ["decoder_0", "combine"]
    table = lc.summary(MODELS["dot, residual"]).splitlines()
    assert [row.split()[0] for row in table[-5:-2]] == ["attention", "combine", "head"]


def test_fresh_weights():
    for model in MODELS.values():
        params = jax.eval_shape(partial(model.init, dtype=jnp.bfloat16), KEY)
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.bfloat16)}
        assert list(params) == sorted(model.layers)  # JAX sorts the keys of a dict
        for name, layer in model.layers.items():
            shapes = {
                k: leaf.shape for k, leaf in params[name]._asdict().items() if leaf is not None
            }
            assert (type(params[name]), shapes) == (layer.kind, layer.shapes())
    model = lc.Seq2Seq(7, 7, 4, 3)
    params = model.init(KEY)
    assert list(params) == list(model.layers)
    for part in ("{}_embedding", "{}_0"):
        one, other = (
            jax.tree.leaves(params[part.format(side)])[0]
            for side in (("source", "target") if "emb" in part else ("encoder", "decoder"))
        )
        assert (one != other).all()  # each has a key of its own


# Scheduled sampling.


@partial(jax.jit, static_argnums=0)
def sampled(model, params, sequences, factors, options, sampling):
    """As `differentiated`."""

    def loss(params):
        results = model.apply(params, *sequences, key=KEY, sampling=sampling, **options)
        return inner_product(results, factors), results

    gradients, results = jax.grad(loss, has_aux=True)(params)
    return results, gradients


def derivative_by_head_bias(model, params, sequences, factors, options, step=1e-2):
    """Of the random sum, by all numbers of the bias together; what is fed back moves with it."""
    values = []
    for change in (step, -step):
        moved = params | {"head": params["head"]._replace(bias=params["head"].bias + change)}
        results, _ = sampled(model, moved, sequences, factors, options, 1.0)
        values.append(inner_product(results, factors))
    return float(values[0] - values[1]) / (2 * step)


@pytest.mark.parametrize(
    "name", [pytest.param("dot, residual", marks=pytest.mark.thorough), "real-valued"]
)
def test_sampling(name, rng):
    """Never is teacher forcing, padding included; always is feeding back the previous output."""
    model = MODELS[name]
    params = weights(model)
    sequences, options = batch(model)
    factors = cotangents(rng, model, params, sequences)
    never = sampled(model, params, sequences, factors, options, 0.0)
    assert_close(never, differentiated(model, params, sequences, factors, options), small)

    source, target = sequences
    if target.ndim == 2:  # as good as certain which token is drawn
        params["head"] = jax.tree.map(lambda leaf: leaf * 1e3, params["head"])
    (logits, traces), gradients = sampled(model, params, sequences, factors, options, 1.0)
    if target.ndim == 3:  # numbers hand a gradient on, drawn tokens do not
        by_hand = derivative_by_head_bias(model, params, sequences, factors, options)
        assert gradients["head"].bias.sum() == pytest.approx(by_hand, rel=1e-2)
    own = np.asarray(logits if target.ndim == 3 else logits.argmax(axis=-1))
    before = np.where(np.isnan(target) | (target == 0), target, own)
    (fed_back, their_traces), _ = differentiated(model, params, (source, before), factors, options)
    small(logits, fed_back, atol=1e-2 if target.ndim == 2 else 3e-6)
    assert_close(traces, their_traces)
    assert np.abs(logits - never[0][0]).max() > 0.01


def test_sampling_follows_its_probability_and_the_logits():
    """A decoder whose candidate tells which token it read: 2, always true, 3 or 4, its own."""
    model = lc.Seq2Seq(6, 6, 1, embedding=6, activation="linear")
    params = jax.tree.map(np.zeros_like, weights(model))
    params["target_embedding"] = lc.EmbeddingParams(np.eye(6, dtype=np.float32))
    kernel = np.zeros((6, 4), np.float32)
    kernel[:, 2] = np.arange(6)
    params["decoder_0"] = params["decoder_0"]._replace(kernel=kernel)
    bias = np.array([-99, -99, -99, np.log(0.3), np.log(0.7), -99], np.float32)
    params["head"] = params["head"]._replace(bias=bias)
    source, target = np.full((100, 1), 2), np.full((100, 50), 2)
    _, traces = model.apply(params, source, target, key=KEY, sampling=0.2)
    read = np.asarray(traces["decoder_0"].gates.candidate[:, :, 0]).round().astype(int)
    np.testing.assert_array_equal(read[:, 0], lc.START)
    assert set(np.unique(read[:, 1:])) == {2, 3, 4}
    own = read[:, 1:] != 2
    assert_share(own, 0.2)
    assert_share(read[:, 1:] == 4, 0.14)
    assert_share(own[:, :-1:2] & own[:, 1::2], 0.04)  # drawn apart at each step,
    assert_share(own[::2] & own[1::2], 0.04)  # and for each example


# Edits.


def test_edits_act_in_apply_step_and_sampling_alike():
    model = lc.Seq2Seq(7, 6, (3, 3), 3, attention="general")
    params = weights(model)
    source, target = full_batch(model)
    edits = {
        "encoder_0": lambda gates, t: gates._replace(output=jnp.where(t == 2, 0, gates.output)),
        "decoder_1": lambda gates, t: gates._replace(
            input=gates.input * jnp.asarray(t == 1, gates.input.dtype), forget=0.5
        ),
    }

    @jax.jit
    def run(params, source, target, key=None, sampling=None):
        return model.apply(params, source, target, edits=edits, key=key, sampling=sampling)

    step = jax.jit(partial(model.step, edits=edits))
    logits, traces = run(params, source, target)
    np.testing.assert_array_equal(traces["encoder_0"].h[:, 2], 0)
    assert (traces["encoder_0"].h[:, [1, 3]] != 0).all()
    gates = traces["decoder_1"].gates
    np.testing.assert_array_equal(gates.forget, 0.5)
    assert [bool((gates.input[:, t] != 0).all()) for t in range(T)] == [False, True] + [False] * 3
    assert_close(run(params, source, target, KEY, 0.0), (logits, traces))
    state, _ = model.encode(params, source, edits=edits)
    token = np.full(B, lc.START)
    for t in range(T):
        stepped, state = step(params, token, state)
        small(stepped, logits[:, t])
        token = target[:, t]


# Dropout.


def noisy_model(**options):
    """Its candidates are 1 and what the layer reads, its output is what the head reads."""
    model = lc.Seq2Seq(50, 50, (50,), activation="linear", **options)
    params = jax.tree.map(np.zeros_like, weights(model))
    part = "kernel" if model.dropout else "recurrent_kernel"
    to_candidate = np.zeros((50, 200), np.float32)
    to_candidate[:, 100:150] = np.eye(50)
    bias = np.repeat(np.array([0, 0, 1, 0], np.float32), 50)
    for name in ("encoder_0", "decoder_0"):
        params[name] = params[name]._replace(bias=bias, **{part: to_candidate})
    params["head"] = params["head"]._replace(kernel=np.eye(50, dtype=np.float32))
    return model, params


def units_kept(mask, rate):
    """They are 0 or 1 / (1 - rate), the same at every step, drawn apart for each example."""
    mask = np.asarray(mask)
    small(mask, np.broadcast_to(mask[:, :1], mask.shape))
    kept = np.abs(mask[:, 0]) > 1e-3
    small(mask[:, 0][kept], 1 / (1 - rate))
    assert_share(kept, 1 - rate)
    assert_share(kept[::2] & kept[1::2], (1 - rate) ** 2)
    return kept


thorough = partial(pytest.param, marks=pytest.mark.thorough)


@pytest.mark.parametrize(
    ("kind", "sampling"),
    [
        ("dropout", None),
        ("recurrent_dropout", 0.0),
        thorough("dropout", 0.0),
        thorough("recurrent_dropout", None),
    ],
)
def test_dropout(kind, sampling):
    model, params = noisy_model(**{kind: 0.3})
    x = np.ones((40, 4, 50), np.float32)
    run = lambda key: model.apply(params, x, x, key=key, sampling=None if key is None else sampling)  # noqa: E731
    y, traces = run(KEY)
    if kind == "dropout":
        drawn = {
            "encoder": traces["encoder_0"].gates.candidate - 1,
            "decoder": traces["decoder_0"].gates.candidate[:, 1:] - 1,  # the first reads zeros
            "head": y / traces["decoder_0"].h,
        }
    else:
        drawn = {
            name: (trace.gates.candidate[:, 1:] - 1) / trace.h[:, :-1]
            for name, trace in traces.items()
        }
    kept = [units_kept(mask, 0.3) for mask in drawn.values()]
    for one, other in pairwise(kept):
        assert_share(one & other, 0.49)  # drawn apart
    assert_close(run(KEY), (y, traces), np.testing.assert_array_equal)
    assert (np.asarray(run(jax.random.key(1))[0]) != y).mean() > 0.1
    without = lc.Seq2Seq(**vars(model) | {kind: 0.0})
    assert_close(run(None), without.apply(params, x, x), np.testing.assert_array_equal)


def test_dropout_reaches_every_layer_of_both_directions():
    """Apart from its dropout masks, each layer is the layer alone, as `lc.lstm` runs it."""
    model = lc.Seq2Seq(
        *(7, 6, (4, 4), 4),
        attention="general",
        bidirectional=True,
        merge="sum",
        residual=True,
        dropout=0.5,
        recurrent_dropout=0.5,
    )
    params = weights(model)
    source, target = full_batch(model)
    plain, without = model.apply(params, source, target)
    logits, traces = model.apply(params, source, target, key=KEY)
    assert np.isfinite(logits).all()
    assert np.abs(logits - plain).max() > 0.01
    for name in set(traces) - {"attention"}:
        assert np.abs(traces[name].h - without[name].h)[:, 0].max() > 1e-3, name
    assert_close(model.apply(params, source, target, key=KEY, sampling=0.0), (logits, traces))
    encoded = model.encode(params, source)[1]
    assert_close(encoded, {name: without[name] for name in encoded})


# One table for several uses.


@pytest.mark.parametrize("tie", [thorough("source"), "output", "all"])
def test_a_tied_table_is_one_table(tie):
    """Its gradient is the sum of those of the tables that it stands for."""
    model = lc.Seq2Seq(7, 7, 4, 4, tie=tie)
    apart = lc.Seq2Seq(7, 7, 4, 4)
    params = weights(model)
    table = params["target_embedding" if tie == "output" else "embedding"].table
    untied = {name: layer for name, layer in params.items() if not name.endswith("embedding")}
    untied["target_embedding"] = lc.EmbeddingParams(table)
    untied["source_embedding"] = params.get("source_embedding", untied["target_embedding"])
    uses = ["source_embedding"] * (tie != "output") + ["target_embedding"]
    if tie != "source":
        untied["head"] = lc.DenseParams(table.T, np.zeros(7, np.float32))
    sequences = full_batch(model)

    @partial(jax.jit, static_argnums=0)
    @partial(jax.value_and_grad, argnums=1)
    def loss_and_gradient(model, params):
        logits, _ = model.apply(params, *sequences)
        return lc.cross_entropy(logits, jnp.asarray(sequences[1]))

    ours, gradients = loss_and_gradient(model, params)
    theirs, expected = loss_and_gradient(apart, untied)
    small(ours, theirs)
    total = sum(expected[name].table for name in uses)
    if tie != "source":
        total = total + expected["head"].kernel.T
    found = gradients["target_embedding" if tie == "output" else "embedding"].table
    small(found, total)
    assert np.abs(found).min(axis=1).max() > 0
    numbers = sum(leaf.size for leaf in jax.tree.leaves(params))
    saved = {"source": 28, "output": 28 + 7, "all": 28 + 28 + 7}  # a table of 7 x 4, a bias of 7
    assert numbers == sum(leaf.size for leaf in jax.tree.leaves(untied)) - saved[tie]


# Around the model: summary, files, study.


@every_model
def test_summary_shows_every_layer(model):
    _, _, *rows, _, total = lc.summary(model, timesteps=9).splitlines()
    params, sequences = weights(model), full_batch(model)
    _, traces = jax.eval_shape(lambda p: model.apply(p, *sequences), params)
    counts = {row.split()[0]: int(row.split()[-1].replace(",", "")) for row in rows}
    expected = {
        name: sum(leaf.size for leaf in jax.tree.leaves(layer)) for name, layer in params.items()
    }
    if model.attention == "dot":
        expected["attention"] = 0
    assert counts == expected
    assert total.split() == ["total", f"{sum(expected.values()):,}"]
    for row in rows:
        name, kind, shape = row.split()[0], row.split()[1], row[row.index("(") : row.index(")") + 1]
        if name in traces and name != "attention":
            steps = "9" if name.startswith("encoder") else "None"
            assert (kind, shape) == ("LSTM", f"(None, {steps}, {traces[name].h.shape[-1]})")
        elif name == "attention":
            state, _ = jax.eval_shape(lambda p: model.encode(p, sequences[0]), params)
            memory = state.memory
            assert shape == f"(None, None, {memory.shape[-1]})"
        elif name.endswith("embedding"):
            steps = "None" if name.startswith("target") else "9"
            assert (kind, shape) == ("Embedding", f"(None, {steps}, {params[name].table.shape[1]})")
        else:
            steps = "" if name.startswith("bridge") else "None, "
            assert (kind, shape) == ("Dense", f"(None, {steps}{params[name].bias.size})")


@every_model
def test_files_round_trip(model, model_path):
    lc.save(model_path, model, weights(model))
    loaded, params = lc.load(model_path)
    assert loaded == model
    assert hash(loaded) == hash(model)
    strategies.assert_same(params, weights(model))
    source, target = full_batch(model)
    apply, arrays = reference.load(model_path)
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-4, atol=3e-6),
        apply(arrays, np.asarray(source), np.asarray(target)),
        jax.tree.map(np.asarray, model.apply(params, source, target)),
    )


def test_files_hold_all_options(model_path):
    """Also where they were given as numbers of NumPy."""
    model = lc.Seq2Seq(
        np.int64(7), 7, [np.int32(3)], embedding=np.int64(3), decoder_units=[4, 3],
        bidirectional=np.True_, merge="sum", residual=np.True_, tie="source",
        reverse_source=np.False_, dropout=np.float32(0.25), recurrent_dropout=np.float64(0.5),
        activation="relu", recurrent_activation="hard_sigmoid", output_activation="linear",
    )  # fmt: skip
    lc.save(model_path, model, weights(model))
    assert lc.load(model_path)[0] == model
    assert (model.bidirectional, model.dropout, model.recurrent_dropout) == (True, 0.25, 0.5)


def test_models_are_values():
    model = MODELS["general, deeper decoder"]
    twin = lc.Seq2Seq(**vars(model))
    assert (twin, hash(twin)) == (model, hash(model))
    assert lc.Seq2Seq(7, 6, 4, 3) == lc.Seq2Seq(7, 6, [4], (3, 3), (4,)) != lc.Seq2Seq(7, 6, 4, 2)
    assert lc.Seq2Seq(7, 6, 4, decoder_units=None) == lc.Seq2Seq(7, 6, 4, decoder_units=(4,))
