"""Encoder-decoders to test, what they read and write, and one written by hand to compare with.

`translate` takes one example without padding. It is plain NumPy in float64 on top of
`lstmcore.reference.lstm`: nothing is masked and nothing is run backwards, for padding is cut off
beforehand, and what is read from the end is turned round.
"""

import jax
import numpy as np

import lstmcore as lc
from lstmcore import reference
from lstmcore.types import LSTMState
from lstmcore.vocabulary import START

MODELS = {
    "plain": lc.Seq2Seq(7, 6, 4, embedding=3),
    "dot, residual": lc.Seq2Seq(7, 6, (4, 4), embedding=4, attention="dot", residual=True),
    "general, deeper decoder": lc.Seq2Seq(
        7, 6, 3, (2, 3), (6, 4), "general", bidirectional=True, activation="softsign"
    ),
    "additive, shallower decoder": lc.Seq2Seq(
        7, 6, (4, 4), 5, (3,), "additive", True, "sum", residual=True, tie="output"
    ),
    "mean, table as head": lc.Seq2Seq(
        7, 6, 4, (2, 4), bidirectional=True, merge="mean", tie="output"
    ),
    "mul, one vocabulary": lc.Seq2Seq(7, 7, 4, 3, bidirectional=True, merge="mul", tie="source"),
    "reversed, one table": lc.Seq2Seq(
        7, 7, 4, 3, attention="dot", reverse_source=True, tie="all", output_activation="linear"
    ),
    "real-valued": lc.Seq2Seq(2, 3, 4, attention="additive", recurrent_activation="softsign"),
    "real to tokens": lc.Seq2Seq(2, 6, 4, (None, 3), 3, "general", reverse_source=True),
    "tokens to real": lc.Seq2Seq(7, 2, (4, 5), (3, None), (4, 4), residual=True),
}
SOURCE_LENGTHS, TARGET_LENGTHS = (5, 3, 1, 0), (3, 4, 1, 2)
B, S, T = 4, 6, 5


def sequence(rng, width, size, steps, lengths):
    """(padded sequence, mask or None): tokens, or numbers with NaN for padding."""
    real = np.arange(steps) < np.array(lengths)[:, None]
    if width is not None:
        return np.where(real, rng.integers(1, size, real.shape), lc.PADDING), None
    x = rng.normal(size=(*real.shape, size)).astype(np.float32)
    return np.where(real[:, :, None], x, np.nan), real


def batch(model, seed=1, *, source_lengths=SOURCE_LENGTHS, target_lengths=TARGET_LENGTHS):
    """(source, target), and their masks as options of `apply`."""
    rng = np.random.default_rng(seed)
    source, source_mask = sequence(rng, model.embedding[0], model.source, S, source_lengths)
    target, target_mask = sequence(rng, model.embedding[1], model.target, T, target_lengths)
    return (source, target), {"source_mask": source_mask, "target_mask": target_mask}


def full_batch(model, seed=1):
    """The same without padding."""
    lengths = {"source_lengths": [S] * B, "target_lengths": [T] * B}
    return batch(model, seed, **lengths)[0]


# By hand.


MERGE = {
    "concat": lambda a, b: np.concatenate([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "mean": lambda a, b: (a + b) / 2,
    "mul": lambda a, b: a * b,
}


def translate(model, params, source, target):
    """(logits [T, V], {name: Trace [T, H]} with "attention": [T, S]) of one example."""
    tables = {side: table_of(model, params, side) for side in ("source", "target")}
    finals, memory, traces = encode(model, params, vectors(tables["source"], source)[None])
    before = np.concatenate([[START], target[:-1]]) if target.ndim == 1 else shifted(target)
    x = vectors(tables["target"], before[: len(target)])[None]
    for place in range(len(model.decoder_units)):
        start = bridge(params, place, finals[min(place, len(finals) - 1)])
        _, traces[f"decoder_{place}"] = run(model, params[f"decoder_{place}"], x, start)
        x = with_residual(model, place, x, traces[f"decoder_{place}"].h)
    y = x
    if model.attention is not None:
        weights = look(model, params, x[0], memory[0])
        y = np.concatenate([(weights @ memory[0])[None], x], axis=-1)
        traces["attention"] = weights[None]
    if "combine" in params:
        y = np.tanh(reference.dense(params["combine"], y))
    if model.tie in ("output", "all"):
        return (y @ tables["target"].T)[0], alone(traces)
    return reference.dense(params["head"], y)[0], alone(traces)


def encode(model, params, x):
    """(final LSTMState of each height, memory [1, S, M], traces)."""
    finals, traces = [], {}
    for place in range(len(model.units)):
        name = f"encoder_{place}"
        if model.bidirectional:
            there, ahead = run(model, params[f"{name}_forward"], x)
            back, behind = run(model, params[f"{name}_backward"], x[:, ::-1])
            behind = turned(behind)
            traces |= {f"{name}_forward": ahead, f"{name}_backward": behind}
            merge = MERGE[model.merge]
            final, h = LSTMState(*map(merge, there, back)), merge(ahead.h, behind.h)
        elif model.reverse_source:
            final, trace = run(model, params[name], x[:, ::-1])
            traces[name] = turned(trace)
            h = traces[name].h
        else:
            final, traces[name] = run(model, params[name], x)
            h = traces[name].h
        finals.append(final)
        x = with_residual(model, place, x, h)
    return finals, x, traces


def look(model, params, queries, memory):
    """Weights [T, S], one score after the other."""
    scores = np.zeros((len(queries), len(memory)))
    for t, query in enumerate(queries):
        for s, remembered in enumerate(memory):
            if model.attention == "dot":
                scores[t, s] = query @ remembered
            elif model.attention == "general":
                scores[t, s] = query @ params["attention"].weight @ remembered
            else:
                q, k, v = params["attention"]
                scores[t, s] = np.tanh(query @ q + remembered @ k) @ v
    if not len(memory):
        return scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def run(model, params, x, state=None):
    names = ("activation", "recurrent_activation", "output_activation")
    return reference.lstm(params, x, state, **{name: getattr(model, name) for name in names})


def bridge(params, place, state):
    if f"bridge_{place}_h" not in params:
        return state
    h = np.tanh(reference.dense(params[f"bridge_{place}_h"], state.h))
    return LSTMState(h, reference.dense(params[f"bridge_{place}_c"], state.c))


def with_residual(model, place, x, h):
    return x + h if model.residual and place and x.shape == h.shape else h


def table_of(model, params, side):
    name = "embedding" if model.tie in ("source", "all") else f"{side}_embedding"
    return params[name].table if name in params else None


def vectors(table, sequence):
    return sequence if table is None else table[sequence]


def shifted(target):
    return np.concatenate([np.zeros_like(target[:1]), target[:-1]])


def turned(trace):
    return jax.tree.map(lambda leaf: leaf[:, ::-1], trace)


def alone(traces):
    """Without the batch axis of 1."""
    return jax.tree.map(lambda leaf: leaf[0], traces)
