"""Beam search: decode several sequences at once and keep the most probable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.decoding.greedy import greedy
from lstmcore.decoding.stepping import (
    batch_of,
    check_logits,
    checked_step,
    choices,
    none_left,
    raise_if_failed,
    traced_number,
)
from lstmcore.display import displayed
from lstmcore.dtypes import as_arrays
from lstmcore.programs import compiled
from lstmcore.vocabulary import END, PADDING, START

__all__ = ["Beams", "beam_search"]


@displayed
class Beams(NamedTuple):
    """Best sequences found for each example, best first.

    Attributes:
      tokens: int32 [B, best, max_length], END included, PADDING after it. A sequence that did not
        end has no END.
      lengths: int32 [B, best], number of tokens, END included.
      scores: [B, best], log probability / ((5 + length) / 6) ** length_penalty. Where fewer than
        `best` sequences exist, the others have a score of -inf and no tokens. NaN for an example
        that failed under `jax.jit` or `jax.vmap`, see `greedy`.
    """

    tokens: jax.Array
    lengths: jax.Array
    scores: jax.Array


def beam_search(
    step: Callable,
    params,
    state,
    *,
    max_length: int,
    width: int = 4,
    length_penalty: float = 0.0,
    best: int = 1,
    start: int = START,
    end: int = END,
) -> Beams:
    """Decode the `best` sequences, extending the `width` most probable beginnings at each step.

    A beam that END follows is a complete sequence; of these the `best` of all steps are kept,
    ranked by score. Of all other pairs of a beam and a next token, the `width` most probable are
    extended, the beginning of the greedy sequence always among them: so no score is below that of
    `greedy`. An example is done when no live beam can still come among the `best` (its log
    probability can only fall, its length can at most reach `max_length`). Beams that are still live
    at `max_length` count without END. Width 1 is `greedy`, whatever the length penalty.

    The state is repeated `width` times, including an encoder's memory for attention.

    The score is that of Wu et al. 2016, "Google's Neural Machine Translation System", equation 14,
    without coverage: log probability / ((5 + length) / 6) ** length_penalty.

    Args:
      step, params, state, max_length, start, end: as in `greedy`. `step` is called with
        `B * width` tokens: every array of the state is repeated for each beam, and follows its
        beam.
      width: beams per example. It may exceed the size of the vocabulary.
      length_penalty: alpha, 0 or more: 0 ranks by log probability, which favours short sequences;
        0.6 to 1 are usual in translation. Another value needs no new compilation.
      best: sequences to return, at most `width`.

    Returns:
      Beams.

    Raises:
      ValueError: `width` or `best` below 1, `best` above `width`, a negative or infinite
        `length_penalty`, and as `greedy`.
      TypeError: as `greedy`, or a `length_penalty` that is not a number.

    Examples:
      Of two first tokens, of probability 0.6 and 0.4, the second leads to the more probable
      sequence, which `greedy` misses:

      >>> import jax.numpy as jnp, lstmcore as lc
      >>> likely = jnp.zeros((7, 7)).at[:, 2].set(1).at[1].set(jnp.array([0, 0, 0, 0.6, 0.4, 0, 0]))
      >>> likely = likely.at[3].set(jnp.array([0, 0, 0.3, 0, 0, 0.3, 0.4]))
      >>> likely = likely.at[4].set(jnp.array([0, 0, 0.9, 0, 0, 0.1, 0]))
      >>> step = lambda params, token, state: (params[token], state)
      >>> beams = lc.beam_search(step, jnp.log(likely), jnp.zeros(1), max_length=3, width=2, best=2)
      >>> beams.tokens.tolist(), [f"{p:.2f}" for p in jnp.exp(beams.scores[0])]
      ([[[4, 2, 0], [3, 6, 2]]], ['0.36', '0.24'])
    """
    step = checked_step(step)
    width = checks.check_count("width", width)
    best = checks.check_count("best", best)
    if best > width:
        raise ValueError(f"best must be at most width, got best={best} and width={width}")
    alpha = traced_number("length_penalty", length_penalty)
    if width == 1:
        tokens, lengths, log_p = greedy(
            step, params, state, max_length=max_length, start=start, end=end
        )
        beams = Beams(tokens, lengths, _score(log_p, lengths, alpha))
        return jax.tree.map(lambda leaf: leaf[:, None], beams)
    fixed = _Fixed(
        step,
        max_length=checks.check_count("max_length", max_length),
        width=width,
        best=best,
        start=checks.check_count("start", start, minimum=0),
        end=checks.check_count("end", end, minimum=0),
    )
    params, state = as_arrays(params=params, state=state)
    beams, failed = _search(fixed, params, state, alpha)
    raise_if_failed(failed)
    return beams


class _Fixed(NamedTuple):
    """Static arguments of the compiled program."""

    step: Callable
    max_length: int
    width: int
    best: int
    start: int
    end: int


class _Search(NamedTuple):
    """Carry of the loop, W beams for each example.

    token [B, W], state (leaves [B * W, ...]), tokens [B, W, L], log_p [B, W] (-inf: no beam there)
    are those of the live beams; `found` holds the complete sequences.
    leading: [B], whether beam 0 is the beginning of the greedy sequence, which has not ended yet.
    failed: [B], the step at which a beam had no token to choose, or -1.
    """

    t: jax.Array
    token: jax.Array
    state: Any
    tokens: jax.Array
    log_p: jax.Array
    found: Beams
    leading: jax.Array
    done: jax.Array
    failed: jax.Array


@compiled
def _search(fixed: _Fixed, params, state, alpha):
    """Return (Beams, failed) of the whole search; `failed` as in `_Search`."""
    max_length, width = fixed.max_length, fixed.width
    batch = batch_of(state)
    token = jnp.full((batch, width), fixed.start, jnp.int32)
    ids = {"start": fixed.start, "end": fixed.end}
    _, dtype = check_logits(fixed.step, params, token[:, 0], state, **ids)
    state = jax.tree.map(lambda leaf: jnp.repeat(jnp.asarray(leaf), width, axis=0), state)

    def unfinished(now: _Search):
        return (now.t < max_length) & ~now.done.all()

    def advance(now: _Search) -> _Search:
        return _advance(fixed, params, alpha, now)

    nothing = Beams(
        jnp.full((batch, fixed.best, max_length), PADDING, jnp.int32),
        jnp.zeros((batch, fixed.best), jnp.int32),
        jnp.full((batch, fixed.best), -jnp.inf, dtype),
    )
    begin = _Search(
        t=jnp.int32(0),
        token=token,
        state=state,
        tokens=jnp.full((batch, width, max_length), PADDING, jnp.int32),
        log_p=jnp.full((batch, width), -jnp.inf, dtype).at[:, 0].set(0),
        found=nothing,
        leading=jnp.ones(batch, bool),
        done=jnp.zeros(batch, bool),
        failed=jnp.full(batch, -1, jnp.int32),
    )
    last = jax.lax.while_loop(unfinished, advance, begin)
    live = jnp.where(last.done[:, None], -jnp.inf, _score(last.log_p, max_length, alpha))
    tokens, lengths, scores = _merge(last.found, last.tokens, max_length, live)
    scores = jnp.where((last.failed >= 0)[:, None], jnp.nan, scores)
    return Beams(tokens, lengths, scores), last.failed


def _advance(fixed: _Fixed, params, alpha, now: _Search) -> _Search:
    """Extend every live beam by one token: complete those that end, keep the best of the rest."""
    end, width = fixed.end, fixed.width
    batch = now.token.shape[0]
    logits, state = fixed.step(params, now.token.ravel(), now.state)
    vocabulary = logits.shape[1]
    following = choices(logits, end, now.log_p.dtype).reshape(batch, width, vocabulary)
    alive = now.log_p > -jnp.inf
    failing = (none_left(following) & alive).any(axis=1) & ~now.done

    pairs = jnp.where(alive[:, :, None], now.log_p[:, :, None] + following, -jnp.inf)
    ended = jnp.where(now.done[:, None], -jnp.inf, _score(pairs[:, :, end], now.t + 1, alpha))
    found = _merge(now.found, now.tokens.at[:, :, now.t].set(end), now.t + 1, ended)

    pairs = pairs.at[:, :, end].set(-jnp.inf).reshape(batch, width * vocabulary)
    likeliest = following[:, 0].argmax(axis=-1)
    leading = now.leading & (likeliest != end)
    first = leading[:, None] & (jnp.arange(width * vocabulary)[None] == likeliest[:, None])
    _, pair = jax.lax.top_k(jnp.where(first, jnp.inf, pairs), width)
    log_p = _take(pairs, pair)
    parent, token = pair // vocabulary, (pair % vocabulary).astype(jnp.int32)
    tokens = _take(now.tokens, parent).at[:, :, now.t].set(token)
    rows = (parent + width * jnp.arange(batch, dtype=parent.dtype)[:, None]).ravel()
    # An array that step returns unchanged (an encoder's memory) is the same for all beams.
    state = jax.tree.map(lambda old, new: old if new is old else new[rows], now.state, state)

    within_reach = _score(log_p.max(axis=1), fixed.max_length, alpha) > found.scores[:, -1]
    done = now.done | failing | ~within_reach
    failed = jnp.where(failing, now.t, now.failed)
    return _Search(now.t + 1, token, state, tokens, log_p, found, leading, done, failed)


def _score(log_p, length, alpha):
    """Return the score of `Beams`; the -inf of no sequence stays -inf, whatever the penalty."""
    penalty = ((5 + jnp.asarray(length, log_p.dtype)) / 6) ** alpha.astype(log_p.dtype)
    return jnp.where(log_p > -jnp.inf, log_p / penalty, log_p)


def _merge(found: Beams, tokens, length, scores) -> Beams:
    """Return the best of those found and of others [B, W, L] of one length; -inf is no sequence."""
    best = found.scores.shape[1]
    lengths = jnp.where(scores > -jnp.inf, length, 0).astype(jnp.int32)
    tokens = jnp.where(lengths[:, :, None] > 0, tokens, PADDING)
    everything = zip(found, (tokens, lengths, scores), strict=True)
    tokens, lengths, scores = (jnp.concatenate(pair, axis=1) for pair in everything)
    scores, order = jax.lax.top_k(scores, best)
    return Beams(_take(tokens, order), _take(lengths, order), scores)


def _take(array, order):
    """Return array[b, order[b, i]] for each b and i, whatever axes follow."""
    return jax.vmap(lambda rows, order: rows[order])(array, order)
