"""All steps backward: the chain rule of `lstmcore.reference.cell`, arranged for speed.

The loop carries d(h) and d(c) alone and leaves d(z) of every step. Gradients of weights, bias and
input follow from d(z) outside of it, one large product each instead of a thin one per step:

    d(W) = sum over steps of x_t^T d(z_t) = [x_0 ... x_T]^T [d(z_0) ... d(z_T)]

Steps are taken in blocks, and each block's products follow at once: its d(z) is then still in
cache, and no array [T, B, 4H] is ever written to memory.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from lstmcore.dtypes import memory_dtype
from lstmcore.engine.forward import Tape
from lstmcore.engine.indexing import Orientation, Steps
from lstmcore.types import LSTMParams, LSTMState

STEPS_WORTH_A_COPY = 8  # of the recurrent weights, the other way round
FEWEST_STEPS = 4  # in one block, however large the batch
BLOCK_ROWS = 256  # steps times batch in one block: enough for fast products, few enough for caches


def backward(
    orientation: Orientation,
    params,
    x,
    state,
    factors,
    mask,
    tape: Tape,
    d_final,
    d_trace,
    *,
    reverse,
    curves,
):
    """Gradients with respect to (params, x, state, factors), from those of the results.

    params.bias: [4H], or [B, 4H] for each example its own; so is its gradient.
    factors: [B, H], recurrent dropout's, or None, as is their gradient then.
    d_final: LSTMState [B, H], d_trace: Trace [B, T, H]; a leaf None is zero and costs nothing.
    """
    tanh, sigmoid, squash = curves
    batch, timesteps, _ = x.shape
    units = state.h.shape[1]
    wide = memory_dtype(params.kernel.dtype)
    kernel, recurrent_kernel = (leaf.astype(wide) for leaf in params[:2])
    # Transposed before the loop, the weights are copied once; within it, each product does it anew.
    transposed = orientation.turn(recurrent_kernel.T) if timesteps >= STEPS_WORTH_A_COPY else None
    bias_gradient = _bias_gradient if params.bias.ndim == 1 else _biases_gradient
    steps = Steps(timesteps, reverse)

    def step(s, place, c_before, carry):
        (d_h, d_c), d_z = carry
        i, f, g, o = (_gate(tape.gates, s, k) for k in range(4))
        before, after = _row(c_before, place), _row(tape.c, s)
        shown = squash.value(after)

        def given(array):  # the gradient from outside, with respect to this step's results
            return 0 if array is None else orientation.turn(steps.at(array, s)).astype(wide)

        d_h = d_h + given(d_trace.h)
        d_c = d_c + given(d_trace.c)
        through_c = d_c + d_h * o * squash.slope(shown)
        d_i, d_f, d_g, d_o = map(given, d_trace.gates)
        parts = (
            (d_i + through_c * g) * sigmoid.slope(i),
            (d_f + through_c * before) * sigmoid.slope(f),
            (d_g + through_c * i) * tanh.slope(g),
            (d_o + d_h * shown) * sigmoid.slope(o),
        )
        if mask is not None:
            # A masked row skips the step: nothing flows into it, all flows on to the step before.
            keep = orientation.turn(steps.at(mask, s)[:, None])
            parts = [jnp.where(keep, part, 0) for part in parts]
        d_z, latest = _put(orientation, d_z, parts, place)
        weights = orientation.turn(recurrent_kernel.T) if transposed is None else transposed
        d_h_before = orientation.product(latest, weights, wide)
        if factors is not None:
            d_h_before = d_h_before * orientation.turn(factors).astype(wide)
        previous = LSTMState(d_h_before, through_c * f)
        if mask is not None:
            skipped = LSTMState(d_h, d_c)
            previous = jax.tree.map(partial(jnp.where, keep), previous, skipped)
        return previous, d_z

    def block(first, count, carry):
        """Steps first + count - 1, ..., first, then what follows from their d(z)."""
        d_state, d_params, d_x, d_factors, d_z = carry
        c_before = _block_before(tape.c, orientation.turn(state.c), first, count)

        def one(k, carry):
            place = count - 1 - k
            return step(first + place, place, c_before, carry)

        d_state, d_z = jax.lax.fori_loop(0, count, one, (d_state, d_z))
        d_kernel, d_recurrent_kernel, d_bias = d_params[:3]
        x_now = steps.block(x, first, count).astype(wide)
        h_before = steps.block_before(tape.h, state.h, first, count).astype(wide)
        if mask is not None:  # its d(z) is 0 there, but 0 * NaN is not
            h_before = jnp.where(steps.block(mask, first, count)[:, :, None], h_before, 0)
        d_kernel += _weight_gradient(orientation, x_now, d_z)
        read = h_before
        if factors is not None:  # the product saw h * factors
            read = h_before * factors.astype(wide)[:, None]
            d_read = _input_gradient(orientation, recurrent_kernel, d_z, count)
            d_factors += (d_read * h_before).sum(axis=1)
        d_recurrent_kernel += _weight_gradient(orientation, read, d_z)
        d_bias += bias_gradient(orientation, d_z, count)
        d_x_now = _input_gradient(orientation, kernel, d_z, count).astype(x.dtype)
        d_params = LSTMParams(d_kernel, d_recurrent_kernel, d_bias)
        return d_state, d_params, steps.write_block(d_x, d_x_now, first), d_factors, d_z

    like = orientation.turn(state.c)  # zeros made from it are sharded as it is
    longest = max(BLOCK_ROWS // batch, FEWEST_STEPS)
    blocks = -(-timesteps // longest)
    length = -(-timesteps // blocks)  # so that blocks are about equally long
    d_state = LSTMState(
        *(jnp.zeros_like(like) if d is None else orientation.turn(d).astype(wide) for d in d_final)
    )
    d_params = jax.tree.map(lambda leaf: jnp.zeros_like(like, shape=leaf.shape), params)
    d_z = jnp.zeros_like(like, shape=_shape_of_d_z(orientation, length, batch, units))
    d_factors = None if factors is None else jnp.zeros_like(state.h, wide)
    carry = d_state, d_params, jnp.zeros_like(x), d_factors, d_z

    full = (timesteps - 1) // length  # and a first one, which knows the initial state

    def from_the_end(k, carry):
        return block(timesteps - (k + 1) * length, length, carry)

    carry = jax.lax.fori_loop(0, full, from_the_end, carry)
    d_state, d_params, d_x, d_factors, _ = block(0, timesteps - full * length, carry)
    d_h, d_c = map(orientation.turn, d_state)
    d_params = jax.tree.map(lambda d, leaf: d.astype(leaf.dtype), d_params, params)
    d_factors = None if factors is None else d_factors.astype(factors.dtype)
    return d_params, d_x, LSTMState(d_h.astype(state.h.dtype), d_c), d_factors


# What differs between rows and columns: d(z) of a block lies as [steps, B, 4H] or as
# [4, H, steps, B], so that both the product of a step and those of the block read it as it is.


def _shape_of_d_z(orientation, length, batch, units):
    return (4, units, length, batch) if orientation.columns else (length, batch, 4 * units)


def _put(orientation, d_z, parts, place):
    """`d_z` with the four parts of one step at `place`; also that step alone, for its product."""
    if not orientation.columns:
        latest = jnp.concatenate(parts, axis=1)
        return jax.lax.dynamic_update_index_in_dim(d_z, latest, place, 0), latest
    for k, part in enumerate(parts):
        d_z = jax.lax.dynamic_update_slice(d_z, part[None, :, None], (k, 0, place, 0))
    latest = jax.lax.dynamic_index_in_dim(d_z, place, 2, keepdims=False)
    return d_z, latest.reshape(-1, latest.shape[-1])


def _as_matrix(orientation, d_z, count):
    """d(z) of the block's steps, [rows, 4H] or [4H, rows]."""
    if orientation.columns:
        four, units, _, batch = d_z.shape
        return d_z[:, :, :count].reshape(four * units, count * batch)
    return d_z[:count].reshape(-1, d_z.shape[-1])


def _weight_gradient(orientation, inputs, d_z):
    """sum over all rows of inputs^T d(z), for inputs [B, steps, F]: [F, 4H]."""
    batch, count, width = inputs.shape
    d_z = _as_matrix(orientation, d_z, count)
    if orientation.columns:
        inputs = inputs.transpose(2, 1, 0).reshape(width, count * batch)
        return jax.lax.dot_general(inputs, d_z, (((1,), (1,)), ((), ())))
    return inputs.swapaxes(0, 1).reshape(count * batch, width).T @ d_z


def _bias_gradient(orientation, d_z, count):
    """sum over all rows of d(z): [4H]."""
    return _as_matrix(orientation, d_z, count).sum(axis=1 if orientation.columns else 0)


def _biases_gradient(orientation, d_z, count):
    """sum over the steps of d(z), for a bias of each example's own: [B, 4H]."""
    if orientation.columns:
        return d_z[:, :, :count].sum(axis=2).reshape(-1, d_z.shape[-1]).T
    # On several cores XLA takes three times as long for the sum of a leading axis.
    return jax.lax.fori_loop(1, count, lambda k, total: total + _row(d_z, k), d_z[0])


def _input_gradient(orientation, kernel, d_z, count):
    """d(z) W^T of the block: [B, steps, F]."""
    batch = d_z.shape[-1] if orientation.columns else d_z.shape[1]
    width = kernel.shape[0]
    d_z = _as_matrix(orientation, d_z, count)
    if orientation.columns:
        return (kernel @ d_z).reshape(width, count, batch).transpose(2, 1, 0)
    return (d_z @ kernel.T).reshape(count, batch, width).swapaxes(0, 1)


def _row(array, s):
    return jax.lax.dynamic_index_in_dim(array, s, 0, keepdims=False)


def _gate(gates, s, place):
    size = (1, 1, *gates.shape[2:])
    return jax.lax.dynamic_slice(gates, (s, place, 0, 0), size)[0, 0]


def _block_before(array, start, first, count):
    """The values before each step of a block: `array` [T, ...] shifted by one step."""
    if isinstance(first, int):
        return jnp.concatenate([start[None], array[: count - 1]])
    return jax.lax.dynamic_slice_in_dim(array, first - 1, count, 0)
