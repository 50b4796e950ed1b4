"""Beam search: equal to trying every sequence where it is wide enough, and to lists where not."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decoding import (
    LENGTH,
    Prefix,
    V,
    beam_loop,
    every_sequence,
    log_p_after,
    lstm_params,
    lstm_state,
    lstm_step,
    prefix_state,
    prefix_step,
    prefix_tables,
    score,
    unpadded,
)

import lstmcore as lc

search = partial(lc.beam_search, prefix_step, max_length=LENGTH)
EVERYTHING = 40  # sequences of at most three tokens
ALPHAS = [0.0, 0.6, 2.0]


def beams_of(beams, example):
    return unpadded(beams.tokens[example], beams.lengths[example])


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("seed", range(3))
def test_wide_enough_it_finds_every_sequence(seed, alpha):
    """All 40 sequences that there are, in the order of their scores."""
    tables = prefix_tables(seed, 2)
    beams = lc.beam_search(
        prefix_step,
        tables,
        prefix_state(2),
        max_length=3,
        width=EVERYTHING,
        best=EVERYTHING,
        length_penalty=alpha,
    )
    for example, table in enumerate(tables):
        expected = every_sequence(table, 3, alpha)
        assert len(expected) == EVERYTHING
        assert beams_of(beams, example) == [tokens for _, tokens in expected]
        np.testing.assert_allclose(beams.scores[example], [s for s, _ in expected], atol=1e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("seed", range(3))
def test_wide_enough_the_best_few_are_those_of_every_sequence(seed, alpha):
    """It may stop early then, and must lose nothing by that."""
    tables = prefix_tables(seed, 4, scale=3)
    beams = lc.beam_search(
        prefix_step,
        tables,
        prefix_state(4),
        max_length=3,
        width=EVERYTHING,
        best=3,
        length_penalty=alpha,
    )
    for example, table in enumerate(tables):
        expected = every_sequence(table, 3, alpha)[:3]
        assert beams_of(beams, example) == [tokens for _, tokens in expected]
        np.testing.assert_allclose(beams.scores[example], [s for s, _ in expected], atol=1e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("width", "best"), [(2, 1), (3, 3)])
def test_narrow_it_is_the_search_with_lists(width, best, alpha):
    for seed in range(8):
        tables = prefix_tables(seed, 4, scale=2)
        options = {"width": width, "best": best}
        beams = search(tables, prefix_state(4), length_penalty=alpha, **options)
        for example, table in enumerate(tables):
            expected = beam_loop(table, LENGTH, width, alpha, best)
            assert beams_of(beams, example) == [tokens for _, tokens in expected]
            np.testing.assert_allclose(beams.scores[example], [s for s, _ in expected], atol=1e-5)
            for tokens, found in zip(beams_of(beams, example), beams.scores[example], strict=True):
                log_p = sum(log_p_after(table, tokens[:i])[t] for i, t in enumerate(tokens))
                assert float(found) == pytest.approx(score(log_p, len(tokens), alpha), abs=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_width_one_is_greedy(alpha):
    for seed in range(6):
        tables, state = prefix_tables(seed, 4), prefix_state(4)
        beams = search(tables, state, width=1, length_penalty=alpha)
        decoded = lc.greedy(prefix_step, tables, state, max_length=LENGTH)
        np.testing.assert_array_equal(beams.tokens[:, 0], decoded.tokens)
        np.testing.assert_array_equal(beams.lengths[:, 0], decoded.lengths)
        expected = score(decoded.log_probability, decoded.lengths.astype(jnp.float32), alpha)
        np.testing.assert_allclose(beams.scores[:, 0], expected, rtol=1e-6)


TABLES = 320  # random ones, all searched in one call
PENALTIES = [0.0, 0.6, 1.0, 3.0]


@pytest.fixture(scope="module")
def many():
    """Tables, and of each and each penalty the best score there is and that of greedy decoding."""
    tables = np.concatenate([prefix_tables(seed, TABLES // 4, scale) for seed, scale in SCALES])
    every = [every_sequence(table, LENGTH, 0) for table in tables]
    optimum = [[max(score(p, len(t), a) for p, t in all_) for all_ in every] for a in PENALTIES]
    greedy = lc.greedy(prefix_step, tables, prefix_state(TABLES), max_length=LENGTH)
    log_p, lengths = map(np.asarray, (greedy.log_probability, greedy.lengths))
    return tables, np.array(optimum), np.array([score(log_p, lengths, a) for a in PENALTIES])


SCALES = [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0)]


@pytest.mark.thorough
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_scores_lie_between_greedy_and_the_best_there_is(many, width):
    """Of every width; and what is returned has the score that it is returned with."""
    tables, optimum, greedy = many
    for alpha, best, least in zip(PENALTIES, optimum, greedy, strict=True):
        beams = search(tables, prefix_state(TABLES), width=width, length_penalty=alpha)
        found = np.asarray(beams.scores[:, 0])
        assert (found >= least - 1e-5).all()
        assert (found <= best + 1e-5).all()
        for table, tokens, claimed in zip(
            tables[::16], range(0, TABLES, 16), found[::16], strict=True
        ):
            (tokens,) = beams_of(beams, tokens)
            log_p = sum(log_p_after(table, tokens[:i])[t] for i, t in enumerate(tokens))
            assert claimed == pytest.approx(score(log_p, len(tokens), alpha), abs=1e-4)


def test_the_end_of_some_sequences_does_not_stop_the_others():
    """Two have ended with .35 and .12 when A A, at .42, still lives: it ends with .378."""
    end, a = lc.END, 3
    likely = np.zeros((5, 5), np.float32)
    likely[lc.START, [end, a, 4]] = 0.35, 0.6, 0.05
    table = np.stack([likely] * 3)  # by the number of tokens decoded so far
    table[1, a, [a, end, 4]] = 0.7, 0.2, 0.1
    table[2, :, end], table[2, :, 4] = 0.9, 0.1
    table[1, 4, 4] = 1

    def step(table, token, t):
        return jnp.log(table[t, token]), t + 1

    zeros = jnp.zeros(1, jnp.int32)
    for width in (2, 3, 4):
        beams = lc.beam_search(step, jnp.asarray(table), zeros, max_length=3, width=width)
        assert beams_of(beams, 0) == [(a, a, end)]
        assert float(jnp.exp(beams.scores[0, 0])) == pytest.approx(0.378, rel=1e-5)


def test_more_width_finds_what_greedy_does_not():
    """Over many tables the best score of a wider beam is higher, and never that of no sequence."""
    best = np.array(
        [
            [search(prefix_tables(seed, 4), prefix_state(4), width=w).scores.mean() for w in (1, 2)]
            for seed in range(10)
        ]
    )
    assert best[:, 1].mean() > best[:, 0].mean() + 0.05


def test_the_state_of_an_lstm_follows_its_beam():
    """The score of each beam is that of its tokens, read by the LSTM from its start."""
    params, state = lstm_params(), lstm_state(3)
    beams = lc.beam_search(lstm_step, params, state, max_length=6, width=5, best=5)
    assert beams.tokens.shape == (3, 5, 6)
    for example in range(3):
        for row in range(5):
            now = jax.tree.map(lambda leaf, example=example: leaf[example][None], state)
            token, log_p = jnp.array([lc.START]), 0.0
            for following in beams_of(beams, example)[row]:
                logits, now = lstm_step(params, token, now)
                log_p += jax.nn.log_softmax(logits)[0, following]
                token = jnp.array([following])
            assert float(beams.scores[example, row]) == pytest.approx(float(log_p), abs=1e-4)
    assert (np.diff(beams.scores, axis=1) <= 0).all()


def test_arrays_that_step_hands_through_need_not_follow():
    """A memory that all beams share, beside one that is rebuilt at each step."""
    tables = prefix_tables(0, 3)
    memory = np.random.default_rng(0).normal(size=(3, 2, V)).astype(np.float32)

    def step(tables, token, state, again):
        logits, prefix = prefix_step(tables, token, state["prefix"])
        memory = state["memory"] + 0 if again else state["memory"]
        return logits + memory.sum(axis=1), {"prefix": prefix, "memory": memory, "none": None}

    state = {"prefix": prefix_state(3), "memory": memory, "none": None}
    found = [
        lc.beam_search(partial(step, again=again), tables, state, max_length=LENGTH, best=2)
        for again in (False, True)
    ]
    jax.tree.map(np.testing.assert_array_equal, *found)


def test_batch_is_a_map_over_examples():
    tables = prefix_tables(5, 4, scale=2)
    together = search(tables, prefix_state(4), width=3, best=3)
    assert len(set(np.asarray(together.lengths[:, 0]))) > 1
    for number in range(4):
        others = np.full(4, 3 - number, np.int32)
        others[number] = number
        again = search(tables, Prefix(np.full(4, -1, np.int32), others), width=3, best=3)
        for one, all_ in zip(again, together, strict=True):
            np.testing.assert_array_equal(one[number], all_[number])


def test_where_fewer_sequences_exist_the_rest_is_empty():
    table = np.full((1, 1 + V, V), -np.inf, np.float32)
    table[0, :, lc.END], table[0, :, 3] = np.log([0.3, 0.7])
    beams = lc.beam_search(
        prefix_step, table, prefix_state(1), max_length=2, width=6, best=5, length_penalty=1.0
    )
    assert beams.tokens[0].tolist() == [[3, 3], [2, 0], [3, 2], [0, 0], [0, 0]]
    assert beams.lengths[0].tolist() == [2, 1, 2, 0, 0]
    expected = [score(np.log(p), n, 1) for p, n in [(0.49, 2), (0.3, 1), (0.21, 2)]]
    np.testing.assert_allclose(beams.scores[0], [*expected, -np.inf, -np.inf], rtol=1e-6)


def test_no_examples():
    beams = search(prefix_tables(0, 1), prefix_state(0), best=2)
    assert [a.shape for a in beams] == [(0, 2, LENGTH), (0, 2), (0, 2)]


calls = []


def counted_step(tables, token, state):
    jax.debug.callback(lambda: calls.append(1))
    return prefix_step(tables, token, state)


@pytest.mark.parametrize(
    ("likely", "width", "alpha", "steps"),
    [
        (0.9, 3, 0.0, 1),  # the rest, 0.1, cannot come back
        (0.9, 8, 10.0, 3),  # with such a length penalty it can, for two steps
        (0.3, 3, 0.0, 2),
        (0.9, 1, 5.0, 1),  # one beam is greedy
    ],
)
def test_it_stops_when_no_live_beam_can_win(likely, width, alpha, steps):
    """END has the same probability at each step; the two other tokens share the rest."""
    calls.clear()
    p = np.array([0, 0, likely, 0.6 * (1 - likely), 0.4 * (1 - likely)])
    with np.errstate(divide="ignore"):
        tables = np.broadcast_to(np.log(p).astype(np.float32), prefix_tables(0, 2).shape)
    options = {"max_length": LENGTH, "width": width, "length_penalty": alpha}
    lc.beam_search(counted_step, tables, prefix_state(2), **options)
    jax.effects_barrier()
    assert len(calls) == steps


def test_compiled_once_whatever_the_penalty():
    traces = []

    def step(tables, token, state):
        traces.append(len(token))
        return prefix_step(tables, token, state)

    run = partial(lc.beam_search, step, max_length=2)
    run(prefix_tables(0, 2), prefix_state(2), width=2)
    count = len(traces)
    run(prefix_tables(1, 2), prefix_state(2), width=2, length_penalty=0.7)
    assert len(traces) == count


def test_under_vmap():
    tables, state = prefix_tables(1, 4), prefix_state(4)
    run = partial(search, width=2)
    expected = run(tables, state, length_penalty=0.6)
    one = lambda state: run(  # noqa: E731
        tables, jax.tree.map(lambda leaf: leaf[None], state), length_penalty=0.6
    )
    mapped = jax.tree.map(lambda leaf: leaf[:, 0], jax.vmap(one)(state))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), mapped, expected)
    tables[1, 0] = np.nan  # cannot be raised there, but seen
    failed = jax.vmap(one)(state)
    assert np.isnan(failed.scores[:, 0, 0]).tolist() == [False, True, False, False]


@pytest.mark.parametrize("value", [np.nan, -np.inf], ids=str)
def test_logits_that_leave_no_token_to_choose(value):
    tables, state = prefix_tables(0, 4), prefix_state(4)
    tables[:, 0, 3], tables[1, 1 + 3] = 99, value
    with pytest.raises(ValueError, match="no token to choose for example 1 at step 1"):
        search(tables, state, width=2)


def test_float64(x64):
    tables = prefix_tables(0, 2).astype(np.float64)
    beams = search(tables, prefix_state(2), width=2, length_penalty=0.6)
    assert beams.scores.dtype == jnp.float64
    expected = beam_loop(tables[0], LENGTH, 2, np.float64(np.float32(0.6)), 1)
    np.testing.assert_allclose(beams.scores[0], [s for s, _ in expected], rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"width": 0}, ValueError, "width must be at least 1, got 0"),
        ({"best": 0}, ValueError, "best must be at least 1, got 0"),
        ({"best": 5}, ValueError, "best must be at most width, got best=5 and width=4"),
        (
            {"length_penalty": -0.1},
            ValueError,
            "length_penalty must be 0 or more and finite",
        ),
        (
            {"length_penalty": np.inf},
            ValueError,
            "length_penalty must be 0 or more and finite",
        ),
        (
            {"length_penalty": np.nan},
            ValueError,
            "length_penalty must be 0 or more and finite",
        ),
        ({"length_penalty": 10**400}, ValueError, "length_penalty must be a number of float64"),
        ({"length_penalty": None}, TypeError, "length_penalty must be a number, got None"),
    ],
)
def test_errors(changes, kind, message):
    with pytest.raises(kind, match=message):
        search(prefix_tables(0, 1), prefix_state(1), **changes)
