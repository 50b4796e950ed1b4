"""Greedy decoding, sampling and rollout against plain loops, and the distribution of the draws."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chance import assert_counts
from decoding import (
    LENGTH,
    TOKENS,
    Prefix,
    V,
    log_p_after,
    log_softmax,
    lstm_params,
    lstm_state,
    lstm_step,
    prefix_state,
    prefix_step,
    prefix_tables,
    unpadded,
)

import lstmcore as lc

SEEDS = range(6)
KEY = jax.random.key(3)
greedy = partial(lc.greedy, prefix_step, max_length=LENGTH)
sample = partial(lc.sample, max_length=LENGTH)


def greedy_loop(table):
    tokens, log_probability = (), 0
    while len(tokens) < LENGTH and lc.END not in tokens:
        log_p = log_p_after(table, tokens)
        token = max(TOKENS, key=lambda token: log_p[token])
        tokens, log_probability = (*tokens, token), log_probability + log_p[token]
    return tokens, log_probability


def constant_step(logits, token, state):
    """The same logits at each step."""
    return jnp.broadcast_to(logits, (len(token), len(logits))), state


# Greedy.


@pytest.mark.parametrize("seed", SEEDS)
def test_greedy_is_a_loop_for_each_example(seed):
    tables = prefix_tables(seed, 3)
    decoded = greedy(tables, prefix_state(3))
    assert decoded.tokens.shape == (3, LENGTH)
    assert decoded.tokens.dtype == decoded.lengths.dtype == jnp.int32
    expected = [greedy_loop(table) for table in tables]
    assert unpadded(decoded.tokens, decoded.lengths) == [tokens for tokens, _ in expected]
    np.testing.assert_allclose(decoded.log_probability, [p for _, p in expected], atol=1e-5)


def test_the_seeds_see_every_kind_of_end():
    rows = [greedy_loop(t)[0] for seed in SEEDS for t in prefix_tables(seed, 3)]
    assert {len(row) for row in rows} >= {1, 2, LENGTH}
    assert {lc.END in row for row in rows if len(row) == LENGTH} == {True, False}


@pytest.mark.parametrize("seed", range(2))
def test_the_tokens_handed_back_to_an_lstm_give_the_log_probability(seed):
    params, state = lstm_params(seed), lstm_state(3)
    decoded = lc.greedy(lstm_step, params, state, max_length=6)
    read = jnp.concatenate([jnp.full((3, 1), lc.START), decoded.tokens[:, :-1]], axis=1)
    _, trace = lc.lstm(params["lstm"], jnp.asarray(params["embedding"])[read], state)
    log_p = log_softmax(lc.dense(params["head"], trace.h))
    real = np.arange(6) < np.asarray(decoded.lengths)[:, None]
    best = np.where(np.arange(V) == lc.PADDING, -np.inf, log_p).argmax(axis=-1)
    np.testing.assert_array_equal(np.where(real, best, lc.PADDING), decoded.tokens)
    gained = np.take_along_axis(log_p, np.asarray(decoded.tokens)[:, :, None], axis=2)[:, :, 0]
    np.testing.assert_allclose(
        decoded.log_probability, (gained * real).sum(axis=1), atol=1e-4, rtol=1e-5
    )


def test_padding_is_never_chosen_unless_it_is_the_end():
    logits = jnp.array([9.0, 0, -1, 1, 0])
    decoded = lc.greedy(constant_step, logits, jnp.zeros(1), max_length=3)
    assert decoded.tokens.tolist() == [[3, 3, 3]]
    assert decoded.log_probability[0] == pytest.approx(3 * log_softmax(logits)[3])
    drawn = lc.sample(KEY, constant_step, logits, jnp.zeros(200), max_length=3)
    assert set(np.unique(drawn.tokens[:, 0])) == {1, 2, 3, 4}
    ended = lc.greedy(constant_step, logits, jnp.zeros(1), max_length=3, end=0)
    assert (ended.tokens.tolist(), ended.lengths.tolist()) == ([[0, 0, 0]], [1])


def test_start_and_end_are_yours():
    step = lambda table, token, state: (table[token], state)  # noqa: E731
    table = jnp.zeros((4, 4)).at[[3, 1, 2], [1, 2, 0]].set(5)  # 3 -> 1 -> 2
    decoded = lc.greedy(step, table, jnp.zeros(1), max_length=4, start=3, end=2)
    assert decoded.tokens.tolist() == [[1, 2, 0, 0]]
    decoded = lc.greedy(step, table, jnp.zeros(1), max_length=4, start=3, end=1)
    assert decoded.tokens.tolist() == [[1, 0, 0, 0]]


def test_of_equally_probable_tokens_the_lowest_id():
    decoded = lc.greedy(constant_step, jnp.zeros(V), jnp.zeros(2), max_length=2)
    assert decoded.tokens.tolist() == [[1, 1], [1, 1]]


# Sampling.


@pytest.mark.parametrize(
    "options", [{"temperature": 1e-30}, {"top_k": 1}, {"top_p": 1e-9}, {"top_p": 1e-50}]
)
@pytest.mark.parametrize("seed", range(3))
def test_narrow_sampling_is_greedy(options, seed):
    tables, state = prefix_tables(seed, 3), prefix_state(3)
    drawn = sample(jax.random.key(seed), prefix_step, tables, state, **options)
    jax.tree.map(np.testing.assert_array_equal, drawn, greedy(tables, state))


def test_the_smallest_temperature_overflows_no_logits():
    """Of 100 tokens, even the best has a log probability below -3.4: times 1e38 it is infinite."""
    logits = jnp.zeros(100).at[57].set(0.1)
    drawn = lc.sample(KEY, constant_step, logits, jnp.zeros(3), max_length=1, temperature=1e-50)
    assert drawn.tokens.tolist() == [[57], [57], [57]]


def test_the_nucleus_is_no_larger_than_it_must_be():
    """Of two tokens of one half each, the first alone makes up one half."""
    logits = jnp.array([-jnp.inf, -jnp.inf, 0, 0])
    for top_p, tokens in ((0.5, {2}), (0.51, {2, 3})):
        drawn = lc.sample(KEY, constant_step, logits, jnp.zeros(50), max_length=1, top_p=top_p)
        assert set(drawn.tokens[:, 0].tolist()) == tokens


@pytest.mark.parametrize("options", [{"top_k": V}, {"top_k": 99}, {"top_p": 1.0}])
def test_limits_that_limit_nothing_change_no_draw(options):
    tables, state = prefix_tables(0, 3), prefix_state(3)
    free = sample(KEY, prefix_step, tables, state)
    limited = sample(KEY, prefix_step, tables, state, **options)
    jax.tree.map(np.testing.assert_array_equal, limited, free)


LOGITS = np.array([0.5, -0.5, 1.2, 0.9, 0.1], np.float32)
P = np.where(np.arange(V) == lc.PADDING, 0, np.exp(LOGITS.astype(float)))  # of START, END, 3, 4
DRAWS = 4000


def truncated(p, top_k=None, top_p=None):
    """Probabilities with all but the most probable set to 0, in plain Python."""
    order = sorted(range(len(p)), key=lambda i: -p[i])[:top_k]
    if top_p is not None:
        total, cumulative, nucleus = sum(p[i] for i in order), 0, []
        for i in order:
            nucleus.append(i)
            cumulative += p[i] / total
            if cumulative >= top_p:
                break
        order = nucleus
    return np.array([p[i] if i in order else 0 for i in range(len(p))])


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        ({}, 4),
        ({"temperature": 0.5}, 4),
        ({"temperature": 3.0}, 4),
        ({"top_k": 2}, 2),
        ({"top_p": 0.4}, 1),  # the probabilities are 0.43, 0.32, 0.14, 0.08 times 1.03
        ({"top_p": 0.6}, 2),
        ({"top_p": 0.85}, 3),
        ({"top_k": 3, "top_p": 0.86, "temperature": 1.5}, 3),
    ],
)
def test_frequencies_are_those_of_the_softmax(options, tokens):
    limits = {name: value for name, value in options.items() if name != "temperature"}
    expected = truncated(P ** (1 / options.get("temperature", 1)), **limits)
    expected *= DRAWS / expected.sum()
    assert (expected > 0).sum() == tokens
    drawn = lc.sample(KEY, constant_step, LOGITS, jnp.zeros(DRAWS), max_length=1, **options)
    observed = np.bincount(drawn.tokens[:, 0], minlength=V)
    assert observed[expected == 0].sum() == 0
    some = expected > 0
    if tokens > 1:
        assert_counts(observed[some], expected[some])
    own = log_softmax(LOGITS)[np.asarray(drawn.tokens[:, 0])]  # at temperature 1, without limits
    np.testing.assert_allclose(drawn.log_probability, own, atol=1e-6)


def test_steps_draw_independently():
    """Pairs of tokens of two steps are as frequent as the product says."""
    logits = np.array([0, 0.3, -np.inf, 0.8, 0], np.float32)
    drawn = lc.sample(KEY, constant_step, logits, jnp.zeros(DRAWS), max_length=2)
    pairs = np.zeros((V, V))
    np.add.at(pairs, tuple(np.asarray(drawn.tokens).T), 1)
    p = np.where(np.arange(V) == lc.PADDING, 0, np.exp(logits.astype(float)))
    expected = np.outer(p, p) * DRAWS / p.sum() ** 2
    some = expected > 0
    assert pairs[~some].sum() == 0
    assert_counts(pairs[some], expected[some])


def test_the_key_alone_decides():
    tables, state = prefix_tables(0, 3), prefix_state(3)
    first, again, other = (
        sample(key, prefix_step, tables, state) for key in (KEY, KEY, jax.random.key(4))
    )
    np.testing.assert_array_equal(first.tokens, again.tokens)
    assert (np.asarray(first.tokens) != np.asarray(other.tokens)).any()
    old = sample(jax.random.PRNGKey(3), prefix_step, tables, state)
    np.testing.assert_array_equal(first.tokens, old.tokens)


# The batch.


@pytest.mark.parametrize("decode", [lc.greedy, partial(lc.sample, KEY)])
def test_batch_is_a_map_over_examples(decode):
    """Also of examples that end at different steps; a sampled one draws by its number."""
    decode = partial(decode, prefix_step, max_length=LENGTH)
    tables = prefix_tables(2, 3)
    together = decode(tables, prefix_state(3))
    assert len(set(np.asarray(together.lengths))) > 1
    for number in range(3):
        others = np.full(3, 2 - number, np.int32)  # the same example among others
        others[number] = number
        again = decode(tables, Prefix(np.full(3, -1, np.int32), others))
        for one, all_ in zip(again, together, strict=True):
            np.testing.assert_array_equal(one[number], all_[number])
    alone = decode(tables, prefix_state(1))  # number 0 in any batch
    jax.tree.map(lambda one, all_: np.testing.assert_array_equal(one, all_[:1]), alone, together)


def test_no_examples():
    decoded = lc.greedy(constant_step, LOGITS, jnp.zeros(0), max_length=3)
    assert [a.shape for a in decoded] == [(0, 3), (0,), (0,)]


# Compilation.


def test_it_stops_when_all_have_ended():
    calls = []

    def step(tables, token, state):
        jax.debug.callback(lambda: calls.append(1))
        return prefix_step(tables, token, state)

    tables = prefix_tables(0, 2)
    tables[:, :, lc.END] = -9
    tables[0, 0, lc.END] = 99  # the first example ends at once
    tables[1, [1 + 3 + 0, 1 + 4 + 0], lc.END] = 99  # the second, after two tokens
    decoded = lc.greedy(step, tables, prefix_state(2), max_length=LENGTH)
    jax.effects_barrier()
    assert decoded.lengths.tolist() == [1, 2]
    assert len(calls) == 2


def test_compiled_once_for_each_shape_and_option():
    traces = []

    class Model:
        def step(self, tables, token, state):
            traces.append(len(token))
            return prefix_step(tables, token, state)

    model, state = Model(), prefix_state(2)

    def traced(key=KEY, seed=0, **options):
        traces.clear()
        sample(key, model.step, prefix_tables(seed, 2), state, **options)
        return len(traces) > 0

    assert traced(top_p=0.5)
    assert not traced(jax.random.key(9), seed=1, top_p=0.5)
    assert not traced(top_p=0.9, temperature=2)
    assert traced(max_length=2)


def test_equal_models_share_one_compiled_loop():
    traces = []

    @dataclass(frozen=True)
    class Model:
        sharpness: int

        def step(self, tables, token, state):
            traces.append(self.sharpness)
            logits, state = prefix_step(tables, token, state)
            return self.sharpness * logits, state

    def newly_traced(sharpness):
        traces.clear()
        lc.greedy(Model(sharpness).step, prefix_tables(0, 2), prefix_state(2), max_length=LENGTH)
        return set(traces)

    assert [newly_traced(sharpness) for sharpness in (1, 1, 2, 1)] == [{1}, set(), {2}, set()]


def test_under_jit_and_vmap():
    tables, state = prefix_tables(1, 3), prefix_state(3)
    expected = greedy(tables, state)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(greedy)(tables, state), expected)
    one = lambda state: greedy(tables, jax.tree.map(lambda leaf: leaf[None], state))  # noqa: E731
    mapped = jax.tree.map(lambda leaf: leaf[:, 0], jax.vmap(one)(state))
    jax.tree.map(np.testing.assert_array_equal, mapped, expected)
    hot = jax.jit(
        lambda temperature: sample(KEY, prefix_step, tables, state, temperature=temperature)
    )
    jax.tree.map(np.testing.assert_array_equal, hot(jnp.float32(1e-30)), expected)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
def test_other_dtypes(dtype, x64):
    logits = jnp.asarray([0.5, -0.5, 1.0, 2.0, 0.25], dtype)
    decoded = lc.sample(
        KEY, constant_step, logits, jnp.zeros(2), max_length=2, top_p=0.3, temperature=0.7
    )
    assert decoded.tokens.tolist() == [[3, 3], [3, 3]]
    assert decoded.log_probability.dtype == (jnp.float64 if dtype == jnp.float64 else jnp.float32)
    exact = 2 * log_softmax(logits)[3]
    tolerance = 1e-12 if dtype == jnp.float64 else 1e-6
    np.testing.assert_allclose(decoded.log_probability, [exact] * 2, rtol=tolerance)


# Logits that leave nothing to choose.


def broken_tables(value):
    """The second of three examples meets `value` at its second step."""
    tables = prefix_tables(0, 3)
    tables[:, 0, 3], tables[1, 1 + 3] = 99, value
    return tables


only_padding = np.array([0, *[-np.inf] * (V - 1)])


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, only_padding], ids=["nan", "inf", "-inf", "only padding"]
)
def test_logits_that_leave_no_token_to_choose(value):
    tables, state = broken_tables(value), prefix_state(3)
    message = r"no token to choose for example 1 at step 1 \(1 of 3 examples failed\)"
    with pytest.raises(ValueError, match=message):
        greedy(tables, state)
    decoded = jax.jit(greedy)(tables, state)
    sound = greedy(broken_tables(1.0), state)
    assert np.isnan(decoded.log_probability).tolist() == [False, True, False]
    assert decoded.lengths.tolist() == [sound.lengths[0], 1, sound.lengths[2]]
    assert decoded.tokens[1].tolist() == [3, 0, 0, 0]
    for got, expected in zip(decoded, sound, strict=True):
        np.testing.assert_array_equal(got[::2], expected[::2])


def test_sampling_refuses_them_too():
    with pytest.raises(ValueError, match="no token to choose for example 1 at step 1"):
        sample(KEY, prefix_step, broken_tables(np.nan), prefix_state(3), top_k=1)


# Roll-out.


def advance(params, x, state):
    state, _ = lc.lstm_step(params["lstm"], x, state)
    return lc.dense(params["out"], state.h), state


def test_rollout_is_a_loop():
    draw = np.random.default_rng(0)
    out = lc.DenseParams(*(draw.normal(size=s).astype(np.float32) for s in [(4, 3), (3,)]))
    params, state, x = lstm_params() | {"out": out}, lstm_state(2), np.ones((2, 3), np.float32)
    outputs = lc.rollout(advance, params, state, x, steps=5)
    assert outputs.shape == (2, 5, 3)
    assert outputs.dtype == jnp.float32
    for t in range(5):
        x, state = advance(params, x, state)
        np.testing.assert_allclose(outputs[:, t], x, rtol=1e-5, atol=1e-6)
    gradient = jax.grad(lambda p: lc.rollout(advance, p, lstm_state(2), x, steps=2).sum())(params)
    assert np.abs(gradient["out"].kernel).sum() > 0


def test_rollout_is_compiled_once():
    traces = []

    def step(rate, x, state):
        traces.append(1)
        return x * rate, state

    roll = partial(lc.rollout, step, state=jnp.zeros(1), first=jnp.ones((1, 1)), steps=2)
    assert roll(0.5).ravel().tolist() == [0.5, 0.25]
    count = len(traces)
    assert roll(2.0).ravel().tolist() == [2, 4]
    assert len(traces) == count


@pytest.mark.parametrize(
    ("step", "changes", "kind", "message"),
    [
        (None, {}, TypeError, "step must be a function .* got NoneType"),
        (advance, {"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        (advance, {"first": np.ones(3)}, ValueError, r"first must have 2 axes \[batch, features\]"),
        (advance, {"first": np.ones((2, 3), int)}, ValueError, "first must be floating point, got"),
        (advance, {"first": np.ones((1, 3))}, ValueError, "first has 1 examples but state has 2"),
        (advance, {"state": ()}, ValueError, "state has no arrays"),
        (lambda p, x, s: (x[:, :2], s), {}, ValueError, r"its input, \(2, 3\), .*got \(2, 2\)"),
        (lambda p, x, s: x, {}, TypeError, r"step must return a pair, step\(params, x \[B, F\]"),
    ],
)
def test_rollout_errors(step, changes, kind, message):
    given = {"state": lstm_state(2), "first": np.ones((2, 3), np.float32), "steps": 2}
    with pytest.raises(kind, match=message):
        lc.rollout(step, lstm_params(), **(given | changes))


# Errors.


def returning(logits, state=lambda state: state):
    return lambda params, token, s: (logits, state(s))


class Unhashable:
    __hash__ = None

    def __call__(self, params, token, state):
        return jnp.zeros((2, V)), state


good = jnp.zeros((2, V))
ERRORS = [
    ({"max_length": 0}, ValueError, "max_length must be at least 1, got 0"),
    ({"max_length": 2.5}, TypeError, "max_length must be a whole number, got 2.5"),
    (
        {"start": 5},
        ValueError,
        "start must be an id of the vocabulary, 0 to 4, got 5: step returns",
    ),
    (
        {"end": 5},
        ValueError,
        "end must be an id of the vocabulary, 0 to 4, got 5: step returns 5 l",
    ),
    ({"end": -1}, ValueError, "end must be at least 0, got -1"),
    ({"state": {}}, ValueError, r"state has no arrays, .* jnp.zeros\(batch\)"),
    ({"state": {"t": 0}}, ValueError, r"state\['t'\] is a single number, but every array"),
    (
        {"state": {"a": jnp.zeros(2), "b": jnp.zeros((3, 1))}},
        ValueError,
        r"same batch as first axis of every array, got state\['a'\] \(2,\), state\['b'\] \(3, 1\)",
    ),
    ({"step": 5}, TypeError, r"step must be a function step\(params, token \[B\], state\) .*int"),
    ({"step": Unhashable()}, TypeError, "step must be hashable, .* Unhashable is not"),
    ({"step": lambda p, t, s: good}, TypeError, r"step must return a pair, .*got ShapeDtypeStruct"),
    ({"step": returning({"a": good})}, TypeError, "step must return an array first, .* got dict"),
    ({"step": returning(good[0])}, ValueError, r"logits \[batch, vocabulary\] .*got shape \(5,\)"),
    ({"step": returning(good[:1])}, ValueError, r"for 2 tokens, got shape \(1, 5\)"),
    ({"step": returning(good.astype(int))}, ValueError, "the logits of step must be floating poin"),
    ({"step": returning(good, lambda s: {"a": s})}, ValueError, "a state of the same structure"),
    (
        {"step": returning(good, lambda s: s[:1])},
        ValueError,
        r"a state like the one it was given: state was float32\[2\] and became float32\[1\]",
    ),
    (
        {"step": returning(good, lambda s: s.astype(jnp.bfloat16))},
        ValueError,
        r"state was float32\[2\] and became bfloat16\[2\]",
    ),
]


@pytest.mark.parametrize("decode", [lc.greedy, partial(lc.sample, KEY), lc.beam_search])
@pytest.mark.parametrize(("changes", "kind", "message"), ERRORS)
def test_errors(decode, changes, kind, message):
    given = {"step": returning(good), "params": None, "state": jnp.zeros(2), "max_length": 2}
    with pytest.raises(kind, match=message):
        decode(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"key": 0}, TypeError, "key must be a random key, got int"),
        (
            {"temperature": 0},
            ValueError,
            "temperature must be above 0 and finite, .*: lc.greedy ta",
        ),
        ({"temperature": -1.0}, ValueError, "temperature must be above 0 and finite, got -1.0"),
        ({"temperature": np.inf}, ValueError, "temperature must be above 0 and finite, got inf"),
        ({"temperature": np.nan}, ValueError, "temperature must be above 0 and finite, got nan"),
        ({"temperature": "hot"}, TypeError, "temperature must be a number, got 'hot'"),
        ({"top_k": 0}, ValueError, "top_k must be at least 1, got 0"),
        ({"top_k": 1.5}, TypeError, "top_k must be a whole number, got 1.5"),
        ({"top_p": 0}, ValueError, "top_p must be above 0 and at most 1, got 0.0"),
        ({"top_p": 1.01}, ValueError, "top_p must be above 0 and at most 1, got 1.01"),
        ({"top_p": [0.5, 0.5]}, TypeError, r"top_p must be a number, got \[0.5, 0.5\]"),
    ],
)
def test_sample_errors(changes, kind, message):
    given = {"key": KEY, "step": constant_step, "params": LOGITS, "state": jnp.zeros(1)}
    with pytest.raises(kind, match=message):
        lc.sample(max_length=1, **(given | changes))
