"""The backward pass of the fast implementation: the chain rule of `lstmcore.reference.cell`.

The loop carries d(h) and d(c) alone and leaves d(z) of every step. Gradients of weights, bias and
input follow from d(z) outside of it, one large product each instead of a thin one per step:

    d(W) = sum over steps of x_t^T d(z_t) = [x_0 ... x_{T-1}]^T [d(z_0) ... d(z_{T-1})]

Steps are taken in blocks, and each block's products follow at once: its d(z) is then still in
cache, and no array [T, B, 4H] is ever written to memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstmcore.dtypes import accumulation_dtype
from lstmcore.engine.forward import Activations, Inputs, Residuals
from lstmcore.engine.product import make_product
from lstmcore.engine.steps import Index, Steps
from lstmcore.types import LSTMParams, LSTMState, Trace

STEPS_WORTH_A_COPY = 8  # of the recurrent weights, transposed
FEWEST_STEPS = 4  # in one block, however large the batch
BLOCK_ROWS = 256  # steps times batch in one block: enough for fast products, few enough for caches


def backward(
    inputs: Inputs,
    residuals: Residuals,
    d_final: LSTMState,
    d_trace: Trace,
    *,
    reverse: bool,
    activations: Activations,
) -> Inputs:
    """Compute the gradients with respect to `inputs` from those of the results.

    Args:
      inputs: Inputs of the forward pass.
      residuals: Residuals that it kept.
      d_final: LSTMState [B, H]. Here and in `d_trace` a leaf None is zero and costs nothing.
      d_trace: Trace [B, T, H].
      reverse, activations: as in the forward pass.

    Returns:
      Inputs of gradients; None for the mask, and for recurrent dropout where there is none.
    """
    params, x, state, dropout_mask, _ = inputs
    batch, timesteps, _ = x.shape
    acc_dtype = accumulation_dtype(params.kernel.dtype)
    kernel, recurrent_kernel = (leaf.astype(acc_dtype) for leaf in params[:2])
    steps = Steps(timesteps, reverse)
    # Transposed before the loop, the weights are copied once; within it, each product does it anew.
    transposed = recurrent_kernel.T if timesteps >= STEPS_WORTH_A_COPY else None
    back = make_product(batch, transposed, recurrent_kernel, dtype=acc_dtype)
    run = _Run(
        steps, activations, inputs, residuals, d_trace, acc_dtype, kernel, recurrent_kernel, back
    )

    like = state.c  # zeros made from it are sharded as it is
    length = _block_length(batch, timesteps)
    d_state = LSTMState(
        *(jnp.zeros_like(like) if d is None else d.astype(acc_dtype) for d in d_final)
    )
    d_params = jax.tree.map(lambda leaf: jnp.zeros_like(like, shape=leaf.shape), params)
    d_z = jnp.zeros_like(like, shape=(length, batch, recurrent_kernel.shape[1]))
    d_mask = None if dropout_mask is None else jnp.zeros_like(state.h, acc_dtype)
    carry = d_state, Inputs(d_params, jnp.zeros_like(x), None, d_mask), d_z

    full, rest = divmod(timesteps, length)

    def from_the_end(k: Index, carry: Any) -> Any:
        return _block(run, timesteps - (k + 1) * length, length, carry)

    carry = jax.lax.fori_loop(0, full, from_the_end, carry)
    d_state, gradients, _ = _block(run, 0, rest, carry) if rest else carry
    d_h, d_c = d_state
    return Inputs(
        params=jax.tree.map(lambda d, leaf: d.astype(leaf.dtype), gradients.params, params),
        x=gradients.x,
        state=LSTMState(d_h.astype(state.h.dtype), d_c),
        dropout_mask=None if d_mask is None else gradients.dropout_mask.astype(dropout_mask.dtype),
    )


def _block_length(batch: int, timesteps: int) -> int:
    """Return how many steps a block takes: about BLOCK_ROWS rows, the same in all if possible.

    A shorter block would be compiled apart, which takes a fifth of the time of compilation.
    """
    usual = max(BLOCK_ROWS // batch, FEWEST_STEPS)
    near = range(-(-usual // 2), usual * 9 // 4 + 1)
    chosen = min(near, key=lambda length: (timesteps % length > 0, abs(length - usual)))
    return min(chosen, timesteps)


class _Run(NamedTuple):
    """Values that stay the same during one backward pass.

    Attributes:
      acc_dtype: in which gradients are summed up.
      kernel, recurrent_kernel: the weights in that dtype.
      back: the function d(z) [B, 4H] -> d(z) U^T [B, H].
    """

    steps: Steps
    activations: Activations
    inputs: Inputs
    residuals: Residuals
    d_trace: Trace
    acc_dtype: Any
    kernel: jax.Array
    recurrent_kernel: jax.Array
    back: Callable


def _block(run: _Run, first: Index, count: int, carry: Any) -> Any:
    """Take steps first + count - 1, ..., first back, then add what follows from their d(z).

    carry: (d_state, gradients, d_z), the gradients being Inputs without a state.
    """
    steps, inputs = run.steps, run.inputs
    d_state, gradients, d_z = carry

    def step(k: Index, carry: Any) -> Any:
        place = count - 1 - k
        return _step(run, first + place, place, carry)

    d_state, d_z = jax.lax.fori_loop(0, count, step, (d_state, d_z))
    d_kernel, d_recurrent_kernel, d_bias = gradients.params[:3]
    d_mask = gradients.dropout_mask
    x = steps.block(inputs.x, first, count).astype(run.acc_dtype)
    h_before = steps.block_before(run.residuals.h, inputs.state.h, first, count)
    h_before = h_before.astype(run.acc_dtype)
    if inputs.mask is not None:  # its d(z) is 0 there, but 0 * NaN is not
        h_before = jnp.where(steps.block(inputs.mask, first, count)[:, :, None], h_before, 0)
    d_kernel += _weight_gradient(x, d_z)
    h_in = h_before
    if inputs.dropout_mask is not None:  # the product saw h times the mask
        h_in = h_before * inputs.dropout_mask.astype(run.acc_dtype)[:, None]
        d_h_in = _input_gradient(run.recurrent_kernel, d_z, count)
        d_mask += (d_h_in * h_before).sum(axis=1)
    d_recurrent_kernel += _weight_gradient(h_in, d_z)
    bias_gradient = _bias_gradient if inputs.params.bias.ndim == 1 else _biases_gradient
    d_bias += bias_gradient(d_z, count)
    d_x = _input_gradient(run.kernel, d_z, count).astype(inputs.x.dtype)
    gradients = Inputs(
        params=LSTMParams(d_kernel, d_recurrent_kernel, d_bias),
        x=steps.write_block(gradients.x, d_x, first),
        state=None,
        dropout_mask=d_mask,
    )
    return d_state, gradients, d_z


def _step(run: _Run, s: Index, place: Index, carry: Any) -> Any:
    """Take step s back, which is number `place` of its block.

    carry: (d_state after the step, d_z of the block).
    """
    steps, inputs = run.steps, run.inputs
    activation, recurrent_activation, output_activation = run.activations
    (d_h, d_c), d_z = carry
    i, f, g, o = (_gate(run.residuals.gates, s, k) for k in range(4))
    c_old, c_new = _row(run.residuals.c, s), _row(run.residuals.c, s + 1)
    output = output_activation.value(c_new)

    def given(array: jax.Array | None) -> Any:  # from outside, of this step's results
        if array is None:
            return 0
        return steps.at(array, s).astype(run.acc_dtype)

    d_h = d_h + given(run.d_trace.h)
    d_c = d_c + given(run.d_trace.c)
    through_c = d_c + d_h * o * output_activation.derivative(output)
    d_i, d_f, d_g, d_o = map(given, run.d_trace.gates)
    parts = [
        (d_i + through_c * g) * recurrent_activation.derivative(i),
        (d_f + through_c * c_old) * recurrent_activation.derivative(f),
        (d_g + through_c * i) * activation.derivative(g),
        (d_o + d_h * output) * recurrent_activation.derivative(o),
    ]
    if inputs.mask is not None:
        # A masked row skips the step: nothing flows into it, all flows on to the step before.
        keep = steps.at(inputs.mask, s)[:, None]
        parts = [jnp.where(keep, part, 0) for part in parts]
    units = parts[0].shape[1]
    for k, part in enumerate(parts):  # XLA would concatenate them number by number
        d_z = jax.lax.dynamic_update_slice(d_z, part[None], (place, 0, k * units))
    latest = _row(d_z, place)
    d_h_before = run.back(latest)
    if inputs.dropout_mask is not None:
        d_h_before = d_h_before * inputs.dropout_mask.astype(run.acc_dtype)
    previous = LSTMState(d_h_before, through_c * f)
    if inputs.mask is not None:
        skipped = LSTMState(d_h, d_c)
        previous = jax.tree.map(partial(jnp.where, keep), previous, skipped)
    return previous, d_z


# The gradients of a block, from its d(z) [steps, B, 4H], which may hold more steps than `count`.


def _weight_gradient(inputs: jax.Array, d_z: jax.Array) -> jax.Array:
    """Compute the sum over all rows of inputs^T d(z), for inputs [B, steps, F]: [F, 4H]."""
    batch, count, width = inputs.shape
    rows = inputs.swapaxes(0, 1).reshape(count * batch, width)
    return rows.T @ _rows(d_z, count)


def _bias_gradient(d_z: jax.Array, count: int) -> jax.Array:
    """Compute the sum over all rows of d(z): [4H]."""
    return _rows(d_z, count).sum(axis=0)


def _biases_gradient(d_z: jax.Array, count: int) -> jax.Array:
    """Compute the sum over the steps of d(z), for a bias of each example's own: [B, 4H]."""
    # On several cores XLA takes three times as long for the sum of a leading axis.
    return jax.lax.fori_loop(1, count, lambda k, total: total + _row(d_z, k), d_z[0])


def _input_gradient(kernel: jax.Array, d_z: jax.Array, count: int) -> jax.Array:
    """Compute d(z) W^T of the block: [B, steps, F]."""
    d_x = _rows(d_z, count) @ kernel.T
    return d_x.reshape(count, d_z.shape[1], kernel.shape[0]).swapaxes(0, 1)


def _rows(d_z: jax.Array, count: int) -> jax.Array:
    return d_z[:count].reshape(-1, d_z.shape[-1])


def _row(array: jax.Array, s: Index) -> jax.Array:
    return jax.lax.dynamic_index_in_dim(array, s, 0, keepdims=False)


def _gate(gates: jax.Array, s: Index, place: int) -> jax.Array:
    size = (1, 1, *gates.shape[2:])
    return jax.lax.dynamic_slice(gates, (s, place, 0, 0), size)[0, 0]
