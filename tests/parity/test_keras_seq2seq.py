"""The encoder-decoder against the same built of Keras layers, and `lc.embedding` against Keras's.

Written as Keras's own examples do: an LSTM with `return_state` hands its states to another as
`initial_state`. Values and gradients go through `keras_parity`, with random weights.
"""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras_parity import assert_parity, built, call, keras_promotion, lstm_layer
from strategies import weights
from translation import batch

import lstmcore as lc

few_steps = {"source_lengths": (4, 2, 6, 1), "target_lengths": (3, 5, 1, 2)}


def keras_lstm(name, units, params, x, state, mask, **options):
    """(h of every step, h, c)"""
    layer = built(lstm_layer(units, name=name, **options), x.shape)
    return call(layer, params[name], x, initial_state=state, mask=mask)


def keras_dense(params, x, activation=None):
    layer = keras.layers.Dense(params.kernel.shape[1], activation)
    return call(built(layer, x.shape), params, x)


def keras_embedding(params, ids):
    """(vectors, mask), which Keras makes itself."""
    layer = keras.layers.Embedding(*params.table.shape, mask_zero=True)
    built(layer, ids.shape)
    return call(layer, params, ids), layer.compute_mask(ids)


def keras_encoder(model, params, x, mask):
    """([h, c] of each height, what the last layer shows)"""
    finals = []
    for place, units in enumerate(model.units):
        name = f"encoder_{place}"
        if model.bidirectional:
            layer = keras.layers.Bidirectional(lstm_layer(units), merge_mode="concat")
            both = (params[f"{name}_forward"], params[f"{name}_backward"])
            x, *states = call(built(layer, x.shape), both, x, mask=mask)
            finals.append([jnp.concatenate(states[part::2], axis=-1) for part in (0, 1)])
        else:
            x, *states = keras_lstm(name, units, params, x, None, mask)
            finals.append(states)
    return finals, x


def keras_seq2seq(model, params, source, target):
    """{"logits": ..., "memory": ..., and the decoder's h of every step by layer}."""
    read, source_mask = keras_embedding(params["source_embedding"], source)
    finals, memory = keras_encoder(model, params, read, source_mask)
    before = np.concatenate([np.full_like(target[:, :1], lc.START), target[:, :-1]], axis=1)
    x, _ = keras_embedding(params["target_embedding"], before)
    hidden = {}
    for place, units in enumerate(model.decoder_units):
        h, c = finals[min(place, len(finals) - 1)]
        if f"bridge_{place}_h" in params:
            h = keras_dense(params[f"bridge_{place}_h"], h, "tanh")
            c = keras_dense(params[f"bridge_{place}_c"], c)
        name = f"decoder_{place}"
        x, *_ = keras_lstm(name, units, params, x, [h, c], target != lc.PADDING)
        hidden[name] = x
    y = x
    if model.attention is not None:
        context, hidden["attention"] = keras_attention(model, params, y, memory, source_mask)
        y = keras_dense(params["combine"], jnp.concatenate([context, y], axis=-1), "tanh")
    return hidden | {"memory": memory, "logits": keras_dense(params["head"], y)}


def keras_attention(model, params, queries, memory, mask):
    if model.attention == "general":  # the score of the dot product, of projected queries
        queries, values = queries @ params["attention"].weight, [memory]
        layer, scale = keras.layers.Attention(), []
    elif model.attention == "additive":  # Keras projects nothing by itself
        query, key, score = params["attention"]
        queries, values = queries @ query, [memory, memory @ key]
        layer, scale = keras.layers.AdditiveAttention(), [score]
    else:
        layer, scale, values = keras.layers.Attention(), [], [memory]
    inputs = [queries, *values]
    built(layer, [part.shape for part in inputs])
    masks = [None, mask] + [None] * (len(inputs) - 2)
    return call(layer, scale, inputs, mask=masks, return_attention_scores=True)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lc.Seq2Seq(7, 6, (4, 3), (3, 2)), marks=pytest.mark.thorough),
        lc.Seq2Seq(7, 6, 3, 3, (6,), "general", bidirectional=True),
        lc.Seq2Seq(7, 6, 4, 3, (5,), "additive"),
    ],
    ids=["plain", "general, bidirectional", "additive, bridge"],
)
def test_seq2seq(model):
    source, target = batch(model, **few_steps)[0]
    # The parity harness differentiates with respect to an array: here, the table of the source.
    params = weights(model)
    table = params.pop("source_embedding").table

    def with_table(params, table):
        return params | {"source_embedding": lc.EmbeddingParams(table)}

    def ours(params, table):
        params = with_table(params, table)
        logits, traces = model.apply(params, source, target)
        attention = {"attention": traces.pop("attention")} if model.attention else {}
        hidden = {name: trace.h for name, trace in traces.items() if name.startswith("decoder")}
        last = f"encoder_{len(model.units) - 1}"
        names = [f"{last}_forward", f"{last}_backward"] if model.bidirectional else [last]
        memory = jnp.concatenate([traces[name].h for name in names], axis=-1)
        if model.bidirectional:  # of padding Keras's wrapper shows zeros
            memory = jnp.where(source[:, :, None] != 0, memory, 0)
        return hidden | attention | {"memory": memory, "logits": logits}

    def theirs(params, table):
        return keras_seq2seq(model, with_table(params, table), source, target)

    assert_parity(ours, theirs, params, table)


def test_embedding():
    table = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    ids = np.array([[5, 6, 0], [1, 0, 0]])

    def ours(_, table):
        return lc.embedding(lc.EmbeddingParams(table), ids, padding=0)[0]

    def theirs(_, table):
        return keras_embedding(lc.EmbeddingParams(table), ids)[0]

    assert_parity(ours, theirs, {}, table)
    _, mask = lc.embedding(lc.EmbeddingParams(table), ids, padding=0)
    with keras_promotion():
        np.testing.assert_array_equal(mask, keras_embedding(lc.EmbeddingParams(table), ids)[1])


@pytest.mark.parametrize(
    "model",
    [
        lc.Seq2Seq(7, 6, (4, 3), (3, 2)),
        lc.Seq2Seq(7, 6, (4, 3), 5, (5, 2), "additive"),
        lc.Seq2Seq(7, 6, 4, 3, (8,), "dot", bidirectional=True),
    ],
    ids=["plain", "bridges", "bidirectional"],
)
def test_number_of_weights(model):
    """Of each layer, as Keras counts it; the table of `lc.summary` agrees."""
    rows = [line.split() for line in lc.summary(model).splitlines()[2:-2]]
    counts = {row[0]: int(row[-1].replace(",", "")) for row in rows}
    for name, layer in model.layers.items():
        if layer.kind in (lc.LSTMParams, lc.DenseParams):
            kind = lstm_layer if layer.kind is lc.LSTMParams else keras.layers.Dense
            theirs = built(kind(layer.units), (None, 3, layer.features))
        elif layer.kind is lc.EmbeddingParams:
            theirs = built(keras.layers.Embedding(layer.features, layer.units), (None, 3))
        else:
            continue
        assert counts[name] == theirs.count_params()
    params = jax.eval_shape(model.init, jax.random.key(0))
    assert sum(counts.values()) == sum(leaf.size for leaf in jax.tree.leaves(params))
