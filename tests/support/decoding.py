"""Step functions for the tests of decoding, and the same searches as plain Python loops."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc

V = 5  # PADDING, START, END and two tokens
LENGTH = 4
TOKENS = [token for token in range(V) if token != lc.PADDING]


class Prefix(NamedTuple):
    """State of a decoder: the number of all tokens read so far, and the table of an example."""

    code: jax.Array
    table: jax.Array


def prefix_step(tables, token, state):
    """Logits that depend on the whole prefix: tables [N, rows, V], one row for each prefix."""
    code = jnp.where(state.code < 0, 0, state.code * V + token + 1)
    return tables[state.table, code], Prefix(code, state.table)


def prefix_tables(seed, batch, scale=1.5):
    rows = sum(V**i for i in range(LENGTH))
    tables = np.random.default_rng(seed).normal(0, scale, (batch, rows, V))
    return tables.astype(np.float32)


def prefix_state(batch):
    return Prefix(np.full(batch, -1, np.int32), np.arange(batch, dtype=np.int32))


def lstm_step(params, token, state):
    state, _ = lc.lstm_step(params["lstm"], params["embedding"][token], state)
    return lc.dense(params["head"], state.h), state


def lstm_params(seed=0, features=3, units=4):
    draw = np.random.default_rng(seed)
    normal = lambda *shape: draw.normal(0, 1, shape).astype(np.float32)  # noqa: E731
    return {
        "embedding": normal(V, features),
        "lstm": lc.LSTMParams(normal(features, 16), normal(units, 16), normal(16)),
        "head": lc.DenseParams(2 * normal(units, V), normal(V)),
    }


def lstm_state(batch, seed=1, units=4):
    draw = np.random.default_rng(seed)
    return lc.LSTMState(*(draw.normal(size=(batch, units)).astype(np.float32) for _ in "hc"))


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def log_p_after(table, prefix):
    """Log probabilities [V] after a prefix of tokens (START is not part of it), for one table."""
    code = 0
    for token in prefix:
        code = code * V + token + 1
    return log_softmax(table[code])


def score(log_p, length, alpha):
    return log_p / ((5 + length) / 6) ** alpha


def every_sequence(table, length, alpha):
    """All sequences with their scores, best first: those that end, and those cut at `length`."""
    found = []
    for n in range(1, length + 1):
        for tokens in itertools.product(TOKENS, repeat=n):
            if lc.END in tokens[:-1] or (n < length and tokens[-1] != lc.END):
                continue
            log_p = sum(log_p_after(table, tokens[:i])[token] for i, token in enumerate(tokens))
            found.append((score(log_p, n, alpha), tokens))
    return sorted(found, reverse=True)


def beam_loop(table, length, width, alpha, best):
    """`lc.beam_search` for one example, in lists and without stopping early."""
    greedy = greedy_loop(table, length)
    live, found = [(0.0, ())], []
    for n in range(1, length + 1):
        pairs = [
            (log_p + log_p_after(table, tokens)[token], (*tokens, token))
            for log_p, tokens in live
            for token in TOKENS
        ]
        found += [(score(p, n, alpha), tokens) for p, tokens in pairs if tokens[-1] == lc.END]
        pairs = [pair for pair in pairs if pair[1][-1] != lc.END]
        pairs.sort(key=lambda pair: (pair[1] == greedy[:n], pair[0]), reverse=True)
        live = pairs[:width]
    found += [(score(p, length, alpha), tokens) for p, tokens in live]
    return sorted(found, reverse=True)[:best]


def greedy_loop(table, length):
    """`lc.greedy` for one example: a tuple of tokens."""
    tokens = ()
    while len(tokens) < length and lc.END not in tokens:
        log_p = log_p_after(table, tokens)
        tokens = (*tokens, max(TOKENS, key=lambda token: log_p[token]))
    return tokens


def unpadded(tokens, lengths):
    """Rows as tuples without what comes after their length, which must be PADDING."""
    rows = []
    for row, n in zip(np.asarray(tokens).tolist(), np.asarray(lengths), strict=True):
        assert set(row[n:]) <= {lc.PADDING}
        rows.append(tuple(row[:n]))
    return rows
