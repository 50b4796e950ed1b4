"""Greedy decoding and sampling: at each step the most probable token, or a random one.

A decoder takes any step function and any state:

    logits, state = step(params, token, state)      # token int32 [B], logits [B, V]

The state is a pytree of arrays, the batch first in each of them; `model.step` of a `lc.Seq2Seq` is
such a function, `model.encode` returns such a state. The loop is one compiled program for each
`step`, shape and option, and stops as soon as every example has ended. To inspect the gates, pass
the tokens to the model: `model.apply(params, source, decoded.tokens)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.decoding.stepping import (
    TINY,
    batch_of,
    check_logits,
    checked_step,
    choices,
    none_left,
    raise_if_failed,
    traced_number,
)
from lstmcore.display import displayed
from lstmcore.dtypes import as_arrays, check_key
from lstmcore.programs import compiled
from lstmcore.vocabulary import END, PADDING, START

__all__ = ["Decoded", "greedy", "sample"]


@displayed
class Decoded(NamedTuple):
    """Decoded tokens of each example.

    Attributes:
      tokens: int32 [B, max_length], END included, PADDING after it. An example that did not end has
        no END.
      lengths: int32 [B], number of tokens, END included; `max_length` for an example without END.
      log_probability: [B], sum of the log probabilities of the tokens under the model (the softmax
        over all its logits, even if they were sampled from another distribution). NaN for an
        example that failed under `jax.jit` or `jax.vmap`, see `greedy`.
    """

    tokens: jax.Array
    lengths: jax.Array
    log_probability: jax.Array


def greedy(
    step: Callable, params, state, *, max_length: int, start: int = START, end: int = END
) -> Decoded:
    """Decode the most probable token at each step; of equally probable ones the lowest id.

    PADDING fills the positions after the end, so it is never chosen (unless `end` is PADDING).
    Works under `jax.jit` and `jax.vmap`. The log probability has no reverse-mode gradient: pass the
    tokens to the model and differentiate that.

    Args:
      step: `(params, token int32 [B], state) -> (logits [B, V], state)`. It is compiled once,
        and the program lives as long as the function (for `model.step`, which is compared by the
        model's values, as long as it is among the latest). So define it once, outside of loops, and
        let it take what changes from `params` and `state`: its captured variables are not read
        again.
      params: of `step`, any pytree.
      state: pytree of arrays with the batch first, B the same in all. `step` must return one with
        the same shapes and dtypes.
      max_length: the largest number of tokens, END included.
      start: id that the first step reads.
      end: id that ends an example. Until the others have ended too, `step` then reads PADDING for
        it; its result no longer changes.

    Returns:
      Decoded.

    Raises:
      ValueError: `max_length` below 1, ids outside of the vocabulary, a state without arrays or
        with unequal batches, a step that does not return logits [B, V] and a state like the one it
        was given. Also logits that leave no token to choose (NaN, or -inf for all but PADDING): the
        message names the example and the step. Under `jax.jit` or `jax.vmap`, where that cannot be
        raised, such an example ends and has a log probability of NaN.
      TypeError: `step` is not a hashable function, or does not return a pair.

    Examples:
      Logits that depend only on the previous token:

      >>> import jax.numpy as jnp, lstmcore as lc
      >>> likely = jnp.array([[0, 0, 1, 0], [0, 0, 0.1, 0.9], [0, 0, 1, 0], [0, 0, 0.6, 0.4]])
      >>> step = lambda params, token, state: (params[token], state)
      >>> decoded = lc.greedy(step, jnp.log(likely), jnp.zeros(1), max_length=4)
      >>> decoded.tokens.tolist(), decoded.lengths.tolist()  # 3, then END
      ([[3, 2, 0, 0]], [2])
      >>> round(float(jnp.exp(decoded.log_probability[0])), 3)
      0.54
    """
    return _decode(step, params, state, None, max_length=max_length, start=start, end=end)


def sample(
    key: jax.Array,
    step: Callable,
    params,
    state,
    *,
    max_length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    start: int = START,
    end: int = END,
) -> Decoded:
    """Decode a random token at each step, drawn from the softmax of `logits / temperature`.

    `top_k` keeps the k most probable tokens (Fan et al. 2018, "Hierarchical Neural Story
    Generation"); `top_p` keeps the fewest most probable ones whose probabilities sum to at least p
    (nucleus sampling: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"). With
    both, p refers to the tokens that `top_k` keeps. Each example draws from a key of its own, made
    from `key` and its index: it does not depend on the other examples.

    Args:
      key: random key; the same key gives the same tokens.
      step, params, state, max_length, start, end: as in `greedy`.
      temperature: above 0; near 0 the most probable token is drawn, 1 is the model's distribution.
        Another temperature or `top_p` needs no new compilation.
      top_k: tokens to choose from; None or V and more for all.
      top_p: above 0, at most 1; None or 1 for all.

    Returns:
      Decoded. The log probability is the model's own, at temperature 1 and without limits.

    Raises:
      ValueError: `temperature` not above 0 or not finite, `top_k` below 1, `top_p` outside of (0,
        1], and as `greedy`.
      TypeError: a key, a temperature or a `top_p` of another kind, and as `greedy`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> step = lambda params, token, state: (params[token], state)
      >>> logits, state = jnp.zeros((6, 6)), jnp.zeros(2)  # all tokens are equally probable
      >>> decoded = lc.sample(jax.random.key(0), step, logits, state, max_length=9, top_k=1)
      >>> decoded.tokens.shape
      (2, 9)
    """
    check_key(key)
    draw = _Draw(
        key,
        traced_number("temperature", temperature, smallest=TINY),
        None if top_p is None else traced_number("top_p", top_p, smallest=TINY, largest=1),
    )
    top_k = None if top_k is None else checks.check_count("top_k", top_k)
    options = {"max_length": max_length, "start": start, "end": end}
    return _decode(step, params, state, draw, top_k=top_k, **options)


class _Draw(NamedTuple):
    """Parameters of the draw, which may change without a new compilation."""

    key: jax.Array
    temperature: jax.Array
    top_p: jax.Array | None


class _Fixed(NamedTuple):
    """Static arguments of the compiled program."""

    step: Callable
    max_length: int
    start: int
    end: int
    top_k: int | None


class _Carry(NamedTuple):
    """Carry of the loop. failed: [B], the step at which there was no token to choose, or -1."""

    t: jax.Array
    token: jax.Array
    state: Any
    decoded: Decoded
    ended: jax.Array
    failed: jax.Array


def _decode(step, params, state, draw, *, max_length, start, end, top_k=None) -> Decoded:
    fixed = _Fixed(
        checked_step(step),
        max_length=checks.check_count("max_length", max_length),
        start=checks.check_count("start", start, minimum=0),
        end=checks.check_count("end", end, minimum=0),
        top_k=top_k,
    )
    params, state = as_arrays(params=params, state=state)
    decoded, failed = _run(fixed, params, state, draw)
    raise_if_failed(failed)
    return decoded


@compiled
def _run(fixed: _Fixed, params, state, draw):
    step, max_length, start, end, top_k = fixed
    batch = batch_of(state)
    state = jax.tree.map(jnp.asarray, state)
    token = jnp.full(batch, start, jnp.int32)
    _, dtype = check_logits(step, params, token, state, start=start, end=end)
    if draw is not None:  # a key for each example, so that it does not depend on the others
        keys = jax.vmap(jax.random.fold_in, (None, 0))(draw.key, jnp.arange(batch))
        draw = draw._replace(key=keys)

    def unfinished(now: _Carry):
        return (now.t < max_length) & ~now.ended.all()

    def advance(now: _Carry) -> _Carry:
        logits, state = step(params, now.token, now.state)
        log_p = choices(logits, end, dtype)
        token = log_p.argmax(axis=-1) if draw is None else _draw_token(draw, now.t, log_p, top_k)
        failing = none_left(log_p) & ~now.ended
        going = ~now.ended & ~failing
        token = jnp.where(going, token, PADDING).astype(jnp.int32)
        gain = jnp.take_along_axis(log_p, token[:, None], axis=1)[:, 0]
        tokens, lengths, log_probability = now.decoded
        decoded = Decoded(
            tokens.at[:, now.t].set(token),
            lengths + going.astype(jnp.int32),
            jnp.where(failing, jnp.nan, log_probability + jnp.where(going, gain, 0)),
        )
        failed = jnp.where(failing, now.t, now.failed)
        return _Carry(now.t + 1, token, state, decoded, ~going | (token == end), failed)

    nothing = Decoded(
        jnp.full((batch, max_length), PADDING, jnp.int32),
        jnp.zeros(batch, jnp.int32),
        jnp.zeros(batch, dtype),
    )
    nobody, never = jnp.zeros(batch, bool), jnp.full(batch, -1, jnp.int32)
    begin = _Carry(jnp.int32(0), token, state, nothing, nobody, never)
    last = jax.lax.while_loop(unfinished, advance, begin)
    return last.decoded, last.failed


def _draw_token(draw: _Draw, t, log_p, top_k: int | None):
    """Draw a token [B] for each row of log_p [B, V]; draw.key is one key for each row."""
    # From 0 down, so that no temperature, however small, makes the best one infinite.
    scaled = (log_p - log_p.max(axis=-1, keepdims=True)) / draw.temperature.astype(log_p.dtype)
    batch, vocabulary = scaled.shape
    if top_k is not None or draw.top_p is not None:
        best, ids = jax.lax.top_k(scaled, min(top_k or vocabulary, vocabulary))
        if draw.top_p is not None:
            p = jax.nn.softmax(best)
            before = jnp.cumsum(p, axis=-1) - p  # probability of the tokens before each
            best = jnp.where(before < draw.top_p.astype(p.dtype), best, -jnp.inf)
        rows = jnp.arange(batch)[:, None]
        scaled = jnp.full_like(scaled, -jnp.inf).at[rows, ids].set(best)
    keys = jax.vmap(jax.random.fold_in, (0, None))(draw.key, t)
    return jax.vmap(jax.random.categorical)(keys, scaled)
