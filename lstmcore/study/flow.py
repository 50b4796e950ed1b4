"""How far a gradient flows back through time: why an RNN forgets and an LSTM need not."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.cell import lstm_step
from lstmcore.sequence import lstm
from lstmcore.study.names import check_trace
from lstmcore.types import LSTMParams, LSTMState, Trace

__all__ = ["forget_product", "gradient_flow"]


class GradientFlow(NamedTuple):
    """How much the last state of a layer still depends on each earlier one.

    Attributes:
      h: [B, T], Frobenius norm of the Jacobian d h_T / d h_t (c_t held): sqrt(H) at the last step,
        sqrt(P) with a projection.
      c: [B, T], Frobenius norm of d h_T / d c_t (h_t held): 0 at the last step, where h has been
        made of c already.
      forget_product: [B, T, H], product of the forget gates after step t: d c_T / d c_t along the
        cell alone.
    """

    h: jax.Array
    c: jax.Array
    forget_product: jax.Array


def gradient_flow(
    params: LSTMParams,
    x: jax.Array,
    state: LSTMState | None = None,
    *,
    mask: jax.Array | None = None,
    reverse: bool = False,
    edit=None,
    **activations,
) -> GradientFlow:
    """The true Jacobians of the last hidden state, beside the forget gates' share of them.

    Hochreiter (1991) and Bengio et al. (1994) showed that in a simple RNN these norms shrink (or
    grow) exponentially; along the cell of an LSTM they shrink by the forget gates only. A masked
    step changes nothing, so its state has the same norms as the one before.

    One backward pass for each unit of h: for wide layers take few examples.

    Args:
      params: LSTMParams of one layer.
      x: [B, T, F], the input of that layer.
      state, mask, reverse, edit, **activations: as in `lc.lstm`.

    Returns:
      GradientFlow; the time axis is that of x, T stands for the step taken last.

    Raises:
      ValueError, TypeError: as `lc.lstm`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=4)
      >>> study.gradient_flow(params, jnp.ones((1, 5, 2))).h[0, -1].tolist()
      2.0
    """
    options = {"edit": edit, **activations}
    final, trace = lstm(params, x, state, mask=mask, reverse=reverse, **options)
    start = LSTMState(jnp.zeros_like(final.h), jnp.zeros_like(final.c))
    if state is not None:
        start = jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), state, start)
    x = jnp.asarray(x, params.kernel.dtype)
    if mask is not None:
        x = jnp.where(mask[:, :, None], x, 0)

    def final_h(pushes: LSTMState):
        """The last h, if after every step the state had been pushed: [B, H]."""

        def body(state, inputs):
            x_t, t, keep, push = inputs
            if keep is None:
                new, _ = lstm_step(params, x_t, state, t=t, **options)
            else:  # a masked row steps from zeros: its result is dropped, its overflow would not be
                here = jax.tree.map(lambda leaf: jnp.where(keep[:, None], leaf, 0), state)
                new, _ = lstm_step(params, x_t, here, t=t, **options)
                new = jax.tree.map(lambda a, b: jnp.where(keep[:, None], a, b), new, state)
            return LSTMState(new.h + push.h, new.c + push.c), None

        steps = jnp.arange(x.shape[1])
        keep = None if mask is None else jnp.asarray(mask).T
        inputs = x.swapaxes(0, 1), steps, keep, pushes
        return jax.lax.scan(body, start, inputs, reverse=reverse)[0].h

    still = LSTMState(*(jnp.zeros_like(leaf.swapaxes(0, 1)) for leaf in (trace.h, trace.c)))
    _, pull_back = jax.vjp(final_h, still)

    def row_norms(unit):
        (gradient,) = pull_back(jnp.broadcast_to(unit, final.h.shape))
        return jax.tree.map(lambda leaf: _norm(leaf, axis=-1), gradient)

    each = jax.lax.map(row_norms, jnp.eye(final.h.shape[1], dtype=final.h.dtype), batch_size=16)
    h, c = (_norm(leaf, axis=0).T for leaf in each)
    return GradientFlow(h, c, forget_product(trace, mask, reverse=reverse))


def _norm(array, axis: int):
    """The Euclidean norm, also where the squares would be too small for the dtype."""
    largest = jnp.abs(array).max(axis=axis, keepdims=True)
    scale = jnp.where(largest > 0, largest, 1)
    return jnp.linalg.norm(array / scale, axis=axis) * scale.squeeze(axis)


def forget_product(trace: Trace, mask: jax.Array | None = None, *, reverse: bool = False):
    """What is left of each step's cell at the end: the product of the forget gates after it.

    Args:
      trace: Trace [B, T, H].
      mask: bool [B, T], True = real step; others forget nothing.
      reverse: whether the layer ran from the last step to the first.

    Returns:
      [B, T, H]; 1 at the step taken last.

    Raises:
      ValueError: a mask of another shape.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> _, trace = lc.lstm(params, jnp.ones((1, 4, 2)), edit=study.clamp("forget", 0.5))
      >>> study.forget_product(trace)[0, :, 0].tolist()
      [0.125, 0.25, 0.5, 1.0]
    """
    batch, timesteps = check_trace(trace)
    keep = trace.gates.forget
    if mask is not None:
        checks.check_mask(mask, batch, timesteps)
        keep = jnp.where(mask[:, :, None], keep, 1)
    last = jnp.ones_like(keep[:, :1])
    if reverse:
        return jnp.cumprod(jnp.concatenate([last, keep[:, :-1]], axis=1), axis=1)
    later = jnp.concatenate([keep[:, 1:], last], axis=1)
    return jnp.cumprod(later[:, ::-1], axis=1)[:, ::-1]
